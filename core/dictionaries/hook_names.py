"""Hook points in the words of the libraries that train dictionaries, as sites.

TransformerLens counts `blocks.5.hook_resid_post`, sparsify names modules of the Hugging Face model
(`layers.5.mlp`), Gemma Scope 2 their inputs and outputs, dictionary_learning has words of its own,
and OpenAI's release folders of theirs.
"""

import re
from dataclasses import dataclass

from core.models.header import shown
from core.spec.errors import Error
from core.spec.site import Component, Site, site


@dataclass(frozen=True)
class Hook:
    """Where a hook point is, and what a reader should know about it."""

    site: Site
    heads: bool = False
    note: str = ""


BEFORE_NORM = (
    "in TransformerLens a hook of this name lies in front of the norm, elsewhere behind it: "
    "behind it is assumed"
)
WEIGHTED = (
    "ln2.hook_normalized holds the norm's output with or without the norm's weight: with it is "
    "assumed"
)
EMBEDDING = "hook_embed is taken as the stream in front of layer 0"
PRE = "mlp.hook_pre is the gate where the MLP has one"
# TransformerLens' names below `blocks.L.`.
_BLOCK: dict[str, tuple[Component, str]] = {
    "hook_resid_pre": ("resid_pre", ""),
    "hook_resid_mid": ("resid_mid", ""),
    "hook_resid_post": ("resid_post", ""),
    "hook_attn_out": ("attn_out", ""),
    "hook_mlp_out": ("mlp_out", ""),
    "attn.hook_z": ("head", ""),
    "mlp.hook_post": ("neuron", ""),
    "mlp.hook_pre": ("up", PRE),
    "mlp.hook_pre_linear": ("up", ""),
    "mlp.hook_in": ("mlp_in", ""),
    "mlp.hook_out": ("mlp_out", ""),
    "hook_mlp_in": ("mlp_in", BEFORE_NORM),
    "ln2.hook_normalized": ("mlp_in", WEIGHTED),
}
# Modules of Hugging Face models below a block, by whether their input or output is read.
_MODULES: dict[str, tuple[Component | None, Component | None]] = {
    "": ("resid_pre", "resid_post"),
    "mlp": ("mlp_in", "mlp_out"),
    "ffn": ("mlp_in", "mlp_out"),
    "self_attn": (None, "attn_out"),
    "attn": (None, "attn_out"),
    "attention": (None, "attn_out"),
    "self_attention": (None, "attn_out"),
    "pre_feedforward_layernorm": ("resid_mid", "mlp_in"),
    "post_feedforward_layernorm": ("mlp_out", "mlp_out"),
    "self_attn.o_proj": ("head", None),
    "mlp.down_proj": ("neuron", "mlp_out"),
}
_EMBEDDINGS = ("embed_tokens", "wte", "embed_in", "word_embeddings")
# The words of dictionary_learning; the layer stands behind them.
_WORDS: dict[str, Component] = {
    "resid_pre": "resid_pre",
    "resid_out": "resid_post",
    "resid_post": "resid_post",
    "resid": "resid_post",
    "mlp_out": "mlp_out",
    "mlp": "mlp_out",
    "attn_out": "attn_out",
    "attention_out": "attn_out",
    "attn": "attn_out",
}
# OpenAI's names of locations in GPT-2.
_OPENAI: dict[str, Component] = {
    "mlp_post_act": "neuron",
    "resid_delta_attn": "attn_out",
    "resid_post_attn": "resid_mid",
    "resid_delta_mlp": "mlp_out",
    "resid_post_mlp": "resid_post",
}


def hook(name: str, *, input_of: bool = False) -> Hook:
    """A hook point in any library's words. Raises `Error`.

    `input_of`: a plain module name (`layers.5.mlp`) means its input, not its output.
    """
    found = _transformer_lens(name) or _own(name) or _word(name) or _module(name, input_of)
    if found is None:
        raise Error(
            f"{shown(name)} is no hook point that is known here; say where the dictionary reads, "
            "as in site='L5.resid_post'"
        )
    return found


def site_of(name: str) -> Site:
    """The site of a hook point. Raises `Error`."""
    return hook(name).site


def openai_site(parts: tuple[str, ...]) -> Site | None:
    """The site in the path of one of OpenAI's files, `.../resid_post_mlp_v5_32k/.../8.pt`."""
    text = "/".join(parts)
    layer = re.search(r"(?:layer_?|/)(\d{1,3})(?:/|\.|$)", text)
    name = re.search("|".join(_OPENAI), text)
    return Site(int(layer[1]), _OPENAI[name[0]]) if layer and name else None


def _transformer_lens(name: str) -> Hook | None:
    if name == "hook_embed":
        return Hook(Site(0, "resid_pre"), note=EMBEDDING)
    found = re.fullmatch(r"blocks\.(\d{1,4})\.([A-Za-z0-9_.]+)", name)
    if found is None or found[2] not in _BLOCK:
        return None
    component, note = _BLOCK[found[2]]
    return Hook(Site(int(found[1]), component), component == "head", note)


def _own(name: str) -> Hook | None:
    try:
        place = site(name)
    except Error:
        return None
    return Hook(place.whole(), place.component == "head")


def _word(name: str) -> Hook | None:
    found = re.fullmatch(r"([a-z_]+?)_?layer_?(\d{1,4})", name)
    if found is None or found[1] not in _WORDS:
        return Hook(Site(0, "resid_pre"), note=EMBEDDING) if name == "embed" else None
    return Hook(Site(int(found[2]), _WORDS[found[1]]))


def _module(name: str, input_of: bool) -> Hook | None:
    if name.rpartition(".")[2] in _EMBEDDINGS:
        return Hook(Site(0, "resid_pre"), note=EMBEDDING)
    found = re.fullmatch(
        r"(?:[a-z_]+\.)*?(?:layers?|h|block|blocks)[._](\d{1,4})((?:\.[a-z_]+)*?)"
        r"(\.input|\.output)?",
        name,
    )
    if found is None or found[2].removeprefix(".") not in _MODULES:
        return None
    read_in, read_out = _MODULES[found[2].removeprefix(".")]
    wants_input = found[3] == ".input" or (input_of and found[3] is None)
    component = read_in if wants_input else read_out
    return Hook(Site(int(found[1]), component), component == "head") if component else None
