"""What the fast paths know of an encoder: its products, and which numbers count as firing."""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn.functional import pad

from kernels.feature_topk.activation import Activation, Kind
from kernels.lens_topk.blocks import product

BLOCK = 64  # latents looked at together


@dataclass(frozen=True)
class Encoder:
    """An encoder whose latents are also numbered by blocks; the last block is padded.

    What it holds before the selection, `held`, are pre-activations, times the lengths where there
    are some; for gated ones the bare products, of which gate and magnitude are made.
    """

    weight: Tensor  # [d_in, feature], in its own dtype
    bias: Tensor  # [feature] float32
    activation: Activation
    lengths: Tensor | None  # [feature] float32

    @property
    def n(self) -> int:
        return self.weight.shape[1]

    @property
    def kind(self) -> Kind:
        return self.activation.kind

    @property
    def most(self) -> int | None:
        """How many latents of a token fire at most; None where nothing limits them."""
        return self.activation.k if self.kind == "topk" else None

    def fill(self, x: Tensor, part: slice, out: Tensor) -> None:
        """What is held of some latents, into out [token, part]; x [token, d_in]."""
        weight, bias = self.weight[:, part], self.bias[part]
        if self.kind == "gated":
            product(x, weight.T, out)
            return
        if x.is_cuda and x.dtype == weight.dtype != torch.float32:
            product(x, weight.T, out)  # half precision summed in float32
            out.add_(bias)
        else:
            torch.addmm(bias, x.float(), weight.float(), out=out)
        if self.lengths is not None:
            out.mul_(self.lengths[part])

    def gates(self, held: Tensor, part: slice) -> Tensor:
        """What decides whether a latent fires, in the shape of held [token, part and padding]."""
        if self.kind != "gated":
            return held
        bias = self.bias[part]
        return held + pad(bias, (0, held.shape[1] - len(bias)))

    def fires(self, held: Tensor, block: Tensor) -> Tensor:
        """Which latents may fire, held [pair, BLOCK] of the block numbers [pair]; not for topk."""
        if self.kind == "jumprelu":
            return held > self.threshold.index_select(0, block)
        if self.kind == "gated":
            held = held + self._blocked(self.bias).index_select(0, block)
        return held > 0

    def values(self, held: Tensor, feature: Tensor) -> Tensor:
        """Activations of latents that may fire, [entry]; what is not above zero does not."""
        if self.kind != "gated":
            return held
        r_mag, b_mag = self.activation.r_mag, self.activation.b_mag
        assert r_mag is not None
        assert b_mag is not None
        value = held * r_mag[feature].float().exp() + b_mag[feature].float()
        return value if self.lengths is None else value * self.lengths[feature]

    @cached_property
    def threshold(self) -> Tensor:
        assert self.activation.threshold is not None
        return self._blocked(self.activation.threshold.expand(self.n)).clamp_min(0)

    def _blocked(self, values: Tensor) -> Tensor:
        """[feature] as [block, BLOCK] float32."""
        return pad(values.float(), (0, -self.n % BLOCK)).view(-1, BLOCK)
