"""The geometry of a dictionary: the spectrum of its rows, and lobes of features that go together.

After Li et al., "The Geometry of Concepts: Sparse Autoencoder Feature Structure" (2024).
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.feature_rows import opened_dictionary, unit_rows
from core.analyses.layout import groups
from core.analyses.runs import Progress
from core.corpus.chunks import contexts
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.feature_geometry import FeatureGeometry
from core.spec.errors import Error

BLOCK, N_BLOCKS = 256, 512
LEAST_BLOCKS, MOST_SHARE = 15, 0.95  # blocks in which a feature must, and must not always, fire
MOST_LIVE, MOST_NEAR = 1_500, 2_000
KS = (2, 3, 4, 5, 6)
FIRST_RANK = 10
NEIGHBOUR = 3
N_SHUFFLES, N_CHANCES, FOLDS = 200, 20, 5
AFFINITIES = ("phi", "jaccard", "dice", "matching", "information")
READ_TOKENS = 2_048


def feature_geometry(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    affinity: str = "phi",
    corpus: Corpus = "built-in",
    field: str = "text",
    n_contexts: int = N_BLOCKS,
    window: int = BLOCK,
    seed: int = 0,
) -> FeatureGeometry:
    """Spectrum of the decoder rows, and do features that fire together lie together?

    affinity  of two features over blocks of `window` tokens: phi, jaccard, dice, matching (simple
              matching) or information (mutual information of features that go together)
    """
    if affinity not in AFFINITIES:
        raise Error(f"affinity is one of {', '.join(AFFINITIES)}, not {str(affinity)[:40]!r}")
    found = opened_dictionary(loaded, dictionary)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    progress.step(0.0, "the spectrum of the rows")
    own = unit_rows(found).cpu()
    own = own[own.norm(dim=1) > 0]
    shapes = _shapes(own, seed)
    fires = _blocks(loaded, progress, found, made)
    live = _live(fires)
    progress.step(0.7, "lobes")
    lobes = _lobes(progress, fires[:, live], unit_rows(found)[live.to(found.W_dec.device)].cpu(),
                   affinity, seed)  # fmt: skip
    return FeatureGeometry(
        request={},
        dictionary=dictionary,
        site=str(found.out_site),
        n_features=found.n_features,
        n_rows=len(own),
        first_rank=min(FIRST_RANK, max(1, found.d_out // 4)),
        last_rank=max(2, found.d_out // 2),
        corpus=made.name,
        affinity=affinity,
        block=window,
        n_blocks=len(made),
        n_shuffles=N_SHUFFLES,
        feature=live.numpy(),
        **shapes,
        **lobes,
    )


def _shapes(own: Tensor, seed: int) -> dict[str, Any]:
    """Spectrum and what follows from it, of the rows and of as many random ones."""
    random = torch.randn(own.shape, generator=torch.Generator().manual_seed(seed))
    random /= random.norm(dim=1, keepdim=True)
    found: dict[str, Any] = {}
    for name, cloud in (("", own), ("random_", random)):
        values = spectrum(cloud)
        found |= {
            f"{name}eigenvalues": values.numpy(),
            f"{name}slope": slope(values),
            f"{name}dimension": float(values.sum() ** 2 / values.square().sum()),
            f"{name}clustering": clustering(cloud, seed),
        }
    return found


def spectrum(cloud: Tensor) -> Tensor:
    """Eigenvalues of the covariance of rows [row, d], falling, their sum 1, float64."""
    centred = (cloud - cloud.mean(0)).double()
    values = torch.linalg.eigvalsh(centred.T @ centred).flip(0).clamp_min(0)
    return values / values.sum().clamp_min(1e-300)


def slope(values: Tensor) -> float:
    """Least-squares slope of log eigenvalue over log rank, from rank 10 to half the width."""
    first, last = min(FIRST_RANK, max(1, len(values) // 4)), max(2, len(values) // 2)
    part = values[first - 1 : last].clamp_min(1e-300).log()
    rank = torch.arange(first, first + len(part), dtype=torch.float64).log()
    rank = rank - rank.mean()
    return float((rank * part).sum() / rank.square().sum())


def clustering(cloud: Tensor, seed: int) -> float:
    """Nats of entropy that rows have less than Gaussian ones of the same covariance.

    Both by the distance to the third neighbour (Kozachenko and Leonenko), so that the bias of the
    estimate, which is large in many dimensions, is in both.
    """
    generator = torch.Generator().manual_seed(seed)
    some = cloud[torch.randperm(len(cloud), generator=generator)[:MOST_NEAR]]
    centred = some - some.mean(0)
    values, vectors = torch.linalg.eigh((centred.T @ centred / len(some)).double())
    # Directions without any spread, as in a cloud of fewer rows than dimensions, have no density.
    wide = values > values.max() * 1e-6
    root = (vectors[:, wide] * values[wide].sqrt()).float()
    gaussian = torch.randn(len(some), int(wide.sum()), generator=generator) @ root.T
    apart = _log_distance(gaussian) - _log_distance(centred)
    return float(int(wide.sum()) * apart)


def _log_distance(cloud: Tensor) -> float:
    """Mean logarithm of the distance to the third neighbour."""
    k = min(NEIGHBOUR, len(cloud) - 1) + 1
    parts = [
        torch.cdist(part, cloud).topk(k, largest=False).values[:, -1] for part in cloud.split(1_000)
    ]
    return float(torch.cat(parts).double().clamp_min(1e-12).log().mean())


def _blocks(loaded: Loaded, progress: Progress, found: SparseDict, made: Any) -> Tensor:
    """Which features fire in which block, bool [block, feature]."""
    fires = torch.zeros(len(made), found.n_features, dtype=torch.bool)
    batches = made.batches(READ_TOKENS)
    for number, numbers in enumerate(batches):
        progress.step(0.7 * number / len(batches), f"reading {made.name}: block {number}")
        shown = rows(loaded, [made.windows[place].ids for place in numbers])
        seen = run(loaded, shown, read=[found.site], logits="none", check=progress.check)
        keep = torch.from_numpy(made.keep_mask(numbers, shown.ids.shape[1]))
        values = seen.values[found.site]
        row = torch.arange(len(numbers)).repeat_interleave(keep.sum(1))
        codes = found.codes(values[keep.to(values.device)].to(found.W_enc.device))
        block = torch.tensor(numbers)[row[codes.token.cpu()]]
        fires[block, codes.feature.long().cpu()] = True
    return fires


def _live(fires: Tensor) -> Tensor:
    """Features that fire in enough blocks and not in nearly all; the commonest if too many."""
    n = fires.sum(0)
    fit = (n >= LEAST_BLOCKS) & (n <= MOST_SHARE * len(fires))
    live = fit.nonzero().flatten()
    if len(live) < 4 * max(KS):
        raise Error(
            f"only {len(live):,} features fire in {LEAST_BLOCKS} to {MOST_SHARE:.0%} of "
            f"{len(fires):,} blocks, too few for lobes; give more text (n_contexts=, corpus=)"
        )
    return live[n[live].argsort(descending=True, stable=True)[:MOST_LIVE]].sort().values


def alike(fires: Tensor, affinity: str) -> Tensor:
    """Affinity [feature, feature] of features by the blocks they fire in, from 0 up."""
    own = fires.double()
    n, both, each = len(own), own.T @ own, own.sum(0)
    one, other = each[:, None], each[None]
    match affinity:
        case "jaccard":
            return both / (one + other - both).clamp_min(1)
        case "dice":
            return 2 * both / (one + other).clamp_min(1)
        case "matching":
            return (n - one - other + 2 * both) / n
        case "information":
            together = n * both > one * other  # excluding each other is information too
            return _information(both, one, other, n) * together
    spread = (one * (n - one) * other * (n - other)).sqrt().clamp_min(1e-12)
    return 1 + (n * both - one * other) / spread


def _information(both: Tensor, one: Tensor, other: Tensor, n: int) -> Tensor:
    total = torch.zeros_like(both)
    for joint, a, b in (
        (both, one, other),
        (one - both, one, n - other),
        (other - both, n - one, other),
        (n - one - other + both, n - one, n - other),
    ):
        total += joint / n * ((joint * n).clamp_min(1e-12) / (a * b).clamp_min(1e-12)).log()
    return total.clamp_min(0)


def placed(affinity: Tensor) -> Tensor:
    """The coordinates of spectral clustering from an affinity [point, point], best one last."""
    degree = affinity.sum(1).clamp_min(1e-12).rsqrt()
    _, vectors = torch.linalg.eigh(degree[:, None] * affinity * degree[None])
    return vectors[:, -max(KS) :].float()


def parts(place: Tensor, k: int, seed: int) -> Tensor:
    """k clusters of points placed by `placed`."""
    place = place[:, -k:]
    place = place / place.norm(dim=1, keepdim=True).clamp_min(1e-12)
    return groups(place, k, seed, rounds=100)[0]


def _lobes(
    progress: Progress, fires: Tensor, cloud: Tensor, affinity: str, seed: int
) -> dict[str, Any]:
    together = placed(alike(fires, affinity))
    near = placed(1 - (cloud @ cloud.T).double().clamp(-1, 1).acos() / torch.pi)
    draw = np.random.default_rng(seed)
    found: dict[str, list[Any]] = {
        name: [] for name in ("lobe", "ami", "ami_null", "p", "accuracy", "chance")
    }
    for number, k in enumerate(KS):
        progress.step(0.75 + 0.2 * number / len(KS), f"{k} lobes")
        lobe, place = parts(together, k, seed).numpy(), parts(near, k, seed).numpy()
        own, null = _agreement(lobe, place, draw)
        chance = [_read(cloud, draw.permutation(lobe), seed) for _ in range(N_CHANCES)]
        found["lobe"].append(lobe)
        found["ami"].append(own)
        found["ami_null"].append(np.quantile(null, 0.95))
        found["p"].append((1 + (null >= own).sum()) / (1 + N_SHUFFLES))
        found["accuracy"].append(_read(cloud, lobe, seed))
        found["chance"].append(np.quantile(chance, 0.95))
    return {"k": np.array(KS), **{name: np.array(values) for name, values in found.items()}}


def _agreement(
    one: np.ndarray, other: np.ndarray, draw: np.random.Generator
) -> tuple[float, np.ndarray]:
    """(adjusted mutual information, the same for shuffled labels): 0 by chance, 1 when equal."""
    own = _shared(one, other)
    null = np.array([_shared(draw.permutation(one), other) for _ in range(N_SHUFFLES)])
    most = (_shared(one, one) + _shared(other, other)) / 2
    room = max(most - float(null.mean()), 1e-12)
    return (own - float(null.mean())) / room, (null - null.mean()) / room


def _shared(one: np.ndarray, other: np.ndarray) -> float:
    """Mutual information of two labellings in nats; of one with itself its entropy."""
    joint = np.bincount(one * (int(other.max()) + 1) + other, minlength=1).astype(float)
    width = int(other.max()) + 1
    joint = np.resize(np.pad(joint, (0, -len(joint) % width)), (-(-len(joint) // width), width))
    joint /= joint.sum()
    apart = joint.sum(1, keepdims=True) * joint.sum(0, keepdims=True)
    live = joint > 0
    return float((joint[live] * np.log(joint[live] / apart[live])).sum())


def _read(cloud: Tensor, lobe: np.ndarray, seed: int) -> float:
    """Held-out accuracy of a ridge regression from rows to lobes, over five folds."""
    order = np.random.default_rng(seed).permutation(len(lobe))
    x = torch.cat([cloud, torch.ones(len(cloud), 1)], dim=1).double()
    wanted = torch.nn.functional.one_hot(torch.from_numpy(lobe).long()).double()
    right = 0
    for fold in np.array_split(order, FOLDS):
        train = torch.ones(len(lobe), dtype=torch.bool)
        train[fold] = False
        gram = x[train].T @ x[train] + torch.eye(x.shape[1], dtype=torch.float64)
        weights = torch.linalg.solve(gram, x[train].T @ wanted[train])
        right += int(((x[fold] @ weights).argmax(1) == wanted[fold].argmax(1)).sum())
    return right / len(lobe)
