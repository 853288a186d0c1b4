"""How many dimensions are in use, at which layer, and is the cloud isotropic?

Spectrum and power law after Li et al. 2024, "The Geometry of Concepts" (galaxy scale); intrinsic
dimension by two neighbours after Facco et al. 2017; anisotropy after Ethayarajh 2019.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.analyses.clouds import unit
from core.analyses.head_nulls import untrained
from core.analyses.runs import Progress
from core.analyses.states import stream_sites
from core.analyses.whitening import Moments
from core.corpus.chunks import Contexts, contexts
from core.corpus.readers import Corpus
from core.dictionaries import shelf
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded, weight
from core.models.tokens import known_ids
from core.results.spectrum import MEASURES, Spectrum
from core.spec.errors import Error

OF = ("states", "embedding", "unembedding", "dictionary")
FIRST, LAST = 11, 150  # ranks of the published fit, counted from 1
LEAST = 100  # points
SAMPLE = 1_500
PAIRS = 20_000
BLOCKS = 8  # of the corpus, for the jackknife
WIDEST = 1_024  # beyond it the jackknife would take minutes
READ_TOKENS = 4_096
MASSIVE = 10.0


def spectrum(
    loaded: Loaded,
    progress: Progress,
    *,
    of: str = "states",
    dictionary: str = "",
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = 128,
    n_contexts: int = 256,
    untrained_too: bool = False,
    seed: int = 0,
) -> Spectrum:
    """Eigenvalues, ranks, intrinsic dimension and anisotropy of each layer's states.

    of             "states" of the corpus' tokens at every layer (the first token of a window, an
                   attention sink, is left out); the rows of the "embedding", the "unembedding" or
                   of the decoder of a "dictionary"
    untrained_too  also the same architecture with fresh weights (states only)
    """
    if of not in OF:
        raise Error(f"of= is one of {', '.join(OF)}, not {str(of)[:40]!r}")
    if of == "states":
        made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
        own = _states(loaded, progress, made, seed, (0.0, 0.5))
        names = ["embedding", *(str(place) for place in stream_sites(loaded))]
        where = made.name
    else:
        own, names, where = [_rows(loaded, of, dictionary, seed)], [_named(of, dictionary)], ""
    n, d = own[0].n, own[0].mean.shape[0]
    if n < LEAST:
        raise Error(f"{n} points are too few for a spectrum; give a corpus of at least {LEAST}")
    first, last = _ranks(n, d)
    notes = [] if n > 2 * d else [f"{n:,} points of {d:,} dimensions: the tail is mostly noise"]
    twin = None
    if untrained_too and of == "states":
        twin, why = untrained(loaded, seed)
        notes += [why] if why else []
    found = [_measured(one, first, last, progress, seed) for one in own]
    fresh = [_nothing()] * len(found)
    if twin is not None:
        other = _states(twin, progress, made, seed, (0.6, 0.9))
        fresh = [_measured(one, first, last, progress, seed) for one in other]
    ball = _ball(n, d, first, last, seed)
    low, high = zip(*(_interval(one, first, last) for one in own), strict=True)
    return Spectrum(
        request={}, of=of, clouds=tuple(names), corpus=where, n_points=n,
        n_sample=len(own[0].sample), first_rank=first, last_rank=last,
        massive=tuple(_massive(one.mean) for one in own), notes=tuple(notes), seed=seed,
        eigenvalues=np.stack([_shares(one.covariance) for one in own]).astype(np.float32),
        control_eigenvalues=marchenko_pastur(n, d).astype(np.float32),
        values=_stacked(found), control=_stacked([ball] * len(found)), fresh=_stacked(fresh),
        slope_low=np.array(low), slope_high=np.array(high),
    )  # fmt: skip


@dataclass(frozen=True)
class _Cloud:
    """n points; mean [d], covariance [d, d], blocks of the corpus, and a sample [s, d]."""

    n: int
    mean: np.ndarray
    covariance: np.ndarray
    parts: tuple[Moments, ...]
    sample: np.ndarray


def _states(
    loaded: Loaded, progress: Progress, made: Contexts, seed: int, share: tuple[float, float]
) -> list[_Cloud]:
    """The cloud of every layer in one pass over the corpus; no token's state is kept but a few."""
    blocks = stream_sites(loaded)
    places = [replace(blocks[0], component="resid_pre"), *blocks]
    groups = made.batches(READ_TOKENS)
    parts = [[Moments() for _ in range(BLOCKS)] for _ in places]
    rng, n = np.random.default_rng(seed), made.n_tokens
    chosen = np.zeros(n, dtype=bool)
    chosen[rng.permutation(n)[:SAMPLE]] = True
    samples: list[list[np.ndarray]] = [[] for _ in places]
    seen = 0
    with loaded.busy():
        for number, group in enumerate(groups):
            progress.step(
                share[0] + (share[1] - share[0]) * number / len(groups), "reading the corpus"
            )
            batch = rows(loaded, [made.windows[i].ids for i in group])
            read = run(loaded, batch, read=places, logits="none", check=progress.check)
            keep = torch.from_numpy(made.keep_mask(group, batch.ids.shape[1]))
            here = torch.from_numpy(chosen[seen : seen + int(keep.sum())])
            seen += int(keep.sum())
            block = (torch.tensor(group) % BLOCKS)[:, None].expand_as(keep)[keep]
            for layer, place in enumerate(places):
                states = read.values[place].float().cpu()[keep]
                for one, part in enumerate(parts[layer]):
                    part.add(states[block == one])
                samples[layer].append(states[here].double().numpy())
    return [
        _cloud(part, np.concatenate(sample)) for part, sample in zip(parts, samples, strict=True)
    ]


