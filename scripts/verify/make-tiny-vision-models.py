"""Makes the tiny random image classifiers of test/vision/tiny/ and what transformers computes with them.

For every variant a directory that `save_pretrained` wrote (config.json, model.safetensors in float32) and
golden.safetensors with `pixels` [3, channels, height, width], `logits` [3, classes] and, for a loss of random
weights on the logits, `gradient.logits`, `gradient.<block>.input` and `gradient.<block>.<linear>` (its output; rows in the order of
theirs in lib/models), float32. Every parameter is drawn
anew, norms, biases and learned tokens too. Fixed seed; run by hand:

    python scripts/verify/make-tiny-vision-models.py && npm run format
"""

import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file
from transformers.models.swin.modeling_swin import window_reverse

SIZES = dict(
    image_size=12,
    patch_size=4,
    num_channels=3,
    hidden_size=24,
    intermediate_size=40,
    num_hidden_layers=2,
    num_attention_heads=3,
    num_labels=7,
)

SWIN_SIZES = dict(
    image_size=16,
    patch_size=2,
    num_channels=3,
    embed_dim=16,
    depths=[2, 1],
    num_heads=[2, 4],
    window_size=4,
    mlp_ratio=2.0,
    num_labels=7,
)


def linear_name(key: str, swin: bool) -> str:
    """How checkpoints call what transformers calls otherwise in memory."""
    attention = "attention.self" if swin else "attention.attention"
    return {
        "attention.q_proj": f"{attention}.query",
        "attention.k_proj": f"{attention}.key",
        "attention.v_proj": f"{attention}.value",
        "attention.o_proj": "attention.output.dense",
        "mlp.fc1": "intermediate.dense",
        "mlp.fc2": "output.dense",
    }.get(key, key)


def blocks_of(model: torch.nn.Module) -> list[torch.nn.Module]:
    """In order of execution; a merging of patches is one too."""
    base = model.base_model
    if not hasattr(base, "encoder"):
        return list(base.layers)
    stages = base.encoder.layers
    return [block for stage in stages for block in [*stage.blocks, stage.downsample] if block is not None]


def in_image_order(layer: torch.nn.Module, windows: torch.Tensor) -> torch.Tensor:
    """Rows of windows as the rows of tokens that they are."""
    side = layer.input_resolution[0]
    size = layer.window_size
    grid = window_reverse(windows.view(-1, size, size, windows.shape[-1]), size, side, side)
    return layer.cyclic_shift(grid, reverse=True)

VARIANTS = {
    "vit": ("ViTForImageClassification", "ViTConfig", SIZES),
    "vit-no-qkv-bias-one-channel": (
        "ViTForImageClassification",
        "ViTConfig",
        dict(SIZES, num_channels=1, qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-2),
    ),
    "deit": ("DeiTForImageClassification", "DeiTConfig", SIZES),
    "deit-distilled": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", SIZES),
    "swin": ("SwinForImageClassification", "SwinConfig", SWIN_SIZES),
    "swin-positions-three-stages": (
        "SwinForImageClassification",
        "SwinConfig",
        dict(
            SWIN_SIZES,
            image_size=24,
            num_channels=1,
            embed_dim=8,
            depths=[1, 2, 1],
            num_heads=[1, 2, 4],
            window_size=3,
            mlp_ratio=1.5,
            qkv_bias=False,
            hidden_act="gelu_new",
            use_absolute_embeddings=True,
            layer_norm_eps=1e-2,
        ),
    ),
}


def make(directory: pathlib.Path, name: str, model_class: str, config_class: str, sizes: dict, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    config = getattr(transformers, config_class)(**sizes)
    model = getattr(transformers, model_class)(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            scale = 0.3 if parameter.ndim > 1 else 0.2
            parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
        for key, parameter in model.named_parameters():
            if "norm" in key and key.endswith("weight"):
                parameter.add_(1)
    size = (3, config.num_channels, config.image_size, config.image_size)
    pixels = torch.randn(size, generator=generator)
    kept: dict[str, torch.Tensor] = {}

    def keep(key: str):
        def hook(_module, inputs, output):
            kept[key] = output
            output.retain_grad()

        return hook

    def keep_input(key: str):
        def hook(_module, inputs):
            kept[key] = inputs[0]
            inputs[0].retain_grad()

        return hook

    swin = config.model_type == "swin"
    blocks = blocks_of(model)
    for index, layer in enumerate(blocks):
        layer.register_forward_pre_hook(keep_input(f"{index}.input"))
        for key, module in layer.named_modules():
            if isinstance(module, torch.nn.Linear):
                module.register_forward_hook(keep(f"{index}.{linear_name(key, swin)}"))
    logits = model(pixel_values=pixels).logits
    weights = torch.randn(logits.shape, generator=generator)
    (logits * weights).sum().backward()
    golden = {"pixels": pixels, "logits": logits.detach(), "gradient.logits": weights}
    for key, value in kept.items():
        index, linear = key.split(".", 1)
        reorders = swin and linear == "attention.output.dense"
        gradient = in_image_order(blocks[int(index)], value.grad) if reorders else value.grad
        golden[f"gradient.{key}"] = gradient.clone(memory_format=torch.contiguous_format)
    target = directory / name
    model.save_pretrained(target)
    save_file(golden, target / "golden.safetensors")
    return logits.abs().max().item()


def main() -> None:
    directory = pathlib.Path(__file__).resolve().parents[2] / "test/vision/tiny"
    shutil.rmtree(directory, ignore_errors=True)
    transformers.logging.disable_progress_bar()
    for seed, (name, (model_class, config_class, sizes)) in enumerate(VARIANTS.items()):
        largest = make(directory, name, model_class, config_class, sizes, seed)
        print(f"{name}: largest logit {largest:.2f}")


if __name__ == "__main__":
    main()
