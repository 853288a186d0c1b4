"""How strong a change is: the number that can be varied, and the unit it is counted in."""

import math
from dataclasses import dataclass, replace

from core.analyses.runs import Progress
from core.analyses.scale import scale, unit_scales
from core.models.loaded import Loaded
from core.spec.drafts import at_value, value_of
from core.spec.errors import Error
from core.spec.interventions import Add, Change, Limit, Project, Scale
from core.spec.site import NEURONS, Site


@dataclass(frozen=True)
class Unit:
    """One step of strength: a strength is `origin` + stop x `size`.

    `natural` is the range of stops that the reference text itself shows, () unknown; `stream` the
    share of the mean stream length that one step moves, 0 unknown; `words` says what a step is.
    """

    size: float
    words: str
    origin: float = 0.0
    natural: tuple[float, ...] = ()
    stream: float = 0.0
    n_tokens: int = 0


def strength(change: Change) -> float:
    """The number that says how strong a change is. Raises `Error` where there is none."""
    found = change.share if isinstance(change, Project) else value_of(change)
    if found is None:
        raise Error(f"{change.site}: {type(change).__name__.lower()} has no strength to sweep")
    return found


def with_strength(change: Change, value: float) -> Change:
    """The same change as strong as `value`. A cap moves, and a floor above it goes with it."""
    return replace(change, share=value) if isinstance(change, Project) else at_value(change, value)


def unit_of(loaded: Loaded, progress: Progress, change: Change) -> Unit:
    """The unit of a change's strength, measured on the reference text where that has a meaning.

    Values: the 99.9th percentile of |value| at the site. Along a direction: that of the distance
    from its mean. Factors and shares: 1.
    """
    strength(change)  # refuses what has none
    if isinstance(change, Scale | Project):
        return Unit(1.0, "the factor itself" if isinstance(change, Scale) else "the whole of it")
    place = replace(change.site, position=None)
    if not isinstance(change, Add | Limit) or not change.direction:
        return _values(loaded, progress, place)
    if len(change.direction) > 1:
        return _along(loaded, progress, change)
    found = _values(loaded, progress, place)  # one number: a multiple of it
    return replace(found, size=found.size / abs(change.direction[0] or 1.0))


def _values(loaded: Loaded, progress: Progress, place: Site) -> Unit:
    words = "the 99.9th percentile of its size"
    if place.component in NEURONS and place.unit is not None:
        (units,) = unit_scales(loaded, progress, [place.whole()])
        p999, low, high = (float(x[place.unit]) for x in (units.p999, units.low, units.high))
        n_tokens = units.n_tokens
    else:
        found = scale(loaded, progress, at=str(place))
        p999, low, high, n_tokens = found.p999, found.low, found.high, found.n_tokens
    if not p999 > 0:
        return Unit(1.0, "1: it is silent on the reference text", n_tokens=n_tokens)
    return Unit(p999, words, natural=(low / p999, high / p999), n_tokens=n_tokens)


def _along(loaded: Loaded, progress: Progress, change: Add | Limit) -> Unit:
    place, direction = replace(change.site, position=None), change.direction
    found = scale(loaded, progress, at=str(place), direction=direction)
    length = math.sqrt(math.fsum(x * x for x in direction))
    step = found.p999 or 1.0
    return Unit(
        size=step / length if isinstance(change, Add) else step,
        words="the 99.9th percentile of its distance from the mean",
        origin=0.0 if isinstance(change, Add) else found.mean,
        natural=((found.low - found.mean) / step, (found.high - found.mean) / step),
        stream=step / found.stream if found.stream else 0.0,
        n_tokens=found.n_tokens,
    )


def everywhere(change: Change, n: int) -> Change:
    """The change as it acts on another given text of n tokens.

    What acts at generated tokens acts at all of them; a token the text does not have is its last.
    """
    if change.where == "generated":
        return replace(change, where="")
    position = change.site.position
    if position is None or position < n:
        return change
    return replace(change, site=replace(change.site, position=n - 1))
