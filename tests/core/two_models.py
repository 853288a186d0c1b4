"""Copies of tiny models that differ in a known way, for the tests of comparisons."""

from dataclasses import replace

import torch

from core.models.loaded import Loaded
from tests.core.copies import writable
from tests.tiny import draw

WORDS = ("dog", "cat", "house", "river", "apple", "stone", "queen", "seven", "blue", "music")
STARTS = ("I saw", "Tom has", "Where is", "We like")
TEXTS = [f"{start} the {word}" for start in STARTS for word in WORDS]
LINKS = ("then he saw", "she found", "they lost", "nobody has", "you want") * 2
LONG = [
    f"{start} the {one} and {link} a {two}."
    for start in STARTS
    for one, link, two in zip(WORDS, LINKS, WORDS[3:] + WORDS[:3], strict=True)
]


def twin(m: Loaded) -> Loaded:
    """The same weights in a model of another name."""
    return replace(writable(m), name="twin", fingerprint="twin")


def stranger(m: Loaded) -> Loaded:
    """The same architecture with other random weights."""
    other = replace(writable(m), name="stranger", fingerprint="stranger")
    draw(other.module, seed=5)
    return other


def reordered(m: Loaded) -> tuple[Loaded, list[list[int]]]:
    """A copy whose neurons stand in another order in every layer, and where each one went."""
    other = replace(writable(m), name="reordered", fingerprint="reordered")
    generator = torch.Generator().manual_seed(1)
    went = []
    with torch.no_grad():
        for block in other.stacks[""].blocks:
            order = torch.randperm(m.d_mlp, generator=generator)
            for part in (block.up, block.gate):
                part.weight.copy_(part.weight[order])
            block.neurons.weight.copy_(block.neurons.weight[:, order])
            went.append(torch.argsort(order).tolist())
    return other, went
