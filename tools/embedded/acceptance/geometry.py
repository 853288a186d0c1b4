"""Rows 17 to 21: circles, parallelograms and neighbourhoods of word states."""

from __future__ import annotations

from random import Random

import numpy as np
import torch
from torch import Tensor

from core.corpus.world import words as w
from core.corpus.world.catalogue import pairs
from tools.embedded.acceptance.rows import Row
from tools.embedded.reading import Reader

CARRIERS = ("The word is {}", "I said {}", "Look, {}", "And then {}")
REQUIRED = ("gender", "capital", "plural", "past")


def word_states(reader: Reader, words: list[str]) -> Tensor:
    """Means over the carrier sentences of the state at the word's last piece: [layer + 1, word,
    width].
    """
    return torch.stack(
        [reader.last_states([carrier.format(word) for word in words]) for carrier in CARRIERS]
    ).mean(0)


def circle(states: Tensor) -> tuple[float, float]:
    """Agreement of the angular order in the first two principal axes with the cycle (1: all steps),
    and the share of variance in the first Fourier mode, for states [item, width] in cyclic
    order.
    """
    centred = (states - states.mean(0)).double().numpy()
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    angles = np.arctan2(left[:, 1] * size[1], left[:, 0] * size[0])
    rank = np.argsort(np.argsort(angles))
    steps = (np.roll(rank, -1) - rank) % len(rank)
    agreement = max((steps == 1).mean(), (steps == len(rank) - 1).mean())
    power = (np.abs(np.fft.fft(centred, axis=0)) ** 2).sum(1)
    return float(agreement), float((power[1] + power[-1]) / power[1:].sum())


def circle_row(reader: Reader, number: int, name: str, words: tuple[str, ...]) -> Row:
    """The best layer is the one with the largest first mode among those with the best order."""
    found = [circle(layer) for layer in word_states(reader, list(words))]
    layer = max(range(len(found)), key=lambda at: (found[at][0], found[at][1]))
    values = {"order": found[layer][0], "first mode": found[layer][1]}
    return Row(
        number,
        f"{name} on a circle, best layer",
        values,
        {"order": (">=", 1.0), "first mode": (">=", 0.55)},
        note=f"after block {layer}; first mode by layer "
        + " ".join(f"{mode:.2f}" for _, mode in found),
    )


def unit(states: Tensor) -> Tensor:
    return torch.nn.functional.normalize(states, dim=-1)


def parallelograms(one: Tensor, two: Tensor) -> float:
    """3CosAdd over all ordered pairs of pairs: is two[i] - one[i] + one[j] nearest to two[j]?
    States [pair, width]; candidates are all words of the relation but the three given ones.
    """
    words = torch.cat([one, two])
    words = unit(words - words.mean(0))
    one, two = words[: len(one)], words[len(one) :]
    count = len(one)
    target = two[:, None] - one[:, None] + one[None]  # [i, j, width]
    score = target @ words.T
    i, j = torch.arange(count)[:, None], torch.arange(count)[None]
    for given in (i.expand(count, count), i.expand(count, count) + count, j.expand(count, count)):
        score.scatter_(2, given[..., None], -torch.inf)
    right = score.argmax(-1) == j + count
    return right[~torch.eye(count, dtype=torch.bool)].float().mean().item()


def offset_cosine(one: Tensor, two: Tensor) -> float:
    """Mean cosine between the offsets of different pairs."""
    offsets = unit(two - one)
    count = len(offsets)
    return ((offsets @ offsets.T).sum() - count).item() / (count * (count - 1))


def pair_rows(reader: Reader) -> list[Row]:
    hits, cosines, controls, places = {}, {}, {}, []
    for name in (*REQUIRED, "comparative"):
        rows = pairs()[name]
        one, two = (word_states(reader, [row[side] for row in rows]) for side in (0, 1))
        by_layer = [parallelograms(a, b) for a, b in zip(one, two, strict=True)]
        hits[name] = max(by_layer)
        places.append(f"{name} after block {by_layer.index(max(by_layer))}")
        if name in REQUIRED:
            order = list(range(len(rows)))
            Random(1).shuffle(order)
            lines = [offset_cosine(a, b) for a, b in zip(one, two, strict=True)]
            cosines[name] = max(lines)
            at = lines.index(max(lines))
            controls[f"{name}, permuted"] = offset_cosine(one[at], two[at][order])
    return [
        Row(
            19,
            "parallelograms (3CosAdd), best layer",
            hits,
            dict.fromkeys(REQUIRED, (">=", 0.85)),
            {"comparative": (">=", 0.7)},
            note=", ".join(places),
        ),
        Row(
            20,
            "mean cosine between offsets of one relation, best layer; control with permuted pairs",
            cosines | controls,
            dict.fromkeys(cosines, (">=", 0.5)),
        ),
    ]


def neighbours(states: Tensor, names: list[str]) -> float:
    """Share of items whose nearest other item (cosine, centred) has the same name."""
    near = unit(states - states.mean(0))
    near = (near @ near.T).fill_diagonal_(-2).argmax(-1)
    return float(np.mean([names[at] == names[int(other)] for at, other in enumerate(near)]))


def neighbour_row(reader: Reader) -> Row:
    states = word_states(reader, list(w.NOUNS))
    kinds = [w.KIND_OF[word] for word in w.NOUNS]
    uppers = [w.UPPER[kind] for kind in kinds]
    found = [(neighbours(layer, kinds), neighbours(layer, uppers)) for layer in states]
    layer = max(range(len(found)), key=lambda at: found[at])
    shuffled = list(kinds)
    Random(2).shuffle(shuffled)
    values = {
        "same kind": found[layer][0],
        "same upper class": found[layer][1],
        "same kind, shuffled names": neighbours(states[layer], shuffled),
    }
    return Row(
        21,
        "nearest neighbour of a noun (103 nouns, 14 kinds), best layer",
        values,
        {"same kind": (">=", 0.85), "same upper class": (">=", 0.93)},
        note=f"after block {layer}",
    )


def rows(reader: Reader) -> list[Row]:
    return [
        circle_row(reader, 17, "days", w.DAYS),
        circle_row(reader, 18, "months", w.MONTHS),
        *pair_rows(reader),
        neighbour_row(reader),
    ]
