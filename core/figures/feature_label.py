"""Labels by rule: how well each kind of rule fits one feature, or how many features have one."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import dots, ranges, rows_axis
from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, escaped, number, readable
from core.results.feature_label import LEVELS, NO_RULE, WEAK, FeatureLabel
from core.spec.errors import Error

VIEWS = ("kinds", "all")
HEIGHT, ROW = 340, 24
BINS = 25
SHOWN = 60  # characters of a rule on a hover line


def figure(result: FeatureLabel, look: Look, *, view: str = "", place: int = 0) -> go.Figure:
    """view "kinds": the best rule of each kind for the feature at `place`; "all": F1 of all.

    Without a view, "kinds" where the other rules are known.
    """
    view = view or ("kinds" if result.other_rule else "all")
    if view not in VIEWS:
        raise Error(f"labels are drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "all":
        return _all(result, look)
    if not 0 <= place < len(result.other_rule):
        raise Error("the other rules are kept for a few features at a time; ask for this one alone")
    return _kinds(result, look, place)


def title(result: FeatureLabel, place: int = 0) -> str:
    """The label of the one feature with its score, or how many of all have one."""
    if len(result.feature) == 1 or place:
        said = readable(result.label(place))[:200]
        score = result.f1[0, place]
        if np.isnan(score):
            return f"feature {result.feature[place]}: {said}"
        best = "" if score >= WEAK else f", best: {readable(result.rule[0][place])[:120]}"
        return f"feature {result.feature[place]}: {said}{best} · F1 {number(score)} held out"
    share = np.mean(result.f1[0] >= WEAK)
    return (
        f"{result.dictionary}: {share:.0%} of {count(len(result.feature), 'feature')} have a rule"
    )


def caption(result: FeatureLabel, place: int = 0) -> str:
    """The control and the sample, in words."""
    one = len(result.feature) == 1 or place
    chance = result.control_f1[0, place] if one else _mean(result.control_f1[0])
    parts = [
        f"control, as many firings at random tokens, same search: F1 {number(chance)}",
        f"found on {count(result.n_tokens[0], 'token')} of {result.corpus}, scored on "
        f"{result.n_tokens[1]:,} of other documents",
        f"{sum(result.n_atoms):,} predicates of {count(len(result.families), 'kind')}",
    ]
    if one:
        n, m = (int(n) for n in result.fires[0, :, place])
        parts.append(f"it fires {n:,} and {count(m, 'time')}")
    else:
        parts.append(f"“{NO_RULE}” counts as none")
    return "; ".join(parts)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def _kinds(result: FeatureLabel, look: Look, place: int) -> go.Figure:
    rows = np.arange(len(result.families))
    score = result.family_f1[:, place]
    rules = result.other_rule[place]
    chosen = np.array([kind == result.kind[0][place] for kind in result.families])
    chance = np.full(len(rows), result.control_f1[0, place])
    traces = [ranges(chance * 0, chance, rows, look, name="random tokens")]
    for side, role, name in ((~chosen, "a", "best of its kind"), (chosen, "clamped", "the label")):
        known = side & np.isfinite(score) & np.array([bool(rule) for rule in rules])
        low = np.full(int(known.sum()), result.f1_low[0, place])
        high = np.full(int(known.sum()), result.f1_high[0, place])
        dot = dots(
            score[known], rows[known], look, role=role, name=name,
            low=low if role == "clamped" else None, high=high if role == "clamped" else None,
        )  # fmt: skip
        dot.text = [escaped(readable(rules[n])[:SHOWN]) for n in np.flatnonzero(known)]
        dot.hovertemplate = "%{text}<br>F1 %{x:.2f}<extra></extra>"
        traces.append(dot)
    return drawn(
        traces,
        look,
        title=title(result, place),
        height=110 + ROW * len(rows),
        showlegend=True,
        legend={"y": 1.02},
        margin={"l": 130, "r": 16, "t": 84},
        xaxis={"title": {"text": "F1 on held-out documents"}, "range": [-0.02, 1.02]},
        yaxis=rows_axis(result.families),
        shapes=[_weak(look)],
    )


def _weak(look: Look) -> dict[str, object]:
    line = {"color": colour("warning", look), "width": 1, "dash": "dash"}
    return {"type": "line", "x0": WEAK, "x1": WEAK, "y0": 0, "y1": 1, "yref": "paper", "line": line}


def _all(result: FeatureLabel, look: Look) -> go.Figure:
    """How many features have a rule of which F1, for both levels, beside random firings."""
    edges = np.linspace(0, 1, BINS + 1)
    middle = (edges[1:] + edges[:-1]) / 2
    lines = [
        (result.f1[0], LEVELS[0], "a", "solid"),
        (result.f1[1], LEVELS[1], "b", "dot"),
        (result.control_f1[0], "random tokens", "control", "dash"),
    ]
    traces = []
    for values, name, role, dash in lines:
        n, _ = np.histogram(values[np.isfinite(values)], bins=edges)
        traces.append(
            go.Scatter(
                x=middle,
                y=n,
                mode="lines",
                name=name,
                line={"color": colour(role, look), "width": 2, "dash": dash, "shape": "hvh"},
                hovertemplate=f"{name}<br>F1 %{{x:.2f}}: %{{y}} features<extra></extra>",
            )
        )
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84, "r": 16},
        xaxis={"title": {"text": "F1 of the best rule on held-out documents"}, "range": [0, 1]},
        yaxis={"title": {"text": "features"}, "rangemode": "tozero"},
        shapes=[_weak(look)],
    )
