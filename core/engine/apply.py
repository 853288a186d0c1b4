"""What each intervention does to the values at its site: one `case` a record."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from core.engine.writes import write_matrix, write_norms
from core.models.loaded import Loaded
from core.spec import where
from core.spec.errors import Error
from core.spec.interventions import (
    Ablate,
    Add,
    Change,
    Clamp,
    Control,
    Erase,
    Intervention,
    Limit,
    Patch,
    Project,
    Scale,
)
from core.spec.site import BESIDE_STREAM, HEADS, MLP_PARTS, STREAM, Site


@dataclass
class Moment:
    """Where in the text a hook stands, and what must be remembered between decoding steps.

    `tokens` are in this step and `offset` lie in the cache already. `prompt` tokens come first
    where more follow that count as generated (0: the whole row is the prompt); in an
    encoder-decoder these are the decoder's tokens, all of the encoder's are the prompt. `sources`
    holds what patches and resampling put in; `means` the means over the prompt, by row and change.
    """

    loaded: Loaded
    tokens: int = 0
    offset: int = 0
    prompt: int = 0
    sources: Mapping[Intervention, Tensor] = field(default_factory=dict)
    means: dict[Any, Tensor] = field(default_factory=dict)
    seen: dict[Site, Tensor] = field(default_factory=dict)  # what was read in this step so far
    tensors: dict[Any, Tensor] = field(default_factory=dict)

    def tensor(self, numbers: tuple[Any, ...], like: Tensor) -> Tensor:
        """The numbers of a change as a tensor, made once: a step of decoding needs them again."""
        key = (id(numbers), like.dtype, like.device)  # the change outlives the moment
        if key not in self.tensors:
            self.tensors[key] = torch.tensor(numbers, dtype=like.dtype, device=like.device)
        return self.tensors[key]

    def given(self, site: Site, tokens: int) -> int:
        """How many of a site's `tokens` in this step belong to the prompt, from the first on."""
        if site.stack:
            return tokens
        return min(tokens, max(0, self.prompt - self.offset)) if self.prompt else tokens


def changed(change: Intervention, values: Tensor, length: int, row: int, at: Moment) -> Tensor:
    """One row of a site's values after one change; `values` is owned by the caller.

    values [token, ...] at the whole component; `length` real tokens of the row (the rest is
    padding). Returns the same tensor, edited in place.
    """
    if isinstance(change, Control):
        before = values.clone()
        if change.site.component in MLP_PARTS and not change.site.dictionary:
            moved = _moved_neurons(change.of, length, row, at)
        else:
            moved = changed(change.of, values, length, row, at) - before
        return before + _disguised(moved, change, at.loaded)
    if change.site.dictionary:
        return _with_feature(change, values, length, row, at)
    if isinstance(change, Ablate) and change.to == "mean":
        _mean(change, values, length, row, at)  # also where it is put in only later
    target = _target(change.site, values, at.offset)
    if target is None:
        return values
    spared = _spared(change, values, at) if change.where else None
    kept = None if spared is None else values[spared]
    _change(change, target, values, length, row, at)
    if kept is not None:
        values[spared] = kept
    return values


def acts_at(change: Intervention, loaded: Loaded) -> Site:
    """The whole component a change is made at.

    The control of up or gate moves the neurons; a feature is changed where its dictionary writes,
    which for a transcoder is not where it reads.
    """
    place = change.site.whole()
    if change.site.dictionary:
        out: Site = loaded.dictionaries[change.site.dictionary].out_site
        return out
    through = isinstance(change, Control) and place.component in MLP_PARTS
    return replace(place, component="neuron") if through else place


def needed(change: Intervention, loaded: Loaded) -> tuple[Site, ...]:
    """What has to be read on the way for a change to be made."""
    place = change.site.whole()
    if change.site.dictionary:
        return (place,) if loaded.dictionaries[change.site.dictionary].transcoder else ()
    if not isinstance(change, Control) or place.component not in MLP_PARTS:
        return ()
    gated = loaded.block(place).gate is not None
    parts = tuple(replace(place, component=name) for name in MLP_PARTS)
    return parts if gated else parts[:1]


def _moved_neurons(change: Change, length: int, row: int, at: Moment) -> Tensor:
    """How far a change of up or gate would move the neurons of its layer, [token, neuron]."""
    parts: dict[str, Tensor] = {
        site.component: at.seen[site][row] for site in needed(Control(change), at.loaded)
    }
    component = change.site.component
    after = parts | {component: changed(change, parts[component].clone(), length, row, at)}
    act = at.loaded.block(change.site).act
    assert act is not None
    return _neurons(after, act) - _neurons(parts, act)


def _neurons(parts: Mapping[str, Tensor], act: nn.Module) -> Tensor:
    values: Tensor = act(parts.get("gate", parts["up"]))
    return values * parts["up"] if "gate" in parts else values


