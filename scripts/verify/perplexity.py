"""Perplexity of a model, or of a result of Ballast, as transformers computes it, float32: what an evaluation must reproduce.

    python scripts/verify/perplexity.py <model directory> <sequence length> <text> [<text> ...]

Fails on missing, unexpected or mismatched keys. Prints one JSON object, text name -> perplexity: the text tokenized whole without special tokens, consecutive windows
that do not overlap, the last partial one dropped, exp of the mean over tokens 2 ... T of every window.
"""

import json
import math
import pathlib
import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

BATCH = 8


def load(directory: str | pathlib.Path) -> torch.nn.Module:
    """Every key must be known, and none may be missing."""
    model, report = AutoModelForCausalLM.from_pretrained(
        directory, dtype=torch.float32, output_loading_info=True
    )
    faults = {kind: sorted(map(str, keys)) for kind, keys in report.items() if keys}
    if faults:
        sys.exit(f"{directory} does not load cleanly: {json.dumps(faults, indent=2)}")
    return model.eval()


def perplexity(model: torch.nn.Module, ids: torch.Tensor, sequence: int) -> float:
    windows = ids[: len(ids) // sequence * sequence].view(-1, sequence)
    total, count = 0.0, 0
    with torch.no_grad():
        for batch in windows.split(BATCH):
            logits = model(batch).logits[:, :-1].double()
            targets = batch[:, 1:]
            losses = torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), targets.flatten(), reduction="sum"
            )
            total += losses.item()
            count += targets.numel()
    return math.exp(total / count)


def main() -> None:
    directory, sequence, *texts = sys.argv[1:]
    model = load(directory)
    tokenizer = Tokenizer.from_file(str(pathlib.Path(directory) / "tokenizer.json"))
    figures = {}
    for text in map(pathlib.Path, texts):
        encoding = tokenizer.encode(text.read_text(encoding="utf-8"), add_special_tokens=False)
        ids = torch.tensor(encoding.ids)
        figures[text.name] = perplexity(model, ids, int(sequence))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
