"""One recipe per tiny model: its classes, its tokenizer and the configuration that makes it small.

Head counts are odd where the family allows it, head size times heads differs from the width
where it may, and caps, windows and multipliers are small enough to matter on ten tokens.
"""

from dataclasses import dataclass, field
from typing import Any

ROPE = {"rope_type": "default", "rope_theta": 10000.0}
PARTIAL = {**ROPE, "partial_rotary_factor": 0.5}
IDS = {"bos_token_id": 1, "eos_token_id": 2}
END_LAST = {"bos_token_id": 299, "eos_token_id": 299}


@dataclass(frozen=True)
class Recipe:
    """`config` and `model` are class names of transformers; `tokenizer` a kind of `tokenizers`."""

    config: str
    model: str
    tokenizer: str
    fields: dict[str, Any] = field(default_factory=dict)


def _gpt2(**more: Any) -> Recipe:
    fields = {"vocab_size": 300, "n_positions": 64, "n_embd": 36, "n_layer": 3, "n_head": 3}
    return Recipe("GPT2Config", "GPT2LMHeadModel", "gpt2", {**fields, **END_LAST, **more})


def _neox(parallel: bool) -> Recipe:
    fields: dict[str, Any] = {"vocab_size": 304, "hidden_size": 36, "num_hidden_layers": 3}
    fields |= {"num_attention_heads": 3, "intermediate_size": 80, "max_position_embeddings": 64}
    fields |= {"rope_parameters": PARTIAL, "use_parallel_residual": parallel, "eos_token_id": 0}
    return Recipe("GPTNeoXConfig", "GPTNeoXForCausalLM", "neox", fields)


def _gated(stem: str, tokenizer: str, **more: Any) -> Recipe:
    """The Llama shape: rotary, RMS norms, gated MLP, six query heads share two keys."""
    fields: dict[str, Any] = {"vocab_size": 304, "hidden_size": 36, "intermediate_size": 56}
    fields |= {"num_hidden_layers": 3, "num_attention_heads": 6, "num_key_value_heads": 2}
    fields |= {"max_position_embeddings": 64, "rope_parameters": ROPE, **IDS}
    return Recipe(f"{stem}Config", f"{stem}ForCausalLM", tokenizer, {**fields, **more})


def _llama(stem: str = "Llama", **more: Any) -> Recipe:
    return _gated(stem, "llama", vocab_size=361, **{"head_dim": 8, **more})


def _gemma(stem: str, **more: Any) -> Recipe:
    ids = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    return _gated(stem, "gemma", vocab_size=368, head_dim=12, **{**ids, **more})


GEMMA3_LAYERS = ["sliding_attention", "sliding_attention", "full_attention"]
GEMMA3_ROPE = {
    "sliding_attention": ROPE,
    "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1000000.0},
}
GEMMA3_TEXT = {
    **_gemma("Gemma3Text").fields,
    "sliding_window": 5,
    "layer_types": GEMMA3_LAYERS,
    "rope_parameters": GEMMA3_ROPE,
    "query_pre_attn_scalar": 16,
}
GEMMA3_VISION = {"hidden_size": 16, "intermediate_size": 24, "num_hidden_layers": 1}
GEMMA3_VISION |= {"num_attention_heads": 2, "image_size": 28, "patch_size": 14}


def _encoder(stem: str, tokenizer: str, **more: Any) -> Recipe:
    fields = {"vocab_size": 120, "hidden_size": 36, "num_hidden_layers": 3}
    fields |= {"num_attention_heads": 3, "intermediate_size": 80, "max_position_embeddings": 64}
    return Recipe(f"{stem}Config", f"{stem}ForMaskedLM", tokenizer, {**fields, **more})


def _t5(projection: str, tied: bool) -> Recipe:
    fields: dict[str, Any] = {
        "vocab_size": 128,
        "d_model": 32,
        "d_kv": 8,
        "d_ff": 48,
        "num_layers": 2,
    }
    fields |= {"num_decoder_layers": 3, "num_heads": 3, "relative_attention_num_buckets": 8}
    fields |= {"relative_attention_max_distance": 16, "decoder_start_token_id": 0}
    fields |= {"feed_forward_proj": projection, "tie_word_embeddings": tied}
    return Recipe("T5Config", "T5ForConditionalGeneration", "t5", fields)


def _falcon(**more: Any) -> Recipe:
    fields = {"vocab_size": 300, "hidden_size": 36, "num_hidden_layers": 3}
    fields |= {"num_attention_heads": 3, "max_position_embeddings": 64, **IDS}
    return Recipe("FalconConfig", "FalconForCausalLM", "generic", {**fields, **more})


