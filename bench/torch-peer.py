"""The peer of `npm run bench`: times torch on the shapes that it is asked for, one JSON object a line each way.

Request: {"op": name, "shape": [...], "dtype": "float32", "seconds": least time of a measurement}; answer:
{"seconds": of one call}. Operands are kept until the next case, so that a pair of measurements differs in nothing
but who computes.  usage: python torch-peer.py <threads>
"""

import json
import sys
import time

import torch
import torch.nn.functional as F

QUERIES, BITS = 512, 8


def positive_definite(n):
    x = torch.randn(2 * n, n)
    return x.T @ x / (2 * n) + 0.01 * torch.eye(n)


def reverse_factor(h):
    """What GPTQ's reference does for the factor of the inverse."""
    return torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)


def fake_quantize(x):
    low, high = x.amin(-1, keepdim=True), x.amax(-1, keepdim=True)
    scale = (high - low) / (2**BITS - 1)
    zero = (-low / scale).round()
    return ((x / scale).round() + zero).clamp(0, 2**BITS - 1).sub(zero).mul(scale)


def attention(tokens, heads, size):
    query, key, value = (torch.randn(tokens // QUERIES, heads, QUERIES, size) for _ in range(3))
    return lambda: F.scaled_dot_product_attention(query, key, value, is_causal=True)


def matmul(dtype, tokens, out, channels):
    x, weight = torch.randn(tokens, channels, dtype=dtype), torch.randn(out, channels, dtype=dtype)
    return lambda: F.linear(x, weight)


def matmul_of_float32(dtype, tokens, out, channels):
    """Takes and gives float32 hidden states, as our products do; the product itself in `dtype`."""
    x, weight = torch.randn(tokens, channels), torch.randn(out, channels, dtype=dtype)
    return lambda: F.linear(x.to(dtype), weight).float()


def second_moment(dtype, tokens, channels):
    x = torch.randn(tokens, channels, dtype=dtype)
    total = torch.zeros(channels, channels, dtype=dtype)
    return lambda: total.add_(x.T @ x)


def elementwise(op, rows, columns):
    x, weight, bias = torch.randn(rows, columns), torch.randn(columns), torch.randn(columns)
    total = torch.zeros(columns, dtype=torch.float64)
    calls = {
        "copy": lambda: x.clone(),
        "add": lambda: x + x,
        "gelu": lambda: F.gelu(x),
        "layer_norm": lambda: F.layer_norm(x, (columns,), weight, bias),
        "rms_norm": lambda: F.rms_norm(x, (columns,), weight),
        "fake_quantize": lambda: fake_quantize(x),
        "channel_sum": lambda: total.add_(x.sum(0, dtype=torch.float64)),
        "softmax": lambda: torch.softmax(x, -1),
    }
    return calls[op]


def prepare(op, shape, dtype):
    """The call to be timed."""
    if op == "matmul":
        return matmul(dtype, *shape)
    if op == "matmul_of_float32":
        return matmul_of_float32(dtype, *shape)
    if op == "second_moment":
        return second_moment(dtype, *shape)
    if op == "factorize":
        h = positive_definite(*shape)
        return lambda: reverse_factor(h)
    if op == "attention":
        return attention(*shape)
    return elementwise(op, *shape)


def seconds_of(call, least):
    calls, begin = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        passed = time.perf_counter() - begin
        if passed >= least:
            return passed / calls


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.set_grad_enabled(False)
    torch.manual_seed(0)
    print(json.dumps({"torch": torch.__version__}), flush=True)
    case, call = None, None
    for line in sys.stdin:
        request = json.loads(line)
        asked = (request["op"], request["shape"], request["dtype"])
        if asked != case:
            call = prepare(asked[0], asked[1], getattr(torch, asked[2]))
            call()
            case = asked
        print(json.dumps({"seconds": seconds_of(call, request["seconds"])}), flush=True)


main()
