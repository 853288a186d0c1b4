"""Penalised logistic regressions, many at a time on the same states; plain arithmetic, no model.

All label sets and all folds of a layer are columns of one problem: a step is two matrix products,
whatever their number. L-BFGS (Liu and Nocedal, 1989) on the columns, with the curvature bound
X^T X / 4 + penalty (Böhning, 1992) as its first guess, which one Cholesky factor of the layer's
Gram matrix gives to all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MEMORY = 6
FEW = 0.1
NEWTON = 2  # steps of the search along a way
MOST = 200  # steps; some ten are usual
# Predicted gain, as a share of what is minimised, below which a column is done. Of few items a
# single one is a large share of an accuracy, so they are fitted the more closely.
TOLERANCE, OF_ITEMS, LEAST = 2e-4, 1_500, 2e-7
BOUND = 0.25  # the largest p (1 - p)
_JITTER = 1e-6
_SURE = 1 - 1e-6
_NOTHING = 1e-4  # nats per item: a single class is learned by the bias, without end


@dataclass(frozen=True)
class Fits:
    """weight [d, column, output] for x as given, bias [column, output], margin [item, column,
    output] for every item. Two classes have one output, the log odds of the second; more have one
    each, whose softmax are the probabilities. steps: how many were taken at most.
    """

    weight: Tensor
    bias: Tensor
    margin: Tensor
    steps: int


def logistic(
    x: Tensor,
    factor: Tensor,
    labels: Tensor,
    train: Tensor,
    scale: Tensor,
    penalty: float,
    n_classes: int,
    *,
    tolerance: float | None = None,
    check: Callable[[], None] = lambda: None,
) -> Fits:
    """Minimise, for every column, the sum of -log p(label) over its items + penalty/2 |w|².

    x        [item, d] float32, centred, channels of like size
    factor   what `bound` makes of x^T x
    labels   [item, column] class numbers 0 to n_classes - 1
    train    [item, column] which items count
    scale    [d, column] the penalty is on weights for x / scale; the bias is free
    penalty  1 / C of scikit-learn
    """
    if tolerance is None:
        items = float(train.sum(0).float().mean())
        tolerance = max(LEAST, min(TOLERANCE, TOLERANCE * (items / OF_ITEMS) ** 3))
    goal = (_Softmax if n_classes > 2 else _Sigmoid)(labels, train, n_classes)
    outputs = 1 if n_classes == 2 else n_classes
    work = _Columns(x, goal, scale, penalty, outputs, factor)
    steps = 0
    while work.left and steps < MOST:
        check()
        work.step(factor, tolerance)
        steps += 1
    return work.fits(steps)


def bound(gram: Tensor, share: float, penalty: float) -> Tensor:
    """Cholesky factor of the curvature bound where a share of the items of x^T x [d, d] trains."""
    most = gram.float() * (BOUND * share)
    level = float(most.diagonal().mean())
    most.diagonal().add_(penalty + _JITTER * level)
    factor: Tensor = torch.linalg.cholesky(most)
    return factor


class _Sigmoid:
    """Two classes, one output."""

    def __init__(self, labels: Tensor, train: Tensor, n_classes: int) -> None:
        del n_classes
        self.weight = train.float()[..., None]
        self.target = (labels == 1).float()[..., None]

    def start(self) -> Tensor:
        """Bias [column, 1] at which the probabilities are the shares."""
        share = (self.target * self.weight).sum(0) / self.weight.sum(0).clamp_min(1)
        return torch.logit(share.clamp(1e-4, 1 - 1e-4))

    def chosen(self, columns: Tensor) -> "_Sigmoid":
        part = object.__new__(_Sigmoid)
        part.weight, part.target = self.weight[:, columns], self.target[:, columns]
        return part

    def residual(self, margin: Tensor) -> Tensor:
        return (torch.sigmoid(margin) - self.target) * self.weight

    def loss(self, residual: Tensor) -> Tensor:
        """Nats of all items, [column]: the residual is 1 - p(label)."""
        return -torch.log1p(-residual.abs().clamp_max(_SURE)).sum((0, 2))

    def along(self, margin: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the loss along a change of the margins, [column]."""
        p = torch.sigmoid(margin)
        pull = change * self.weight
        return _dot(p - self.target, pull), _dot(p * (1 - p) * change, pull)


