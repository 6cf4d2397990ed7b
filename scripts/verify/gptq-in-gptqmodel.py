"""Whether GPTQModel reads what Ballast packed as `gptq`.

    python scripts/verify/gptq-in-gptqmodel.py <gptq result> <the same exported to huggingface> <sequence length> <text>

Loads the packed directory with GPTQModel's torch kernel on the CPU, which computes in float16, and prints one JSON
object: the largest difference between a weight or bias that it unpacks and that of the huggingface result, how many
linears it has packed, and the perplexity of both in float16, by the same windows as `ballast evaluate`.

GPTQModel 7.7 refuses version 1 with zero points unless config.json names itself as the maker. Such files are read here
as if it did, and `accepted` is false.
"""

import json
import pathlib
import sys

import torch
from gptqmodel import BACKEND, GPTQModel
from gptqmodel.quantization.config import BaseQuantizeConfig
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM

from perplexity import perplexity


def main() -> None:
    packed, plain, sequence, text = sys.argv[1:]
    config = json.loads((pathlib.Path(packed) / "config.json").read_text())
    accepted = config["quantization_config"]["sym"]
    if not accepted:
        BaseQuantizeConfig.is_quantized_by_gptaq = lambda _: True
    options = dict(backend=BACKEND.GPTQ_TORCH, device="cpu", dtype=torch.float16)
    theirs = GPTQModel.load(packed, **options).model.eval()
    ours = AutoModelForCausalLM.from_pretrained(plain, dtype=torch.float16).eval()

    modules = {name: module for name, module in theirs.named_modules() if hasattr(module, "qweight")}
    state = ours.state_dict()
    difference = 0.0
    for name, module in modules.items():
        # Unpacked as it is stored: [in, out].
        weight = module.dequantize_weight().T
        difference = max(difference, (weight - state[f"{name}.weight"]).abs().max().item())
        if f"{name}.bias" in state:
            difference = max(difference, (module.bias - state[f"{name}.bias"]).abs().max().item())

    tokenizer = Tokenizer.from_file(str(pathlib.Path(plain) / "tokenizer.json"))
    encoding = tokenizer.encode(pathlib.Path(text).read_text(), add_special_tokens=False)
    ids = torch.tensor(encoding.ids)
    figures = {
        "accepted": accepted,
        "linears": len(modules),
        "largest difference": difference,
        "packed": perplexity(theirs, ids, int(sequence)),
        "huggingface": perplexity(ours, ids, int(sequence)),
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
