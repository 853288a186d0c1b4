"""A picture of all features by what they write or read, with its trustworthiness."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.feature_known import Known, known
from core.analyses.feature_rows import opened_dictionary, stream_rows, unit_columns, unit_rows
from core.analyses.layout import (
    groups,
    laid_out,
    nearest,
    planar,
    principal,
    trustworthiness,
)
from core.analyses.runs import Progress
from core.dictionaries.sparse import SparseDict
from core.engine.token_scores import decoded, vocabulary
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.feature_map import FeatureMap
from core.spec.errors import Error

MOST_POINTS = 20_000
LEAST_POINTS = 8
N_NEIGHBOURS = 15
N_NEAR = 3
N_TOKENS = 3
BY = ("decoder", "encoder")
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
    seed: int = 0,
) -> FeatureMap:
    """Features in the plane: rows of length 1, exact nearest neighbours by cosine, UMAP's
    objective from a start on the principal components.

    by        "decoder": what features write; "encoder": what they read
    method    "neighbours", or "pca" for the first two principal components alone
    n_points  a larger dictionary is thinned to that many, drawn with the seed
    gallery   key of the gallery that densities are taken from; without it the one made last
    Groups are k-means by cosine in all dimensions, not in the picture.
    """
    found = opened_dictionary(loaded, dictionary)
    _check(by, method, n_neighbours, n_groups, n_points, found)
    with loaded.busy():
        about = known(loaded, found, gallery)
        chosen = _chosen(found, n_points, seed)
        rows = (unit_rows if by == "decoder" else unit_columns)(found, chosen)
        k = min(n_neighbours, len(rows) - 1)
        progress.step(0.05, f"neighbours of {len(rows):,} features")
        near, cosine = nearest(rows, k, progress.check)
        start = principal(rows)

        def tell(share: float) -> None:
            progress.step(0.2 + 0.5 * share, "laying the features out")

        place = start
        if method == "neighbours":
            place = laid_out(near, 1 - cosine, start, seed=seed, tell=tell)
        progress.step(0.75, "how far the picture is to be trusted")
        trust = _trust(rows, place, start, k, seed)
        progress.step(0.85, "groups")
        group, grouped = _groups(loaded, found, rows, min(n_groups, len(rows)), by, seed)
    return FeatureMap(
        request={},
        dictionary=found.name,
        site=str(found.site),
        by=by,
        method=method,
        n_features=found.n_features,
        n_neighbours=k,
        n_tokens=about.n_tokens,
        trust=trust,
        kept=_kept(near, place),
        **grouped,
        **_named(about, chosen),
        feature=np.array(chosen, np.int32),
        x=place[:, 0].float().cpu().numpy(),
        y=place[:, 1].float().cpu().numpy(),
        group=group.cpu().numpy().astype(np.int16),
        near=np.array(chosen, np.int32)[near[:, :N_NEAR].cpu().numpy()],
        near_cosine=cosine[:, :N_NEAR].cpu().numpy(),
    )


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
        if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
            raise Error(
                f"{name} must be a whole number from {least} to {most:,}, not {str(number)[:20]}"
            )
    if found.n_features < LEAST_POINTS:
        raise Error(f"{found.name} has {found.n_features} features; a map needs {LEAST_POINTS}")


def _chosen(dictionary: SparseDict, most: int, seed: int) -> list[int]:
    """The features drawn, in order; those that write and read nothing are left out."""
    alive = torch.linalg.vector_norm(dictionary.W_enc.float(), dim=0).cpu() > 1e-12
    live = ((dictionary.lengths.cpu() > 1e-12) & alive).nonzero()[:, 0]
    if len(live) < LEAST_POINTS:
        raise Error(f"{dictionary.name}: only {len(live)} features read and write something")
    if len(live) > most:
        order = torch.randperm(len(live), generator=torch.Generator().manual_seed(seed))
        live = live[order[:most].sort().values]
    numbers: list[int] = live.tolist()
    return numbers


def _trust(
    rows: Tensor, place: Tensor, start: Tensor, k: int, seed: int
) -> tuple[float, float, float]:
    """Of the layout, of the principal components, of random places; NaN for too few points."""
    if len(rows) < 2 * k + 2:
        return (float("nan"),) * 3
    random = torch.rand(len(rows), 2, generator=torch.Generator().manual_seed(seed + 1))
    own, plain, chance = (trustworthiness(rows, one, k) for one in (place, start, random))
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
) -> tuple[Tensor, dict[str, Any]]:
    """(group of each point, numbers and tokens of the groups by field of the result)."""
    own, centre = groups(rows, n, seed)
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(seed)).to(rows)
    noise = torch.nn.functional.normalize(noise, dim=1)
    chance, middle = groups(noise, n, seed)
    return own, {
        "group_cosine": float((rows * centre[own]).sum(1).mean()),
        "random_group_cosine": float((noise * middle[chance]).sum(1).mean()),
        "group_tokens": _tokens(loaded, dictionary, centre) if by == "decoder" else (),
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
