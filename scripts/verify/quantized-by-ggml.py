"""Quantizes a model's linears by llama.cpp's own quantizer of a block type, with an importance matrix, for comparison:

    python scripts/verify/quantized-by-ggml.py <model directory> <type, as q4_K> <calibration text> <out> [<samples> [<length>]]

`out` is a checkpoint of dequantized float32 weights, which `ballast evaluate` and scripts/verify/perplexity.py read. The importance of
a channel is the mean of its squares over windows at random places of the text, as llama.cpp's imatrix tool gathers it. The library is
that of node-llama-cpp (`npm run clients`).
"""

import ctypes
import pathlib
import sys

import torch
from perplexity import load
from tokenizers import Tokenizer

CLIENTS = pathlib.Path(__file__).resolve().parents[2] / "build/clients/node_modules/@node-llama-cpp"
TYPES = {"q4_0": 2, "q4_1": 3, "q5_0": 6, "q5_1": 7, "q8_0": 8, "q2_K": 10, "q3_K": 11, "q4_K": 12, "q5_K": 13, "q6_K": 14}
FLOATS = ctypes.POINTER(ctypes.c_float)


def library() -> ctypes.CDLL:
    ggml = ctypes.CDLL(next(CLIENTS.glob("linux-x64/bins/*/libggml-base.so")))
    ggml.ggml_quantize_chunk.restype = ctypes.c_size_t
    ggml.ggml_quantize_chunk.argtypes = [ctypes.c_int, FLOATS, ctypes.c_void_p, *[ctypes.c_int64] * 3, FLOATS]
    return ggml


def floats(tensor: torch.Tensor):
    return ctypes.cast(tensor.data_ptr(), FLOATS)


def through_ggml(ggml: ctypes.CDLL, name: str, weight: torch.Tensor, importance: torch.Tensor) -> torch.Tensor:
    rows, columns = weight.shape
    weight, importance = weight.contiguous(), importance.contiguous()
    blocks = ctypes.create_string_buffer(4 * rows * columns)
    ggml.ggml_quantize_chunk(TYPES[name], floats(weight), blocks, 0, rows, columns, floats(importance))
    out = torch.empty_like(weight)
    dequantize = getattr(ggml, f"dequantize_row_{name}")
    dequantize.argtypes = [ctypes.c_void_p, FLOATS, ctypes.c_int64]
    dequantize.restype = None
    dequantize(blocks, floats(out), rows * columns)
    return out


def windows(directory: str, text: str, samples: int, length: int) -> torch.Tensor:
    tokenizer = Tokenizer.from_file(str(pathlib.Path(directory) / "tokenizer.json"))
    ids = torch.tensor(tokenizer.encode(pathlib.Path(text).read_text(encoding="utf-8"), add_special_tokens=False).ids)
    starts = torch.randint(len(ids) - length, (samples,), generator=torch.Generator().manual_seed(0))
    return torch.stack([ids[start : start + length] for start in starts])


def main() -> None:
    directory, name, text, out, *rest = sys.argv[1:]
    samples, length = int((rest + ["64"])[0]), int((rest + ["64", "512"][len(rest) :])[1])
    model = load(directory)
    linears = {key: module for key, module in model.named_modules() if isinstance(module, torch.nn.Linear) and "lm_head" not in key}
    squares = {key: torch.zeros(module.in_features, dtype=torch.float64) for key, module in linears.items()}

    def hook(key: str):
        def add(_module, inputs) -> None:
            squares[key] += inputs[0].double().flatten(0, -2).square().sum(0)

        return add

    handles = [module.register_forward_pre_hook(hook(key)) for key, module in linears.items()]
    with torch.no_grad():
        for batch in windows(directory, text, samples, length).split(8):
            model(batch)
        for handle in handles:
            handle.remove()
        ggml = library()
        for key, module in linears.items():
            importance = (squares[key] / (samples * length)).float()
            module.weight.copy_(through_ggml(ggml, name, module.weight, importance))
    model.save_pretrained(out)
    for companion in pathlib.Path(directory).glob("tokenizer*"):
        (pathlib.Path(out) / companion.name).write_bytes(companion.read_bytes())


if __name__ == "__main__":
    main()
