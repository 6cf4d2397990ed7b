"""The peer of rates.mjs: the same products, attention and copies through torch (cuBLAS), in the same units.

Run right after it on the same GPU, and compare ratios. Without torch or a GPU it says so and ends well.
"""

import sys

try:
    import torch
except ImportError:
    sys.exit(print("torch-rates: this Python has no torch") or 0)
if not torch.cuda.is_available():
    sys.exit(print("torch-rates: torch sees no GPU") or 0)

RUNS = 20


def seconds(call):
    """Median seconds of one call, by events."""
    times = []
    for _ in range(3):
        call()
    for _ in range(RUNS):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return sorted(times)[RUNS // 2]


def attention(dtype):
    """TFLOP/s as rates.mjs counts them, keys and values repeated for the heads that share them."""
    batch, sequence, heads, size = 8, 2048, 32, 128
    q, k, v = (torch.randn(batch, heads, sequence, size, device="cuda", dtype=dtype) for _ in range(3))
    attend = torch.nn.functional.scaled_dot_product_attention
    return 2e-12 * batch * heads * size * sequence**2 / seconds(lambda: attend(q, k, v, is_causal=True))


def main():
    print(torch.cuda.get_device_name(0), "torch", torch.__version__)
    for dtype, tf32 in ((torch.bfloat16, False), (torch.float32, False)):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        print(f"{dtype} products: TFLOP/s")
        for tokens, out, channels in ((8192, 8192, 8192), (16384, 4096, 4096), (16384, 14336, 4096)):
            x = torch.randn(tokens, channels, device="cuda", dtype=dtype)
            weight = torch.randn(out, channels, device="cuda", dtype=dtype)
            matmul = 2e-12 * tokens * out * channels / seconds(lambda: x @ weight.T)
            moment = 2e-12 * tokens * channels * channels / seconds(lambda: x.T @ x)
            print(f"  [{tokens}] x [{out}, {channels}]  matmul {matmul:7.1f}  full product of a moment {moment:7.1f}")
    for dtype in (torch.bfloat16, torch.float32):
        print(f"{dtype} attention, causal: TFLOP/s  {attention(dtype):7.1f}")
    x = torch.randn(16384, 4096, device="cuda")
    out = torch.empty_like(x)
    print(f"copy: {2 * x.numel() * 4e-9 / seconds(lambda: out.copy_(x)):.0f} GB/s")


main()
