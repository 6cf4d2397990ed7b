"""Whether Mistral, Qwen2 and Phi-3 models that Ballast wrote as LLaMA are what they were, and keep every bias.

    python scripts/verify/as-llama.py <LLaMA directory without biases> <calibration text> <sequence length> <test text>

Makes a Mistral, a Qwen2 and a Phi-3 model of the directory's weights (Qwen2 with random biases in query, key and value,
Phi-3 with fused projections and LongRoPE whose long factors are the ones in use), has `ballast quantize --as-llama`
write each, and prints one JSON object: perplexity of the source and of the result by transformers, of the result by
`ballast evaluate`, and how many linears have a bias in it. The results' logits must agree with those of the codes under
the source's own architecture, to which compensation 'none' gives the same weights.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer

from perplexity import load, perplexity

ROOT = pathlib.Path(__file__).resolve().parents[2]
OPTIONS = ["--bits", "4", "--group-size", "32", "--samples", "32"]
FAMILIES = {
    "mistral": dict(sliding_window=None),
    "qwen2": dict(use_sliding_window=False),
    "phi3": dict(sliding_window=None, original_max_position_embeddings=128),
}
FUSED = {
    "self_attn.qkv_proj": ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
    "mlp.gate_up_proj": ["mlp.gate_proj", "mlp.up_proj"],
}


def ballast(*arguments: object) -> dict:
    command = ["node", str(ROOT / "dist/cli/main.js"), *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def disguise(source: pathlib.Path, target: pathlib.Path, family: str) -> None:
    """The source's weights under another architecture."""
    shutil.copytree(source, target)
    config = json.loads((source / "config.json").read_text())
    config |= FAMILIES[family] | dict(model_type=family, architectures=[f"{family.capitalize()}ForCausalLM"])
    tensors = load_file(source / "model.safetensors")
    if family == "phi3":
        config["rope_scaling"] = longrope(config)
        tensors = fuse(tensors, config["num_hidden_layers"])
    (target / "config.json").write_text(json.dumps(config))
    if family == "qwen2":
        add_biases(tensors)
    save_file(tensors, target / "model.safetensors", metadata=dict(format="pt"))


def longrope(config: dict) -> dict:
    pairs = config["hidden_size"] // config["num_attention_heads"] // 2
    factors = [1 + pair / pairs for pair in range(pairs)]
    return dict(type="longrope", short_factor=[1.0] * pairs, long_factor=factors)


def fuse(tensors: dict, blocks: int) -> dict:
    for block in (f"model.layers.{index}" for index in range(blocks)):
        for fused, linears in FUSED.items():
            rows = [tensors.pop(f"{block}.{linear}.weight") for linear in linears]
            tensors[f"{block}.{fused}.weight"] = torch.cat(rows)
    return tensors


def add_biases(tensors: dict) -> None:
    generator = torch.Generator().manual_seed(0)
    for name in [name for name in tensors if name.split(".")[-2] in ("q_proj", "k_proj", "v_proj")]:
        bias = 0.2 * torch.randn(tensors[name].shape[0], generator=generator)
        tensors[name.replace("weight", "bias")] = bias.to(tensors[name].dtype)


def check(family: str, source: pathlib.Path, calibration: str, sequence: int, text: str) -> dict:
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        disguise(source, folder / "source", family)
        common = ["--calibration", calibration, "--sequence-length", sequence, *OPTIONS]
        run = ["quantize", folder / "source", *common]
        ballast(*run, "--output", folder / "plain", "--compensation", "none")
        ballast(*run, "--output", folder / "same", "--compensation", "none", "--as-llama")
        report = ballast(*run, "--output", folder / "result", "--as-llama")
        evaluate = ["evaluate", folder / "result", "--text", text, "--sequence-length", sequence]
        own = ballast(*evaluate)["results"][0]["perplexity"]

        tokenizer = Tokenizer.from_file(str(source / "tokenizer.json"))
        encoding = tokenizer.encode(pathlib.Path(text).read_text(), add_special_tokens=False)
        ids = torch.tensor(encoding.ids)
        models = {part: load(folder / part) for part in ("source", "plain", "same", "result")}
        with torch.no_grad():
            logits = {part: models[part](ids[None, :sequence]).logits for part in ("plain", "same")}
        state = models["result"].state_dict()
        biased = [key for key in state if key.endswith("bias") and state[key].abs().max() > 0]
        return {
            "class": type(models["result"]).__name__,
            "difference of logits": (logits["plain"] - logits["same"]).abs().max().item(),
            "source": perplexity(models["source"], ids, sequence),
            "result": perplexity(models["result"], ids, sequence),
            "result by ballast evaluate": own,
            "linears": f"{len(biased)} of {len(report['layers'])} with a bias",
            "not fitted": report["dropped"],
        }


def main() -> None:
    source, calibration, sequence, text = sys.argv[1:]
    figures = {
        family: check(family, pathlib.Path(source), calibration, int(sequence), text)
        for family in FAMILIES
    }
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
