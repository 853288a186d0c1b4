"""Does the model prefer the right member of a pair, and from which layer on is it readable?"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from core.analyses import probe_cells as cells
from core.analyses import probe_scores as scores
from core.analyses import probe_splits as splits
from core.analyses.depth_given import read
from core.analyses.head_nulls import untrained as untrained_twin
from core.analyses.pair_scores import direct_gaps
from core.analyses.probe_asked import stream_names
from core.analyses.probe_cells import Case
from core.analyses.runs import Progress, Silent
from core.analyses.states import states
from core.corpus.pair_sets import named
from core.models.loaded import Loaded
from core.results.minimal_pairs import WAYS, MinimalPairs
from core.spec.errors import Error
from core.spec.labelled import LabelledSet
from core.spec.pairs import PairSet

SHUFFLES = 40


def minimal_pairs(
    loaded: Loaded,
    progress: Progress,
    *,
    pairs: str = "",
    good: Sequence[str] = (),
    bad: Sequence[str] = (),
    groups: Sequence[str] | None = None,
    kinds: Sequence[str] | None = None,
    prompt: str | None = None,
    answers: Sequence[str] | None = None,
    position: str = "last",
    folds: int = 5,
    shuffles: int = SHUFFLES,
    seed: int = 0,
    untrained: bool = False,
) -> MinimalPairs:
    """Choose the right text of every pair: by the model's own probabilities, and by probes.

    pairs      a built-in set by name, or good= and bad=, line by line, with groups= and kinds=
    prompt     how it is asked outright, with {} for the text, and the first tokens of answers=
               compared; None: as the set has it, "": not at all
    position   where the probe reads: "last", "mean", "-2", ...
    untrained  the same on fresh weights

    Direct, asked and probed after He et al. 2025, "XCOMPS: A Multilingual Benchmark of Conceptual
    Minimal Pairs".
    """
    given = _asked(pairs, good, bad, groups, kinds, prompt, answers)
    work = _material(loaded, given, position, folds, shuffles, seed)
    notes = list(work.notes)
    gap, shared, lengths, said = direct_gaps(loaded, progress, given, (0.0, 0.4))
    notes += said
    found = _read(loaded, progress, work, (0.4, 0.8))
    fresh_direct, fresh_chosen = np.full(len(WAYS), np.nan), np.full(len(found["chosen"]), np.nan)
    if untrained:
        progress.step(0.8, "fresh weights")
        twin, why = untrained_twin(loaded, 0)
        if twin is None:
            notes.append(why)
        else:
            fresh_direct = _shares(direct_gaps(twin, Silent(), given, (0.0, 1.0))[0])
            fresh_chosen = _read(twin, Silent(), work, (0.0, 1.0), alone=True)["chosen"]
    return _result(
        loaded, given, work, gap, notes, found, seed=seed, n_shuffles=shuffles, n_shared=shared,
        shorter=float(_share(lengths)), untrained_direct=fresh_direct,
        untrained_chosen=fresh_chosen,
    )  # fmt: skip


def _result(
    loaded: Loaded,
    given: PairSet,
    work: "_Work",
    gap: np.ndarray,
    notes: Sequence[str],
    found: dict[str, Any],
    **more: Any,
) -> MinimalPairs:
    names = list(dict.fromkeys(given.kinds)) or ["all pairs"]
    low, high = _intervals(gap, work)
    return MinimalPairs(
        request={},
        pairs=given.name,
        about=given.about,
        position=work.asked,
        prompt=given.prompt,
        answers=given.answers,
        sites=stream_names(loaded),
        good=given.good,
        bad=given.bad,
        kinds=tuple(names),
        grouped=bool(given.groups),
        n_groups=len(np.unique(work.group)),
        n_folds=work.case.n_folds,
        notes=tuple(notes),
        kind=np.array([names.index(one) for one in given.kinds] or [0] * len(given.good)),
        gap=gap,
        direct=_shares(gap),
        direct_low=low,
        direct_high=high,
        words_chosen=_words(given, work),
        **found,
        **more,
    )


def _asked(
    pairs: str,
    good: Sequence[str],
    bad: Sequence[str],
    groups: Sequence[str] | None,
    kinds: Sequence[str] | None,
    prompt: str | None,
    answers: Sequence[str] | None,
) -> PairSet:
    if bool(pairs) == bool(len(good) or len(bad)):
        raise Error("say which minimal pairs: pairs= one of the built-in sets, or good= and bad=")
    if answers is not None and (isinstance(answers, str) or len(answers) != 2 or not all(answers)):
        raise Error("answers= are two words, what is said of a good and of a bad text")
    if pairs:
        one = named(pairs)
    else:
        names = tuple(str(one) for one in groups or ())
        own = tuple(str(one) for one in kinds or ())
        one = PairSet("own pairs", tuple(good), tuple(bad), names, own)
    if prompt is not None:
        one = replace(one, prompt=prompt)
    return one if answers is None else replace(one, answers=(str(answers[0]), str(answers[1])))


@dataclass(frozen=True)
class _Work:
    """Good texts, then bad ones, as items of a probe; group [pair]."""

    ids: list[list[int]]
    position: Any
    asked: str
    case: Case
    group: np.ndarray
    drawn: np.ndarray  # [draw, pair]
    notes: tuple[str, ...]
    texts: tuple[str, ...]


def _material(
    loaded: Loaded, given: PairSet, position: str, folds: int, shuffles: int, seed: int
) -> _Work:
    if position == "word":
        raise Error("minimal pairs are read at 'last', 'mean', '-2', ...; they have no words")
    n, texts = len(given.good), (*given.good, *given.bad)
    whole = LabelledSet(given.name, texts, (1,) * n + (0,) * n, ("bad", "good"))
    one = read(loaded, whole, position, "cut")
    group = _groups(given)
    label = np.repeat([1, 0], n)
    fold = splits.folds(label, np.tile(group, 2), folds, seed, whole.classes)
    rng = np.random.default_rng((seed, 8))
    if isinstance(shuffles, bool) or not isinstance(shuffles, int) or not 1 <= shuffles <= 1_000:
        raise Error(f"shuffles= is a number from 1 to 1,000, not {shuffles!r}")
    turned = rng.random((n, shuffles)) < 0.5
    mixed = np.concatenate([~turned, turned]).astype(int)
    notes = list(one.notes)
    if not given.groups:
        notes.append(
            "no groups were given: pairs that share a text are held out together, others may "
            "share words"
        )
    drawn = scores.draws(group, np.random.default_rng((seed, 9)))
    case = Case(label, np.tile(group, 2), fold, np.concatenate([label[:, None], mixed], axis=1))
    return _Work(one.ids, one.position, position, case, group, drawn, tuple(notes), texts)


def _groups(given: PairSet) -> np.ndarray:
    """Group numbers [pair]; pairs that share a text are one group."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    for number, pair in enumerate(zip(given.good, given.bad, strict=True)):
        key = f"g{given.groups[number]}" if given.groups else f"t{pair[0]}"
        for text in pair:
            parent[root(f"t{text}")] = root(key)
    roots = [root(f"t{text}") for text in given.good]
    return np.unique(roots, return_inverse=True)[1]


