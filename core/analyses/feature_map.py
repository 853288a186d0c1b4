"""A picture of all features by what they write or read, with its trustworthiness."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.asked import whole
from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_known import Known, known
from core.analyses.feature_rows import opened_dictionary, stream_rows, unit_columns, unit_rows
from core.analyses.layout import (
    Similar,
    cosines,
    groups,
    laid_out,
    nearest,
    planar,
    principal,
    trusted,
)
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.engine.token_scores import decoded, vocabulary
from core.galleries.cofiring import jaccards
from core.galleries.reading import RARE, FeatureGallery
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.feature_map import FeatureMap
from core.spec.errors import Error

MOST_POINTS = 20_000
LEAST_POINTS = 8
N_NEIGHBOURS = 15
N_NEAR = 3
N_TOKENS = 3
BY = ("decoder", "encoder", "cofiring")
METHODS = ("neighbours", "pca")


def feature_map(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    by: str = "decoder",
    method: str = "neighbours",
    n_neighbours: int = N_NEIGHBOURS,
    n_groups: int = 24,
    n_points: int = MOST_POINTS,
    gallery: str = "",
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> FeatureMap:
    """Features in the plane: exact nearest neighbours, then UMAP's objective from a start on the
    principal components.

    by        "decoder": cosine of what features write; "encoder": of what they read; "cofiring":
              the Jaccard index of firing, of features with 15 firings or more in the gallery of
              the corpus, which is made where there is none
    method    "neighbours", or "pca" for the first two principal components (of the rows) alone
    n_points  a larger dictionary is thinned to that many, drawn with the seed
    gallery   key of the gallery that densities are taken from; without it the one made last
    Groups are k-means by cosine of the rows in all dimensions, not in the picture.
    """
    found = opened_dictionary(loaded, dictionary)
    _check(by, method, n_neighbours, n_groups, n_points, found)
    options: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    fires = None
    if by == "cofiring":
        fires = opened(loaded, progress, dictionary=dictionary, corpus=corpus, seed=seed, **options)
    with loaded.busy():
        about = known(loaded, found, fires.key if fires else gallery)
        chosen = _chosen(found, n_points, seed, fires)
        rows = (unit_columns if by == "encoder" else unit_rows)(found, chosen)
        drawn = _drawn(rows, _similar(rows, fires, chosen), method, n_neighbours, seed, progress)
        progress.step(0.85, "groups")
        groups_ = _groups(loaded, found, rows, min(n_groups, len(rows)), by, seed)
    near = np.array(chosen, np.int32)[drawn.near[:, :N_NEAR].cpu().numpy()]
    return FeatureMap(
        request={},
        dictionary=found.name,
        site=str(found.site),
        by=by,
        method=method,
        n_features=found.n_features,
        n_neighbours=drawn.near.shape[1],
        n_tokens=about.n_tokens,
        trust=drawn.trust,
        kept=_kept(drawn.near, drawn.place),
        feature=np.array(chosen, np.int32),
        x=drawn.place[:, 0].float().cpu().numpy(),
        y=drawn.place[:, 1].float().cpu().numpy(),
        near=near,
        near_cosine=drawn.likeness[:, :N_NEAR].float().cpu().numpy(),
        **groups_,
        **_named(about, chosen),
    )


@dataclass(frozen=True)
class _Drawn:
    """Places [point, 2], the nearest in truth and their likeness [point, k], and the trust."""

    place: Tensor
    near: Tensor
    likeness: Tensor
    trust: tuple[float, float, float]


def _similar(rows: Tensor, fires: FeatureGallery | None, chosen: list[int]) -> Similar:
    """What neighbours are found by."""
    if fires is None:
        return cosines(rows)
    jaccard = jaccards(fires, np.array(chosen))
    return lambda some: torch.from_numpy(jaccard(some.numpy()))


def _drawn(
    rows: Tensor, similar: Similar, method: str, n_neighbours: int, seed: int, progress: Progress
) -> _Drawn:
    k, n = min(n_neighbours, len(rows) - 1), len(rows)
    progress.step(0.05, f"neighbours of {n:,} features")
    near, likeness = nearest(similar, n, k, progress.check)
    place = start = principal(rows)

    def tell(share: float) -> None:
        progress.step(0.2 + 0.5 * share, "laying the features out")

    if method == "neighbours":
        place = laid_out(near, 1 - likeness, start, seed=seed, tell=tell)
    progress.step(0.75, "how far the picture is to be trusted")
    return _Drawn(place, near, likeness, _trust(similar, place, start, k, seed))


def _check(
    by: str, method: str, n_neighbours: int, n_groups: int, n_points: int, found: SparseDict
) -> None:
    for name, value, known_ones in (("by", by, BY), ("method", method, METHODS)):
        if value not in known_ones:
            raise Error(f"{name} must be one of {', '.join(known_ones)}, not {str(value)[:20]!r}")
    limits = (
        ("n_neighbours", n_neighbours, 2, 100),
        ("n_groups", n_groups, 1, 200),
        ("n_points", n_points, LEAST_POINTS, MOST_POINTS),
    )
    for name, number, least, most in limits:
        whole(name, number, most, least)
    if found.n_features < LEAST_POINTS:
        raise Error(f"{found.name} has {found.n_features} features; a map needs {LEAST_POINTS}")


def _chosen(
    dictionary: SparseDict, most: int, seed: int, fires: FeatureGallery | None
) -> list[int]:
    """The features drawn, in order; those that write, read or do nothing are left out."""
    alive = torch.linalg.vector_norm(dictionary.W_enc.float(), dim=0).cpu() > 1e-12
    alive &= dictionary.lengths.cpu() > 1e-12
    if fires is not None:
        alive &= torch.from_numpy(fires.count >= RARE)
    live = alive.nonzero()[:, 0]
    if len(live) < LEAST_POINTS:
        often = "" if fires is None else f" and fire on {RARE} tokens or more"
        raise Error(f"{dictionary.name}: only {len(live)} features read and write something{often}")
    if len(live) > most:
        order = torch.randperm(len(live), generator=torch.Generator().manual_seed(seed))
        live = live[order[:most].sort().values]
    numbers: list[int] = live.tolist()
    return numbers


def _trust(
    similar: Similar, place: Tensor, start: Tensor, k: int, seed: int
) -> tuple[float, float, float]:
    """Of the layout, of the principal components, of random places; NaN for too few points."""
    if len(place) < 2 * k + 2:
        return (float("nan"),) * 3
    random = torch.rand(len(place), 2, generator=torch.Generator().manual_seed(seed + 1))
    own, plain, chance = trusted(similar, (place, start, random), k)
    return own, plain, chance


def _kept(near: Tensor, place: Tensor) -> float:
    """Mean share of the true neighbours that are among as many in the plane."""
    n, k = near.shape
    some = torch.arange(n)[:: max(1, n // 2_000)]
    there = planar(place, some, k)
    same = (there[:, :, None] == near[some].cpu()[:, None]).any(2)
    return float(same.float().mean())


def _groups(
    loaded: Loaded, dictionary: SparseDict, rows: Tensor, n: int, by: str, seed: int
) -> dict[str, Any]:
    """Group of each point, numbers and tokens of the groups, by field of the result."""
    own, centre = groups(rows, n, seed)
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(seed)).to(rows)
    noise = torch.nn.functional.normalize(noise, dim=1)
    chance, middle = groups(noise, n, seed)
    return {
        "group": own.cpu().numpy().astype(np.int16),
        "group_cosine": float((rows * centre[own]).sum(1).mean()),
        "random_group_cosine": float((noise * middle[chance]).sum(1).mean()),
        "group_tokens": () if by == "encoder" else _tokens(loaded, dictionary, centre),
    }


def _tokens(loaded: Loaded, dictionary: SparseDict, centre: Tensor) -> tuple[tuple[str, ...], ...]:
    """What the mean direction of each group promotes; () where no lens reads the dictionary."""
    try:
        words = vocabulary(loaded, stack=dictionary.out_site.stack)
        rows = stream_rows(loaded, replace(dictionary, W_dec=centre))
    except Error:
        return ()
    ids = decoded(words, rows, min(N_TOKENS, words.n)).top_ids.tolist()
    return tuple(pieces(loaded, row) for row in ids)


def _named(about: Known, chosen: list[int]) -> dict[str, Any]:
    """Labels, their families and densities of the points, by field of the result."""
    named = about.labelled(chosen)
    labels = dict(named)
    first = [labels.get(one, "").partition(":")[0].strip() for one in chosen]
    families = ("", *sorted({name for name in first if name}))
    number = {name: place for place, name in enumerate(families)}
    density = np.full(len(chosen), np.nan, "float32")
    if about.density is not None:
        density = about.density[chosen].astype("float32")
    return {
        "families": families,
        "named": named,
        "family": np.array([number[name] for name in first], np.int16),
        "density": density,
    }
