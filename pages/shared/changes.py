"""Changes of a model in words: how strong, at which place, and whether the place exists."""

from collections.abc import Mapping
from dataclasses import replace

from core.figures.wording import MINUS, number
from core.spec.errors import Error
from core.spec.interventions import Ablate, Add, Change, Clamp, Patch, Project, Scale
from core.spec.site import HEADS, Site, site

KINDS = ("clamp", "scale", "ablate", "patch")


def kind(change: Change) -> str:
    """The word for what a change does: "clamp", "ablate", ..."""
    return type(change).__name__.lower()


def strength(change: Change) -> float | None:
    """The number that says how strong a change is; None where it has none."""
    match change:
        case Clamp(value=value) | Scale(factor=value) | Add(coefficient=value):
            return value
    return None


def with_strength(change: Change, value: float) -> Change:
    """The same change, as strong as `value`; a change without a strength stays as it is."""
    match change:
        case Clamp():
            return replace(change, value=value)
        case Scale():
            return replace(change, factor=value)
        case Add():
            return replace(change, coefficient=value)
    return change


def in_words(change: Change) -> str:
    """What is done at the site, short: "= 8", "× 0.5", "ablated to mean"."""
    match change:
        case Clamp(value=value):
            return f"= {number(value)}"
        case Scale(factor=value):
            return f"× {number(value)}"
        case Ablate(to=to):
            return "ablated" if to == "zero" else f"ablated to {to}"
        case Add(coefficient=value):
            return f"+ {number(value)} × direction"
        case Project():
            return "without a direction"
        case Patch(source=source):
            return f"as in “{source[:24]}”"


def detail(change: Change) -> str:
    """What else there is to say of a change without a strength: "to mean", its source."""
    match change:
        case Ablate(to=to):
            return f"to {to}"
        case Project(direction=direction):
            return f"a direction of {len(direction):,} numbers"
        case Patch(source=source):
            return source
    return ""


def named(change: Change) -> str:
    """A change in one line of text: "L3.neuron[812] = 8"."""
    return f"{change.site} {in_words(change)}"


def parse(kind: str, text: str, value: str) -> Change:
    """The change a person typed: a kind, a site text and a value. Raises `Error`."""
    place, value = site(text), value.strip()
    if kind == "ablate":
        return Ablate(place, value or "zero")  # type: ignore[arg-type]  # the record checks it
    if kind == "patch":
        if not value:
            raise Error(f"{place}: a patch needs the text to take the value from")
        return Patch(place, value)
    if not value:
        raise Error(f"{place}: {kind} needs a number, e.g. 8 or -2.5")
    plain = value.replace(MINUS, "-")
    return Scale(place, plain) if kind == "scale" else Clamp(place, plain)  # type: ignore[arg-type]


def misfit(place: Site, sizes: Mapping[str, int]) -> str:
    """Why a model of these sizes has no such place, in one sentence; "" when it has."""
    layers = sizes.get("n_layers", 0)
    if not place.stack and place.layer >= layers:
        return f"{place}: the model has layers 0 to {layers - 1}"
    if place.dictionary or place.unit is None:
        return ""
    axis = "n_heads" if place.component in HEADS else "d_mlp"
    if place.component not in (*HEADS, "neuron"):
        axis = "d_model"
    width = sizes.get(axis, 0)
    if width and place.unit >= width:
        what = {"n_heads": "heads", "d_mlp": "neurons", "d_model": "channels"}[axis]
        return f"{place}: a layer of this model has {what} 0 to {width - 1}"
    return ""
