"""The clamp tray: every change of the model that is asked for, on every page, in one place."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from core.figures.wording import number
from core.results.dictionaries import Dictionaries
from core.spec.drafts import KINDS as DRAFTS
from core.spec.drafts import VALUES, at_value, fixed, kind_of, kinds, remade, value_of
from core.spec.errors import Error
from core.spec.interventions import Add, Change, Clamp, Limit, Scale
from core.spec.request import ModelRef, ask
from core.spec.site import Site
from core.spec.workspace import TrayItem, Workspace
from pages.shared import sides, state
from pages.shared.changes import KINDS, at_tokens, detail, kind, misfit, named, narrow, parse
from pages.shared.held import held
from pages.shared.notices import code, sentence
from pages.shared.pickers import card
from pages.shared.popover import popover
from pages.shared.where import where

SET_ASIDE = (
    "Clamps are on; what this page shows is about the models without them. Steer, Heads, Neurons "
    "and Features show what they change."
)
REACH = 4.0  # the slider goes from -4 to +4 times the unit
SMALLEST = 1e-6  # a site that never moves further than this has no scale of its own
SHOWN_IN_BAR = 3

SITE_HELP = (
    "A place in the model: L2.neuron[17], L1.head[3], L2.resid_post, L0.mlp_out. "
    "Add @7 for one token only."
)
VALUE_HELP = (
    "clamp, scale, cap, floor: a number. ablate: zero, mean or resample. "
    "patch: the text to take the value from."
)


def add(change: Change, unit: float = 0.0) -> None:
    """Put a change into the tray, switched on; one of its kind at the same site is replaced."""
    work = state.workspace()
    item = TrayItem(change, unit=unit)
    held = [(type(old.change), kind_of(old.change), old.change.site) for old in work.tray]
    mine = (type(change), kind_of(change), change.site)
    at = held.index(mine) if mine in held else len(held)
    state.set_workspace(work.with_tray((*work.tray[:at], item, *work.tray[at + 1 :])))


def draw() -> None:
    """The tray in the sidebar."""
    work = state.workspace()
    with st.container(horizontal=True, vertical_alignment="center", gap=None, key="tray_head"):
        st.markdown(f"**Clamps** ({len(work.tray)})", width="stretch")
        _buttons(work, "tray")
    if not work.tray:
        st.caption("None. Click + on a neuron, or add one by its name.")
    for index, item in enumerate(work.tray):
        with st.container(border=True, gap="xsmall", key=f"clamp_{index}"):
            _item(index, item)
    popover("+ add by name", _add_form, key="clamp_add", width="stretch")


def bar() -> None:
    """The tray in one line at the top of the page, for narrow windows where the sidebar is shut."""
    work = state.workspace()
    with st.container(
        horizontal=True, vertical_alignment="center", gap="small", border=True, key="tray_bar"
    ):
        names = [code(named(change)) for change in work.active()]
        more = f" and {len(names) - SHOWN_IN_BAR} more" if len(names) > SHOWN_IN_BAR else ""
        listed = " · ".join(names[:SHOWN_IN_BAR]) + more
        st.markdown(f"**Clamps** ({len(work.tray)}) {listed or 'none on'}", width="stretch")
        _buttons(work, "bar")


def _buttons(work: Workspace, key: str) -> None:
    """Undo, redo, all off or on, clear. The keys u and Shift+u belong to the sidebar's pair."""
    any_on = bool(work.active())
    first = key == "tray"
    for name, label, help_, step, usable, shortcut in (
        ("undo", "↶", "Undo the last change of the clamps", Workspace.undo, work.past, "u"),
        ("redo", "↷", "Redo", Workspace.redo, work.future, "Shift+u"),
        ("off", "off" if any_on or not work.tray else "on", "Switch all clamps off, or on again",
         _all_switched, work.tray, None),
        ("clear", "clear", "Remove all clamps; undo brings them back",
         _cleared, work.tray, None),
    ):  # fmt: skip
        st.button(
            label,
            key=f"{key}_{name}",
            help=help_,
            type="tertiary",
            disabled=not usable,
            shortcut=shortcut if first else None,
            on_click=_step,
            args=(step,),
        )


