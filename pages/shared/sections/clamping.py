"""The clamp panel: what can be done to one unit, how strongly, and what that causes.

The same for neurons, heads, features and directions.
"""

import math
from dataclasses import dataclass, replace

import streamlit as st

from core.figures.wording import number
from core.results.scale import ScaleResult
from core.spec.drafts import FACTORS, KINDS, VALUES, Size, kinds, make, sweepable, value_of
from core.spec.errors import Error
from core.spec.interventions import Change, as_python
from core.spec.request import Request, ask
from core.spec.site import HEADS, NEURONS, Component, Site
from core.spec.where import canonical
from pages.shared import sides, state, tray
from pages.shared.changes import named
from pages.shared.held import held
from pages.shared.notices import code
from pages.shared.panels import asked
from pages.shared.sections import dosing, effects
from pages.shared.sections.framed import framed
from pages.shared.sections.view import PREDICTIONS, View
from pages.shared.where import where

MEASURING = "working: measuring how large its values get on the reference text"
REACH = 4.0  # the slider goes from -4 to +4 steps
HELP = (
    "Set, add to, multiply, ablate or limit this unit. Strengths are counted in the 99.9th "
    "percentile of its size on the reference text; the shaded part of the line is what that text "
    "itself shows, everything else is off-distribution. Below: how the answer responds to the "
    "strength, and what ablating, activating and suppressing the unit cause, each beside random "
    "changes of equal size. Nothing acts on other views until it is put into the tray."
)
PARTS = {"neuron": "product", "up": "up", "gate": "gate"}
ABOUT_PARTS = {
    "neuron": "Active: the product act(gate) × up, what the MLP's output matrix reads. The "
    "reliable place: what is set here is what is written.",
    "up": "Active: up. What is set here is multiplied by the gate, which may be shut: the effect "
    "still depends on the token. The product is the reliable place.",
    "gate": "Active: the gate before its nonlinearity. What is set here multiplies up, whose sign "
    "and size depend on the token. The product is the reliable place.",
}
UNGATED = {"neuron": "neuron", "up": "before act"}
ABOUT_UNGATED = {
    "neuron": "Active: the neuron itself, what the MLP's output matrix reads.",
    "up": "Active: the neuron before its nonlinearity, which may swallow what is set here.",
}


@dataclass(frozen=True, slots=True)
class Draft:
    """A unit as the panel has it: the place, the change being made, and how large values get."""

    place: Site
    direction: tuple[float, ...]
    kind: str
    change: Change
    size: Size


def draft(view: View, unit: Site, direction: tuple[float, ...] = ()) -> Draft:
    """What the panel's choices mean for this unit; a choice it has not becomes the first it has."""
    work = state.workspace()
    place = _at_part(view, unit, work.choice("part"))
    able = kinds(place, direction)
    kind = work.choice("kind") if work.choice("kind") in able else able[0]
    size = _size(view, place, direction)
    value = size.value(kind, _times(work.choice("times")))
    tokens = _tokens(work.choice("where"))
    change = make(kind, place, value, where=tokens, direction=direction, mean=size.mean)
    return Draft(place, direction, kind, change, size)


def questions(view: View, unit: Site, direction: tuple[float, ...] = ()) -> dict[str, Request]:
    """What `draw` will ask, by key, for those who ask ahead."""
    one = draft(view, unit, direction)
    if view.missing(PREDICTIONS):
        return {}
    found = {"effects": _effects_question(view, one)}
    # The strength a sweep is asked with is a step, which has to be known.
    return found | ({"unit_dose": _dose_question(view, one)[0]} if one.size.known else {})


