"""Features of a dictionary by what is asked for: sorted, filtered, searched, a page at a time."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_pass import lens_tokens
from core.analyses.feature_rows import feature_site, opened_dictionary
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.galleries import labels as label_files
from core.galleries.reading import FeatureGallery
from core.galleries.table import SORTS, Query, around, chosen
from core.models.loaded import Loaded
from core.results.feature_list import FeatureList
from core.spec.errors import Error
from core.spec.interventions import Change

MOST, MOST_TEXT = 200, 200
N_PEAKS = 3
SPARK = 24  # quarter octaves up to the largest: down to 1/64 of it
LEAST_SHARE = 0.1  # of a token's occurrences on which a feature must fire to be called its own
ROWS = (
    *("feature", "density", "max", "mean_active", "contribution", "cosine", "drift", "length"),
    *("tokens", "lens", "badges", "label", "label_score", "label_chance", "label_by"),
)


def feature_list(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    sort: str = "contribution",
    descending: bool = True,
    min_density: float = 0.0,
    max_density: float = 1.0,
    badges: Sequence[str] = (),
    without: Sequence[str] = (),
    labelled: float | None = None,
    text: str = "",
    within: Sequence[str] = ("peaks", "tokens", "lens", "label"),
    fires_on: str = "",
    among: Sequence[int] | None = None,
    limit: int = 24,
    offset: int = 0,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    interventions: Sequence[Change] = (),
    seed: int = 0,
) -> FeatureList:
    """A page of features of the gallery that `gallery` with the same options makes.

    sort      one of `core.galleries.table.SORTS`; features without a value come last
    badges    has all of these of dead, rare, dense, one token, position, one half; `without` none
    labelled  least F1 of its label
    text      stands in the text around its highest peaks, its tokens, its lens or its label
    fires_on  a token of the text on which it fires at a tenth of the occurrences or more
    among     these features only

    While the gallery is made, the page of what there is so far is published.
    """
    own = opened_dictionary(loaded, dictionary)
    _check(limit, offset, text, fires_on, min_density, max_density)
    asked: dict[str, Any] = {"corpus": corpus, "field": field, "window": window}
    asked |= {"n_contexts": n_contexts, "interventions": interventions, "seed": seed}
    query = Query(sort, descending, (min_density, max_density), limit=limit, offset=offset)
    query = replace(query, badges=tuple(badges), without=tuple(without), labelled=labelled)
    query = replace(query, text=text.strip(), within=tuple(within))

    def page(found: FeatureGallery) -> FeatureList:
        fires = _Fires(found, fires_on)
        narrowed = fires.narrowed(query, among)
        return _page(loaded, own, found, narrowed, fires, _words(narrowed, among, fires_on))

    asked |= {"grown": lambda part: progress.publish(page(part))}
    return page(opened(loaded, progress, dictionary=dictionary, with_codes=False, **asked))


def _page(
    loaded: Loaded,
    own: SparseDict,
    found: FeatureGallery,
    query: Query,
    fires: "_Fires",
    words: str,
) -> FeatureList:
    """The cards of one page."""
    told = found.manifest
    names = label_files.of(own.about.path, told.dictionary_fingerprint)
    total, page = chosen(found.table, query, names, ROWS)
    columns: dict[str, list[Any]] = page.to_pydict()
    features = columns["feature"]
    cards: dict[str, Any] = {**_texts(loaded, own, columns), **_peaks(found, features)}
    cards |= _numbers(columns)
    return FeatureList(
        request={},
        dictionary=own.name,
        site=told.site,
        corpus=told.corpus,
        gallery=found.key,
        share=told.share,
        n_tokens=found.n_tokens,
        n_features=found.n_features,
        total=total,
        offset=query.offset,
        sort=query.sort,
        sort_words=SORTS[query.sort],
        descending=query.descending,
        asked=words,
        fires_on=fires.asked,
        fires_from=fires.source,
        n_fires_on=fires.n,
        features=tuple(features),
        sites=tuple(feature_site(own, feature) for feature in features),
        fires_share=fires.share[features].astype(np.float32),
        spark=_spark(found, features),
        **cards,
    )


def _check(limit: int, offset: int, text: str, fires_on: str, low: float, high: float) -> None:
    whole = all(isinstance(number, int) for number in (limit, offset))
    if not whole or not 1 <= limit <= MOST or offset < 0:
        raise Error(f"a page holds 1 to {MOST} features and begins at 0 or later")
    if max(len(text), len(fires_on)) > MOST_TEXT:
        raise Error(f"search for at most {MOST_TEXT} characters")
    if not 0 <= low <= high <= 1:
        raise Error(f"densities are shares from 0 to 1, the lower one first, not {low} to {high}")


class _Fires:
    """On which share of a token's occurrences every feature fires."""

    def __init__(self, found: FeatureGallery, asked: str) -> None:
        self.n, self.source, self.asked = 0, "", asked
        self.share = np.full(found.n_features, np.nan)
        self.features: np.ndarray | None = None
        if not asked.strip():
            return
        text = found.text
        bare = asked.strip()
        ids = [
            int(token)
            for token, piece in zip(text.piece_ids, text.pieces, strict=True)
            if piece.strip() == bare
        ]
        there = np.flatnonzero(np.isin(text.ids, ids) & text.keep)
        self.n = len(there)
        if not len(there):
            raise Error(
                f"no token of {found.manifest.corpus} reads {asked[:40]!r}; try another one"
            )
        if found.codes is not None:
            self.source = "every token"
            counts = _fired_on(found, there)
            self.share = counts / self.n
            self.features = np.flatnonzero(self.share >= LEAST_SHARE)
            return
        self.source = "listed contexts"
        hits = np.zeros(found.n_features, dtype=bool)
        for listed in (found.top, found.sample):
            feature, at = (listed.context >= 0).nonzero()
            token = text.token(listed.context[feature, at], listed.position[feature, at])
            hits[feature[np.isin(token, there)]] = True
        self.features = np.flatnonzero(hits)

    def narrowed(self, query: Query, among: Sequence[int] | None) -> Query:
        """The query among the features that fire there, and among those given."""
        found = self.features
        if among is not None:
            asked = np.unique(np.array(list(among), dtype=np.int64))
            asked = asked[(asked >= 0) & (asked < len(self.share))]
            found = asked if found is None else np.intersect1d(asked, found)
        return query if found is None else replace(query, among=found, fires=self.share[found])


