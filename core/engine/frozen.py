"""Norms held at what they do to one state, so that what was written adds up to what is read."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from core.engine.readout import centres, norm_weight
from core.models.loaded import Loaded, weight


def norm_scale(loaded: Loaded, norm: nn.Module | None, state: Float[Tensor, " d_model"]) -> float:
    """What the norm divides this state by: norm(x) = weight x (x or x - mean) / scale + bias.

    Read off the norm's own answer, so it holds for every kind, epsilon included. 1 without a norm.
    """
    return 1.0 if norm is None else float(norm_scales(loaded, norm, state))


def norm_scales(
    loaded: Loaded, norm: nn.Module, states: Float[Tensor, "*places d_model"]
) -> Float[Tensor, "*places"]:
    """What the norm divides each of these states by; 1 for a state of zeros, which stays zero."""
    answer = norm(states.to(next(iter(norm.parameters()), states))).float()
    bias = weight(norm, "bias")
    answer = answer if bias is None else answer - bias
    states = states.float()
    centred = states - states.mean(dim=-1, keepdim=True) if centres(norm) else states
    plain = norm_weight(loaded, norm) * centred
    size = answer.square().sum(dim=-1)
    return torch.where(size > 0, (plain * answer).sum(dim=-1) / size.clamp_min(1e-30), 1.0)


def logit_scale(loaded: Loaded) -> float:
    """The constant that the model multiplies its logits by, in front of any cap."""
    family, config = loaded.row, loaded.config
    scale = 1.0
    if family.tied_scale and getattr(config, family.tied_scale, False):
        scale *= loaded.d_model**-0.5
    if family.logit_scale and getattr(config, family.logit_scale, None) is not None:
        scale *= getattr(config, family.logit_scale)
    if family.logit_divisor:
        scale /= getattr(config, family.logit_divisor)
    return scale
