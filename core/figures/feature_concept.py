"""Features that carry a concept: bars beside probes, values of one on the texts, sparse probes."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import curve, dots, rows_axis
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number, readable, visible
from core.results.feature_concept import FeatureConcept
from core.spec.errors import Error

ROW = 22
HEIGHT = 320
SHOWN = ("table", "texts", "sparse")
_LABEL = 26


def figure(
    result: FeatureConcept, look: Look, *, show: str = "table", row: int = 0, most: int = 12
) -> go.Figure:
    """Held-out AUC of the best features and of the baselines, with 95 % intervals.

    show  "table"; "texts": the values of one feature on the texts; "sparse": accuracy of probes on
          few features
    row   which feature of the table
    most  features drawn
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if show == "sparse":
        return _sparse(result, look)
    if show == "texts":
        if not 0 <= row < len(result.feature):
            raise Error(f"row {row} of {len(result.feature)} features in the table")
        return _texts(result, look, row)
    return _table(result, look, most)


def title(result: FeatureConcept) -> str:
    """The best feature beside the best baseline, and how many are beyond chance."""
    what = readable(result.concept)[:60]
    if not len(result.feature):
        return f"{result.dictionary}: no feature fires on the texts of {what}"
    others = result.baseline_auc[1:]
    best = int(others.argmax())
    verdict = (
        f"{count(result.n_beyond, 'feature')} beyond chance"
        if result.n_beyond
        else "no feature beyond chance"
    )
    return (
        f"{what}: feature {result.feature[0]} held-out AUC {number(result.baseline_auc[0])}, "
        f"{result.baselines[1 + best]} {number(others[best])}; {verdict}"
    )


def caption(result: FeatureConcept) -> str:
    """The control and the sample, in words."""
    up, down, test = result.n_texts
    return (
        f"{count(up, 'positive text')} and {down:,} negative, {test:,} of them held out; "
        f"{result.pool} over tokens; {result.n_firing:,} features fire; control, labels shuffled "
        f"{len(result.null)} times: some feature reaches AUC {number(0.5 + result.threshold)} on "
        f"all texts in 1 of 20 shuffles"
    )


def _table(result: FeatureConcept, look: Look, most: int) -> go.Figure:
    n = min(most, len(result.feature))
    names = [*_names(result, n), *result.baselines[1:]]
    # The features' own direction: one that marks the negative texts is drawn as well as it does.
    turned = result.auc_train[:n] < 0.5
    auc, low, high = (part[:n] for part in (result.auc_test, result.auc_low, result.auc_high))
    auc, low, high = (
        np.where(turned, 1 - auc, auc),
        np.where(turned, 1 - high, low),
        np.where(turned, 1 - low, high),
    )
    strong, y = result.beyond[:n], np.arange(n)
    traces = []
    for chosen, role, what in ((strong, "a", "beyond chance"), (~strong, "muted", "within chance")):
        traces.append(
            dots(
                auc[chosen],
                y[chosen],
                look,
                role=role,
                name=what,
                low=low[chosen],
                high=high[chosen],
                symbol="circle" if role == "a" else "circle-open",
            )
        )
    traces.append(
        dots(
            result.baseline_auc[1:],
            np.arange(n, len(names)),
            look,
            role="control",
            name="baseline",
            low=result.baseline_low[1:],
            high=result.baseline_high[1:],
            symbol="diamond",
        )
    )
    line = {"color": colour("hairline", look), "width": 1}
    half = {"type": "line", "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1, "yref": "y domain"}
    return drawn(
        traces,
        look,
        title=title(result),
        height=110 + ROW * max(3, len(names)),
        shapes=[{**half, "line": line}],
        xaxis={"title": {"text": "held-out AUC (0.5 is chance)"}, "range": [0.2, 1.03]},
        yaxis=rows_axis(names, "detector"),
    )


def _names(result: FeatureConcept, n: int) -> list[str]:
    """The first n features of the table with their labels and, where it is so, their side."""
    labels = dict(result.named)
    names = []
    for feature, auc in zip(result.feature[:n].tolist(), result.auc_train, strict=False):
        label = f" {visible(labels[feature], _LABEL)}" if feature in labels else ""
        names.append(f"feature {feature}{label}{' (negative)' if auc < 0.5 else ''}")
    return names


def _texts(result: FeatureConcept, look: Look, row: int) -> go.Figure:
    """Every text a point; sideways only to keep them apart."""
    values = result.values[row]
    spread = (np.arange(len(values)) * 0.618034) % 1 - 0.5
    traces = []
    for member, role, symbol in ((True, "high", "circle"), (False, "low", "diamond")):
        here = result.member == member
        name = result.about[0 if member else 1]
        traces.append(
            go.Scatter(
                x=(0 if member else 1) + 0.6 * spread[here],
                y=values[here],
                mode="markers",
                name=escaped(name),
                marker={"size": 6, "color": colour(role, look), "symbol": symbol, "opacity": 0.7},
                hovertext=[
                    escaped(visible(text, 80))
                    for text, inside in zip(result.texts, here, strict=True)
                    if inside
                ],
                hovertemplate="%{hovertext}<br>%{y:.3~g}<extra></extra>",
            )
        )
    auc = number(result.auc_test[row])
    place: dict[str, Any] = {
        "x": 1,
        "xref": "x domain",
        "y": 1,
        "yref": "y domain",
        "xanchor": "right",
    }
    return drawn(
        traces,
        look,
        title=f"feature {result.feature[row]} on the texts of {readable(result.concept)[:60]}",
        height=HEIGHT,
        annotations=[note(f"held-out AUC {auc}", look, yanchor="top", **place)],
        xaxis={
            "title": {"text": "texts"},
            "tickmode": "array",
            "tickvals": [0, 1],
            "ticktext": ["positive", "negative"],
            "range": [-0.6, 1.6],
            "showgrid": False,
        },
        yaxis={"title": {"text": f"{result.pool} over tokens, written length"}},
    )


def _sparse(result: FeatureConcept, look: Look) -> go.Figure:
    ks = result.sparse_k
    traces = [
        curve(ks, result.sparse_accuracy, look, role="a", name="chosen features"),
        curve(
            ks, result.random_accuracy, look, role="control", name="random features", dash="dash"
        ),
    ]
    shapes, notes = [], []
    for value, words, dash in (
        (result.dense_accuracy, "probe on all the dictionary reads", "dot"),
        (result.majority, "always the commoner side", "dashdot"),
    ):
        line = {"color": colour("muted", look), "width": 1.2, "dash": dash}
        span = {"type": "line", "x0": 0, "x1": 1, "xref": "x domain", "y0": value, "y1": value}
        shapes.append({**span, "line": line})
        place: dict[str, Any] = {
            "x": 1,
            "xref": "x domain",
            "y": value,
            "xanchor": "right",
            "yanchor": "bottom",
        }
        notes.append(note(words, look, **place))
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1},
        shapes=shapes,
        annotations=notes,
        xaxis={"title": {"text": "features in the probe"}, "tickvals": ks.tolist()},
        yaxis={"title": {"text": "held-out accuracy"}, "range": [0, 1.05]},
    )
