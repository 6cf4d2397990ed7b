"""Makes the tiny random checkpoints of test/models/tiny/ and what transformers computes with them.

For every variant of every architecture: a directory that `save_pretrained` wrote (config.json, model.safetensors in
float32) and golden.safetensors with `ids` [2, 24] int32 and `logits` [2, 24, vocabulary] float32. Every parameter is
drawn anew, norms and biases too, so that nothing that a model forgets to read stays unnoticed. Seeds go by
the order of the list, so new variants are its last. A mixture of experts is drawn again until no token's choice is
close, one with linear attention until rounding hardly shows. Run by hand:

    python scripts/verify/make-tiny-models.py [output directory] && npm run format
"""

import json
import pathlib
import shutil
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

VOCABULARY, SEQUENCE, BATCH = 96, 24, 2

# Sizes that a wrong order of axes cannot survive: heads · head size differs from the hidden size where it may.
GATED = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=56,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    max_position_embeddings=64,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)
LLAMA3 = dict(
    rope_type="llama3",
    rope_theta=500.0,
    factor=8.0,
    low_freq_factor=1.0,
    high_freq_factor=4.0,
    original_max_position_embeddings=32,
)
# Sequences of the tests are longer than this, so that a choice by length shows.
CONTEXT = dict(original_max_position_embeddings=16)
LONGROPE = dict(
    rope_type="longrope",
    rope_theta=500.0,
    short_factor=[1.0, 1.1, 1.5, 2.0],
    long_factor=[1.2, 2.0, 3.0, 5.0],
    **CONTEXT,
)
OPT = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    ffn_dim=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=64,
)
BLOOM = dict(vocab_size=VOCABULARY, hidden_size=24, n_layer=2)
GPT2 = dict(
    vocab_size=VOCABULARY,
    n_embd=32,
    n_layer=2,
    n_head=4,
    n_positions=64,
    n_inner=40,
    bos_token_id=None,
    eos_token_id=None,
)
NEOX = dict(
    vocab_size=VOCABULARY,
    hidden_size=32,
    intermediate_size=56,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=64,
)
PHI = dict(GATED, num_attention_heads=2, num_key_value_heads=2)
GRANITE = dict(
    embedding_multiplier=3.0,
    attention_multiplier=0.2,
    residual_multiplier=0.4,
    logits_scaling=2.0,
)
GEMMA3 = dict(GATED, head_dim=12, sliding_window=6, query_pre_attn_scalar=20)
# What encodes images beside a language model, as small as can be.
ENCODER = dict(
    hidden_size=8,
    intermediate_size=8,
    num_hidden_layers=1,
    num_attention_heads=2,
    image_size=8,
    patch_size=4,
)
SIGLIP = dict(ENCODER, vision_use_head=False)
PIXTRAL = dict(ENCODER, model_type="pixtral", head_dim=4)
# Queries of two thirds of the tests' positions are multiplied.
MINISTRAL3 = dict(
    GATED,
    head_dim=12,
    rope_parameters=dict(
        rope_type="yarn",
        rope_theta=100.0,
        factor=8.0,
        mscale=1.0,
        mscale_all_dim=1.0,
        original_max_position_embeddings=8,
        llama_4_scaling_beta=0.5,
    ),
)
# Three quarters of heads of 8 channels turn.
PHI3_LONGROPE = dict(
    GATED,
    original_max_position_embeddings=16,
    rope_parameters=dict(
        rope_type="longrope",
        rope_theta=500.0,
        partial_rotary_factor=0.75,
        short_factor=[1.0, 1.2, 1.7],
        long_factor=[1.3, 2.0, 4.0],
    ),
)

