"""Dictionaries side by side: what they leave unexplained, what they cost, how often they fire."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import curve, dots, rows_axis
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number
from core.results.dictionary_report import LOSSES, DictionaryReport
from core.spec.errors import Error

VIEWS = ("quality", "losses", "density", "position", "norm")
HEIGHT = 340
CALLED = {
    "dictionary": "the dictionary",
    "random": "random rows",
    "shuffled": "its rows shuffled",
    "zero": "zero",
    "mean": "the mean",
}
MARKS = ("circle", "square", "diamond", "triangle-up", "x", "star", "pentagon", "hexagon")
ROLES = ("a", "b", "c", "clamped")
BINS = 40


def figure(result: DictionaryReport, look: Look, *, view: str = "quality") -> go.Figure:
    """view "quality": L0 against FVU and against the cost in nats, one mark a dictionary.

    "losses": every condition of every dictionary; "density": how often features fire;
    "position" and "norm": FVU by place in the text and by length of the activation.
    """
    if view not in VIEWS:
        raise Error(f"a report is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    draw = {"quality": _quality, "losses": _losses, "density": _density}
    if view in draw:
        return draw[view](result, look)
    return _by(result, look, view)


def title(result: DictionaryReport) -> str:
    """The numbers of the first dictionary, or how many there are."""
    if len(result.dictionaries) > 1:
        best = int(np.argmin(result.fvu[:, 0]))
        return (
            f"{count(len(result.dictionaries), 'dictionary', 'dictionaries')}: least FVU "
            f"{number(result.fvu[best, 0])} ({result.dictionaries[best]})"
        )
    said = f"{result.dictionaries[0]}: L0 {number(result.l0[0, 0])}, FVU {number(result.fvu[0, 0])}"
    if result.loss_missing:
        return said
    return f"{said}, {number(result.delta_ce[0, 0], sign=True)} nats a token"


def caption(result: DictionaryReport) -> str:
    """Controls and sample, in words."""
    chance = ", ".join(number(value) for value in result.fvu[:, 1])
    parts = [f"control, random rows with as many features: FVU {chance}"]
    if result.loss_missing:
        parts.append(result.loss_missing)
    else:
        random = ", ".join(number(value, sign=True) for value in result.delta_ce[:, 1])
        parts.append(
            f"spliced in they cost {random} nats a token (clean loss {number(result.ce_clean)}; "
            f"{count(result.n_loss_tokens, 'token')} in "
            f"{count(result.n_loss_contexts, 'context')}, 95 % over contexts)"
        )
    dead = ", ".join(f"{share:.1%}" for share in result.dead_share)
    parts.append(f"dead in {count(result.n_tokens, 'token')} of {result.corpus}: {dead}")
    return "; ".join(parts)


def _role(row: int) -> str:
    return ROLES[row % len(ROLES)]


def _mark(row: int) -> str:
    return MARKS[row % len(MARKS)]


def _quality(result: DictionaryReport, look: Look) -> go.Figure:
    """Two scatters; left the control of each dictionary is its mark, hollow and grey.

    The costs of the controls, tens of times larger, are left to the view "losses".
    """
    traces: list[Any] = []
    for row, name in enumerate(result.dictionaries):
        words = f"L0 %{{x:.3~g}}<br>FVU %{{y:.3~g}}, random rows {number(result.fvu[row, 1])}"
        traces.append(_point(result, look, row, 0, result.fvu, words, name=escaped(name)))
        words = f"{CALLED['random']}<br>L0 %{{x:.3~g}}<br>FVU %{{y:.3~g}}"
        traces.append(
            _point(
                result, look, row, 1, result.fvu, words, showlegend=not row, name=CALLED["random"]
            )
        )
        random = number(result.delta_ce[row, 1], sign=True)
        words = f"L0 %{{x:.3~g}}<br>%{{y:+.3~g}} nats a token, random rows {random}"
        traces.append(
            _point(
                result,
                look,
                row,
                0,
                result.delta_ce,
                words,
                name=escaped(name),
                showlegend=False,
                xaxis="x2",
                yaxis="y2",
                error_y=_bars(result, row, 0, look, _role(row)),
            )
        )
    words = "features a token (L0)"
    missing = bool(result.loss_missing)
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.04},
        margin={"t": 84, "r": 16},
        xaxis={"domain": [0, 0.42], "title": {"text": words}, "rangemode": "tozero"},
        yaxis={"title": {"text": "FVU"}, "type": "log"},
        xaxis2={"domain": [0.58, 1], "anchor": "y2", "title": {"text": words},
                "rangemode": "tozero"},
        yaxis2={"anchor": "x2", "title": {"text": "nats a token more, spliced in"},
                "rangemode": "tozero"},
        annotations=[
            note("losses: not measured", look, x=0.79, y=0.5, xref="paper", yref="paper")
        ] if missing else [],
    )  # fmt: skip


def _point(
    result: DictionaryReport,
    look: Look,
    row: int,
    column: int,
    y: np.ndarray,
    words: str,
    **more: Any,
) -> go.Scatter:
    """One dictionary (column 0) or its random rows (1), at its L0."""
    own = "control" if column else _role(row)
    symbol = _mark(row) + ("-open" if column else "")
    return go.Scatter(
        x=[result.l0[row, column]],
        y=[y[row, column]],
        mode="markers",
        marker={"color": colour(own, look), "size": 11, "symbol": symbol},
        hovertemplate=f"{escaped(result.dictionaries[row])}<br>{words}<extra></extra>",
        **more,
    )


def _bars(result: DictionaryReport, row: int, column: int, look: Look, role: str) -> dict[str, Any]:
    mean = result.delta_ce[row, column]
    return {
        "type": "data",
        "symmetric": False,
        "array": [np.nan_to_num(result.delta_ce_high[row, column] - mean).clip(0)],
        "arrayminus": [np.nan_to_num(mean - result.delta_ce_low[row, column]).clip(0)],
        "color": colour(role, look),
        "thickness": 1.5,
    }


def _losses(result: DictionaryReport, look: Look) -> go.Figure:
    """What stands at the site against nats a token, one colour a dictionary."""
    n = len(result.dictionaries)
    rows = np.arange(len(LOSSES))
    traces = [
        dots(
            result.delta_ce[row], rows + 0.5 * (row + 0.5) / n - 0.25, look, role=_role(row),
            name=name, unit="nats", low=result.delta_ce_low[row], high=result.delta_ce_high[row],
            symbol=_mark(row),
        )
        for row, name in enumerate(result.dictionaries)
    ]  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=120 + len(LOSSES) * (30 + 8 * n),
        showlegend=n > 1,
        legend={"y": 1.02},
        margin={"l": 120, "r": 16, "t": 84 if n > 1 else 58},
        xaxis={"title": {"text": "nats a token more than clean"}, "rangemode": "tozero"},
        yaxis=rows_axis([CALLED[name] for name in LOSSES]),
    )


def _density(result: DictionaryReport, look: Look) -> go.Figure:
    """Features by the share of tokens they fire at, logarithmic; the dead ones are in the name."""
    least = 1 / max(1, result.n_tokens)
    edges = np.linspace(np.log10(least), 0, BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    traces = []
    for row, name in enumerate(result.dictionaries):
        density = result.density[name]
        n, _ = np.histogram(np.log10(density[density > 0].clip(least)), bins=edges)
        called = f"{name} ({result.dead_share[row]:.1%} dead)"
        traces.append(curve(10**middle, n, look, role=_role(row), name=called, symbol=_mark(row)))
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84, "r": 16},
        xaxis={"title": {"text": "share of tokens a feature fires at"}, "type": "log"},
        yaxis={"title": {"text": "features"}, "rangemode": "tozero"},
    )


def _by(result: DictionaryReport, look: Look, view: str) -> go.Figure:
    """FVU over groups of tokens; a group's point stands at its lower edge."""
    traces = []
    for row, name in enumerate(result.dictionaries):
        if view == "position":
            x, y = result.position_edges[:-1], result.position_fvu[row]
        else:
            x, y = result.norm_edges[row][:-1], result.norm_fvu[row]
        known = np.isfinite(y) & (np.arange(len(y)) > 0 if view == "position" else True)
        x = x[: len(y)][known]
        traces.append(curve(x, y[known], look, role=_role(row), name=name, symbol=_mark(row)))
    words = "position in the text, from" if view == "position" else "length of the activation, from"
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=len(result.dictionaries) > 1,
        legend={"y": 1.02},
        margin={"t": 84 if len(result.dictionaries) > 1 else 58, "r": 16},
        xaxis={"title": {"text": words}, "type": "log" if view == "position" else "linear"},
        yaxis={"title": {"text": "FVU"}, "rangemode": "tozero"},
    )
