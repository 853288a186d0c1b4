"""Model families as rows of a table.

A row says where things are in the Hugging Face module tree and which configuration keys
change the arithmetic. No other code asks which family a model is of. Every row is proved
when a model is loaded (`core.models.checks`).
"""

from dataclasses import dataclass, replace
from typing import Literal

Kind = Literal["decoder", "encoder", "encoder-decoder"]


@dataclass(frozen=True, slots=True)
class Family:
    """Dotted paths, those after `blocks` relative to one block, and names of config keys.

    A path "" means the family has no such thing; "a|b" means the first one that exists, and
    "a|" that it may be missing.
    """

    blocks: str
    attn: str  # its output joins the stream (a post-norm where there is one)
    mlp: str  # likewise
    heads: str  # the linear map whose input is the heads, side by side
    neurons: str  # the linear map whose input is the neurons
    norm: str  # the final norm
    up: str  # the linear map into the neurons
    mlp_in: str  # the module whose input is what the MLP reads, behind any norm
    gate: str = ""  # the gate of a gated MLP; equal to `up` when both are one fused map, gate first
    act: str = ""  # the nonlinearity: neuron = act(gate) x up, or act(up) without a gate
    norm_attn: str = ""  # the norm in front of the attention
    norm_mlp: str = ""  # the norm in front of the MLP
    post_attn: str = ""  # the norm behind the attention's output matrix (Gemma 2, OLMo 2)
    post_mlp: str = ""
    queries: str = ""  # the linear maps into queries, keys and values; equal where they are fused
    keys: str = ""
    values: str = ""
    # A fused map: "blocks" all queries, then all keys, then all values; "groups" the queries that
    # share a key, that key, its value, and so on (GPT-NeoX, BLOOM, Falcon).
    fused: Literal["blocks", "groups"] = "blocks"
    norm_queries: str = ""  # norms of queries and keys, in front of any rotation (Qwen 3, OLMo 2)
    norm_keys: str = ""
    scaled_queries: bool = False  # attention receives queries divided by sqrt(d_head) (OPT)
    unscaled: bool = False  # nothing is divided by sqrt(d_head) (GPT-Neo)
    # Which coordinates of queries and keys a position turns together: i and i + half of them, or
    # i and i + 1.
    rotary: Literal["", "halves", "neighbours"] = ""
    rotary_in: tuple[str, object] = ("", None)  # config key: layers with this value turn (SmolLM 3)
    sinusoids: str = ""  # in a block: a table of sines, then cosines, of positions (GPT-J)
    position_bias: str = ""  # keyword of a block: what is added to the scores (ALiBi)
    bias_in_mask: bool = False  # that is scaled like the scores, and in the mask once more (Falcon)
    norm_after: tuple[str, str] | None = None  # norms applied to the sums (BERT, OPT-350m)
    norm_after_unless: str = ""  # config key: true means `norm_after` does not apply (OPT)
    kind: Kind = "decoder"
    parallel: bool | str = False  # attention and MLP read the same stream; or a config key for it
    stream_scale: str = ""  # config key: factor on what joins the stream (Granite)
    logit_scale: str = ""  # config key: logits times this (Cohere)
    logit_divisor: str = ""  # config key: logits divided by this (Granite)
    logit_cap: str = ""  # config key: cap x tanh(logits / cap) (Gemma 2)
    tied_scale: str = ""  # config key: true means states times d_model ** -0.5 (T5)
    norm_offset: float = 0.0  # effective norm weight = offset + weight (Gemma: 1)
    head: str = ""  # module from stream to logits where it is more than norm + matrix (BERT)
    expandable: bool = True  # rows may multiply between blocks (not with per-row position biases)
    patterns: Literal["interface", "outputs"] = "interface"  # how attention weights are had
    cross: str = ""  # cross-attention, in a decoder block
    cross_heads: str = ""
    encoder: "Family | None" = None  # the other stack of an encoder-decoder


