"""Penalised logistic regressions, many at a time on the same states; plain arithmetic, no model.

All label sets and all folds of a layer are columns of one problem: a step is two matrix products,
whatever their number. Inside, columns come first and items or channels last: products of few
columns are then several times faster. L-BFGS (Liu and Nocedal, 1989) on the columns, with the
curvature bound X^T X / 4 + penalty (Böhning, 1992) as its first guess; one inverse for a layer
serves them all.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

MEMORY = 6
FEW = 0.1
NEWTON = 1  # steps of the search along a way
MOST = 200  # steps; some ten are usual
# Predicted gain, as a share of what is minimised, below which a column is done. Of few items a
# single one is a large share of an accuracy, so they are fitted the more closely.
TOLERANCE, OF_ITEMS, LEAST = 7e-5, 1_500, 7e-8
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
    inverse: Tensor,
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
    inverse  what `bound` makes of x^T x
    labels   [item, column] class numbers 0 to n_classes - 1
    train    [item, column] which items count
    scale    [d, column] the penalty is on weights for x / scale; the bias is free
    penalty  1 / C of scikit-learn
    """
    if tolerance is None:
        items = float(train.sum(0).float().mean())
        tolerance = max(LEAST, min(TOLERANCE, TOLERANCE * (items / OF_ITEMS) ** 3))
    goal = (_Softmax if n_classes > 2 else _Sigmoid)(labels.T, train.T, n_classes)
    outputs = 1 if n_classes == 2 else n_classes
    work = _Columns(x, goal, scale, penalty, outputs, inverse)
    steps = 0
    while work.left and steps < MOST:
        check()
        work.step(tolerance)
        steps += 1
    return work.fits(steps)


def bound(gram: Tensor, share: float, penalty: float) -> Tensor:
    """Inverse [d, d] of the curvature bound where a share of the items of x^T x [d, d] trains."""
    most = gram.float() * (BOUND * share)
    level = float(most.diagonal().mean())
    most.diagonal().add_(penalty + _JITTER * level)
    found: Tensor = torch.cholesky_inverse(torch.linalg.cholesky(most))
    return found


