"""The patterns of all heads on the prompt, each a small picture with its effect beside it."""

import numpy as np
import streamlit as st

from core.figures.wording import count, number, visible
from core.results.head_patterns import HeadPatterns
from core.spec.request import Request
from pages.shared import state
from pages.shared.panels import answer
from pages.shared.sections import head_map
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import View, as_code
from pages.shared.tiles import tiles

HELP = (
    "Each picture is one head: rows are the tokens that look, columns the tokens looked at, darker "
    "is more. Of long texts a cell is the largest weight among several tokens. Point at a picture "
    "to see its strongest pair and what the head causes for the answer; click it to select it."
)
WHOLE, ONE = "all layers", "this layer"
SIDE, SMALL_SIDE, MANY = 48, 24, 400  # cells; smaller pictures where there are many heads


def question(view: View, layer: int | None) -> Request:
    sizes = view.card.sizes if view.card else {}
    heads = sizes.get("n_heads", 1) * (sizes.get("n_layers", 1) if layer is None else 1)
    options = {} if layer is None else {"layer": layer}
    return view.ask("head_patterns", side=SIDE if heads <= MANY else SMALL_SIDE, **options)


def draw(view: View, atlas: Atlas, at: tuple[int, int], grace: float) -> None:
    shown = state.chosen(
        st.segmented_control, "Of", [ONE, WHOLE], name="pictured", label_visibility="collapsed"
    )
    request = question(view, None if shown == WHOLE else at[0])
    found = answer(request, key="tiles", grace=grace, height=260)
    if not isinstance(found, HeadPatterns):
        return
    rows, heads = found.entropy.shape
    order = np.arange(rows)[::-1]  # the last layer on top, as in the map
    places = [(row, head) for row in order.tolist() for head in range(heads)]
    picked = [(int(found.layers[row]), head) for row, head in places]
    with framed("Where all heads look", HELP, key="tiles"):
        tiles(
            found.tiles[order].reshape(rows * heads, *found.tiles.shape[2:]),
            names=[f"{layer}.{head}" for layer, head in picked],
            notes=[_note(found, atlas, row, head) for row, head in places],
            columns=heads if rows > 1 else min(heads, 8),
            key="tiles_pictures",
            label="Patterns of all heads",
            picked=picked.index(at) if at in picked else None,
            on_pick=lambda index: head_map.choose(picked[index]),
        )
        foot(found, _caption(found), key="tiles", python=as_code(request))


def _note(found: HeadPatterns, atlas: Atlas, row: int, head: int) -> str:
    query, key = int(found.strongest_query[row, head]), int(found.strongest_key[row, head])
    pair = (
        f"{query} “{visible(found.tokens[query], 12)}” looks at {key} "
        f"“{visible(found.tokens[key], 12)}” {number(found.strongest[row, head])}"
    )
    words = f"{found.site(row, head)}   {pair}   entropy {number(found.entropy[row, head])} nats"
    if atlas.effect is None:
        return words
    at = int(found.layers[row]), head
    return (
        f"{words}   effect on the answer {number(atlas.effect.effect[at], sign=True)} nats "
        f"(control {number(atlas.effect.control[at], sign=True)})"
    )


def _caption(found: HeadPatterns) -> str:
    cell = f"a cell is {count(found.step, 'token')} wide; " if found.step > 1 else ""
    return (
        f"{cell}control: uniform attention has an entropy of {number(found.uniform_entropy)} nats; "
        f"1 text of {count(len(found.tokens), 'token')}"
    )
