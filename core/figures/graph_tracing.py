"""A walk on a graph: what is foretold, the words in their plane, energy by layer and context."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import (
    BOTTOM,
    ROW,
    TOP,
    Look,
    colour,
    colour_bar,
    drawn,
    faint,
    note,
    signed,
)
from core.figures.wording import count, escaped, number, quoted, token
from core.results.graph_tracing import GraphTracing
from core.spec.errors import Error

VIEWS = ("accuracy", "picture", "states", "energy", "ablation")
HEIGHT = 470
# Hues of current words; sixteen that stay apart on white and on near-black, then round again.
_HUES = (
    *("#4e79a7", "#e8812b", "#d35759", "#5fa8a3", "#59a14f", "#c9a227", "#a0699c", "#e5808e"),
    *("#9c755f", "#8c8c8c", "#3b8bc2", "#7d8f2f", "#c06bd6", "#2fbf8f", "#b5651d", "#6b7fd7"),
)


def figure(
    result: GraphTracing,
    look: Look,
    *,
    view: str = "accuracy",
    context: int = -1,
    layer: int | None = None,
) -> go.Figure:
    """A tracing in one of several ways.

    view     "accuracy" along the walk; "picture" of the words beside the mixing null; "states",
             single ones, bordered in the colour of the word before; "energy" layer by context;
             "ablation"
    context  which number of words seen, as a place in `result.context`
    layer    row of the stream for picture and states; by default that of the lowest energy
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "ablation" and not result.ablated:
        raise Error("no heads were put to zero; ask for it with ablate=4")
    row = result.best[1] if layer is None else layer
    if not 0 <= row < len(result.sites) or not -1 <= context < len(result.context):
        raise Error(
            f"there are {len(result.sites)} rows of the stream and {len(result.context)} contexts"
        )
    at = context % len(result.context)
    if view == "picture":
        return _picture(result, look, at, row)
    if view == "states":
        return _states(result, look, row)
    if view == "energy":
        return _energy(result, look)
    return _ablation(result, look) if view == "ablation" else _accuracy(result, look)


def title(result: GraphTracing) -> str:
    """How well the walk is foretold, and whether the states say more than mixing does."""
    at, layer = result.best
    lowest, null = float(result.energy[at, layer]), float(result.mixed[0, 0])
    verdict = "beyond" if lowest < null else "not beyond"
    return (
        f"{number(result.late)} of the probability on neighbours late in the walks (words permuted "
        f"{number(result.late_permuted)}); lowest energy {number(lowest)} at {result.sites[layer]} "
        f"after {count(int(result.context[at]), 'word')}, {verdict} what averaging neighbours gives"
    )


def caption(result: GraphTracing) -> str:
    """The nulls and the sample, in words."""
    own = number(result.mixed_own[0])
    shuffled = _last(result.shuffled_energy)
    fresh = "" if np.isnan(result.fresh_energy).all() else (
        f", fresh weights {number(np.nanmin(result.fresh_energy))} at their lowest"
    )  # fmt: skip
    notes = "".join(f"; {one}" for one in result.notes)
    dropped = f"; no single tokens: {', '.join(result.dropped[:8])}" if result.dropped else ""
    return (
        f"{result.graph} of {count(len(result.words), 'word')} ({result.source}); energy nulls: "
        f"random vectors averaged once with their neighbours {number(result.mixed[1, 0])} "
        f"({number(result.mixed[0, 0])} to {number(result.mixed[2, 0])}), this model's embeddings "
        f"so {own}, walks in random order {shuffled}{fresh}; {count(result.n_walks, 'walk')} of "
        f"{count(result.length, 'word')}, mean states over the last {result.window}; seed "
        f"{result.seed}{notes}{dropped}"
    )


def _last(values: np.ndarray) -> str:
    known = values[-1][np.isfinite(values[-1])]
    return number(known.mean()) if len(known) else "left out"


def _accuracy(result: GraphTracing, look: Look) -> go.Figure:
    """Probability on neighbours against words seen, with its interval and the permuted graph."""
    x = result.step
    small = {"mode": "lines"}
    band = lines.band(x, result.mass_low, result.mass_high, look, role="a", alpha=0.2)
    own = lines.curve(x, result.mass, look, role="a", name="on the neighbours").update(small)
    null = lines.curve(x, result.permuted_mass, look, role="control", dash="dash",
                       name="on neighbours, words permuted").update(small)  # fmt: skip
    words = lines.curve(x, result.words_mass, look, role="muted", dash="dot",
                        name="on all words of the graph").update(small)  # fmt: skip
    return drawn(
        [*band, words, null, own],
        look,
        title=title(result),
        height=360,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": TOP + 30},
        xaxis={
            "title": {"text": "words seen (logarithmic)"},
            "type": "log",
            "showgrid": False,
            "tickmode": "array",
            "tickvals": [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000],
        },
        yaxis={"title": {"text": "probability of the next word"}, "range": [-0.02, 1.02]},
    )


