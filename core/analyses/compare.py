"""Two models, or one against itself, layer by layer: are the same texts arranged alike?"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.analyses import linear_map, spaces, two_models
from core.analyses.clouds import PREPARED
from core.analyses.compare_apart import apart
from core.analyses.head_nulls import untrained
from core.analyses.runs import Progress
from core.analyses.two_models import Items
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.results.compare import Compare
from core.spec.errors import Error

MOST = 500  # items
SHUFFLES = 100
FEW_SHUFFLES = 5  # of what needs a decomposition each
HALVES = 20
MOST_CEILING = 150  # items
K = 10
FEW = 50  # items below which a note says so
# A text read behind each of them is the same item in two contexts.
LEAD_INS = ("This was said in the morning. ", "Here is one more line of the book. ")


def compare(
    loaded: Loaded,
    progress: Progress,
    *,
    other: Loaded | None = None,
    texts: Sequence[str] = (),
    position: str = "",
    prepare: str = "zscore",
    pairs: str = "depth",
    most: int = MOST,
    shuffles: int = SHUFFLES,
    fresh: bool = True,
    ceiling: bool = True,
    seed: int = 0,
) -> Compare:
    """CKA, RSA and shared neighbours of every pair of layers; maps between corresponding ones.

    other     a second model of any kind and tokenizer, by name; None: this model against itself,
              layer by layer
    texts     the items; () for sentences of many kinds. `position` is what stands for one: its
              "last" token, the "mean", or "token": every token behind which both have read the
              same characters; "": last, but mean where all texts end alike
    prepare   "zscore" (a few massive channels decide everything otherwise), "centre", "unit", ...
    pairs     the layer that Procrustes, SVCCA and the linear map compare with: at the same
              relative "depth", or the "best" by CKA
    fresh     also the other architecture with fresh weights; ceiling: also each model with itself,
              the texts behind two lead-ins

    Kornblith et al. 2019 (CKA), Kriegeskorte et al. 2008 (RSA), Raghu et al. 2017 (SVCCA).
    """
    _check(prepare, pairs, most, shuffles)
    there = loaded if other is None else other
    asked = two_models.items(loaded, there, texts, position, most, spaces.LEAST, seed)
    notes = list(asked.notes)
    if asked.n < FEW:
        notes.append(f"{asked.n} items are few: single cells carry much noise")
    one, two = _states(loaded, there, progress, asked, other is None)
    rng = np.random.default_rng(seed)
    here = [spaces.standardised(layer.astype(np.float64), prepare) for layer in one]
    sides = (here, here)
    if two is not one:
        sides = (here, [spaces.standardised(layer.astype(np.float64), prepare) for layer in two])
    grid = _grid(sides, asked, shuffles, rng, progress)
    grid["fresh_cka"] = _fresh(there, asked, sides[0], prepare, fresh, seed, notes, progress)
    way = _pairs(pairs, grid["cka"], other is None)
    line = _line(sides, asked, way, rng, progress)
    return Compare(
        request={},
        within=other is None,
        prepare=prepare,
        n_shuffles=shuffles,
        seed=seed,
        counterpart=way,
        **_about(loaded, there, asked),
        **_ceilings(loaded, there, asked, ceiling, prepare, progress),
        **apart(loaded, there, asked, one, two, rng, notes, progress),
        notes=tuple(notes),
        **grid,
        **line,
    )


def _about(loaded: Loaded, there: Loaded, asked: Items) -> dict[str, Any]:
    """Who was compared, on what."""
    return {
        "models": (loaded.name, there.name),
        "same": two_models.same_weights(loaded, there),
        "families": (loaded.family, there.family),
        "kinds": (loaded.kind, there.kind),
        "stack": loaded.prompt_stack,
        "texts": asked.texts,
        "source": asked.source,
        "position": asked.position,
        "same_tokens": asked.same_tokens,
        "n_items": asked.n,
        "item_text": asked.text,
        "item_end": asked.end,
    }


def _check(prepare: str, pairs: str, most: int, shuffles: int) -> None:
    if prepare not in PREPARED:
        raise Error(f"prepare= is one of {', '.join(PREPARED)}, not {str(prepare)[:20]!r}")
    if pairs not in ("depth", "best"):
        raise Error(f"pairs= is 'depth' or 'best', not {str(pairs)[:20]!r}")
    for name, value, low, high in (("most", most, 4, 2_000), ("shuffles", shuffles, 1, 1_000)):
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise Error(f"{name}= is a whole number from {low} to {high:,}, not {value!r:.20}")


def _states(
    loaded: Loaded, there: Loaded, progress: Progress, asked: Items, within: bool
) -> tuple[np.ndarray, np.ndarray]:
    if within or two_models.same_weights(loaded, there):
        one = two_models.side_states(loaded, progress, asked, 0, (0.0, 0.4))
        return one, one
    return two_models.both_states(loaded, there, progress, asked, (0.0, 0.4))


Sides = tuple[list[np.ndarray], list[np.ndarray]]


def _grid(
    sides: Sides, asked: Items, shuffles: int, rng: np.random.Generator, progress: Progress
) -> dict[str, Any]:
    """Everything that is measured for every pair of layers."""
    n = asked.n
    progress.step(0.4, "every layer against every layer")
    kernels = [np.stack([spaces.kernel_vector(x) for x in side]) for side in sides]
    ranked = [np.stack([spaces.dissimilarity_vector(x) for x in side]) for side in sides]
    known = _known(asked)
    partial = [spaces.without(part, known) for part in ranked]
    k = max(1, min(K, (n - 1) // 3))
    near = [np.stack([spaces.neighbours(x, k) for x in side]) for side in sides]
    orders = [rng.permutation(n) for _ in range(shuffles)]
    drawn: dict[str, list[np.ndarray]] = {"cka": [], "rsa": []}
    for number, order in enumerate(orders):
        progress.step(0.45 + 0.2 * number / shuffles, "control: items in random order")
        drawn["cka"].append(_products(kernels[0], spaces.shuffled(kernels[1], order)))
        drawn["rsa"].append(_products(ranked[0], spaces.shuffled(ranked[1], order)))
    chance = {name: np.stack(values) for name, values in drawn.items()}
    rsa = _products(*ranked)
    few = [
        _overlaps(near[0], np.stack([spaces.renamed(one, order) for one in near[1]]))
        for order in orders[:FEW_SHUFFLES]
    ]
    return {
        "k": k,
        "cka": _products(*kernels),
        "cka_error": _errors(sides, rng, progress),
        "rsa": rsa,
        "partial_rsa": _products(*partial),
        "rsa_p": (1 + (chance["rsa"] >= rsa).sum(axis=0)) / (1 + shuffles),
        **{f"control_{name}": values.mean(axis=0) for name, values in chance.items()},
        **{
            f"control_{name}_high": np.quantile(values, 0.95, axis=0)
            for name, values in chance.items()
        },
        "overlap": _overlaps(*near),
        "control_overlap": np.mean(few, axis=0),
        "chance_overlap": spaces.chance_overlap(n, k),
        "near_here": near[0],
        "near_there": near[1],
    }


def _products(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    """[here, there] products of unit vectors; NaN where one has no direction."""
    found = one @ two.T
    empty = [~part.any(axis=1) for part in (one, two)]
    found[empty[0], :] = np.nan
    found[:, empty[1]] = np.nan
    return found


def _overlaps(one: np.ndarray, two: np.ndarray) -> np.ndarray:
    return np.array([[spaces.overlap(a, b).mean() for b in two] for a in one])


def _known(asked: Items) -> list[np.ndarray]:
    """What texts have in common without any model: their lengths and their words."""
    shown = [asked.texts[text][:end] for text, end in zip(asked.text, asked.end, strict=True)]
    first, second = spaces.pairs_of(len(shown))
    length = np.array([len(text) for text in shown])
    names: dict[str, int] = {}
    rows = [[names.setdefault(w, len(names)) for w in set(t.lower().split())] for t in shown]
    member = np.zeros((len(shown), max(1, len(names))))
    for row, words in enumerate(rows):
        member[row, words] = 1
    both = member @ member.T
    size = member.sum(axis=1)
    words = both / np.maximum(size[:, None] + size - both, 1)
    return [
        spaces.rank_vector(np.abs(length[first] - length[second]).astype(float)),
        spaces.rank_vector(-words[first, second]),
    ]


def _errors(sides: Sides, rng: np.random.Generator, progress: Progress) -> np.ndarray:
    """Standard error of CKA over items: spread over random halves (delete-half jackknife)."""
    n = len(sides[0][0])
    if n // 2 < spaces.LEAST:
        return np.full((len(sides[0]), len(sides[1])), np.nan)
    found = []
    for number in range(HALVES):
        progress.step(0.65 + 0.05 * number / HALVES, "how sure: half of the items")
        half = rng.permutation(n)[: n // 2]
        kernels = [np.stack([spaces.kernel_vector(x[half]) for x in side]) for side in sides]
        found.append(_products(*kernels))
    return np.std(found, axis=0)


def _fresh(
    there: Loaded,
    asked: Items,
    here: list[np.ndarray],
    prepare: str,
    wanted: bool,
    seed: int,
    notes: list[str],
    progress: Progress,
) -> np.ndarray:
    """CKA with the other architecture as it would begin training."""
    if wanted:
        model, why = untrained(there, seed)
        if model is not None:
            states = two_models.side_states(
                model, progress, asked, 1, (0.7, 0.74), "control: fresh weights"
            )
            side = [spaces.standardised(layer.astype(np.float64), prepare) for layer in states]
            vectors = [np.stack([spaces.kernel_vector(x) for x in part]) for part in (here, side)]
            return _products(*vectors)
        notes.append(why)
    n_there = len(there.stacks[there.prompt_stack].blocks) + 1
    return np.full((len(here), n_there), np.nan)


def _pairs(pairs: str, cka: np.ndarray, within: bool) -> np.ndarray:
    if within:
        return np.minimum(np.arange(len(cka)) + 1, len(cka) - 1)
    if pairs == "best":
        found: np.ndarray = np.nan_to_num(cka, nan=-1.0).argmax(axis=1)
        return found
    return two_models.counterpart(*cka.shape)


def _line(
    sides: Sides, asked: Items, way: np.ndarray, rng: np.random.Generator, progress: Progress
) -> dict[str, Any]:
    """What is measured between corresponding layers only."""
    group = asked.text if asked.position == "token" else None
    rows = []
    for layer, partner in enumerate(way):
        progress.step(0.75 + 0.2 * layer / len(way), f"maps from layer {layer}")
        rows.append(_between(sides[0][layer], sides[1][partner], group, rng))
    found: dict[str, Any] = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    for name in ("map_r2", "control_map_r2", "map_at1", "map_at5", "map_penalty"):
        found[name] = found[name].T
    for name in ("chance_at1", "chance_at5"):
        found[name] = float(np.nanmean(found[name]))
    return found


def _between(
    x: np.ndarray, y: np.ndarray, group: np.ndarray | None, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    one, two = spaces.scores(x), spaces.scores(y)
    orders = [rng.permutation(len(x)) for _ in range(FEW_SHUFFLES)]
    mixed = [(two[0][order], two[1]) for order in orders]
    way = np.random.default_rng(rng.integers(2**32))
    # Rotated to where the items lie, which changes no distance: fewer channels than items then.
    there, back = _reduced(one), _reduced(two)
    both = [
        linear_map.held_out(a, b, np.random.default_rng(way.integers(2**32)), group)
        for a, b in ((there, back), (back, there))
    ]
    lost = [
        linear_map.held_out(a, b, np.random.default_rng(way.integers(2**32)), group).r2
        for a, b in ((there, back[orders[0]]), (back, there[orders[0]]))
    ]
    values: dict[str, Any] = {
        "procrustes": spaces.procrustes(one, two),
        "control_procrustes": np.mean([spaces.procrustes(one, each) for each in mixed]),
        "svcca": spaces.svcca(one, two)[0],
        "pwcca": spaces.svcca(one, two)[1],
        "control_svcca": np.mean([spaces.svcca(one, each)[0] for each in mixed]),
        "n_components": [spaces.components(values, len(x)) for _, values in (one, two)],
        "map_r2": [each.r2 for each in both],
        "control_map_r2": lost,
        "map_at1": [each.at1 for each in both],
        "map_at5": [each.at5 for each in both],
        "map_penalty": [each.penalty for each in both],
        "chance_at1": both[0].chance1,
        "chance_at5": both[0].chance5,
        "map_error": both[0].error,
    }
    return {name: np.array(value) for name, value in values.items()}


def _reduced(one: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    left, values = one
    return left * values if len(values) else np.zeros((len(left), 1))


def _ceilings(
    loaded: Loaded, there: Loaded, asked: Items, wanted: bool, prepare: str, progress: Progress
) -> dict[str, Any]:
    """RSA of each model with itself, the texts behind one lead-in and behind another."""
    found = []
    for side, model in enumerate((loaded, there)):
        n_rows = len(model.stacks[model.prompt_stack].blocks) + 1
        if not wanted:
            found.append(np.full(n_rows, np.nan))
        elif side and two_models.same_weights(loaded, there):
            found.append(found[0])
        else:
            found.append(_ceiling(model, side, asked, prepare, progress))
    return {"ceiling_here": found[0], "ceiling_there": found[1]}


def _ceiling(
    model: Loaded, side: int, asked: Items, prepare: str, progress: Progress
) -> np.ndarray:
    n_rows = len(model.stacks[model.prompt_stack].blocks) + 1
    asked = asked.some(MOST_CEILING, 0)
    try:
        behind = [[encode(model, lead + text) for text in asked.texts] for lead in LEAD_INS]
    except Error:  # a text that fills the context alone has no room for a lead-in
        return np.full(n_rows, np.nan)
    ranked = []
    for ids in behind:
        longer = [len(new) - len(old) for new, old in zip(ids, asked.ids[side], strict=True)]
        moved_to = replace(asked, ids=(ids, ids), at=_behind(asked, side, longer))
        states = two_models.side_states(
            model, progress, moved_to, side, (0.95, 0.97), "ceiling: the texts behind a lead-in"
        )
        ranked.append(
            [
                spaces.dissimilarity_vector(spaces.standardised(x.astype(float), prepare))
                for x in states
            ]
        )
    found = [_products(a[None], b[None])[0, 0] for a, b in zip(*ranked, strict=True)]
    return np.array(found)


def _behind(asked: Items, side: int, longer: Sequence[int]) -> Any:
    """Places of single tokens when every text begins later by so many tokens."""
    if not asked.at:
        return ()
    place = asked.at[side] + np.array(longer)[asked.text]
    return (place, place)
