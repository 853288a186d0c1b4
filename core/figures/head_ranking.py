"""Which heads matter for a prompt or a concept: bars of effects with what chance does."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.head_maps import Panel, hovers, maps
from core.figures.lines import rows_axis
from core.figures.theme import BOTTOM, ROW, TOP, Look, colour, drawn, faint
from core.figures.wording import count, escaped, number, quoted
from core.results.head_ranking import COLUMNS, HeadRanking
from core.spec.errors import Error

VIEWS = ("bars", "beside", "map", "parts")
MOST = 20  # heads drawn as bars
HEIGHT = 380


def figure(
    result: HeadRanking,
    look: Look,
    *,
    view: str = "bars",
    column: str = "",
    most: int = MOST,
    limit: float | None = None,
) -> go.Figure:
    """view  "bars": the largest effects, each with its control, and the band of random changes;
          "beside": effect against another score, one dot a head; "map": effect and control, layer
          by head; "parts": of a concept, who brings its projection, layer by layer
    column   of "beside": attention of a prompt, the share written of a concept, if not named
    """
    match view:
        case "bars":
            return _bars(result, look, most)
        case "beside":
            return _beside(result, look, column or default_column(result))
        case "map":
            return _map(result, look, limit)
        case "parts":
            return _parts(result, look)
    raise Error(f"rankings are drawn as {', '.join(VIEWS)}, not {view[:20]!r}")


def default_column(result: HeadRanking) -> str:
    """The score that people take for the effect: attention, or what is written."""
    wanted = ("attention", "direct") if result.kind == "prompt" else ("share",)
    return next((name for name in wanted if name in result.columns), next(iter(result.columns)))


def title(result: HeadRanking) -> str:
    """The head that matters most, beside what chance does, in words."""
    if not result.order:
        return f"No head was ablated for {quoted(result.about, most=40)}"
    at = result.order[0]
    effect, noise = result.effect[at], result.noise
    said = number(effect, sign=True)
    if result.kind == "prompt":
        what = f"log p of {quoted(result.about)}: {said} nats"
    else:
        what = f"{quoted(result.about, most=40)}: {said} of its gap behind layer {result.layer}"
    return (
        f"{result.site(*at)} matters most to {what} (95 % of random changes within {number(noise)})"
    )


def caption(result: HeadRanking) -> str:
    """The control and the sample, in words."""
    control = (
        f"control, a random direction inside another head, mean of {result.n_controls} "
        f"({count(len(result.order), 'head')})"
    )
    likeness = _agreement(result, default_column(result))
    if result.kind == "prompt":
        sample = f"1 text, token {result.position}; ablated to {result.to}"
    else:
        sides = " against ".join(result.sides)
        built = f"{sum(result.n_built)} others build" if sum(result.n_built) else "given is"
        sample = (
            f"{sides}: {count(result.n_texts, 'text')} ({built} the direction, AUC "
            f"{number(result.separation)}), state at {result.position}; ablated to {result.to}; "
            f"chance of the scores: {count(result.n_random, 'random direction')}"
        )
    return "; ".join([sample, control, *likeness, *result.notes])


def _agreement(result: HeadRanking, column: str) -> list[str]:
    if column not in result.agreement:
        return []
    what = COLUMNS[column].partition(" (")[0]
    return [f"Spearman of effect and {what} {number(result.agreement[column])}"]


def _bars(result: HeadRanking, look: Look, most: int) -> go.Figure:
    order = result.order[:most]
    place = tuple(np.array(order, dtype=int).reshape(-1, 2).T)
    rows, effect = np.arange(len(order)), result.effect[place]
    colours = [colour("high" if value > 0 else "low", look) for value in effect]
    hover = [_line(result, *at) for at in order]
    shared: dict[str, Any] = {"y": rows, "hovertext": hover}
    shared["hovertemplate"] = "%{hovertext}<extra></extra>"
    bars = go.Bar(
        x=effect.astype(float), orientation="h", marker={"color": colours}, name="effect", **shared
    )
    controls = go.Scatter(
        x=result.control[place].astype(float),
        mode="markers",
        name="control",
        marker={"color": colour("control", look), "symbol": "diamond", "size": 9},
        **shared,
    )
    band = {"type": "rect", "x0": -result.noise, "x1": result.noise, "xref": "x", "y0": 0, "y1": 1}
    fill = faint("control", look, 0.2)
    shapes = [{**band, "yref": "paper", "fillcolor": fill, "line": {"width": 0}, "layer": "below"}]
    unit = "log p, kept − ablated (nats)" if result.kind == "prompt" else "share of the gap lost"
    return drawn(
        [bars, controls],
        look,
        title=title(result),
        height=TOP + 20 + ROW * max(4, len(order)) + BOTTOM,
        margin={"l": 100, "r": 16, "t": TOP + 20},
        showlegend=True,
        legend={"y": 1.0},
        shapes=shapes if np.isfinite(result.noise) else [],
        xaxis={"title": {"text": unit}},
        yaxis=rows_axis([result.site(*at) for at in order], "head"),
    )


def _line(result: HeadRanking, layer: int, head: int) -> str:
    at = (layer, head)
    lines = [
        f"<b>{result.site(*at)}</b>",
        f"effect {number(result.effect[at], sign=True)} {escaped(result.unit)}",
        f"control {number(result.control[at], sign=True)}",
    ]
    for name, values in result.columns.items():
        chance = result.nulls.get(name)
        beside = "" if chance is None else f" (chance {number(chance[at])})"
        lines.append(f"{escaped(COLUMNS[name])}: {number(values[at])}{beside}")
    return "<br>".join(lines)


def _beside(result: HeadRanking, look: Look, column: str) -> go.Figure:
    if column not in result.columns:
        raise Error(
            f"this ranking has no {column[:20]!r}; it has {', '.join(result.columns) or 'none'}"
        )
    place = tuple(np.array(result.order, dtype=int).reshape(-1, 2).T)
    dots = go.Scatter(
        x=result.columns[column][place].astype(float),
        y=result.effect[place].astype(float),
        mode="markers",
        marker={"color": colour("a", look), "size": 8},
        hovertext=[_line(result, *at) for at in result.order],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    band = {"type": "rect", "y0": -result.noise, "y1": result.noise, "x0": 0, "x1": 1}
    fill = faint("control", look, 0.2)
    shape = {**band, "xref": "paper", "fillcolor": fill, "line": {"width": 0}, "layer": "below"}
    words = _agreement(result, column)
    return drawn(
        [dots],
        look,
        title=words[0] if words else title(result),
        height=HEIGHT,
        shapes=[shape] if np.isfinite(result.noise) else [],
        xaxis={"title": {"text": COLUMNS[column]}},
        yaxis={"title": {"text": f"effect ({escaped(result.unit)})"}},
    )


def _map(result: HeadRanking, look: Look, limit: float | None) -> go.Figure:
    hover = hovers(result.effect.shape, lambda *at: _line(result, *at))
    panels = (
        Panel("effect of the head", result.effect, hover),
        Panel("control: random direction", result.control, hover),
    )
    return maps(panels, look, title=title(result), unit=escaped(result.unit), limit=limit)


def _parts(result: HeadRanking, look: Look) -> go.Figure:
    """Shares of the concept's gap by who writes it; they add up to 1."""
    n = len(result.attention)
    layers = np.arange(n)
    heads = result.columns["share"][:n] if n else np.zeros((0, 1))
    bars = [
        _share(layers, result.attention, "attention", colour("a", look), heads),
        _share(layers, result.mlp, "MLP", colour("b", look), None),
    ]
    words = f"embeddings bring {number(result.start)} of the gap" if n else "a prompt has no gap"
    return drawn(
        bars,
        look,
        title=f"Who writes {quoted(result.about, most=40)}: {words}",
        height=HEIGHT,
        barmode="relative",
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 76},
        xaxis={"title": {"text": "layer"}, "dtick": 1 if n <= 24 else 4},
        yaxis={"title": {"text": "share of the gap"}},
    )


def _share(
    layers: np.ndarray, values: np.ndarray, name: str, own: str, heads: np.ndarray | None
) -> go.Bar:
    hover = []
    for layer, value in zip(layers, values, strict=True):
        line = f"<b>L{layer} {name}</b><br>{number(value, sign=True)} of the gap"
        if heads is not None:
            best = np.argsort(-np.abs(heads[layer]))[:3]
            line += "".join(f"<br>head {h}: {number(heads[layer, h], sign=True)}" for h in best)
        hover.append(line)
    return go.Bar(
        x=layers,
        y=values.astype(float),
        name=name,
        marker={"color": own},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
    )