STABLELM_ROPE = dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.5)
QWEN_ENCODER = dict(
    depth=1, num_heads=2, intermediate_size=8, patch_size=4, spatial_merge_size=1, temporal_patch_size=1
)
QWEN25_ENCODER = dict(QWEN_ENCODER, hidden_size=8, out_hidden_size=32, fullatt_block_indexes=[0])
MROPE = dict(rope_type="default", rope_theta=500.0, mrope_section=[1, 1, 2])
# Two thirds of heads of 12 channels turn, in pairs of neighbours.
GLM_ROPE = dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=2 / 3)
# Gates and what they multiply reach the limit.
GPT_OSS = dict(
    GATED,
    intermediate_size=24,
    head_dim=12,
    num_local_experts=4,
    num_experts_per_tok=2,
    sliding_window=6,
    swiglu_limit=1.0,
    rope_parameters=dict(
        rope_type="yarn",
        rope_theta=500.0,
        factor=4.0,
        beta_fast=4.0,
        beta_slow=1.0,
        truncate=False,
        **CONTEXT,
    ),
)
# Linear attention in one block of three; half of each head turns in the others.
HYBRID = dict(
    GATED,
    num_hidden_layers=3,
    head_dim=16,
    layer_types=["full_attention", "linear_attention", "full_attention"],
    linear_num_key_heads=2,
    linear_num_value_heads=4,
    linear_key_head_dim=6,
    linear_value_head_dim=10,
    linear_conv_kernel_dim=3,
)
HYBRID_ROPE = dict(rope_type="default", rope_theta=500.0, partial_rotary_factor=0.5)
# Experts are narrower than dense blocks, where there are some.
MIXTURE = dict(GATED, moe_intermediate_size=24, num_experts_per_tok=2)
# Latent attention, with experts after a dense block; every width is another one, even where numbers are read in pairs.
LATENT = dict(
    MIXTURE,
    num_hidden_layers=3,
    num_key_value_heads=4,
    q_lora_rank=40,
    kv_lora_rank=16,
    qk_nope_head_dim=8,
    qk_rope_head_dim=6,
    v_head_dim=10,
    n_routed_experts=4,
    n_shared_experts=1,
    first_k_dense_replace=1,
)
GROUPS = dict(n_routed_experts=12, num_experts_per_tok=3, n_group=4, topk_group=2)
NO_GROUPS = dict(n_group=1, topk_group=1)
LATENT_YARN = dict(rope_type="yarn", rope_theta=100.0, factor=4.0, **CONTEXT)
# Blocks that see all tokens have larger heads, fewer of keys, and no values of their own.
GEMMA4 = dict(
    GATED,
    num_hidden_layers=3,
    head_dim=12,
    global_head_dim=16,
    num_global_key_value_heads=1,
    attention_k_eq_v=True,
    hidden_size_per_layer_input=0,
    sliding_window=6,
    layer_types=["sliding_attention", "full_attention", "full_attention"],
    final_logit_softcapping=5.0,
)
HYBRID_MIXTURE = dict(
    {name: value for name, value in {**MIXTURE, **HYBRID}.items() if name != "intermediate_size"},
    rope_parameters=HYBRID_ROPE,
    num_experts=4,
    shared_expert_intermediate_size=40,
)