def draw(view: View, unit: Site, grace: float, *, direction: tuple[float, ...] = ()) -> None:
    """The panel of one unit: a neuron, head or feature, or a direction at a stream site."""
    one = draft(view, unit, direction)
    with framed(
        f"Clamp {unit}" + (" along a direction" if direction else ""), HELP, key="clamping"
    ):
        _choices(view, unit, one)
        if one.kind in (*FACTORS, *VALUES):
            _strength(one)
        _hand_over(one)
    if why := view.missing(PREDICTIONS):
        st.caption(why)
        return
    for key, request in questions(view, unit, direction).items():
        asked().ask(key, request)
    left, right = sides.columns(2, gap="medium")
    with right:
        effects.draw(_effects_question(view, one), key="effects", grace=grace)
    with left:
        if not one.size.known:
            st.caption(MEASURING)
            return
        request, swept = _dose_question(view, one)
        use = _use_direction if one.direction and swept == "project" else _use(one, swept)
        dosing.draw(request, _swept_change(one, swept), key="unit_dose", grace=grace, use=use)


def _at_part(view: View, unit: Site, part: str) -> Site:
    if unit.component not in NEURONS or unit.dictionary:
        return unit
    able = _parts(view)
    component: Component = part if part in able else "neuron"  # type: ignore[assignment]
    return replace(unit, component=component)


def _parts(view: View) -> dict[str, str]:
    """Where a neuron of this model can be taken hold of, with the words for it."""
    if view.missing("up and gate of single neurons"):
        return {"neuron": "neuron"}
    return UNGATED if view.missing("gates of neurons") else PARTS


def _size(view: View, place: Site, direction: tuple[float, ...]) -> Size:
    """How large its values get; a step of 1 for heads, and while that is being measured."""
    if place.component in HEADS:
        return Size()
    options = {"direction": direction} if direction else {}
    job = held(ask("scale", view.model, at=str(place), **options))  # type: ignore[arg-type]
    found = job.result if job.state == "done" else None
    if not isinstance(found, ScaleResult):
        return Size(length=math.hypot(*direction), known=job.finished)
    return Size(
        step=found.p999 or 1.0,
        low=found.low,
        high=found.high,
        mean=found.mean,
        largest=found.unit,
        length=math.hypot(*direction),
    )


def _times(text: str) -> float:
    try:
        times = float(text)
    except ValueError:
        return 1.0
    return times if math.isfinite(times) else 1.0


def _tokens(text: str) -> str:
    try:
        return canonical(text)
    except Error:
        return ""


def _choices(view: View, unit: Site, one: Draft) -> None:
    """What is done, where a neuron is taken hold of, and at which tokens."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        state.field(
            st.selectbox, "Do", list(kinds(one.place, one.direction)), key="clamping_kind",
            value=one.kind, then=lambda kind: state.choose("kind", kind),
            format_func=KINDS.__getitem__, width=210,
        )  # fmt: skip
        parts = _parts(view)
        neuron = unit.component in NEURONS and not unit.dictionary
        if neuron and len(parts) > 1:
            state.field(
                st.selectbox, "Take hold of", list(parts), key="clamping_part",
                value=one.place.component, then=lambda part: state.choose("part", part),
                format_func=parts.__getitem__, width=130,
            )  # fmt: skip
        where(
            one.change.where, lambda text: state.choose("where", text),
            key="clamping", token=view.token,
        )  # fmt: skip
    if neuron and len(parts) > 1:
        about = ABOUT_PARTS if parts is PARTS else ABOUT_UNGATED
        st.caption(about[one.place.component])


def _strength(one: Draft) -> None:
    """A slider in steps, the natural range below it, and the exact number."""
    value = value_of(one.change)
    value = 1.0 if value is None else value  # a factor of 1 along a direction changes nothing
    times = one.size.times(one.kind, value)
    left, right = st.columns([4, 1], gap="small", vertical_alignment="top")
    with left:
        state.field(
            st.slider, "Strength", -REACH, REACH, key="clamping_times",
            value=min(REACH, max(-REACH, times)), then=lambda to: state.choose("times", f"{to:g}"),
            step=0.1, format="%.1f×", label_visibility="collapsed",
        )  # fmt: skip
        if natural := one.size.natural(one.kind):
            st.html(_line(natural, times))
        st.caption(_strength_words(one, times))
    with right:
        state.field(
            st.number_input, "Exact value", key="clamping_value", value=value, format="%.4g",
            then=lambda to: _exactly(one, to), label_visibility="collapsed",
        )  # fmt: skip


def _exactly(one: Draft, value: float | None) -> None:
    if value is not None:
        state.choose("times", f"{one.size.times(one.kind, value):.6g}")


def _line(natural: tuple[float, float], times: float) -> str:
    """The slider's line again: the natural range shaded, the strength a mark."""
    low, high, at = (50 + 50 * max(-REACH, min(REACH, stop)) / REACH for stop in (*natural, times))
    return (
        '<div class="eido-range" role="img" aria-label="natural range">'
        f'<span style="left:{low:.2f}%;width:{max(0.5, high - low):.2f}%"></span>'
        f'<i style="left:{at:.2f}%"></i></div>'
    )


