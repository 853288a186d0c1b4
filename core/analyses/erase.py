"""Erase a concept linearly at every layer, and see what is left of it and what it costs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from core.analyses import probes
from core.analyses.effects import last_log_p, split
from core.analyses.given import LEAST, against, asked_concept
from core.analyses.leace import METHODS, Eraser, Moments, inlp, mean_difference, moved_share, random
from core.analyses.neutral import neutral_rows, side_effects
from core.analyses.runs import Progress, divergence
from core.analyses.states import encoded, states, stream_sites
from core.models.loaded import Loaded
from core.results.erase import EraseResult
from core.spec.errors import Error
from core.spec.interventions import Erase

BASELINES = ("difference", "random", "inlp")
TRAIN = 0.6  # share of the items the eraser and the probes see
INLP_ROUNDS = 10
MOST_CLASSES = 50


@dataclass
class _Items:
    """Texts with labels, split in two; items of one group (a pair) are on one side."""

    name: str
    classes: tuple[str, ...]
    texts: tuple[str, ...]
    labels: np.ndarray  # [item]
    groups: np.ndarray  # [item]
    train: Sequence[int] = ()
    test: Sequence[int] = ()

    def one_hot(self) -> np.ndarray:
        return np.eye(len(self.classes))[self.labels[self.train]]


@dataclass
class _Pass:
    """What one way of erasing did: per layer, and the interventions that do it."""

    erasers: list[Eraser] = field(default_factory=list)
    changes: list[Erase] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)  # [item, d] after, per layer
    accuracy: list[float] = field(default_factory=list)
    moved: list[float] = field(default_factory=list)


def erase(
    loaded: Loaded,
    progress: Progress,
    *,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    classes: Any = (),
    method: str = "leace",
    layers: Sequence[int] | None = None,
    position: str = "last",
    shrinkage: float = 0.1,
    keep_trace: bool = True,
    seed: int = 0,
) -> EraseResult:
    """LEACE (Belrose et al. 2023) at each layer in sequence: "concept scrubbing".

    concept, positive= and negative=, pairs=, or classes={"day": [...], "month": [...]} for more
    than two. Each layer's eraser is fitted on states with the layers below already erased, and
    acts at every token. method "orth" is the orthogonal projection; `shrinkage` of the covariance
    is needed with fewer items than 10 x d_model. Baselines, erased in the same sequence: the
    differences of the class means, as many random directions, iterated nullspaces (10 rounds).
    """
    if method not in METHODS:
        raise Error(f"no method {method[:40]!r} for erasing; there are {', '.join(METHODS)}")
    if not 0 <= shrinkage <= 1:
        raise Error(f"shrinkage lies between 0 and 1, not {shrinkage}")
    items = _items(asked_concept(concept, positive, negative, pairs), classes, seed)
    chosen = _layers(loaded, layers)
    ids = encoded(loaded, items.texts)
    clean = states(loaded, progress, ids, positions=(position,), share=(0.0, 0.1)).vectors[0]
    before = [clean[layer].double().numpy() for layer in chosen]
    fits = _fits(items, method, shrinkage, keep_trace, seed)
    passes: dict[str, _Pass] = {}
    for number, (name, fit) in enumerate(fits.items()):
        span = (0.1 + 0.7 * number / len(fits), 0.1 + 0.7 * (number + 1) / len(fits))
        passes[name] = _scrub(loaded, progress, items, ids, chosen, position, name, fit, span)
    progress.step(0.85, "probes")
    return _result(loaded, progress, items, ids, chosen, position, seed, before, passes, method)


def _items(concept: Any, classes: Any, seed: int) -> _Items:
    if classes and concept:
        raise Error("give a concept or classes, not both")
    if not classes:
        if concept is None:
            raise Error("erasing needs a concept, or positive and negative texts, or classes")
        downs, what = against(concept)
        texts = (*concept.positive, *downs)
        labels = np.repeat([0, 1], [len(concept.positive), len(downs)])
        paired = concept.paired
        groups = np.tile(np.arange(len(downs)), 2) if paired else np.arange(len(texts))
        items = _Items(concept.name, ("positive", what), texts, labels, groups)
    else:
        items = _of_classes(classes)
    items.train, items.test = _split(items, seed)
    return items


def _of_classes(classes: Any) -> _Items:
    try:
        table = dict(classes) if isinstance(classes, Mapping) else dict(list(classes))
        sets = {str(name): tuple(map(str, texts)) for name, texts in table.items()}
    except (TypeError, ValueError):
        raise Error('classes= is a table: {"day": ["Monday", ...], "month": [...]}') from None
    if not 2 <= len(sets) <= MOST_CLASSES:
        raise Error(f"{len(sets)} classes; between 2 and {MOST_CLASSES} can be erased")
    texts = tuple(text for texts in sets.values() for text in texts)
    labels = np.repeat(np.arange(len(sets)), [len(texts) for texts in sets.values()])
    name = ", ".join(sets)
    return _Items(name[:100], tuple(sets), texts, labels, np.arange(len(texts)))


def _split(items: _Items, seed: int) -> tuple[Sequence[int], Sequence[int]]:
    """60 % of every class to learn from, the rest held out; pairs stay together."""
    for number, name in enumerate(items.classes):
        n = int((items.labels == number).sum())
        if n < 2 * LEAST:
            raise Error(f"{name[:60]}: {n} texts; erasing needs at least {2 * LEAST} of each class")
    if len(np.unique(items.groups)) < len(items.groups):
        return split(len(items.texts), TRAIN, items.groups.tolist(), seed)
    train: list[int] = []
    for number in range(len(items.classes)):
        mine = np.flatnonzero(items.labels == number)
        kept, _ = split(len(mine), TRAIN, range(len(mine)), seed + number)
        train += mine[list(kept)].tolist()
    return train, [i for i in range(len(items.texts)) if i not in set(train)]


def _layers(loaded: Loaded, layers: Sequence[int] | None) -> list[int]:
    n = len(stream_sites(loaded))
    chosen = list(range(n)) if layers is None else sorted(set(layers))
    if not chosen or not all(isinstance(one, int) and 0 <= one < n for one in chosen):
        raise Error(f"layers= names layers 0 to {n - 1}, at least one")
    return chosen


Fit = Callable[[np.ndarray, int], Eraser]


def _fits(
    items: _Items, method: str, shrinkage: float, keep_trace: bool, seed: int
) -> dict[str, Fit]:
    """Per way of erasing: training states [item, d] and layer to the eraser."""
    labels, z = items.labels[items.train], items.one_hot()

    def own(x: np.ndarray, _: int) -> Eraser:
        moments = Moments(x.shape[1], z.shape[1]).update(x, z)
        return moments.eraser(method, shrinkage=shrinkage, keep_trace=keep_trace)

    def by_chance(x: np.ndarray, layer: int) -> Eraser:
        return random(x, len(items.classes) - 1, np.random.default_rng((seed, layer)))

    def nullspace(x: np.ndarray, _: int) -> Eraser:
        def probe(part: np.ndarray, wanted: np.ndarray) -> np.ndarray:
            return probes.direction_of(probes.fitted(probes.linear(), part, wanted))

        return inlp(x, labels, probe, INLP_ROUNDS)

    def between(x: np.ndarray, _: int) -> Eraser:
        return mean_difference(x, labels)

    return {method: own, "difference": between, "random": by_chance, "inlp": nullspace}


def _scrub(
    loaded: Loaded,
    progress: Progress,
    items: _Items,
    ids: list[list[int]],
    layers: list[int],
    position: str,
    name: str,
    fit: Fit,
    span: tuple[float, float],
) -> _Pass:
    """Fit layer after layer on states with the layers below already erased."""
    done, sites = _Pass(), stream_sites(loaded)
    for number, layer in enumerate(layers):
        now = span[0] + (span[1] - span[0]) * number / len(layers)
        seen = states(
            loaded,
            progress,
            ids,
            positions=(position,),
            change=done.changes,
            layers=(layer,),
            note=f"{name}, layer {layer}",
            share=(now, now),
        )
        x = seen.vectors[0, 0].double().numpy()
        eraser = fit(x[items.train], layer)
        after = eraser(x)
        done.erasers.append(eraser)
        done.values.append(after)
        done.moved.append(moved_share(x[items.train], eraser))
        done.accuracy.append(
            probes.accuracy(probes.linear(), after, items.labels, items.train, items.test)
        )
        if eraser.rank:
            done.changes.append(
                Erase(
                    sites[layer],
                    eraser.left.astype(np.float32).tolist(),
                    eraser.right.astype(np.float32).tolist(),
                    eraser.mean.astype(np.float32).tolist(),
                )
            )
    return done


def _result(
    loaded: Loaded,
    progress: Progress,
    items: _Items,
    ids: list[list[int]],
    layers: list[int],
    position: str,
    seed: int,
    before: list[np.ndarray],
    passes: dict[str, _Pass],
    method: str,
) -> EraseResult:
    own = passes[method]
    rng = np.random.default_rng(seed)
    mixed = rng.permutation(items.labels)
    read = _Reader(items)
    kl, loss, at_end = _costs(loaded, progress, ids, list(passes.values()))
    left, right = (_stacked(own.erasers, side) for side in ("left", "right"))
    counts = np.bincount(items.labels[items.test])
    return EraseResult(
        request={},
        concept=items.name,
        classes=items.classes,
        method=method,
        position=position,
        n_train=len(items.train),
        n_test=len(items.test),
        n_neutral=int(neutral_rows(loaded).ids.shape[1]),
        seed=seed,
        stack=loaded.prompt_stack,
        methods=tuple(passes),
        layer=np.array(layers),
        chance=np.array([counts.max() / len(items.test)]),
        control=read.all(before, mixed, probes.linear, progress),
        linear_before=read.all(before, items.labels, probes.linear, progress),
        linear_after=np.array(own.accuracy),
        mlp_before=read.all(before, items.labels, probes.network, progress),
        mlp_after=read.all(own.values, items.labels, probes.network, progress),
        fresh_before=read.fresh(before, seed, progress),
        fresh_after=read.fresh(own.values, seed, progress),
        accuracy=np.array([each.accuracy for each in passes.values()]),
        moved=np.array([each.moved for each in passes.values()]),
        rank=np.array([[e.rank for e in each.erasers] for each in passes.values()]),
        loss_increase=loss,
        kl=kl,
        concept_kl=at_end,
        left=left,
        right=right,
        mean=np.stack([eraser.mean for eraser in own.erasers]).astype(np.float32),
    )


@dataclass(frozen=True)
class _Reader:
    """Probes on the states of several layers."""

    items: _Items

    def all(
        self,
        values: list[np.ndarray],
        labels: np.ndarray,
        probe: Callable[[], Any],
        progress: Progress,
    ) -> np.ndarray:
        found = []
        for x in values:
            progress.check()
            found.append(probes.accuracy(probe(), x, labels, self.items.train, self.items.test))
        return np.array(found)

    def fresh(self, values: list[np.ndarray], seed: int, progress: Progress) -> np.ndarray:
        """A new linear probe, cross-validated on the items the eraser has not seen."""
        test, found = list(self.items.test), []
        labels, groups = self.items.labels[test], self.items.groups[test]
        for x in values:
            progress.check()
            found.append(probes.cross_validated(probes.linear(), x[test], labels, groups, seed))
        return np.array(found)


def _costs(
    loaded: Loaded, progress: Progress, ids: list[list[int]], passes: list[_Pass]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """KL and loss increase on neutral text, and KL at the end of the concept's texts, [method]."""
    if loaded.head is None:
        nothing = np.full(len(passes), np.nan)
        return nothing, nothing, nothing
    kl, loss = side_effects(loaded, progress, [], [each.changes for each in passes])
    clean = last_log_p(loaded, progress, ids)
    at_end = []
    for number, each in enumerate(passes):
        progress.step(0.92 + 0.08 * number / len(passes), "what it costs")
        moved = last_log_p(loaded, progress, ids, each.changes)
        at_end.append(float(divergence(clean, moved).mean()))
    return kl, loss, np.array(at_end)


def _stacked(erasers: list[Eraser], side: str) -> np.ndarray:
    """[layer, rank, d_model] in float32, rows of zeros where a layer needs fewer directions."""
    rows = [getattr(eraser, side) for eraser in erasers]
    most = max(len(each) for each in rows)
    padded = [np.pad(each, ((0, most - len(each)), (0, 0))) for each in rows]
    return np.stack(padded).astype(np.float32)
