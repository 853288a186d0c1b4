"""What a unit causes: ablated, activated and suppressed, each beside random changes."""

import html
from collections.abc import Sequence

import numpy as np
import streamlit as st

from core.figures import unit_effect as drawing
from core.figures.wording import number, visible
from core.results.unit_effect import UnitEffect
from core.spec.request import Request
from pages.shared import sides, state
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import as_code

HELP = (
    "The unit ablated, activated and suppressed, one at a time. Left: how the log-probability of "
    "the most probable tokens changes; the row below each is its control. Right: KL from the clean "
    "run; open circles are the controls. Activating often works better than suppressing, since "
    "other paths carry the same. Direct: what the unit's own write does to the answer's logit if "
    "nothing reacts; total: what happened; self-repair is the share of an ablation that later "
    "layers (and the final norm) make good."
)
ROUNDING = 1e-5  # nats
SHOWN = 4  # tokens raised and lowered that the table lists


def draw(request: Request, *, key: str, grace: float) -> None:
    """The figure, the table of tokens, and how far a change carries."""
    result = answer(request, key=key, grace=grace, height=480)
    if not isinstance(result, UnitEffect):
        return
    panel(
        result,
        drawn(drawing.figure, result),
        key=key,
        title=f"What {result.site} causes",
        help=HELP,
        caption=drawing.caption(result),
        python=as_code(request),
    )
    st.html(_table(result))
    with st.expander(
        "How far it carries", key=sides.key(f"{key}_carried"), on_change="rerun"
    ) as whole:
        if whole.open:
            _carried(result, key)


def _carried(result: UnitEffect, key: str) -> None:
    at = min(int(st.session_state.get("_carried", 0)), len(result.conditions) - 1)
    state.field(
        st.selectbox, "Condition", list(range(len(result.conditions))), key=f"{key}_condition",
        value=at, then=_take, format_func=lambda index: result.conditions[index],
    )  # fmt: skip
    st.plotly_chart(
        drawn(drawing.carried, result, condition=at),
        key=sides.key(f"{key}_layers"),
        alt="size and cosine of the change, by layer",
    )


def _take(index: int) -> None:
    st.session_state["_carried"] = index


def _table(result: UnitEffect) -> str:
    """Conditions in rows; every text in it is escaped."""
    heads = ("", "KL (control)", "direct → total", "self-repair", "raises", "lowers")
    head = "".join(f"<th>{name}</th>" for name in heads)
    rows = "".join(_row(result, index) for index in range(len(result.conditions)))
    return (
        f'<div class="eido-scroll"><table class="eido-effects"><tr>{head}</tr>{rows}</table></div>'
    )


def _row(result: UnitEffect, at: int) -> str:
    chance = result.control_kl[at]
    cells = (
        f"<th>{html.escape(result.conditions[at])}</th>",
        f"<td><b>{_size(result.kl[at])}</b> ({_size(chance.mean())}, at most "
        f"{_size(chance.max())})</td>",
        f"<td>{_signed(result.direct[at])} → {_signed(result.total[at])}</td>",
        f"<td>{_signed(result.repair[at])}</td>",
        f"<td>{_tokens(result.raised[at], result.raised_probability[at])}</td>",
        f"<td>{_tokens(result.lowered[at], result.lowered_probability[at])}</td>",
    )
    return f"<tr>{''.join(cells)}</tr>"


def _size(value: float) -> str:
    """What is smaller than the rounding of two runs in one batch is nothing."""
    return "0" if abs(value) < ROUNDING else number(value)


def _signed(value: float) -> str:
    return "–" if np.isnan(value) else number(value, sign=True)


def _tokens(pieces: Sequence[str], probability: np.ndarray) -> str:
    return " ".join(
        f'<code title="{number(before)} → {number(after)}">'
        f"{html.escape(visible(piece, 12), quote=True)}</code>"
        for piece, (before, after) in zip(pieces[:SHOWN], probability, strict=False)
    )
