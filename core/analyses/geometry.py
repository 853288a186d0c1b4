"""Concepts at one layer: which vectors are alike, which are not, and where their items lie."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core import concept_sets, concepts
from core.analyses.clouds import components, cosines, prepared, unit, varied
from core.analyses.item_states import ItemStates, item_states
from core.analyses.runs import Progress
from core.analyses.states import stream_sites
from core.models.loaded import Loaded
from core.results.geometry import Geometry
from core.spec.concept import Concept
from core.spec.concept import from_plain as concept_of
from core.spec.concept_set import SLOT, ConceptSet, short
from core.spec.errors import Error

DRAWS = 100
HALVES = 20
MOST = 300  # concepts
AS_THEY_ARE = (SLOT,)
EMBEDDING = "embedding"


@dataclass(frozen=True)
class _Asked:
    """Concepts with the contexts their items stand in, () for neutral ones."""

    concepts: tuple[Concept, ...]
    contexts: tuple[str, ...]


@dataclass(frozen=True)
class _Slots:
    """Rows of the cloud that each concept's items are, and the weight of each in its vector.

    rows      [slot] row of the states: one slot for every item of every side of every concept
    weights   [concept, slot] 1/n for positive items, -1/n for negative ones
    positive  [slot] is it a positive item?
    concept   [slot]
    """

    rows: np.ndarray
    weights: np.ndarray
    positive: np.ndarray
    concept: np.ndarray


def geometry(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any,
    layer: int | str | None = None,
    prepare: str = "centre",
    contexts: Sequence[str] = (),
    read: str = "last",
    dims: int = 2,
    seed: int = 0,
) -> Geometry:
    """Cosines between concept vectors at one layer, beside chance, and the items in 2 or 3 axes.

    concepts  a list of concepts (texts that have it, texts that have not) or the name of a set.
              Texts of concepts are prompts as they are; words of a set stand in its contexts
    layer     number of a block, for its output `L{layer}.resid_post`; "embedding" for what enters
              the first; None for the output at which items are most alike within a concept,
              compared with other concepts (mean cosine)
    prepare   one of `clouds.PREPARED`, from all items
    contexts  texts that end with {}, the place of an item, instead
    read      the "last" token of an item, or the "mean" of its tokens (at most 8)

    All items of all concepts, as often as they are named, make the cloud that is centred.
    """
    asked = _asked(concepts)
    every = dict.fromkeys(text for one in asked.concepts for text in (*one.positive, *one.negative))
    seen = item_states(
        loaded, progress, tuple(every), contexts=contexts or asked.contexts, read=read
    )
    kept = _kept(asked.concepts, seen)
    slots = _slots(kept, seen)
    if dims not in (2, 3):
        raise Error(f"dims= is 2 or 3, not {dims}")
    depth = _depth(loaded, layer, seen, slots)
    progress.step(0.7, f"{len(kept)} concepts against {DRAWS} random ones")
    states = seen.at(depth)[slots.rows]
    varied(states, "the items")
    cloud = prepared(states, prepare)
    rng = np.random.default_rng(seed)
    return Geometry(
        request={},
        concepts=tuple(one.name for one in kept),
        site=_site(loaded, depth),
        prepare=prepare,
        contexts=seen.contexts,
        read=read,
        items=tuple(text for one in kept for text in one.positive),
        n_positive=tuple(len(one.positive) for one in kept),
        n_negative=tuple(len(one.negative) for one in kept),
        dropped=seen.dropped,
        n_draws=DRAWS,
        seed=seed,
        **_vectors(cloud, slots, len(kept), rng, progress),
        **_places(cloud, slots, len(kept), dims),
    )


def _vectors(
    cloud: np.ndarray, slots: _Slots, n: int, rng: np.random.Generator, progress: Progress
) -> dict[str, np.ndarray]:
    """The vectors of n concepts, their cosines and chance, by field of the result."""
    vectors = slots.weights @ cloud
    cosine = _cosines(vectors)
    drawn = _chance(cloud, slots, rng, progress)
    size = np.linalg.norm(cloud - cloud.mean(axis=0), axis=1).mean()
    return {
        "cosine": cosine,
        "control_cosine": drawn.mean(axis=0),
        "control_spread": drawn.std(axis=0),
        "p": _p(cosine, drawn),
        "split_half": _split_half(cloud, slots, n, rng),
        "length": np.linalg.norm(vectors, axis=1) / size,
        "vectors": vectors.astype(np.float32),
    }


def _places(cloud: np.ndarray, slots: _Slots, n: int, dims: int) -> dict[str, np.ndarray]:
    """Positive items on the first components of all items, by field of the result."""
    centred = cloud - cloud.mean(axis=0)
    places = centred @ components(centred, dims).T
    shown, owner = places[slots.positive], slots.concept[slots.positive]
    return {
        "projection": shown,
        "concept_places": np.stack([shown[owner == one].mean(axis=0) for one in range(n)]),
        "explained": (places**2).sum(axis=0) / max(float((centred**2).sum()), 1e-300),
        "concept_of": owner.astype(np.int32),
    }


def _asked(given: Any) -> _Asked:
    """The concepts of a question; several of them, or the groups of a set."""
    if isinstance(given, str) and given in concepts.built_in():
        return _Asked((concepts.named(given),), AS_THEY_ARE)
    parts = list(given) if isinstance(given, list | tuple) else []
    if parts and all(_is_concept(part) for part in parts):
        found = tuple(
            concepts.named(part) if isinstance(part, str) else concept_of(part) for part in parts
        )
        return _checked(found, AS_THEY_ARE)
    one = concept_sets.asked(given)
    return _checked(_of_set(one), one.contexts)


def _is_concept(part: Any) -> bool:
    """A concept, its fields, or the name of a built-in one."""
    if isinstance(part, str):
        return part in concepts.built_in()
    if isinstance(part, Concept):
        return True
    if isinstance(part, ConceptSet) or not isinstance(part, Mapping | list | tuple):
        return False
    try:
        return "positive" in dict(part)
    except (TypeError, ValueError):
        return False


def _checked(found: tuple[Concept, ...], contexts: tuple[str, ...]) -> _Asked:
    if len(found) > MOST:
        raise Error(f"{len(found)} concepts; at most {MOST} are compared, so choose some")
    names = [one.name for one in found]
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise Error(f"two concepts are named {short(twice)}; give each its own name")
    return _Asked(found, contexts)


def _of_set(one: ConceptSet) -> tuple[Concept, ...]:
    """The groups of a set as concepts: pairs against their halves, a parent with all below it."""
    found = []
    for group in one.groups:
        words = group.items if one.kind == "pairs" else one.below(group.name)
        if one.kind == "pairs":
            found.append(Concept(group.name, group.items, group.targets, paired=True))
        elif words:
            found.append(Concept(group.name, words))
    return tuple(found)


def _kept(asked: Sequence[Concept], seen: ItemStates) -> list[Concept]:
    """The concepts with the items that could be read; of a pair both halves or none."""
    there, found = set(seen.words), []
    for one in asked:
        if one.paired:
            pairs = [
                pair
                for pair in zip(one.positive, one.negative, strict=True)
                if there.issuperset(pair)
            ]
            up, down = tuple(a for a, _ in pairs), tuple(b for _, b in pairs)
        else:
            up = tuple(text for text in one.positive if text in there)
            down = tuple(text for text in one.negative if text in there)
        if not up or (one.negative and not down):
            why = next(why for word, why in seen.dropped if word in (*one.positive, *one.negative))
            raise Error(f"{one.name}: none of its items can be read ({why})")
        found.append(Concept(one.name, up, down, paired=one.paired))
    return found


def _slots(kept: Sequence[Concept], seen: ItemStates) -> _Slots:
    rows: list[int] = []
    positive: list[bool] = []
    concept: list[int] = []
    for number, one in enumerate(kept):
        rows += seen.rows((*one.positive, *one.negative))
        positive += [True] * len(one.positive) + [False] * len(one.negative)
        concept += [number] * (len(one.positive) + len(one.negative))
    side, owner = np.array(positive), np.array(concept)
    own = owner == np.arange(len(kept))[:, None]  # [concept, slot]
    up, down = own & side, own & ~side
    weights = up / up.sum(axis=1, keepdims=True) - down / np.maximum(
        down.sum(axis=1, keepdims=True), 1
    )
    return _Slots(np.array(rows), weights, side, owner)


def _depth(loaded: Loaded, layer: int | str | None, seen: ItemStates, slots: _Slots) -> int:
    """Row of the states that a question means: 0 the embedding, l the output of block l - 1."""
    n_blocks = seen.n_layers - 1
    if layer is None:
        return _best(seen, slots)
    if layer == EMBEDDING:
        return 0
    number = layer
    if isinstance(layer, str):
        places = [str(place) for place in stream_sites(loaded)]
        number = places.index(layer) if layer in places else -1
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < n_blocks:
        raise Error(
            f"{loaded.name} has blocks 0 to {n_blocks - 1}; layer= is one of them or "
            f"{EMBEDDING!r}, not {str(layer)[:20]!r}"
        )
    return number + 1


def _best(seen: ItemStates, slots: _Slots) -> int:
    """The block output at which the items of a concept are nearest to their own, by cosine."""
    rows, owner = slots.rows[slots.positive], slots.concept[slots.positive]
    if len(np.unique(owner)) < 2:
        return (seen.n_layers + 1) // 2
    some = np.random.default_rng(0).permutation(len(rows))[:500]
    scores = []
    for depth in range(1, seen.n_layers):
        states = seen.at(depth)[rows[some]]
        scores.append(_told_apart(states - states.mean(axis=0), owner[some]))
    return 1 + int(np.nanargmax(scores)) if np.isfinite(scores).any() else seen.n_layers - 1


def _told_apart(cloud: np.ndarray, owner: np.ndarray) -> float:
    """Mean cosine within concepts minus that between them."""
    alike = cosines(cloud)
    same = owner[:, None] == owner
    apart = ~same
    np.fill_diagonal(same, False)
    if not same.any() or not apart.any():
        return float("nan")
    return float(alike[same].mean() - alike[apart].mean())


def _site(loaded: Loaded, depth: int) -> str:
    return EMBEDDING if depth == 0 else str(stream_sites(loaded)[depth - 1])


def _cosines(vectors: np.ndarray) -> np.ndarray:
    found = cosines(vectors).clip(-1, 1)
    known = np.linalg.norm(vectors, axis=1) > 0
    found[known, known] = 1.0
    return found


def _chance(
    cloud: np.ndarray, slots: _Slots, rng: np.random.Generator, progress: Progress
) -> np.ndarray:
    """[draw, concept, concept] cosines after the items were dealt out anew."""
    drawn = []
    for _ in range(DRAWS):
        progress.check()
        drawn.append(_cosines(slots.weights[:, rng.permutation(len(cloud))] @ cloud))
    return np.stack(drawn)


def _p(cosine: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Two-sided p of each cosine among those of chance, around their mean; 1 on the diagonal."""
    middle = drawn.mean(axis=0)
    far = np.abs(drawn - middle) >= np.abs(cosine - middle) - 1e-12
    found: np.ndarray = (1 + far.sum(axis=0)) / (1 + len(drawn))
    np.fill_diagonal(found, 1.0)
    return found


def _split_half(cloud: np.ndarray, slots: _Slots, n: int, rng: np.random.Generator) -> np.ndarray:
    """[concept] mean cosine of the vectors of two random halves of its items; NaN with too few."""
    found = np.full(n, np.nan)
    for one in range(n):
        sides = [
            np.flatnonzero((slots.concept == one) & side)
            for side in (slots.positive, ~slots.positive)
        ]
        sides = [rows for rows in sides if len(rows)]
        if min(map(len, sides)) < 2:
            continue
        each = []
        for _ in range(HALVES):
            halves = [np.array_split(rng.permutation(rows), 2) for rows in sides]
            first, second = (
                cloud[halves[0][part]].mean(axis=0)
                - (cloud[halves[1][part]].mean(axis=0) if len(halves) > 1 else 0)
                for part in (0, 1)
            )
            each.append(float(unit(first) @ unit(second)))
        found[one] = np.mean(each)
    return found
