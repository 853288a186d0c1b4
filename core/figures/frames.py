"""Frames of words: each word with its own concept beside chance, concepts together, A against B."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import rows_axis
from core.figures.theme import Look, colour, colour_bar, drawn, faint, signed
from core.figures.wording import count, escaped, number, visible
from core.results.frames import Frames
from core.spec.errors import Error

VIEWS = ("words", "concepts", "combined")
LABEL = 26
CELL = 15
MOST_ROWS = 60


def figure(result: Frames, look: Look, *, view: str = "words") -> go.Figure:
    """One view of the frames; grey is always chance.

    view  "words": every word's correlation with its concept built without it, random words of as
          many tokens in grey; "concepts": correlations of the concepts; "combined": the words of A
          and B along A - B
    """
    match view:
        case "words":
            return _words(result, look)
        case "concepts":
            return _concepts(result, look)
        case "combined":
            return _combined(result, look)
    raise Error(f"frames can be seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: Frames) -> str:
    """How near words lie to their concept, and what chance reaches, in words."""
    return (
        f"Words correlate {number(result.own.mean(), sign=True)} with their own concept, random "
        f"words {number(result.random.mean(), sign=True)}: AUC {number(result.auc.mean())} in the "
        f"mean; rank of a word's frame {number(result.relative_rank.mean())} of its tokens"
    )


def caption(result: Frames) -> str:
    """Words kept and dropped, the control, the choices, in words."""
    sizes = np.bincount(result.n_tokens)[1:]
    said = ", ".join(
        f"{n:,} of {count(size, 'token')}" for size, n in enumerate(sizes.tolist(), start=1)
    )
    left = f", {count(len(result.dropped), 'word')} dropped" if result.dropped else ""
    known = result.other_auc[np.isfinite(result.other_auc)]
    against = f", AUC against them {number(known.mean())}" if len(known) else ""
    inner = "whitened rows of the unembedding" if result.inner == "causal" else "centred rows"
    length = "of length 1" if result.unit else "as they are"
    return (
        f"{count(len(result.words), 'word')} in {count(len(result.concepts), 'concept')} "
        f"({said}){left}; token vectors: {inner}, {length}; every word left out of its own "
        f"concept; controls: random words of as many tokens, words of the other concepts{against}; "
        f"{result.n_draws} draws; seed {result.seed}"
    )


def _name(name: str) -> str:
    return escaped(visible(name, LABEL).replace("·", " "))


def _words(result: Frames, look: Look) -> go.Figure:
    """Row by row: dots are words, the grey line holds 90 % of random words."""
    n = len(result.concepts)
    order = np.argsort(-result.auc, kind="stable")[:MOST_ROWS]
    place = np.full(n, -1)
    place[order] = np.arange(len(order))
    row = place[result.word_concept]
    rows = np.arange(len(order))
    gap = np.full(len(order), np.nan)
    ends = [np.quantile(result.random[result.word_concept == at], (0.05, 0.95)) for at in order]
    low, high = np.array(ends).T
    shown = row >= 0
    hover = [
        f"<b>{escaped(visible(word, 40))}</b><br>{_name(result.concepts[at])}, "
        f"{count(int(size), 'token')}"
        for word, at, size in zip(
            result.words, result.word_concept.tolist(), result.n_tokens, strict=True
        )
    ]
    traces = [
        go.Scatter(
            x=np.stack([low, high, gap], axis=1).reshape(-1),
            y=np.stack([rows, rows, gap], axis=1).reshape(-1),
            mode="lines", name="random words, 5 to 95 %", hoverinfo="skip",
            line={"color": faint("control", look, 0.4), "width": 10},
        ),
        go.Scatter(
            x=result.own[shown], y=row[shown], mode="markers", name="words, each left out",
            marker={"color": faint("a", look, 0.6), "size": 6,
                    "symbol": np.where(result.n_tokens[shown] > 1, "diamond", "circle").tolist()},
            hovertext=np.array(hover, dtype=object)[shown],
            hovertemplate="%{hovertext}<br>correlation %{x:.3~g}<extra></extra>",
        ),
    ]  # fmt: skip
    names = [f"{_name(result.concepts[at])} (AUC {number(round(result.auc[at], 2))})"
             for at in order]  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=150 + 20 * max(len(order), 4),
        showlegend=True,
        legend={"y": 1.01},
        margin={"l": 260, "t": 92, "b": 52, "r": 16},
        xaxis={"title": {"text": "correlation with the own concept (diamonds: several tokens)"}},
        yaxis={
            **rows_axis(names, "concept"),
            "ticktext": names,
            "tickfont": {"size": 11},
        },
    )


def _concepts(result: Frames, look: Look) -> go.Figure:
    """Correlations of the concepts' frames; a ring where they differ from chance."""
    n = len(result.concepts)
    names = [_name(name) for name in result.concepts]
    hover = np.empty((n, n), dtype=object)
    for row in range(n):
        for column in range(n):
            hover[row, column] = (
                f"<b>{names[row]} · {names[column]}</b><br>correlation "
                f"{number(result.correlation[row, column], sign=True)}<br>random tokens "
                f"{number(result.control_mean[row, column], sign=True)} ± "
                f"{number(result.control_sd[row, column])}"
            )
    axis: dict[str, Any] = {
        "tickmode": "array", "tickvals": list(range(n)), "ticktext": names, "showgrid": False,
        "tickfont": {"size": 10}, "range": [-0.5, n - 0.5],
        "title": {"text": "concept", "standoff": 4},
    }  # fmt: skip
    rows, columns = np.nonzero(result.beyond)
    share = len(rows) / max(1, n * (n - 1))
    rings = go.Scatter(
        x=columns, y=rows, mode="markers", hoverinfo="skip",
        marker={"symbol": "circle-open", "size": 5, "color": colour("muted", look)},
    )  # fmt: skip
    return drawn(
        [
            grid.cells(
                result.correlation, scale=signed(look), limits=(-1.0, 1.0), hover=hover,
                bar=colour_bar("correlation (−1 to 1)", look),
            ),
            rings,
        ],
        look,
        title=f"Concepts as frames: {share:.0%} of the pairs differ from random tokens (rings; "
        "5 % by chance)",
        height=240 + CELL * max(n, 10),
        margin={"l": 200, "b": 170},
        xaxis={**axis, "tickangle": -90},
        yaxis={**axis, "range": [n - 0.5, -0.5]},
    )  # fmt: skip