def _fired_on(found: FeatureGallery, tokens: np.ndarray) -> np.ndarray:
    """On how many of some tokens each feature fires, [feature]."""
    codes = found.need_codes()
    start, end = codes.rows_start[tokens], codes.rows_start[tokens + 1]
    lengths = end - start
    shift = np.repeat(start - (np.cumsum(lengths) - lengths), lengths)
    entries = codes.rows_feature[np.arange(lengths.sum()) + shift]
    return np.bincount(entries, minlength=found.n_features)


def _texts(loaded: Loaded, own: SparseDict, columns: dict[str, list[Any]]) -> dict[str, Any]:
    lens = [tuple(row or ()) for row in columns["lens"]]
    if lens and not any(lens):
        try:
            lens = [tuple(row) for row in lens_tokens(loaded, own, columns["feature"]).tokens]
        except Error:  # nothing leads from there to the vocabulary
            lens = [()] * len(lens)
    return {
        "label": tuple(text or "" for text in columns["label"]),
        "label_by": tuple(text or "" for text in columns["label_by"]),
        "badges": tuple(tuple(row) for row in columns["badges"]),
        "tokens": tuple(tuple(row) for row in columns["tokens"]),
        "lens": tuple(lens),
    }


def _numbers(columns: dict[str, list[Any]]) -> dict[str, np.ndarray]:
    names = {
        "label_score": "label_score",
        "label_chance": "label_chance",
        "density": "density",
        "max": "max_activation",
        "mean_active": "mean_activation",
        "contribution": "contribution",
        "cosine": "cosine",
        "drift": "drift",
        "length": "lengths",
    }
    return {
        new: np.array([np.nan if value is None else value for value in columns[old]], np.float32)
        for old, new in names.items()
    }


def _peaks(found: FeatureGallery, features: Sequence[int]) -> dict[str, Any]:
    """The text around each card's highest peaks."""
    value = np.full((len(features), N_PEAKS), np.nan, dtype=np.float32)
    pieces: list[tuple[tuple[str, ...], ...]] = []
    at: list[tuple[int, ...]] = []
    contexts: list[tuple[int, ...]] = []
    top = found.top
    for row, feature in enumerate(features):
        there = np.flatnonzero(top.context[feature] >= 0)[:N_PEAKS]
        value[row, : len(there)] = top.value[feature, there]
        places = list(
            zip(
                top.context[feature, there].tolist(),
                top.position[feature, there].tolist(),
                strict=True,
            )
        )
        ends = [around(found.text.start, *place) for place in places]
        pieces.append(tuple(found.text.read(found.text.ids[slice(*each)]) for each in ends))
        begins = [int(found.text.start[context]) for context, _ in places]
        shown = zip(places, begins, ends, strict=True)
        at.append(tuple(begin + position - first for (_, position), begin, (first, _) in shown))
        contexts.append(tuple(context for context, _ in places))
    return {
        "peaks": tuple(pieces),
        "peak_at": tuple(at),
        "peak_context": tuple(contexts),
        "peak_value": value,
    }


def _spark(found: FeatureGallery, features: Sequence[int]) -> np.ndarray:
    """Firings by quarter octave, the last bin that of the largest activation, [card, bin]."""
    spark = np.zeros((len(features), SPARK), dtype=np.int64)
    for row, feature in enumerate(features):
        largest = float(found.max[feature])
        if largest <= 0:
            continue
        counts = found.counts(feature)
        last = int(np.flatnonzero(counts)[-1])
        first = max(0, last - SPARK + 1)
        part = counts[first : last + 1]
        spark[row, SPARK - len(part) :] = part
    return spark


def _words(query: Query, among: Sequence[int] | None, fires_on: str) -> str:
    """The filters in words."""
    low, high = query.densities
    parts = []
    if (low, high) != (0.0, 1.0):
        parts.append(f"density {low:g} to {high:g}")
    parts += [f"{badge}" for badge in query.badges] + [f"not {badge}" for badge in query.without]
    if query.labelled is not None:
        parts.append(f"label with F1 of {query.labelled:g} or more")
    if query.text:
        parts.append(f"with “{query.text}” in {', '.join(query.within)}")
    if fires_on.strip():
        parts.append(f"fires on “{fires_on.strip()}”")
    if among is not None:
        parts.append(f"among {len(among):,} features")
    return ", ".join(parts)
