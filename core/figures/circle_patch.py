"""Adding on a cycle: what moving the circle of the name does to the answer, by depth."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.probe_family import layers, state
from core.figures.theme import BOTTOM, TOP, Look, colour, drawn, faint, note
from core.figures.wording import count, number, readable, token
from core.results.circle_patch import CirclePatch
from core.spec.errors import Error

VIEWS = ("effect", "answers", "circles")
HEIGHT = 400
MARKS = {
    "clean": ("muted", "solid", "line-ew"),
    "whole state": ("a", "solid", "circle"),
    "components": ("b", "longdash", "diamond"),
    "circle": ("clamped", "solid", "square"),
    "random plane": ("control", "dash", "x"),
    "mean": ("control", "dot", "cross"),
}


def figure(
    result: CirclePatch, look: Look, *, view: str = "effect", show: str = "difference"
) -> go.Figure:
    """What every patch does at every depth; grey is the same length along a random plane.

    view  "effect"; "answers": which prompts are answered rightly; "circles": how well names and
          answers lie on a circle
    show  in "effect": "difference" of logits, or "answered", the share won over
    """
    match view:
        case "effect":
            return _effect(result, look, show)
        case "answers":
            return _answers(result, look)
        case "circles":
            return _circles(result, look)
    raise Error(f"the patches can show {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: CirclePatch) -> str:
    """The accuracy first; then what the circle does beside the random plane."""
    name = readable(result.task)[:40]
    if not result.able:
        return (
            f"The model cannot do {name}: the right name is best for "
            f"{result.accuracy_among:.0%} of {count(result.n_prompts, 'prompt')} (chance "
            f"{1 / len(result.names):.0%}), so the patches say little"
        )
    row = result.best
    own, chance, clean = (
        result.difference[row, result.conditions.index(each)]
        for each in ("circle", "random plane", "clean")
    )
    verb = "turns the answer round" if own < 0 else "moves the answer"
    return (
        f"{name}: right for {result.accuracy_among:.0%}; moving the circle at {state(row)} {verb}: "
        f"{number(clean)} to {number(own)} logits (random plane {number(chance)})"
    )


def caption(result: CirclePatch) -> str:
    """Control and sample, in words."""
    often = " and ".join(str(each) for each in result.turns)
    return (
        f"logit of the right answer minus that of the answer for the name put in; "
        f"{count(result.n_pairs, 'change')} of {count(result.n_right, 'prompt')} answered rightly "
        f"(best token of all: {result.accuracy:.0%} of {result.n_prompts}), such as "
        f"“{readable(result.example)[:70]}”; circle: {often}× round in {result.k} components, "
        f"everything else at its mean; control: the same length along a random plane; 95 % from "
        f"changes drawn again; seed {result.seed}"
    )


def _effect(result: CirclePatch, look: Look, show: str) -> go.Figure:
    if show not in ("difference", "answered"):
        raise Error(f"show= is 'difference' or 'answered', not {str(show)[:20]!r}")
    values = getattr(result, show)
    x = np.arange(len(values))
    traces: list[Any] = []
    for column, name in enumerate(result.conditions):
        role, dash, symbol = MARKS[name]
        if show == "difference" and name != "clean":
            low, high = result.difference_low[:, column], result.difference_high[:, column]
            traces += lines.band(x, low, high, look, role=role, alpha=0.15)
        traces.append(
            lines.curve(x, values[:, column], look, role=role, name=name, dash=dash, symbol=symbol)
        )
    axis: dict[str, Any] = {"title": {"text": "logits: right answer minus the other"}}
    if show == "answered":
        axis = {"title": {"text": "share that gives the other answer"}, "range": [-0.02, 1.02],
                "tickformat": ".0%"}  # fmt: skip
    zero = {"type": "line", "x0": 0, "x1": 1, "xref": "paper", "y0": 0, "y1": 0, "layer": "below",
            "line": {"color": faint("muted", look, 0.6), "width": 1}}  # fmt: skip
    return drawn(
        traces, look, title=title(result), height=HEIGHT, showlegend=True, legend={"y": 1.02},
        margin={"t": 100}, xaxis=layers(len(x)), yaxis=axis, shapes=[zero],
    )  # fmt: skip


def _answers(result: CirclePatch, look: Look) -> go.Figure:
    right = result.right.T.astype("float32")  # [step, name]
    hover = [
        [f"{token(step, 40)}, {token(name)}: {'right' if right[i, j] else 'wrong'}"
         for j, name in enumerate(result.names)]
        for i, step in enumerate(result.steps)
    ]  # fmt: skip
    cells = grid.cells(
        right,
        scale=[[0, colour("panel", look)], [1, colour("a", look)]],
        limits=(0.0, 1.0),
        hover=np.array(hover, dtype=object),
    )
    chance = f"chance {1 / len(result.names):.0%}; blue: the right name is the best of the names"
    return drawn(
        [cells],
        look,
        title=f"{readable(result.task)[:40]}: {result.n_right} of "
        f"{count(result.n_prompts, 'prompt')} are answered with the right name",
        height=TOP + grid.rows_height(len(result.steps)) + BOTTOM + 60,
        xaxis={"title": {"text": "name"}, "tickmode": "array",
               "tickvals": list(range(len(result.names))),
               "ticktext": [token(name) for name in result.names]},
        yaxis={"title": {"text": "step"}, "tickmode": "array", "autorange": "reversed",
               "tickvals": list(range(len(result.steps))),
               "ticktext": [token(step, 24).replace("·", " ") for step in result.steps]},
        annotations=[note(chance, look, x=1, y=1.02, xref="paper", yref="paper",
                          xanchor="right", yanchor="bottom")],
    )  # fmt: skip


def _circles(result: CirclePatch, look: Look) -> go.Figure:
    x = np.arange(len(result.error))
    low = np.fmin(result.error_low, result.answer_low)
    traces = [
        *lines.band(x, low, np.full(len(x), np.pi / 2), look, role="control", alpha=0.25),
        lines.curve(x, result.error, look, role="a", name="names, at the name"),
        lines.curve(x, result.answer_error, look, role="b", name="answers, at the last token",
                    dash="longdash", symbol="diamond"),
    ]  # fmt: skip
    return drawn(
        traces,
        look,
        title="How far a name or an answer left out lies from its place on the circle",
        height=HEIGHT - 20,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "held-out error (radians)"}, "range": [0, 3.2]},
        annotations=[note("grey: 5 % of other orders to chance", look, x=1, y=1, xref="paper",
                          yref="paper", xanchor="right")],
    )  # fmt: skip