def _share(gap: np.ndarray) -> float:
    """Share of pairs above 0, ties half; NaN without a value."""
    if not np.isfinite(gap).all():
        return float("nan")
    return float(((gap > 0) + 0.5 * (gap == 0)).mean())


def _shares(gap: np.ndarray) -> np.ndarray:
    return np.array([_share(row) for row in gap])


def _intervals(gap: np.ndarray, work: _Work) -> tuple[np.ndarray, np.ndarray]:
    """95 % of the shares of gap [row, pair]: groups drawn again, at least Wilson's."""
    right = (gap > 0) + 0.5 * (gap == 0)
    drawn = (right @ work.drawn.T) / work.drawn.sum(axis=1)  # [row, draw]
    low, high = np.quantile(drawn, (0.025, 0.975), axis=1)
    least, most = scores.wilson(right.mean(axis=1), right.shape[1])
    known = np.isfinite(gap).all(axis=1)
    return (
        np.where(known, np.minimum(low, least), np.nan),
        np.where(known, np.maximum(high, most), np.nan),
    )


def _read(
    loaded: Loaded,
    progress: Progress,
    work: _Work,
    share: tuple[float, float],
    *,
    alone: bool = False,
) -> dict[str, Any]:
    """What probes choose at every layer; `alone` without the exchanges."""
    middle = (share[0] + share[1]) / 2
    seen = states(
        loaded, progress, work.ids, positions=(work.position,), embedding=True,
        share=(share[0], middle),
    ).vectors[0]  # fmt: skip
    case, n = work.case, len(work.group)
    sets = case.sets[:, :1] if alone else case.sets
    rows, once = [], np.ones((1, 2 * n))
    for layer, x in enumerate(seen):
        step = middle + (share[1] - middle) * layer / len(seen)
        progress.step(step, f"probes of layer {layer}")
        margin = cells.held_out(x, sets, case.fold)
        apart = (margin[:n] - margin[n:]) * np.where(sets[:n] == 1, 1, -1)  # [pair, set]
        said = (margin[None, :, 0] > 0).astype(int)
        rows.append(
            {
                "margin": apart[:, 0],
                "right": (apart > 0) + 0.5 * (apart == 0),
                "auc": cells.mean(cells.aucs(margin[:, :1], sets[:, :1], case.fold))[0],
                "f1": scores.f1_draws(said, case.label, 2, once)[0, 0],
            }
        )
    right = np.stack([row.pop("right") for row in rows])  # [layer, pair, set]
    found = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    found["chosen"] = right[:, :, 0].mean(axis=1)
    if alone:
        return found
    low, high = _intervals(found["margin"], work)
    picked = _elsewhere(right[:, :, 0], case.fold[:n])
    ends = _intervals(picked[None] - 0.5, work)
    return found | {
        "margin": found["margin"].astype(np.float32),
        "chosen_low": low,
        "chosen_high": high,
        "control_chosen": right[:, :, 1:].mean(axis=1).T,
        "nested": float(picked.mean()),
        "nested_low": float(ends[0][0]),
        "nested_high": float(ends[1][0]),
    }


def _elsewhere(right: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Whether each pair is chosen right at the layer that is best on the other folds, [pair]."""
    found = np.zeros(right.shape[1])
    for number in range(int(fold.max()) + 1):
        here = fold == number
        found[here] = right[right[:, ~here].mean(axis=1).argmax()][here]
    return found


def _words(given: PairSet, work: _Work) -> float:
    """Share chosen right by a probe of which words a text holds."""
    from sklearn.feature_extraction.text import CountVectorizer

    held = CountVectorizer(binary=True, token_pattern=r"(?u)\w+|[^\w\s]", max_features=5_000)
    x = torch.from_numpy(held.fit_transform(work.texts).toarray()).double()
    case, n = work.case, len(given.good)
    margin = cells.held_out(x, case.sets[:, :1], case.fold)[:, 0]
    return _share(np.round(margin[:n] - margin[n:], 9))
