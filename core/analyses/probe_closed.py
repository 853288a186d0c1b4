"""Probes in closed form, many label sets at a time: ridge, LDA, class means; plain arithmetic.

Everything that costs is done once a fold: one eigenbasis or one Cholesky factor. Labels enter as
columns of a matrix product, so that shuffled labels and control tasks are nearly free, and so are
all penalties of the ridge probe.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from core.analyses.probe_logistic import Fits

PENALTIES = (1.0, 10.0, 1e2, 1e3, 1e4, 1e5)  # on channels of variance 1, for sums over items
_TINY = 1e-10

Solve = Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]


def closed(
    solve: Solve,
    x: Tensor,
    labels: Tensor,
    train: Tensor,
    fold: Tensor,
    scale: Tensor,
    n_classes: int,
) -> Fits:
    """The fits of all columns by a closed form; see `probe_logistic.logistic`.

    fold  [column] number of the column's split: columns of one fold share `train` and `scale`
    solve (x [item, d] standardised, labels [item, column], n_classes) ->
          weight [d, column, output], bias [column, output]
    """
    outputs = 1 if n_classes == 2 else n_classes
    weight = x.new_zeros(x.shape[1], labels.shape[1], outputs, dtype=torch.float64)
    bias = x.new_zeros(labels.shape[1], outputs, dtype=torch.float64)
    for number in fold.unique():
        columns = (fold == number).nonzero()[:, 0]
        first = columns[0]
        rows, size = train[:, first], scale[:, first].double()
        own = x[rows].double()
        middle = own.mean(dim=0)
        found, level = solve((own - middle) / size, labels[rows][:, columns], n_classes)
        found = found / size[:, None, None]
        weight[:, columns] = found
        bias[columns] = level - torch.einsum("d,dko->ko", middle, found)
    flat = x @ weight.flatten(1).float()
    return Fits(weight.float(), bias.float(), flat.reshape(len(x), *bias.shape) + bias.float(), 1)


def ridge(x: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Least squares on targets of 1 and -1, the penalty of `PENALTIES` with the least
    leave-one-out error for each column (an item's residual over 1 minus its leverage)."""
    target, shape = _targets(labels, n_classes)
    basis, values = eigenbasis(x)
    z = x @ basis  # [item, r]
    level = target.mean(dim=0)
    pulled = z.T @ (target - level)
    best = torch.full((labels.shape[1],), torch.inf, dtype=x.dtype, device=x.device)
    weight = torch.zeros(basis.shape[1], *shape[1:], dtype=x.dtype, device=x.device)
    for penalty in PENALTIES:
        found = pulled / (values + penalty)[:, None]
        leverage = (z * z) @ (1 / (values + penalty)) + 1 / len(x)
        residual = (target - level - z @ found) / (1 - leverage).clamp_min(1e-6)[:, None]
        error = (residual * residual).reshape(len(x), *shape[1:]).mean(dim=(0, 2))
        better = error < best
        best = torch.where(better, error, best)
        weight = torch.where(better[:, None], found.reshape(weight.shape), weight)
    whole = (basis @ weight.flatten(1)).reshape(-1, *shape[1:])
    return whole, level.reshape(shape[1:])


def lda(x: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Linear discriminant analysis; the covariance within classes is the total one less what the
    class means explain, with the shrinkage of Chen et al. 2010 (OAS)."""
    n, d = x.shape
    total = x.T @ x / n
    total.diagonal().add_(shrinkage(total, n) * float(total.diagonal().mean()) + _TINY)
    factor = torch.linalg.cholesky(total)
    member = torch.nn.functional.one_hot(labels, n_classes).to(x)  # [item, column, class]
    count = member.sum(dim=0)  # [column, class]
    means = (x.T @ member.flatten(1)).reshape(d, *count.shape) / count.clamp_min(1)
    solved = torch.cholesky_solve(means.flatten(1), factor).reshape(means.shape)
    share = count / n
    between = torch.einsum("dkc,dke->kce", means, solved) * share[:, :, None]
    eye = torch.eye(n_classes, dtype=x.dtype, device=x.device)
    turn = torch.linalg.solve(eye - between, eye.expand_as(between))
    weight = torch.einsum("dkc,kce->dke", solved, turn)
    level = share.clamp_min(1e-12).log() - (weight * means).sum(dim=0) / 2
    return _outputs(weight, level, n_classes)


def means(x: Tensor, labels: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """The nearest class mean; of two classes the difference of means, cut halfway."""
    member = torch.nn.functional.one_hot(labels, n_classes).to(x)
    count = member.sum(dim=0)
    weight = (x.T @ member.flatten(1)).reshape(-1, *count.shape) / count.clamp_min(1)
    return _outputs(weight, -(weight * weight).sum(dim=0) / 2, n_classes)


def eigenbasis(x: Tensor) -> tuple[Tensor, Tensor]:
    """basis [d, r] and values [r] with (x basis)^T (x basis) = diag(values), r <= min(item, d);
    from the smaller of the two Gram matrices."""
    n, d = x.shape
    if n >= d:
        values, basis = torch.linalg.eigh(x.T @ x)
        kept = values > _TINY * values[-1].clamp_min(_TINY)
        return basis[:, kept], values[kept]
    values, vectors = torch.linalg.eigh(x @ x.T)
    kept = values > _TINY * values[-1].clamp_min(_TINY)
    return x.T @ (vectors[:, kept] / values[kept].sqrt()), values[kept]


def shrinkage(covariance: Tensor, n: int) -> float:
    """The multiple of the mean variance that OAS adds, for a covariance that keeps its weight."""
    d = len(covariance)
    squares = float((covariance * covariance).sum())
    trace = float(covariance.diagonal().sum()) ** 2
    above = (1 - 2 / d) * squares + trace
    below = (n + 1 - 2 / d) * (squares - trace / d)
    share = min(0.99, above / below) if below > 0 else 0.99
    return share / (1 - share)


def _targets(labels: Tensor, n_classes: int) -> tuple[Tensor, tuple[int, int, int]]:
    """1 and -1 [item, column x output], and the shape [item, column, output]."""
    if n_classes == 2:
        found = (2 * labels - 1).double()
        return found, (*found.shape, 1)
    found = 2 * torch.nn.functional.one_hot(labels, n_classes).double() - 1
    return found.flatten(1), (found.shape[0], found.shape[1], found.shape[2])


def _outputs(weight: Tensor, level: Tensor, n_classes: int) -> tuple[Tensor, Tensor]:
    """Of two classes the second against the first."""
    if n_classes == 2:
        return weight[..., 1:] - weight[..., :1], level[..., 1:] - level[..., :1]
    return weight, level


CLOSED: dict[str, Solve] = {"ridge": ridge, "lda": lda, "means": means}