VARIANTS = {
    "llama": ("Llama", dict(GATED, rope_parameters=dict(rope_type="default", rope_theta=10000.0))),
    "llama-biases-llama3": (
        "Llama",
        dict(GATED, attention_bias=True, mlp_bias=True, head_dim=12, rope_parameters=LLAMA3),
    ),
    "llama-tied-linear": (
        "Llama",
        dict(
            GATED,
            num_key_value_heads=4,
            tie_word_embeddings=True,
            rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=4.0),
        ),
    ),
    "mistral-window": ("Mistral", dict(GATED, sliding_window=7)),
    "qwen2": ("Qwen2", dict(GATED, tie_word_embeddings=True)),
    "qwen2-window": (
        "Qwen2",
        dict(GATED, use_sliding_window=True, sliding_window=5, max_window_layers=1),
    ),
    "qwen3": ("Qwen3", dict(GATED, head_dim=12)),
    "qwen3-biases": ("Qwen3", dict(GATED, head_dim=12, attention_bias=True)),
    "gemma2": (
        "Gemma2",
        dict(GATED, head_dim=12, sliding_window=6, query_pre_attn_scalar=20),
    ),
    "bloom": ("Bloom", dict(BLOOM, n_head=8)),
    "bloom-post-norm-6-heads": (
        "Bloom",
        dict(BLOOM, n_head=6, apply_residual_connection_post_layernorm=True),
    ),
    "gpt2": ("GPT2", GPT2),
    "gpt2-scaled": ("GPT2", dict(GPT2, scale_attn_by_inverse_layer_idx=True)),
    "gpt-neox": ("GPTNeoX", dict(NEOX)),
    "gpt-neox-sequential": (
        "GPTNeoX",
        dict(NEOX, use_parallel_residual=False, attention_bias=False, rotary_pct=0.5),
    ),
    "phi": ("Phi", dict(PHI, partial_rotary_factor=0.5)),
    "opt-pre-norm": ("OPT", dict(OPT, do_layer_norm_before=True, word_embed_proj_dim=32)),
    "opt-post-norm-projected": (
        "OPT",
        dict(OPT, do_layer_norm_before=False, word_embed_proj_dim=20, enable_bias=True),
    ),
    "llama-longrope": ("Llama", dict(GATED, rope_parameters=LONGROPE)),
    "qwen2-yarn": (
        "Qwen2",
        dict(
            GATED,
            head_dim=16,
            rope_parameters=dict(rope_type="yarn", rope_theta=100.0, factor=4.0, **CONTEXT),
        ),
    ),
    "qwen3-yarn-scales": (
        "Qwen3",
        dict(
            GATED,
            head_dim=16,
            rope_parameters=dict(
                rope_type="yarn",
                rope_theta=100.0,
                factor=4.0,
                beta_fast=4.0,
                beta_slow=0.5,
                mscale=1.5,
                mscale_all_dim=0.5,
                truncate=False,
                **CONTEXT,
            ),
        ),
    ),
    "phi3": ("Phi3", dict(GATED, sliding_window=7, original_max_position_embeddings=64)),
    "phi3-longrope-tied": ("Phi3", dict(PHI3_LONGROPE, tie_word_embeddings=True)),
    # The sequences of the tests are within the original context.
    "phi3-longrope-short": ("Phi3", dict(PHI3_LONGROPE, original_max_position_embeddings=32)),
    "gemma3-text": ("Gemma3Text", dict(GEMMA3, sliding_window_pattern=2)),
    "gemma3-text-biases-linear": (
        "Gemma3Text",
        dict(
            GEMMA3,
            attention_bias=True,
            final_logit_softcapping=5.0,
            layer_types=["full_attention", "sliding_attention"],
            rope_parameters=dict(
                full_attention=dict(rope_type="linear", rope_theta=500.0, factor=8.0),
                sliding_attention=dict(rope_type="default", rope_theta=100.0),
            ),
        ),
    ),
    "gemma3": (
        "Gemma3",
        dict(
            text_config=dict(GEMMA3, sliding_window_pattern=2),
            vision_config=SIGLIP,
            mm_tokens_per_image=4,
            image_token_index=VOCABULARY - 1,
        ),
    ),
    "olmo2": ("Olmo2", GATED),
    "olmo2-biases-yarn": (
        "Olmo2",
        dict(
            GATED,
            attention_bias=True,
            rope_parameters=dict(rope_type="yarn", rope_theta=100.0, factor=4.0, **CONTEXT),
        ),
    ),
    "olmo3": (
        "Olmo3",
        dict(
            GATED,
            sliding_window=6,
            layer_types=["full_attention", "sliding_attention"],
            rope_parameters=dict(
                full_attention=dict(rope_type="yarn", rope_theta=500_000.0, factor=4.0, **CONTEXT),
                sliding_attention=dict(rope_type="default", rope_theta=500_000.0),
            ),
        ),
    ),
    "granite": ("Granite", dict(GATED, **GRANITE)),
    "granite-biases-tied": (
        "Granite",
        dict(
            GATED, **GRANITE, attention_bias=True, mlp_bias=True, tie_word_embeddings=True
        ),
    ),
    "mistral3": (
        "Mistral3",
        dict(
            text_config=dict(
                GATED, model_type="mistral", head_dim=12, sliding_window=None, rms_norm_eps=1e-5
            ),
            vision_config=PIXTRAL,
            image_token_index=VOCABULARY - 1,
            tie_word_embeddings=False,
        ),
    ),
    "gemma": ("Gemma", dict(GATED, head_dim=12, hidden_act="gelu")),
    "smollm3": ("SmolLM3", dict(GATED, no_rope_layer_interval=2)),
    "smollm3-biases-window": (
        "SmolLM3",
        dict(
            GATED,
            no_rope_layers=[0, 1],
            use_sliding_window=True,
            sliding_window=6,
            attention_bias=True,
            mlp_bias=True,
            tie_word_embeddings=False,
        ),
    ),
    "ministral3": ("Ministral3", MINISTRAL3),
    "mistral3-ministral3-tied": (
        "Mistral3",
        dict(
            text_config=dict(MINISTRAL3, model_type="ministral3", tie_word_embeddings=True),
            vision_config=PIXTRAL,
            image_token_index=VOCABULARY - 1,
        ),
    ),
    "ministral": (
        "Ministral",
        dict(
            GATED,
            head_dim=12,
            sliding_window=6,
            layer_types=["full_attention", "sliding_attention"],
        ),
    ),
    "starcoder2-window": ("Starcoder2", dict(GATED, sliding_window=6, hidden_act="gelu_pytorch_tanh")),
    "starcoder2-untied-no-biases": (
        "Starcoder2",
        dict(
            GATED,
            use_bias=False,
            tie_word_embeddings=False,
            hidden_act="gelu_pytorch_tanh",
            rope_parameters=dict(rope_type="linear", rope_theta=100.0, factor=4.0),
        ),
    ),
    "gpt-bigcode": ("GPTBigCode", GPT2),
    "gpt-bigcode-heads": ("GPTBigCode", dict(GPT2, multi_query=False, scale_attn_weights=False)),
    "glm": ("Glm", dict(GATED, head_dim=12, rope_parameters=GLM_ROPE)),
    "glm4-no-biases": ("Glm4", dict(GATED, head_dim=12, attention_bias=False, rope_parameters=GLM_ROPE)),
    "ernie4-5": ("Ernie4_5", dict(GATED, head_dim=12, use_bias=True)),
    "seed-oss": ("SeedOss", dict(GATED, head_dim=12)),
    "seed-oss-biases-tied": (
        "SeedOss",
        dict(GATED, head_dim=12, attention_out_bias=True, mlp_bias=True, tie_word_embeddings=True),
    ),
    "qwen2-vl": (
        "Qwen2VL",
        dict(
            text_config=dict(GATED, rope_parameters=MROPE),
            vision_config=dict(QWEN_ENCODER, embed_dim=8, hidden_size=32),
            tie_word_embeddings=True,
        ),
    ),
    "qwen2-5-vl-window": (
        "Qwen2_5_VL",
        dict(
            text_config=dict(
                GATED,
                use_sliding_window=True,
                sliding_window=5,
                max_window_layers=1,
                rope_parameters=MROPE,
            ),
            vision_config=QWEN25_ENCODER,
        ),
    ),
    "qwen3-vl": (
        "Qwen3VL",
        dict(
            text_config=dict(
                GATED,
                head_dim=12,
                attention_bias=True,
                rope_parameters=dict(MROPE, mrope_section=[2, 2, 2], mrope_interleaved=True),
            ),
            vision_config=dict(
                QWEN_ENCODER,
                hidden_size=8,
                out_hidden_size=32,
                num_position_embeddings=16,
                deepstack_visual_indexes=[0],
            ),
        ),
    ),
    "qwen2-5-vl": (
        "Qwen2_5_VL",
        dict(
            text_config=dict(GATED, rope_parameters=MROPE),
            vision_config=QWEN25_ENCODER,
        ),
    ),
    "stablelm": ("StableLm", dict(GATED, use_qkv_bias=True, rope_parameters=STABLELM_ROPE)),
    "stablelm-parallel": (
        "StableLm",
        dict(
            GATED,
            use_parallel_residual=True,
            tie_word_embeddings=True,
            rope_parameters=STABLELM_ROPE,
        ),
    ),
    "cohere": ("Cohere", dict(GATED, logit_scale=0.25)),
    "cohere2-biases": (
        "Cohere2",
        dict(
            GATED,
            attention_bias=True,
            sliding_window=6,
            layer_types=["sliding_attention", "full_attention"],
        ),
    ),
    "exaone4": (
        "Exaone4",
        dict(GATED, head_dim=12, sliding_window=None, layer_types=["full_attention"] * 2),
    ),
    "exaone4-window": (
        "Exaone4",
        dict(GATED, head_dim=12, sliding_window=6, sliding_window_pattern=2),
    ),
    "helium": ("Helium", dict(GATED, head_dim=8, attention_bias=True, mlp_bias=True)),
    "mixtral": (
        "Mixtral",
        dict(GATED, intermediate_size=24, num_local_experts=4, num_experts_per_tok=2, sliding_window=None),
    ),
    "qwen2-moe": (
        "Qwen2Moe",
        dict(
            MIXTURE,
            num_hidden_layers=3,
            num_experts=4,
            shared_expert_intermediate_size=40,
            norm_topk_prob=False,
            decoder_sparse_step=1,
            mlp_only_layers=[0],
            qkv_bias=True,
        ),
    ),
    "qwen3-moe": (
        "Qwen3Moe",
        dict(
            MIXTURE,
            num_hidden_layers=4,
            head_dim=12,
            num_experts=8,
            num_experts_per_tok=3,
            norm_topk_prob=True,
            decoder_sparse_step=2,
        ),
    ),
    "olmoe": (
        "Olmoe",
        dict(GATED, intermediate_size=24, num_experts=4, num_experts_per_tok=2, norm_topk_prob=False),
    ),
    "glm4-moe": (
        "Glm4Moe",
        dict(
            MIXTURE,
            num_hidden_layers=3,
            head_dim=12,
            attention_bias=True,
            use_qk_norm=True,
            n_routed_experts=4,
            n_shared_experts=1,
            n_group=1,
            topk_group=1,
            routed_scaling_factor=1.5,
            norm_topk_prob=True,
            first_k_dense_replace=1,
            rope_parameters=dict(rope_type="default", rope_theta=10000.0, partial_rotary_factor=0.5),
        ),
    ),
    "ernie4-5-moe": (
        "Ernie4_5_Moe",
        dict(
            {name: value for name, value in MIXTURE.items() if name != "num_experts_per_tok"},
            num_hidden_layers=3,
            moe_num_experts=4,
            moe_k=2,
            moe_num_shared_experts=1,
            moe_layer_start_index=1,
        ),
    ),
    "dots1": (
        "Dots1",
        dict(
            MIXTURE,
            num_hidden_layers=3,
            head_dim=12,
            n_routed_experts=4,
            n_shared_experts=2,
            n_group=1,
            topk_group=1,
            routed_scaling_factor=2.5,
            norm_topk_prob=True,
            first_k_dense_replace=1,
            sliding_window=None,
        ),
    ),
    "deepseek-v2": (
        "DeepseekV2",
        dict(
            LATENT,
            q_lora_rank=None,
            n_shared_experts=2,
            routed_scaling_factor=1.5,
            rope_parameters=dict(LATENT_YARN, mscale=0.707, mscale_all_dim=0.707),
        ),
    ),
    "deepseek-v2-groups-biases": (
        "DeepseekV2",
        dict(LATENT, **GROUPS, topk_method="group_limited_greedy", attention_bias=True),
    ),
    # Norms of latents keep an epsilon of their own.
    "deepseek-v3": (
        "DeepseekV3",
        dict(
            LATENT,
            **GROUPS,
            attention_bias=True,
            rms_norm_eps=1e-2,
            rope_parameters=dict(LATENT_YARN, mscale=1.5, mscale_all_dim=1.0),
        ),
    ),
    # Values have larger heads than queries and keys.
    "deepseek-v3-halves": (
        "DeepseekV3",
        dict(
            LATENT,
            **NO_GROUPS,
            q_lora_rank=None,
            v_head_dim=16,
            rope_interleave=False,
            norm_topk_prob=False,
            rope_parameters=dict(rope_type="linear", rope_theta=500.0, factor=4.0, mscale_all_dim=1.5),
        ),
    ),
    "glm4-moe-lite": (
        "Glm4MoeLite",
        dict(LATENT, **NO_GROUPS, mlp_layer_types=["sparse", "dense", "sparse"]),
    ),
    "glm4-moe-lite-groups": ("Glm4MoeLite", dict(LATENT, **GROUPS, rope_interleave=False)),
    "qwen3-next": (
        "Qwen3Next",
        dict(
            {**MIXTURE, **HYBRID},
            rope_parameters=HYBRID_ROPE,
            num_experts=4,
            shared_expert_intermediate_size=40,
            mlp_only_layers=[2],
        ),
    ),
    "qwen3-5-text": (
        "Qwen3_5Text",
        dict(
            HYBRID,
            attention_bias=True,
            hidden_act="gelu",
            rope_parameters=HYBRID_ROPE,
        ),
    ),
    "qwen3-5": (
        "Qwen3_5",
        dict(
            text_config=dict(
                HYBRID, rope_parameters=dict(HYBRID_ROPE, mrope_section=[2, 1, 1], mrope_interleaved=True)
            ),
            vision_config=dict(QWEN_ENCODER, hidden_size=8, out_hidden_size=32, num_position_embeddings=16),
        ),
    ),
    "qwen3-5-moe": (
        "Qwen3_5Moe",
        dict(
            text_config=dict(HYBRID_MIXTURE),
            vision_config=dict(QWEN_ENCODER, hidden_size=8, out_hidden_size=32, num_position_embeddings=16),
        ),
    ),
    "qwen3-5-moe-text": ("Qwen3_5MoeText", HYBRID_MIXTURE),
    "minimax-m2": (
        "MiniMaxM2",
        dict(
            GATED,
            intermediate_size=24,
            head_dim=12,
            num_local_experts=4,
            num_experts_per_tok=2,
            rope_parameters=dict(HYBRID_ROPE),
        ),
    ),
    "solar-open": (
        "SolarOpen",
        dict(
            {name: value for name, value in MIXTURE.items() if name != "intermediate_size"},
            head_dim=12,
            attention_bias=True,
            n_routed_experts=4,
            routed_scaling_factor=1.5,
        ),
    ),
    "gpt-oss": ("GptOss", GPT_OSS),
    "gpt-oss-no-biases-windows": (
        "GptOss",
        dict(
            GPT_OSS,
            intermediate_size=32,
            attention_bias=False,
            tie_word_embeddings=True,
            swiglu_alpha=1.3,
            layer_types=["full_attention", "sliding_attention"],
        ),
    ),
    "kimi-k2": (
        "DeepseekV3",
        dict(LATENT, **NO_GROUPS, rope_parameters=dict(LATENT_YARN, mscale=1.0, mscale_all_dim=1.0)),
    ),
    "gemma4-text": ("Gemma4Text", GEMMA4),
    "gemma4-text-biases": (
        "Gemma4Text",
        dict(
            GEMMA4,
            attention_bias=True,
            attention_k_eq_v=False,
            layer_types=["full_attention", "sliding_attention", "full_attention"],
            rope_parameters=dict(
                full_attention=dict(rope_type="linear", rope_theta=500.0, factor=8.0),
                sliding_attention=dict(
                    rope_type="proportional", rope_theta=100.0, factor=2.0, partial_rotary_factor=0.5
                ),
            ),
        ),
    ),
    "gemma4": (
        "Gemma4",
        dict(
            text_config=dict(GEMMA4, pad_token_id=0, use_bidirectional_attention="vision"),
            vision_config=dict(
                hidden_size=8,
                intermediate_size=8,
                num_hidden_layers=1,
                num_attention_heads=2,
                num_key_value_heads=2,
                head_dim=4,
                patch_size=4,
                position_embedding_size=4,
            ),
        ),
    ),
    "qwen3-vl-moe": (
        "Qwen3VLMoe",
        dict(
            text_config=dict(
                MIXTURE,
                num_hidden_layers=3,
                head_dim=12,
                num_experts=4,
                mlp_only_layers=[1],
                attention_bias=True,
                rope_parameters=dict(MROPE, mrope_section=[2, 2, 2], mrope_interleaved=True),
            ),
            vision_config=dict(
                QWEN_ENCODER,
                hidden_size=8,
                out_hidden_size=32,
                num_position_embeddings=16,
                deepstack_visual_indexes=[0],
            ),
        ),
    ),
    "gemma4-text-experts": (
        "Gemma4Text",
        dict(GEMMA4, enable_moe_block=True, num_experts=4, top_k_experts=2, moe_intermediate_size=24),
    ),
}
# Experts of these are published with the other order of axes than version 5 of transformers saves them in.
TRANSPOSED_EXPERTS = {"qwen3-vl-moe"}
# Names that checkpoints give a class of transformers, which has it under another.
OTHER_NAMES = {"kimi-k2": "kimi_k2"}
# Least difference of scores between the last expert that a token gets and the first that it does not.
LEAST_MARGIN = 1e-3
# Largest difference between two forms of linear attention: a norm makes much of what a token reads nearly nothing of.
MOST_SPREAD = 1.5e-5
CORRECTION = "e_score_correction_bias"


