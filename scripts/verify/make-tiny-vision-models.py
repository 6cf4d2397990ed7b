"""Makes the tiny random image classifiers of test/vision/tiny/ and what transformers computes with them.

For every variant a directory that `save_pretrained` wrote (config.json, model.safetensors in float32) and
golden.safetensors with `pixels` [3, channels, height, width] and `logits` [3, classes] float32. Every parameter is drawn
anew, norms, biases and learned tokens too. Fixed seed; run by hand:

    python scripts/verify/make-tiny-vision-models.py && npm run format
"""

import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file

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

VARIANTS = {
    "vit": ("ViTForImageClassification", "ViTConfig", SIZES),
    "vit-no-qkv-bias-one-channel": (
        "ViTForImageClassification",
        "ViTConfig",
        dict(SIZES, num_channels=1, qkv_bias=False, hidden_act="gelu_new", layer_norm_eps=1e-2),
    ),
    "deit": ("DeiTForImageClassification", "DeiTConfig", SIZES),
    "deit-distilled": ("DeiTForImageClassificationWithTeacher", "DeiTConfig", SIZES),
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
    with torch.no_grad():
        logits = model(pixel_values=pixels).logits
    target = directory / name
    model.save_pretrained(target)
    save_file({"pixels": pixels, "logits": logits}, target / "golden.safetensors")
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
