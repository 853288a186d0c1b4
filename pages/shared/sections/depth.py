"""The logit lens, layer by token, and the card of the chosen cell."""

import html

import streamlit as st

from core.figures import lens as drawing
from core.figures.wording import number, visible
from core.results.lens import LensResult
from core.spec.request import Request
from pages.shared import state
from pages.shared.notices import sentence
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import LENS, PREDICTIONS, View, as_code

HELP = (
    "Logit lens: the stream behind each layer, read through the final norm and the unembedding, "
    "as if the model stopped there. A cell shows the layer's first choice for the next token; "
    "the top row is the model's own answer, the bottom row the embedding. Early layers need not "
    "speak the language of the last one: an unsure cell says that the lens cannot read it, not "
    "that the model knows nothing. Click a cell, or use Layer and Token below."
)
COLOURS = {
    "probability": "probability",
    "entropy": "entropy",
    "rank": "rank of the final choice",
    "kl": "KL to the final",
}


def question(view: View) -> Request:
    return view.ask("lens", k=5)


def draw(view: View, grace: float) -> LensResult | None:
    """The grid; returns the answer, for the card of the selected cell."""
    if view.missing(PREDICTIONS):
        return None  # the next-token panel says why
    if why := view.missing(LENS):
        sentence(why, "info")
        return None
    request = question(view)
    result = answer(request, key="lens", grace=grace, height=380)
    if not isinstance(result, LensResult):
        return None
    colour = state.workspace().choice("lens")
    colour = colour if colour in COLOURS else "probability"
    panel(
        result,
        drawn(drawing.figure, result, colour=colour),
        key="lens",
        title="Logit lens",
        help=HELP,
        caption=drawing.caption(result),
        picked=(_layer(result), view.token),
        on_pick=_pick,
        python=as_code(request),
    )
    _inputs(result, view)
    return result


def card(result: LensResult, token: int) -> None:
    """The chosen cell in numbers, with the control."""
    st.html(_card(result, _layer(result), token))


def _layer(result: LensResult) -> int:
    return min(state.workspace().selection.layer, len(result.shown) - 1)


def _pick(cell: object) -> None:
    layer, token = (int(i) for i in cell)  # type: ignore[attr-defined]
    # The embedding's row has no layer of its own; the token is chosen all the same.
    state.select(token=token, **({"layer": layer} if layer >= 0 else {}))


def _inputs(result: LensResult, view: View) -> None:
    """The same choices for those who type, and the colour of the grid."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.bound(
            st.number_input, "Layer", name="selection.layer",
            min_value=0, max_value=len(result.shown) - 1, step=1, width=110,
        )  # fmt: skip
        state.field(
            st.number_input, "Token", key="lens_token", value=view.token, then=_take_token,
            min_value=0, max_value=len(view.tokens) - 1, step=1, width=110,
        )  # fmt: skip
        state.chosen(
            st.selectbox, "Colour", list(COLOURS), name="lens",
            format_func=COLOURS.__getitem__, width=220,
        )  # fmt: skip


def _take_token(token: int) -> None:
    state.select(token=token)


def _card(result: LensResult, layer: int, token: int) -> str:
    """Top tokens and entropy of one cell as HTML; every text in it is escaped."""
    rows = "".join(
        _row(piece, float(p))
        for piece, p in zip(
            result.shown[layer][token], result.top_probability[layer, token], strict=True
        )
    )
    name = html.escape(visible(result.tokens[token], 24), quote=True)
    facts = (
        f"entropy <b>{number(result.entropy[layer, token])}</b> nats "
        f"(random state {number(result.random_entropy[layer, token])})<br>"
        f"final choice: rank <b>{int(result.final_rank[layer, token])}</b>, "
        f"probability <b>{number(result.final_probability[layer, token])}</b> "
        f"(random state {number(result.random_final_probability[layer, token])})<br>"
        f"KL to the final answer <b>{number(result.kl[layer, token])}</b> nats"
    )
    return (
        f'<div class="eido-card"><div class="eido-card-head">L{layer}.resid_post@{token} behind '
        f"<code>{name}</code></div>"
        f'<div class="eido-card-body"><table class="eido-bars">{rows}</table>'
        f'<div class="eido-facts">{facts}</div></div></div>'
    )


def _row(piece: str, probability: float) -> str:
    shown = html.escape(visible(piece, 24), quote=True)
    width = round(100 * probability, 1)
    return (
        f"<tr><td><code>{shown}</code></td><td class=eido-num>{number(probability)}</td>"
        f'<td class="eido-track"><span style="width:{width}%"></span></td></tr>'
    )