def randomize(model: torch.nn.Module, generator: torch.Generator) -> None:
    """Matrices of about unit gain, norms around what they start from, biases of every sign."""
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        if CORRECTION in name:
            parameter.data = 0.1 * noise
        elif parameter.dim() == 1:
            parameter.data += 0.3 * noise
        elif "embed" in name or ".wte" in name or ".wpe" in name:
            parameter.data = noise
        elif name.endswith("gate.weight"):
            # A router has few rows, the gate of a shared expert one.
            parameter.data = noise * parameter.shape[1] ** -0.5
        else:
            # The experts of a block are one parameter.
            shape = parameter.shape[1:] if ".experts." in name else parameter.shape
            parameter.data = noise * min(shape) ** -0.5
    for name, buffer in model.named_buffers():
        if CORRECTION in name:
            buffer.data = 0.1 * torch.randn(buffer.shape, generator=generator)
        elif name.endswith("layer_scalar"):
            buffer.data += 0.3 * torch.randn(buffer.shape, generator=generator)


def first(values: torch.Tensor, count: int) -> tuple[torch.Tensor, float]:
    """The columns of each row's largest values, and how little the last of a row is above the next."""
    ordered = values.sort(descending=True)
    least = (ordered.values[:, count - 1] - ordered.values[:, count]).min()
    return ordered.indices[:, :count], float(least)