def _step(step: Callable[[Workspace], Workspace]) -> None:
    state.set_workspace(step(state.workspace()))


def _all_switched(work: Workspace) -> Workspace:
    on = not work.active()
    return work.with_tray(tuple(replace(item, on=on) for item in work.tray))


def _cleared(work: Workspace) -> Workspace:
    return work.with_tray(())


def _item(index: int, item: TrayItem) -> None:
    """One line: what and where, on or off, remove; below it how strong."""
    place = item.change.site
    with st.container(
        horizontal=True, vertical_alignment="center", horizontal_alignment="distribute", wrap=False
    ):
        state.field(
            st.toggle,
            code(str(place)),
            key=f"clamp_{index}_on",
            value=item.on,
            then=partial(_switch, index, place),
        )
        popover("edit", _editor, index, item, key=f"clamp_{index}_edit", type="tertiary")
        st.button(
            "✕",
            key=f"clamp_{index}_remove",
            help="Remove this clamp",
            type="tertiary",
            on_click=_replaced,
            args=(index, place, None),
        )
    value = value_of(item.change)
    if value is None:
        tokens = at_tokens(item.change)
        words = f"{kind(item.change)}: {code(detail(item.change))}"
        st.caption(words + (f" · {tokens}" if tokens else ""))
    else:
        _strength(index, item, value)
    if problem := _misfit(item.change):
        st.caption(f"Left out. {problem}")


def _strength(index: int, item: TrayItem, value: float) -> None:
    """A slider in units of the site's observed maximum beside the exact number."""
    place = item.change.site
    unit = unit_of(item) if kind_of(item.change) in VALUES else 1.0
    if unit > SMALLEST:
        state.field(
            st.slider,
            f"{place} in multiples",
            -REACH,
            REACH,
            key=f"clamp_{index}_times",
            value=min(REACH, max(-REACH, value / unit)),
            then=partial(_strengthen, index, place, unit),
            step=0.05,
            format="%.2f×",
            label_visibility="collapsed",
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="small", wrap=False):
        state.field(
            st.number_input,
            f"{place} exact value",
            key=f"clamp_{index}_value",
            value=value,
            then=partial(_strengthen, index, place, 1.0),
            width=105,
            step=round(unit / 10, 4) if unit > 1e-3 else 0.1,
            format="%.4g",
            label_visibility="collapsed",
        )
        st.caption(_scale_words(item.change, value, unit))


def _scale_words(change: Change, value: float, unit: float) -> str:
    tokens = at_tokens(change)
    return _unit_words(change, value, unit) + (f" · {tokens}" if tokens else "")


def _unit_words(change: Change, value: float, unit: float) -> str:
    word = kind(change)
    if isinstance(change, Limit):
        word = kind_of(change) or word
    match change:
        case Scale():
            return "scale, factor"
        case Clamp() | Limit(direction=()) if unit > SMALLEST:
            return f"{word}, {number(value / unit)} × max {number(unit)}"
        case Clamp() | Limit():
            return f"{word}, activation units"
        case Add() if unit > SMALLEST:
            return f"{word}, {number(value / unit)} × {number(unit)}"
        case Add():
            return "add, × the direction"
    return "factor along the direction"


def _editor(index: int, item: TrayItem) -> None:
    """What is done there, and at which tokens; drawn while its popover is open."""
    change = item.change
    able = kinds(change.site, _direction(change))
    if not fixed(change) and kind_of(change) in able:
        state.field(
            st.selectbox, "Kind", list(able), key=f"clamp_{index}_kind", value=kind_of(change),
            then=partial(_rekind, index, change.site), format_func=DRAFTS.__getitem__,
        )  # fmt: skip
    if change.site.position is not None:
        st.caption(f"It acts at token {change.site.position}, which its name says.")
        return
    chosen = state.workspace().selection.token or 0
    where(change.where, partial(_move, index, change.site), key=f"clamp_{index}", token=chosen)


def _direction(change: Change) -> tuple[float, ...]:
    found: tuple[float, ...] = getattr(change, "direction", ())
    return found if len(found) > 1 else ()


