"""Pattern to features: precision and recall of every feature, held out, beside single units."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses.asked import whole
from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_known import Known, named
from core.analyses.feature_rows import opened_dictionary
from core.analyses.feature_targets import Targets, targets
from core.analyses.runs import Progress
from core.analyses.unit_detectors import Detector, detectors
from core.corpus.chunks import WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.galleries.cofiring import entries
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from core.results.feature_fires import FeatureFires
from core.spec.errors import Error
from core.spec.site import STREAM, Site

N_SHIFTS = 100
N_THRESHOLDS = 10
MOST_UNION, CANDIDATES = 5, 200
MOST_K = 1_000


def feature_fires(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    pattern: str = "",
    words: Sequence[str] = (),
    token: str = "last",
    shift: int = 0,
    least_precision: float = 0.9,
    least_recall: float = 0.01,
    baselines: bool = True,
    k: int = 50,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> FeatureFires:
    """Every feature as a detector of the tokens a pattern means, from the codes of a gallery.

    After the viewer of "Codebook Features" (Tamkin et al. 2023), with held-out scores, single
    units beside them and the precision that luck gives.
    pattern    a regular expression (RE2), its one group marking the part that is meant
    words      instead: whole words in any case
    token      which token of a match: "last", "first", "all"; `shift` 1: the token after it
    baselines  False spares the pass over the corpus that neurons and coordinates need
    """
    found = opened_dictionary(loaded, dictionary)
    _check(k, least_precision, least_recall)
    place: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    gallery = opened(loaded, progress, dictionary=dictionary, corpus=corpus, seed=seed, **place)
    made = _same_text(gallery, contexts(loaded, corpus, **place))
    meant = targets(gallery, made, pattern=pattern, words=words, token=token, shift=shift)
    scores = _Scores(gallery, _hits(gallery, meant.token, meant.half), meant.n)
    table, n_found = _ranked(scores, least_precision, least_recall, k)
    progress.step(0.1, "firings on the targets, and on marks turned round")
    controls = _controls(gallery, meant, scores, least_recall, seed)
    recall = float(scores.recall[0, table[0]])
    singles = _singles(loaded, progress, found, made, meant, recall) if baselines else []
    return FeatureFires(
        request={},
        dictionary=found.name,
        site=str(found.site),
        corpus=gallery.manifest.corpus,
        token=token,
        shift=shift,
        **_target(meant),
        least_precision=float(least_precision),
        least_recall=float(least_recall),
        n_found=n_found,
        relaxed=n_found == 0,
        named=Known(labels=named(found)).labelled(table.tolist()),
        **controls,
        **_union(gallery, meant, scores),
        **_points(scores),
        **_table(gallery, meant, scores, table),
        **_baselines(singles),
    )


def _check(k: int, precision: float, recall: float) -> None:
    whole("k", k, MOST_K)
    for name, value in (("least_precision", precision), ("least_recall", recall)):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            raise Error(f"{name} is a share from 0 to 1, not {str(value)[:20]}")


def _same_text(gallery: FeatureGallery, made: Contexts) -> Contexts:
    """The corpus as windows. Raises `Error` when it is not what the gallery was made of."""
    gallery.need_codes()
    if made.fingerprint != gallery.manifest.corpus_fingerprint:
        raise Error(f"the text {made.name} has changed since its gallery was made; ask again")
    return made


def _target(meant: Targets) -> dict[str, Any]:
    """What was looked for and how often it stands there, by field of the result."""
    return {
        "target": meant.what,
        "n_tokens": meant.n_tokens,
        "n_targets": meant.n,
        "targets": meant.met(),
    }


def _hits(gallery: FeatureGallery, token: np.ndarray, half: np.ndarray) -> np.ndarray:
    """Firings on some tokens by half of the documents, [2, feature]."""
    of, place = entries(gallery, token)
    feature = gallery.need_codes().rows_feature[place].astype(np.int64)
    n = gallery.n_features
    counts: np.ndarray = np.bincount(half[of] * np.int64(n) + feature, minlength=2 * n)
    return counts.reshape(2, n)


class _Scores:
    """Precision, recall and F1 of firing at all, [half, feature]."""

    def __init__(self, gallery: FeatureGallery, hits: np.ndarray, n: tuple[int, int]) -> None:
        fires, total = gallery.half_count, np.array(n)[:, None]
        self.hits = hits
        self.precision = hits / np.maximum(1, fires)
        self.recall = hits / np.maximum(1, total)
        self.f1 = 2 * hits / np.maximum(1, fires + total)
        self.silent = fires == 0


def _ranked(scores: _Scores, precision: float, recall: float, k: int) -> tuple[np.ndarray, int]:
    """(the k features of the table, how many are above both limits on A)."""
    fits = (scores.precision[0] >= precision) & (scores.recall[0] >= recall)
    fits &= scores.hits[0] > 0
    n = int(fits.sum())
    own = scores.recall[0] if n else scores.f1[0]
    order = np.lexsort((-scores.f1[0], -own))
    chosen = order[fits[order]] if n else order[scores.hits[0, order] > 0]
    return (chosen if len(chosen) else order[:1])[:k], n


def _points(scores: _Scores) -> dict[str, Any]:
    """Every feature that fires on a target of B."""
    there = np.flatnonzero(scores.hits[1])
    return {
        "feature": there.astype(np.int32),
        "precision": scores.precision[1, there].astype("float32"),
        "recall": scores.recall[1, there].astype("float32"),
    }


def _table(
    gallery: FeatureGallery, meant: Targets, scores: _Scores, table: np.ndarray
) -> dict[str, Any]:
    rows = [_threshold(gallery, meant, feature) for feature in table.tolist()]
    names = ("threshold", "threshold_precision", "threshold_recall", "threshold_f1")
    swept = dict(zip(names, np.array(rows, "float32").T, strict=True))
    held = np.where(scores.silent[1, table], np.nan, scores.precision[1, table])
    numbers = {
        "table_precision": held,
        "table_recall": scores.recall[1, table],
        "table_f1": scores.f1[1, table],
        "found_precision": scores.precision[0, table],
        "found_recall": scores.recall[0, table],
        "density": gallery.density[table],
    }
    found = {name: value.astype("float32") for name, value in numbers.items()}
    return {"table": table.astype(np.int32), **found, **swept}


def _threshold(
    gallery: FeatureGallery, meant: Targets, feature: int
) -> tuple[float, float, float, float]:
    """(threshold of best F1 on A in written length; precision, recall and F1 above it on B).

    Thresholds: 0 and the deciles of its firings on A.
    """
    token, value = gallery.need_codes().of_feature(feature)
    on, half = meant.mask[token], gallery.text.token_half[token]
    own = value[half == 0]
    levels = np.unique(np.quantile(own, np.arange(1, N_THRESHOLDS) / N_THRESHOLDS))
    choices = [0.0, *levels.tolist()] if len(own) else [0.0]

    def scored(level: float, side: int) -> tuple[float, float, float]:
        fires = (value > level) & (half == side)
        hits, n = int((fires & on).sum()), meant.n[side]
        precision = hits / fires.sum() if fires.any() else float("nan")
        return precision, hits / n, 2 * hits / max(1, int(fires.sum()) + n)

    best = max(choices, key=lambda level: (scored(level, 0)[2], -level))
    length = float(gallery.lengths[feature])
    return (best * length, *scored(best, 1))


def _union(gallery: FeatureGallery, meant: Targets, scores: _Scores) -> dict[str, Any]:
    """Up to five features whose firings together have the best F1 on A, one added at a time."""
    candidates = np.argsort(-scores.f1[0], kind="stable")[:CANDIDATES]
    candidates = candidates[scores.hits[0, candidates] > 0]
    codes, half = gallery.need_codes(), gallery.text.token_half
    fires = {int(one): codes.of_feature(int(one))[0] for one in candidates}
    taken = np.zeros(gallery.text.n_tokens, dtype=bool)
    chosen: list[int] = []
    best = 0.0
    while fires and len(chosen) < MOST_UNION:
        hits = int((taken & meant.mask & (half == 0)).sum())
        size = int((taken & (half == 0)).sum())

        def gain(one: int, hits: int = hits, size: int = size) -> float:
            new = fires[one][~taken[fires[one]] & (half[fires[one]] == 0)]
            right = hits + int(meant.mask[new].sum())
            return 2 * right / max(1, size + len(new) + meant.n[0])

        one = max(fires, key=lambda name: (gain(name), -name))
        if gain(one) <= best:
            break
        best = gain(one)
        chosen.append(one)
        taken[fires.pop(one)] = True
    held = taken & (half == 1)
    hits, size = int((held & meant.mask).sum()), int(held.sum())
    f1 = 2 * hits / max(1, size + meant.n[1])
    precision = hits / size if size else float("nan")
    return {"union": tuple(chosen), "union_scores": (precision, hits / meant.n[1], f1)}


def _controls(
    gallery: FeatureGallery, meant: Targets, own: _Scores, least_recall: float, seed: int
) -> dict[str, Any]:
    """Best F1 of any feature on B, best precision at the least recall on A, of marks turned
    round, [shift] each; how many features are beyond all of it. By field of the result.
    """
    f1, precision = np.zeros(N_SHIFTS), np.zeros(N_SHIFTS)
    for number, token in enumerate(meant.turned(N_SHIFTS, seed)):
        scores = _Scores(gallery, _hits(gallery, token, meant.half), meant.n)
        f1[number] = scores.f1[1].max()
        enough = scores.recall[0] >= least_recall
        precision[number] = scores.precision[0][enough].max(initial=0)
    return {
        "control_f1": f1.astype("float32"),
        "chance_precision": precision.astype("float32"),
        "n_beyond": int((own.f1[1] > f1.max()).sum()),
    }


def _singles(
    loaded: Loaded,
    progress: Progress,
    dictionary: SparseDict,
    made: Contexts,
    meant: Targets,
    recall: float,
) -> list[Detector]:
    """The best neuron and the best coordinate of the stream of the dictionary's layer."""
    place = dictionary.site
    stream = place.component if place.component in STREAM else "resid_post"
    sites = [Site(place.layer, stream, stack=place.stack)]
    if loaded.block(place).neurons is not None:
        sites.insert(0, Site(place.layer, "neuron", stack=place.stack))
    half = meant.text.token_half
    return detectors(loaded, progress, made, sites, meant.mask, half, recall, span=(0.3, 1.0))


def _baselines(singles: Sequence[Detector]) -> dict[str, Any]:
    parts = {
        "baseline_precision": [one.precision for one in singles],
        "baseline_recall": [one.recall for one in singles],
        "baseline_f1": [one.f1 for one in singles],
    }
    arrays = {name: np.array(values, "float32") for name, values in parts.items()}
    return {"baselines": tuple(str(one.site) for one in singles), **arrays}