def _picture(result: GraphTracing, look: Look, at: int, row: int) -> go.Figure:
    """Left the words' mean states in their plane, right the same of vectors that know nothing."""
    points = result.place[at, row]
    where = f"{result.sites[row]}, {count(int(result.context[at]), 'word')} seen"
    energy, aligned = result.energy[at, row], result.alignment[at, row]
    left = f"{where}: energy {number(energy)}, alignment {number(aligned)}"
    right = (
        f"null, random vectors averaged once: {number(result.mixed[1, 0])}, "
        f"{number(result.mixed[1, 1])}"
    )
    traces = [
        *_web(result, points, look, "x", "y", "a"),
        *_web(result, result.mixed_place, look, "x2", "y2", "control"),
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        margin={"t": TOP + 24, "l": 40},
        annotations=[
            note(escaped(left), look, x=0, y=1.07, xref="paper", yref="paper", xanchor="left"),
            note(escaped(right), look, x=0.54, y=1.07, xref="paper", yref="paper", xanchor="left"),
        ],
        **_planes(
            f"first component (both: {number(100 * result.plane_share[at, row])} % of the variance)"
        ),
    )


def _planes(words: str) -> dict[str, Any]:
    plain = {"showgrid": False, "showticklabels": False}
    return {
        "xaxis": {"domain": [0, 0.48], "title": {"text": words}, **plain},
        "yaxis": {"title": {"text": "second component (no unit)"}, **plain},
        "xaxis2": {"domain": [0.54, 1], "anchor": "y2",
                   "title": {"text": "first component of the null"}, **plain},
        "yaxis2": {"anchor": "x2", "title": {"text": ""}, **plain},
    }  # fmt: skip


def _web(
    result: GraphTracing, points: np.ndarray, look: Look, x: str, y: str, role: str
) -> list[go.Scatter]:
    """Edges of the graph between the words' places, and the words."""
    gap = np.full((len(result.edges), 1), np.nan)
    ends = points[result.edges]  # [edge, 2, 2]
    edges = go.Scatter(
        x=np.concatenate([ends[..., 0], gap], axis=1).ravel(),
        y=np.concatenate([ends[..., 1], gap], axis=1).ravel(),
        mode="lines",
        line={"color": faint(role, look, 0.5), "width": 1.5},
        hoverinfo="skip",
        xaxis=x,
        yaxis=y,
    )
    words = [token(word, grid.LABEL) for word in result.words]
    hover = [_node(result, node) for node in range(len(words))]
    nodes = go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="markers+text",
        text=words,
        textposition="top center",
        textfont={"size": 12, "color": colour("text", look)},
        marker={"size": 8, "color": colour(role, look)},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
        cliponaxis=False,
        xaxis=x,
        yaxis=y,
    )
    return [edges, nodes]


def _node(result: GraphTracing, node: int) -> str:
    near = [int(b if a == node else a) for a, b in result.edges if node in (a, b)]
    beside = ", ".join(token(result.words[other], 12) for other in near)
    return f"<b>{token(result.words[node])}</b><br>neighbours {beside}"


def _states(result: GraphTracing, look: Look, row: int) -> go.Figure:
    """Single states: filled by the word itself, bordered by the word before it."""
    points = result.point[row]
    fill = [_HUES[node % len(_HUES)] for node in result.point_node.tolist()]
    edge = [_HUES[node % len(_HUES)] for node in result.point_before.tolist()]
    hover = [
        f"<b>{token(result.words[node])}</b>, behind {token(result.words[before])}"
        for node, before in zip(result.point_node, result.point_before, strict=True)
    ]
    marks = go.Scatter(
        x=points[:, 0],
        y=points[:, 1],
        mode="markers",
        marker={"size": 10, "color": fill, "line": {"width": 3, "color": edge}},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
    )
    plain = {"showgrid": False, "showticklabels": False}
    return drawn(
        [marks, *_web(result, result.place[-1, row], look, "x", "y", "muted")],
        look,
        title=f"{result.sites[row]}: filled by the word, bordered by the word before it",
        height=HEIGHT,
        xaxis={"title": {"text": "first component of the mean states (no unit)"}, **plain},
        yaxis={"title": {"text": "second component (no unit)"}, **plain},
    )


