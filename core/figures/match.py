"""Counterparts in another model: how alike they are beside chance, and in which layers they lie."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour, colour_bar, drawn, faint
from core.figures.wording import count, escaped, number, quoted
from core.results.match import Match
from core.spec.errors import Error

VIEWS = ("likeness", "layers", "flow", "pairs")
MOST_PAIRS = 25
BINS = 50


def figure(result: Match, look: Look, *, view: str = "likeness") -> go.Figure:
    """One view of the match.

    view  "likeness": how many units find a counterpart how much like them, and how many by chance;
          "layers": the mean over each layer; "flow": in which layers counterparts lie; "pairs": the
          surest ones by name
    """
    views = {"likeness": _likeness, "layers": _layers, "flow": _flow, "pairs": _pairs}
    if view not in views:
        raise Error(f"a match is seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")
    return views[view](result, look)


def _measure(result: Match) -> str:
    how = "linear CKA" if result.unit == "head" else "correlation"
    return f"{how} of {'activations' if result.by == 'activation' else 'written logits'}"


def _likeness(result: Match, look: Look) -> go.Figure:
    """Shares of units by the likeness of the best they find."""
    every = np.concatenate([result.likeness, result.control])
    low, high = min(0.0, float(every.min())), max(1.0, float(every.max()))
    edges = np.linspace(low, high, BINS + 1)
    middles = (edges[1:] + edges[:-1]) / 2
    traces = []
    for name, values, role in (
        ("random mixtures of the other's units", result.control, "control"),
        ("tokens in random order", result.shuffled, "warning"),
        ("best counterpart", result.likeness, "a"),
    ):
        if not np.isfinite(values).any():
            continue
        share = np.histogram(values, edges)[0] / len(values)
        traces.append(
            go.Scatter(
                x=middles, y=share, mode="lines", name=name, line_shape="hvh",
                line={"color": colour(role, look), "width": 2}, fill="tozeroy",
                fillcolor=faint(role, look, 0.2),
                hovertemplate=f"{name}<br>likeness %{{x:.2f}}: %{{y:.1%}}<extra></extra>",
            )
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=360,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": _measure(result)}},
        yaxis={"title": {"text": f"share of the {result.unit}s"}, "tickformat": ".0%",
               "rangemode": "tozero"},
    )  # fmt: skip


def _layers(result: Match, look: Look) -> go.Figure:
    n = len(result.layers[0])
    x = np.array(result.layers[0], dtype=float)
    shape = (n, result.n_units[0])
    traces = [
        lines.curve(x, result.mean_likeness, look, role="a", name="best counterpart"),
        lines.curve(x, result.mean_control, look, role="control", name="random mixtures",
                    dash="dash", symbol="x"),
    ]  # fmt: skip
    if len(result.same_index):
        own = result.same_index.reshape(shape).mean(axis=1)
        after = result.control_index.reshape(shape).mean(axis=1)
        traces.append(lines.curve(x, own, look, role="b", name="the same number", symbol="square"))
        traces.append(
            lines.curve(x, after, look, role="b", name="the next number", dash="dot", symbol="x")
        )
    return drawn(
        traces,
        look,
        title=title(result),
        height=360,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={**grid.number_axis(int(x.max()) + 1, f"layer of {escaped(result.models[0][:30])}")},
        yaxis={"title": {"text": f"mean {_measure(result)}"}, "range": [-0.1, 1.05]},
    )


def _flow(result: Match, look: Look) -> go.Figure:
    values = result.flow
    chance = 1 / values.shape[1]
    names = [escaped(name[:30]) for name in result.models]
    hover = [
        [
            f"{names[0]}, layer {a}<br>{names[1]}, layer {b}<br>{values[i, j]:.0%} of the "
            f"{result.unit}s find their best there<br>evenly spread: {chance:.0%}"
            for j, b in enumerate(result.layers[1])
        ]
        for i, a in enumerate(result.layers[0])
    ]
    shown = [[f"{value:.0%}" for value in row] for row in values]
    small = max(values.shape) <= 14
    cells = grid.cells(
        values.astype("float32"),
        scale=UNSIGNED,
        limits=(0.0, 1.0),
        hover=np.array(hover, dtype=object),
        text=np.array(shown, dtype=object) if small else None,
        bar=colour_bar(f"share of a layer's {result.unit}s (evenly {chance:.0%})", look),
    )
    ticks = [[f"L{layer}" for layer in side] for side in result.layers]
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + grid.rows_height(len(values), least=8) + BOTTOM + 30,
        xaxis={**grid.number_axis(values.shape[1], f"layer of {names[1]}"),
               "tickvals": list(range(values.shape[1])), "ticktext": ticks[1]},
        yaxis={**grid.number_axis(len(values), f"layer of {names[0]}"),
               "tickvals": list(range(len(values))), "ticktext": ticks[0]},
    )  # fmt: skip


def _pairs(result: Match, look: Look) -> go.Figure:
    units = result.listed[:MOST_PAIRS]
    y = np.arange(len(units))
    names = [f"{result.site(u)} → {result.site(result.partner[u], there=True)}" for u in units]
    hover = [_said(result, place, int(unit)) for place, unit in enumerate(units)]
    low = np.zeros(len(units))
    return drawn(
        [
            lines.ranges(low, result.control[units], y, look, name="up to random mixtures"),
            go.Scatter(
                x=result.second[units], y=y, mode="markers", name="second best",
                marker={"size": 8, "symbol": "circle-open", "color": colour("control", look)},
                hovertemplate="second best %{x:.3~g}<extra></extra>",
            ),
            go.Scatter(
                x=result.likeness[units], y=y, mode="markers", name="counterpart",
                marker={"size": 9, "color": colour("a", look)},
                hovertext=hover, hovertemplate="%{hovertext}<extra></extra>",
            ),
        ],
        look,
        title=title(result),
        height=TOP + 50 + BOTTOM + 22 * len(units),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": _measure(result)}, "range": [-0.05, 1.05]},
        yaxis=lines.rows_axis(names),
    )  # fmt: skip


def _said(result: Match, place: int, unit: int) -> str:
    """A pair in the words of its hover."""
    partner = int(result.partner[unit])
    rows = [
        f"<b>{escaped(result.site(unit))}</b> and <b>{escaped(result.site(partner, True))}</b>",
        f"likeness {number(result.likeness[unit])}, second best {number(result.second[unit])}, "
        f"random mixtures {number(result.control[unit])}",
    ]
    for says, model in zip((result.says_here, result.says_there), result.models, strict=True):
        if says:
            rows.append(f"{escaped(model[:30])} says {escaped(quoted(*says[place]))}")
    for there, at in ((False, unit), (True, partner)):
        text = result.context(at, there)
        if text:
            rows.append(f"largest at the end of “{escaped(text)}”")
    return "<br>".join(rows)


def title(result: Match) -> str:
    """How many units have a counterpart, in words."""
    one, two = result.models
    share = float(result.matched.mean())
    words = f"{share:.0%} of the {result.unit}s of {one} have a counterpart in {two}"
    if len(result.same_index):
        own = float((result.partner == np.arange(len(result.partner))).mean())
        words += f"; {own:.0%} find the one of their own number"
    return words


def caption(result: Match) -> str:
    """The control and the sample, in words."""
    parts = [
        f"by {_measure(result)}; control, the best among random mixtures of the other's "
        f"{result.unit}s: mean {number(result.control.mean())}, 95 % below "
        f"{number(result.threshold)}"
    ]
    if np.isfinite(result.shuffled).any():
        parts.append(f"tokens in random order: mean {number(result.shuffled.mean())}")
    parts.append(
        f"{count(len(result.likeness), result.unit)} and "
        f"{count(len(result.back_likeness), result.unit)}, {count(result.n_tokens, 'token')} "
        f"({result.source}); seed {result.seed}"
    )
    if result.why_no_index:
        parts.append(f"numbers do not correspond: {result.why_no_index}")
    return "; ".join([*parts, *result.notes])
