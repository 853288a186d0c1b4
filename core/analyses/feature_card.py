"""One feature: what it fires on at every height, what it is silent on, and how it is built."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from core.analyses.asked import whole
from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_neighbours import SAME_COSINE, SAME_JACCARD
from core.analyses.feature_rows import check_feature, feature_site, opened_dictionary, unit_rows
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.galleries import cofiring, labels
from core.galleries.reading import RARE, FeatureGallery, Listed
from core.galleries.table import Query, chosen
from core.models.loaded import Loaded
from core.results.feature_card import FeatureCard
from core.spec.interventions import Change
from kernels.top_examples.reading import N_BANDS

MOST_SHOWN = 64
N_NEAR, PER_NEAR = 10, 6  # near features, and contexts of each, looked at for silence
HISTOGRAM_BINS = 40
N_LISTED, DRAWS = 20, 1_000
TOKENS_AT_ONCE = 4_096


class _Shown(NamedTuple):
    group: str
    feature: int  # whose peak it is
    context: int
    position: int


def feature_card(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    feature: int,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    interventions: Sequence[Change] = (),
    n_top: int = 20,
    n_band: int = 5,
    n_sample: int = 8,
    n_silent: int = 8,
    seed: int = 0,
) -> FeatureCard:
    """Header numbers and contexts of one feature from the gallery of `gallery` with the same
    options, which is made where there is none.

    Where the gallery keeps no activation of every token (as the shipped ones), the shown contexts
    are run once. Panels after SAEDashboard and Neuronpedia; the fifths of the range, the firings
    drawn evenly and the silent contexts are there because the top alone says little.
    """
    found = opened_dictionary(loaded, dictionary)
    one = check_feature(found, feature)
    _check(n_top=n_top, n_band=n_band, n_sample=n_sample, n_silent=n_silent)
    place: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    place |= {"dictionary": dictionary, "corpus": corpus, "seed": seed, "with_codes": False}
    gallery = opened(loaded, progress, interventions=interventions, **place)
    values = _Values(loaded, progress, found, gallery, one, interventions)
    shown = _chosen(gallery, one, n_top, n_band, n_sample)
    near = _near(found, gallery, one)
    shown += _silent(values, near, {each.context for each in shown}, n_silent)
    return FeatureCard(
        request={},
        dictionary=found.name,
        feature=one,
        site=feature_site(found, one),
        corpus=gallery.manifest.corpus,
        gallery=gallery.key,
        n_features=found.n_features,
        n_tokens=gallery.n_tokens,
        n_contexts=gallery.n_contexts,
        window=gallery.manifest.window,
        sites=tuple(str(change.site) for change in interventions),
        **_duplicate(found, gallery, one),
        **_named(found, gallery, one),
        **_numbers(gallery, one),
        **_random(gallery, one),
        **_top_token(gallery, one, seed),
        **_texts(gallery, values, shown),
        **_histograms(gallery, one),
    )


def _check(**numbers: int) -> None:
    for name, value in numbers.items():
        whole(name, value, MOST_SHOWN, 0)


class _Values:
    """One feature at every token of some contexts, in units of written length; each made once."""

    def __init__(
        self,
        loaded: Loaded,
        progress: Progress,
        dictionary: SparseDict,
        gallery: FeatureGallery,
        feature: int,
        interventions: Sequence[Change],
    ) -> None:
        self.loaded, self.progress, self.dictionary = loaded, progress, dictionary
        self.gallery, self.feature, self.interventions = gallery, feature, interventions
        self.length = float(gallery.lengths[feature])
        self.known: dict[int, np.ndarray] = {}

    def of(self, contexts: Iterable[int]) -> dict[int, np.ndarray]:
        """{context: values [token]}."""
        wanted = sorted(set(contexts))
        missing = [context for context in wanted if context not in self.known]
        if self.gallery.codes is not None:
            for context in missing:
                own = self.gallery.activations(self.feature, context)
                self.known[context] = own * np.float32(self.length)
        else:
            self._run(missing)
        return {context: self.known[context] for context in wanted}

    def _run(self, missing: Sequence[int]) -> None:
        text = self.gallery.text
        size = max(1, TOKENS_AT_ONCE // max(1, self.gallery.manifest.window))
        for start in range(0, len(missing), size):
            part = missing[start : start + size]
            ids = [text.context_ids(context).tolist() for context in part]
            site = self.dictionary.site
            seen = run(
                self.loaded,
                rows(self.loaded, ids),
                read=[site],
                change=[self.interventions],
                logits="none",
                check=self.progress.check,
            )
            with self.loaded.busy():
                found = self.dictionary.feature(
                    seen.values[site].to(self.dictionary.W_enc.device), self.feature
                )
            for row, context in enumerate(part):
                own = found[row, : len(ids[row])].float().cpu().numpy() * self.length
                begin, end = text.start[context], text.start[context + 1]
                self.known[context] = np.where(text.keep[begin:end], own, 0).astype("float32")


def _chosen(
    gallery: FeatureGallery, feature: int, n_top: int, n_band: int, n_sample: int
) -> list[_Shown]:
    """Where it fires, group by group."""
    shown = _entries(gallery.top, feature, "top")[:n_top]
    for band in range(N_BANDS - 1, -1, -1):
        part = Listed(*(each[:, band] for each in gallery.band))
        shown += _entries(part, feature, f"+{band + 1}")[:n_band]
    shown += _entries(gallery.weighted, feature, "importance")[:n_sample]
    return shown + _entries(gallery.sample, feature, "sample")[:n_sample]


def _entries(listed: Listed, feature: int, group: str) -> list[_Shown]:
    context, position = listed.context[feature].tolist(), listed.position[feature].tolist()
    pairs = zip(context, position, strict=True)
    return [_Shown(group, feature, at, place) for at, place in pairs if at >= 0]


def _near(dictionary: SparseDict, gallery: FeatureGallery, feature: int) -> list[int]:
    """The features nearest to this one: half by firing together where that is known, the rest by
    decoder row; those that never fire are left out."""
    found: list[int] = []
    if gallery.codes is not None and gallery.count[feature] >= RARE:
        jaccard = np.nan_to_num(cofiring.together(gallery, feature).jaccard)
        order = np.argsort(-jaccard, kind="stable")
        found = [one for one in order.tolist() if one != feature and jaccard[one] > 0]
    rows_ = unit_rows(dictionary)
    order_ = (rows_ @ rows_[feature]).argsort(descending=True, stable=True).tolist()
    found = found[: N_NEAR // 2]
    live = gallery.count > 0
    found += [one for one in order_ if one != feature and one not in found and live[one]]
    return found[:N_NEAR]


def _silent(values: _Values, near: Sequence[int], taken: set[int], n: int) -> list[_Shown]:
    """Peaks of the near features, in turn, in contexts where this feature never fires."""
    top = values.gallery.top
    offered = [
        _Shown("silent", other, int(top.context[other, rank]), int(top.position[other, rank]))
        for rank in range(min(PER_NEAR, top.context.shape[1]))
        for other in near
        if top.context[other, rank] >= 0
    ]
    if not n:
        return []
    own = values.of(each.context for each in offered)
    found: list[_Shown] = []
    for each in offered:
        if len(found) < n and each.context not in taken and not own[each.context].any():
            taken.add(each.context)
            found.append(each)
    return found


def _texts(gallery: FeatureGallery, values: _Values, shown: Sequence[_Shown]) -> dict[str, Any]:
    """What is shown, by field of the result."""
    text = gallery.text
    own = values.of(each.context for each in shown)
    width = max((len(row) for row in own.values()), default=0)
    activation = np.full((len(shown), width), np.nan, dtype=np.float32)
    for row, each in enumerate(shown):
        activation[row, : len(own[each.context])] = own[each.context]
    context = np.array([each.context for each in shown], dtype=np.int32)
    position = np.array([each.position for each in shown], dtype=np.int32)
    spans = [slice(int(text.start[at]), int(text.start[at + 1])) for at in context.tolist()]
    return {
        "group": tuple(each.group for each in shown),
        "of_feature": tuple(each.feature for each in shown),
        "tokens": tuple(text.context_pieces(at) for at in context.tolist()),
        "special": tuple(tuple((~text.keep[span]).tolist()) for span in spans),
        "activation": activation,
        "context": context,
        "document": text.document[context].astype(np.int32),
        "position": position,
        "peak": activation[np.arange(len(shown)), position],
    }


def _named(dictionary: SparseDict, gallery: FeatureGallery, feature: int) -> dict[str, Any]:
    """Label and badges, by field of the result."""
    names = labels.of(dictionary.about.path, gallery.manifest.dictionary_fingerprint)
    label = names.get(feature, labels.Label(""))
    _, table = chosen(gallery.table, Query(among=np.array([feature])), {}, ("badges",))
    badges = table.to_pydict()["badges"]
    return {
        "label": label.text,
        "label_score": float(label.score),
        "label_chance": float(label.chance),
        "label_by": label.by,
        "badges": tuple(badges[0]) if badges else (),
    }


def _duplicate(dictionary: SparseDict, gallery: FeatureGallery, feature: int) -> dict[str, Any]:
    """The feature that writes and fires nearly the same, by field of the result."""
    own = unit_rows(dictionary)
    cosine = (own @ own[feature]).cpu().numpy()
    cosine[feature] = -1
    close = np.flatnonzero(cosine > SAME_COSINE)
    known = gallery.codes is not None and int(gallery.count[feature]) >= RARE
    if not len(close) or not known:
        return {"duplicate": -1, "duplicate_known": known or not len(close)}
    jaccard = np.nan_to_num(cofiring.together(gallery, feature).jaccard[close])
    best = int(jaccard.argmax())
    same = jaccard[best] > SAME_JACCARD
    return {"duplicate": int(close[best]) if same else -1, "duplicate_known": True}


def _numbers(gallery: FeatureGallery, feature: int) -> dict[str, Any]:
    length = float(gallery.lengths[feature])
    halves = gallery.half_count[:, feature]
    with np.errstate(invalid="ignore"):
        mean = gallery.half_total[:, feature] / np.where(halves > 0, halves, np.nan)
    by_position = gallery.by_position[feature] / np.maximum(1, gallery.position_tokens)
    share, total = gallery.band_shares(feature)
    density = gallery.half_density[:, feature]
    return {
        "n_fires": int(gallery.count[feature]),
        "density": float(gallery.density[feature]),
        "largest": float(gallery.max[feature]) * length,
        "mean_active": float(gallery.mean_active[feature]) * length,
        "length": length,
        "cosine": float(gallery.stats["cosine"][feature]),
        "contribution": float(gallery.contribution[feature]),
        "half_density": (float(density[0]), float(density[1])),
        "half_mean": (float(mean[0]) * length, float(mean[1]) * length),
        "band_share": share.astype("float32"),
        "band_sum": total.astype("float32"),
        "by_position": by_position.astype("float32"),
    }


def _random(gallery: FeatureGallery, feature: int) -> dict[str, Any]:
    """What random directions in the dictionary's place do, median and 99th percentile."""
    stats, length = gallery.stats, float(gallery.lengths[feature])
    density = stats["random_count"] / max(1, int(stats["random_tokens"].sum()))
    largest = stats["random_largest"] * length
    pairs = {"random_density": density, "random_largest": largest}
    return {
        name: (float(np.median(part)), float(np.quantile(part, 0.99)))
        for name, part in pairs.items()
    }


