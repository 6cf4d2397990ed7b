"""Which linears have a bias in transformers' own classes, once config.json announces all that it can.

    python scripts/verify/biases-in-transformers.py > test/export/fixtures/transformers-biases.json

For each tiny checkpoint of the tests: its config.json with the fields below, a model of that, saved; the names of the
biases of the saved file that a linear's weight stands beside, those of the first block. A test compares them with what
the library claims to survive (lib/export/capabilities.ts).
"""

import functools
import json
import pathlib
import tempfile

import transformers
from safetensors.torch import load_file

FIELDS = {
    "cohere": ["attention_bias"],
    "cohere2": ["attention_bias"],
    "deepseek_v2": ["attention_bias"],
    "deepseek_v3": ["attention_bias"],
    "dots1": ["attention_bias"],
    "ernie4_5": ["use_bias"],
    "gemma": ["attention_bias"],
    "gemma2": ["attention_bias"],
    "gemma3": ["text_config.attention_bias"],
    "gemma3_text": ["attention_bias"],
    "gemma4": ["text_config.attention_bias"],
    "gemma4_text": ["attention_bias"],
    "glm": ["attention_bias"],
    "glm4": ["attention_bias"],
    "glm4_moe": ["attention_bias"],
    "glm4_moe_lite": ["attention_bias"],
    "gpt_neox": ["attention_bias"],
    "gpt_oss": ["attention_bias"],
    "granite": ["attention_bias", "mlp_bias"],
    "helium": ["attention_bias", "mlp_bias"],
    "llama": ["attention_bias", "mlp_bias"],
    "olmo2": ["attention_bias"],
    "olmo3": ["attention_bias"],
    "olmoe": ["attention_bias"],
    "opt": ["enable_bias"],
    "qwen2_moe": ["qkv_bias"],
    "qwen3": ["attention_bias"],
    "qwen3_5": ["text_config.attention_bias"],
    "qwen3_5_moe": ["text_config.attention_bias"],
    "qwen3_5_moe_text": ["attention_bias"],
    "qwen3_5_text": ["attention_bias"],
    "qwen3_moe": ["attention_bias"],
    "qwen3_next": ["attention_bias"],
    "seed_oss": ["attention_bias", "attention_out_bias", "mlp_bias"],
    "qwen3_vl": ["text_config.attention_bias"],
    "qwen3_vl_moe": ["text_config.attention_bias"],
    "solar_open": ["attention_bias"],
    "smollm3": ["attention_bias", "mlp_bias"],
    "stablelm": ["use_qkv_bias"],
    "starcoder2": ["use_bias"],
}
# Names that checkpoints give a class of transformers, which has it under another.
OTHER_NAMES = {"kimi_k2": "deepseek_v3"}
# What names of the first block begin with.
BLOCKS = ("layers.0.", "layer.0.", "h.0.")
INNER_BLOCKS = ("language_model.model.layers.0.",)
NESTED_BLOCKS = ("model.language_model.layers.0.",)
OTHER_BLOCKS = {
    "gemma3": INNER_BLOCKS,
    "gemma4": NESTED_BLOCKS,
    "mistral3": INNER_BLOCKS,
    "qwen3_5": NESTED_BLOCKS,
    "qwen3_5_moe": NESTED_BLOCKS,
    "qwen3_vl": NESTED_BLOCKS,
    "qwen3_vl_moe": NESTED_BLOCKS,
    "swin": ("layers.0.blocks.0.",),
}


def experts_of(tensors: dict) -> list[str]:
    """Those of experts whose weights are one tensor, by names of their own."""
    fused = [name for name, tensor in tensors.items() if tensor.ndim == 3 and f"{name}_bias" in tensors]
    each = [(name.rsplit(".", 1), len(tensors[name])) for name in fused]
    return [f"{module}.{expert}.{part}" for (module, part), count in each for expert in range(count)]


def biases(directory: pathlib.Path) -> dict:
    stored = json.loads((directory / "config.json").read_text())
    model_type = OTHER_NAMES.get(stored["model_type"], stored["model_type"])
    config = transformers.AutoConfig.for_model(**{**stored, "model_type": model_type})
    fields = FIELDS.get(config.model_type, [])
    for field in fields:
        *sections, last = field.split(".")
        setattr(functools.reduce(getattr, sections, config), last, True)
    with tempfile.TemporaryDirectory() as folder:
        getattr(transformers, config.architectures[0])(config).save_pretrained(folder)
        tensors = load_file(pathlib.Path(folder) / "model.safetensors")
    names = [name.removesuffix(".bias") for name in tensors if name.endswith(".bias")]
    # What chooses experts is never quantized.
    linears = [name for name in names if tensors[f"{name}.weight"].ndim == 2 and not name.endswith(".router")]
    linears += experts_of(tensors)
    blocks = OTHER_BLOCKS.get(config.model_type, BLOCKS)
    first = sorted(name for name in linears if any(f".{block}" in f".{name}" for block in blocks))
    return {"fields": fields, "biases": first}


def main() -> None:
    root = pathlib.Path(__file__).resolve().parents[2] / "test"
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    directories = sorted([*root.glob("models/tiny/*"), *root.glob("vision/tiny/*")])
    found = {directory.name: biases(directory) for directory in directories}
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
