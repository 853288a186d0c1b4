"""The one form that every dictionary is brought to.

Formats disagree on whether the decoder's bias is subtracted before encoding, on what is scaled and
on which way the matrices lie. Here `b_in` and `b_out` are kept apart and everything is a record,
so that no later code has to know where a dictionary came from.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from core.spec.errors import Error
from core.spec.site import Site
from kernels import feature_decode, feature_topk
from kernels.feature_topk import COMPETING, Activation, Codes

NormKind = Literal["none", "scale", "rms", "layernorm", "unit"]


@dataclass(frozen=True)
class Norm:
    """What is done to an activation before it is encoded, and undone behind the decoder.

    none; scale: times `scale`; rms: times sqrt(d) / length; unit: divided by the length;
    layernorm: mean removed, divided by the unbiased deviation + 1e-5; the way back multiplies by
    the deviation alone, as the libraries do.
    """

    kind: NormKind = "none"
    scale: float = 1.0


@dataclass(frozen=True)
class Normed:
    """Activations as the encoder wants them, and the way back: y * factor + shift."""

    x: Tensor  # [token, d_in]
    factor: Tensor | float  # [token, 1]
    shift: Tensor | float  # [token, 1]


@dataclass(frozen=True)
class About:
    """Where a dictionary comes from, in words; all of it may be empty."""

    format: str = ""  # "SAELens", "Gemma Scope" ...
    path: str = ""
    model: str = ""  # the model it says it was trained on
    hook: str = ""  # the hook point in its own words
    context: int = 0  # tokens of a training context
    architecture: str = ""
    declared_l0: float = 0.0  # what its path or card promises
    fingerprint: str = ""  # SHA-256 of its files
    notes: tuple[str, ...] = ()  # what was assumed on reading
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SparseDict:
    """A sparse dictionary: F latents ("features") read at `site` and written at `out_site`.

    x~ = norm(center(x)), pre = (x~ - b_in) W_enc + b_enc, f = act(pre),
    y = norm^-1(f W_dec + b_out (+ x~ W_skip)).

    Activations are in the dictionary's own units; times `lengths` they are what a latent writes.
    """

    name: str
    site: Site
    out_site: Site
    W_enc: Tensor  # [d_in, feature]
    b_enc: Tensor  # [feature]
    W_dec: Tensor  # [feature, d_out]
    b_out: Tensor  # [d_out]
    act: Activation
    b_in: Tensor | None = None  # [d_in]
    W_skip: Tensor | None = None  # [d_in, d_out]
    norm: Norm = Norm()
    center: bool = False  # the mean over d_in is removed first (trained on a centred stream)
    heads: bool = False  # the site's heads are laid side by side, [token, head * d_head]
    pre_scale: bool = False  # latents are selected by activation times decoder length
    about: About = About()

    @property
    def n_features(self) -> int:
        return int(self.W_enc.shape[1])

    @property
    def d_in(self) -> int:
        return int(self.W_enc.shape[0])

    @property
    def d_out(self) -> int:
        return int(self.W_dec.shape[1])

    @property
    def transcoder(self) -> bool:
        """It writes elsewhere than it reads."""
        return self.site != self.out_site

    @cached_property
    def lengths(self) -> Tensor:
        """Length of every decoder row, [feature] float32."""
        return torch.linalg.vector_norm(self.W_dec.float(), dim=1)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.n_features:,} features of {self.site}>"

    def flat(self, values: Tensor) -> Tensor:
        """What the site holds as [token, d_in]; any leading axes become one."""
        if self.heads and values.shape[-1] != self.d_in:
            values = values.flatten(-2)
        if values.shape[-1] != self.d_in:
            raise Error(
                f"{self.name} reads {self.d_in:,} numbers, {self.site} holds {values.shape[-1]:,}"
            )
        return values.reshape(-1, self.d_in)

    def normed(self, values: Tensor) -> Normed:
        """values [token, d_in] as the encoder's product takes them, before b_in."""
        x = values.to(self.W_enc.dtype)
        if self.center:
            x = x - x.mean(-1, keepdim=True)
        tiny = torch.finfo(torch.float32).tiny
        match self.norm.kind:
            case "none":
                return Normed(x, 1.0, 0.0)
            case "scale":
                return Normed(x * self.norm.scale, 1 / self.norm.scale, 0.0)
            case "rms":
                size = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(tiny)
                size = size / self.d_in**0.5
                return Normed(x / size, size, 0.0)
            case "unit":
                size = torch.linalg.vector_norm(x, dim=-1, keepdim=True).clamp_min(tiny)
                return Normed(x / size, size, 0.0)
            case "layernorm":
                mean = x.mean(-1, keepdim=True)
                spread = (x - mean).std(-1, keepdim=True)
                return Normed((x - mean) / (spread + 1e-5), spread, mean)

    def codes(self, values: Tensor) -> Codes:
        """The latents that fire, sparse. values [..., d_in] (heads: [..., head, d_head])."""
        return self.codes_of(self.normed(self.flat(values)))

    def codes_of(self, normed: Normed) -> Codes:
        """The same for values that were normalised already."""
        x = normed.x if self.b_in is None else normed.x - self.b_in
        lengths = self.lengths if self.pre_scale else None
        act = replace(self.act, rows=self.W_dec) if self.act.kind == "pursuit" else self.act
        found = feature_topk.encode(x, self.W_enc, self.b_enc, act, lengths)
        if lengths is None:
            return found
        return replace(found, value=found.value / lengths[found.feature.long()].clamp_min(1e-30))

    def encode(self, values: Tensor) -> Tensor:
        """Activations [token, feature] float32, for few tokens; `codes` for many."""
        return self.codes(values).dense()

    def decode(self, activations: Codes | Tensor, normed: Normed | None = None) -> Tensor:
        """What the latents write, [token, d_out] float32.

        `normed` is needed to undo a normalisation that depends on the token, and for a skip
        connection; without it they are left out. A transcoder undoes a fixed scale only.
        """
        if not isinstance(activations, Codes):
            activations = feature_topk.from_dense(activations)
        y = feature_decode.decode(activations, self.W_dec) + self.b_out
        if normed is None:
            if self.norm.kind == "scale":
                y = y / self.norm.scale
            return y.float()
        if self.W_skip is not None:
            y = y + normed.x @ self.W_skip
        if self.transcoder and self._by_token:  # what it writes lies elsewhere, on another scale
            return y.float()
        return (y * normed.factor + normed.shift).float()

    def reconstructed(self, values: Tensor) -> Tensor:
        """values through encoder and decoder, [token, d_out] float32."""
        normed = self.normed(self.flat(values))
        return self.decode(self.codes_of(normed), normed)

    def feature(self, values: Tensor, unit: int) -> Tensor:
        """One latent's activation, [...] float32 for values [..., d_in]."""
        laid_out = self.heads and values.shape[-1] != self.d_in
        shape = values.shape[: -2 if laid_out else -1]
        return self.one(values, unit)[0].reshape(shape)

    def one(self, values: Tensor, unit: int) -> tuple[Tensor, Tensor]:
        """A latent's activation [token], and what one unit of it writes, [token or 1, d_out].

        Only where latents compete for a place do the others have to be known, and then only at
        tokens where this one is above zero.
        """
        normed = self.normed(self.flat(values))
        alone = self._alone(unit)
        row = self.W_dec[unit].float()[None]
        step = row if self.transcoder and self._by_token else row * normed.factor
        if self.act.kind not in COMPETING:
            return alone.codes_of(normed).dense()[:, 0], step
        own = torch.zeros(len(normed.x), device=normed.x.device)
        # Rounding may differ from the whole product's. A code may be the best of bad ones.
        coded = self.act.kind in ("code", "pursuit")
        likely = alone._before(normed) > (-torch.inf if coded else -1e-3)
        if likely.any():
            found = self.codes_of(replace(normed, x=normed.x[likely]))
            here = found.feature == unit
            places = likely.nonzero()[:, 0]
            own[places[found.token[here]]] = found.value[here]
        return own, step

    def _before(self, normed: Normed) -> Tensor:
        """The pre-activation of a dictionary of one latent, [token] float32."""
        x = normed.x if self.b_in is None else normed.x - self.b_in
        return (x @ self.W_enc + self.b_enc).float()[:, 0]

    @property
    def _by_token(self) -> bool:
        """The normalisation differs from token to token."""
        return self.norm.kind in ("rms", "unit", "layernorm")

    def _alone(self, unit: int) -> "SparseDict":
        """The dictionary of this one latent."""
        one = slice(unit, unit + 1)
        act = self.act
        parts: dict[str, Any] = {}
        for name in ("threshold", "r_mag", "b_mag"):
            part = getattr(act, name)
            parts[name] = None if part is None else part[one]
        return replace(
            self,
            W_enc=self.W_enc[:, one],
            b_enc=self.b_enc[one],
            W_dec=self.W_dec[one],
            act=replace(act, **parts),
        )

    def to(self, device: torch.device | str) -> "SparseDict":
        """The same on another device."""
        target = torch.device(device)
        if self.W_enc.device == target:
            return self
        act = replace(self.act, **_moved(self.act, ("threshold", "r_mag", "b_mag"), target))
        names = ("W_enc", "b_enc", "W_dec", "b_in", "b_out", "W_skip")
        return replace(self, act=act, **_moved(self, names, target))

    def decoder_row(self, unit: int) -> Tensor:
        """What one unit of a latent adds where the dictionary writes, [d_out] float32.

        With a fixed scale its inverse is in it; a normalisation by token is left to the caller.
        """
        row = self.W_dec[unit].float()
        return row / self.norm.scale if self.norm.kind == "scale" else row


def _moved(record: Any, names: tuple[str, ...], target: torch.device) -> dict[str, Any]:
    parts = ((name, getattr(record, name)) for name in names)
    return {name: None if part is None else part.to(target) for name, part in parts}
