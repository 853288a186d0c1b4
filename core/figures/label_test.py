"""A typed label and the texts it should fit: likeness of each, beside random words as labels."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import dots, rows_axis
from core.figures.theme import Look, drawn
from core.figures.wording import count, number, readable
from core.results.label_test import LabelTest

KINDS = ("fires strongly", "fires", "fires weakly", "nearest features", "random tokens")
HEIGHT = 300


def figure(result: LabelTest, look: Look) -> go.Figure:
    """Cosine of label and context, by what the feature does there; a dot is a context."""
    row = np.array([_kind(kind) for kind in result.kind])
    drawn_from = np.random.default_rng(0)
    away = drawn_from.uniform(-0.25, 0.25, len(row))
    traces = [
        dots(
            result.similarity[side], (row + away)[side], look, role=role, name=name, size=6,
            opacity=0.7,
        )
        for side, role, name in (
            (result.active, "a", "the feature fires"), (~result.active, "b", "it is silent")
        )
        if np.isfinite(result.similarity[side]).any()
    ]  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"l": 120, "r": 16, "t": 84},
        xaxis={"title": {"text": "cosine of label and context, means removed"}},
        yaxis=rows_axis(KINDS),
    )


def title(result: LabelTest) -> str:
    """The label and how well it tells contexts apart."""
    said = f"“{readable(result.label)[:60]}”" if result.label else "no label"
    if not np.isfinite(result.auc):
        return f"{result.site}, {said}: not tested"
    return f"{result.site}, {said}: AUC {number(result.auc)} (random words {_chance(result)})"


def caption(result: LabelTest) -> str:
    """Controls and sample, in words."""
    n = int(result.active.sum())
    parts = [
        f"{count(n, 'context')} of {result.corpus} in which it fires, {len(result.active) - n} in "
        "which it is silent, from documents that no rule was chosen on"
    ]
    if np.isfinite(result.auc):
        high = number(np.quantile(result.control_auc, 0.95))
        parts.append(
            f"AUC {number(result.auc_low)} to {number(result.auc_high)} (95 %), against the "
            f"nearest features {number(result.auc_hard)}; control, "
            f"{count(len(result.control_auc), 'random word')}: {_chance(result)}, 95 % below {high}"
        )
    if np.isfinite(result.surprisal):
        other = ", ".join(number(value, sign=True) for value in result.control_surprisal)
        parts.append(
            f"the label in front helps contexts in which it fires by "
            f"{number(result.surprisal, sign=True)} nats a token more (random words {other})"
        )
    if np.isfinite(result.f1):
        parts.append(f"fires on the label's words: F1 {number(result.f1)}")
    if np.isfinite(result.odd_share):
        parts.append(f"odd context found in {result.odd_share:.0%} of rounds (chance 20%)")
    return "; ".join([*parts, *(readable(why) for why in result.missing)])


def _chance(result: LabelTest) -> str:
    return number(np.mean(result.control_auc)) if len(result.control_auc) else "none"


def _kind(kind: str) -> int:
    if kind.startswith("tenth"):
        return {1: 0, 2: 0, 3: 0, 8: 2, 9: 2, 10: 2}.get(int(kind.split()[1]), 1)
    return 3 if kind == "hard" else 4