class _Sigmoid:
    """Two classes, one output. labels, train [column, item]."""

    def __init__(self, labels: Tensor, train: Tensor, n_classes: int) -> None:
        del n_classes
        self.weight = train[:, None].float()
        self.target = (labels == 1)[:, None].float()

    def start(self) -> Tensor:
        """Bias [column, 1] at which the probabilities are the shares."""
        share = (self.target * self.weight).sum(-1) / self.weight.sum(-1).clamp_min(1)
        return torch.logit(share.clamp(1e-4, 1 - 1e-4))

    def chosen(self, columns: Tensor) -> "_Sigmoid":
        part = object.__new__(_Sigmoid)
        part.weight, part.target = self.weight[columns], self.target[columns]
        return part

    def residual(self, margin: Tensor) -> Tensor:
        return torch.sigmoid(margin).sub_(self.target).mul_(self.weight)

    def loss(self, residual: Tensor) -> Tensor:
        """Nats of all items, [column]: the residual is 1 - p(label)."""
        return -residual.abs().clamp_max_(_SURE).neg_().log1p_().sum((1, 2))

    def along(self, margin: Tensor, change: Tensor, pull: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the loss along a change of the margins, [column]; pull
        is the change of the items that count."""
        p = torch.sigmoid(margin)
        return _dot(p - self.target, pull), _dot((p - p * p).mul_(change), pull)


class _Softmax:
    """Several classes, an output each. labels, train [column, item]."""

    def __init__(self, labels: Tensor, train: Tensor, n_classes: int) -> None:
        self.weight = train[:, None].float()
        classes = torch.arange(n_classes, device=labels.device)
        self.target = (labels[:, None] == classes[:, None]).float()

    def start(self) -> Tensor:
        """Bias [column, class] at which the probabilities are the shares."""
        counts = (self.target * self.weight).sum(-1)
        found = (counts / counts.sum(-1, keepdim=True).clamp_min(1)).clamp_min(1e-4).log()
        return found - found.mean(-1, keepdim=True)

    def chosen(self, columns: Tensor) -> "_Softmax":
        part = object.__new__(_Softmax)
        part.weight, part.target = self.weight[columns], self.target[columns]
        return part

    def residual(self, margin: Tensor) -> Tensor:
        return torch.softmax(margin, 1).sub_(self.target).mul_(self.weight)

    def loss(self, residual: Tensor) -> Tensor:
        """Nats of all items, [column]: the residual of the label is p(label) - 1."""
        of_label = (residual * self.target).sum(1)
        return -of_label.clamp_min_(-_SURE).log1p_().sum(-1)

    def along(self, margin: Tensor, change: Tensor, pull: Tensor) -> tuple[Tensor, Tensor]:
        """First and second derivative of the loss along a change of the margins, [column]; pull
        is the change of the items that count."""
        p = torch.softmax(margin, 1)
        middle = (p * change).sum(1, keepdim=True)
        return _dot(p - self.target, pull), _dot((change - middle).mul_(p), pull)


@dataclass(frozen=True)
class _Pair:
    """A step [column, output, d + 1], how the gradient turned in it, what the curvature bound
    makes of that, and 1 / (moved . turned) [column], 0 where the step was none."""

    moved: Tensor
    turned: Tensor
    bounded: Tensor
    inverse: Tensor

    def chosen(self, columns: Tensor) -> "_Pair":
        moved, turned = self.moved[columns], self.turned[columns]
        return _Pair(moved, turned, self.bounded[columns], self.inverse[columns])


class _Columns:
    """The columns that are not done yet, and what is known of those that are.

    Weights are for x / scale; the last channel of weight and gradient is the bias.
    """

    def __init__(
        self,
        x: Tensor,
        goal: "_Sigmoid | _Softmax",
        scale: Tensor,
        penalty: float,
        outputs: int,
        inverse: Tensor,
    ) -> None:
        self.x, self.goal, self.penalty, self.inverse = x, goal, penalty, inverse
        d, k = scale.shape
        self.shrunk = 1 / scale.T.float()[:, None].contiguous()  # [column, 1, d]
        start = goal.start()
        self.weight = x.new_zeros(k, outputs, d + 1)
        self.weight[..., -1] = start
        self.margin = start[..., None].expand(-1, -1, len(x)).contiguous()
        self.pairs: list[_Pair] = []
        self.columns = torch.arange(k, device=x.device)
        self.done = (self.weight.clone(), torch.empty_like(self.margin))
        self.whole_shrunk = self.shrunk
        self.gradient = self._gradient()
        self.bounded = self._bounded(self.gradient)

    @property
    def left(self) -> bool:
        return len(self.columns) > 0

    def _gradient(self) -> Tensor:
        """[column, output, d + 1]"""
        residual = self.goal.residual(self.margin)
        inner, weight = torch.empty_like(self.weight), self.weight[..., :-1]
        pulled = (residual.flatten(0, 1) @ self.x).reshape(weight.shape)
        pulled *= self.shrunk
        torch.add(pulled, weight, alpha=self.penalty, out=inner[..., :-1])
        inner[..., -1] = residual.sum(-1)
        penalty = self.penalty / 2 * (weight * weight).sum((1, 2))
        self.value = self.goal.loss(residual) + penalty
        return inner

    def _direction(self) -> Tensor:
        """Two loops over the remembered pairs about the curvature bound.

        The bound is linear, so its answer to every pair is kept: one solve a step.
        """
        gradient, found, shares = self.gradient.clone(), self.bounded.clone(), []
        for pair in reversed(self.pairs):
            share = (pair.inverse * _dot(pair.moved, gradient))[:, None, None]
            gradient.addcmul_(share, pair.turned, value=-1)
            found.addcmul_(share, pair.bounded, value=-1)
            shares.append(share)
        if self.pairs:
            last = self.pairs[-1]
            level = _dot(last.turned, last.bounded) * last.inverse
            found /= level.clamp(1e-3, 1e3)[:, None, None]
        for pair, share in zip(self.pairs, reversed(shares), strict=True):
            more = share[:, 0, 0] - pair.inverse * _dot(pair.turned, found)
            found.addcmul_(more[:, None, None], pair.moved)
        return found.neg_()

    def _bounded(self, gradient: Tensor) -> Tensor:
        """The inverse of the curvature bound, applied."""
        found = torch.empty_like(gradient)
        inner = gradient[..., :-1]
        found[..., :-1] = (inner.flatten(0, 1) @ self.inverse).reshape(inner.shape)
        found[..., -1] = gradient[..., -1] / (BOUND * self.goal.weight.sum(-1)).clamp_min(1)
        return found

    def step(self, tolerance: float) -> None:
        """One step of every column that is left; columns that gain nothing more leave."""
        way = self._direction()
        slope = -_dot(way, self.gradient)
        items = self.goal.weight.sum((1, 2))
        going = slope > 2 * tolerance * (self.value + _NOTHING * items)
        # A few that are done go on with the rest: leaving copies everything.
        if int((~going).sum()) > FEW * len(going) or not bool(going.any()):
            way = way[going]
            self._leave(going)
            if not self.left:
                return
        change = (way[..., :-1] * self.shrunk).flatten(0, 1) @ self.x.T
        change = change.reshape(self.margin.shape).add_(way[..., -1:])
        length = self._length(way[..., :-1], change)[:, None, None]
        moved = length * way
        self.weight = self.weight + moved
        self.margin.addcmul_(length, change)
        before, bounded = self.gradient, self.bounded
        self.gradient = self._gradient()
        self.bounded = self._bounded(self.gradient)
        turned = self.gradient - before
        gain = _dot(moved, turned)
        inverse = torch.where(gain > 1e-12, 1 / gain.clamp_min(1e-12), torch.zeros_like(gain))
        self.pairs = [*self.pairs, _Pair(moved, turned, self.bounded - bounded, inverse)][-MEMORY:]

    def _length(self, inner: Tensor, change: Tensor) -> Tensor:
        """How far to go along each column's way: Newton steps on the convex loss along it."""
        linear = self.penalty * _dot(self.weight[..., :-1], inner)
        square = self.penalty * _dot(inner, inner)
        length, pull = torch.ones_like(linear), change * self.goal.weight
        for _ in range(NEWTON):
            there = torch.addcmul(self.margin, length[:, None, None], change)
            slope, bend = self.goal.along(there, change, pull)
            step = (slope + linear + length * square) / (bend + square).clamp_min(1e-20)
            length = torch.minimum(torch.maximum(length - step, length / 4), length * 4)
        return length

    def _leave(self, going: Tensor) -> None:
        """Write down the columns that are done and go on with the others."""
        self._write(~going)
        self.columns, self.goal = self.columns[going], self.goal.chosen(going)
        self.shrunk, self.weight = self.shrunk[going], self.weight[going]
        self.margin = self.margin[going]
        self.gradient, self.bounded = self.gradient[going], self.bounded[going]
        self.pairs = [pair.chosen(going) for pair in self.pairs]

    def _write(self, which: Tensor) -> None:
        weight, margin = self.done
        weight[self.columns[which]] = self.weight[which]
        margin[self.columns[which]] = self.margin[which]

    def fits(self, steps: int) -> Fits:
        self._write(torch.ones_like(self.columns, dtype=torch.bool))
        weight, margin = self.done
        own = (weight[..., :-1] * self.whole_shrunk).permute(2, 0, 1)
        return Fits(own, weight[..., -1], margin.permute(2, 0, 1), steps)


def _dot(one: Tensor, other: Tensor) -> Tensor:
    """Inner products of the columns of two [column, output, row], [column]; einsum is slower."""
    return (one * other).sum((1, 2))
