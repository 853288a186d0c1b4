"""What a walk on a graph loses without its induction or previous-token heads, or random ones."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from core.analyses import graphs
from core.analyses.graph_walks import Plan, Walked, late, walked
from core.analyses.heads import heads
from core.analyses.runs import Progress, Silent
from core.engine.units import through
from core.models.loaded import Loaded

N_RANDOM, N_SEQUENCES = 3, 8
KINDS = {"induction": "induction", "previous token": "previous_token"}
Head = tuple[int, int]


@dataclass(frozen=True)
class Silenced:
    """Mass on neighbours over the last quarter and energies of the last context, by set."""

    ablated: tuple[str, ...]
    ablated_heads: tuple[tuple[str, ...], ...]
    ablated_mass: np.ndarray
    ablated_low: np.ndarray
    ablated_high: np.ndarray
    ablated_energy: np.ndarray

    @classmethod
    def empty(cls) -> "Silenced":
        none = np.zeros(0)
        return cls((), (), none, none, none, np.zeros((0, 0)))

    def fields(self) -> dict[str, Any]:
        return dict(vars(self))


def silenced(
    loaded: Loaded,
    progress: Progress,
    plan: Plan,
    n: int,
    seed: int,
    share: tuple[float, float],
) -> Silenced:
    """The same walks with n heads of each kind put to zero, and as many random others."""
    progress.tell("which heads look for repeats")
    progress.check()
    sets = chosen(loaded, n, seed)
    found: list[Walked] = []
    for number, (name, each) in enumerate(sets):
        step = (share[1] - share[0]) / len(sets)
        here = (share[0] + number * step, share[0] + (number + 1) * step)
        acts = _zeroed(loaded, each)
        change = through(loaded, acts, 1, component="head") if acts else None
        found.append(walked(loaded, progress, plan, here, f"without {name}", change=change))
    ends = [late(one.mass) for one in found]
    energy = [
        [graphs.energy(means, plan.graph.adjacency) for means in one.means[-1]] for one in found
    ]
    spread = [each.std(ddof=1) / len(each) ** 0.5 if len(each) > 1 else np.nan for each in ends]
    mean = np.array([each.mean() for each in ends])
    return Silenced(
        ablated=tuple(name for name, _ in sets),
        ablated_heads=tuple(tuple(f"L{a}.head[{b}]" for a, b in each) for _, each in sets),
        ablated_mass=mean,
        ablated_low=mean - 1.96 * np.array(spread),
        ablated_high=mean + 1.96 * np.array(spread),
        ablated_energy=np.array(energy),
    )


def chosen(loaded: Loaded, n: int, seed: int) -> list[tuple[str, list[Head]]]:
    """No heads, the n strongest of each kind on repeated random tokens, and random others."""
    kinds = tuple(KINDS.values())
    scores = heads(
        loaded, Silent(), n_sequences=N_SEQUENCES, kinds=kinds, nulls=False, seed=seed
    ).scores
    sets: list[tuple[str, list[Head]]] = [("none", [])]
    sets += [(name, _strongest(scores[kind], n)) for name, kind in KINDS.items()]
    taken = {head for _, each in sets for head in each}
    layers, width = next(iter(scores.values())).shape
    rest = [(a, b) for a in range(layers) for b in range(width) if (a, b) not in taken]
    rng = np.random.default_rng((seed, 5))
    for number in range(N_RANDOM):
        picked = rng.permutation(len(rest))[:n]
        sets.append((f"random {number + 1}", sorted(rest[at] for at in picked)))
    return sets


def _strongest(scores: np.ndarray, n: int) -> list[Head]:
    order = np.argsort(-np.nan_to_num(scores).ravel(), kind="stable")[:n]
    return [(int(at) // scores.shape[1], int(at) % scores.shape[1]) for at in order]


def _zeroed(loaded: Loaded, each: list[Head]) -> dict[int, Callable[[Tensor], Tensor]]:
    """What silences these heads, by layer."""

    def act(which: list[int]) -> Callable[[Tensor], Tensor]:
        def zero(values: Tensor) -> Tensor:
            z = values.clone().unflatten(-1, (loaded.n_heads, loaded.d_head))
            z[..., which, :] = 0
            return z.flatten(-2)

        return zero

    layers = {layer for layer, _ in each}
    return {layer: act([head for at, head in each if at == layer]) for layer in layers}
