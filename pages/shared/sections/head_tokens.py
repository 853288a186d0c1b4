"""What one head reads and writes by its weights: tokens it answers to, pairs it looks for."""

import html
from collections.abc import Iterable
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from core.figures import head_ovqk as drawing
from core.figures import head_successor as successor
from core.figures.wording import number, visible
from core.results.head_ovqk import HeadOvqk
from core.results.head_successor import HeadSuccessor
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.panels import answer, panel
from pages.shared.sections.begun import begun
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import View, as_code

HELP = (
    "From the weights alone. Left: for a token it looks at, the tokens that the head then raises "
    "and lowers most, in standard deviations over the vocabulary; chance is what 99 % of random "
    "directions stay below. Right: pairs of tokens whose query and key fit best, beyond what all "
    "keys have in common. Below: how many channels it writes through, and how its strongest pair "
    "depends on the distance. What the weights could do says nothing about whether they do it on "
    "your text: see what it causes."
)
COUNTS = (
    "A successor head turns an item of an ordered list into the next one: Monday into Tuesday. "
    "Every item goes through the head's output matrices; the next item should be raised most. For "
    "models with numbers as single tokens, the last digit is exchanged in front of the head too: "
    "does what it says follow? Controls: other heads, random weights, random directions."
)
LISTS = {"items": "a list", "digits": "last digits"}
K, SHOWN, CHANNELS = 10, 6, 5


def question(view: View, site: Site) -> Request:
    words = state.workspace().choice("source").strip()
    options: dict[str, Any] = {"token": words} if words else {}
    return ask(
        "head_ovqk", view.model, layer=site.layer, head=site.unit, k=K, seed=view.seed,
        stack=view.stack, **options, **view.against,
    )  # fmt: skip


def source(label: str) -> None:
    """The tokens a head is asked about."""
    state.field(
        st.text_input, label, key="source", value=state.workspace().choice("source"),
        then=partial(state.choose, "source"), width=420,
        placeholder="empty: those it writes most for   ·   cat, dog",
    )  # fmt: skip


def draw(view: View, site: Site, causes: str, grace: float) -> None:
    """Tables of tokens, and two curves; `causes` is what the head does on the prompt."""
    source("Tokens it looks at")
    request = question(view, site)
    found = answer(request, key="ovqk", grace=grace, height=320)
    if not isinstance(found, HeadOvqk):
        return
    with framed(f"What {site} reads and writes", HELP, key="ovqk", shows=causes):
        left, right = sides.columns([11, 10], gap="medium")
        with left:
            st.html(written(found))
        with right:
            st.html(_pairs(found) + _channels(found))
        for place, show in zip(sides.columns(2, gap="medium"), drawing.SHOWN, strict=True):
            with place:
                st.caption(drawing.title(found, show))
                fig = drawn(drawing.figure, found, show=show)
                pickable_chart(fig, key=f"ovqk_{show}", label=f"{site}: {show}", on_pick=None)
        foot(found, drawing.caption(found), key="ovqk", python=as_code(request))
    _counts(view, site, grace)


def _counts(view: View, site: Site, grace: float) -> None:
    """Ordered lists through the head, once it is begun."""
    options: dict[str, Any] = {"layer": site.layer, "head": site.unit, "stack": view.stack}
    request = ask("head_successor", view.model, seed=view.seed, **options, **view.against)
    found = begun(request, key="successor", label="Try it on a list", teach=COUNTS, grace=grace)
    if not isinstance(found, HeadSuccessor):
        return
    shown = state.chosen(
        st.segmented_control, "Shown as", list(LISTS), name="shown",
        format_func=LISTS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    told = successor.digits_caption(found) if shown == "digits" else successor.caption(found)
    panel(
        found,
        drawn(successor.figure, found, view=shown),
        key="successor",
        title="Does it count on?",
        help=COUNTS,
        caption=told,
        python=as_code(request),
    )


def written(found: HeadOvqk) -> str:
    """The table of what it writes for each token, as harmless HTML."""
    rows = (
        f"<tr><th>{_tokens(found, [source])}</th>"
        f"<td>{_tokens(found, found.ov['top_ids'][row], found.ov['top_z'][row])}</td>"
        f"<td>{_tokens(found, found.ov['bottom_ids'][row], found.ov['bottom_z'][row])}</td>"
        f"<td>{int(found.ov['own_rank'][row]):,}</td><td>{number(found.ov['norm'][row])}</td></tr>"
        for row, source in enumerate(found.source_ids.tolist())
    )
    chance = number(found.null_z)
    return _table(
        f"Writes (chance |z| {chance})", ("looks at", "raises", "lowers", "itself", "size"), rows
    )


def _pairs(found: HeadOvqk) -> str:
    pairs = found.pairs
    rows = (
        f"<tr><td>{_tokens(found, [query])}</td><td>{_tokens(found, [key])}</td>"
        f"<td>{number(z, sign=True)}</td></tr>"
        for query, key, z in zip(
            pairs["query_ids"][:SHOWN], pairs["key_ids"][:SHOWN], pairs["z"][:SHOWN], strict=True
        )
    )
    chance = number(found.pair_random_z)
    return _table(f"Looks for (random weights z {chance})", ("query", "key", "z"), rows)


def _channels(found: HeadOvqk) -> str:
    part = found.channels
    rows = (
        f"<tr><td>{row + 1}</td><td>{number(found.spectrum[row])} "
        f"({number(found.control_spectrum[row])})</td>"
        f"<td>{_tokens(found, part['read_top_ids'][row], part['read_top_z'][row])}</td>"
        f"<td>{_tokens(found, part['write_top_ids'][row], part['write_top_z'][row])}</td></tr>"
        for row in range(min(CHANNELS, len(part["read_top_ids"])))
    )
    return _table("Channels, strongest first", ("", "strength (random)", "reads", "writes"), rows)


def _table(title: str, names: Iterable[str], rows: Iterable[str]) -> str:
    head = "".join(f"<th>{name}</th>" for name in names)
    return (
        f'<div class="eido-strong">{title}</div><div class="eido-scroll">'
        f'<table class="eido-effects"><tr>{head}</tr>{"".join(rows)}</table></div>'
    )


def _tokens(found: HeadOvqk, ids: Iterable[int], z: np.ndarray | None = None) -> str:
    """The first pieces as code, their z in the tip; every text is escaped."""
    some = list(ids)[:SHOWN]
    told = [""] * len(some) if z is None else [f' title="z {number(v, sign=True)}"' for v in z]
    return " ".join(
        f"<code{tip}>{html.escape(visible(piece, 12), quote=True)}</code>"
        for piece, tip in zip(found.read(some), told, strict=False)
    )
