"""Points in the plane or in space from a table of nearest neighbours, and how far to trust them.

The objective of UMAP (McInnes, Healy and Melville 2018), its epochs vectorised in torch: every
edge pulls in every epoch with its weight, every point is pushed by a few others drawn at random,
as strongly as its own edges would have it pushed on average. No compilation, so the first picture
of a process takes as long as any other.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

MIN_DISTANCE = 0.05
EPOCHS = 200
NEGATIVE = 5  # pushes for each pull, as in UMAP
STRANGERS = 10  # points drawn in an epoch to push each point: fewer make it restless
STEP = 4.0  # longest move of one force, and of a point in one epoch
RATE = 0.5  # of the first epoch; it falls with the square of the epochs left
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
    start: Float[Tensor, "point dims"],
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
    tell: Callable[[float], None] | None = None,
    rate: float = RATE,
    scaled: bool = True,
) -> Float[Tensor, "point dims"]:
    """Places after the epochs, from `start`, in as many dimensions as it has (2 or 3).

    scaled  bring the start to a spread of about 10 first; False: it is a layout already
    rate    of the first epoch; smaller where a layout is only to be carried on
    """
    head, tail, weight = _edges(near, distance)
    a, b = _curve(MIN_DISTANCE)
    n = len(near)
    generator = torch.Generator().manual_seed(seed)
    place = start.float().cpu()
    if scaled:
        place = 10 * (place - place.mean(0)) / place.abs().max().clamp_min(1e-12)
    noise = torch.randn(n, start.shape[1], generator=generator)
    place = (place + 1e-3 * noise).T.contiguous()  # [dims, point]: sums over dims are cheap
    ends = torch.cat([head, tail])
    others = torch.cat([tail, head])
    weight = torch.cat([weight, weight])
    degree = torch.zeros(n).index_add_(0, ends, weight)
    for epoch in _alone(range(epochs)):
        if tell is not None:
            tell(epoch / epochs)
        pull = _pull(place[:, others] - place[:, ends], a, b) * weight
        move = torch.zeros_like(place).index_add_(1, ends, pull)
        strangers = torch.randint(n, (STRANGERS, n), generator=generator)
        push = _push(place[:, None] - place[:, strangers], a, b)
        move += push.mean(1) * (NEGATIVE * degree)
        # All forces of an epoch act at once: long steps would overshoot.
        length = torch.linalg.vector_norm(move, dim=0).clamp_min(1e-12)
        now = rate * (1 - epoch / epochs) ** 2
        place = place + now * move * (STEP / length).clamp_max(1)
    return place.T.contiguous()


def _alone(epochs: range) -> Iterator[int]:
    """The epochs, on one thread: their steps are small, and two threads that wait for each other
    on a busy machine make them ten times slower.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield from epochs
    finally:
        torch.set_num_threads(before)


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
    """Of an edge on one end; apart [dims, edge] leads from it to the other end."""
    square = apart.square().sum(0).clamp_min(1e-12)
    force = 2 * a * b * square ** (b - 1) / (1 + a * square**b)
    return (force * apart).clamp(-STEP, STEP)


def _push(apart: Tensor, a: float, b: float) -> Tensor:
    """Of strangers on points; apart [dims, stranger, point] leads from the stranger."""
    square = apart.square().sum(0)
    force = 2 * b / ((1e-3 + square) * (1 + a * square**b))
    return (force * apart).clamp(-STEP, STEP)


def trustworthiness(
    similar: Similar,
    place: Float[Tensor, "point dims"],
    k: int,
    *,
    most: int = 2_000,
    seed: int = 0,
) -> float:
    """Venna and Kaski's measure, over up to `most` of the points.

    1 - 2 / (n k (2n - 3k - 1)) x the sum, over each point's k nearest in the picture, of how far
    beyond k they stand in truth. NaN for fewer than 2k + 2 points.
    """
    return trusted(similar, [place], k, most=most, seed=seed)[0]


def trusted(
    similar: Similar,
    places: Sequence[Float[Tensor, "point dims"]],
    k: int,
    *,
    most: int = 2_000,
    seed: int = 0,
) -> list[float]:
    """Trustworthiness of several pictures of the same points, which are ordered once for all."""
    n = len(places[0])
    if n < 2 * k + 2:
        return [float("nan")] * len(places)
    some = torch.randperm(n, generator=torch.Generator().manual_seed(seed))[:most]
    total, size = [0.0] * len(places), max(1, TILE // n)
    for part in some.split(size):
        likeness = similar(part)
        likeness[torch.arange(len(part)), part] = torch.inf
        ordered = likeness.sort(dim=1).values
        for number, place in enumerate(places):
            near = planar(place, part, k).to(likeness.device)
            rank = _rank(ordered, likeness.gather(1, near))
            total[number] += float((rank - k).clamp_min(0).sum())
    return [1 - 2 * one / (len(some) * k * (2 * n - 3 * k - 1)) for one in total]


def _rank(ordered: Tensor, own: Tensor) -> Tensor:
    """How many of each row of `ordered`, smallest first, are above each of `own` [row, k]; equals
    share the places.
    """
    low = torch.searchsorted(ordered, own.contiguous())
    high = torch.searchsorted(ordered, own.contiguous(), right=True)
    return ordered.shape[1] - high + (high - low - 1) / 2


def planar(
    place: Float[Tensor, "point dims"], some: Int64[Tensor, " chosen"], k: int
) -> Int64[Tensor, "chosen k"]:
    """The k nearest points in the picture of each of some points."""
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