LLAMA = Family(
    blocks="model.layers",
    attn="self_attn",
    mlp="mlp",
    heads="self_attn.o_proj",
    neurons="mlp.down_proj",
    norm="model.norm",
    up="mlp.up_proj",
    mlp_in="mlp",
    gate="mlp.gate_proj",
    act="mlp.act_fn",
    norm_attn="input_layernorm",
    norm_mlp="post_attention_layernorm",
    queries="self_attn.q_proj",
    keys="self_attn.k_proj",
    values="self_attn.v_proj",
    norm_queries="self_attn.q_norm|",
    norm_keys="self_attn.k_norm|",
    rotary="halves",
)
GPT2 = Family(
    blocks="transformer.h",
    attn="attn",
    mlp="mlp",
    heads="attn.c_proj",
    neurons="mlp.c_proj",
    norm="transformer.ln_f",
    up="mlp.c_fc",
    mlp_in="mlp",
    act="mlp.act",
    norm_attn="ln_1",
    norm_mlp="ln_2",
    queries="attn.c_attn",
    keys="attn.c_attn",
    values="attn.c_attn",
)
GPT_NEOX = Family(
    blocks="gpt_neox.layers",
    attn="attention",
    mlp="mlp",
    heads="attention.dense",
    neurons="mlp.dense_4h_to_h",
    norm="gpt_neox.final_layer_norm",
    up="mlp.dense_h_to_4h",
    mlp_in="mlp",
    act="mlp.act",
    norm_attn="input_layernorm",
    norm_mlp="post_attention_layernorm",
    queries="attention.query_key_value",
    keys="attention.query_key_value",
    values="attention.query_key_value",
    fused="groups",
    rotary="halves",
    parallel="use_parallel_residual",
)
OPT = Family(
    blocks="model.decoder.layers",
    attn="self_attn",
    mlp="fc2",
    heads="self_attn.out_proj",
    neurons="fc2",
    norm="model.decoder.final_layer_norm|",  # none where the norms follow the sums (OPT-350m)
    up="fc1",
    mlp_in="fc1",
    act="activation_fn",
    norm_attn="self_attn_layer_norm",
    norm_mlp="final_layer_norm",
    queries="self_attn.q_proj",
    keys="self_attn.k_proj",
    values="self_attn.v_proj",
    scaled_queries=True,
    norm_after=("self_attn_layer_norm", "final_layer_norm"),
    norm_after_unless="do_layer_norm_before",
)
# BLOOM adds the residual inside its attention and MLP modules, so the maps themselves are named.
BLOOM = Family(
    blocks="transformer.h",
    attn="self_attention.dense",
    mlp="mlp.dense_4h_to_h",
    heads="self_attention.dense",
    neurons="mlp.dense_4h_to_h",
    norm="transformer.ln_f",
    up="mlp.dense_h_to_4h",
    mlp_in="mlp",
    act="mlp.gelu_impl",
    norm_attn="input_layernorm",
    norm_mlp="post_attention_layernorm",
    queries="self_attention.query_key_value",
    keys="self_attention.query_key_value",
    values="self_attention.query_key_value",
    fused="groups",
    position_bias="alibi",
    patterns="outputs",
    expandable=False,
)
# Gate and up are one fused map.
FUSED_MLP = replace(LLAMA, up="mlp.gate_up_proj", gate="mlp.gate_up_proj", act="mlp.activation_fn")
GLM = replace(FUSED_MLP, rotary="neighbours")
OLMO2 = replace(
    LLAMA,
    attn="post_attention_layernorm",
    mlp="post_feedforward_layernorm",
    post_attn="post_attention_layernorm",
    post_mlp="post_feedforward_layernorm",
    norm_attn="",
    norm_mlp="",
)
GEMMA = replace(LLAMA, norm_offset=1.0)
GEMMA2 = replace(
    GEMMA,
    attn="post_attention_layernorm",
    mlp="post_feedforward_layernorm",
    post_attn="post_attention_layernorm",
    post_mlp="post_feedforward_layernorm",
    norm_mlp="pre_feedforward_layernorm",
    logit_cap="final_logit_softcapping",
)
COHERE = replace(
    LLAMA,
    parallel=True,
    norm_mlp="input_layernorm",
    logit_scale="logit_scale",
    rotary="neighbours",
)
BERT = Family(
    blocks="bert.encoder.layer",
    attn="attention.output.dense",
    mlp="output.dense",
    heads="attention.output.dense",
    neurons="output.dense",
    norm="",
    up="intermediate.dense",
    mlp_in="intermediate",
    act="intermediate.intermediate_act_fn",
    queries="attention.self.query",
    keys="attention.self.key",
    values="attention.self.value",
    norm_after=("attention.output.LayerNorm", "output.LayerNorm"),
    kind="encoder",
    head="cls",
)
T5_ENCODER = Family(
    blocks="encoder.block",
    attn="layer.0.SelfAttention",
    mlp="layer.1.DenseReluDense",
    heads="layer.0.SelfAttention.o",
    neurons="layer.1.DenseReluDense.wo",
    norm="encoder.final_layer_norm",
    up="layer.1.DenseReluDense.wi|layer.1.DenseReluDense.wi_1",
    mlp_in="layer.1.DenseReluDense",
    gate="layer.1.DenseReluDense.wi_0|",
    act="layer.1.DenseReluDense.act",
    queries="layer.0.SelfAttention.q",
    keys="layer.0.SelfAttention.k",
    values="layer.0.SelfAttention.v",
    norm_attn="layer.0.layer_norm",
    norm_mlp="layer.1.layer_norm",
    kind="encoder",
)
T5 = Family(
    blocks="decoder.block",
    attn="layer.0.SelfAttention",
    mlp="layer.2.DenseReluDense",
    heads="layer.0.SelfAttention.o",
    neurons="layer.2.DenseReluDense.wo",
    norm="decoder.final_layer_norm",
    up="layer.2.DenseReluDense.wi|layer.2.DenseReluDense.wi_1",
    mlp_in="layer.2.DenseReluDense",
    gate="layer.2.DenseReluDense.wi_0|",
    act="layer.2.DenseReluDense.act",
    queries="layer.0.SelfAttention.q",
    keys="layer.0.SelfAttention.k",
    values="layer.0.SelfAttention.v",
    norm_attn="layer.0.layer_norm",
    norm_mlp="layer.2.layer_norm",
    kind="encoder-decoder",
    tied_scale="scale_decoder_outputs",
    cross="layer.1.EncDecAttention",
    cross_heads="layer.1.EncDecAttention.o",
    encoder=T5_ENCODER,
)

