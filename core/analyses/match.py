"""Which neuron, head or feature of another model corresponds to each of this one."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses import paired_units, two_models
from core.analyses.made_of import readable
from core.analyses.paired_units import Side
from core.analyses.runs import Progress
from core.analyses.two_models import Items
from core.engine.readout import reading_matrix
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.results.match import Match
from core.spec.errors import Error
from core.spec.site import STREAM

WAYS = ("activation", "writes")
MOST = 2_000  # tokens
LEAST = 30
HELD = 128_000_000  # numbers of one side kept at a time: 512 MB in float32
LISTED = 60
N_SAYS = 5
_TINY = 1e-12


def match(
    loaded: Loaded,
    progress: Progress,
    *,
    other: Loaded,
    unit: str = "neuron",
    by: str = "activation",
    texts: Sequence[str] = (),
    dictionary: str = "",
    with_dictionary: str = "",
    most: int = MOST,
    seed: int = 0,
) -> Match:
    """The best counterpart of every unit among all units of the other model, both ways.

    other  the second model, of any size and tokenizer, by name
    unit   "neuron", "head", or "feature" of dictionary= here and with_dictionary= there (the same
           name by itself)
    by     "activation": correlation over the tokens behind which both models have read the same
           characters; "writes": correlation of what they add to the logits of the tokens both
           vocabularies have. Heads are compared as spaces (linear CKA)
    texts  () for sentences of many kinds

    After Gurnee et al. 2024, "Universal Neurons in GPT2 Language Models", whose control is the
    best among random mixtures of the other model's neurons. Layers go pair by pair, so that no
    table of all units by all units is held.
    """
    if by not in WAYS:
        raise Error(f"units are matched by {' or '.join(WAYS)}, not {str(by)[:20]!r}")
    if isinstance(most, bool) or not isinstance(most, int) or not LEAST <= most <= 50_000:
        raise Error(f"most= is a whole number from {LEAST} to 50,000, not {most!r:.20}")
    sides = (
        paired_units.side(loaded, unit, dictionary),
        paired_units.side(other, unit, (with_dictionary or dictionary) if dictionary else ""),
    )
    rows: _ByActivation | _ByWrites
    if by == "activation":
        asked = two_models.items(loaded, other, texts, "token", most, LEAST, seed)
        rows = _ByActivation(sides, progress, asked, seed)
    else:
        with two_models.both_busy(loaded, other):
            rows = _ByWrites(sides, paired_units.shared_words(loaded, other))
    why = _no_index(sides)
    found = _best(sides, rows, not why, progress, seed)
    return _result(sides, by, rows, why, found, seed)


def _no_index(sides: tuple[Side, Side]) -> str:
    """Why unit j of one need not be unit j of the other."""
    one, two = sides
    if one.unit == "feature":
        if one.book is two.book or (
            one.book is not None
            and two.book is not None
            and one.book.about.fingerprint == two.book.about.fingerprint
        ):
            return ""
        return "the features are those of two dictionaries"
    return two_models.unlike_architectures(one.model, two.model)


@dataclass(frozen=True)
class Block:
    """The units of one layer: rows [unit x each, axis], and the length of each unit.

    A unit's rows are divided so that the product of two of them is their likeness.
    """

    rows: np.ndarray
    each: int

    def like(self, other: "Block") -> np.ndarray:
        """[unit here, unit there] correlation; of units with several rows their linear CKA."""
        found: np.ndarray = self.rows @ other.rows.T
        if self.each == 1 and other.each == 1:
            return found
        shape = (len(self.rows) // self.each, self.each, len(other.rows) // other.each, other.each)
        squares: np.ndarray = (found.reshape(shape) ** 2).sum(axis=(1, 3))
        return squares


def _divided(rows: np.ndarray, inner: np.ndarray | None, each: int) -> np.ndarray:
    """Rows over the length of their unit; `inner` is the metric, None the plain product."""
    metric = rows if inner is None else rows @ inner
    if each == 1:
        length = np.sqrt(np.maximum((metric * rows).sum(axis=1), 0.0))
        known = length > 1e-6 * max(float(length.max(initial=0.0)), _TINY)
        return np.where(known[:, None], rows / np.where(known, length, 1.0)[:, None], 0.0)
    units = rows.reshape(-1, each, rows.shape[1])
    gram = np.einsum("uij,ukj->uik", units, metric.reshape(units.shape), optimize=True)
    length = np.linalg.norm(gram, axis=(1, 2)) ** 0.5  # of two units: ||A'B||² / (||A'A|| ||B'B||)
    divided = units / np.maximum(length, _TINY)[:, None, None]
    return divided.reshape(rows.shape)


class _ByActivation:
    """Rows over the items of a text, read again in groups of layers where they are many."""

    def __init__(
        self, sides: tuple[Side, Side], progress: Progress, asked: Items, seed: int
    ) -> None:
        self.sides, self.progress, self.asked = sides, progress, asked
        self.order = np.random.default_rng(seed).permutation(asked.n)
        self.n_tokens, self.source = asked.n, asked.source
        self.notes = asked.notes
        self.peaks = [np.zeros(side.n, dtype=np.int64) for side in sides]

    def groups(self, number: int) -> list[list[int]]:
        """Layers of a side that are held together."""
        side = self.sides[number]
        size = max(1, HELD // (side.n_units * side.each * self.asked.n))
        layers = list(range(len(side.sites)))
        return [layers[start : start + size] for start in range(0, len(layers), size)]

    def blocks(self, number: int, layers: Sequence[int], share: tuple[float, float]) -> list[Block]:
        side = self.sides[number]
        found = paired_units.activations(side, self.progress, self.asked, number, layers, share)
        for layer, rows in zip(layers, found, strict=True):
            if side.each == 1:
                self.peaks[number][_slice(side, layer)] = rows.argmax(axis=1)
        return [Block(_divided(rows, None, side.each).astype("f4"), side.each) for rows in found]

    def left(self, block: Block) -> Block:
        """As it is multiplied with blocks of the other side."""
        return block

    def shuffled(self, block: Block) -> Block | None:
        """The other side with its tokens in random order."""
        return Block(block.rows[:, self.order], block.each)

    def mixed(self, block: Block, generator: np.random.Generator) -> Block:
        return Block(_divided(_mixture(block, generator), None, block.each), block.each)


class _ByWrites:
    """Rows over the stream, with the shared vocabulary as the metric."""

    notes: tuple[str, ...] = ()

    def __init__(self, sides: tuple[Side, Side], shared: paired_units.Shared) -> None:
        self.sides, self.shared = sides, shared
        self.n_tokens, self.source = shared.n, "tokens of both vocabularies"
        self.inner = [[part.numpy() for part in row] for row in shared.inner]
        self.peaks = [np.zeros(0, dtype=np.int64)] * 2

    def groups(self, number: int) -> list[list[int]]:
        return [[layer] for layer in range(len(self.sides[number].sites))]

    def blocks(
        self, number: int, layers: Sequence[int], _share: tuple[float, float]
    ) -> list[Block]:
        side = self.sides[number]
        metric = self.inner[number][number]
        return [
            Block(_divided(paired_units.writes(side, layer).numpy(), metric, side.each), side.each)
            for layer in layers
        ]

    def left(self, block: Block) -> Block:
        return Block(block.rows @ self.inner[0][1], block.each)

    def shuffled(self, _block: Block) -> Block | None:
        return None

    def mixed(self, block: Block, generator: np.random.Generator) -> Block:
        return Block(_divided(_mixture(block, generator), self.inner[1][1], block.each), block.each)


def _mixture(block: Block, generator: np.random.Generator) -> np.ndarray:
    """As many random mixtures of all the rows as there are rows."""
    mix = generator.standard_normal((len(block.rows), len(block.rows)), dtype=np.float32)
    return mix @ block.rows


def _slice(side: Side, layer: int) -> slice:
    return slice(layer * side.n_units, (layer + 1) * side.n_units)


@dataclass
class _Top:
    """The best two of every unit so far, and where the best is."""

    best: np.ndarray
    second: np.ndarray
    where: np.ndarray

    @classmethod
    def of(cls, n: int) -> "_Top":
        return cls(np.full(n, -np.inf), np.full(n, -np.inf), np.zeros(n, dtype=np.int64))

    def seen(self, part: slice, likeness: np.ndarray, first: int) -> None:
        """likeness [unit, candidate], candidates numbered from `first`; ties to the earlier."""
        at = likeness.argmax(axis=1)
        rows = np.arange(len(likeness))
        top = likeness[rows, at]
        rest = np.partition(likeness, -2, axis=1)[:, -2] if likeness.shape[1] > 1 else top * -np.inf
        best, second = self.best[part], self.second[part]
        better = top > best
        self.second[part] = np.where(better, np.maximum(best, rest), np.maximum(second, top))
        self.where[part] = np.where(better, first + at, self.where[part])
        self.best[part] = np.where(better, top, best)


def _best(
    sides: tuple[Side, Side],
    rows: _ByActivation | _ByWrites,
    by_index: bool,
    progress: Progress,
    seed: int,
) -> dict[str, Any]:
    """The best of every unit among all of the other side, its controls, and its own number's."""
    one, two = sides
    here, back = _Top.of(one.n), _Top.of(two.n)
    mixed, shuffled = _Top.of(one.n), _Top.of(one.n)
    index = np.full((2, one.n if by_index else 0), np.nan)
    for (a, left), (b, right) in _layer_pairs(rows, progress):
        likeness = left.like(right)
        part = _slice(one, a)
        here.seen(part, likeness, b * two.n_units)
        back.seen(_slice(two, b), likeness.T, a * one.n_units)
        generator = np.random.default_rng((seed, b))
        mixed.seen(part, left.like(rows.mixed(right, generator)), 0)
        other_order = rows.shuffled(right)
        if other_order is not None:
            shuffled.seen(part, left.like(other_order), 0)
        if by_index and a == b:
            index[:, part] = np.diagonal(likeness), np.diagonal(np.roll(likeness, -1, axis=1))
    return {"here": here, "back": back, "mixed": mixed, "shuffled": shuffled, "index": index}


