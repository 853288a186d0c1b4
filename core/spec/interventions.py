"""What can be done to a running model, as frozen records without behaviour.

`core.engine.apply` gives each record its meaning, one `case` each.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Literal

from core.spec.errors import Error
from core.spec.site import HEADS, PATTERNS, Site, site
from core.spec.where import canonical

MAX_DIRECTION = 1_000_000
# Fields that came later: left out where they are at their default, so that a question and a link
# from before them stay what they were.
_LATER = ("where", "center", "share", "keep_norm")


def _settle(record: Any) -> None:
    """Accept site texts and arrays, keep a `Site`, floats and tuples; refuse what is not finite."""
    place = site(record.site)
    if place.component in PATTERNS:
        raise Error(f"{place}: attention patterns can be read but not changed; change the head")
    object.__setattr__(record, "site", place)
    for name in ("value", "factor", "coefficient", "center", "share"):
        if hasattr(record, name):
            object.__setattr__(record, name, _number(getattr(record, name), name, place))
    if hasattr(record, "direction"):
        least = 0 if isinstance(record, Limit) else 1  # a limit may be about the values themselves
        object.__setattr__(record, "direction", _direction(record.direction, place, least))
    object.__setattr__(record, "where", canonical(record.where))
    if record.where and place.position is not None:
        raise Error(f"{place}: the site names its token already; leave out where={record.where!r}")


def _number(value: Any, name: str, place: Site) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise Error(f"{place}: {name} must be a number, got {str(value)[:40]!r}") from None
    if not math.isfinite(number):
        raise Error(f"{place}: {name} must be finite, got {number}")
    return number


def _direction(direction: Any, place: Site, least: int = 1) -> tuple[float, ...]:
    if isinstance(direction, str):
        raise Error(f"{place}: a direction is a flat list of numbers")
    try:
        numbers = tuple(float(x) for x in direction)
    except (TypeError, ValueError, OverflowError):
        raise Error(f"{place}: a direction is a flat list of numbers") from None
    if not least <= len(numbers) <= MAX_DIRECTION:
        raise Error(f"{place}: a direction needs at least one number")
    if not all(map(math.isfinite, numbers)):
        raise Error(f"{place}: the direction holds a value that is not finite")
    return numbers


@dataclass(frozen=True, slots=True)
class Clamp:
    """Set every value at the site to `value` (a feature: to that activation)."""

    site: Site
    value: float
    where: str = ""

    def __post_init__(self) -> None:
        _settle(self)


@dataclass(frozen=True, slots=True)
class Scale:
    """Multiply what is at the site by `factor`."""

    site: Site
    factor: float
    where: str = ""

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
    where: str = ""

    def __post_init__(self) -> None:
        _settle(self)
        if self.to not in ("zero", "mean", "resample"):
            raise Error(f"{self.site}: ablate to 'zero', 'mean' or 'resample', not {self.to!r}")
        if not isinstance(self.seed, int):
            raise Error(f"{self.site}: the seed must be a whole number")


@dataclass(frozen=True, slots=True)
class Add:
    """Add `coefficient` times `direction`, the direction taken as given.

    `keep_norm`: the sum is then scaled to the length the values had before, token by token.
    """

    site: Site
    direction: tuple[float, ...]
    coefficient: float = 1.0
    keep_norm: bool = False
    where: str = ""

    def __post_init__(self) -> None:
        _settle(self)
        if not isinstance(self.keep_norm, bool):
            raise Error(f"{self.site}: keep_norm is True or False")
        if self.keep_norm and _single(self.site):
            raise Error(f"{self.site}: a single number has no direction whose norm could be kept")


@dataclass(frozen=True, slots=True)
class Project:
    """Take the component along `direction`, normalised first to v, to `center`.

    x becomes x - share (x.v - center) v. center 0 removes the component; the mean of x.v on a
    reference text (the affine form) leaves out what is common to every text. share 1 takes all
    of the way, 0 nothing, -0.1 makes the component a tenth larger.
    """

    site: Site
    direction: tuple[float, ...]
    center: float = 0.0
    share: float = 1.0
    where: str = ""

    def __post_init__(self) -> None:
        _settle(self)
        if not any(self.direction):
            raise Error(f"{self.site}: cannot remove a direction of length zero")


@dataclass(frozen=True, slots=True)
class Limit:
    """Keep every value at the site between `low` and `high`; None is no limit.

    With a `direction`, normalised first, it is the component along it that is kept there.
    """

    site: Site
    low: float | None = None
    high: float | None = None
    direction: tuple[float, ...] = ()
    where: str = ""

    def __post_init__(self) -> None:
        _settle(self)
        for name in ("low", "high"):
            if getattr(self, name) is not None:
                number = _number(getattr(self, name), name, self.site)
                object.__setattr__(self, name, number)
        if self.low is None and self.high is None:
            raise Error(f"{self.site}: a limit needs low=, high= or both")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise Error(f"{self.site}: low={self.low:g} lies above high={self.high:g}")
        if self.direction and not any(self.direction):
            raise Error(f"{self.site}: cannot limit along a direction of length zero")


@dataclass(frozen=True, slots=True)
class Erase:
    """The affine eraser x - left^T right (x - mean), as LEACE computes it.

    left and right [rank, width], mean [width]: what erases a concept with least displacement
    (Belrose et al., "LEACE: Perfect linear concept erasure in closed form", 2023).
    """

    site: Site
    left: tuple[tuple[float, ...], ...]
    right: tuple[tuple[float, ...], ...]
    mean: tuple[float, ...]
    where: str = ""

    def __post_init__(self) -> None:
        _settle(self)
        place = self.site
        object.__setattr__(self, "mean", _direction(self.mean, place))
        for name in ("left", "right"):
            rows = getattr(self, name)
            if isinstance(rows, str) or not hasattr(rows, "__iter__"):
                raise Error(f"{place}: {name} is a list of rows of numbers")
            object.__setattr__(self, name, tuple(_direction(row, place) for row in rows))
        widths = {len(row) for row in (*self.left, *self.right)}
        if not self.left or len(self.left) != len(self.right) or widths != {len(self.mean)}:
            raise Error(
                f"{place}: an eraser needs as many rows left as right, each as long as its mean"
            )


@dataclass(frozen=True, slots=True)
class Patch:
    """Put in what the same site holds in a clean run on the text `source`."""

    site: Site
    source: str
    where: str = ""

    def __post_init__(self) -> None:
        _settle(self)
        if not isinstance(self.source, str):
            raise Error(f"{self.site}: the source of a patch is a text")


Change = Clamp | Scale | Ablate | Add | Project | Limit | Erase | Patch


@dataclass(frozen=True, slots=True)
class Control:
    """The matched control of a change: the stream moves as far, in a random direction.

    At each token the change of the residual stream has the norm that `of` would have
    caused there. Neurons, also by their up or gate: another neuron of the layer is moved instead.
    Heads: a random direction inside another head. Stream sites: a random direction. Chosen by
    `seed`. It acts at the same tokens as `of`.
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
    "limit": Limit,
    "erase": Erase,
    "patch": Patch,
}


