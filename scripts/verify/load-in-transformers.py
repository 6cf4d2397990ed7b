"""Whether transformers reads what Ballast wrote, and computes the same with it.

    python scripts/verify/load-in-transformers.py <result directory> <sequence length> <text> [<text> ...]

Loads the directory, fails on missing, unexpected or mismatched keys, and prints one JSON object: text name ->
perplexity, by the same windows as `ballast evaluate` (see perplexity.py), to be compared with what that prints.
"""

import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from perplexity import perplexity


def load(directory: str) -> torch.nn.Module:
    model, report = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True
    )
    faults = {kind: sorted(map(str, keys)) for kind, keys in report.items() if keys}
    if faults:
        sys.exit(f"{directory} does not load cleanly: {json.dumps(faults, indent=2)}")
    return model.eval()


def main() -> None:
    directory, sequence, *texts = sys.argv[1:]
    model = load(directory)
    tokenizer = Tokenizer.from_file(str(pathlib.Path(directory) / "tokenizer.json"))
    figures = {}
    for text in map(pathlib.Path, texts):
        encoding = tokenizer.encode(text.read_text(encoding="utf-8"), add_special_tokens=False)
        figures[text.name] = perplexity(model, torch.tensor(encoding.ids), int(sequence))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