FAMILIES: dict[str, Recipe] = {
    "gpt2": _gpt2(),
    "gpt2_scaled": _gpt2(scale_attn_by_inverse_layer_idx=True, n_inner=60),
    "gpt_neox": _neox(parallel=True),
    "gpt_neox_sequential": _neox(parallel=False),
    "gpt_neo": Recipe(
        "GPTNeoConfig",
        "GPTNeoForCausalLM",
        "gpt2",
        {"vocab_size": 300, "max_position_embeddings": 64, "hidden_size": 36, "num_layers": 2}
        | {"num_heads": 3, "window_size": 5, "attention_types": [[["global", "local"], 1]]}
        | END_LAST,
    ),
    "gptj": Recipe(
        "GPTJConfig",
        "GPTJForCausalLM",
        "gpt2",
        {"vocab_size": 304, "n_positions": 64, "n_embd": 36, "n_layer": 3, "n_head": 3}
        | {"rotary_dim": 4, **END_LAST},
    ),
    "opt": Recipe(
        "OPTConfig",
        "OPTForCausalLM",
        "opt",
        {"vocab_size": 304, "hidden_size": 36, "num_hidden_layers": 3, "ffn_dim": 80}
        | {"max_position_embeddings": 64, "num_attention_heads": 3, "word_embed_proj_dim": 36}
        | {"bos_token_id": 2, "eos_token_id": 2, "pad_token_id": 1},
    ),
    "bloom": Recipe(
        "BloomConfig",
        "BloomForCausalLM",
        "generic",
        {"vocab_size": 304, "hidden_size": 36, "n_layer": 3, "n_head": 3, **IDS},
    ),
    "mpt": Recipe(
        "MptConfig",
        "MptForCausalLM",
        "neox",
        {"vocab_size": 304, "d_model": 36, "n_layers": 3, "n_heads": 3, "max_seq_len": 64}
        | {"bos_token_id": 0, "eos_token_id": 0},
    ),
    "falcon": _falcon(),
    "falcon_grouped": _falcon(
        new_decoder_architecture=True, num_attention_heads=6, num_kv_heads=2, hidden_size=48
    ),
    "falcon_alibi": _falcon(alibi=True, multi_query=False, parallel_attn=False, bias=True),
    "llama": _llama(),
    "llama_tied": _llama(tie_word_embeddings=True, attention_bias=True, mlp_bias=True),
    "mistral": _llama("Mistral", sliding_window=5),
    "mixtral": _llama("Mixtral", num_local_experts=4, num_experts_per_tok=2),
    "qwen2": _gated("Qwen2", "qwen", bos_token_id=None, eos_token_id=299),
    "qwen3": _gated("Qwen3", "qwen", head_dim=8, bos_token_id=None, eos_token_id=299),
    "smollm3": _gated("SmolLM3", "generic", no_rope_layer_interval=2, pad_token_id=3),
    "olmo2": _gated("Olmo2", "generic", pad_token_id=3),
    "phi": Recipe(
        "PhiConfig",
        "PhiForCausalLM",
        "gpt2",
        {"vocab_size": 304, "hidden_size": 36, "intermediate_size": 80, "num_hidden_layers": 3}
        | {"num_attention_heads": 3, "max_position_embeddings": 64, "rope_parameters": PARTIAL}
        | END_LAST,
    ),
    "phi3": _gated("Phi3", "llama", vocab_size=368, pad_token_id=0),
    "glm": _gated("Glm", "generic", pad_token_id=3, head_dim=8),
    "glm4": _gated("Glm4", "generic", pad_token_id=3, head_dim=8),
    "gemma": _gemma("Gemma", num_attention_heads=3, num_key_value_heads=1),
    "gemma2": _gemma(
        "Gemma2",
        sliding_window=5,
        query_pre_attn_scalar=16,
        final_logit_softcapping=8.0,
        attn_logit_softcapping=2.0,
    ),
    "gemma3_text": Recipe("Gemma3TextConfig", "Gemma3ForCausalLM", "gemma", GEMMA3_TEXT),
    "gemma3": Recipe(
        "Gemma3Config",
        "Gemma3ForConditionalGeneration",
        "gemma",
        {"text_config": GEMMA3_TEXT, "vision_config": GEMMA3_VISION, "mm_tokens_per_image": 4}
        | {"boi_token_index": 363, "eoi_token_index": 364, "image_token_index": 365},
    ),
    "cohere": _gated("Cohere", "cohere", logit_scale=0.25, bos_token_id=5, eos_token_id=6),
    "cohere_qk_norm": _gated("Cohere", "cohere", use_qk_norm=True, bos_token_id=5, eos_token_id=6),
    "cohere2": _gated(
        "Cohere2",
        "cohere",
        head_dim=6,
        num_hidden_layers=4,
        sliding_window=5,
        bos_token_id=5,
        eos_token_id=6,
    ),
    "granite": _gated(
        "Granite",
        "generic",
        embedding_multiplier=3.0,
        logits_scaling=2.5,
        residual_multiplier=0.4,
        attention_multiplier=0.2,
    ),
    "bert": _encoder("Bert", "bert"),
    "roberta": _encoder("Roberta", "roberta", vocab_size=300, max_position_embeddings=66),
    "distilbert": Recipe(
        "DistilBertConfig",
        "DistilBertForMaskedLM",
        "bert",
        {"vocab_size": 120, "dim": 36, "n_layers": 3, "n_heads": 3, "hidden_dim": 80}
        | {"max_position_embeddings": 64},
    ),
    "t5": _t5("relu", tied=True),
    "t5_gated": _t5("gated-gelu", tied=False),
}
