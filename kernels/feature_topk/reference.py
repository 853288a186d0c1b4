"""The definition, in plain torch; it runs on every device. Tokens go in blocks."""

import torch
from torch import Tensor

from kernels.feature_topk.activation import Activation
from kernels.feature_topk.codes import Codes, from_dense, joined

BLOCK = 64_000_000  # pre-activations held at once


def run(
    x: Tensor, weight: Tensor, bias: Tensor, activation: Activation, lengths: Tensor | None
) -> Codes:
    """See `kernels.feature_topk.encode`."""
    size = max(1, BLOCK // weight.shape[1])
    found = [
        from_dense(activations(part, weight, bias, activation, lengths))
        for part in torch.split(x, size)
    ]
    return joined(found, weight.shape[1], x.device)


def activations(
    x: Tensor, weight: Tensor, bias: Tensor, activation: Activation, lengths: Tensor | None
) -> Tensor:
    """[token, feature] float32, zero where a latent does not fire."""
    free = x.float() @ weight.float()
    pre = free + bias.float()
    if lengths is not None:
        pre = pre * lengths.float()
    match activation.kind:
        case "relu":
            return pre.relu()
        case "jumprelu":
            assert activation.threshold is not None
            return torch.where(pre > activation.threshold.float(), pre.relu(), 0.0)
        case "topk":
            # A stable sort, since topk leaves open which of equal numbers it takes.
            ordered, place = pre.sort(dim=1, descending=True, stable=True)
            best, place = ordered[:, : activation.k], place[:, : activation.k]
            return torch.zeros_like(pre).scatter_(1, place, best.relu())
        case "groupmax":
            groups = pre.view(len(pre), activation.k, pre.shape[1] // activation.k)
            best, place = groups.max(dim=2, keepdim=True)
            return torch.zeros_like(groups).scatter_(2, place, best.relu()).view_as(pre)
        case "code":
            place = pre.sort(dim=1, descending=True, stable=True).indices[:, : activation.k]
            ones = torch.zeros_like(pre).scatter_(1, place, 1.0) * pre.isfinite().all(
                1, keepdim=True
            )
            return ones if lengths is None else ones * lengths.float()
        case "pursuit":
            assert activation.rows is not None
            if lengths is not None:
                raise ValueError("feature_topk knows no pursuit of latents weighed by their length")
            return _pursued(x.float(), pre, weight.float(), bias.float(), activation)
        case "gated":
            assert activation.r_mag is not None
            assert activation.b_mag is not None
            size = (free * activation.r_mag.float().exp() + activation.b_mag.float()).relu()
            if lengths is not None:
                size = size * lengths.float()
            return torch.where(pre > 0, size, 0.0)


def _pursued(
    left: Tensor, pre: Tensor, weight: Tensor, bias: Tensor, activation: Activation
) -> Tensor:
    """Matching pursuit: one latent at a time, each taken off what is `left` [token, d_in]."""
    assert activation.rows is not None
    rows = activation.rows.float()
    found = torch.zeros_like(pre)
    for _ in range(activation.k):
        highest = pre.amax(1, keepdim=True)
        place = (pre == highest).to(torch.uint8).argmax(1, keepdim=True)  # the lower of equals
        value = highest.relu()
        found.scatter_add_(1, place, value)
        left = left - value * rows[place[:, 0]]
        pre = left @ weight + bias
    return found