def watch_routers(model: torch.nn.Module) -> list[float]:
    """Each router that runs adds the least margin of a token, or 0 where an expert has no token or all of them."""
    margins = []

    def watch(router: torch.nn.Module, inputs: tuple, output: tuple) -> None:
        logits, _, chosen = output
        # MiniMax-M2's alone is given its correction, and has sigmoids too.
        corrections = list(inputs[1:])
        corrections += [value for name, value in router.state_dict().items() if CORRECTION in name]
        # DeepSeek-V2's alone names its method: a softmax, and groups that are worth their best expert.
        method = getattr(router, "topk_method", None)
        sigmoid = len(inputs) > 1 or (hasattr(router, "routed_scaling_factor") and method is None)
        # Gemma 4's gives its scores and no logits.
        given = hasattr(router, "per_expert_scale")
        scores = logits if given else logits.sigmoid() if sigmoid else logits.softmax(-1)
        for correction in corrections:
            scores = scores + correction.flatten()
        least = 1.0
        if method != "greedy" and getattr(router, "topk_group", 1) < getattr(router, "num_group", 1):
            worth = scores.unflatten(-1, (router.num_group, -1)).topk(1 if method else 2).values.sum(-1)
            groups, least = first(worth, router.topk_group)
            closed = torch.ones_like(worth).scatter(-1, groups, 0).bool()
            size = logits.shape[-1] // router.num_group
            scores = scores.masked_fill(closed.repeat_interleave(size, -1), -torch.inf)
        own, margin = first(scores, chosen.shape[-1])
        assert torch.equal(own.sort().values, chosen.sort().values)
        tokens = chosen.flatten().bincount(minlength=logits.shape[-1])
        even = 0 < tokens.min() and tokens.max() < len(chosen)
        margins.append(min(least, margin) if even else 0.0)

    for module in model.modules():
        if type(module).__name__.lower().endswith(("topkrouter", "gemma4textrouter")):
            module.register_forward_hook(watch)
    return margins