class _Softmax:
    """Several classes, an output each."""

    def __init__(self, labels: Tensor, train: Tensor, n_classes: int) -> None:
        self.weight = train.float()[..., None]
        self.target = torch.nn.functional.one_hot(labels, n_classes).float()

    def start(self) -> Tensor:
        """Bias [column, class] at which the probabilities are the shares."""
        counts = (self.target * self.weight).sum(0)
        found = (counts / counts.sum(-1, keepdim=True).clamp_min(1)).clamp_min(1e-4).log()
        return found - found.mean(-1, keepdim=True)

    def chosen(self, columns: Tensor) -> "_Softmax":
        part = object.__new__(_Softmax)
        part.weight, part.target = self.weight[:, columns], self.target[:, columns]
        return part

    def residual(self, margin: Tensor) -> Tensor:
        return (torch.softmax(margin, -1) - self.target) * self.weight

    def loss(self, residual: Tensor) -> Tensor:
        """Nats of all items, [column]: the residual of the label is p(label) - 1."""
        of_label = (residual * self.target).sum(-1)
        return -torch.log1p(of_label.clamp_min(-_SURE)).sum(0)

    def along(self, margin: Tensor, change: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the loss along a change of the margins, [column]."""
        p = torch.softmax(margin, -1)
        pull = change * self.weight
        middle = (p * change).sum(-1, keepdim=True)
        return _dot(p - self.target, pull), _dot(p * (change - middle), pull)


@dataclass(frozen=True)
class _Pair:
    """A step [d + 1, column, output], how the gradient turned in it, what the curvature bound
    makes of that, and 1 / (moved . turned) [column], 0 where the step was none."""

    moved: Tensor
    turned: Tensor
    bounded: Tensor
    inverse: Tensor

    def chosen(self, columns: Tensor) -> "_Pair":
        moved, turned = self.moved[:, columns], self.turned[:, columns]
        return _Pair(moved, turned, self.bounded[:, columns], self.inverse[columns])


class _Columns:
    """The columns that are not done yet, and what is known of those that are."""

    def __init__(
        self,
        x: Tensor,
        goal: "_Sigmoid | _Softmax",
        scale: Tensor,
        penalty: float,
        outputs: int,
        factor: Tensor,
    ) -> None:
        self.x, self.goal, self.penalty = x, goal, penalty
        d, k = scale.shape
        self.scale = scale.float()[..., None]
        self.bias = goal.start()
        self.weight = x.new_zeros(d, k, outputs)  # for x / scale
        self.margin = self.bias.expand(len(x), -1, -1).clone()
        self.pairs: list[_Pair] = []
        self.columns = torch.arange(k, device=x.device)
        self.done = (self.weight.clone(), self.bias.clone(), self.margin.clone())
        self.whole_scale = self.scale
        self.gradient = self._gradient()
        self.bounded = self._bounded(self.gradient, factor)

    @property
    def left(self) -> bool:
        return len(self.columns) > 0

    def _gradient(self) -> Tensor:
        """[d + 1, column, output]; the last row belongs to the bias."""
        residual = self.goal.residual(self.margin)
        n, k, o = residual.shape
        inner = (self.x.T @ residual.reshape(n, k * o)).reshape(-1, k, o) / self.scale
        penalty = self.penalty / 2 * (self.weight * self.weight).sum((0, 2))
        self.value = self.goal.loss(residual) + penalty
        return torch.cat([inner + self.penalty * self.weight, residual.sum(0)[None]])

    def _direction(self) -> Tensor:
        """Two loops over the remembered pairs about the curvature bound.

        The bound is linear, so its answer to every pair is kept: one solve a step.
        """
        gradient, found, shares = self.gradient.clone(), self.bounded.clone(), []
        for pair in reversed(self.pairs):
            share = pair.inverse * _dot(pair.moved, gradient)
            gradient -= share[:, None] * pair.turned
            found -= share[:, None] * pair.bounded
            shares.append(share)
        if self.pairs:
            last = self.pairs[-1]
            level = _dot(last.turned, last.bounded) * last.inverse
            found /= level.clamp(1e-3, 1e3)[:, None]
        for pair, share in zip(self.pairs, reversed(shares), strict=True):
            found += (share - pair.inverse * _dot(pair.turned, found))[:, None] * pair.moved
        return -found

    def _bounded(self, gradient: Tensor, factor: Tensor) -> Tensor:
        """The inverse of the curvature bound, applied."""
        d, k, o = self.weight.shape
        inner = torch.cholesky_solve(gradient[:-1].reshape(d, k * o), factor).reshape(d, k, o)
        free = gradient[-1:] / (BOUND * self.goal.weight.sum(0)).clamp_min(1)
        return torch.cat([inner, free])

    def step(self, factor: Tensor, tolerance: float) -> None:
        """One step of every column that is left; columns that gain nothing more leave."""
        way = self._direction()
        slope = -_dot(way, self.gradient)
        items = self.goal.weight.sum((0, 2))
        going = slope > 2 * tolerance * (self.value + _NOTHING * items)
        # A few that are done go on with the rest: leaving copies everything.
        if int((~going).sum()) > FEW * len(going) or not bool(going.any()):
            way = way[:, going]
            self._leave(going)
            if not self.left:
                return
        d, k, o = self.weight.shape
        inner = way[:-1]
        change = (self.x @ (inner / self.scale).reshape(d, k * o)).reshape(-1, k, o) + way[-1]
        length = self._length(inner, change)[:, None]
        moved = length * way
        self.weight = self.weight + moved[:-1]
        self.bias = self.bias + moved[-1]
        self.margin = self.margin + length * change
        before, bounded = self.gradient, self.bounded
        self.gradient = self._gradient()
        self.bounded = self._bounded(self.gradient, factor)
        turned = self.gradient - before
        gain = _dot(moved, turned)
        inverse = torch.where(gain > 1e-12, 1 / gain.clamp_min(1e-12), torch.zeros_like(gain))
        self.pairs = [*self.pairs, _Pair(moved, turned, self.bounded - bounded, inverse)][-MEMORY:]

    def _length(self, inner: Tensor, change: Tensor) -> Tensor:
        """How far to go along each column's way: Newton steps on the convex loss along it."""
        linear = self.penalty * (self.weight * inner).sum((0, 2))
        square = self.penalty * (inner * inner).sum((0, 2))
        length = torch.ones_like(linear)
        for _ in range(NEWTON):
            slope, bend = self.goal.along(self.margin + length[:, None] * change, change)
            step = (slope + linear + length * square) / (bend + square).clamp_min(1e-20)
            length = torch.minimum(torch.maximum(length - step, length / 4), length * 4)
        return length

    def _leave(self, going: Tensor) -> None:
        """Write down the columns that are done and go on with the others."""
        self._write(~going)
        keep = going
        self.columns, self.goal = self.columns[keep], self.goal.chosen(keep)
        self.scale, self.weight = self.scale[:, keep], self.weight[:, keep]
        self.bias, self.margin = self.bias[keep], self.margin[:, keep]
        self.gradient, self.bounded = self.gradient[:, keep], self.bounded[:, keep]
        self.pairs = [pair.chosen(keep) for pair in self.pairs]

    def _write(self, which: Tensor) -> None:
        weight, bias, margin = self.done
        weight[:, self.columns[which]] = self.weight[:, which]
        bias[self.columns[which]] = self.bias[which]
        margin[:, self.columns[which]] = self.margin[:, which]

    def fits(self, steps: int) -> Fits:
        self._write(torch.ones_like(self.columns, dtype=torch.bool))
        weight, bias, margin = self.done
        return Fits(weight / self.whole_scale, bias, margin, steps)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner products of the columns of two [row, column, output], [column]; einsum is slower."""
    return (one * other).sum((0, 2))