def _energy(result: GraphTracing, look: Look) -> go.Figure:
    """Layer by context; a star where the energy is below 95 % of the mixing null."""
    values = result.energy.T  # [layer, context]
    shuffled, low = result.shuffled_energy.T, float(result.mixed[0, 0])
    layers, contexts = values.shape
    hover = [
        [_cell(result, context, layer) for context in range(contexts)] for layer in range(layers)
    ]
    text = [
        [
            f"{own:.2f}{'*' if own < low else ''}"
            + (f" ({other:.2f})" if np.isfinite(other) else "")
            for own, other in zip(row, null, strict=True)
        ]
        for row, null in zip(values, shuffled, strict=True)
    ]
    cells = grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(0.0, 2.0),
        hover=np.array(hover, dtype=object),
        text=np.array(text, dtype=object) if layers <= grid.MOST_TEXT_ROWS else None,
        bar=colour_bar("energy (1: no structure)", look),
    )
    return drawn(
        [cells],
        look,
        title=f"Energy; in brackets walks in random order; * below 95 % of mixing ({number(low)})",
        height=TOP + grid.rows_height(layers) + BOTTOM + 8,
        xaxis={
            "title": {"text": "words seen"},
            "tickmode": "array",
            "tickvals": list(range(contexts)),
            "ticktext": [f"{each:,}" for each in result.context.tolist()],
            "showgrid": False,
        },
        yaxis={
            "title": {"text": "stream"},
            "tickmode": "array",
            "tickvals": list(range(layers)),
            "ticktext": ["emb", *(f"L{layer}" for layer in range(layers - 1))],
            "showgrid": False,
        },
    )


def _cell(result: GraphTracing, context: int, layer: int) -> str:
    at = (context, layer)
    usual = result.usual_energy[at]
    more = f"<br>with the usual order {number(usual)}" if np.isfinite(usual) else ""
    return (
        f"{escaped(result.sites[layer])}, {result.context[context]:,} words seen<br>energy "
        f"{number(result.energy[at])} (words permuted {number(result.permuted_low[at])} to "
        f"{number(result.permuted_high[at])}; random order {number(result.shuffled_energy[at])})"
        f"<br>in the plane {number(result.plane_energy[at])}, alignment "
        f"{number(result.alignment[at])}{more}<br>mixing null {number(result.mixed[0, 0])} to "
        f"{number(result.mixed[2, 0])}, alignment {number(result.mixed[1, 1])}"
    )


def _ablation(result: GraphTracing, look: Look) -> go.Figure:
    """What is left of the foretelling without sets of heads."""
    rows = np.arange(len(result.ablated))
    names = [_set(name, heads) for name, heads in zip(result.ablated, result.ablated_heads,
                                                      strict=True)]  # fmt: skip
    dots = lines.dots(
        result.ablated_mass, rows, look, role="clamped", name="probability on the neighbours",
        low=result.ablated_low, high=result.ablated_high,
    )  # fmt: skip
    hover = [
        f"{escaped(name)}<br>{escaped(', '.join(heads)) or 'nothing changed'}<br>on the neighbours "
        f"{number(value)}<br>lowest energy {number(np.nanmin(energy[1:]))}"
        for name, heads, value, energy in zip(
            result.ablated, result.ablated_heads, result.ablated_mass, result.ablated_energy,
            strict=True,
        )
    ]  # fmt: skip
    dots.update(hovertext=hover, hovertemplate="%{hovertext}<extra></extra>")
    chance = result.late_permuted
    return drawn(
        [dots],
        look,
        title=_lost(result),
        height=TOP + ROW * (len(rows) + 2) + BOTTOM,
        shapes=[{
            "type": "line", "x0": chance, "x1": chance, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": colour("control", look), "dash": "dash", "width": 1.5},
        }],
        margin={"l": 210},
        xaxis={"title": {"text": "probability on the neighbours, last quarter (dashes: words "
                                 "permuted)"}, "range": [0, 1]},
        yaxis=lines.rows_axis(names),
    )  # fmt: skip


def _set(name: str, heads: tuple[str, ...]) -> str:
    if not heads:
        return "all heads"
    kind, _, which = name.partition(" ") if name.startswith("random") else (name, "", "")
    return f"without {len(heads)} {kind} heads" + (f" ({which})" if which else "")


def _lost(result: GraphTracing) -> str:
    found = dict(zip(result.ablated, result.ablated_mass.tolist(), strict=True))
    random = [value for name, value in found.items() if name.startswith("random")]
    return (
        f"{number(found['none'])} on the neighbours; without the strongest induction heads "
        f"{number(found['induction'])}, previous-token heads {number(found['previous token'])}, "
        f"as many random ones {number(np.mean(random))} ({quoted(result.graph)})"
    )