def logits_of(model: torch.nn.Module, ids: torch.Tensor) -> tuple[torch.Tensor, float]:
    """And how far they are from those with linear attention by chunks of tokens, not token by token."""
    by_chunks = model(ids).logits
    linear = {sys.modules[type(module).__module__] for module in model.modules() if hasattr(module, "A_log")}
    for code in linear:
        kept = code.torch_chunk_gated_delta_rule
        code.torch_chunk_gated_delta_rule = code.torch_recurrent_gated_delta_rule
        by_tokens = model(ids).logits
        code.torch_chunk_gated_delta_rule = kept
        return by_tokens, float((by_tokens - by_chunks).abs().max())
    return by_chunks, 0.0


def make(directory: pathlib.Path, name: str, family: str, sizes: dict, seed: int) -> float:
    # Some parameters start from random values of transformers' own, to which noise is added.
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    config = getattr(transformers, f"{family}Config")(**sizes)
    # Eager attention and experts are the formula as it is written down.
    config._attn_implementation = "eager"
    config._experts_implementation = "eager"
    # Where there is such a class, it is the language model with what encodes images beside it.
    whole = getattr(transformers, f"{family}ForConditionalGeneration", None)
    model = (whole or transformers.AutoModelForCausalLM.from_config)(config).eval().float()
    randomize(model, generator)
    model.tie_weights()
    ids = torch.randint(0, VOCABULARY, (BATCH, SEQUENCE), generator=generator)
    margins = watch_routers(model)
    with torch.no_grad():
        logits, spread = logits_of(model, ids)
    if min(margins, default=1.0) < LEAST_MARGIN or spread > MOST_SPREAD:
        # Rounding could decide, or shows too much.
        return make(directory, name, family, sizes, seed + 1000)
    target = directory / name
    model.save_pretrained(target)
    (target / "generation_config.json").unlink(missing_ok=True)
    golden = dict(ids=ids.to(torch.int32), logits=logits.contiguous())
    save_file(golden, target / "golden.safetensors")
    check_complete(target, model)
    if name in TRANSPOSED_EXPERTS:
        transpose_experts(target / "model.safetensors")
    if name in OTHER_NAMES:
        rename(target / "config.json", OTHER_NAMES[name])
    if margins:
        print(f"{name}: seed {seed}, least margin of a router {min(margins):.2g}")
    return float(logits.abs().max())