def _strength_words(one: Draft, times: float) -> str:
    if one.kind in FACTORS:
        return "a factor: 0 removes it, 1 changes nothing, −1 turns it round"
    natural = one.size.natural(one.kind)
    if natural is None:
        return MEASURING
    low, high = (number(stop, sign=True) for stop in natural)
    outside = not natural[0] <= times <= natural[1]
    mark = " · **off-distribution**" if outside else ""
    return (
        f"{number(times, sign=True)} × {number(one.size.step)} (99.9th percentile; largest "
        f"{number(one.size.largest)}) · natural range {low} to {high}{mark}"
    )


def _hand_over(one: Draft) -> None:
    """The change in words, and the way into the tray: once, in A's column."""
    if not sides.first():
        st.markdown(code(named(one.change)), help=_python(one.change))
        return
    mine = [
        item.change
        for item in state.workspace().tray
        if item.on and item.change.site == one.place and type(item.change) is type(one.change)
    ]
    label = "in the tray" if one.change in mine else "update the tray" if mine else "put in tray"
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(code(named(one.change)), width="stretch", help=_python(one.change))
        st.button(
            label, key="clamping_add", type="primary", disabled=label == "in the tray",
            help="The tray acts on every view and page; undo with u",
            on_click=state.attempt, args=(tray.add, one.change, _tray_unit(one)),
        )  # fmt: skip


def _python(change: Change) -> str:
    line = as_python(change)
    return code(line, 120)


def _tray_unit(one: Draft) -> float:
    """What the tray's slider counts in: the observed maximum; of added directions one step."""
    if one.direction:
        return one.size.step / one.size.length if one.kind in ("add", "turn") else one.size.step
    return one.size.largest if one.kind in VALUES else 0.0


def _others(view: View, one: Draft) -> tuple[Change, ...]:
    """The clamps that stay as they are: all but those of this unit."""

    def own(place: Site) -> bool:
        same = replace(place, position=None, component=one.place.component) == one.place
        alike = {place.component, one.place.component} <= set(NEURONS)
        return same and (alike or place.component == one.place.component)

    return tuple(change for change in view.changes if not own(change.site))


def _swept_change(one: Draft, swept: str) -> Change:
    if swept == one.kind:
        return one.change
    where_, value = one.change.where, one.size.value(swept, 0.0)
    return make(swept, one.place, value, where=where_, direction=one.direction)


def _dose_question(view: View, one: Draft) -> tuple[Request, str]:
    """The sweep of what is being done, or of the nearest that has a strength; and that kind."""
    swept = sweepable(one.kind, one.place, one.direction)
    others = _others(view, one)
    step = one.size.value(swept, 1.0) if swept in VALUES else 0.0
    changes = (*others, _swept_change(one, swept))
    return dosing.question(view, changes, len(others), step), swept


def _use(one: Draft, swept: str):  # type: ignore[no-untyped-def]
    def use(value: float) -> None:
        state.choose("kind", swept)
        state.choose("times", f"{one.size.times(swept, value):.6g}")

    return use


def _use_direction(share: float) -> None:
    state.choose("kind", "scale")
    state.choose("times", f"{1 - share:.6g}")


def _effects_question(view: View, one: Draft) -> Request:
    options = {"direction": one.direction} if one.direction else {}
    if one.change.where:
        options["where"] = one.change.where  # type: ignore[assignment]
    return ask(
        "unit_effect", view.model, view.prompt, interventions=_others(view, one),
        at=str(one.place), seed=view.seed, **view.position, **options,
    )  # fmt: skip
