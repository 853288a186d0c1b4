"""What the heads of two tasks share beyond chance, and what breaks without them."""

import numpy as np
import plotly.graph_objects as go

from core.figures import shared_sets
from core.figures.theme import BOTTOM, TOP, Look, colour, drawn
from core.figures.wording import count, escaped, number
from core.results.head_overlap import HeadOverlap
from core.spec.errors import Error

VIEWS = ("effects", "overlap", "silent")


def figure(
    result: HeadOverlap, look: Look, *, view: str = "effects", a: int = 0, b: int = 1
) -> go.Figure:
    """view "effects": every head on tasks a and b; "overlap": every pair; "silent": nats lost."""
    if view not in VIEWS:
        raise Error(f"shared heads are drawn as {', '.join(VIEWS)}, not {view!r:.40}")
    if not all(0 <= task < len(result.names) for task in (a, b)):
        raise Error(f"there are tasks 0 to {len(result.names) - 1}, not {a} and {b}")
    if view == "effects":
        return _effects(result, look, a, b)
    return _matrix(result, look) if view == "overlap" else _silent(result, look)


def title(result: HeadOverlap) -> str:
    """The pair that shares most, in words."""
    return shared_sets.pair_title(
        result.names, result.corrected, result.overlap, result.expected, "head"
    )


def caption(result: HeadOverlap) -> str:
    """The control and the sample, in words."""
    tasks = "; ".join(
        f"{shared_sets.name(name)}: {n} + {held} cases of {fit} that fit ({written} written), "
        f"{number(100 * right)} % right"
        for name, n, held, fit, written, right in zip(
            result.names,
            result.n_cases,
            result.n_held,
            result.n_fitting,
            result.n_written,
            result.right.tolist(),
            strict=True,
        )
    )
    return (
        "control: the hypergeometric expectation of each layer is taken off (0 chance, 1 equal; "
        f"diagonal: two halves of one task's cases), and {count(result.n_random, 'random set')} of "
        f"other heads, as many in every layer; sets: the {result.share:.0%} of all heads with the "
        f"largest effect, ablated to {result.to}; {tasks}"
    )


def _effects(result: HeadOverlap, look: Look, a: int, b: int) -> go.Figure:
    x, y = result.effect[a].ravel(), result.effect[b].ravel()
    inside = result.chosen[a].ravel() + 2 * result.chosen[b].ravel()
    first, second = (escaped(shared_sets.name(result.names[task])) for task in (a, b))
    layers, heads = np.indices(result.effect.shape[1:]).reshape(2, -1)
    hover = np.array(
        [
            f"<b>L{layer}.head[{head}]</b><br>{first} "
            f"{number(u, sign=True)} ± {number(p)} nats<br>{second} "
            f"{number(v, sign=True)} ± {number(q)} nats"
            for layer, head, u, v, p, q in zip(
                layers.tolist(),
                heads.tolist(),
                x,
                y,
                result.error[a].ravel(),
                result.error[b].ravel(),
                strict=True,
            )
        ],
        dtype=object,
    )
    kinds = (
        (0, "in neither set", "control", "circle"),
        (1, f"only {first}", "a", "square"),
        (2, f"only {second}", "b", "diamond"),
        (3, "in both sets", "clamped", "star"),
    )
    traces = [
        go.Scatter(
            x=x[inside == kind].astype(float),
            y=y[inside == kind].astype(float),
            mode="markers",
            name=name,
            marker={"size": 9, "symbol": symbol, "color": colour(role, look)},
            hovertext=hover[inside == kind],
            hovertemplate="%{hovertext}<extra></extra>",
        )
        for kind, name, role, symbol in kinds
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + 340 + BOTTOM,
        showlegend=True,
        legend={"y": 1.0},
        xaxis={"title": {"text": f"{first}: nats lost"}},
        yaxis={"title": {"text": f"{second}: nats lost"}},
    )


def _matrix(result: HeadOverlap, look: Look) -> go.Figure:
    def line(x: int, y: int) -> str:
        jaccard = f"Jaccard {number(result.jaccard[x, y])}<br>"
        if x == y:
            return f"{jaccard}two halves of one task's cases"
        both, chance = result.overlap[x, y].sum(), result.expected[x, y].sum()
        return f"{jaccard}{count(int(both), 'head')}, by chance {number(chance)}"

    return shared_sets.overlap_map(
        result.names, result.corrected, look, title=title(result), kind="task", line=line
    )


def _silent(result: HeadOverlap, look: Look) -> go.Figure:
    return shared_sets.silent_map(
        result.silenced,
        result.silenced_size,
        result.names,
        result.lost,
        look,
        title=title(result),
        unit="head",
        bar="log p lost (nats)",
        empty="no head raises any answer",
    )
