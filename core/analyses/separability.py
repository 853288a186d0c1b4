"""At which layer do classes come apart, and how strongly is each attribute drawn?"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from core.analyses import attributes as known
from core.analyses import separation
from core.analyses.clouds import PREPARED, prepared, unit
from core.analyses.head_nulls import untrained
from core.analyses.item_states import ItemStates, item_states, set_states
from core.analyses.runs import Progress
from core.analyses.states import stream_sites
from core.concept_sets import asked
from core.models.loaded import Loaded
from core.results.separability import Separability
from core.spec.concept_set import ConceptSet, short
from core.spec.errors import Error

N_SHUFFLES = 30
MEASURES = ("gdv", "silhouette", "accuracy")


def separability(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any,
    by: str = "group",
    attributes: Any = (),
    prepare: str = "zscore",
    untrained_too: bool = False,
    n_shuffles: int = N_SHUFFLES,
    contexts: Sequence[str] = (),
    read: str = "last",
    seed: int = 0,
) -> Separability:
    """Separation of classes and variance shares of attributes at every layer.

    concepts       a set; see `core.concept_sets.asked`
    by             the attribute whose classes are asked about: "group", "parent", "top", "half of
                   the pair", "tokens", "letters", "rank", "capital" or one of one's own
    attributes     own ones: name -> {word: value}
    prepare        of the states, for shares, silhouette and accuracy; the gdv has its own
    untrained_too  the same with fresh weights

    The discrimination value after Schilling et al. 2021; variance shares after Lampinen, Chan and
    Hermann 2024, "Learned feature representations are biased by complexity, learning order,
    position, and more".
    """
    _check(prepare, n_shuffles)
    given = asked(concepts)
    seen = set_states(loaded, progress, given, contexts=contexts, read=read, share=(0.0, 0.5))
    about = known.of_words(loaded, given, seen, attributes)
    labels, classes, sizes = _classes(given, about, by)
    rows = _some(labels, seed)
    apart: dict[str, Any] = _apart(progress, seen, labels, rows, prepare, n_shuffles, seed)
    shares: dict[str, Any] = _shares(loaded, progress, seen, about, prepare, n_shuffles, seed)
    fresh, notes = _fresh(loaded, progress, seen, labels, rows, prepare, seed, untrained_too)
    alone: dict[str, Any] = {f"untrained_{name}": fresh[name] for name in MEASURES}
    notes += _said(seen, rows, sizes)
    sites = stream_sites(loaded)
    return Separability(
        request={},
        set_name=given.name,
        source=given.source,
        licence=given.licence,
        by=by,
        classes=classes,
        class_size=tuple(int(n) for n in sizes),
        prepare=prepare,
        contexts=seen.contexts,
        read=read,
        seed=seed,
        n_words=len(seen.words),
        n_compared=len(rows),
        dropped=seen.dropped,
        notes=tuple(notes),
        n_shuffles=n_shuffles,
        sites=("embedding", *map(str, sites)),
        **apart,
        **alone,
        **shares,
    )


def _check(prepare: str, n_shuffles: Any) -> None:
    if prepare not in PREPARED:
        raise Error(f"prepare= is one of {', '.join(PREPARED)}, not {str(prepare)[:20]!r}")
    if not isinstance(n_shuffles, int) or not 5 <= n_shuffles <= 1_000:
        raise Error(f"n_shuffles= is a whole number from 5 to 1,000, not {n_shuffles!r:.40}")


def _classes(
    given: ConceptSet, about: Mapping[str, tuple[str, ...]], by: str
) -> tuple[np.ndarray, tuple[str, ...], np.ndarray]:
    """(class of every word, names of the classes, words in each)."""
    if by not in about:
        raise Error(
            f"{short(given.name)} has no two values of {short(by)} among its words; there are "
            f"{', '.join(about) or 'no attributes'}"
        )
    classes, sizes = np.unique(np.array(about[by]), return_counts=True)
    if sizes.max() < 2:
        raise Error(f"every {short(by)} has a single word, so nothing can be held together")
    return known.numbers(about[by]), tuple(str(name) for name in classes), sizes


def _some(labels: np.ndarray, seed: int) -> np.ndarray:
    """Words whose distances are taken: all, or as many of each class as fit."""
    if len(labels) <= separation.MOST:
        return np.arange(len(labels))
    rng = np.random.default_rng((seed, 21))
    share = separation.MOST / len(labels)
    kept = []
    for one in np.unique(labels):
        mine = np.flatnonzero(labels == one)
        kept.append(rng.permutation(mine)[: max(2, round(share * len(mine)))])
    return np.sort(np.concatenate(kept))


def measured(cloud: np.ndarray, tables: np.ndarray, prepare: str) -> dict[str, np.ndarray]:
    """Each measure [labelling] of one layer's states [item, d], labellings [labelling, item].

    NaN where all states are the same.
    """
    found = {name: np.full(len(tables), np.nan) for name in MEASURES}
    flat = separation.halved(cloud)
    if not flat.size or not flat.any():
        return found
    wide = separation.distances(flat)
    rows = unit(prepared(cloud, prepare))
    inner = rows @ rows.T
    for number, labels in enumerate(tables):
        found["gdv"][number] = separation.gdv(wide, labels, flat.shape[1])
        found["silhouette"][number] = separation.silhouette(1 - inner, labels)
        chosen = separation.nearest_centroid(inner, labels)
        found["accuracy"][number] = separation.balanced(chosen, labels)
    return found


def _apart(
    progress: Progress, seen: ItemStates, labels: np.ndarray, rows: np.ndarray, prepare: str,
    n_shuffles: int, seed: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    rng = np.random.default_rng((seed, 22))
    own = labels[rows]
    tables = np.stack([own, *(rng.permutation(own) for _ in range(n_shuffles))])
    each = []
    for layer in range(seen.n_layers):
        progress.step(0.5 + 0.25 * layer / seen.n_layers, f"classes at layer {layer}")
        each.append(measured(seen.at(layer)[rows], tables, prepare))
    found = {}
    for name in MEASURES:
        values = np.stack([one[name] for one in each], axis=1)  # [labelling, layer]
        found[name], found[f"{name}_chance"] = values[0], values[1:]
    return found


def _shares(
    loaded: Loaded, progress: Progress, seen: ItemStates, about: Mapping[str, tuple[str, ...]],
    prepare: str, n_shuffles: int, seed: int,
) -> dict[str, Any]:  # fmt: skip
    """Share of the variance of words in contexts that each attribute holds, at every layer."""
    inside = known.of_contexts(loaded, seen)
    names = (*about, *inside)
    levels = [known.numbers(values) for values in (*about.values(), *inside.values())]
    n_values = [int(level.max()) + 1 for level in levels]
    rng = np.random.default_rng((seed, 23))
    mixed = [rng.permutation(len(seen.words)) for _ in range(n_shuffles)]
    shape = (len(names), seen.n_layers)
    share, better = np.full(shape, np.nan), np.full(shape, np.nan)
    chance = np.full((n_shuffles, *shape), np.nan)
    for layer in range(seen.n_layers):
        progress.step(0.75 + 0.2 * layer / seen.n_layers, f"attributes at layer {layer}")
        words, places, total, count = _split(seen.in_contexts(layer), prepare)
        if not total > 0:
            continue
        n_contexts, n_words = count
        part = n_contexts * float((words**2).sum()) / total
        for number, (name, level) in enumerate(zip(names, levels, strict=True)):
            if name in inside:
                eta = n_words * separation.between(places, level) / total
                own = separation.adjusted(eta, n_words * n_contexts, n_values[number])
                share[number, layer], better[number, layer] = eta, own
                continue
            for order in (None, *range(n_shuffles)):
                dealt = level if order is None else level[mixed[order]]
                eta = n_contexts * separation.between(words, dealt) / total
                own = separation.adjusted(eta, n_words, n_values[number], part)
                if order is None:
                    share[number, layer], better[number, layer] = eta, own
                else:
                    chance[order, number, layer] = own
    return {
        "attributes": names,
        "n_values": tuple(n_values),
        "share": share,
        "share_adjusted": better,
        "share_chance": chance,
    }


def _split(
    points: np.ndarray, prepare: str
) -> tuple[np.ndarray, np.ndarray, float, tuple[int, int]]:
    """Means of the words and of the contexts around the mean of all, the total sum of squares of
    points [context, word, d], and how many contexts and words there are."""
    n_contexts, n_words, d = points.shape
    flat = prepared(points.reshape(-1, d), "centre" if prepare == "raw" else prepare)
    flat = flat - flat.mean(axis=0)
    cube = flat.reshape(n_contexts, n_words, d)
    return cube.mean(axis=0), cube.mean(axis=1), float((flat**2).sum()), (n_contexts, n_words)


def _fresh(
    loaded: Loaded, progress: Progress, seen: ItemStates, labels: np.ndarray, rows: np.ndarray,
    prepare: str, seed: int, wanted: bool,
) -> tuple[dict[str, np.ndarray], list[str]]:  # fmt: skip
    nothing = {name: np.full(seen.n_layers, np.nan) for name in MEASURES}
    if not wanted:
        return nothing, []
    twin, why = untrained(loaded, seed)
    if twin is None:
        return nothing, [why]

    found = item_states(
        twin, progress, seen.words, contexts=seen.contexts, read=seen.read, share=(0.95, 0.98)
    )
    each = [
        measured(found.at(layer)[rows], labels[rows][None], prepare)
        for layer in range(found.n_layers)
    ]
    return {name: np.array([one[name][0] for one in each]) for name in MEASURES}, []


def _said(seen: ItemStates, rows: np.ndarray, sizes: np.ndarray) -> list[str]:
    notes = []
    if len(rows) < len(seen.words):
        notes.append(
            f"distances are taken between {len(rows):,} of {len(seen.words):,} words, drawn class "
            "by class"
        )
    if (sizes < 2).any():
        notes.append(f"{int((sizes < 2).sum())} classes have a single word, which has no accuracy")
    return notes
