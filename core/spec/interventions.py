"""What can be done to a running model, as frozen records without behaviour.

`core.engine.apply` gives each record its meaning, one `case` each.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from core.spec.errors import Error
from core.spec.site import PATTERNS, Site, site

MAX_DIRECTION = 1_000_000


def _settle(record: Any) -> None:
    """Accept site texts and arrays, keep a `Site`, floats and tuples; refuse what is not finite."""
    place = site(record.site)
    if place.component in PATTERNS:
        raise Error(f"{place}: attention patterns can be read but not changed; change the head")
    object.__setattr__(record, "site", place)
    for name in ("value", "factor", "coefficient"):
        if hasattr(record, name):
            object.__setattr__(record, name, _number(getattr(record, name), name, place))
    if hasattr(record, "direction"):
        object.__setattr__(record, "direction", _direction(record.direction, place))


def _number(value: Any, name: str, place: Site) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Error(f"{place}: {name} must be a number, got {str(value)[:40]!r}") from None
    if not math.isfinite(number):
        raise Error(f"{place}: {name} must be finite, got {number}")
    return number


def _direction(direction: Any, place: Site) -> tuple[float, ...]:
    try:
        numbers = tuple(float(x) for x in direction)
    except (TypeError, ValueError, OverflowError):
        raise Error(f"{place}: a direction is a flat list of numbers") from None
    if not 0 < len(numbers) <= MAX_DIRECTION:
        raise Error(f"{place}: a direction needs at least one number")
    if not all(map(math.isfinite, numbers)):
        raise Error(f"{place}: the direction holds a value that is not finite")
    return numbers


@dataclass(frozen=True, slots=True)
class Clamp:
    """Set every value at the site to `value` (a feature: to that activation)."""

    site: Site
    value: float

    def __post_init__(self) -> None:
        _settle(self)


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiply what is at the site by `factor`."""

    site: Site
    factor: float

    def __post_init__(self) -> None:
        _settle(self)


@dataclass(frozen=True, slots=True)
class Ablate:
    """Replace what is at the site by nothing, by its mean, or by a stranger's value.

    `mean` is over all tokens of this text (in generation: of the prompt);
    `resample` takes the site's value at a random position, chosen by `seed`, of the
    built-in reference text.
    """

    site: Site
    to: Literal["zero", "mean", "resample"] = "zero"
    seed: int = 0

    def __post_init__(self) -> None:
        _settle(self)
        if self.to not in ("zero", "mean", "resample"):
            raise Error(f"{self.site}: ablate to 'zero', 'mean' or 'resample', not {self.to!r}")
        if not isinstance(self.seed, int):
            raise Error(f"{self.site}: the seed must be a whole number")


@dataclass(frozen=True, slots=True)
class Add:
    """Add `coefficient` times `direction`, the direction taken as given."""

    site: Site
    direction: tuple[float, ...]
    coefficient: float = 1.0

    def __post_init__(self) -> None:
        _settle(self)


@dataclass(frozen=True, slots=True)
class Project:
    """Remove the component along `direction`, which is normalised first."""

    site: Site
    direction: tuple[float, ...]

    def __post_init__(self) -> None:
        _settle(self)
        if not any(self.direction):
            raise Error(f"{self.site}: cannot remove a direction of length zero")


@dataclass(frozen=True, slots=True)
class Patch:
    """Put in what the same site holds in a clean run on the text `source`."""

    site: Site
    source: str

    def __post_init__(self) -> None:
        _settle(self)
        if not isinstance(self.source, str):
            raise Error(f"{self.site}: the source of a patch is a text")


Change = Clamp | Scale | Ablate | Add | Project | Patch


@dataclass(frozen=True, slots=True)
class Control:
    """The matched control of a change: the stream moves as far, in a random direction.

    At each token the change of the residual stream has the norm that `of` would have
    caused there. Neurons: another neuron of the layer is moved instead. Heads: a random
    direction inside another head. Stream sites: a random direction. Chosen by `seed`.
    """

    of: Change
    seed: int = 0

    @property
    def site(self) -> Site:
        return self.of.site


Intervention = Change | Control

KINDS: dict[str, type] = {
    "clamp": Clamp,
    "scale": Scale,
    "ablate": Ablate,
    "add": Add,
    "project": Project,
    "patch": Patch,
}


def to_plain(change: Intervention) -> dict[str, Any]:
    """A JSON-ready dictionary; `from_plain` reads it back to an equal record."""
    if isinstance(change, Control):
        return {"kind": "control", "of": to_plain(change.of), "seed": change.seed}
    plain: dict[str, Any] = {"kind": type(change).__name__.lower()}
    for field in fields(change):
        value = getattr(change, field.name)
        plain[field.name] = str(value) if field.name == "site" else value
    return plain


def from_plain(plain: Mapping[str, Any]) -> Intervention:
    """Read what `to_plain` wrote. Raises `Error` on anything else."""
    if not isinstance(plain, Mapping):
        raise Error(f"not an intervention: {str(plain)[:80]!r}")
    rest = {key: value for key, value in plain.items() if key != "kind"}
    kind = plain.get("kind")
    try:
        if kind == "control":
            return Control(from_plain(rest["of"]), int(rest.get("seed", 0)))  # type: ignore[arg-type]
        return KINDS[kind](**rest)  # type: ignore[index, no-any-return]
    except (KeyError, TypeError):
        raise Error(
            f"not an intervention: {str(dict(plain))[:80]}; kinds are {', '.join(KINDS)}"
        ) from None


def as_python(change: Change) -> str:
    """The line a notebook needs: `api.Clamp("L2.neuron[17]", 8.0)`."""
    arguments = []
    for field in fields(change):
        value = getattr(change, field.name)
        if field.name == "seed" and value == 0:
            continue
        arguments.append(f'"{value}"' if field.name == "site" else _literal(value))
    return f"api.{type(change).__name__}({', '.join(arguments)})"


def _literal(value: Any) -> str:
    return repr(list(value)) if isinstance(value, tuple) else repr(value)


def listed(changes: Iterable[Intervention]) -> tuple[Intervention, ...]:
    """Interventions as a tuple. Raises `Error` when something else is among them."""
    found = tuple(changes)
    for change in found:
        if not isinstance(change, Clamp | Scale | Ablate | Add | Project | Patch | Control):
            raise Error(f"not an intervention: {str(change)[:80]!r}; use api.Clamp, api.Add, ...")
    return found
