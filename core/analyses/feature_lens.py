"""Which tokens a feature promotes and suppresses by itself, beside what chance gives."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from core.analyses.feature_rows import (
    TINY,
    check_features,
    feature_site,
    once,
    opened_dictionary,
    random_directions,
    stream_rows,
    unit_rows,
)
from core.analyses.runs import Progress
from core.dictionaries.sparse import SparseDict
from core.engine.token_scores import (
    QUANTILE,
    Vocabulary,
    affordable_draws,
    check_k,
    decoded,
    kurtosis,
    piece_table,
    vocabulary,
)
from core.models.loaded import Loaded
from core.results.feature_lens import FeatureLens
from core.spec.site import STREAM

MOST_FEATURES = 256
TILE = 16_000_000  # scores held at once
EDGES = np.arange(-8, 8.01, 0.25)
_ROWS_AT_ONCE = 8_192


def feature_lens(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    feature: int | Sequence[int],
    k: int = 10,
) -> FeatureLens:
    """The k tokens that each feature raises and lowers most on the direct path to the logits.

    Decoder row of length 1 (of heads or neurons: through the matrix behind them), centred for
    LayerNorm models, times the final norm's weight, times the unembedding; over the vocabulary the
    mean is taken away, and z, skew and excess kurtosis are given. `near`: the tokens of largest
    cosine, since rare tokens have rows of unusual length. After the logit lens of SAEDashboard,
    which leaves the norm's weight out for models of the Hugging Face library.
    """
    found = opened_dictionary(loaded, dictionary)
    features = check_features(found, feature, MOST_FEATURES)
    words = vocabulary(loaded, stack=found.out_site.stack)
    check_k(loaded, words, k)
    with loaded.busy():
        rows = stream_rows(loaded, found, features)
        progress.step(0.2, "what random directions reach, once")
        draws = min(affordable_draws(words), 1_000)
        null_z, null_kurtosis = once(
            loaded, found, ("lens null", draws), lambda: null(loaded, found, words, draws, progress)
        )
        progress.step(0.6, f"{len(features)} of {found.n_features:,} features as tokens")
        size = max(1, TILE // words.n)
        parts = []
        for start in range(0, len(rows), size):
            progress.check()
            parts.append(_read(words, rows[start : start + size], k, _lengths(loaded, words)))
        arrays = {
            name: np.concatenate([getattr(part, name).cpu().numpy() for part in parts])
            for name in parts[0].__dataclass_fields__
        }
        ids = [torch.from_numpy(arrays[name]) for name in ("top_ids", "bottom_ids", "near_ids")]
        piece_ids, pieces = piece_table(loaded, *ids)
    component = found.out_site.component
    return FeatureLens(
        request={},
        pieces=pieces,
        piece_ids=piece_ids,
        dictionary=found.name,
        features=tuple(features),
        sites=tuple(feature_site(found, one) for one in features),
        out_site=str(found.out_site),
        through="" if component in STREAM else f"the output matrix behind {component}",
        n_vocabulary=words.n,
        n_null=draws,
        null_z=null_z,
        null_kurtosis=null_kurtosis,
        edges=EDGES.astype("float32"),
        **arrays,
    )


def null(
    loaded: Loaded, dictionary: SparseDict, words: Vocabulary, draws: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """(99th percentile of the largest |z| of isotropic directions and of those like the decoder
    rows; mean and 99th percentile of the kurtosis of the latter).

    Drawn where the dictionary writes and then taken the features' way to the stream.
    """
    own = unit_rows(dictionary)
    z, peaked = [], torch.zeros(0)
    for like in (False, True):
        drawn = random_directions(own, draws, seed=0, like=like)
        rows = stream_rows(loaded, replace(dictionary, W_dec=drawn))
        ends = decoded(words, rows, 1, progress.check)
        z.append(float(torch.quantile(ends.largest_z, QUANTILE)))
        if like:
            peaked = kurtosis(words, rows[:200], progress.check)
    quantile = float(torch.quantile(peaked, QUANTILE))
    return np.array(z, "float32"), np.array([float(peaked.mean()), quantile], "float32")


def _lengths(loaded: Loaded, words: Vocabulary) -> Tensor:
    """Length of each token's reading row [token]; once per model."""
    if "reading lengths" not in loaded.memo:
        parts = words.rows.split(_ROWS_AT_ONCE)
        lengths = torch.cat([torch.linalg.vector_norm(part, dim=1) for part in parts])
        loaded.memo["reading lengths"] = lengths.clamp_min(TINY)
    found: Tensor = loaded.memo["reading lengths"]
    return found


@dataclass(frozen=True)
class _Tokens:
    """Some features' numbers, by the names of the result; [feature] or [feature, k]."""

    mean: Tensor
    deviation: Tensor
    skew: Tensor
    kurtosis: Tensor
    top_ids: Tensor
    top_scores: Tensor
    top_z: Tensor
    top_cosine: Tensor
    bottom_ids: Tensor
    bottom_scores: Tensor
    bottom_z: Tensor
    bottom_cosine: Tensor
    near_ids: Tensor
    near_cosine: Tensor
    counts: Tensor


def _read(words: Vocabulary, rows: Tensor, k: int, lengths: Tensor) -> _Tokens:
    """Rows [feature, d_model] against the whole vocabulary."""
    scores = rows @ words.rows.T  # [feature, token]
    mean = scores.mean(dim=1, keepdim=True)
    scores = scores - mean
    deviation = scores.square().mean(dim=1, keepdim=True).sqrt().clamp_min(TINY)
    z = scores / deviation
    cosine = (scores + mean) / lengths
    cosine = cosine / torch.linalg.vector_norm(rows, dim=1, keepdim=True).clamp_min(TINY)
    near_cosine, near_ids = _largest(cosine, k)
    found = {}
    for end, sign in (("top", 1), ("bottom", -1)):
        best, ids = _largest(sign * scores, k)
        found[f"{end}_ids"], found[f"{end}_scores"] = ids, sign * best
        found[f"{end}_z"], found[f"{end}_cosine"] = z.gather(1, ids), cosine.gather(1, ids)
    return _Tokens(
        mean=mean[:, 0],
        deviation=deviation[:, 0],
        skew=z.pow(3).mean(dim=1),
        kurtosis=z.pow(4).mean(dim=1) - 3,
        near_ids=near_ids,
        near_cosine=near_cosine,
        counts=torch.stack([_histogram(row) for row in z]),
        **found,
    )


def _largest(values: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k largest of each row and their places; of equals the lower place."""
    order = values.argsort(dim=1, descending=True, stable=True)[:, :k]
    return values.gather(1, order), order


def _histogram(z: Tensor) -> Tensor:
    """Counts [bin]; what lies beyond the outermost edges is in the outermost bins."""
    inside = z.clamp(float(EDGES[0]), float(EDGES[-1]) - 1e-4).cpu()
    return torch.histc(inside, bins=len(EDGES) - 1, min=float(EDGES[0]), max=float(EDGES[-1]))
