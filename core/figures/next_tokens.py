"""What comes next: bars for the clean, the clamped and the control run."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import BOTTOM, MONO, RUNS, TOP, Look, colour, drawn
from core.figures.wording import count, number, quoted, token
from core.results.next_tokens import NextTokens

MOST = 8


def figure(
    result: NextTokens, look: Look, *, most: int = MOST, limit: float | None = None
) -> go.Figure:
    """One group of bars per candidate, in the result's order from the top.

    most    candidates shown
    limit   end of the probability axis, when several figures stand side by side
    """
    shown = min(most, len(result.candidates))
    probability = result.probability[:, :shown]
    end = limit or min(1.0, float(np.ceil(probability.max() * 1.2 * 10) / 10))
    several = len(result.runs) > 1
    return drawn(
        [_bars(result, r, shown, look) for r in range(len(result.runs))],
        look,
        title=title(result),
        height=TOP + 20 * several + shown * (16 + 10 * len(result.runs)) + BOTTOM,
        bargap=0.3,
        bargroupgap=0.08,
        showlegend=several,
        legend={"y": 1},
        margin={"t": TOP + 20 * several},
        xaxis={
            "title": {"text": "probability"},
            "range": [0, end],
            "tickformat": ".3~g",
            "nticks": 6,
        },
        yaxis={
            "tickmode": "array",
            "tickvals": list(range(shown)),
            "ticktext": [token(piece, 14) for piece in result.candidates[:shown]],
            "tickfont": {"family": MONO, "size": 13},
            "range": [shown - 0.5, -0.5],
            "showgrid": False,
        },
    )


def title(result: NextTokens) -> str:
    """The most probable token of each run, in words."""
    place = "At" if result.masked else "After"
    said = []
    for name, row in zip(result.runs, result.probability, strict=True):
        best = int(row.argmax())
        said.append(f"{name} {quoted(result.candidates[best])} {number(row[best])}")
    words = ", ".join(said) if len(said) > 1 else said[0].removeprefix("clean ")
    return f"{place} {quoted(result.tokens[result.position])}: {words}"


def caption(result: NextTokens) -> str:
    """The control and the sample, in words."""
    if len(result.runs) == 1:
        return f"one position, entropy {number(result.entropy[0])} nats; no clamps, so no control"
    kl = dict(zip(result.runs, result.kl, strict=True))
    return (
        f"KL(clean ‖ clamped) {number(kl['clamped'])} nats; random control of equal norm "
        f"{number(kl['control'])} (mean of {result.n_controls}, bar ends: its range); one position"
    )


def _bars(result: NextTokens, run: int, shown: int, look: Look) -> go.Bar:
    name = result.runs[run]
    row = result.probability[run, :shown].astype("float32")
    controls = count(result.n_controls, "control")
    hover = [
        f"{name} · “{token(piece)}” (id {int(i)})<br>probability {number(p)}"
        for piece, i, p in zip(result.candidates[:shown], result.ids[:shown], row, strict=True)
    ]
    spread = None
    if name == "control" and result.control_low.size:
        low, high = result.control_low[:shown], result.control_high[:shown]
        spread = {
            "type": "data",
            "symmetric": False,
            "array": np.maximum(high - row, 0),
            "arrayminus": np.maximum(row - low, 0),
            "thickness": 1.2,
            "width": 3,
            "color": colour("text", look),
        }
        hover = [
            f"{line}<br>range over {controls} {number(a)} to {number(b)}"
            for line, a, b in zip(hover, low, high, strict=True)
        ]
    return go.Bar(
        y=np.arange(shown, dtype="int32"),
        x=row,
        orientation="h",
        name=_label(name, result),
        marker={"color": colour(RUNS[name], look), "line": {"width": 0}},
        text=None if name == "control" else [number(p) for p in row],
        textposition="outside",
        textfont={"size": 10, "color": colour("muted", look)},
        constraintext="none",
        cliponaxis=False,
        error_x=spread,
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _label(name: str, result: NextTokens) -> str:
    return f"control (mean, range of {result.n_controls})" if name == "control" else name
