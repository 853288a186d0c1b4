"""Layer by strength: how far the texts follow a direction and stay text, beside random ones."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour, colour_bar, drawn, note
from core.figures.wording import count, number
from core.results.guide import GuideResult

LEGEND = 4  # layers whose lines are told apart by name in the trade-off


def figure(result: GuideResult, look: Look) -> go.Figure:
    """Left the guidance score, right the same for random directions of equal length.

    A cell marked “loop” repeats itself. The triangles stand at the natural gap between the
    class means. Cell (row, column) is layer number `row` of the result, strength `column`.
    """
    n_rows = len(result.layer)
    shared: dict[str, Any] = {"scale": UNSIGNED, "limits": (0.0, 1.0), "hover": _hover(result)}
    cells = [
        grid.cells(
            result.score.astype("float32"),
            text=_text(result),
            bar=colour_bar("guidance score (0 to 1)", look),
            **shared,
        ),
        grid.cells(
            result.control_score.astype("float32"),
            text=_numbers(result.control_score),
            xaxis="x2",
            **shared,
        ),
    ]
    axis = _strengths(result)
    return drawn(
        [*cells, _natural(result, look)],
        look,
        title=title(result),
        height=TOP + 12 + grid.rows_height(n_rows) + BOTTOM,
        margin={"t": TOP + 12},
        xaxis={**axis, "domain": [0, 0.56]},
        xaxis2={**axis, "domain": [0.6, 1], "anchor": "y"},
        yaxis={
            "title": {"text": "layer"},
            "tickmode": "array",
            "tickvals": list(range(n_rows)),
            "ticktext": [f"L{layer}" for layer in result.layer],
            "range": [-0.5, n_rows - 0.5],
            "showgrid": False,
        },
        annotations=[
            _heading("the concept's direction", "x domain", look),
            _heading("control: random directions", "x2 domain", look),
        ],
    )


def title(result: GuideResult) -> str:
    """The best cell beside its control, in words."""
    row, column = result.best
    score, control = result.score[row, column], result.control_score[row, column]
    if score <= 0:
        return "No strength makes the texts follow the direction and stay text"
    return (
        f"Best at layer {result.layer[row]}, strength {number(result.alpha[column], sign=True)}: "
        f"score {number(score)} (random directions {number(control)}), judge "
        f"{number(result.base[row])} → {number(result.success[row, column])}, fluency "
        f"{number(result.fluency[row, column])}"
    )


def caption(result: GuideResult) -> str:
    """The judge, the control and the sample, in words."""
    known = result.judge_separation[np.isfinite(result.judge_separation)]
    trust = f" (held-out AUC {number(known.min())} or better)" if known.size else ""
    return (
        f"judged by {result.judge}{trust}; fluency under the unguided model, perplexity "
        f"{number(result.base_perplexity[0])} without guidance; control, "
        f"{count(result.n_controls, 'random direction')} of equal length; "
        f"{count(len(result.prompts), 'prompt')} x {result.new_tokens} tokens, greedy; "
        f"strength in mean lengths of the stream; triangles: natural gap; seed {result.seed}"
    )


def tradeoff(result: GuideResult, look: Look) -> go.Figure:
    """Every cell as fluency against effect; the better, the further up and right."""
    roles = ("a", "b", "c", "clamped")
    order = np.argsort(-result.score.max(axis=1))[:LEGEND]
    traces = [
        go.Scatter(
            x=result.control_fluency.ravel(),
            y=_effect(result).ravel(),
            mode="markers",
            name="random directions",
            marker={"color": colour("control", look), "size": 6, "symbol": "x-thin-open"},
            hoverinfo="skip",
        )
    ]
    for role, row in zip(roles, order, strict=False):
        traces.append(
            go.Scatter(
                x=result.fluency[row],
                y=result.effect[row],
                mode="markers+lines",
                name=f"layer {result.layer[row]}",
                line={"color": colour(role, look), "width": 1, "dash": "dot"},
                marker={"color": colour(role, look), "size": 8},
                hovertext=_hover(result)[row],
                hovertemplate="%{hovertext}<extra></extra>",
            )
        )
    return drawn(
        traces,
        look,
        title="Concept against fluency",
        height=320,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 80},
        xaxis={"title": {"text": "fluency (PPL unguided ÷ guided, at most 1)"}, "range": [0, 1.04]},
        yaxis={"title": {"text": "effect (0 to 1)"}, "range": [-0.04, 1.04]},
    )


def _effect(result: GuideResult) -> np.ndarray:
    """The controls' effect, as the analysis defines it for the direction itself."""
    base = result.base[:, None]
    up = (result.control_success - base) / np.maximum(1 - base, 1e-9)
    down = (base - result.control_success) / np.maximum(base, 1e-9)
    return np.asarray(np.maximum(0, np.where(result.alpha > 0, up, down)))


def _strengths(result: GuideResult) -> dict[str, Any]:
    n = len(result.alpha)
    return {
        "title": {"text": "strength (mean lengths of the stream)"},
        "tickmode": "array",
        "tickvals": list(range(n)),
        "ticktext": [number(alpha, sign=True) for alpha in result.alpha],
        "range": [-0.5, n - 0.5],
        "showgrid": False,
    }


def _natural(result: GuideResult, look: Look) -> go.Scatter:
    """Triangles at the strength that equals the gap between the class means, by layer."""
    at = np.arange(len(result.alpha))
    x = np.interp(result.natural, result.alpha, at, left=np.nan, right=np.nan)
    return go.Scatter(
        x=x,
        y=np.arange(len(result.layer)) - 0.4,
        mode="markers",
        marker={
            "symbol": "triangle-up",
            "size": 9,
            "color": colour("background", look),
            "line": {"width": 1, "color": colour("text", look)},
        },
        hoverinfo="skip",
    )


def _numbers(values: np.ndarray) -> np.ndarray:
    return np.array([[number(round(float(v), 2)) for v in row] for row in values], dtype=object)


def _text(result: GuideResult) -> np.ndarray:
    shown = _numbers(result.score)
    shown[result.degenerate] = "loop"
    return shown


def _heading(words: str, domain: str, look: Look) -> dict[str, Any]:
    place: dict[str, Any] = {"x": 0, "y": 1, "xref": domain, "yref": "paper"}
    return note(words, look, xanchor="left", yanchor="bottom", **place)


def _hover(result: GuideResult) -> np.ndarray:
    rows, columns = result.score.shape
    return np.array(
        [[_line(result, row, column) for column in range(columns)] for row in range(rows)],
        dtype=object,
    )


def _line(result: GuideResult, row: int, column: int) -> str:
    loop = " · loop" if result.degenerate[row, column] else ""
    alpha, chance = result.alpha[column], result.control_success[row, column]
    return (
        f"<b>layer {result.layer[row]}, strength {number(alpha, sign=True)}</b>{loop}"
        f"<br>score {number(result.score[row, column])} "
        f"(random {number(result.control_score[row, column])})"
        f"<br>judge {number(result.success[row, column])} "
        f"(unguided {number(result.base[row])}, random {number(chance)})"
        f"<br>fluency {number(result.fluency[row, column])}, "
        f"different pairs of tokens {number(result.distinct[row, column])}"
        f"<br>detects with AUC {number(result.separation[row])}"
    )