def _single(place: Site) -> bool:
    """Does the site hold one number per token, not a vector?"""
    return place.unit is not None and place.component not in HEADS


def to_plain(change: Intervention) -> dict[str, Any]:
    """A JSON-ready dictionary; `from_plain` reads it back to an equal record."""
    if isinstance(change, Control):
        return {"kind": "control", "of": to_plain(change.of), "seed": change.seed}
    plain: dict[str, Any] = {"kind": type(change).__name__.lower()}
    for field in fields(change):
        value = getattr(change, field.name)
        if field.name in _LATER and value == field.default:
            continue
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
    """The line a notebook needs: `api.Clamp("L2.neuron[17]", 8.0, where="prompt")`."""
    arguments = []
    for field in fields(change):
        value = getattr(change, field.name)
        if field.name == "site":
            arguments.append(f'"{value}"')
        elif field.default is MISSING or field.name in ("coefficient", "to"):
            arguments.append(_literal(value))
        elif value != field.default:
            arguments.append(f"{field.name}={_literal(value)}")
    return f"api.{type(change).__name__}({', '.join(arguments)})"


def _literal(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_literal, value))}]"
    return repr(value)


def listed(changes: Iterable[Intervention]) -> tuple[Intervention, ...]:
    """Interventions as a tuple. Raises `Error` when something else is among them."""
    found = tuple(changes)
    for change in found:
        if not isinstance(change, Change | Control):
            raise Error(f"not an intervention: {str(change)[:80]!r}; use api.Clamp, api.Add, ...")
    return found
