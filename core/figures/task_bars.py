"""What tasks lose, as bars: log p of the answer under several conditions; and their cases."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import BOTTOM, TOP, Look, colour, drawn, note
from core.figures.wording import escaped

HEIGHT = 300


def cases(tasks: Sequence[str], n_cases: Sequence[int]) -> str:
    """ "; cases: repeated tokens 12, facts 8", "" without tasks."""
    parts = (f"{name.replace('_', ' ')} {n:,}" for name, n in zip(tasks, n_cases, strict=True))
    return f"; cases: {', '.join(parts)}" if tasks else ""


def bars(
    tasks: Sequence[str],
    lost: Sequence[tuple[np.ndarray, str, str]],
    look: Look,
    *,
    title: str,
    in_context: Sequence[bool] = (),
) -> go.Figure:
    """Tasks side by side, one bar a condition.

    lost        (nats [task], what was done, role of the colour) of every condition
    in_context  whether the answer stands in the prompt, by task; none: not said
    """
    names = [escaped(name.replace("_", " ")) for name in tasks]
    if in_context:
        names = [
            f"{name}<br>(in the {'prompt' if said else 'weights'})"
            for name, said in zip(names, in_context, strict=True)
        ]
    traces = [
        go.Bar(
            x=list(range(len(names))),
            y=values.astype(float),
            name=escaped(words),
            marker={"color": colour(role, look)},
            hovertemplate=f"{escaped(words)}<br>%{{y:.3~g}} nats<extra></extra>",
        )
        for values, words, role in lost
    ]
    empty = [] if names else [note("no task fits this model", look, x=0.5, y=0.5, xref="paper")]
    return drawn(
        traces,
        look,
        title=title,
        height=TOP + HEIGHT + BOTTOM + (20 if in_context else 0),
        showlegend=True,
        legend={"y": 1.0},
        barmode="group",
        annotations=empty,
        xaxis={
            "title": {"text": "task"},
            "tickmode": "array",
            "tickvals": list(range(len(names))),
            "ticktext": names,
        },
        yaxis={"title": {"text": "log p of the answer lost (nats)"}},
    )
