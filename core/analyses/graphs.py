"""Small graphs of words, walks on them, and how far states follow a graph.

"ICLR: In-Context Learning of Representations" (Park et al. 2025) and its critique by induction
circuits: averaging over neighbours alone gives a grid, so that null belongs to every number here.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from core.spec.errors import Error

# name: how many words it takes unless words are given
GRAPHS = {"grid": 16, "ring": 10, "hexagon": 16, "weekdays": 7}
LEAST_NODES = 5


@dataclass(frozen=True)
class Graph:
    """adjacency [node, node] of bool, symmetric; place [node, 2] where a node is drawn;
    usual [node, node]: neighbours the words have by themselves, all False without any."""

    name: str
    adjacency: np.ndarray
    place: np.ndarray
    usual: np.ndarray

    @property
    def n(self) -> int:
        return len(self.adjacency)

    @property
    def edges(self) -> np.ndarray:
        """[edge, 2] of node numbers, the smaller one first."""
        return np.argwhere(np.triu(self.adjacency))


def graph(name: str, n: int) -> Graph:
    """The graph of this name with n nodes. Raises `Error` where it has no such size."""
    if name not in GRAPHS:
        raise Error(f"no graph {str(name)[:40]!r}; there are {', '.join(GRAPHS)}")
    if n < LEAST_NODES:
        raise Error(f"{n} words make no graph to trace; give {LEAST_NODES} or more")
    if name == "grid":
        return _grid(n)
    if name == "hexagon":
        if n != GRAPHS[name]:
            raise Error(f"the hexagonal lattice has {GRAPHS[name]} nodes, not {n}; or take a ring")
        return _hexagon()
    usual = np.zeros((n, n), dtype=bool)
    if name == "weekdays":
        if n != GRAPHS[name]:
            raise Error(f"a week has {GRAPHS[name]} days, not {n}; take a ring for other words")
        # Every day stands beside those three days away: the usual neighbours are far.
        order = np.arange(n) * 3 % n
        usual = _ring(n)
        adjacency = np.zeros_like(usual)
        adjacency[np.ix_(order, order)] = _ring(n)
        place = np.zeros((n, 2))
        place[order] = _circle(n)
        return Graph(name, adjacency, place, usual)
    return Graph(name, _ring(n), _circle(n), usual)


def _ring(n: int) -> np.ndarray:
    found: np.ndarray = np.roll(np.eye(n, dtype=bool), 1, axis=1)
    return found | found.T


def _circle(n: int) -> np.ndarray:
    angle = 2 * math.pi * np.arange(n) / n
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def _grid(n: int) -> Graph:
    rows = next((r for r in range(math.isqrt(n), 1, -1) if n % r == 0), 0)
    if not rows:
        raise Error(f"{n} words fill no grid of two rows or more; give 6, 9, 12, 16 ... or a ring")
    columns = n // rows
    at = np.array([(c, -r) for r in range(rows) for c in range(columns)], dtype=float)
    return Graph("grid", _steps(at), at - at.mean(axis=0), np.zeros((n, n), dtype=bool))


def _steps(at: np.ndarray) -> np.ndarray:
    """Neighbours are one step apart."""
    apart = np.abs(at[:, None] - at[None]).sum(axis=-1)
    return np.asarray(apart == 1)


def _hexagon() -> Graph:
    """Two by two hexagons as a brick wall of three rows, without its two loose ends."""
    bricks = [(c, -r) for r in range(3) for c in range(6) if (c, r) not in ((5, 0), (0, 2))]
    at = np.array(bricks, dtype=float)
    beside = np.abs(at[:, None] - at[None])
    across = (beside[..., 0] == 1) & (beside[..., 1] == 0)
    column, row = at[:, 0], -at[:, 1]
    down = (beside[..., 0] == 0) & (row[None] - row[:, None] == 1)
    down &= ((column + row) % 2 == 0)[:, None]
    adjacency = across | down | down.T
    return Graph("hexagon", adjacency, at - at.mean(axis=0), np.zeros((len(at),) * 2, dtype=bool))


def walk(graph: Graph, length: int, start: int, rng: np.random.Generator) -> np.ndarray:
    """Node numbers [step] of a random walk."""
    neighbours = [np.flatnonzero(row) for row in graph.adjacency]
    draws, found, node = rng.random(length), np.empty(length, dtype=np.int64), start
    for step in range(length):
        found[step] = node
        options = neighbours[node]
        node = int(options[int(draws[step] * len(options))])
    return found


def energy(means: np.ndarray, adjacency: np.ndarray) -> float:
    """Normalised Dirichlet energy: mean squared distance over edges / over all pairs; 1 for none.

    means [node, d]; rows that are not finite are left out. NaN without an edge or any distance.
    """
    return float(energies(means, adjacency, [np.arange(len(means))])[0])


def energies(means: np.ndarray, adjacency: np.ndarray, orders: Sequence[np.ndarray]) -> np.ndarray:
    """The energy [order] with the words put on the nodes in each of these orders."""
    known = np.isfinite(means).all(axis=1)
    pairs = np.triu(known[:, None] & known[None], 1)
    if not pairs.any():
        return np.full(len(orders), math.nan)
    rows = np.where(known[:, None], means - means[known].mean(axis=0), 0.0)
    square = (rows**2).sum(axis=1)
    apart = square[:, None] + square[None] - 2 * rows @ rows.T
    whole = apart[pairs].mean()
    if not whole > 1e-12 * max(square.max(), 1e-300):
        return np.full(len(orders), math.nan)
    found = []
    for order in orders:
        edges = adjacency[np.ix_(order, order)] & pairs
        found.append(apart[edges].mean() / whole if edges.any() else math.nan)
    return np.array(found)


@cache
def _spectral(n: int, flat: bytes) -> np.ndarray:
    adjacency = np.frombuffer(flat, dtype=bool).reshape(n, n)
    laplacian = np.diag(adjacency.sum(axis=1)) - adjacency.astype(float)
    return np.asarray(np.linalg.eigh(laplacian)[1][:, 1:3])


def spectral(adjacency: np.ndarray) -> np.ndarray:
    """Laplacian eigenvectors 2 and 3, [node, 2]: the graph as it draws itself."""
    return _spectral(len(adjacency), np.ascontiguousarray(adjacency).tobytes())


@dataclass(frozen=True)
class Plane:
    """The two principal components of node means: points [node, 2], axes [2, d], middle [d], the
    share of the variance they hold, and their alignment with the graph's own layout, 0 to 1."""

    points: np.ndarray
    axes: np.ndarray
    middle: np.ndarray
    share: float
    alignment: float


