"""The definition, in plain torch; it runs on every device. Tokens go in blocks."""

import torch
from torch import Tensor

from kernels.feature_topk.activation import Activation
from kernels.feature_topk.codes import Codes, from_dense

BLOCK = 64_000_000  # pre-activations held at once


def run(
    x: Tensor, weight: Tensor, bias: Tensor, activation: Activation, lengths: Tensor | None
) -> Codes:
    size = max(1, BLOCK // weight.shape[1])
    found = [
        from_dense(activations(part, weight, bias, activation, lengths))
        for part in torch.split(x, size)
    ]
    if len(found) == 1:
        return found[0]
    if not found:
        return from_dense(x.new_zeros(0, weight.shape[1]))
    offsets = torch.tensor([len(one.feature) for one in found], device=x.device).cumsum(0)
    starts = [found[0].start]
    starts += [one.start[1:] + end for one, end in zip(found[1:], offsets[:-1], strict=True)]
    return Codes(
        torch.cat(starts),
        torch.cat([one.feature for one in found]),
        torch.cat([one.value for one in found]),
        weight.shape[1],
    )


def activations(
    x: Tensor, weight: Tensor, bias: Tensor, activation: Activation, lengths: Tensor | None
) -> Tensor:
    """[token, feature] float32, zero where a latent does not fire."""
    free = (x.to(weight.dtype) @ weight).float()
    pre = free + bias.float()
    if lengths is not None:
        pre = pre * lengths
    match activation.kind:
        case "relu":
            return pre.relu()
        case "jumprelu":
            assert activation.threshold is not None
            return torch.where(pre > activation.threshold, pre.relu(), 0.0)
        case "topk":
            best, place = pre.topk(min(activation.k, pre.shape[1]), dim=1)
            return torch.zeros_like(pre).scatter_(1, place, best.relu())
        case "groupmax":
            groups = pre.view(len(pre), activation.k, -1)
            best, place = groups.max(dim=2, keepdim=True)
            return torch.zeros_like(groups).scatter_(2, place, best.relu()).view_as(pre)
        case "gated":
            assert activation.r_mag is not None
            assert activation.b_mag is not None
            size = (free * activation.r_mag.exp() + activation.b_mag).relu()
            if lengths is not None:
                size = size * lengths
            return torch.where(pre > 0, size, 0.0)
