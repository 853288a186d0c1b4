"""Heads beside each other: one score against another, and all of them as a table to sort."""

import numpy as np
import pandas as pd
import streamlit as st

from core.figures import head_atlas as drawing
from core.figures.head_atlas import Score
from core.figures.wording import count
from core.results.heads import ROLE_NAMES, ROLES
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.panels import look
from pages.shared.sections import head_map
from pages.shared.sections.framed import framed
from pages.shared.sections.head_scores import ROLE, STAGE, Atlas
from pages.shared.sections.view import View

HEIGHT = 330
PLANE_HELP = (
    "A dot a head, coloured by its role. Across: the score of the map; upwards: the one chosen "
    "here, at first what the head causes. What a head looks at says little about what it causes; "
    "this figure shows how much. Click a dot to select its head."
)


def across(atlas: Atlas, shown: str) -> Score | None:
    """The score of the map; beside roles the first score of what heads look at."""
    if shown in atlas.scores:
        return atlas.scores[shown]
    if shown in (ROLE, STAGE) and atlas.heads:
        return atlas.scores[_commonest(atlas)]
    return None


def _commonest(atlas: Atlas) -> str:
    """The score whose rule the most heads with a role fit; the first score when none does."""
    heads = atlas.heads
    assert heads is not None
    codes, n = np.unique(heads.role[heads.role > 0], return_counts=True)
    names = [ROLE_NAMES[code] for code in codes[np.argsort(-n)].tolist()]
    names.sort(key="broad".__eq__)  # the least telling one only where there is no other
    kinds = [rule.kind for name in names for rule in ROLES if rule.name == name]
    return next((kind for kind in kinds if kind in heads.scores), heads.kinds[0])


def plane(view: View, atlas: Atlas, shown: str, picked: tuple[int, int]) -> None:
    """The scatter of two scores."""
    # A score against itself says nothing.
    one = across(atlas, ROLE if shown == state.workspace().choice("beside") else shown)
    if one is None:
        return
    with framed("One score against another", PLANE_HELP, key="head_plane"):
        name = head_map.choice(view, atlas, name="beside", label="Upwards", role=False)
        if name not in atlas.scores:
            return
        other = atlas.scores[name]
        shape = one.values.shape
        pickable_chart(
            drawing.plane(one, other, look(), role=atlas.role, picked=picked),
            key="head_plane_chart",
            label=drawing.plane_title(one, other),
            grid=False,
            on_pick=lambda index: _pick(shape, index[0]),
        )
        st.caption(
            f"{drawing.plane_title(one, other)}, {count(one.values.size, 'head')}; 0 is no relation"
        )


def _pick(shape: tuple[int, ...], index: int) -> None:
    if 0 <= index < shape[0] * shape[1]:
        head_map.choose((index // shape[1], index % shape[1]))


def table(atlas: Atlas, shown: str) -> None:
    """All heads, the strongest by the score shown first; a chosen row selects its head."""
    first = across(atlas, shown) or next(iter(atlas.scores.values()))
    order = np.argsort(-first.size, axis=None, kind="stable")
    layers, heads = np.unravel_index(order, first.values.shape)
    places = list(zip(layers.tolist(), heads.tolist(), strict=True))
    prefix = "enc." if first.stack else ""
    columns: dict[str, object] = {"head": [f"{prefix}L{at}.head[{n}]" for at, n in places]}
    if atlas.role is not None:
        columns["role"] = [ROLE_NAMES[code] for code in atlas.role[layers, heads].tolist()]
    about: dict[str, str] = {}
    for score in dict.fromkeys((first, *_causes(atlas))):
        columns[score.name] = score.values[layers, heads]
        about[score.name] = f"{score.words} ({score.unit})"
        if score.control is not None:
            columns[f"{score.name}, control"] = score.control[layers, heads]
            about[f"{score.name}, control"] = "the same of the control"

    key = sides.key("head_table")

    def choose() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(places):
            head_map.choose(places[rows[0]])

    st.dataframe(
        pd.DataFrame(columns),
        key=key,
        hide_index=True,
        height=HEIGHT,
        on_select=sides.bound(choose),
        selection_mode="single-row",
        column_config={
            name: st.column_config.NumberColumn(format="%.3g", help=words)
            for name, words in about.items()
        },
    )


def _causes(atlas: Atlas) -> list[Score]:
    return [atlas.scores[name] for name in ("effect", "direct", "total") if name in atlas.scores]