def plane(means: np.ndarray, adjacency: np.ndarray) -> Plane:
    """PCA of node means, turned (rotation or mirror only) towards the graph's own layout.

    Nodes without a mean count as if they lay in the middle, and have no point.
    """
    known = np.isfinite(means).all(axis=1)
    middle = means[known].mean(axis=0)
    centred = np.where(known[:, None], means - middle, 0.0)
    left, values, right = np.linalg.svd(centred, full_matrices=False)
    layout = spectral(adjacency)
    total = float((values**2).sum())
    alignment = float((np.linalg.svd(layout.T @ left[:, :2])[1] ** 2).mean())
    points = left[:, :2] * values[:2]
    one, _, other = np.linalg.svd(points.T @ layout)
    turn = one @ other
    shown = np.where(known[:, None], points @ turn, np.nan)
    share = float((values[:2] ** 2).sum() / total) if total > 0 else math.nan
    return Plane(shown, turn.T @ right[:2], middle, share, alignment if total > 0 else math.nan)


def mixed(graph: Graph, width: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """The neighbour-mixing null, (energy, alignment) [draw, 2]: e_v + mean of its neighbours' e_u.

    e_v are random vectors that know nothing; one look at the token before mixes them like this.
    """
    return _drawn(graph, width, n, rng, lambda rows: rows + _average(graph, rows))


def mixed_plane(graph: Graph, width: int, rng: np.random.Generator) -> Plane:
    """The picture that one draw of such vectors gives."""
    rows = rng.standard_normal((graph.n, width))
    return plane(rows + _average(graph, rows), graph.adjacency)


def unrelated(graph: Graph, width: int, n: int, rng: np.random.Generator) -> np.ndarray:
    """The same of random vectors that are not mixed."""
    return _drawn(graph, width, n, rng, lambda rows: rows)


def _average(graph: Graph, rows: np.ndarray) -> np.ndarray:
    weight = graph.adjacency / graph.adjacency.sum(axis=1, keepdims=True)
    return np.asarray(weight @ rows)


def _drawn(
    graph: Graph, width: int, n: int, rng: np.random.Generator,
    make: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:  # fmt: skip
    found = []
    for _ in range(n):
        rows = make(rng.standard_normal((graph.n, width)))
        found.append((energy(rows, graph.adjacency), plane(rows, graph.adjacency).alignment))
    return np.array(found)


def mixed_once(graph: Graph, rows: np.ndarray) -> tuple[float, float]:
    """(energy, alignment) of given vectors [node, d], each mixed with its neighbours' mean."""
    made = rows + _average(graph, rows)
    return energy(made, graph.adjacency), plane(made, graph.adjacency).alignment
