"""A claim about a neuron as a scorecard: what it fires on, what it causes, beside the controls."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import dots, ranges, rows_axis
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, number, readable
from core.results.explain_test import MEASURES, ExplainTest
from core.spec.errors import Error

VIEWS = ("score", "strings")
CONDITIONS = {
    "neuron": "this neuron",
    "mlp_out": "all its layer's MLP writes",
    "resid_post": "the whole stream",
    "random": "random neurons",
}
WEAK = 0.5  # an F1 below it says that the claim fails
HEIGHT = 280
STRING = 18  # characters of a string on the axis
ROW = 17


def figure(result: ExplainTest, look: Look, *, view: str = "score") -> go.Figure:
    """view "score": both tests with their controls; "strings": every string's value."""
    if view not in VIEWS:
        raise Error(f"a tested claim is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    return _strings(result, look) if view == "strings" else _score(result, look)


def title(result: ExplainTest) -> str:
    """How well the claim holds, and what the neuron causes, in words."""
    f1, chance = number(result.score[0, 2]), _mean(result.random_score[:, 2])
    said = f"{result.site}, “{_claim(result)}”: F1 {f1} (random {chance})"
    if not result.pairs:
        return f"{said}; what it causes was not tested"
    return (
        f"{said}; turns {result.efficacy[0]:.0%} of {count(len(result.pairs), 'answer')} "
        f"(stream {result.efficacy[2]:.0%}, random {result.efficacy[3]:.0%})"
    )


def caption(result: ExplainTest) -> str:
    """The controls and the sample, in words."""
    held = int(result.held.sum())
    parts = [
        f"control, {count(result.n_random, 'random neuron')} of the layer and "
        f"{count(result.n_shuffles, 'shuffle')} of the membership: AUC "
        f"{_mean(result.random_score[:, 3])} and {_mean(result.shuffled_score[:, 3])}",
        f"threshold and sign from {len(result.strings) - held} strings, scores from the other "
        f"{held}, each in {count(len(result.carriers), 'text')}; 95 % intervals",
    ]
    if result.pairs:
        parts.append(f"{count(len(result.pairs), 'pair')} of prompts")
    return "; ".join([*parts, *(readable(why) for why in result.skipped)])


def failed(result: ExplainTest) -> bool:
    """Whether the claim fails on what the neuron fires on."""
    return bool(result.score[0, 2] < WEAK)


def _claim(result: ExplainTest) -> str:
    return readable(result.explanation)[:60]


def _mean(values: np.ndarray) -> str:
    return number(np.nanmean(values)) if np.isfinite(values).any() else "none"


def _columns(values: np.ndarray, share: float) -> np.ndarray:
    """The quantile of each column; NaN where a column has no number."""
    known = [column[np.isfinite(column)] for column in values.T]
    return np.array([np.quantile(each, share) if len(each) else np.nan for each in known])


def _score(result: ExplainTest, look: Look) -> go.Figure:
    names = [CONDITIONS.get(name, name) for name in result.conditions]
    shared: dict[str, Any] = {"rangemode": "tozero", "range": [-0.04, 1.04]}
    shifts = [*result.mean_shift, *result.shift_low, *result.shift_high]
    ends = [value for value in shifts if np.isfinite(value)]
    right = [min(-0.05, *ends) - 0.03, max(1.04, *ends) + 0.03] if ends else [-0.08, 1.07]
    return drawn(
        [*_observed(result, look), *_intervened(result, look)],
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.06},
        margin={"l": 80, "t": 96, "r": 16},
        xaxis={**shared, "domain": [0, 0.4], "title": {"text": "score on held-out strings"}},
        xaxis2={
            "domain": [0.64, 1],
            "anchor": "y2",
            "range": right,
            "title": {"text": "after the interchange"},
        },
        yaxis=rows_axis(MEASURES),
        yaxis2={**rows_axis(names), "anchor": "x2"},
        annotations=[] if result.pairs else [_untested(look)],
    )


def _untested(look: Look) -> dict[str, Any]:
    return note("what it causes: not tested", look, x=0.82, y=0.5, xref="paper", yref="paper")


def _observed(result: ExplainTest, look: Look) -> list[go.Scatter]:
    rows = np.arange(len(MEASURES))
    low, high = (_columns(result.random_score, share) for share in (0.05, 0.95))
    shuffled = _columns(result.shuffled_score, 0.5)
    role = "warning" if failed(result) else "clamped"
    return [
        ranges(low, high, rows, look, name="random neurons, 5 to 95 %"),
        dots(shuffled, rows, look, role="control", name="membership shuffled, median", symbol="x"),
        dots(
            result.score[0], rows, look, role=role, name="this neuron",
            low=result.low[0], high=result.high[0],
        ),
        dots(
            result.score[1], rows + 0.25, look, role=role, symbol="circle-open",
            name="threshold at half of the maximum", size=7,
        ),
    ]  # fmt: skip


def _intervened(result: ExplainTest, look: Look) -> list[go.Scatter]:
    if not result.pairs:
        return []
    rows = np.arange(len(result.conditions))
    place: dict[str, Any] = {"xaxis": "x2", "yaxis": "y2"}
    return [
        dots(
            result.efficacy, rows - 0.12, look, role="a", name="share of answers turned",
            low=result.efficacy_low, high=result.efficacy_high, **place,
        ),
        dots(
            result.mean_shift, rows + 0.16, look, role="b", symbol="diamond",
            name="logit difference moved (1: to the source's)",
            low=result.shift_low, high=result.shift_high, **place,
        ),
    ]  # fmt: skip


def _strings(result: ExplainTest, look: Look) -> go.Figure:
    value = result.sign * result.value
    mean = value.mean(axis=1)
    order = np.argsort(-mean, kind="stable")
    row = np.empty(len(order))
    row[order] = np.arange(len(order))
    sides = ((result.member, "a", "of the concept"), (~result.member, "b", "others"))
    traces = [
        dots(
            value[side].reshape(-1),
            np.repeat(row[side], value.shape[1]),
            look, role=role, name=f"{name}, in each sentence", size=5, opacity=0.45,
        )
        for side, role, name in sides
    ] + [
        dots(
            mean[side], row[side], look, role=role, name=f"{name}, mean",
            symbol="circle" if role == "a" else "square",
        )
        for side, role, name in sides
    ]  # fmt: skip
    sign = "" if result.sign > 0 else " × −1"
    names = [readable(result.strings[n])[:STRING] for n in order]
    line = {"color": colour("warning", look), "width": 1, "dash": "dash"}
    edge = float(result.threshold[0])
    return drawn(
        traces,
        look,
        title=title(result),
        height=110 + ROW * len(names),
        showlegend=True,
        legend={"y": 1.01},
        margin={"l": 120, "r": 16, "t": 90},
        xaxis={"title": {"text": f"activation at the string's last token{sign}"}},
        yaxis={**rows_axis(names), "title": {"text": "string"}},
        shapes=[{"type": "line", "x0": edge, "x1": edge, "y0": 0, "y1": 1, "yref": "paper",
                 "line": line}],
        annotations=[note("threshold", look, "warning", x=edge, y=0, yref="paper",
                          xanchor="left", yanchor="bottom", xshift=4)],
    )  # fmt: skip