def check_complete(target: pathlib.Path, model: torch.nn.Module) -> None:
    """What was saved is all that the model has."""
    saved = sum(tensor.numel() for tensor in load_file(target / "model.safetensors").values())
    kept = {tensor.data_ptr(): tensor.numel() for tensor in model.state_dict().values()}
    assert saved == sum(kept.values()), (target, saved, sum(kept.values()))
    assert json.loads((target / "config.json").read_text())["model_type"]


def transpose_experts(file: pathlib.Path) -> None:
    tensors = load_file(file)
    changed = {
        name: tensor.transpose(1, 2).contiguous() if ".mlp.experts." in name else tensor
        for name, tensor in tensors.items()
    }
    save_file(changed, file, metadata={"format": "pt"})


def rename(file: pathlib.Path, model_type: str) -> None:
    config = json.loads(file.read_text())
    file.write_text(json.dumps({**config, "model_type": model_type}, indent=2))


def main() -> None:
    root = pathlib.Path(__file__).resolve().parents[2]
    directory = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "test/models/tiny"
    shutil.rmtree(directory, ignore_errors=True)
    transformers.logging.disable_progress_bar()
    for seed, (name, (family, sizes)) in enumerate(VARIANTS.items()):
        largest = make(directory, name, family, sizes, seed)
        print(f"{name}: largest logit {largest:.2f}")
    bytes_ = sum(file.stat().st_size for file in directory.rglob("*") if file.is_file())
    print(f"{len(VARIANTS)} checkpoints, {bytes_ / 1e6:.2f} MB, transformers {transformers.__version__}")


if __name__ == "__main__":
    main()
