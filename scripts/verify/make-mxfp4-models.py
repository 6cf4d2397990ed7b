"""Makes the tiny MXFP4 checkpoint of test/checkpoint/mxfp4/ and what transformers dequantizes it to.

A gpt-oss of one block: config.json and model.safetensors, in which experts are float4_e2m1 in blocks of 32 beside scales
of float8_e8m0fnu, as openai/gpt-oss-20b has them, and golden.safetensors with the weights of the model that transformers
loads from it, dequantized. A few scales are made extreme, since a product with any of them is exact. Run by hand:

    python scripts/verify/make-mxfp4-models.py [output directory] && npm run format
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import save_file

MAGNITUDES = torch.tensor([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0])
BLOCK = 32
SIZES = dict(
    vocab_size=300,
    tie_word_embeddings=True,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=1,
    num_attention_heads=4,
    num_key_value_heads=2,
    head_dim=12,
    max_position_embeddings=64,
    num_local_experts=3,
    num_experts_per_tok=2,
    sliding_window=6,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)
QUANTIZATION = dict(
    quant_method="mxfp4",
    modules_to_not_convert=["model.layers.*.self_attn", "model.layers.*.mlp.router", "lm_head"],
)


def quantize(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """[experts, in, out] → blocks [experts, out, groups, 16] and scales [experts, out, groups]."""
    turned = weight.float().transpose(1, 2)
    blocks = turned.unflatten(-1, (-1, BLOCK))
    exponent = torch.floor(torch.log2(blocks.abs().amax(-1) / MAGNITUDES[-1])) + 1
    scaled = blocks / torch.exp2(exponent)[..., None]
    codes = (scaled.abs()[..., None] - MAGNITUDES).abs().argmin(-1) + 8 * (scaled < 0)
    scales = exponent + 127
    scales[0, 0, 0], scales[0, 1, 0], scales[0, 2, 0] = 0, 1, 240
    return (codes[..., ::2] + 16 * codes[..., 1::2]).to(torch.uint8), scales.to(torch.uint8)


def main() -> None:
    root = pathlib.Path(__file__).resolve().parents[2]
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "test/checkpoint/mxfp4"
    shutil.rmtree(directory, ignore_errors=True)
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    config = transformers.GptOssConfig(**SIZES)
    model = transformers.AutoModelForCausalLM.from_config(config)
    tensors = {}
    for name, tensor in model.named_parameters():
        noise = torch.randn(tensor.shape) * 0.1
        if name.endswith(("gate_up_proj", "down_proj")):
            tensors[f"{name}_blocks"], tensors[f"{name}_scales"] = quantize(noise)
        else:
            tensors[name] = (tensor.detach() + noise).bfloat16()
    directory.mkdir(parents=True)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})
    fields = config.to_dict() | dict(
        architectures=["GptOssForCausalLM"], dtype="bfloat16", quantization_config=QUANTIZATION
    )
    (directory / "config.json").write_text(json.dumps(fields, indent=2))
    kind = transformers.Mxfp4Config(dequantize=True)
    loaded = transformers.AutoModelForCausalLM.from_pretrained(directory, quantization_config=kind)
    golden = {name: tensor.detach().clone() for name, tensor in loaded.named_parameters()}
    expected = {name.removesuffix("_blocks") for name in tensors if not name.endswith("_scales")}
    assert set(golden) == expected, set(golden) ^ expected
    assert all(tensor.dtype == torch.bfloat16 for tensor in golden.values())
    save_file(golden, directory / "golden.safetensors")


if __name__ == "__main__":
    main()