def _combined(result: Frames, look: Look) -> go.Figure:
    """The words of A and of B along A - B, each built without the word."""
    traces = []
    names = [_name(name) for name in result.pair]
    for row, (name, role) in enumerate(zip(result.pair, ("a", "b"), strict=True)):
        at = result.word_concept == result.concepts.index(name)
        at &= np.isfinite(result.combined)
        words = np.array([escaped(visible(word, 40)) for word in result.words], dtype=object)
        traces.append(
            go.Scatter(
                x=result.combined[at], y=np.full(int(at.sum()), row), mode="markers",
                name=names[row], marker={"color": faint(role, look, 0.6), "size": 8},
                hovertext=words[at],
                hovertemplate="<b>%{hovertext}</b><br>%{x:.3~g}<extra></extra>",
            )
        )  # fmt: skip
    chance = result.combined_control
    known = np.isfinite(result.combined_auc).all()
    said = (
        f"AUC {number(result.combined_auc[0])} (dealt out anew "
        f"{number(np.quantile(chance, 0.05))} to {number(np.quantile(chance, 0.95))})"
        if known
        else "the two share too many words to be told apart"
    )
    zero = {"type": "line", "x0": 0, "x1": 0, "yref": "paper", "y0": 0, "y1": 1,
            "line": {"color": colour("control", look), "dash": "dot", "width": 1}}  # fmt: skip
    first, second = (visible(name, LABEL).replace("·", " ") for name in result.pair)
    return drawn(
        traces,
        look,
        title=f"{first} minus {second}: {said}",
        height=240,
        margin={"l": 220, "b": 52, "r": 16},
        shapes=[zero],
        xaxis={"title": {"text": "correlation with A − B, the word left out"}},
        yaxis={**rows_axis(names, "concept"), "ticktext": names},
    )
