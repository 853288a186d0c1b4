"""All probes of one layer: folds, shuffled labels and control tasks as columns of one problem.

Layers are independent: on a processor each has a core of its own, which is faster than sharing
the cores within every product.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from core.analyses.probe_closed import CLOSED, closed
from core.analyses.probe_logistic import TOLERANCE, Fits, bound, logistic
from core.spec.errors import Error
from kernels import class_moments

PROBES = ("logistic", *CLOSED)
AT_ONCE = 1_000_000  # margins of items x columns x outputs solved at a time: more leave the cache
_CONSTANT = 1e-7  # deviation over mean below which float32 says nothing


@dataclass
class Plan:
    """Which labels are learned on which items: label sets, each on one of a few splits.

    splits  name -> fold of each item [item]; all items train the columns of ""
    sets    name -> (labels [item, set], name of the split), those of `exact` in front
    """

    n_classes: int
    splits: dict[str, np.ndarray] = field(default_factory=dict)
    sets: dict[str, tuple[np.ndarray, str]] = field(default_factory=dict)

    exact: tuple[str, ...] = ("main", "all", "random")

    @property
    def outputs(self) -> int:
        return 1 if self.n_classes == 2 else self.n_classes

    def columns(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """labels [item, column], train [item, column], and the split and fold of each column as
        one number [column], columns of a set together, its folds fastest."""
        labels, train, numbers = [], [], []
        known: dict[tuple[str, int], int] = {}
        for values, name in self.sets.values():
            n_folds = self.n_folds(name)
            for one in values.T:
                for fold in range(n_folds):
                    labels.append(one)
                    train.append(self.trains(name, fold))
                    numbers.append(known.setdefault((name, fold), len(known)))
        return np.stack(labels, 1), np.stack(train, 1), np.array(numbers)

    def n_folds(self, split: str) -> int:
        return int(self.splits[split].max()) + 1 if split else 1

    def trains(self, split: str, fold: int) -> np.ndarray:
        """Which items train in a fold."""
        if not split:
            return np.ones(self.n_items, dtype=bool)
        return np.asarray(self.splits[split] != fold)

    @property
    def n_items(self) -> int:
        return len(next(iter(self.sets.values()))[0])


@dataclass(frozen=True)
class Fitted:
    """held[set] [item, set, output] margins of every item by the probe that did not train on it;
    whole: weight [d, output] and bias [output] of the probe of set "all", for states as given.
    """

    held: Mapping[str, np.ndarray]
    weight: np.ndarray
    bias: np.ndarray


def fit_layers(
    states: Sequence[Tensor] | Tensor,
    plan: Plan,
    probe: str,
    c: float,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
    done: Callable[[int], None] = lambda _: None,
) -> list[Fitted]:
    """`fit` of every layer [layer, item, d], as many side by side as torch has threads.

    done  told how many layers are ready, from this thread
    """
    found = []
    with _alone(device) as workers, ThreadPoolExecutor(workers) as pool:
        waiting = [pool.submit(fit, x, plan, probe, c, device, check) for x in states]
        try:
            for number, one in enumerate(waiting):
                done(number)
                found.append(one.result())
        finally:  # after a stop or a fault nothing that waits is begun
            for one in waiting:
                one.cancel()
    return found


@contextmanager
def _alone(device: torch.device | str) -> Iterator[int]:
    """One thread for each product; yields how many there were, 1 on other devices."""
    before = torch.get_num_threads()
    if str(device) != "cpu" or before == 1:
        yield 1
        return
    torch.set_num_threads(1)
    try:
        yield before
    finally:
        torch.set_num_threads(before)


def fit(
    states: Tensor,
    plan: Plan,
    probe: str,
    c: float,
    device: torch.device | str = "cpu",
    check: Callable[[], None] = lambda: None,
) -> Fitted:
    """Every probe of the plan on one layer's states [item, d], standardised inside its fold."""
    if probe not in PROBES:
        raise Error(f"no probe {probe[:40]!r}; there are {', '.join(PROBES)}")
    labels, train, number = plan.columns()
    x = states.to(device)
    middle, size, gram, scale = _standard(x, plan, number)
    if not bool(torch.isfinite(gram).all()):
        raise Error("the states of a layer are not finite; load the model in float32")
    middle, size = middle.float(), size.float()
    flat = (x.float() - middle).div_(size)
    inverse = bound(gram, float(train.mean()), 1 / c) if probe == "logistic" else gram
    parts = []
    for some, tolerance in _portions(plan, len(x)):
        given = (
            torch.from_numpy(np.ascontiguousarray(labels[:, some])).to(device),
            torch.from_numpy(np.ascontiguousarray(train[:, some])).to(device),
        )
        check()
        if probe == "logistic":
            own_scale = scale[:, some]
            found = logistic(
                flat, inverse, *given, own_scale, 1 / c, plan.n_classes,
                tolerance=tolerance, check=check,
            )  # fmt: skip
            parts.append(found)
        else:
            own = torch.from_numpy(number[some]).to(device)
            parts.append(closed(CLOSED[probe], flat, *given, own, scale[:, some], plan.n_classes))
    margin = torch.cat([part.margin for part in parts], dim=1).cpu().numpy()
    return Fitted(_held(plan, margin), *_whole(plan, parts, middle, size))


