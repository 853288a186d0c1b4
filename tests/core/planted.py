"""Models in which a neuron is made to do a known thing."""

import copy

import torch

from core.models import loaded as parts
from core.models.loaded import Loaded


def plant_reader(m: Loaded, *, layer: int, neuron: int, word: str) -> Loaded:
    """A copy of a gated model in which one neuron of an early layer answers to one token only.

    Gate and up read what sets the token's embedding apart from all others, and that layer's
    attention writes nothing. The token is the last of the word's.
    """
    made = copy.copy(m)
    made.module, made.memo = copy.deepcopy(m.module), {}
    made.stacks = {"": parts._stack(made.module, "", made.row, made.config)}
    made.head = made.module.get_output_embeddings()  # type: ignore[operator]
    made.fingerprint = f"{m.fingerprint}+planted {layer} {neuron} {word}"
    token = made.tokenizer(word, add_special_tokens=False)["input_ids"][-1]
    block = made.stacks[""].blocks[layer]
    with torch.no_grad():
        words = made.module.get_input_embeddings().weight  # type: ignore[operator]
        normal = words / words.norm(dim=-1, keepdim=True)
        own = normal[token] - normal.mean(0)
        block.heads.weight.zero_()  # type: ignore[union-attr, operator]
        block.gate.weight[neuron] = 10 * own  # type: ignore[union-attr, index]
        block.up.weight[neuron] = 10 * own  # type: ignore[union-attr, index]
    return made
