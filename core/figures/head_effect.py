"""Layer by head: what each head causes, with the random control drawn on the same scale."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, head_parts
from core.figures.theme import BOTTOM, TOP, Look, colour_bar, drawn, note, signed
from core.figures.wording import count, number, quoted
from core.results.head_effect import HeadEffect
from core.spec.errors import Error
from core.spec.site import Site

VIEWS = ("effect", "beside", "parts", "repaired")
MOST_CONTROL_HEADS = 16  # more heads: the control stands in the hover and the caption alone


def figure(
    result: HeadEffect, look: Look, *, view: str = "effect", limit: float | None = None
) -> go.Figure:
    """Red helps the answer, blue hurts it; layer 0 at the bottom.

    view   "effect" on log p beside its control; "beside": direct, total and control in logits;
           "parts": the answer's logit as a running sum; "repaired": direct against total effect
    limit  the |value| of full colour, when several maps stand side by side
    """
    match view:
        case "effect":
            return _effect(result, look, limit)
        case "beside":
            return head_parts.beside(result, look, limit=limit)
        case "parts":
            return head_parts.parts(result, look)
        case "repaired":
            return head_parts.repaired(result, look)
    raise Error(f"effects of heads are drawn as {', '.join(VIEWS)}, not {view[:20]!r}")


def _effect(result: HeadEffect, look: Look, limit: float | None) -> go.Figure:
    n_layers, n_heads = result.effect.shape
    most = limit or _limit(result)
    beside = n_heads <= MOST_CONTROL_HEADS
    few = n_heads <= 12 and n_layers <= grid.MOST_TEXT_ROWS
    shared: dict[str, Any] = {
        "scale": signed(look),
        "limits": (-most, most),
        "hover": _hover(result),
    }
    traces = [
        grid.cells(
            result.effect.astype("float32"),
            text=_values(result.effect) if few else None,
            bar=colour_bar("log p, head kept − ablated (nats)", look),
            **shared,
        )
    ]
    layout: dict[str, Any] = {"xaxis": grid.number_axis(n_heads, "head")}
    if beside:
        traces.append(grid.cells(result.control.astype("float32"), xaxis="x2", **shared))
        layout["xaxis"]["domain"] = [0, 0.6]
        layout["xaxis2"] = grid.number_axis(n_heads, "head") | {"domain": [0.64, 1], "anchor": "y"}
        layout["annotations"] = [
            _heading("effect of the head", "x domain", look),
            _heading("control: random direction", "x2 domain", look),
        ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + 12 + grid.rows_height(n_layers) + BOTTOM,
        margin={"t": TOP + 12},
        yaxis=grid.number_axis(n_layers, "layer", names=True),
        **layout,
    )


def title(result: HeadEffect) -> str:
    """The head that moves the answer most, in words."""
    layer, head = strongest(result)
    effect = float(result.effect[layer, head])
    verb = "falls" if effect > 0 else "rises"
    return (
        f"Without {_site(result, layer, head)}, log p of {quoted(result.answer)} {verb} by "
        f"{number(abs(effect))} nats (control {number(result.control[layer, head], sign=True)})"
    )


def caption(result: HeadEffect) -> str:
    """The control and the sample, in words."""
    size = float(np.abs(result.control).mean())
    places = f" at tokens {result.where}" if result.where else ""
    return (
        f"ablated to {result.to}{places}; control, a random direction inside another head of the "
        f"layer, {number(size)} nats on average (mean of {result.n_controls}); "
        f"{count(result.n_texts, 'text')}, token {result.position}"
    )


def strongest(result: HeadEffect) -> tuple[int, int]:
    """(layer, head) of the largest |effect|."""
    layer, head = np.unravel_index(np.abs(result.effect).argmax(), result.effect.shape)
    return int(layer), int(head)


def _site(result: HeadEffect, layer: int, head: int) -> Site:
    return Site(layer, "head", head, stack=result.stack)


def _limit(result: HeadEffect) -> float:
    most = max(float(np.abs(result.effect).max()), float(np.abs(result.control).max()))
    return most or 1.0


def _values(z: np.ndarray) -> np.ndarray:
    return np.array([[number(round(float(v), 2), sign=True) for v in row] for row in z], object)


def _hover(result: HeadEffect) -> np.ndarray:
    n_layers, n_heads = result.effect.shape
    return np.array(
        [
            [
                f"<b>{_site(result, layer, head)}</b><br>effect "
                f"{number(result.effect[layer, head], sign=True)} nats"
                f"<br>control {number(result.control[layer, head], sign=True)} nats"
                f"<br>KL(kept ‖ ablated) {number(result.kl[layer, head])} nats"
                for head in range(n_heads)
            ]
            for layer in range(n_layers)
        ],
        dtype=object,
    )


def _heading(words: str, domain: str, look: Look) -> dict[str, Any]:
    place: dict[str, Any] = {"x": 0, "y": 1, "xref": domain, "yref": "paper"}
    return note(words, look, xanchor="left", yanchor="bottom", **place)
