"""A tiny model in which chosen neurons read some words and write others, and nothing else does."""

import copy
from collections.abc import Sequence
from typing import Any

import torch

from core.models import loaded as loaded_module
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces

READ, WRITE, ALWAYS = 0, 1, 2  # coordinates of the stream kept for what is planted


def words(m: Loaded, n: int) -> list[str]:
    """n words that are a single token behind a blank."""
    found = [piece.strip() for piece in pieces(m, range(known_ids(m))) if piece[:1] == " "]
    letters = [word for word in dict.fromkeys(found) if word.isalpha()]
    return [word for word in letters if len(m.tokenizer(word)["input_ids"]) == 2][:n]


def ids(m: Loaded, some: Sequence[str]) -> list[int]:
    return [int(m.tokenizer(word)["input_ids"][-1]) for word in some]


def planted(
    m: Loaded,
    neurons: Sequence[tuple[int, int]],
    read: Sequence[str],
    write: Sequence[str],
    strength: float = 3.0,
    default: str = "",
) -> Loaded:
    """A copy of a Llama whose (layer, unit) neurons fire on `read` and raise `write` words.

    The attention is silent, so each prediction depends on its own token alone; `default` is
    foretold wherever nothing else is.
    """
    other = copy.copy(m)
    other.module, other.memo = copy.deepcopy(m.module), {}
    other.stacks = {"": loaded_module._stack(other.module, "", m.row, m.config)}
    other.head = other.module.get_output_embeddings()
    body: Any = other.module.model
    with torch.no_grad():
        body.embed_tokens.weight[:, [READ, WRITE]] = 0
        body.embed_tokens.weight[ids(m, read), READ] = 2.0
        other.head.weight *= 0.1
        other.head.weight[:, [READ, WRITE]] = 0
        other.head.weight[ids(m, write), WRITE] = 1.0
        body.norm.weight[[READ, WRITE, ALWAYS]] = 1
        if default:
            body.embed_tokens.weight[:, ALWAYS] = 1.0
            other.head.weight[:, ALWAYS] = 0
            other.head.weight[ids(m, [default]), ALWAYS] = 3.0
        for block in body.layers:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight *= 0.1  # the rest of the model whispers
            block.mlp.down_proj.weight[[READ, WRITE, ALWAYS]] = 0
            block.post_attention_layernorm.weight[READ] = 1
        for layer, unit in neurons:
            mlp = body.layers[layer].mlp
            for linear in (mlp.gate_proj, mlp.up_proj):
                linear.weight[unit] = 0
                linear.weight[unit, READ] = 1.0
            mlp.down_proj.weight[:, unit] = 0
            mlp.down_proj.weight[WRITE, unit] = strength
    return other
