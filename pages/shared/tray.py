"""The clamp tray: every change of the model that is asked for, on every page, in one place."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import streamlit as st

from core.figures.wording import number
from core.spec.errors import Error
from core.spec.interventions import Change, Clamp, Scale
from core.spec.request import ask
from core.spec.site import Site
from core.spec.workspace import TrayItem, Workspace
from pages.shared import state
from pages.shared.changes import (
    KINDS,
    detail,
    kind,
    misfit,
    named,
    parse,
    strength,
    with_strength,
)
from pages.shared.held import held
from pages.shared.notices import code
from pages.shared.pickers import card
from pages.shared.popover import popover

REACH = 4.0  # the slider goes from -4 to +4 times the unit
SMALLEST = 1e-6  # a site that never moves further than this has no scale of its own
SHOWN_IN_BAR = 3

SITE_HELP = (
    "A place in the model: L2.neuron[17], L1.head[3], L2.resid_post, L0.mlp_out. "
    "Add @7 for one token only."
)
VALUE_HELP = (
    "clamp, scale: a number. ablate: zero, mean or resample. "
    "patch: the text to take the value from."
)


def add(change: Change, unit: float = 0.0) -> None:
    """Put a change into the tray, switched on; one of its kind at the same site is replaced."""
    work = state.workspace()
    item = TrayItem(change, unit=unit)
    kinds = [(type(old.change), old.change.site) for old in work.tray]
    mine = (type(change), change.site)
    at = kinds.index(mine) if mine in kinds else len(kinds)
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
        st.button(
            "✕",
            key=f"clamp_{index}_remove",
            help="Remove this clamp",
            type="tertiary",
            on_click=_replaced,
            args=(index, place, None),
        )
    value = strength(item.change)
    if value is None:
        st.caption(f"{kind(item.change)}: {code(detail(item.change))}")
    else:
        _strength(index, item, value)
    if problem := _misfit(item.change):
        st.caption(f"Left out. {problem}")


def _strength(index: int, item: TrayItem, value: float) -> None:
    """A slider in units of the site's observed maximum beside the exact number."""
    place = item.change.site
    unit = 1.0 if isinstance(item.change, Scale) else unit_of(item)
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
    match change:
        case Scale():
            return "scale, factor"
        case Clamp() if unit > SMALLEST:
            return f"clamp, {number(value / unit)} × max {number(unit)}"
        case Clamp():
            return "clamp, activation units"
    return "add, × the direction"


def _switch(index: int, place: Site, on: bool) -> None:
    if item := _at(index, place):
        _replaced(index, place, replace(item, on=on))


def _strengthen(index: int, place: Site, unit: float, value: float | None) -> None:
    item = _at(index, place)
    if item and value is not None:
        changed = with_strength(item.change, value * unit)
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
    if item.unit or not isinstance(item.change, Clamp) or _misfit(item.change):
        return item.unit
    place = replace(item.change.site, position=None)
    job = held(ask("scale", state.workspace().models[0], at=str(place)))
    return float(job.result.unit) if job.state == "done" else 0.0


def dose_unit(item: TrayItem) -> float:
    """One step of a dose: the observed maximum, 1 for factors, 0 while it is being measured."""
    if not isinstance(item.change, Clamp):
        return 1.0
    if found := unit_of(item):
        return found
    place = replace(item.change.site, position=None)
    job = held(ask("scale", state.workspace().models[0], at=str(place)))
    return abs(item.change.value) or 1.0 if job.finished else 0.0


def _misfit(change: Change) -> str:
    found = card(state.workspace().models[0])
    return misfit(change.site, found.sizes) if found else ""


def active() -> tuple[Change, ...]:
    """The changes that are switched on and that model A has a place for."""
    return tuple(change for change in state.workspace().active() if not _misfit(change))


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