def _portions(plan: Plan, n_items: int) -> Iterator[tuple[slice, float | None]]:
    """Columns that are solved together, and how closely: of controls only means are shown."""
    step, at = max(1, AT_ONCE // (n_items * plan.outputs)), 0
    groups = {True: 0, False: 0}
    for name, (values, split) in plan.sets.items():
        groups[name in plan.exact] += values.shape[1] * plan.n_folds(split)
    for exact, n in groups.items():
        for start in range(at, at + n, step):
            yield slice(start, min(start + step, at + n)), None if exact else TOLERANCE
        at += n


def _standard(x: Tensor, plan: Plan, number: np.ndarray) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Mean [d] and deviation [d] of all items, Gram matrix [d, d] of what is standardised by them,
    and the deviation of each column's training items relative to that, [d, column]."""
    cells = np.zeros(len(x), dtype=np.int64)
    for fold in plan.splits.values():
        cells = cells * (int(fold.max()) + 1) + fold
    _, first, cell = np.unique(cells, return_index=True, return_inverse=True)
    moments = class_moments.new_moments(1, len(first), x.shape[1], device=x.device)
    class_moments.update(moments, x[None], torch.from_numpy(cell).to(x.device))
    middle = moments.centre()[0]
    size = _deviation(moments.variance()[0], middle)
    gram = moments.total()[0] / size / size[:, None]
    scale = torch.empty(x.shape[1], len(number), dtype=torch.float64, device=x.device)
    at = 0
    for values, name in plan.sets.values():
        n_folds = plan.n_folds(name)
        for part in range(n_folds):
            kept = torch.from_numpy(plan.trains(name, part)[first]).to(x.device)
            own = _deviation(moments.variance(kept)[0], moments.centre(kept)[0]) / size
            scale[:, at + part : at + n_folds * values.shape[1] : n_folds] = own[:, None]
        at += n_folds * values.shape[1]
    return middle, size, gram, scale


def _deviation(variance: Tensor, mean: Tensor) -> Tensor:
    """Standard deviations; 1 for a channel that is constant, as scikit-learn has it."""
    found = variance.clamp_min(0).sqrt()
    return torch.where(found > _CONSTANT * mean.abs(), found, torch.ones_like(found))


def _held(plan: Plan, margin: np.ndarray) -> dict[str, np.ndarray]:
    found, at = {}, 0
    items = np.arange(len(margin))
    for name, (values, split) in plan.sets.items():
        n_folds, n_sets = plan.n_folds(split), values.shape[1]
        own = margin[:, at : at + n_sets * n_folds].reshape(len(margin), n_sets, n_folds, -1)
        if split:
            found[name] = own[items, :, plan.splits[split]]
        at += n_sets * n_folds
    return found


def _whole(
    plan: Plan, parts: list[Fits], middle: Tensor, size: Tensor
) -> tuple[np.ndarray, np.ndarray]:
    """The probe of set "all", for states as they are; zeros where it was not asked for."""
    weight = torch.cat([part.weight for part in parts], dim=1)
    bias = torch.cat([part.bias for part in parts], dim=0)
    at = 0
    for name, (values, split) in plan.sets.items():
        if name == "all":
            own = weight[:, at].double() / size[:, None]
            return own.cpu().numpy(), (bias[at].double() - middle.double() @ own).cpu().numpy()
        at += values.shape[1] * plan.n_folds(split)
    return np.zeros((len(middle), plan.outputs)), np.zeros(plan.outputs)
