"""What do concepts look like at each layer, and where do they come apart?

Maps of principal components with turned frames are common practice; the layout by neighbours has
the objective of UMAP (McInnes, Healy and Melville 2018).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from core.analyses import layer_frames as frames
from core.analyses.clouds import flat, prepared, silhouette
from core.analyses.item_states import FLOATS_KEPT, ItemStates, checked, item_states
from core.analyses.layer_scores import Question, class_axes, explained, silhouettes, trusted
from core.analyses.runs import Progress
from core.analyses.set_points import Points, only, points, sample
from core.concept_sets import asked
from core.models.loaded import Loaded
from core.results.layer_map import LayerMap
from core.spec.errors import Error

MOST_DRAWN = 5_000
SCORED = 300  # items behind a silhouette: it costs the square of them
SHOWN_NULL = 400  # items drawn on shuffled axes
NEIGHBOURS = 15


def layer_map(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any,
    mode: str = "",
    dims: int = 3,
    layer: int | None = None,
    prepare: str = "zscore",
    contexts: Sequence[str] = (),
    read: str = "last",
    n_neighbours: int = NEIGHBOURS,
    most: int = MOST_DRAWN,
    seed: int = 0,
) -> LayerMap:
    """The words of a set in 2 or 3 axes at every layer, each map turned onto the one before.

    mode   "classes": principal components of the class means, all words projected (usual where
           there are classes); "layer": principal components of every layer; "basis": those of
           one layer for all; "neighbours": UMAP's layout, whose distances between clusters say
           nothing. "": the first two, as the set has classes or not
    layer  depth (0 the embedding, l the output of block l - 1) whose axes all layers have, or where
           the layout by neighbours begins; None: where classes are most apart, else the last
    prepare  one of `clouds.PREPARED`, each layer by its own mean and spread
    n_neighbours  of the layout, and of trustworthiness
    most   words that are drawn; beyond it the same share of every class

    Silhouettes are of up to 300 words; held out: axes from one half of every class, the silhouette
    of the other half. Labels are dealt out anew 20 times (8 for more than 1,000 words).
    """
    given = asked(concepts)
    _check(mode, dims, n_neighbours, most)
    drawn = sample(points(given), most, seed)
    used, note = _fitting(loaded, checked(contexts or given.contexts), len(drawn.words))
    seen = item_states(loaded, progress, drawn.words, contexts=used, read=read)
    question = _question(drawn, seen, mode, prepare, dims, n_neighbours, seed)
    progress.step(0.62, "where classes come apart")
    full = np.array([_apart(question, at, progress) for at in range(seen.n_layers)])
    question.basis = _start(layer, full, seen.n_layers)
    same = [at for at in range(seen.n_layers) if flat(seen.at(at)[question.rows])]
    if len(same) == seen.n_layers:
        raise Error("the words have the same state at every layer, so there is nothing to draw")
    if same:
        note = (*note, f"at depth {', '.join(map(str, same))} all words have the same state")
    found: dict[int, _Layer] = {}

    def result() -> LayerMap:
        return _result(loaded, given.name, given.kind, drawn, question, found, full, (*note,))

    for at in _order(question, seen.n_layers):
        share = 0.65 + 0.35 * len(found) / seen.n_layers
        progress.step(share, f"map of layer {at} of {seen.n_layers - 1}")
        found[at] = _layer(question, at, found, progress.check)
        if len(found) == 1 and seen.n_layers > 1:
            progress.publish(result())
    return result()


def _check(mode: str, dims: int, n_neighbours: int, most: int) -> None:
    if mode and mode not in frames.MODES:
        raise Error(f"mode= is one of {', '.join(frames.MODES)}, not {str(mode)[:20]!r}")
    if dims not in (2, 3):
        raise Error(f"dims= is 2 or 3, not {str(dims)[:20]}")
    for name, value, least, highest in (
        ("n_neighbours", n_neighbours, 2, 100),
        ("most", most, 10, 20_000),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= highest:
            raise Error(f"{name}= is a number from {least} to {highest:,}, not {str(value)[:20]}")


def _fitting(
    loaded: Loaded, contexts: tuple[str, ...], n_words: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """As many of the contexts as their states fit into memory, and a note when some were left."""
    each = n_words * loaded.d_model * (loaded.n_layers + 1)
    kept = max(1, min(len(contexts), FLOATS_KEPT // max(1, each)))
    if kept == len(contexts):
        return contexts, ()
    return contexts[:kept], (
        f"so many words stand in the first {kept} of {len(contexts)} contexts only",
    )


def _question(
    drawn: Points, seen: ItemStates, mode: str, prepare: str, dims: int, k: int, seed: int
) -> Question:
    """The words that were read, in an order of their own: that of the set changes nothing."""
    there = set(seen.words)
    order = sorted((word, place) for place, word in enumerate(drawn.words) if word in there)
    own = only(drawn, np.array([place for _, place in order]))
    rng = np.random.default_rng(seed)
    if mode == "classes" and not own.labelled:
        raise Error("mode 'classes' needs two groups of at least two words each; choose 'layer'")
    mode = mode or ("classes" if own.labelled else "layer")
    n = len(own.words)
    scored = np.sort(rng.permutation(n)[:SCORED])
    train = _halves(own.group, rng)
    held = np.flatnonzero(~train)
    return Question(
        own, seen, seen.rows(own.words), mode, prepare, dims, max(2, min(k, (n - 2) // 2)), seed,
        train, scored, held[np.sort(rng.permutation(len(held))[:SCORED])],
        np.sort(rng.permutation(n)[:SHOWN_NULL]), rng.permutation(own.group),
    )  # fmt: skip


def _halves(group: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[item] the half of every class that axes are fitted on, the odd one with it."""
    train = np.zeros(len(group), dtype=bool)
    for number in np.unique(group):
        mine = rng.permutation(np.flatnonzero(group == number))
        train[mine[: (len(mine) + 1) // 2]] = True
    return train


def _apart(question: Question, layer: int, progress: Progress) -> float:
    """Silhouette of the classes in all dimensions."""
    progress.check()
    if not question.points.labelled:
        return float("nan")
    some = question.scored
    cloud = prepared(question.states.at(layer)[question.rows], question.prepare)[some]
    return silhouette(cloud, question.points.group[some])


def _start(layer: int | None, full: np.ndarray, n_layers: int) -> int:
    """The depth asked for; else the block output at which classes are most apart, else the last."""
    if layer is None:
        behind = full[1:]
        return 1 + int(np.nanargmax(behind)) if np.isfinite(behind).any() else n_layers - 1
    if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer < n_layers:
        raise Error(
            f"layer= is a depth from 0 (the embedding) to {n_layers - 1}, not {str(layer)[:20]!r}"
        )
    return layer


def _order(question: Question, n_layers: int) -> list[int]:
    """From the basis up, then from it down, so that the layer that matters is there first."""
    return [*range(question.basis, n_layers), *range(question.basis - 1, -1, -1)]


@dataclass(frozen=True)
class _Layer:
    """Everything of one layer, by the names of the result."""

    places: np.ndarray
    scale: float
    null_places: np.ndarray
    numbers: dict[str, Any]


def _layer(
    question: Question, layer: int, found: dict[int, _Layer], check: Callable[[], None]
) -> _Layer:
    rng = np.random.default_rng((question.seed, layer))
    cloud = question.cloud(layer)
    if not np.isfinite(cloud).all():
        raise Error(f"layer {layer}: states are not finite; the model overflows on these words")
    beside = next((found[at] for at in (layer - 1, layer + 1) if at in found), None)
    places, free = _places(question, cloud, beside, check)
    check()
    null = _null_places(question, cloud)
    numbers = {
        **explained(question, cloud, places, rng),
        **silhouettes(question, cloud, places, rng, check),
        **trusted(question, cloud, places, rng),
    }
    if question.mode == "neighbours":
        return _Layer(_onto(places, beside), float("nan"), null, numbers)
    unit, scale = frames.unit_spread(places)
    if len(null):
        null = (null - null.mean(axis=0)) / max(scale, frames.FLAT)
    if free and beside is not None:
        unit = frames.turned(unit, beside.places)
        null = frames.turned(null, beside.null_places)
    return _Layer(unit, scale, null, numbers)


def _onto(places: np.ndarray, beside: _Layer | None) -> np.ndarray:
    """A layout turned onto the one beside it, at its own scale, so that the next can go on."""
    places = places - places.mean(axis=0)
    return places if beside is None else frames.turned(places, beside.places)


def _places(
    question: Question, cloud: np.ndarray, beside: _Layer | None, check: Callable[[], None]
) -> tuple[np.ndarray, bool]:
    """(places of a layer, may they be turned?): axes that all layers share stay as they are."""
    match question.mode:
        case "classes":
            return class_axes(question, cloud, question.points.group).places(cloud), True
        case "layer":
            return frames.principal_axes(cloud, question.dims).places(cloud), True
        case "basis":
            axes = frames.principal_axes(_basis_cloud(question), question.dims)
            return (cloud - cloud.mean(axis=0)) @ axes.rows.T, False
    if len(cloud) < 4:
        raise Error(f"{len(cloud)} words are too few for a layout by neighbours; choose 'layer'")
    if flat(cloud):
        return np.zeros((len(cloud), question.dims)) if beside is None else beside.places, True
    near = frames.neighbours(cloud, min(question.k, len(cloud) - 1), check)
    if beside is None:
        return frames.first_layout(
            near, cloud, question.dims, question.seed, lambda _: check()
        ), True
    return frames.next_layout(near, beside.places, question.seed), True


def _basis_cloud(question: Question) -> np.ndarray:
    return prepared(question.states.at(question.basis)[question.rows], question.prepare)


def _null_places(question: Question, cloud: np.ndarray) -> np.ndarray:
    """[shown, dims] some items on axes fitted on shuffled labels; () in maps that use no labels."""
    if question.mode != "classes":
        return np.zeros((0, question.dims))
    return class_axes(question, cloud, question.null_group).places(cloud[question.null_item])


def _result(
    loaded: Loaded,
    name: str,
    kind: str,
    drawn: Points,
    question: Question,
    found: dict[int, _Layer],
    full: np.ndarray,
    notes: tuple[str, ...],
) -> LayerMap:
    own, seen = question.points, question.states
    number = {word: at for at, word in enumerate(drawn.words)}
    back = np.argsort([number[word] for word in own.words])  # the order of the set
    held = len(question.tested) if question.mode == "classes" else 0
    return LayerMap(
        request={},
        concepts=name,
        kind=kind,
        mode=question.mode,
        prepare=question.prepare,
        contexts=seen.contexts,
        read=seen.read,
        stack=loaded.prompt_stack,
        basis=question.basis,
        n_given=len(drawn.words),
        dropped=seen.dropped,
        notes=(*own.notes, *notes),
        words=tuple(own.words[at] for at in back),
        groups=own.names,
        n_neighbours=question.k,
        n_scored=len(question.scored),
        n_held_out=held,
        seed=question.seed,
        group=own.group[back].astype(np.int16),
        full_silhouette=full[sorted(found)],
        **_by_word(question, back),
        **_by_layer(question, found, back),
    )


def _by_word(question: Question, back: np.ndarray) -> dict[str, np.ndarray]:
    """What names items by their numbers, in the order of the set."""
    place = np.empty(len(back), dtype=np.int32)
    place[back] = np.arange(len(back))
    pair, shown = question.points.pairs, question.null_item
    if question.mode != "classes":
        shown = shown[:0]
    return {
        "pair": place[pair] if len(pair) else pair,
        "null_item": place[shown],
        "null_group": question.null_group[shown].astype(np.int16),
    }


def _by_layer(
    question: Question, found: dict[int, _Layer], back: np.ndarray
) -> dict[str, np.ndarray]:
    """What has a row for every layer that is there, the items in the order of the set."""
    layers = sorted(found)
    each = [found[at] for at in layers]
    places = np.stack([one.places for one in each])
    if question.mode == "neighbours":
        places = np.stack([frames.unit_spread(one)[0] for one in places])
    smooth = [
        frames.alike(one, other) if after == before + 1 else np.nan
        for (before, after), (one, other) in zip(pairwise(layers), pairwise(places), strict=True)
    ]
    return {
        "layers": np.array(layers, dtype=np.int32),
        "places": places[:, back].astype(np.float32),
        "scale": np.array([one.scale for one in each]),
        "smooth": np.array([np.nan, *smooth]),
        "null_places": np.stack([one.null_places for one in each]).astype(np.float32),
        **{name: np.array([one.numbers[name] for one in each]) for name in each[0].numbers},
    }
