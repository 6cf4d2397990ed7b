"""Whether transformers and the package compressed-tensors read what Ballast packed.

    python scripts/verify/compressed-tensors.py <result directory> <sequence length> <text> [<text> ...]

Loads the packed directory twice, float32: as it is (weights are unpacked by compressed-tensors on the first forward
pass) and with dequantize=True (weights are unpacked while loading). Prints one JSON object: way of loading -> text name
-> perplexity, by the same windows as `ballast evaluate`. A way that fails is reported with its first line: as of
compressed-tensors 0.20 and transformers 5.23 the first one expects zero points unpacked, against the format's own
writer, and so loads symmetric grids only.
"""

import json
import pathlib
import sys

import torch
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM
from transformers.utils.quantization_config import CompressedTensorsConfig

from perplexity import perplexity


def load(directory: str, dequantize: bool) -> torch.nn.Module:
    options = {"quantization_config": CompressedTensorsConfig(dequantize=True)} if dequantize else {}
    return AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, **options).eval()


def main() -> None:
    directory, sequence, *texts = sys.argv[1:]
    tokenizer = Tokenizer.from_file(str(pathlib.Path(directory) / "tokenizer.json"))
    figures = {}
    for way, dequantize in (("packed", False), ("dequantized", True)):
        try:
            model = load(directory, dequantize)
        except RuntimeError as error:
            figures[way] = str(error).splitlines()[0]
            continue
        figures[way] = {}
        for text in map(pathlib.Path, texts):
            encoding = tokenizer.encode(text.read_text(encoding="utf-8"), add_special_tokens=False)
            figures[way][text.name] = perplexity(model, torch.tensor(encoding.ids), int(sequence))
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