def _rekind(index: int, place: Site, name: str) -> None:
    """Another kind at the same place; what has no value yet gets the unit, or the factor 0."""
    if item := _at(index, place):
        old = value_of(item.change)
        same = kind_of(item.change) in VALUES and old is not None
        value = old if same else item.unit or 1.0
        value = 0.0 if name == "scale" else value
        changed = remade(item.change, name, float(value or 0.0))
        state.attempt(_replaced, index, place, replace(item, change=changed))


def _move(index: int, place: Site, tokens: str) -> None:
    if item := _at(index, place):
        changed = replace(item.change, where=tokens)
        _replaced(index, place, replace(item, change=changed))


def _switch(index: int, place: Site, on: bool) -> None:
    if item := _at(index, place):
        _replaced(index, place, replace(item, on=on))


def _strengthen(index: int, place: Site, unit: float, value: float | None) -> None:
    if value is not None:
        strengthen(index, place, value * unit)


def strengthen(index: int, place: Site, value: float) -> None:
    """Set the strength of the tray's item number `index`, if it still is at `place`."""
    if item := _at(index, place):
        changed = at_value(item.change, value)
        state.attempt(_replaced, index, place, replace(item, change=changed, on=True))


def _replaced(index: int, place: Site, item: TrayItem | None) -> None:
    """Put `item` in the place of the tray's item number `index`, or nothing."""
    work = state.workspace()
    if _at(index, place):
        kept = () if item is None else (item,)
        state.set_workspace(work.with_tray((*work.tray[:index], *kept, *work.tray[index + 1 :])))


def _at(index: int, place: Site) -> TrayItem | None:
    """The item a widget was drawn for, unless the tray has changed under it."""
    tray = state.workspace().tray
    return tray[index] if index < len(tray) and tray[index].change.site == place else None


def unit_of(item: TrayItem) -> float:
    """The site's observed maximum: the one that came with the click, else asked for; 0 unknown."""
    measured = isinstance(item.change, Clamp | Limit) and not _direction(item.change)
    if item.unit or not measured or _misfit(item.change):
        return item.unit
    place = replace(item.change.site, position=None)
    job = held(ask("scale", state.workspace().models[0], at=str(place)))
    return float(job.result.unit) if job.state == "done" else 0.0


def _misfit(change: Change) -> str:
    model = state.workspace().models[0]
    found = card(model)
    if found is None:
        return ""
    wrong = misfit(change.site, found.sizes) or narrow(change, found.sizes)
    return wrong or _no_dictionary(change.site, model)


def _no_dictionary(place: Site, model: ModelRef) -> str:
    """Why the model has no such feature, once its dictionaries are known."""
    if not place.dictionary:
        return ""
    job = held(ask("dictionaries", model, opened=()))
    found = job.result if job.state == "done" else None
    if not isinstance(found, Dictionaries) or place.dictionary in found.usable():
        return ""
    return f"{place}: the model has no dictionary of this name"


def active() -> tuple[Change, ...]:
    """The changes that are switched on and that the model has a place for.

    A model that stands in a second column stands there without them: clamped beside unclamped.
    """
    if sides.here().again:
        return ()
    return tuple(change for change in state.workspace().active() if not _misfit(change))


def set_aside() -> None:
    """Say that the questions of this page are about the models without the clamps."""
    if state.workspace().active():
        sentence(SET_ASIDE, "info")


def _add_form() -> None:
    with st.form("clamp_form"):
        st.selectbox("Kind", KINDS, key="clamp_kind")
        st.text_input("Site", key="clamp_site", placeholder="L2.neuron[17]", help=SITE_HELP)
        st.text_input("Value", key="clamp_value", placeholder="8", help=VALUE_HELP)
        st.form_submit_button("Add", on_click=state.attempt, args=(_add_typed,))


def _add_typed() -> None:
    typed = (st.session_state[f"clamp_{name}"] for name in ("kind", "site", "value"))
    change = parse(*typed)
    if problem := _misfit(change):
        raise Error(problem)
    add(change)
