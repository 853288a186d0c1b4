"""What the heads of two tasks share beyond chance, and what breaks without them."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, note, signed
from core.figures.wording import count, escaped, number, readable
from core.results.head_overlap import HeadOverlap
from core.spec.errors import Error

VIEWS = ("effects", "overlap", "silent")
NAME = 28


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
    pairs = [(x, y) for x in range(len(result.names)) for y in range(x)]
    x, y = max(pairs, key=lambda pair: result.corrected[pair])
    both, chance = result.overlap[x, y].sum(), result.expected[x, y].sum()
    most = "" if len(pairs) == 1 else " most"
    return (
        f"“{_name(result.names[y])}” and “{_name(result.names[x])}” share{most}: "
        f"{count(int(both), 'head')}, by chance {number(chance)}"
    )


def caption(result: HeadOverlap) -> str:
    """The control and the sample, in words."""
    tasks = "; ".join(
        f"{_name(name)}: {n} + {held} cases of {fit} that fit ({written} written), "
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


def _name(name: str) -> str:
    return readable(name.replace("_", " "))[:NAME]


def _effects(result: HeadOverlap, look: Look, a: int, b: int) -> go.Figure:
    x, y = result.effect[a].ravel(), result.effect[b].ravel()
    inside = result.chosen[a].ravel() + 2 * result.chosen[b].ravel()
    layers, heads = np.indices(result.effect.shape[1:]).reshape(2, -1)
    hover = np.array(
        [
            f"<b>L{layer}.head[{head}]</b><br>{escaped(_name(result.names[a]))} "
            f"{number(u, sign=True)} ± {number(p)} nats<br>{escaped(_name(result.names[b]))} "
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
        (1, f"only {_name(result.names[a])}", "a", "square"),
        (2, f"only {_name(result.names[b])}", "b", "diamond"),
        (3, "in both sets", "clamped", "star"),
    )
    traces = [
        go.Scatter(
            x=x[inside == kind].astype(float),
            y=y[inside == kind].astype(float),
            mode="markers",
            name=escaped(name),
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
        xaxis={"title": {"text": f"{escaped(_name(result.names[a]))}: nats lost"}},
        yaxis={"title": {"text": f"{escaped(_name(result.names[b]))}: nats lost"}},
    )


def _named(names: tuple[str, ...], words: str) -> dict[str, object]:
    return {
        "title": {"text": words},
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(_name(name)) for name in names],
        "showgrid": False,
    }


def _matrix(result: HeadOverlap, look: Look) -> go.Figure:
    n = len(result.names)
    hover = np.array(
        [
            [
                f"<b>{escaped(_name(result.names[x]))}</b> and "
                f"<b>{escaped(_name(result.names[y]))}</b><br>corrected Jaccard "
                f"{number(result.corrected[x, y])}<br>Jaccard {number(result.jaccard[x, y])}"
                + (
                    "<br>two halves of one task's cases"
                    if x == y
                    else f"<br>{count(int(result.overlap[x, y].sum()), 'head')}, by chance "
                    f"{number(result.expected[x, y].sum())}"
                )
                for y in range(n)
            ]
            for x in range(n)
        ],
        dtype=object,
    )
    cells = grid.cells(
        result.corrected.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=hover,
        text=_printed(result.corrected),
        bar=colour_bar("corrected Jaccard", look),
    )
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + 44 * max(n, 3) + BOTTOM + 20,
        margin={"l": 160, "b": 56},
        xaxis=_named(result.names, "task") | {"range": [-0.5, n - 0.5]},
        yaxis=_named(result.names, "task") | {"range": [n - 0.5, -0.5]},
    )


def _silent(result: HeadOverlap, look: Look) -> go.Figure:
    z, control = result.lost[:, :, 0], result.lost[:, :, 1:].mean(2)
    most = max(float(np.abs(z).max(initial=0)), 1e-3)
    hover = np.array(
        [
            [
                f"<b>{escaped(_name(what))}</b> silent "
                f"({count(int(result.silenced_size[x]), 'head')})<br>{escaped(_name(task))}: "
                f"{number(z[x, y], sign=True)} nats<br>random sets "
                f"{number(control[x, y], sign=True)}"
                for y, task in enumerate(result.names)
            ]
            for x, what in enumerate(result.silenced)
        ],
        dtype=object,
    ).reshape(z.shape)
    n, tasks = max(len(z), 1), len(result.names)
    layout = {}
    if not len(z):
        layout["annotations"] = [note("no head raises any answer", look, x=0.5, y=0.5)]
    cells = grid.cells(
        z.astype("float32"),
        scale=signed(look),
        limits=(-most, most),
        hover=hover,
        text=_printed(z),
        bar=colour_bar("log p lost (nats)", look),
    )
    names = tuple(
        f"{_name(name)} ({size})"
        for name, size in zip(result.silenced, result.silenced_size.tolist(), strict=True)
    )
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + 44 * max(n, 2) + BOTTOM + 20,
        margin={"l": 200, "b": 56},
        xaxis=_named(result.names, "measured on") | {"range": [-0.5, tasks - 0.5]},
        yaxis=_named(names, "silent") | {"range": [n - 0.5, -0.5]},
        **layout,
    )


def _printed(z: np.ndarray) -> np.ndarray:
    text = [[number(round(float(v), 2), sign=True) for v in row] for row in z]
    return np.array(text, dtype=object).reshape(z.shape)