def _spared(change: Change, values: Tensor, at: Moment) -> Tensor:
    """The tokens of this step at which the change does not act, bool [token].

    The change is made everywhere and these are put back, so that a mean over the prompt is the
    same wherever it is put in.
    """
    tokens, first = values.shape[0], 0 if change.site.stack else at.offset
    acts = where.acts(change.where, first, tokens, first + at.given(change.site, tokens))
    return ~torch.tensor(acts, dtype=torch.bool, device=values.device)


def _target(site: Site, values: Tensor, offset: int) -> Tensor | None:
    """The part of the values that the site names, as a view; None when it is not in this step."""
    if site.position is not None:
        local = site.position - offset
        if not 0 <= local < values.shape[0]:
            return None
        values = values[local : local + 1]
    return values if site.unit is None else values[:, site.unit]


def _change(
    change: Intervention, target: Tensor, values: Tensor, length: int, row: int, at: Moment
) -> None:
    match change:
        case Clamp(value=value):
            target.fill_(value)
        case Scale(factor=factor):
            target.mul_(factor)
        case Ablate(to="zero"):
            target.zero_()
        case Ablate(to="mean"):
            target.copy_(_mean(change, values, length, row, at).expand_as(target))
        case Ablate(to="resample"):
            target.copy_(at.sources[change].to(target).expand_as(target))
        case Limit(low=low, high=high, direction=()):
            target.clamp_(low, high)
        case Patch():
            _patch(change, target, at)
        case _:
            _change_along(change, target, at)


def _change_along(change: Intervention, target: Tensor, at: Moment) -> None:
    """What is done along directions given with the change."""
    match change:
        case Add(direction=direction, coefficient=coefficient, keep_norm=keep):
            before = _lengths(target) if keep else None
            target.add_(coefficient * _vector(direction, target, change.site, at))
            if before is not None:
                target.mul_(before / _lengths(target).clamp_min(_tiny(target)))
        case Project(direction=direction, center=center, share=share):
            unit = _unit(direction, target, change.site, at)
            target.sub_(share * (_along(target, unit) - center) * unit)
        case Limit(low=low, high=high, direction=direction):
            unit = _unit(direction, target, change.site, at)
            along = _along(target, unit)
            target.add_((along.clamp(low, high) - along) * unit)
        case Erase(left=left, right=right, mean=mean):
            middle = _vector(mean, target, change.site, at)
            flat = (target - middle).reshape(target.shape[0], -1)
            moved = flat @ at.tensor(right, flat).T @ at.tensor(left, flat)
            target.sub_(moved.reshape(target.shape))
        case _:
            raise TypeError(f"no meaning for {change!r}")


def _vector(direction: tuple[float, ...], target: Tensor, site: Site, at: Moment) -> Tensor:
    """The direction in the shape of one token's values."""
    wanted = target[0].numel() if target.ndim > 1 else 1
    if len(direction) != wanted:
        raise Error(f"{site}: the direction has {len(direction)} numbers, the site {wanted}")
    return at.tensor(direction, target).reshape(target.shape[1:])


def _unit(direction: tuple[float, ...], target: Tensor, site: Site, at: Moment) -> Tensor:
    vector = _vector(direction, target, site, at)
    return vector / torch.linalg.vector_norm(vector)


def _along(target: Tensor, unit: Tensor) -> Tensor:
    """The component of each token along a unit vector, in a shape that multiplies it."""
    along = target.reshape(target.shape[0], -1).contiguous() @ unit.reshape(-1)
    return along.reshape(-1, *[1] * (target.ndim - 1))


def _tiny(values: Tensor) -> float:
    return torch.finfo(values.dtype).tiny


def _lengths(target: Tensor) -> Tensor:
    """The length of each token's vector, in a shape that multiplies it."""
    lengths = torch.linalg.vector_norm(target.reshape(target.shape[0], -1), dim=-1)
    return lengths.reshape(-1, *[1] * (target.ndim - 1))


def _mean(change: Ablate, values: Tensor, length: int, row: int, at: Moment) -> Tensor:
    """Mean over the text's tokens of what arrives here; in decoding that of the prompt."""
    key = (row, change)
    if key not in at.means:
        given = values[: min(length, at.given(change.site, values.shape[0]))]
        own = given if change.site.unit is None else given[:, change.site.unit].contiguous()
        at.means[key] = own.mean(dim=0, keepdim=True)
    return at.means[key]


def _patch(change: Patch, target: Tensor, at: Moment) -> None:
    source = at.sources[change].to(target)
    if change.site.position is not None:
        target.copy_(source)
        return
    if at.offset:
        return  # new tokens have no counterpart in the source text
    target = target[: at.given(change.site, target.shape[0])]
    tokens = target.shape[0]
    if source.shape[0] != tokens:
        raise Error(
            f"{change.site}: the source text has {source.shape[0]} tokens, this text {tokens}; "
            "name a position (…@3) or use texts of equal length"
        )
    target.copy_(source)


