"""What a direction is asked from: the items of a concept as states, or a vector set beforehand."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core import concepts
from core.analyses.contrast import METHODS, Sides
from core.analyses.made_of import readable
from core.analyses.runs import Progress
from core.analyses.states import encoded, reference_norm, states, stream_sites
from core.corpus.reference import sentences
from core.engine.readout import reading_matrix
from core.engine.writes import neuron_writes
from core.models.loaded import Loaded
from core.models.tokens import encode, known_ids, pieces
from core.spec.concept import Concept, from_plain
from core.spec.errors import Error
from core.spec.site import site

LEAST = 2  # items a side
UNLIKE = "sentences of the reference text"
FIXED = ("token", "neuron", "random", "given")  # methods that do not look at the items


@dataclass(frozen=True)
class Given:
    """The items of a question as states.

    positive, negative [layer, item, d_model] float32; norm [layer] mean length of the stream.
    """

    name: str
    about: tuple[str, ...]
    source: str
    paired: bool
    positive: Tensor
    negative: Tensor
    norm: np.ndarray
    n_tokens: int

    @property
    def n_positive(self) -> int:
        return self.positive.shape[1]

    @property
    def n_negative(self) -> int:
        return self.negative.shape[1]

    def sides(self, layer: int) -> Sides:
        """The two sets of one layer in float64."""
        up, down = self.positive[layer], self.negative[layer]
        return Sides(up.double().numpy(), down.double().numpy(), self.paired)


def asked_concept(
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
) -> Concept | None:
    """The concept of a question: by name, as data, as two lists of texts or as pairs; or None."""
    ways = bool(concept) + bool(positive or negative) + bool(pairs)
    if ways > 1:
        raise Error("give a concept, or positive and negative texts, or pairs, not several of them")
    if not ways:
        return None
    if concept:
        return concepts.named(concept) if isinstance(concept, str) else from_plain(concept)
    if pairs:
        if any(isinstance(pair, str) or len(pair) != 2 for pair in pairs):
            raise Error("pairs are a list of (positive text, negative text)")
        up, down = zip(*pairs, strict=True)
        return Concept("own pairs", up, down, paired=True)
    return Concept("own texts", tuple(positive), tuple(negative))


def against(concept: Concept) -> tuple[tuple[str, ...], str]:
    """The negative texts of a concept, neutral sentences where it has none, and what they are."""
    if concept.negative:
        return concept.negative, f"negative texts of {concept.name}"
    taken = set(concept.positive)
    return tuple(text for text in sentences() if text not in taken), UNLIKE


def items(
    loaded: Loaded,
    progress: Progress,
    *,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    position: str = "last",
    other: Loaded | None = None,
    optional: bool = False,
) -> Given:
    """States of a concept's items at every layer, or of the same texts in two models.

    `optional`: no concept is an empty set of items, its norms those of the reference text.
    """
    meant = asked_concept(concept, positive, negative, pairs)
    if meant is None:
        if not optional:
            raise Error("a direction needs a concept, or positive and negative texts, or pairs")
        return _none(loaded, progress)
    if other is not None:
        return _shift(loaded, progress, meant, position, other)
    downs, what = against(meant)
    if min(len(meant.positive), len(downs)) < LEAST:
        raise Error(f"{meant.name}: a direction needs at least {LEAST} texts on each side")
    ids = encoded(loaded, (*meant.positive, *downs))
    seen = states(loaded, progress, ids, positions=(position,), share=(0.0, 0.3))
    up, down = seen.vectors[0].split([len(meant.positive), len(downs)], dim=1)
    about = (f"positive texts of {meant.name}", what)
    return Given(
        meant.name, about, meant.source, meant.paired, up, down, seen.norm.numpy(), seen.n_tokens
    )


def _none(loaded: Loaded, progress: Progress) -> Given:
    empty = torch.zeros(len(stream_sites(loaded)), 0, loaded.d_model)
    norm, n_tokens = reference_norm(loaded, progress)
    return Given("", ("", ""), "", False, empty, empty, norm.numpy(), n_tokens)


def _shift(
    loaded: Loaded, progress: Progress, concept: Concept, position: str, there: Loaded
) -> Given:
    """The same texts in two models: the other's states against this model's, text by text."""
    texts = tuple(dict.fromkeys((*concept.positive, *concept.negative)))
    ids = encoded(loaded, texts)
    _same_shape(loaded, there, ids, encoded(there, texts))
    here = states(loaded, progress, ids, positions=(position,), share=(0.0, 0.15))
    moved = states(there, progress, ids, positions=(position,), share=(0.15, 0.3))
    about = (f"states of {there.name}", f"states of {loaded.name}")
    name = f"{loaded.name} to {there.name} on {concept.name}"
    up, down = moved.vectors[0], here.vectors[0]
    return Given(name, about, concept.source, True, up, down, here.norm.numpy(), here.n_tokens)


def _same_shape(
    loaded: Loaded, other: Loaded, ids: Sequence[Sequence[int]], there: Sequence[Sequence[int]]
) -> None:
    for what, mine, its in (
        ("layers", len(stream_sites(loaded)), len(stream_sites(other))),
        ("channels", loaded.d_model, other.d_model),
    ):
        if mine != its:
            raise Error(
                f"{other.name} has {its} {what} and {loaded.name} {mine}; a shift is defined "
                "between two models of one shape"
            )
    for number, (one, two) in enumerate(zip(ids, there, strict=True), start=1):
        if list(one) != list(two):
            raise Error(
                f"{other.name} splits text {number} into other tokens than {loaded.name}; a shift "
                "needs the same tokenizer"
            )


def fixed(
    loaded: Loaded,
    method: str,
    token: str,
    neuron: str,
    vectors: Sequence[Sequence[float]],
    seed: int,
) -> Tensor | None:
    """The vectors [layer, d_model] of a method that does not look at the items, else None."""
    if method not in (*METHODS, *FIXED):
        raise Error(
            f"no method {method[:40]!r} for a direction; there are {', '.join((*METHODS, *FIXED))}"
        )
    for name, value in (("token", token), ("neuron", neuron), ("given", vectors)):
        option = "vectors" if name == "given" else name
        if (method == name) != bool(value):
            what = f"needs {option}=" if method == name else f"does not take {option}="
            raise Error(f"method {method!r} {what}")
    if method in METHODS:
        return None
    n_layers = len(stream_sites(loaded))
    if method == "given":
        return _handed(vectors, n_layers, loaded.d_model)
    if method == "random":
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(n_layers, loaded.d_model, generator=generator)
    with loaded.busy():
        vector = _token(loaded, token) if method == "token" else _neuron(loaded, neuron)
    return vector.cpu().expand(n_layers, -1)


def _handed(vectors: Sequence[Sequence[float]], n_layers: int, width: int) -> Tensor:
    try:
        found = torch.tensor(vectors, dtype=torch.float32)
    except (TypeError, ValueError):
        raise Error("vectors= is a list of equally long lists of numbers, one per layer") from None
    if tuple(found.shape) != (n_layers, width):
        raise Error(
            f"vectors= has the shape {list(found.shape)}; this model needs "
            f"[{n_layers} layers, {width}]"
        )
    if not torch.isfinite(found).all() or not (found != 0).any(dim=1).all():
        raise Error("vectors= holds a vector of length zero or a value that is not finite")
    return found


def _token(loaded: Loaded, token: str) -> Tensor:
    """What has to be added to the stream to raise this token against all others."""
    if not readable(loaded):
        raise Error(f"{loaded.name} has no plain unembedding, so tokens have no direction in it")
    ids, matrix = word_ids(loaded, token), reading_matrix(loaded)
    # A word of several tokens: the mean of its pieces.
    return matrix[ids].mean(dim=0) - matrix[: known_ids(loaded)].mean(dim=0)


def word_ids(loaded: Loaded, word: str) -> list[int]:
    """Token ids of a word without special tokens and lone blanks (SentencePiece adds one)."""
    special = set(loaded.tokenizer.all_special_ids)
    ids = [i for i in encode(loaded, word) if i not in special]
    kept = [i for i, piece in zip(ids, pieces(loaded, ids), strict=True) if piece.strip()]
    if not kept:
        raise Error(f"{word[:40]!r} has no tokens besides special ones and blanks")
    return kept


def _neuron(loaded: Loaded, neuron: str) -> Tensor:
    place = site(neuron)
    if place.component != "neuron" or place.unit is None:
        raise Error(f"{place}: a neuron is named as L3.neuron[17]")
    loaded.check(place)
    return neuron_writes(loaded, place.layer, place.stack)[place.unit]
