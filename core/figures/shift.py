"""What changed from one model to another: directions, steering by them, heads and neurons."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import (
    BOTTOM,
    TOP,
    UNSIGNED,
    Look,
    colour,
    colour_bar,
    drawn,
    note,
    rounded_up,
)
from core.figures.wording import count, escaped, number, quoted
from core.results.shift import Shift
from core.spec.errors import Error

VIEWS = ("steering", "direction", "dose", "heads", "neurons", "texts")
MOST_NEURONS, MOST_TEXTS = 25, 24


def figure(result: Shift, look: Look, *, view: str = "", layer: int | None = None) -> go.Figure:
    """One view of what changed, its control beside it.

    view   "steering": what share of the difference the shift makes up for, layer by layer; "dose":
           the same over strengths; "direction": how long and how steady it is; "heads", "neurons":
           which changed most; "texts": which texts moved furthest, behind `layer`; "": steering,
           or direction where there is nothing to steer for
    """
    view = view or ("steering" if np.isfinite(result.recovered).any() else "direction")
    views = {"steering": _steering, "direction": _direction, "dose": _dose, "heads": _heads,
             "neurons": _neurons}  # fmt: skip
    if view == "texts":
        return _texts(result, look, result.best if layer is None else layer)
    if view not in views:
        raise Error(f"a shift is seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")
    return views[view](result, look)


def _can_steer(result: Shift) -> None:
    if not np.isfinite(result.kl_before).any():
        raise Error(next((n for n in result.notes if n.startswith("no steering")), "no steering"))


def _steering(result: Shift, look: Look) -> go.Figure:
    _can_steer(result)
    if not np.isfinite(result.recovered).any():
        raise Error("both models answer these texts alike, so a shift has nothing to make up for")
    x = np.arange(len(result.length))
    names = _raised(result)
    traces = [
        lines.curve(x, result.recovered_own, look, role="c", name="each text's own shift",
                    dash="dot", symbol="diamond"),
        lines.curve(x, result.recovered, look, role="a", name="the mean shift"),
        lines.curve(x, result.recovered_random, look, role="control", name="random directions",
                    dash="dash", symbol="x"),
    ]  # fmt: skip
    traces[1].update(
        hovertext=[
            f"layer {i}: {number(v)}<br>raises {names[i]}" for i, v in enumerate(result.recovered)
        ],
        hovertemplate="%{hovertext}<extra></extra>",
    )
    low = float(np.nanmin([result.recovered, result.recovered_random]))
    return drawn(
        traces,
        look,
        title=title(result),
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis=grid.number_axis(
            len(x), f"layer of {escaped(result.models[0][:30])} behind which it is added"
        ),
        yaxis={"title": {"text": "share of the difference made up (KL)"},
               "range": [max(-1.0, min(-0.1, low - 0.05)), 1.05]},
    )  # fmt: skip


def _raised(result: Shift) -> list[str]:
    return [escaped(quoted(*row[:5])) if row else "nothing known" for row in result.raises]


def _direction(result: Shift, look: Look) -> go.Figure:
    x = np.arange(len(result.length))
    chance = result.control_separation.mean(axis=1)
    measures = (
        ("length over that of the stream", result.length, None, "a"),
        ("texts agree (cosine)", result.consistency, result.control_consistency, "b"),
        ("halves agree (cosine)", result.split_half, None, "c"),
        ("tells the models apart (AUC)", result.separation, chance, "clamped"),
    )
    traces = []
    for name, values, control, role in measures:
        traces.append(lines.curve(x, values, look, role=role, name=name))
        if control is not None:
            traces.append(
                lines.curve(x, control, look, role=role, name=f"{name}, random signs", dash="dash",
                            symbol="x", showlegend=False)
            )  # fmt: skip
    top = max(1.05, 1.1 * float(np.nanmax(result.length)))
    return drawn(
        traces,
        look,
        title=title(result),
        height=380,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 110},
        xaxis=grid.number_axis(len(x), "layer"),
        yaxis={"title": {"text": "see the legend"}, "range": [-0.35, top]},
    )


def _dose(result: Shift, look: Look) -> go.Figure:
    _can_steer(result)
    x = result.doses
    low, high = result.kl_dose_random.min(axis=1), result.kl_dose_random.max(axis=1)
    before = float(result.kl_before.mean())
    traces = [
        *lines.band(x, low, high, look, role="control", alpha=0.3),
        lines.curve(x, result.kl_dose_random.mean(axis=1), look, role="control",
                    name="random directions", dash="dash", symbol="x"),
        lines.curve(x, result.kl_dose, look, role="a", name="the mean shift"),
        lines.curve(x, np.full(len(x), before), look, role="b", name="without", dash="dot"),
    ]  # fmt: skip
    return drawn(
        traces,
        look,
        title=f"The shift added behind layer {result.best} at several strengths",
        height=360,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": "multiple of the shift"}, "type": "log", "tickmode": "array",
               "tickvals": x.tolist(), "ticktext": [f"{value:g}" for value in x]},
        yaxis={"title": {"text": f"KL from {escaped(result.models[1][:24])}, nats"},
               "rangemode": "tozero"},
    )  # fmt: skip


def _heads(result: Shift, look: Look) -> go.Figure:
    values = result.head_wrote
    control = result.control_head_wrote
    limit = rounded_up(float(values.max(initial=0.0)))
    hover = [
        [
            f"L{i}.head[{j}]<br>what it writes changed by {number(values[i, j])}<br>between two "
            f"unrelated tokens {number(control[i, j])}<br>its output matrix by "
            f"{number(result.head_weights[i, j])} of its length (another head "
            f"{number(result.control_head_weights[i, j])})"
            for j in range(values.shape[1])
        ]
        for i in range(len(values))
    ]
    cells = grid.cells(
        values.astype("float32"),
        scale=UNSIGNED,
        limits=(0.0, limit),
        hover=np.array(hover, dtype=object),
        bar=colour_bar("change of what a head writes, stream units", look),
    )
    return drawn(
        [cells],
        look,
        title=_most(result, "head"),
        height=TOP + grid.rows_height(len(values)) + BOTTOM + 40,
        margin={"b": BOTTOM + 40},
        annotations=[note(
            f"between unrelated tokens: {number(control.mean())} on average", look,
            x=0, y=0, yshift=-58, xref="paper", yref="paper", xanchor="left",
        )],
        xaxis=grid.number_axis(values.shape[1], "head"),
        yaxis=grid.number_axis(len(values), "layer"),
    )  # fmt: skip


def _neurons(result: Shift, look: Look) -> go.Figure:
    if not result.neuron_wrote.size:
        raise Error("neurons are left out: this model keeps no single neurons to compare")
    values, control = result.neuron_wrote, result.control_neuron_wrote
    places = np.argsort(-values, axis=None, kind="stable")[:MOST_NEURONS]
    at = np.unravel_index(places, values.shape)
    y = np.arange(len(places))
    names = [f"{_stack(result)}L{i}.neuron[{j}]" for i, j in zip(*at, strict=True)]
    hover = [
        f"{name}<br>what it writes changed by {number(values[i, j])}<br>between unrelated tokens "
        f"{number(control[i, j])}<br>its weights by {number(result.neuron_weights[i, j])} of their "
        f"length (another neuron {number(result.control_neuron_weights[i, j])})"
        for name, i, j in zip(names, *at, strict=True)
    ]
    return drawn(
        [
            lines.ranges(np.zeros(len(y)), control[at], y, look, name="up to unrelated tokens"),
            go.Scatter(
                x=values[at], y=y, mode="markers", name="between the models",
                marker={"size": 9, "color": colour("a", look)}, hovertext=hover,
                hovertemplate="%{hovertext}<extra></extra>",
            ),
        ],
        look,
        title=_most(result, "neuron"),
        height=TOP + 50 + BOTTOM + 22 * len(y),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": "change of what it writes, stream units"}, "rangemode": "tozero"},
        yaxis=lines.rows_axis(names),
    )  # fmt: skip


def _texts(result: Shift, look: Look, layer: int) -> go.Figure:
    values = result.moved[layer]
    order = np.argsort(-values, kind="stable")[:MOST_TEXTS]
    y = np.arange(len(order))
    middle = np.quantile(values, (0.25, 0.75))
    names = [result.texts[at] for at in order]
    shown = [text if len(text) <= 46 else "… " + text[-44:] for text in names]
    return drawn(
        [
            lines.ranges(np.full(len(y), middle[0]), np.full(len(y), middle[1]), y, look,
                         name="middle half of the texts"),
            go.Scatter(
                x=values[order], y=y, mode="markers", name="length of its shift",
                marker={"size": 9, "color": colour("a", look)},
                hovertext=[escaped(text) for text in names],
                hovertemplate="%{hovertext}<br>%{x:.3~g}<extra></extra>",
            ),
        ],
        look,
        title=f"Texts whose state behind layer {layer} moved furthest",
        height=TOP + 50 + BOTTOM + 22 * len(order),
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 90},
        xaxis={"title": {"text": "length of the shift over that of the stream"},
               "rangemode": "tozero"},
        yaxis=lines.rows_axis(shown),
    )  # fmt: skip


def _stack(result: Shift) -> str:
    return f"{result.stack}." if result.stack else ""


def _most(result: Shift, unit: str) -> str:
    values = getattr(result, f"{unit}_wrote")
    control = getattr(result, f"control_{unit}_wrote")
    layer, number_ = np.unravel_index(int(values.argmax()), values.shape)
    return (
        f"Most changed: {_stack(result)}L{layer}.{unit}[{number_}], by "
        f"{number(values[layer, number_])} (unrelated tokens {number(control[layer, number_])})"
    )


def title(result: Shift) -> str:
    """What the shift makes up for, or what it is, in words."""
    one, two = result.models
    if result.same:
        return f"{one} twice: nothing is shifted"
    best = result.best
    if not np.isfinite(result.recovered).any():
        return f"{one} to {two}: a shift of {number(result.length.max())} of the stream's length"
    return (
        f"Added behind layer {best}, the shift takes {one} {result.recovered[best]:.0%} of the way "
        f"to {two} (random directions {result.recovered_random[best]:.0%})"
    )


def caption(result: Shift) -> str:
    """The control and the sample, in words."""
    parts = [
        f"directions of {count(len(result.found), 'text')} ({result.source}), at the "
        f"{result.position} token{'s' if result.position == 'mean' else ''}; tested on "
        f"{len(result.tested)} others"
    ]
    if np.isfinite(result.kl_before).any():
        parts.append(
            f"KL before {number(result.kl_before.mean())} nats, one first choice in "
            f"{result.agree_before:.0%}; control, {result.n_random} random directions of the same "
            "length, drawn where states differ"
        )
    parts.append(f"units over {count(result.n_tokens, 'token')}; seed {result.seed}")
    return "; ".join([*parts, *result.notes])
