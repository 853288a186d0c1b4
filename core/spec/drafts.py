"""What a person can do to a unit, by short names, and the change each one makes.

A unit is a neuron (or its up or gate), a head, a feature, a stream coordinate, or a direction at a
stream site. The same names stand in the clamp panel, in the tray and in links.
"""

import math
from dataclasses import dataclass, replace

from core.spec.errors import Error
from core.spec.interventions import (
    Ablate,
    Add,
    Change,
    Clamp,
    Erase,
    Limit,
    Patch,
    Project,
    Scale,
)
from core.spec.site import HEADS, Site

KINDS: dict[str, str] = {
    "set": "set to",
    "add": "add",
    "turn": "add, length kept",
    "scale": "multiply by",
    "zero": "ablate to zero",
    "mean": "ablate to its mean",
    "resample": "ablate to a random value",
    "project": "project out",
    "centre": "project out to the mean",
    "cap": "cap at",
    "floor": "floor at",
}
# Kinds whose strength is a factor, and those counted in the unit's own values.
FACTORS = ("scale",)
VALUES = ("set", "add", "turn", "cap", "floor")


@dataclass(frozen=True, slots=True)
class Size:
    """How large a unit's values get on the reference text, as `core.results.scale` says it.

    `step` is the 99.9th percentile, `low` to `high` the natural range. Along a direction of
    length `length` the values are components along it, and steps are counted from `mean`.
    """

    step: float = 1.0
    low: float = 0.0
    high: float = 0.0
    mean: float = 0.0
    largest: float = 0.0
    length: float = 0.0  # 0: no direction
    known: bool = True  # False while it is being measured

    def value(self, kind: str, times: float) -> float:
        """The strength of a change that is `times` steps strong."""
        if kind not in VALUES:
            return times
        if kind in ("add", "turn"):
            return times * self.step / (self.length or 1.0)
        return self._origin() + times * self.step

    def times(self, kind: str, value: float) -> float:
        """How many steps a strength is."""
        if kind not in VALUES:
            return value
        if kind in ("add", "turn"):
            return value * (self.length or 1.0) / self.step
        return (value - self._origin()) / self.step

    def natural(self, kind: str) -> tuple[float, float] | None:
        """The natural range in steps; None where a strength has none or it is unknown."""
        if kind not in VALUES or self.low == self.high:
            return None
        origin = self._origin()
        return (self.low - origin) / self.step, (self.high - origin) / self.step

    def _origin(self) -> float:
        return self.mean if self.length else 0.0


def kinds(place: Site, direction: tuple[float, ...] = ()) -> tuple[str, ...]:
    """The kinds that make sense for this unit, the most usual first."""
    if direction:
        return ("add", "turn", "project", "centre", "scale", "cap", "floor")
    if place.dictionary:
        return ("set", "scale", "zero", "cap", "floor")
    if place.component in HEADS or place.unit is None:
        return ("scale", "zero", "mean", "resample")
    return ("set", "add", "scale", "zero", "mean", "resample", "cap", "floor")


def make(
    kind: str,
    place: Site,
    value: float = 0.0,
    *,
    where: str = "",
    direction: tuple[float, ...] = (),
    mean: float = 0.0,
) -> Change:
    """The change of this kind. `mean` is that of the component along the direction."""
    match kind:
        case "set":
            return Clamp(place, value, where)
        case "add" | "turn":
            along = direction or (1.0,)
            return Add(place, along, value, keep_norm=kind == "turn", where=where)
        case "scale" if direction:
            return Project(place, direction, share=1 - value, where=where)
        case "scale":
            return Scale(place, value, where)
        case "project" | "centre":
            if not direction:
                raise Error(f"{place}: there is no direction to project out")
            return Project(place, direction, mean if kind == "centre" else 0.0, where=where)
        case "zero" | "mean" | "resample":
            return Ablate(place, kind, where=where)
        case "cap":
            return Limit(place, high=value, direction=direction, where=where)
        case "floor":
            return Limit(place, low=value, direction=direction, where=where)
    raise Error(f"no kind of change {kind[:40]!r}; there are {', '.join(KINDS)}")


def kind_of(change: Change) -> str:
    """The name of what a change does; "" for what only a notebook or another page makes."""
    match change:
        case Clamp():
            return "set"
        case Scale():
            return "scale"
        case Add(keep_norm=keep):
            return "turn" if keep else "add"
        case Ablate(to=to):
            return to
        case Limit(high=None):
            return "floor"
        case Limit(low=None):
            return "cap"
        case Project(center=0.0, share=1.0):
            return "project"
        case Project(share=1.0):
            return "centre"
        case Project(center=0.0):
            return "scale"
    return ""


def value_of(change: Change) -> float | None:
    """The number that says how strong a change is; None where it has none."""
    match change:
        case Clamp(value=value) | Scale(factor=value) | Add(coefficient=value):
            return value
        case Limit(high=float(value)) | Limit(low=float(value), high=None):
            return value
        case Project(center=0.0, share=share) if share != 1.0:
            return 1 - share
    return None


def at_value(change: Change, value: float) -> Change:
    """The same change, as strong as `value`; a change without a strength stays as it is."""
    match change:
        case Clamp():
            return replace(change, value=value)
        case Scale():
            return replace(change, factor=value)
        case Add():
            return replace(change, coefficient=value)
        case Limit(high=None):
            return replace(change, low=value)
        case Limit(low=low):
            return replace(change, high=value, low=None if low is None else min(low, value))
        case Project(center=0.0, share=share) if share != 1.0:
            return replace(change, share=1 - value)
    return change


def settled(change: Change, unit: float) -> Change:
    """The same change at one strength, its own sign kept: what a sweep of strengths is asked with.

    The answer is then the same wherever the slider stands. unit: one step of strength, 0 unknown.
    """
    value = value_of(change)
    if value is None:
        return change
    if kind_of(change) in FACTORS:
        return at_value(change, 2.0 if value >= 1 else 0.0)
    if kind_of(change) == "cap":
        return at_value(change, -unit)
    return at_value(change, math.copysign(unit, value)) if unit else change


def sweepable(kind: str, place: Site, direction: tuple[float, ...]) -> str:
    """The kind whose strength is swept to show what this one does; itself where it has one."""
    if kind in (*FACTORS, *VALUES):
        return kind
    if direction:
        return "project"
    return "set" if "set" in kinds(place) else "scale"


def remade(change: Change, kind: str, value: float) -> Change:
    """Another kind of change at the same place, direction and tokens."""
    direction = getattr(change, "direction", ())
    if len(direction) == 1:
        direction = ()
    return make(kind, change.site, value, where=change.where, direction=direction)


def fixed(change: Change) -> bool:
    """Is this a change whose kind cannot be chosen anew: patches and erasers?"""
    return isinstance(change, Patch | Erase)
