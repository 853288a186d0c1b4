"""One neuron: the tokens at both ends of what it writes and reads, as bars beside the null."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import BOTTOM, MONO, TOP, Look, colour, drawn, note
from core.figures.wording import count, number, quoted, token
from core.results.neuron_card import NeuronCard

ROW = 18  # pixels of a bar
HEADINGS = {"out": "writes", "in": "reads", "gate": "gate: opens on"}
LABELS = 100  # pixels for the tokens left of each group of bars
_WIDE = 960  # pixels the columns are laid out for


def figure(result: NeuronCard, look: Look, *, most: int = 8) -> go.Figure:
    """A column a vector; above the tokens it raises, below those it lowers, z as length.

    Dashed: what 99 % of random vectors of the layer stay below.
    most  tokens drawn at each end
    """
    k = min(most, result.top_ids.shape[1])
    end = max(float(np.abs(result.top_z).max()), float(np.abs(result.bottom_z).max()))
    end = max(end, float(result.null_z.max())) * 1.06
    traces: list[Any] = []
    layout: dict[str, Any] = {}
    notes, shapes = [], []
    for column, weight in enumerate(result.weights):
        name = "" if column == 0 else str(column + 1)
        x, y = f"x{name}", f"y{name}"
        traces += _bars(result, column, k, look, x, y)
        layout |= _axes(result, column, k, end, name)
        place: dict[str, Any] = {"x": 0, "xref": f"{x} domain", "y": 1, "yref": "paper"}
        words = HEADINGS[weight]
        notes.append(note(words, look, xanchor="left", yanchor="bottom", **place))
        for side in (-1, 1):
            at = side * float(result.null_z[column])
            line = {"color": colour("control", look), "width": 1.2, "dash": "dash"}
            where = {"xref": x, "yref": f"{y} domain"}
            shapes.append({"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line})
            shapes[-1] |= where
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + 16 + (2 * k + 1) * ROW + BOTTOM,
        margin={"t": TOP + 16, "l": 8},
        bargap=0.25,
        shapes=shapes,
        annotations=notes,
        **layout,
    )


def title(result: NeuronCard) -> str:
    """What the neuron writes at its stronger end, and whether that is more than chance."""
    up = result.top_z[0, 0] >= -result.bottom_z[0, 0]
    ids, z = (result.top_ids, result.top_z) if up else (result.bottom_ids, result.bottom_z)
    size = float(z[0, 0])
    verdict = "beyond" if abs(size) > result.null_z[0] else "within"
    return (
        f"{result.site} {'writes' if up else 'writes against'} {quoted(*result.read(ids[0][:3]))}: "
        f"z {number(size, sign=True)}, {verdict} chance ({number(result.null_z[0])})"
    )


def caption(result: NeuronCard) -> str:
    """The control and the sample, in words."""
    nulls = ", ".join(
        f"{number(null)} ({weight})"
        for weight, null in zip(result.weights, result.null_z.tolist(), strict=True)
    )
    low, high = result.band[0].tolist()
    return (
        f"control, {count(result.n_null, 'random vector')} like the layer's own: 99 % stay below "
        f"|z| {nulls}; {count(result.n_vocabulary, 'token')}; {result.class_name}: cos(in, out) "
        f"{number(result.cosines[0], sign=True)}, 95 % of mismatched pairs {number(low)} to "
        f"{number(high)}; its write is larger than {result.write_percentile:.0%} of its layer's"
    )


def _rows(k: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the bars stand: the top ones downwards from above, the bottom ones up from below."""
    return np.arange(2 * k, k, -1), np.arange(k)


def _bars(result: NeuronCard, row: int, k: int, look: Look, x: str, y: str) -> list[go.Bar]:
    bars = []
    for end, role, at in zip(("top", "bottom"), ("high", "low"), _rows(k), strict=True):
        ids, z, *more = (
            getattr(result, f"{end}_{kind}")[row, :k] for kind in ("ids", "z", "logits", "cosine")
        )
        bars.append(
            go.Bar(
                x=z,
                y=at,
                orientation="h",
                xaxis=x,
                yaxis=y,
                marker={"color": colour(role, look)},
                customdata=np.stack(more, axis=1),
                hovertext=[token(piece) for piece in result.read(ids)],
                hovertemplate="%{hovertext}<br>z %{x:.3~g}<br>score %{customdata[0]:.3~g}"
                "<br>cosine %{customdata[1]:.3~g}<extra></extra>",
            )
        )
    return bars


def _axes(
    result: NeuronCard, column: int, k: int, end: float, name: str
) -> dict[str, dict[str, Any]]:
    """The axes of one column: z below, the tokens at the left of the bars."""
    n, room = len(result.weights), LABELS / _WIDE
    top, bottom = _rows(k)
    pieces = (*result.read(result.top_ids[column, :k]), *result.read(result.bottom_ids[column, :k]))
    return {
        f"xaxis{name}": {
            "title": {"text": "z over the vocabulary"},
            "domain": [column / n + room, (column + 1) / n - 0.01],
            "anchor": f"y{name}",
            "range": [-end, end],
            "zeroline": True,
        },
        f"yaxis{name}": {
            "title": {"text": "token" if column == 0 else ""},
            "anchor": f"x{name}",
            "tickmode": "array",
            "tickvals": [*top.tolist(), *bottom.tolist()],
            "ticktext": [token(piece, 12) for piece in pieces],
            "tickfont": {"family": MONO, "size": 12},
            "range": [-0.7, 2 * k + 0.7],
            "showgrid": False,
            "automargin": False,
        },
    }
