"""Points in the plane from a table of nearest neighbours, and how far to trust them.

The objective of UMAP (McInnes, Healy and Melville 2018), its epochs vectorised in torch: every
edge pulls once an epoch with its weight, every point is pushed by a few others drawn at random.
No compilation, so the first picture of a process takes as long as any other.
"""

from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

MIN_DISTANCE = 0.05
EPOCHS, LARGE, FEWER_EPOCHS = 400, 5_000, 200  # the last for more points than LARGE
NEGATIVE = 5  # pushes a point takes for each edge of its own
STEP = 4.0  # longest move of one force
TILE = 16_000_000  # similarities held at once
_ITERATIONS = 32


Similar = Callable[[Tensor], Tensor]  # numbers of some points -> their likeness to all [some, n]


def cosines(rows: Float[Tensor, "point width"]) -> Similar:
    """Cosine of rows of length 1."""
    return lambda some: rows[some.to(rows.device)] @ rows.T


def nearest(
    similar: Similar, n: int, k: int, check: Callable[[], None] = lambda: None
) -> tuple[Int64[Tensor, "point k"], Float[Tensor, "point k"]]:
    """(numbers, likeness) of the k points most like each of n points, itself left out, best first;
    exact, a tile at a time.
    """
    parts = []
    for some in torch.arange(n).split(max(1, TILE // n)):
        check()
        likeness = similar(some)
        likeness[torch.arange(len(some)), some] = -torch.inf
        parts.append(likeness.topk(k, dim=1))
    return torch.cat([p.indices for p in parts]), torch.cat([p.values for p in parts])


def principal(rows: Float[Tensor, "point width"], n: int = 2) -> Float[Tensor, "point n"]:
    """The first principal components of the rows; the sign of each is fixed."""
    centred = rows - rows.mean(0)
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    axes = vectors[:, -n:].flip(1)
    found = centred @ axes
    largest = found.abs().argmax(0)
    return found * found[largest, torch.arange(found.shape[1], device=found.device)].sign()


def laid_out(
    near: Int64[Tensor, "point k"],
    distance: Float[Tensor, "point k"],
    start: Float[Tensor, "point 2"],
    *,
    epochs: int = 0,
    seed: int = 0,
    tell: Callable[[float], None] | None = None,
) -> Float[Tensor, "point 2"]:
    """Places [point, 2] after the epochs, from `start` (scaled to a spread of about 10)."""
    head, tail, weight = _edges(near, distance)
    a, b = _curve(MIN_DISTANCE)
    n = len(near)
    epochs = epochs or (EPOCHS if n <= LARGE else FEWER_EPOCHS)
    generator = torch.Generator().manual_seed(seed)
    place = start.float().cpu()
    place = 10 * (place - place.mean(0)) / place.abs().max().clamp_min(1e-12)
    place = place + 1e-3 * torch.randn(n, 2, generator=generator)
    for epoch in range(epochs):
        if tell is not None:
            tell(epoch / epochs)
        rate = 1 - epoch / epochs
        # An edge of weight w is drawn in a share w of the epochs, as in UMAP.
        drawn = torch.rand(len(head), generator=generator) < weight
        one, other = head[drawn], tail[drawn]
        turned = torch.rand(len(one), generator=generator) < 0.5  # either end is pushed too
        one, other = torch.where(turned, other, one), torch.where(turned, one, other)
        pull = _pull(place[one] - place[other], a, b)
        move = torch.zeros_like(place)
        move.index_add_(0, one, pull).index_add_(0, other, -pull)
        pushed = one.repeat(NEGATIVE)
        strangers = torch.randint(n, (len(pushed),), generator=generator)
        push = _push(place[pushed] - place[strangers], a, b)
        push[pushed == strangers] = 0
        move.index_add_(0, pushed, push)
        # All forces of an epoch act at once: long steps would overshoot.
        length = torch.linalg.vector_norm(move, dim=1, keepdim=True).clamp_min(1e-12)
        place = place + rate * move * (STEP / length).clamp_max(1)
    return place


def _edges(near: Tensor, distance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(one end, other end, weight 0 to 1) of UMAP's fuzzy graph, each edge once."""
    n, k = near.shape
    distance = distance.double().cpu()
    closest = distance[:, :1]
    target = float(np.log2(k))
    low, high = torch.zeros(n, 1).double(), torch.full((n, 1), 1e3).double()
    for _ in range(_ITERATIONS):
        middle = (low + high) / 2
        total = torch.exp(-(distance - closest).clamp_min(0) / middle).sum(1, keepdim=True)
        low, high = (
            torch.where(total < target, middle, low),
            torch.where(total < target, high, middle),
        )
    sigma = torch.maximum((low + high) / 2, 1e-3 * distance.mean())
    weight = torch.exp(-(distance - closest).clamp_min(0) / sigma)
    one = torch.arange(n).repeat_interleave(k)
    other = near.cpu().reshape(-1)
    low_end, high_end = torch.minimum(one, other), torch.maximum(one, other)
    key, place = torch.unique(low_end * n + high_end, return_inverse=True)
    # a + b - ab of the two directions: 1 - (1 - a)(1 - b).
    missing = torch.zeros(len(key)).double()
    missing.index_add_(0, place, torch.log1p(-weight.reshape(-1).clamp_max(1 - 1e-9)))
    return key // n, key % n, (1 - missing.exp()).float()


@lru_cache(maxsize=4)
def _curve(min_distance: float) -> tuple[float, float]:
    """(a, b) so that 1 / (1 + a d^2b) falls like exp(min_distance - d) from there on."""
    from scipy.optimize import curve_fit  # slow to import

    d = np.linspace(0, 3, 300)
    wanted = np.where(d < min_distance, 1.0, np.exp(min_distance - d))
    (a, b), _ = curve_fit(lambda x, a, b: 1 / (1 + a * x ** (2 * b)), d, wanted)
    return float(a), float(b)


def _pull(apart: Tensor, a: float, b: float) -> Tensor:
    """Of two ends of an edge, on the first."""
    square = apart.square().sum(1, keepdim=True).clamp_min(1e-12)
    force = -2 * a * b * square ** (b - 1) / (1 + a * square**b)
    return (force * apart).clamp(-STEP, STEP)


def _push(apart: Tensor, a: float, b: float) -> Tensor:
    """Of a stranger, on the first."""
    square = apart.square().sum(1, keepdim=True)
    force = 2 * b / ((1e-3 + square) * (1 + a * square**b))
    return (force * apart).clamp(-STEP, STEP)


def trustworthiness(
    similar: Similar,
    place: Float[Tensor, "point 2"],
    k: int,
    *,
    most: int = 2_000,
    seed: int = 0,
) -> float:
    """Venna and Kaski's measure, over up to `most` of the points.

    1 - 2 / (n k (2n - 3k - 1)) x the sum, over each point's k nearest in the plane, of how far
    beyond k they stand in truth.
    """
    n = len(place)
    some = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most]
    total, size = 0.0, max(1, TILE // n)
    for part in some.split(size):
        near = planar(place, part, k)
        likeness = similar(part)
        likeness[torch.arange(len(part)), part] = torch.inf
        own = likeness.gather(1, near.to(likeness.device))
        rank = torch.stack([_rank(likeness, own[:, [j]]) for j in range(k)], dim=1)
        total += float((rank - k).clamp_min(0).sum())
    return 1 - 2 * total / (len(some) * k * (2 * n - 3 * k - 1))


def _rank(likeness: Tensor, own: Tensor) -> Tensor:
    """Of each row, how many are above `own` [row, 1]; equals share the places between them."""
    same = (likeness == own).sum(1)
    return (likeness > own).sum(1) + (same - 1) / 2


def planar(
    place: Float[Tensor, "point 2"], some: Int64[Tensor, " chosen"], k: int
) -> Int64[Tensor, "chosen k"]:
    """The k nearest points in the plane of each of some points."""
    place = place.float().cpu()
    apart = torch.cdist(place[some], place)
    apart[torch.arange(len(some)), some] = torch.inf
    return apart.topk(k, dim=1, largest=False).indices


def groups(
    rows: Float[Tensor, "point width"], n: int, seed: int = 0, rounds: int = 25
) -> tuple[Int64[Tensor, " point"], Float[Tensor, "group width"]]:
    """(group of each row, unit centre of each group): k-means by cosine of rows of length 1,
    the largest group first.
    """
    generator = torch.Generator().manual_seed(seed)
    centre = rows[[int(torch.randint(len(rows), (1,), generator=generator))]]
    for _ in range(n - 1):  # far ones first, as in k-means++
        apart = (1 - (rows @ centre.T).amax(1)).clamp_min(1e-9).cpu()
        chosen = int(torch.multinomial(apart, 1, generator=generator))
        centre = torch.cat([centre, rows[[chosen]]])
    own = (rows @ centre.T).argmax(1)
    for _ in range(rounds):
        total = torch.zeros_like(centre).index_add_(0, own, rows)
        length = torch.linalg.vector_norm(total, dim=1, keepdim=True)
        centre = torch.where(length > 1e-6, total / length.clamp_min(1e-12), centre)
        new = (rows @ centre.T).argmax(1)
        if bool((new == own).all()):
            break
        own = new
    order = torch.bincount(own, minlength=n).argsort(descending=True, stable=True)
    number = torch.empty_like(order)
    number[order] = torch.arange(n, device=order.device)
    return number[own], centre[order]
