"""What is done to a unit to see what it causes, and the random changes it is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from core.analyses.runs import Progress
from core.analyses.scale import scale, unit_scales
from core.engine.writes import write_norms
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Ablate, Change, Clamp, Control, Intervention, Project, Scale
from core.spec.site import HEADS, NEURONS, STREAM, Site

N_CONTROLS = 8
N_NEAR = 32  # neurons of matched size that the controls are drawn from
ABLATIONS = ("zero", "mean")
EQUAL = "random change that moves the stream as far at every token"
MATCHED = "other neuron of the layer, set to the value at which it writes as much"


@dataclass(frozen=True)
class Case:
    """One thing done to the unit: its name, the change, its controls and what these are."""

    name: str
    change: Change
    controls: tuple[Intervention, ...]
    words: str = EQUAL


@dataclass(frozen=True)
class Cases:
    """All that is done to one unit, and how large its values get on the reference text."""

    kind: str
    cases: tuple[Case, ...]
    unit: float = 0.0
    natural: tuple[float, ...] = ()
    n_reference: int = 0


def cases(
    loaded: Loaded, progress: Progress, place: Site, direction: Sequence[float], seed: int
) -> Cases:
    """Ablation to zero and to the mean, activation and suppression, each with 8 controls.

    Raises `Error` for a site that is no single unit and has no direction.
    """
    loaded.check(place)
    if len(direction):
        return _direction(loaded, progress, place, tuple(direction), seed)
    if place.component in HEADS and place.unit is not None:
        return _head(place, seed)
    if place.unit is None or place.component not in (*NEURONS, *STREAM):
        raise Error(
            f"{place}: name one unit, e.g. L2.neuron[17] or L1.head[3], or give a direction"
        )
    return _number(loaded, progress, place, seed)


def _equal(name: str, change: Change, seed: int) -> Case:
    controls = (Control(change, seed * 100 + number) for number in range(N_CONTROLS))
    return Case(name, change, tuple(controls))


def _head(place: Site, seed: int) -> Cases:
    made = (
        ("ablated to zero", Ablate(place)),
        ("ablated to its mean", Ablate(place, "mean")),
        ("× 2", Scale(place, 2.0)),
        ("× \N{MINUS SIGN}1", Scale(place, -1.0)),
    )
    return Cases("head", tuple(_equal(name, change, seed) for name, change in made))


def _direction(
    loaded: Loaded, progress: Progress, place: Site, direction: tuple[float, ...], seed: int
) -> Cases:
    size = scale(loaded, progress, at=str(place), direction=direction)
    made = (
        ("taken out", 0.0),
        ("taken to its mean", size.mean),
        ("set to mean + p99.9", size.mean + size.p999),
        ("set to mean \N{MINUS SIGN} p99.9", size.mean - size.p999),
    )
    found = (_equal(name, Project(place, direction, center), seed) for name, center in made)
    return Cases("direction", tuple(found), size.p999, (size.low, size.high), size.n_tokens)


def _number(loaded: Loaded, progress: Progress, place: Site, seed: int) -> Cases:
    kind = "feature" if place.dictionary else "neuron"
    if not place.dictionary and place.component not in NEURONS:
        kind = "coordinate"
    if kind == "neuron":
        (units,) = unit_scales(loaded, progress, [place.whole()])
        unit, low, high = (float(x[place.unit]) for x in (units.p999, units.low, units.high))
        n_tokens = units.n_tokens
    else:
        size = scale(loaded, progress, at=str(place))
        unit, low, high, n_tokens = size.p999, size.low, size.high, size.n_tokens
    found = [_equal("ablated to zero", Ablate(place), seed)]
    if kind != "feature":  # its mean over a text is no activation a dictionary would give
        found.append(_equal("ablated to its mean", Ablate(place, "mean"), seed))
    for sign, name in ((1, "set to +p99.9"), (-1, "set to \N{MINUS SIGN}p99.9")):
        clamp = Clamp(place, sign * (unit or 1.0))
        matched = place.component == "neuron" and not place.dictionary
        found.append(
            _matched(loaded, progress, name, clamp, seed) if matched else _equal(name, clamp, seed)
        )
    return Cases(kind, tuple(found), unit, (low, high), n_tokens)


def _matched(loaded: Loaded, progress: Progress, name: str, clamp: Clamp, seed: int) -> Case:
    """The neuron set, beside random neurons of the layer that usually write about as much.

    Drawn from the 32 nearest in ||w_out|| x p99.9, and set where they write exactly as much.
    """
    place = clamp.site
    (units,) = unit_scales(loaded, progress, [place.whole()])
    norms = write_norms(loaded, place).float().cpu()
    reach = (norms * units.p999).clamp_min(1e-12).log()
    distance = (reach - reach[place.unit]).abs()
    distance[place.unit] = torch.inf
    distance[norms == 0] = torch.inf
    near = distance.argsort()[: min(N_NEAR, int(distance.isfinite().sum()))]
    order = torch.randperm(len(near), generator=torch.Generator().manual_seed(seed))
    chosen = near[order[:N_CONTROLS]].tolist()
    same = float(norms[place.unit]) * clamp.value
    controls = (Clamp(replace(place, unit=j), same / float(norms[j])) for j in chosen)
    return Case(name, clamp, tuple(controls), MATCHED)
