"""The reference procedure of the comparison, step by step in float32 torch: what a program does that follows the GPTQ
paper (arXiv 2210.17323) and then the bias compensation paper (arXiv 2404.01892) with forward passes alone.

Per block, samples one at a time: a pass that sums 2/n xxᵀ at every linear; the sweep of each linear; a pass for the
next block's inputs. Then over both models: the float block, the quantized block, and each quantized linear once more
on the float linear's inputs, for the mean of what it loses; a last pass for the block's own mean. Models are OPT.

usage: python procedure.py, one JSON request a line:
{"model": directory, "ids": [[...], ...], "bits": b, "threads": n}; answer: {"gptq": seconds, "bias": seconds}
"""

import copy
import json
import sys
import time

import torch
from transformers import OPTForCausalLM

BLOCK, DAMPING = 128, 0.01


class Sums:
    """2/n Σ xxᵀ of one linear's inputs."""

    def __init__(self, linear):
        self.h = torch.zeros(linear.in_features, linear.in_features)
        self.samples = 0

    def add(self, x):
        x = x.reshape(-1, x.shape[-1]).T
        self.h *= self.samples / (self.samples + 1)
        self.samples += 1
        x = (2 / self.samples) ** 0.5 * x
        self.h += x @ x.T


def grid_of(weight, bits):
    low, high = weight.amin(1).clamp(max=0), weight.amax(1).clamp(min=0)
    scale = (high - low) / (2**bits - 1)
    return scale, torch.round(-low / scale)


def sweep(linear, h, bits):
    """GPTQ of one linear, in place."""
    w = linear.weight.data.clone()
    scale, zero = grid_of(w, bits)
    h.diagonal().add_(DAMPING * h.diagonal().mean())
    factor = torch.linalg.cholesky(torch.cholesky_inverse(torch.linalg.cholesky(h)), upper=True)
    quantized = torch.zeros_like(w)
    columns = w.shape[1]
    for first in range(0, columns, BLOCK):
        last = min(first + BLOCK, columns)
        block, corner = w[:, first:last].clone(), factor[first:last, first:last]
        errors = torch.zeros_like(block)
        for j in range(last - first):
            column = block[:, j]
            code = torch.clamp(torch.round(column / scale) + zero, 0, 2**bits - 1)
            rounded = scale * (code - zero)
            quantized[:, first + j] = rounded
            errors[:, j] = (column - rounded) / corner[j, j]
            block[:, j:] -= errors[:, j : j + 1] @ corner[j : j + 1, j:]
        w[:, last:] -= errors @ factor[first:last, last:]
    linear.weight.data.copy_(quantized)


class Recorder:
    """The last input and output of a linear."""

    def __init__(self, linear):
        self.handle = linear.register_forward_hook(self.record)

    def record(self, _, inputs, output):
        self.input, self.output = inputs[0], output


def linears_of(block):
    return {name: part for name, part in block.named_modules() if isinstance(part, torch.nn.Linear)}


class Caught(Exception):
    pass


def first_inputs(model, ids):
    """What the first block receives, and what else it is called with."""
    states, others = [], {}

    def catch(_, args, kwargs):
        states.append(args[0] if args else kwargs["hidden_states"])
        others.update({key: value for key, value in kwargs.items() if key != "hidden_states"})
        raise Caught

    handle = model.model.decoder.layers[0].register_forward_pre_hook(catch, with_kwargs=True)
    for sample in ids:
        try:
            model(torch.tensor([sample]), use_cache=False)
        except Caught:
            pass
    handle.remove()
    return states, others


def run_block(block, x, others):
    out = block(x, **others)
    return out[0] if isinstance(out, tuple) else out


def apply_gptq(model, states, others, bits):
    for block in model.model.decoder.layers:
        linears = linears_of(block)
        sums = {name: Sums(linear) for name, linear in linears.items()}
        handles = [
            linear.register_forward_hook(lambda _, args, __, own=sums[name]: own.add(args[0]))
            for name, linear in linears.items()
        ]
        for x in states:
            run_block(block, x, others)
        for handle in handles:
            handle.remove()
        for name, linear in linears.items():
            sweep(linear, sums[name].h, bits)
        states = [run_block(block, x, others) for x in states]


def add_bias(linear, bias):
    linear.bias.data.add_(bias)


def apply_bias(float_model, model, states, others):
    pairs = zip(float_model.model.decoder.layers, model.model.decoder.layers)
    for float_block, block in pairs:
        linears = linears_of(block)
        recorders = {name: Recorder(linear) for name, linear in linears_of(float_block).items()}
        bias = {name: torch.zeros(linear.out_features) for name, linear in linears.items()}
        loss, outputs = 0.0, []
        for x in states:
            outputs.append(run_block(float_block, x, others))
            loss += torch.nn.functional.mse_loss(run_block(block, x, others), outputs[-1])
            for name, linear in linears.items():
                recorder = recorders[name]
                difference = recorder.output - linear(recorder.input)
                bias[name] += difference.reshape(-1, linear.out_features).mean(0) / len(states)
                loss += torch.nn.functional.mse_loss(difference, torch.zeros_like(difference))
        for name, linear in linears.items():
            recorders[name].handle.remove()
            add_bias(linear, bias[name])
        own = torch.zeros(outputs[0].shape[-1])
        for x, expected in zip(states, outputs):
            own += (expected - run_block(block, x, others)).mean((0, 1)) / len(states)
        add_bias(linears["fc2"], own)
        states = outputs


def run(request):
    torch.set_num_threads(request["threads"])
    model = OPTForCausalLM.from_pretrained(request["model"], dtype=torch.float32).eval()
    float_model = copy.deepcopy(model)
    states, others = first_inputs(model, request["ids"])
    begin = time.perf_counter()
    apply_gptq(model, states, others, request["bits"])
    middle = time.perf_counter()
    apply_bias(float_model, model, states, others)
    return {"gptq": middle - begin, "bias": time.perf_counter() - middle}


def main():
    torch.set_grad_enabled(False)
    print(json.dumps({"torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)


main()