def _top_token(gallery: FeatureGallery, feature: int, seed: int) -> dict[str, Any]:
    """The token most common among its largest peaks, beside random tokens."""
    text, top = gallery.text, gallery.top
    there = np.flatnonzero(top.context[feature] >= 0)[:N_LISTED]
    token = text.token(top.context[feature, there], top.position[feature, there])
    kept = text.ids[text.keep]
    drawn = np.random.default_rng(seed).integers(len(kept), size=(DRAWS, N_LISTED))
    shares = [_commonest(row)[1] for row in kept[drawn]]
    common, share = _commonest(text.ids[token]) if len(token) else (-1, float("nan"))
    return {
        "top_piece": text.read([common])[0] if common >= 0 else "",
        "top_share": share,
        "n_listed": len(there),
        "random_share": (float(np.mean(shares)), float(np.quantile(shares, 0.99))),
    }


def _commonest(ids: np.ndarray) -> tuple[int, float]:
    """(the most common number, the lower of equals; its share)."""
    names, counts = np.unique(ids, return_counts=True)
    best = int(counts.argmax())
    return int(names[best]), float(counts[best] / len(ids))


def _histograms(gallery: FeatureGallery, feature: int) -> dict[str, Any]:
    """Firings on a linear and on a logarithmic scale, by field of the result."""
    length, largest = float(gallery.lengths[feature]), float(gallery.max[feature])
    bounds, counts = gallery.histogram(feature)
    bounds = np.minimum(bounds, max(largest, 1e-30))
    used = np.flatnonzero(counts)
    first, last = (int(used[0]), int(used[-1]) + 1) if len(used) else (0, 0)
    cuts = np.linspace(0, max(largest, 1e-30), HISTOGRAM_BINS + 1)
    low, high = bounds[:-1][first:last], np.append(bounds[1:], largest)[first:last]
    shared = np.minimum(high[None], cuts[1:, None]) - np.maximum(low[None], cuts[:-1, None])
    part = np.maximum(shared, 0) / np.maximum(high - low, 1e-30)[None]
    narrow = high <= low  # a bin of one number, the largest
    part[:, narrow] = np.eye(HISTOGRAM_BINS)[:, [-1]]
    return {
        "edges": (cuts * length).astype("float32"),
        "counts": (part * counts[None, first:last]).sum(1).astype("float32"),
        "log_edges": (bounds[first : last + 1] * length).astype("float32"),
        "log_counts": counts[first:last],
    }