def _rows(loaded: Loaded, of: str, dictionary: str, seed: int) -> _Cloud:
    """The cloud of the rows of one matrix."""
    matrix = _matrix(loaded, of, dictionary).detach().float().cpu()
    length = torch.linalg.vector_norm(matrix, dim=1)
    matrix = matrix[length > 1e-3 * length.median()]
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(matrix), generator=generator)
    parts = [Moments() for _ in range(BLOCKS)]
    for part, some in zip(parts, order.chunk(BLOCKS), strict=False):
        part.add(matrix[some])
    return _cloud(parts, matrix[order[:SAMPLE]].double().numpy())


def _matrix(loaded: Loaded, of: str, dictionary: str) -> torch.Tensor:
    if of == "dictionary":
        if not dictionary:
            raise Error(f"which dictionary? {loaded.name} has {', '.join(loaded.dictionaries)}")
        found: torch.Tensor = shelf.of(loaded.dictionaries, dictionary).W_dec
        return found
    read = "get_input_embeddings" if of == "embedding" else "get_output_embeddings"
    module = getattr(loaded.module, read)()
    matrix = None if module is None else weight(module)
    if matrix is None:
        raise Error(f"{loaded.name} has no plain {of}; ask about its states instead")
    return matrix[: known_ids(loaded)]


def _named(of: str, dictionary: str) -> str:
    return f"rows of {dictionary}" if of == "dictionary" else of


def _cloud(parts: Sequence[Moments], sample: np.ndarray) -> _Cloud:
    used = tuple(part for part in parts if part.n)
    mean, covariance, n = pooled(used)
    return _Cloud(n, mean, covariance, used, sample)


def pooled(parts: Sequence[Moments]) -> tuple[np.ndarray, np.ndarray, int]:
    """(mean, covariance, n) of several batches together (Chan, Golub and LeVeque 1979)."""
    n = sum(part.n for part in parts)
    mean = np.sum([part.n * part.mean for part in parts], axis=0) / n
    total = np.zeros((len(mean), len(mean)))
    for part in parts:
        apart = part.mean - mean
        total += part.n * (part.covariance + np.outer(apart, apart))
    return mean, total / n, n


