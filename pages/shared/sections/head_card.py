"""The card of one head: what it looks at and what it causes, each beside its control."""

import html
import math
from collections.abc import Iterator

import streamlit as st

from core.figures import heads as drawing
from core.figures.head_atlas import Score
from core.figures.wording import number, quoted
from core.results.heads import KINDS, ROLE_NAMES, ROLES, Heads
from core.spec.interventions import Ablate
from core.spec.site import Site
from pages.shared import sides, state, tray
from pages.shared.clicks import pickable_chart
from pages.shared.menu import entry
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.head_map import sample
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import View, as_code

HELP = (
    "Every score of the head beside its control and its rank among all heads. Chance: 99 % of the "
    "heads of the same architecture with untrained weights stay below it. A role is a rule about "
    "where the head looks; the effect on the answer is measured by ablating the head to its mean "
    "over the text. Where the effect is no larger than its control, the head does nothing here, "
    "whatever it looks at."
)
MOST_ROWS = 8


def draw(view: View, atlas: Atlas, at: tuple[int, int]) -> None:
    """Name and buttons; below them effect, roles, scores and how far back it looks."""
    site = Site(at[0], "head", at[1], stack=view.stack)
    with framed(f"{site}", HELP, key="head_card"):
        _buttons(atlas, site)
        if words := causes(atlas, at):
            st.html(f'<div class="eido-line">{html.escape(words)}</div>')
        if atlas.heads:
            st.html(f'<div class="eido-line">{html.escape(_roles(atlas.heads, at))}</div>')
        if heads := atlas.heads:
            st.html(_table(atlas, at))
            _lags(heads, at)
            request = atlas.requests[heads.name]
            foot(
                heads, sample(heads), key="head_card", python=as_code(request), asked_as=heads.name
            )


def causes(atlas: Atlas, at: tuple[int, int]) -> str:
    """What the answer loses without the head, beside the control: to stand by its attention.

    "" while it is not known.
    """
    found = atlas.effect
    if found is None:
        return ""
    score = atlas.scores["effect"]
    repair = float(found.repair[at])
    repaired = f"; {repair:.0%} of it is made good by later layers" if 0 <= repair <= 1 else ""
    small = abs(found.effect[at]) <= abs(found.noise)
    doubt = " No more than a random change does." if small else ""
    return (
        f"Without it log p of {quoted(found.answer)} changes by "
        f"{number(-found.effect[at], sign=True)} nats (control "
        f"{number(-found.control[at], sign=True)}), rank {score.rank(*at)} of "
        f"{score.values.size}; its logit: direct {number(-found.direct[at], sign=True)}, in all "
        f"{number(-found.total[at], sign=True)}{repaired}.{doubt}"
    )


def _roles(found: Heads, at: tuple[int, int]) -> str:
    fits = [name for name, fit in zip(ROLE_NAMES, found.fits[at], strict=True) if fit]
    if not fits:
        return f"Fits no role on {found.source}."
    parts = []
    for name in fits:
        rule = next(r for r in ROLES if r.name == name and r.kind in found.scores)
        score = number(found.scores[rule.kind][at])
        parts.append(f"{name} ({score}; the rule begins at {number(rule.least)})")
    return f"Fits: {', '.join(parts)}; on {found.source}."


def _buttons(atlas: Atlas, site: Site) -> None:
    """Walking, clamping and holding it: once, in A's column."""
    if not sides.first():
        return
    layers, heads = next(iter(atlas.scores.values())).values.shape
    place = site.layer * heads + int(site.unit or 0)
    held = any(change.site == site for change in state.workspace().active())
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key="head_keys"):
        for label, key, to, about in (
            ("‹", "p", (place - 1) % (layers * heads), "The head before (key p)"),
            ("›", "n", (place + 1) % (layers * heads), "The next head (key n)"),
        ):
            st.button(
                label, key=f"head_{key}", help=about, shortcut=key,
                on_click=_select, args=(to // heads, to % heads),
            )  # fmt: skip
        st.button(
            "in the tray" if held else "+ clamp",
            key="head_clamp",
            shortcut="k",
            disabled=held,
            help="Into the clamp tray, replaced by its mean over the text (key k)",
            on_click=state.attempt,
            args=(tray.add, Ablate(site, "mean")),
        )
        st.button(
            "compare",
            key="head_compare",
            shortcut="b",
            help="Hold it as the second head, and choose another beside it (key b)",
            on_click=state.attempt,
            args=(_compare, site),
        )
        st.page_link(
            entry("steer").path, label="open in Steer", icon=entry("steer").icon,
            query_params=state.query(),
        )  # fmt: skip


def _compare(site: Site) -> None:
    """Hold this head; the next one chosen stands beside it."""
    for name, value in (("other", str(site)), ("picks", "head"), ("looked", "compare")):
        state.choose(name, value)


def _select(layer: int, head: int) -> None:
    state.select(layer=layer, head=head)


def _table(atlas: Atlas, at: tuple[int, int]) -> str:
    """The scores in which the head stands out most among all, best rank first."""
    rows = sorted(
        ((score.rank(*at), name, score) for name, score in _attention(atlas, at)),
        key=lambda it: it[0],
    )
    body = "".join(_row(atlas, rank, name, score, at) for rank, name, score in rows[:MOST_ROWS])
    names = ("", "score", "control", "chance", "rank")
    head = "".join(f"<th>{name}</th>" for name in names)
    return (
        f'<div class="eido-scroll"><table class="eido-effects"><tr>{head}</tr>{body}</table></div>'
    )


def _attention(atlas: Atlas, at: tuple[int, int]) -> Iterator[tuple[str, Score]]:
    return (
        (name, score)
        for name, score in atlas.scores.items()
        if name in KINDS and not math.isnan(score.values[at])
    )


def _row(atlas: Atlas, rank: int, name: str, score: Score, at: tuple[int, int]) -> str:
    heads = atlas.heads
    chance = heads.threshold(name) if heads and name in heads.scores else float("nan")
    control = float("nan") if score.control is None else float(score.control[at])
    cells = (number(score.values[at]), _known(control), _known(chance), str(rank))
    words = html.escape(score.words, quote=True)
    return (
        f'<tr><th title="{words}">{html.escape(score.name)}</th>'
        + "".join(f"<td>{cell}</td>" for cell in cells)
        + "</tr>"
    )


def _known(value: float) -> str:
    return "–" if math.isnan(value) else number(value)


def _lags(found: Heads, at: tuple[int, int]) -> None:
    st.caption(drawing.distances_title(found, *at))
    fig = drawn(drawing.distances, found, layer=at[0], head=at[1])
    pickable_chart(fig, key="head_lags", label="Mean attention by distance", on_pick=None)
