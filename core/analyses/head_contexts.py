"""Contexts where one head attends most: a corpus read once, two numbers kept of every query."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from core.analyses.neuron_gallery import refuse_positions
from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.corpus.chunks import WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import pieces, special
from core.results.head_contexts import BINS, RELATIONS, HeadContexts
from core.spec.errors import Error
from core.spec.interventions import Change
from core.spec.site import Site

N_CONTEXTS = 256
LEAST = 8  # keys: a query that sees fewer looks at each of them strongly by chance
N_LISTED = 20
N_BANDS = 5
ALIKE = 4  # tokens up to the query, and two up to the key: pairs that agree there are shown once


class Pairs(NamedTuple):
    """One entry per query that counts: the key it looks at most, and a random one."""

    context: np.ndarray  # int64
    query: np.ndarray  # int64
    key: np.ndarray  # int64
    weight: np.ndarray  # float32
    seen: np.ndarray  # int64, keys that count
    rest: np.ndarray  # float32, attention to the others
    random_key: np.ndarray  # int64
    random_weight: np.ndarray  # float32


class Shown(NamedTuple):
    """A pair in a group, by its place among all pairs."""

    group: str
    place: int


def head_contexts(
    loaded: Loaded,
    progress: Progress,
    *,
    layer: int,
    head: int,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    interventions: Sequence[Change] = (),
    n_shown: int = 8,
    n_band: int = 3,
    n_sample: int = 4,
    seed: int = 0,
) -> HeadContexts:
    """The pairs of tokens one head attends to most over a corpus, and pairs of every other weight.

    The pattern of this head alone is made, a batch of contexts at a time; of every query its
    largest weight and its key are kept. Of pairs whose tokens repeat each other, and of pairs of
    one context, the stronger is shown.
    """
    site = Site(layer, "pattern", head, stack=loaded.prompt_stack)
    loaded.check(site)
    refuse_positions(interventions)
    for name, value in (("n_shown", n_shown), ("n_band", n_band), ("n_sample", n_sample)):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 100:
            raise Error(f"{name} must be a whole number from 0 to 100, not {value!r:.40}")
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    pairs = _all_pairs(loaded, progress, made, site, interventions, seed)
    listed = _unlike(made, pairs, _descending(pairs.weight), N_LISTED)
    shown = [Shown("top", place) for place in listed[:n_shown]]
    shown += _banded(made, pairs, n_band)
    drawn = np.random.default_rng(seed).permutation(len(pairs.weight))[:n_sample].tolist()
    shown += [Shown("sample", place) for place in drawn]
    return HeadContexts(
        request={},
        site=str(Site(layer, "head", head, stack=loaded.prompt_stack)),
        corpus=made.name,
        n_contexts=len(made),
        n_tokens=made.n_tokens,
        cut=made.cut,
        least=LEAST,
        sites=tuple(str(change.site) for change in interventions),
        **_statistics(pairs),
        **_related(made, pairs, listed, causal=loaded.kind == "decoder"),
        **_texts(loaded, made, pairs, shown),
        attention=_rows(loaded, progress, made, pairs, shown, site, interventions),
    )


def _patterns(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    numbers: Sequence[int],
    site: Site,
    interventions: Sequence[Change],
) -> Tensor:
    """[row, query, key] of some contexts; the forward stops behind the layer."""
    batch = rows(loaded, [made.windows[number].ids for number in numbers])
    seen = run(
        loaded, batch, read=[site], change=[interventions], logits="none", check=progress.check
    )
    return seen.values[site].float()


def _all_pairs(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    site: Site,
    interventions: Sequence[Change],
    seed: int,
) -> Pairs:
    """The strongest key of every query, context after context."""
    batches = made.batches(TOKENS_AT_ONCE)
    found: dict[int, Pairs] = {}
    for done, numbers in enumerate(batches):
        progress.step(done / len(batches), f"reading {made.name}, part {done + 1}")
        pattern = _patterns(loaded, progress, made, numbers, site, interventions)
        with loaded.busy():
            for row, number in enumerate(numbers):
                keep = np.array(made.windows[number].keep)
                n = len(keep)
                own = pattern[row, :n, :n].cpu().numpy()
                found[number] = _pairs(number, own, keep, loaded.kind == "decoder", seed)
    parts = [found[number] for number in sorted(found)]
    pairs = Pairs(*(np.concatenate(arrays) for arrays in zip(*parts, strict=True)))
    if not len(pairs.weight):
        raise Error(
            f"no token of the corpus {made.name} sees {LEAST} others, so nothing can be said of "
            "where the head looks; give longer texts"
        )
    return pairs


def _pairs(number: int, pattern: np.ndarray, keep: np.ndarray, causal: bool, seed: int) -> Pairs:
    """Those of one context [query, key]; the random keys depend on its number alone."""
    counting = np.flatnonzero(keep)
    seen = np.cumsum(keep) if causal else np.full(len(keep), len(counting))
    queries = np.flatnonzero(keep & (seen >= LEAST))
    own = pattern[np.ix_(queries, counting)]
    own = np.where(counting <= queries[:, None], own, -1.0) if causal else own
    best = own.argmax(1) if own.size else np.zeros(0, np.int64)
    drawn = np.random.default_rng((seed, number)).random(len(queries))
    random = (drawn * seen[queries]).astype(np.int64)
    each = np.arange(len(queries))
    return Pairs(
        context=np.full(len(queries), number),
        query=queries,
        key=counting[best],
        weight=own[each, best].astype(np.float32),
        seen=seen[queries],
        rest=(1 - own.clip(0).sum(1)).astype(np.float32),
        random_key=counting[random],
        random_weight=own[each, random].astype(np.float32),
    )


def _descending(weight: np.ndarray) -> list[int]:
    order: list[int] = np.argsort(-weight, kind="stable").tolist()
    return order


def _unlike(made: Contexts, pairs: Pairs, places: Sequence[int], most: int) -> list[int]:
    """The first `most` places, one a context, without those whose tokens repeat earlier ones."""
    told: set[object] = set()
    found: list[int] = []
    for place in places:
        if len(found) == most:
            break
        context, query, key = (int(each[place]) for each in (pairs.context, pairs.query, pairs.key))
        ids = made.windows[context].ids
        around = (ids[max(0, query - ALIKE + 1) : query + 1], ids[max(0, key - 1) : key + 1])
        if context not in told and around not in told:
            told |= {context, around}
            found.append(place)
    return found


def _banded(made: Contexts, pairs: Pairs, n_band: int) -> list[Shown]:
    """Pairs at evenly spaced weights inside each fifth of the range, the strongest fifth first."""
    step = float(pairs.weight.max()) / N_BANDS
    found: list[Shown] = []
    for band in range(N_BANDS, 0, -1):
        inside = np.flatnonzero(_band(pairs.weight) == band - 1)
        chosen: list[int] = []
        for number in range(n_band):
            aim = step * (band - (number + 0.5) / n_band)
            near = inside[np.argsort(np.abs(pairs.weight[inside] - aim), kind="stable")]
            more = _unlike(made, pairs, [*chosen, *near[: 10 * n_band].tolist()], len(chosen) + 1)
            chosen = more if len(more) > len(chosen) else chosen
        chosen.sort(key=lambda place: -pairs.weight[place])
        found += [Shown(str(band), place) for place in chosen]
    return found


def _band(weight: np.ndarray) -> np.ndarray:
    """[pair] fifth of the range from 0 to the largest weight, 0 to 4."""
    most = max(float(weight.max()), 1e-9)
    return np.minimum((weight / most * N_BANDS).astype(np.int64), N_BANDS - 1)


def _statistics(pairs: Pairs) -> dict[str, Any]:
    edges = np.linspace(0, 1, BINS + 1)
    edges[-1] = 1.01  # rounding may carry a weight of 1 beyond it
    uniform = 1 / pairs.seen
    return {
        "n_queries": len(pairs.weight),
        "largest": float(pairs.weight.max()),
        "mean": float(pairs.weight.mean()),
        "uniform_mean": float(uniform.mean()),
        "random_mean": float(pairs.random_weight.mean()),
        "random_p99": float(np.quantile(pairs.random_weight, 0.99)),
        "rest": float(pairs.rest.mean()),
        "counts": np.histogram(pairs.weight, edges)[0],
        "random_counts": np.histogram(pairs.random_weight, edges)[0],
        "band_share": np.bincount(_band(pairs.weight), minlength=N_BANDS) / len(pairs.weight),
    }


def _related(
    made: Contexts, pairs: Pairs, listed: Sequence[int], *, causal: bool
) -> dict[str, Any]:
    """What query and key are to each other, of the listed pairs and of random ones."""
    names = tuple(name for name in RELATIONS if not (causal and name == "one ahead"))
    chosen = list(_relations(made, pairs, listed, pairs.key))
    every = range(len(pairs.weight))
    drawn = list(_relations(made, pairs, every, pairs.random_key))
    return {
        "n_listed": len(listed),
        "relations": names,
        "relation": np.array([np.mean([name in each for each in chosen]) for name in names]),
        "random_relation": np.array([np.mean([name in each for each in drawn]) for name in names]),
        "distance": float((pairs.query - pairs.key)[list(listed)].mean()),
        "random_distance": float((pairs.query - pairs.random_key).mean()),
    }


def _relations(
    made: Contexts, pairs: Pairs, places: Sequence[int], keys: np.ndarray
) -> Iterator[set[str]]:
    for place in places:
        ids = made.windows[int(pairs.context[place])].ids
        query, key = int(pairs.query[place]), int(keys[place])
        back = {0: {"itself"}, 1: {"one back"}, -1: {"one ahead"}}.get(query - key, set())
        equal = {"equal"} if key < query and ids[key] == ids[query] else set()
        behind = 0 < key <= query and ids[key - 1] == ids[query]
        yield back | equal | ({"behind equal"} if behind else set())


def _texts(loaded: Loaded, made: Contexts, pairs: Pairs, shown: Sequence[Shown]) -> dict[str, Any]:
    """What is shown, by field of the result."""
    places = [entry.place for entry in shown]
    windows = [made.windows[int(number)] for number in pairs.context[places]]
    return {
        "group": tuple(entry.group for entry in shown),
        "tokens": tuple(pieces(loaded, window.ids) for window in windows),
        "special": tuple(special(loaded, window.ids) for window in windows),
        "context": pairs.context[places],
        "document": np.array([window.document for window in windows], dtype=np.int64),
        "query": pairs.query[places],
        "key": pairs.key[places],
        "weight": pairs.weight[places],
        "uniform": (1 / pairs.seen[places]).astype(np.float32),
    }


def _rows(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    pairs: Pairs,
    shown: Sequence[Shown],
    site: Site,
    interventions: Sequence[Change],
) -> np.ndarray:
    """The attention of every shown query, [shown, token], NaN behind the end of its text."""
    wanted = [(int(pairs.context[e.place]), int(pairs.query[e.place])) for e in shown]
    lengths = {number: len(made.windows[number].ids) for number, _ in wanted}
    found = np.full((len(shown), max(lengths.values(), default=0)), np.nan, dtype=np.float32)
    order = sorted(lengths, key=lambda number: (lengths[number], number))
    size = max(1, TOKENS_AT_ONCE // max(lengths.values(), default=1))
    for start in range(0, len(order), size):
        part = order[start : start + size]
        pattern = _patterns(loaded, progress, made, part, site, interventions)
        for at, (number, query) in enumerate(wanted):
            if number in part:
                n = lengths[number]
                found[at, :n] = pattern[part.index(number), query, :n].cpu().numpy()
    return found
