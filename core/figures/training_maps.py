"""Maps of a model over its training: heads at one checkpoint, concepts, shared circuits."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, head_atlas, head_maps, lines
from core.figures.head_maps import hovers
from core.figures.theme import UNSIGNED, Look, colour, colour_bar, drawn, note, signed
from core.figures.training_time import at, columns, site
from core.figures.wording import escaped, number, readable
from core.results.heads import KINDS
from core.results.training import Training
from core.spec.errors import Error

EFFECT = "effect"  # shown in the map of heads in place of a kind of attention


def heads(result: Training, look: Look, title: str, row: int, kind: str) -> go.Figure:
    """Every head at one checkpoint."""
    if kind == EFFECT:
        return _effect(result, look, title, row)
    nulls = [result.control[kind][row]]
    nulls += [] if kind in result.by_place else [result.shuffled[kind][row]]
    score = head_atlas.Score(
        kind.replace("_", " "), KINDS[kind], "of attention", result.scores[kind][row],
        np.max(nulls, axis=0), most=1.0, stack=result.stack,
    )  # fmt: skip
    return head_atlas.figure(score, look)


def _effect(result: Training, look: Look, title: str, row: int) -> go.Figure:
    """What ablating each head costs the task, on one scale for all rows; a dot: in the circuit."""
    values = result.effect[row]
    heads = values.shape[1]

    def line(layer: int, head: int) -> str:
        place = np.flatnonzero(result.top[row] == layer * heads + head)
        rank = f"<br>number {place[0] + 1} of the circuit" if len(place) else ""
        return (
            f"<b>{site(result, layer, head)}</b><br>"
            f"{number(values[layer, head], sign=True)} nats lost{rank}"
        )

    panel = head_maps.Panel("lost without the head", values, hovers(values.shape, line))
    fig = head_maps.maps(
        [panel], look, title=title, unit="nats",
        limit=head_maps.largest(result.effect) or 1.0,
    )  # fmt: skip
    top = result.top[row][result.top[row] >= 0]
    fig.add_trace(
        go.Scatter(
            x=top % heads - 0.38, y=top // heads + 0.28, mode="markers", hoverinfo="skip",
            marker={"size": 7, "color": colour("text", look),
                    "line": {"color": colour("background", look), "width": 1}},
        )
    )  # fmt: skip
    return fig


def _dots(x: np.ndarray, y: np.ndarray, look: Look) -> go.Scatter:
    """Marks on cells beyond control."""
    return go.Scatter(
        x=x, y=y, mode="markers", hoverinfo="skip",
        marker={"size": 7, "color": colour("background", look),
                "line": {"color": colour("text", look), "width": 1.2}},
    )  # fmt: skip


def concepts(result: Training, look: Look, title: str) -> go.Figure:
    """Held-out AUC of the best layer, a row a concept; dots: beyond control."""
    best = result.auc.max(axis=2).T  # [concept, row]
    layer = result.auc.argmax(axis=2).T
    level = [result.concept_level(n) for n in range(len(result.concepts))]
    beyond = np.array([result.separated(n).any(axis=1) for n in range(len(result.concepts))])
    hover = [
        [
            f"<b>{escaped(readable(name)[:60])}</b>, {escaped(at(result, row))}"
            f"<br>AUC {number(best[n, row])} {_state(int(layer[n, row]))}"
            f"<br>control {number(level[n])}; {' against '.join(map(str, result.n_items[n]))} items"
            for row in range(result.n_rows)
        ]
        for n, name in enumerate(result.concepts)
    ]
    axis = lines.rows_axis([_cut(name) for name in result.concepts])
    return _map(
        result, look, best, hover, beyond, axis,
        height=120 + 34 * max(3, len(result.concepts)), words="best layer's AUC", title=title,
    )  # fmt: skip


def layers(result: Training, look: Look, title: str, concept: str) -> go.Figure:
    """Held-out AUC of one concept in every layer; dots: beyond control."""
    if concept not in result.concepts:
        raise Error(f"concepts can show {', '.join(result.concepts)[:200]}, not {concept[:40]!r}")
    n = result.concepts.index(concept)
    values = result.auc[:, n].T  # [state, row]
    shuffled = result.control_auc[:, n].mean(axis=1).T
    hover = [
        [
            f"<b>{escaped(at(result, row))}</b>, {_state(state)}"
            f"<br>AUC {number(values[state, row])}"
            f"<br>shuffled labels {number(shuffled[state, row])} on average"
            for row in range(result.n_rows)
        ]
        for state in range(len(values))
    ]
    names = ["embedding", *(f"L{layer}" for layer in range(len(values) - 1))]
    axis = {**lines.rows_axis(names), "range": [-0.5, len(values) - 0.5]}
    return _map(
        result, look, values, hover, result.separated(n).T, axis,
        height=120 + 30 * max(4, len(values)), words="held-out AUC", title=title,
    )  # fmt: skip


def _cut(name: str) -> str:
    shown = readable(name)
    return shown if len(shown) <= 24 else f"{shown[:23]}…"


def _state(state: int) -> str:
    return "at the embedding" if state == 0 else f"behind layer {state - 1}"


def _map(
    result: Training, look: Look, values: np.ndarray, hover: list[list[str]], beyond: np.ndarray,
    axis: dict[str, Any], *, title: str, height: int, words: str,
) -> go.Figure:  # fmt: skip
    y, x = np.nonzero(beyond)
    cells = grid.cells(
        values.astype("f4"), scale=signed(look), limits=(0.0, 1.0),
        hover=np.array(hover, dtype=object), bar=colour_bar(words, look),
    )  # fmt: skip
    return drawn(
        [cells, _dots(x, y, look)], look, title=title, height=height,
        xaxis=columns(result), yaxis=axis,
    )  # fmt: skip


def overlap(result: Training, look: Look, title: str) -> go.Figure:
    """Jaccard of the circuits of two checkpoints; dots: more than 95 % of random sets share."""
    values = result.overlap
    n = result.n_rows
    hover = [
        [
            f"<b>{escaped(at(result, a))}</b>"
            + (f" and <b>{escaped(at(result, b))}</b>" if a != b else ", two halves of its cases")
            + f"<br>Jaccard {number(values[a, b])}, by chance {number(result.chance_overlap)}"
            f"<br>answers right {number(result.right[a])} and {number(result.right[b])}"
            for b in range(n)
        ]
        for a in range(n)
    ]
    few = n <= grid.MOST_TEXT_ROWS
    text = np.array(
        [["" if np.isnan(v) else f"{v:.2f}".lstrip("0") for v in line] for line in values], object
    )
    cells = grid.cells(
        values.astype("f4"), scale=UNSIGNED, limits=(0.0, 1.0), text=text if few else None,
        hover=np.array(hover, dtype=object),
        bar=colour_bar("shared heads (Jaccard)", look),
    )  # fmt: skip
    axis = columns(result)
    words = (
        f"chance {number(result.chance_overlap)}; 95 % of random sets share at most "
        f"{number(result.chance_overlap_high)}; diagonal: two halves of the cases"
    )
    place: dict[str, Any] = {"x": 0, "y": 1, "xref": "paper", "yref": "paper"}
    return drawn(
        [cells], look, title=title, height=max(300, 150 + 26 * n), margin={"l": 64},
        annotations=[note(words, look, xanchor="left", yanchor="bottom", **place)],
        xaxis=axis, yaxis={**axis, "title": {"text": "step of training"}},
    )  # fmt: skip