FAMILIES: dict[str, Family] = {
    "gpt2": GPT2,
    "gpt_neo": replace(
        GPT2,
        heads="attn.attention.out_proj",
        queries="attn.attention.q_proj",
        keys="attn.attention.k_proj",
        values="attn.attention.v_proj",
        unscaled=True,
        patterns="outputs",
    ),
    "gpt_neox": GPT_NEOX,
    "gptj": replace(
        GPT2,
        heads="attn.out_proj",
        neurons="mlp.fc_out",
        up="mlp.fc_in",
        norm_mlp="ln_1",
        queries="attn.q_proj",
        keys="attn.k_proj",
        values="attn.v_proj",
        rotary="neighbours",
        sinusoids="attn.embed_positions",
        parallel=True,
        patterns="outputs",
    ),
    "opt": OPT,
    "bloom": BLOOM,
    "llama": LLAMA,
    "mistral": LLAMA,
    # The experts are one fused tensor, so single neurons have no place of their own.
    "mixtral": replace(LLAMA, neurons="", up="", gate="", act=""),
    "qwen2": LLAMA,
    "qwen3": LLAMA,
    "smollm3": replace(LLAMA, rotary_in=("no_rope_layers", 1)),
    "olmo2": OLMO2,
    "phi": replace(
        LLAMA,
        heads="self_attn.dense",
        neurons="mlp.fc2",
        norm="model.final_layernorm",
        up="mlp.fc1",
        gate="",
        act="mlp.activation_fn",
        norm_mlp="input_layernorm",
        norm_queries="self_attn.q_layernorm|",
        norm_keys="self_attn.k_layernorm|",
        parallel=True,
    ),
    "phi3": replace(
        FUSED_MLP,
        queries="self_attn.qkv_proj",
        keys="self_attn.qkv_proj",
        values="self_attn.qkv_proj",
    ),
    "glm": GLM,
    "glm4": replace(
        GLM,
        attn="post_self_attn_layernorm",
        mlp="post_mlp_layernorm",
        post_attn="post_self_attn_layernorm",
        post_mlp="post_mlp_layernorm",
    ),
    "gemma": GEMMA,
    "gemma2": GEMMA2,
    "gemma3_text": GEMMA2,
    "gemma3": replace(
        GEMMA2, blocks="model.language_model.layers", norm="model.language_model.norm"
    ),
    "cohere": COHERE,
    # The layers without a window see no positions at all.
    "cohere2": replace(COHERE, rotary_in=("layer_types", "sliding_attention")),
    "granite": replace(LLAMA, stream_scale="residual_multiplier", logit_divisor="logits_scaling"),
    "falcon": replace(
        GPT2,
        attn="self_attention",
        heads="self_attention.dense",
        neurons="mlp.dense_4h_to_h",
        up="mlp.dense_h_to_4h",
        norm_attn="input_layernorm|ln_attn",
        norm_mlp="post_attention_layernorm|ln_mlp|input_layernorm",
        queries="self_attention.query_key_value",
        keys="self_attention.query_key_value",
        values="self_attention.query_key_value",
        fused="groups",
        rotary="halves",
        position_bias="alibi",
        bias_in_mask=True,
        parallel="parallel_attn",
        patterns="outputs",
        expandable=False,
    ),
    "mpt": replace(
        GPT2,
        blocks="transformer.blocks",
        mlp="ffn.down_proj",
        heads="attn.out_proj",
        neurons="ffn.down_proj",
        norm="transformer.norm_f",
        up="ffn.up_proj",
        mlp_in="ffn",
        act="ffn.act",
        norm_attn="norm_1",
        norm_mlp="norm_2",
        queries="attn.Wqkv",
        keys="attn.Wqkv",
        values="attn.Wqkv",
        position_bias="position_bias",
        patterns="outputs",
        expandable=False,
    ),
    "bert": BERT,
    "roberta": replace(BERT, blocks="roberta.encoder.layer", head="lm_head"),
    "t5": T5,
}


def row(model_type: str) -> tuple[Family, bool]:
    """The family's row, and whether the table knows it. Unknown: the Llama row, to be checked."""
    known = FAMILIES.get(model_type)
    return (known, True) if known else (LLAMA, False)