def _layer_pairs(
    rows: _ByActivation | _ByWrites, progress: Progress
) -> Iterator[tuple[tuple[int, Block], tuple[int, Block]]]:
    """Every layer of one side with every layer of the other, a group of layers at a time."""
    groups = rows.groups(0), rows.groups(1)
    steps, done = len(groups[0]) * (1 + len(groups[1])), 0

    def stretch() -> tuple[float, float]:
        return 0.9 * done / steps, 0.9 * (done + 1) / steps

    for layers in groups[0]:
        held = rows.blocks(0, layers, stretch())
        lefts = [rows.left(block) for block in held]
        done += 1
        for others in groups[1]:
            rights = rows.blocks(1, others, stretch())
            done += 1
            for a, left in zip(layers, lefts, strict=True):
                for b, right in zip(others, rights, strict=True):
                    progress.step(stretch()[0], f"layer {a} with layer {b}")
                    yield (a, left), (b, right)


def _result(
    sides: tuple[Side, Side],
    by: str,
    rows: _ByActivation | _ByWrites,
    why: str,
    found: dict[str, Any],
    seed: int,
) -> Match:
    one, two = sides
    here, back, control = found["here"], found["back"], found["mixed"].best
    likeness = here.best
    mutual = back.where[here.where] == np.arange(one.n)
    strength = np.where(mutual, likeness, likeness - 2)
    listed = np.argsort(-strength, kind="stable")[:LISTED]
    layer_there = here.where // two.n_units
    flow = np.zeros((len(one.sites), len(two.sites)))
    np.add.at(flow, (np.arange(one.n) // one.n_units, layer_there), 1)
    by_layer = (len(one.sites), one.n_units)
    unlike = np.full(one.n, np.nan)
    return Match(
        request={},
        by=by,
        why_no_index=why,
        seed=seed,
        **_about(one, two, rows),
        says_here=_says(one, listed),
        says_there=_says(two, here.where[listed]),
        listed=listed,
        likeness=likeness,
        second=here.second,
        partner=here.where,
        mutual=mutual,
        control=control,
        shuffled=found["shuffled"].best if by == "activation" else unlike,
        threshold=float(np.quantile(control, 0.95)),
        same_index=found["index"][0],
        control_index=found["index"][1],
        back_likeness=back.best,
        back_partner=back.where,
        flow=flow / one.n_units,
        mean_likeness=likeness.reshape(by_layer).mean(axis=1),
        mean_control=control.reshape(by_layer).mean(axis=1),
    )


def _about(one: Side, two: Side, rows: _ByActivation | _ByWrites) -> dict[str, Any]:
    """Whose units were matched, on what, and where each is largest."""
    asked = getattr(rows, "asked", None)
    none = np.zeros(0, dtype=np.int64)
    return {
        "models": (one.model.name, two.model.name),
        "same": two_models.same_weights(one.model, two.model),
        "unit": one.unit,
        "dictionaries": tuple(side.book.name for side in (one, two) if side.book is not None),
        "stacks": (one.sites[0].stack, two.sites[0].stack),
        "n_units": (one.n_units, two.n_units),
        "layers": (tuple(s.layer for s in one.sites), tuple(s.layer for s in two.sites)),
        "n_tokens": rows.n_tokens,
        "source": rows.source,
        "texts": () if asked is None else asked.texts,
        "notes": tuple(rows.notes),
        "item_text": none if asked is None else asked.text,
        "item_end": none if asked is None else asked.end,
        "peak_here": rows.peaks[0] if one.each == 1 else none,
        "peak_there": rows.peaks[1] if two.each == 1 else none,
    }


def _says(side: Side, units: np.ndarray) -> tuple[tuple[str, ...], ...]:
    """The tokens that units raise most by what they write; () where nothing says so."""
    model = side.model
    if side.unit == "head" or model.prompt_stack or not readable(model):
        return ()
    if side.book is not None and side.book.out_site.component not in STREAM:
        return ()
    with model.busy():
        matrix = reading_matrix(model)[: known_ids(model)].float()
        found, kept = [], {}
        for unit in units:
            layer, number = divmod(int(unit), side.n_units)
            if layer not in kept:
                kept[layer] = paired_units.writes(side, layer)
            vector = kept[layer][number].float().to(matrix.device)
            top = torch.topk(matrix @ vector, min(N_SAYS, len(matrix))).indices.tolist()
            found.append(pieces(model, top))
    return tuple(found)
