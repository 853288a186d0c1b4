"""From a direction of the geometry page into the clamps, on every page."""

import streamlit as st

from core.figures.wording import number
from core.results.concept_push import ConceptPush
from core.spec.interventions import Add, Change, Project
from core.spec.site import Site
from pages.shared import sides, state, tray

MOST = 8.0


def into_tray(found: ConceptPush) -> None:
    """Push the chosen contrast by some nats of its own pairs, or take it out of the stream."""
    nats = _nats()
    change = found.change(found.concept, nats)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.slider, "Push (nats of its own pairs)", -MOST, MOST, key="nats", value=nats,
            step=0.5, width=260, then=lambda value: state.choose("nats", f"{value:g}"),
        )  # fmt: skip
        # Taking out what writes a contrast does not erase what reads it: only the push is offered.
        offer(change, float(found.mean_norm[0]), out=False)
    share = abs(change.coefficient) / float(found.mean_norm[0])
    st.caption(
        f"At {found.site}: {number(share)} mean lengths of the stream. What the run above does "
        "with it is what the clamp will do."
    )


def along(site: Site, vector: tuple[float, ...], unit: float, *, name: str) -> None:
    """Push the stream along a direction by a quarter of its mean length, or take it out."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Steer with {name}")
        offer(Add(site, vector, float(f"{0.25 * unit:.6g}")), unit)


def offer(change: Add, unit: float, *, out: bool = True) -> None:
    """The buttons "+ push" and, where it makes sense, "+ take out" of a direction."""
    removal = Project(change.site, change.direction)
    for label, one, help_ in (
        ("+ push", change, "Add the direction at every token; it goes into the clamps."),
        ("+ take out", removal, "Project the direction out at this layer."),
    )[: 2 if out else 1]:
        st.button(
            label, key=sides.key(f"geometry_{label[2:]}"), help=help_,
            on_click=state.attempt, args=(_add, one, unit),
        )  # fmt: skip


def _add(change: Change, unit: float) -> None:
    tray.add(change, unit if isinstance(change, Add) else 0.0)


def _nats() -> float:
    try:
        return min(MOST, max(-MOST, float(state.workspace().choice("nats"))))
    except ValueError:
        return 2.0
