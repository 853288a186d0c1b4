"""The direction of a layer's probe, towards one class: into the clamps, and on to Directions."""

import numpy as np
import streamlit as st

from core.figures.wording import number
from core.results.depth import Depth
from core.results.direction import short
from core.results.directions_file import Directions
from core.spec.concept import MAX_TEXTS, Concept
from core.spec.errors import Error
from core.spec.interventions import Add, Project
from core.spec.site import site
from pages.shared import state, tray
from pages.shared.menu import entry
from pages.shared.notices import sentence, shown_text, small
from pages.shared.sections import direction_files
from pages.shared.sections.labelled import Given

PUSH = "Add the direction at every token, as far as the means of the classes lie apart."
OUT = "Project the probe's direction out of the stream at this layer; into the clamps."
TEXTS = "A direction from the same texts: push along it, take it out, erase it."
PROBE = "The probe's own directions of all layers, as if opened from a file."


def chosen(found: Depth) -> int:
    """The class that directions lead to: the chosen one, else the last."""
    last = len(found.classes) - 1
    name = state.workspace().choice("towards")
    return found.classes.index(name) if last > 1 and name in found.classes else last


def draw(found: Depth, layer: int, towards: int, given: Given) -> None:
    """Which class, into the clamps, or on to the page of directions."""
    if len(found.classes) > 2:
        state.field(
            st.selectbox, "Towards", list(found.classes), key="depth_towards",
            value=found.classes[towards], then=lambda name: state.choose("towards", str(name)),
            format_func=lambda name: f"{shown_text(name, 40)}, not the others", width=320,
        )  # fmt: skip
    vector, gap = tuple(short(found.against(layer, towards))), found.gap(layer, towards)
    place, none = site(found.site(layer)), not np.any(vector)
    strength = float(f"{gap:.6g}") if np.isfinite(gap) else 0.0
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "+ push", key="depth_push", on_click=state.attempt, disabled=none or not strength,
            args=(tray.add, Add(place, vector, strength), abs(strength)), help=PUSH,
        )  # fmt: skip
        st.button(
            "+ take out", key="depth_take_out", on_click=state.attempt, disabled=none,
            args=(tray.add, Project(place, vector)), help=OUT,
        )  # fmt: skip
        texts = st.button(
            "texts in Directions", key="depth_directions", icon=entry("directions").icon, help=TEXTS
        )
        probe = st.button(
            "probe in Directions", key="depth_probe_directions", icon=entry("directions").icon,
            help=PROBE,
        )  # fmt: skip
    st.html(
        small(
            f"towards {shown_text(found.classes[towards], 40)}: the class means lie "
            f"{number(gap)} units of the stream apart along it",
            quiet=True,
        )
    )
    if texts or probe:
        _go(found, layer, towards, given, probe)


def _go(found: Depth, layer: int, towards: int, given: Given, probe: bool) -> None:
    """Over to the page of directions, or why its concepts cannot hold these texts."""
    try:
        _carry(layer, towards, given)
    except Error as fault:
        sentence(str(fault))
        return
    if probe:
        direction_files.hand(_directions(found, towards))
    st.switch_page(entry("directions").path, query_params=state.query())


def _directions(found: Depth, towards: int) -> Directions:
    """Row l belongs to what leaves layer l; the embedding's probe is left out."""
    rows = range(1, found.n_layers + 1)
    weights = np.stack([found.against(layer, towards) for layer in rows]).astype("float32")
    name = f"{found.concept}: {found.classes[towards]}"
    about = {"concept": name, "method": f"{found.probe} probe of Depth"}
    return Directions(weights, np.zeros(len(weights), "float32"), about)


def _carry(layer: int, towards: int, given: Given) -> None:
    """The class against the others as the concept of the page of directions."""
    work, one = state.workspace(), given.one
    if one is not None:
        sides = [
            tuple(dict.fromkeys(
                text for text, own in zip(one.texts, one.labels, strict=True)
                if (own == towards) == inside
            ))[:MAX_TEXTS]
            for inside in (True, False)
        ]  # fmt: skip
        both = set(sides[0]) & set(sides[1])
        up, down = (tuple(text for text in side if text not in both) for side in sides)
        other = one.classes[1 - towards] if len(one.classes) == 2 else "the others"
        state.change(own=Concept(f"{one.classes[towards]}, not {other}"[:100], up, down))
        work = state.workspace().with_choice("concept", "")
    state.set_workspace(work.with_choice("at", str(max(0, layer - 1))))