def _with_feature(change: Change, values: Tensor, length: int, row: int, at: Moment) -> Tensor:
    """Move one feature along what it writes; the reconstruction error stays as it is.

    The feature's activation is changed as a neuron's would be, and the difference times the decoder
    row is added. What an encoder would read from the result is no matter.
    """
    if not isinstance(change, Clamp | Scale | Ablate | Limit | Add | Patch) or (
        isinstance(change, Limit) and change.direction
    ):
        raise Error(
            f"{change.site}: a feature is one number; clamp, scale, limit, ablate or patch it, or "
            "add to it"
        )
    of_mean = isinstance(change, Ablate) and change.to == "mean"
    spared = _spared(change, values, at) if change.where else None
    single = replace(change.site, unit=None, dictionary="")
    idle = _target(single, values, at.offset) is None or (spared is not None and spared.all())
    if idle and not of_mean:  # a mean is taken of the prompt, also to be put in only later
        return values
    dictionary = at.loaded.dictionaries[change.site.dictionary]
    given = at.seen[change.site.whole()][row] if dictionary.transcoder else values
    now, step = dictionary.one(given, change.site.unit)  # [token], [token or 1, d_out]
    mean = _feature_mean(change, now, length, row, at) if of_mean else None
    if idle:
        return values
    wanted = now.clone()
    target = _target(single, wanted, at.offset)
    assert target is not None
    if mean is not None:
        target.fill_(mean)
    else:
        _change(change, target, wanted, length, row, at)
    if spared is not None:
        wanted[spared] = now[spared]
    moved = ((wanted - now)[:, None] * step).to(values.dtype)
    values.add_(moved.reshape(values.shape))
    return values


def _feature_mean(change: Change, now: Tensor, length: int, row: int, at: Moment) -> Tensor:
    """Mean of a feature's activation over the text's tokens; in decoding that of the prompt."""
    key = (row, change)
    if key not in at.means:
        at.means[key] = now[: min(length, at.given(change.site, len(now)))].mean()
    return at.means[key]


def _disguised(moved: Tensor, control: Control, loaded: Loaded) -> Tensor:
    """A random movement that shifts the residual stream as far, token by token."""
    site = acts_at(control.of, loaded) if control.site.dictionary else control.site
    generator = torch.Generator().manual_seed(control.seed * 9_973 + site.layer + 1)
    if site.component in (*STREAM, *BESIDE_STREAM):
        length = torch.linalg.vector_norm(moved, dim=-1, keepdim=True)
        return length * _random_unit(moved.shape[-1:], generator, moved)
    if site.component in HEADS:
        return _other_heads(moved, site, generator, loaded)
    return _other_neurons(moved, site, generator, loaded)


def _random_unit(shape: torch.Size, generator: torch.Generator, like: Tensor) -> Tensor:
    vector = torch.randn(shape, generator=generator)
    return (vector / torch.linalg.vector_norm(vector)).to(like)


def _other_neurons(moved: Tensor, site: Site, generator: torch.Generator, loaded: Loaded) -> Tensor:
    """The same shift on other neurons, scaled by the lengths of their write vectors."""
    norms = write_norms(loaded, site).to(moved)
    partner = torch.randperm(moved.shape[-1], generator=generator).to(moved.device)
    if site.unit is not None and partner[site.unit] == site.unit and len(partner) > 1:
        partner = partner.roll(1)
    scaled = moved * norms / norms[partner].clamp_min(1e-12)
    result = torch.zeros_like(moved)
    return result.index_copy_(-1, partner, scaled)


def _other_heads(moved: Tensor, site: Site, generator: torch.Generator, loaded: Loaded) -> Tensor:
    """A random direction inside another head (all heads: inside each), scaled in the stream."""
    write = write_matrix(loaded, site).to(moved)  # [head, d_head, d_model]
    heads, width = moved.shape[1:]
    distance = torch.linalg.vector_norm(
        torch.einsum("thd,hdm->tm", moved, write), dim=-1, keepdim=True
    )
    direction = torch.randn(heads, width, generator=generator).to(moved)
    if site.unit is not None:
        steps = int(torch.randint(1, max(2, heads), (1,), generator=generator))
        other = (site.unit + steps) % heads
        keep = torch.zeros(heads, 1, device=moved.device, dtype=moved.dtype)
        keep[other] = 1.0
        direction = direction * keep
    reach = torch.linalg.vector_norm(torch.einsum("hd,hdm->m", direction, write))
    return (distance / reach.clamp_min(1e-12))[..., None] * direction