def _ranks(n: int, d: int) -> tuple[int, int]:
    """Ranks the power law is fitted on: the published ones where the cloud has so many."""
    last = min(LAST, d, n - 1)
    return min(FIRST, max(1, last // 4)), last


def slope(eigenvalues: np.ndarray, first: int, last: int) -> float:
    """Least squares of log10 eigenvalue over log10 rank, ranks first to last, counted from 1."""
    rank = np.arange(first, last + 1)
    y = np.log10(np.maximum(eigenvalues[first - 1 : last], 1e-300))
    return float(np.polyfit(np.log10(rank), y, 1)[0])


def _shares(covariance: np.ndarray) -> np.ndarray:
    values = np.maximum(np.linalg.eigvalsh(covariance)[::-1], 0)
    total = values.sum()
    if not total > 0:
        raise Error("all points are the same, so there are no dimensions to count")
    found: np.ndarray = values / total
    return found


def ranks_of(shares: np.ndarray) -> dict[str, float]:
    """Participation ratio, effective rank (Roy and Vetterli 2007), stable rank, components for 90 %
    of the variance, of eigenvalues as shares that sum to 1, largest first."""
    some = shares[shares > 0]
    return {
        "participation": float(1 / (shares**2).sum()),
        "effective_rank": float(np.exp(-(some * np.log(some)).sum())),
        "stable_rank": float(1 / shares[0]),
        "n90": float(np.searchsorted(np.cumsum(shares), 0.9 - 1e-12) + 1),
    }


def two_nn(points: np.ndarray) -> float:
    """Intrinsic dimension from the two nearest neighbours: N / sum of ln(r2 / r1).

    Repeated points are left out. Underestimates above about ten dimensions.
    """
    points = np.unique(points, axis=0)
    if len(points) < 3:
        return float("nan")
    near = torch.from_numpy(points)
    apart = torch.cdist(near, near)
    apart.fill_diagonal_(torch.inf)
    two = apart.topk(2, dim=1, largest=False).values.numpy()
    known = (two[:, 0] > 0) & np.isfinite(two[:, 1])
    total = np.log(two[known, 1] / two[known, 0]).sum()
    return float(known.sum() / total) if total > 0 else float("nan")


def _measured(
    cloud: _Cloud, first: int, last: int, progress: Progress, seed: int
) -> dict[str, float]:
    progress.tell("eigenvalues and neighbours")
    progress.check()
    shares = _shares(cloud.covariance)
    square = np.diag(cloud.covariance) + cloud.mean**2
    order = np.sort(square)[::-1] / square.sum()
    return {
        **ranks_of(shares),
        "slope": slope(shares, first, last),
        "two_nn": two_nn(cloud.sample),
        "cosine": _mean_cosine(cloud.sample, seed),
        "centred_cosine": _mean_cosine(cloud.sample - cloud.mean, seed),
        "top_1": float(order[0]),
        "top_3": float(order[:3].sum()),
        "norm": float(np.linalg.norm(cloud.sample, axis=1).mean()),
    }


def _mean_cosine(points: np.ndarray, seed: int) -> float:
    """Mean cosine of random pairs of different points."""
    rng = np.random.default_rng(seed)
    one = rng.integers(0, len(points), PAIRS)
    other = (one + rng.integers(1, len(points), PAIRS)) % len(points)
    rows_ = unit(points)
    return float((rows_[one] * rows_[other]).sum(axis=1).mean())


def _ball(n: int, d: int, first: int, last: int, seed: int) -> dict[str, float]:
    """The same measures of an isotropic Gaussian cloud of n points."""
    shares = marchenko_pastur(n, d)
    points = np.random.default_rng(seed).normal(size=(min(n, SAMPLE), d))
    square = np.sort((points**2).mean(axis=0))[::-1]
    return {
        **ranks_of(shares),
        "slope": slope(shares, first, last),
        "two_nn": two_nn(points),
        "cosine": _mean_cosine(points, seed),
        "centred_cosine": _mean_cosine(points - points.mean(axis=0), seed),
        "top_1": float(square[0] / square.sum()),
        "top_3": float(square[:3].sum() / square.sum()),
        "norm": float("nan"),
    }


def marchenko_pastur(n: int, d: int) -> np.ndarray:
    """Expected eigenvalue shares [d] of the covariance of n isotropic Gaussian points, largest
    first: quantiles of the law of Marchenko and Pastur (1967). Beyond n points they are 0.
    """
    ratio = d / n
    low, high = (1 - np.sqrt(ratio)) ** 2, (1 + np.sqrt(ratio)) ** 2
    # Substituting x = middle + half cos(t) takes the two square-root ends out of the integrand.
    t = np.linspace(0, np.pi, 4_001)
    x = (low + high) / 2 + (high - low) / 2 * np.cos(t)
    weight_ = np.sin(t) ** 2 / np.maximum(x, 1e-300)
    mass = np.concatenate([[0.0], np.cumsum((weight_[1:] + weight_[:-1]) / 2)])
    known = min(n, d)
    wanted = (np.arange(known) + 0.5) / known
    values = np.zeros(d)
    values[:known] = np.interp(wanted, mass / mass[-1], x)
    found: np.ndarray = values / values.sum()
    return found


def _interval(cloud: _Cloud, first: int, last: int) -> tuple[float, float]:
    """95 % interval of the slope: jackknife over blocks of the corpus."""
    if len(cloud.parts) < BLOCKS or len(cloud.mean) > WIDEST:
        return float("nan"), float("nan")
    each = np.array(
        [
            slope(_shares(pooled([p for p in cloud.parts if p is not left])[1]), first, last)
            for left in cloud.parts
        ]
    )
    error = np.sqrt((len(each) - 1) * each.var())
    middle = slope(_shares(cloud.covariance), first, last)
    return middle - 1.96 * error, middle + 1.96 * error


def _massive(mean: np.ndarray) -> tuple[int, ...]:
    """Dimensions whose mean is far from 0 beside all others, the largest first."""
    size = np.abs(mean)
    far = np.flatnonzero(size > MASSIVE * np.median(size))
    return tuple(int(i) for i in far[np.argsort(-size[far])])


def _nothing() -> dict[str, float]:
    return dict.fromkeys(MEASURES, float("nan"))


def _stacked(found: Sequence[dict[str, float]]) -> dict[str, np.ndarray]:
    return {name: np.array([one[name] for one in found]) for name in MEASURES}
