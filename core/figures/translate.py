"""A direction carried into another model: does it tell there what it told here, and push it?"""

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.theme import Look, drawn
from core.figures.wording import count, escaped, number, quoted
from core.results.translate import Translate
from core.spec.errors import Error

VIEWS = ("reading", "steering", "direction")


def figure(result: Translate, look: Look, *, view: str = "reading") -> go.Figure:
    """One view of the carried direction, its control beside it, layer by layer.

    view  "reading": how well it tells held-out items apart in the other model; "steering": how far
          adding it there moves answers the concept's way; "direction": its cosine with the other
          model's own, and how good the map is
    """
    views = {"reading": _reading, "steering": _steering, "direction": _direction}
    if view not in views:
        raise Error(f"a carried direction is seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")
    return views[view](result, look)


def _reading(result: Translate, look: Look) -> go.Figure:
    x = np.arange(len(result.counterpart))
    random = np.abs(result.auc_random - 0.5) + 0.5
    one, two = (name[:20] for name in result.models)
    traces = lines.band(x, 1 - random.max(axis=1), random.max(axis=1), look, role="control")
    traces[-1].update(name="random directions", showlegend=True)
    traces += [
        lines.curve(x, result.auc_here, look, role="a", name=f"in {one}", dash="dot"),
        lines.curve(x, result.auc_own, look, role="b", name=f"{two}'s own", dash="dash",
                    symbol="square"),
        _told(lines.curve(x, result.auc_carried, look, role="c", name=f"carried into {two}",
                          symbol="diamond"), result, result.auc_carried, "AUC"),
        lines.curve(x, result.auc_lost, look, role="control", name="by a map of shuffled texts",
                    dash="dot", symbol="x"),
    ]  # fmt: skip
    return _drawn(traces, result, look, "AUC on held-out items", [-0.03, 1.05])


def _told(trace: go.Scatter, result: Translate, values: np.ndarray, what: str) -> go.Scatter:
    trace.update(
        hovertext=[
            f"layer {i} to layer {j}: {what} {number(value)}<br>cosine with the own one "
            f"{number(result.cosine[i])}, map R² {number(result.map_r2[i])}<br>raises there "
            f"{escaped(quoted(*result.raises[i][:5])) if result.raises[i] else 'nothing known'}"
            for i, (j, value) in enumerate(zip(result.counterpart, values, strict=True))
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    return trace


def _steering(result: Translate, look: Look) -> go.Figure:
    if not np.isfinite(result.effect_carried).any():
        raise Error(next((n for n in result.notes if n.startswith("no steering")), "no steering"))
    x = np.arange(len(result.counterpart))
    low, high = result.effect_random.min(axis=1), result.effect_random.max(axis=1)
    traces = lines.band(x, low, high, look, role="control", alpha=0.3)
    traces[-1].update(name="random directions", showlegend=True)
    traces += [
        lines.curve(x, result.effect_own, look, role="b", name=f"{result.models[1][:20]}'s own",
                    dash="dash", symbol="square"),
        _told(lines.curve(x, result.effect_carried, look, role="c", name="carried",
                          symbol="diamond"), result, result.effect_carried, "effect"),
    ]  # fmt: skip
    every = np.concatenate([result.effect_own, result.effect_carried, low, high])
    span = [float(min(-0.1, every.min() - 0.05)), float(max(1.05, every.max() + 0.05))]
    return _drawn(traces, result, look, "share of the concept's own move, 1 is all of it", span)


def _direction(result: Translate, look: Look) -> go.Figure:
    x = np.arange(len(result.counterpart))
    chance = np.abs(result.control_cosine).max(axis=1)
    traces = lines.band(x, -chance, chance, look, role="control", alpha=0.3)
    traces[-1].update(name="random directions", showlegend=True)
    traces += [
        lines.curve(x, result.map_r2, look, role="a", name="held-out R² of the map", dash="dot"),
        lines.curve(x, result.cosine, look, role="c", name="cosine with the own direction",
                    symbol="diamond"),
    ]  # fmt: skip
    return _drawn(traces, result, look, "cosine, and R²", [-0.6, 1.05])


def _drawn(
    traces: list[go.Scatter], result: Translate, look: Look, words: str, span: list[float]
) -> go.Figure:
    names = [f"{i}→{j}" for i, j in enumerate(result.counterpart)]
    return drawn(
        traces,
        look,
        title=title(result),
        height=390,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 112},
        xaxis={"title": {"text": "layer here → layer there"}, "tickmode": "array",
               "tickvals": list(range(len(names))), "ticktext": names},
        yaxis={"title": {"text": words}, "range": span},
    )  # fmt: skip


def title(result: Translate) -> str:
    """How well the carried direction reads at its best layer, in words."""
    one, two = result.models
    best = result.best
    return (
        f"{result.concept} carried from {one} into {two}: AUC "
        f"{number(result.auc_carried[best])} behind layer {result.counterpart[best]} "
        f"(its own {number(result.auc_own[best])}, random directions up to "
        f"{number(result.chance(best))})"
    )


def caption(result: Translate) -> str:
    """The control and the sample, in words."""
    parts = [
        f"map learned from {count(result.n_map, 'text')} ({result.map_source}), none of the "
        f"concept's, held-out R² {number(result.map_r2.min())} to {number(result.map_r2.max())}",
        f"{result.n_positive} positive and {result.n_negative} negative texts, "
        f"{'last tokens' if result.position == 'last' else 'means over tokens'}, five folds",
        f"control: {result.auc_random.shape[1]} random directions through the same map, and a map "
        "of shuffled texts",
    ]
    if result.n_tested:
        parts.append(
            f"steering on {count(result.n_tested, 'negative text')} at strength "
            f"{number(result.strength)}"
        )
    return "; ".join([*parts, f"seed {result.seed}", *result.notes])
