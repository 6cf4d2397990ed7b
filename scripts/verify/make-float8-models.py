"""Makes the tiny FP8 checkpoints of test/checkpoint/float8/ and what transformers dequantizes them to.

For every layout: a directory with config.json and model.safetensors, in which the linears of a model of
test/models/tiny/ are float8_e4m3fn beside scales as the layout has them, and golden.safetensors with the weights of the
model that transformers loads from it, dequantized, under the names of the checkpoint. Of another model where one is
given. Run by hand:

    python scripts/verify/make-float8-models.py [output directory [model directory]] && npm run format
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers.utils.quantization_config import CompressedTensorsConfig, FineGrainedFP8Config

LARGEST = torch.finfo(torch.float8_e4m3fn).max


def fp8(**fields) -> dict:
    return dict(quant_method="fp8", fmt="e4m3", activation_scheme="dynamic", **fields)


def groups(format: str, inputs: dict | None = None, **weights) -> dict:
    common = dict(num_bits=8, type="float", symmetric=True, dynamic=False)
    scheme = dict(targets=["Linear"], weights=dict(common, **weights), input_activations=inputs)
    return dict(
        quant_method="compressed-tensors",
        format=format,
        quantization_status="compressed",
        config_groups=dict(group_0=scheme),
        ignore=["lm_head"],
    )


STATIC = dict(num_bits=8, type="float", symmetric=True, dynamic=False, strategy="tensor")
# Layout: the model, its quantization_config, rows and columns of a block (None for all), the scales' name and type.
# Blocks divide the matrices: transformers derives their size from the shape of the scales.
LAYOUTS = {
    "blocks": ("llama", fp8(weight_block_size=[4, 8]), (4, 8), "weight_scale_inv", torch.float32),
    "blocks-bfloat16": ("qwen3", fp8(weight_block_size=[4, 4]), (4, 4), "weight_scale_inv", torch.bfloat16),
    "experts": ("qwen3-moe", fp8(weight_block_size=[8, 8]), (8, 8), "weight_scale_inv", torch.float32),
    "whole": ("llama", fp8(weight_block_size=None), (None, None), "weight_scale_inv", torch.float32),
    "channels": (
        "llama",
        groups("naive-quantized", strategy="channel"),
        (1, None),
        "weight_scale",
        torch.bfloat16,
    ),
    "tensors-static": (
        "llama",
        groups("float-quantized", inputs=STATIC, strategy="tensor"),
        (None, None),
        "weight_scale",
        torch.bfloat16,
    ),
    "groups": (
        "qwen3",
        groups("naive-quantized", strategy="group", group_size=4),
        (1, 4),
        "weight_scale",
        torch.float32,
    ),
}


def quantize(weight: torch.Tensor, block, dtype) -> tuple[torch.Tensor, torch.Tensor]:
    out, columns = weight.shape
    rows, width = block[0] or out, block[1] or columns
    blocks = weight.reshape(out // rows, rows, columns // width, width)
    scales = (blocks.abs().amax((1, 3)) / LARGEST).to(dtype)
    codes = blocks / scales[:, None, :, None].float()
    return codes.clamp(-LARGEST, LARGEST).reshape(out, columns).to(torch.float8_e4m3fn), scales


def is_linear(name: str) -> bool:
    return name.endswith("_proj.weight")


def loaded_weights(directory: pathlib.Path, method: str) -> dict[str, torch.Tensor]:
    kind = FineGrainedFP8Config if method == "fp8" else CompressedTensorsConfig
    model = transformers.AutoModelForCausalLM.from_pretrained(
        directory, quantization_config=kind(dequantize=True)
    )
    weights = {}
    for name, tensor in model.state_dict().items():
        if name.endswith("experts.gate_up_proj"):
            for expert, fused in enumerate(tensor):
                for part, half in zip(("gate_proj", "up_proj"), fused.chunk(2)):
                    weights[name.replace("gate_up_proj", f"{expert}.{part}.weight")] = half
        elif name.endswith("experts.down_proj"):
            for expert, down in enumerate(tensor):
                weights[name.replace("down_proj", f"{expert}.down_proj.weight")] = down
        else:
            weights[name] = tensor
    return {name: tensor.clone().contiguous() for name, tensor in weights.items()}


def make(target: pathlib.Path, source: pathlib.Path, quantization: dict, block, scale_name: str, dtype) -> None:
    tensors = {}
    for name, tensor in load_file(source / "model.safetensors").items():
        if not is_linear(name):
            tensors[name] = tensor.bfloat16()
            continue
        module = name.removesuffix(".weight")
        tensors[name], scales = quantize(tensor, block, dtype)
        if block == (None, None):
            scales = scales.reshape([] if scale_name == "weight_scale_inv" else [1])
        tensors[f"{module}.{scale_name}"] = scales
        scheme = next(iter(quantization.get("config_groups", {}).values()), {})
        if scheme.get("input_activations"):
            tensors[f"{module}.input_scale"] = torch.tensor([0.5], dtype=dtype)
    target.mkdir(parents=True)
    save_file(tensors, target / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((source / "config.json").read_text())
    config |= dict(dtype="bfloat16", quantization_config=quantization)
    (target / "config.json").write_text(json.dumps(config, indent=2))
    for companion in source.glob("tokenizer*.json"):
        shutil.copy(companion, target / companion.name)
    golden = loaded_weights(target, quantization["quant_method"])
    named = {name: golden[name] for name in tensors if name in golden}
    assert all(name in named for name in tensors if name.endswith("weight")), set(tensors) - set(named)
    assert all(tensor.dtype == torch.bfloat16 for tensor in named.values())
    save_file(named, target / "golden.safetensors")


def main() -> None:
    root = pathlib.Path(__file__).resolve().parents[2]
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "test/checkpoint/float8"
    shutil.rmtree(directory, ignore_errors=True)
    transformers.logging.disable_progress_bar()
    given = pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None
    for name, (model, quantization, *how) in LAYOUTS.items():
        make(directory / name, given or root / "test/models/tiny" / model, quantization, *how)
        print(name)


if __name__ == "__main__":
    main()
