"""Changes of a model in words: how strong, at which place, and whether the place exists."""

from collections.abc import Mapping
from typing import Any

from core.figures.wording import MINUS, count, number
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
from core.spec.site import HEADS, NEURONS, STREAM, Site, site

KINDS = ("clamp", "scale", "ablate", "cap", "floor", "patch")


def kind(change: Change) -> str:
    """The word for what a change does: "clamp", "ablate", ..."""
    return type(change).__name__.lower()


def in_words(change: Change) -> str:
    """What is done at the site, short: "= 8", "× 0.5", "ablated to mean"."""
    match change:
        case Clamp(value=value):
            return f"= {number(value)}"
        case Scale(factor=value):
            return f"× {number(value)}"
        case Ablate(to=to):
            return "ablated" if to == "zero" else f"ablated to {to}"
        case Add(coefficient=value, direction=direction):
            return f"+ {number(value)}" + (" × direction" if len(direction) > 1 else "")
        case Limit(low=low, high=high):
            ends = (("≥", low), ("≤", high))
            return " and ".join(f"{sign} {number(end)}" for sign, end in ends if end is not None)
        case Project(center=center, share=share):
            if share != 1.0:
                return f"× {number(1 - share)} along a direction"
            return "without a direction" if center == 0 else f"= {number(center)} along a direction"
        case Erase():
            return "without a concept"
        case Patch(source=source):
            return f"as in “{source[:24]}”"


def detail(change: Change) -> str:
    """What else there is to say of a change without a strength: "to mean", its source."""
    match change:
        case Ablate(to=to):
            return f"to {to}"
        case Project(direction=direction):
            return f"a direction of {len(direction):,} numbers"
        case Erase(left=left):
            return f"{count(len(left), 'direction')} of {len(left[0]):,} numbers"
        case Patch(source=source):
            return source
    return ""


def at_tokens(change: Change) -> str:
    """Where it acts, in words; "" where it acts at every token."""
    match change.where:
        case "":
            return ""
        case "prompt":
            return "prompt only"
        case "generated":
            return "generated tokens only"
    return f"tokens {change.where}"


def named(change: Change) -> str:
    """A change in one line of text: "L3.neuron[812] = 8, prompt only"."""
    where = at_tokens(change)
    return f"{change.site} {in_words(change)}" + (f", {where}" if where else "")


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
    plain: Any = value.replace(MINUS, "-")  # the records read numbers, and say when it is none
    match kind:
        case "scale":
            return Scale(place, plain)
        case "cap":
            return Limit(place, high=plain)
        case "floor":
            return Limit(place, low=plain)
    return Clamp(place, plain)


def narrow(change: Change, sizes: Mapping[str, int]) -> str:
    """Why a direction is of another width than the model's stream, "" when it fits."""
    found = getattr(change, "direction", ()) or next(iter(getattr(change, "left", ())), ())
    width = sizes.get("d_model", 0)
    if change.site.component not in STREAM or len(found) < 2 or not width or len(found) == width:
        return ""
    return f"{change.site}: a direction of {len(found):,} numbers, and the stream has {width:,}"


def misfit(place: Site, sizes: Mapping[str, int]) -> str:
    """Why a model of these sizes has no such place, in one sentence; "" when it has."""
    layers = sizes.get("n_layers", 0)
    if not place.stack and place.layer >= layers:
        return f"{place}: the model has layers 0 to {layers - 1}"
    if place.dictionary or place.unit is None:
        return ""
    axis = "n_heads" if place.component in HEADS else "d_mlp"
    if place.component not in (*HEADS, *NEURONS):
        axis = "d_model"
    width = sizes.get(axis, 0)
    if width and place.unit >= width:
        what = {"n_heads": "heads", "d_mlp": "neurons", "d_model": "channels"}[axis]
        return f"{place}: a layer of this model has {what} 0 to {width - 1}"
    return ""
