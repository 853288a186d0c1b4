"""How far heads need to see: losses with one head, or every head, on its shard."""

import numpy as np
import plotly.graph_objects as go

from core.figures.head_pair import head_pair, strongest
from core.figures.lines import curve
from core.figures.task_bars import bars, cases
from core.figures.theme import BOTTOM, TOP, Look, drawn
from core.figures.wording import count, number
from core.results.sharding import Sharding
from core.spec.errors import Error

VIEWS = ("heads", "sweep", "hidden", "tasks")
HEIGHT = 300


def figure(result: Sharding, look: Look, *, view: str = "heads") -> go.Figure:
    """view "heads": range need; "sweep": against local blocks; "hidden": against what is hidden."""
    if view not in VIEWS:
        raise Error(f"sharding is drawn as {', '.join(VIEWS)}, not {view!r:.40}")
    if view == "heads":
        return _heads(result, look)
    if view == "sweep":
        return _sweep(result, look)
    return _hidden(result, look) if view == "hidden" else _tasks(result, look)


def title(result: Sharding) -> str:
    """The head that needs its range most, in words."""
    layer, head = strongest(result.need)
    return (
        f"L{layer}.head[{head}] alone on its shard costs {number(result.need[layer, head])} "
        f"± {number(result.error[layer, head])} nats per token (random blocks "
        f"{number(result.control[layer, head], sign=True)})"
    )


def caption(result: Sharding) -> str:
    """The control and the sample, in words."""
    return (
        "control: as many blocks at random; a shard: "
        f"{count(result.local, 'local block')} of {count(result.block, 'token')} and every "
        f"{result.stride}th block before; {count(result.n_texts, 'window')}, "
        f"{result.n_tokens:,} tokens foretold{cases(result.tasks, result.n_cases)}"
    )


def _heads(result: Sharding, look: Look) -> go.Figure:
    return head_pair(
        result.need,
        result.control,
        look,
        title=title(result),
        words="loss gained on its shard",
        control_words="random blocks",
        unit="nats per token",
        more={"standard error": result.error, "attention hidden": result.hidden},
    )


def _sweep(result: Sharding, look: Look) -> go.Figure:
    x = result.sweep_local * result.block
    traces = [
        curve(x, result.sweep, look, role="a", name="every head on its shard"),
        curve(
            x,
            result.sweep_random,
            look,
            role="control",
            name="as many blocks at random",
            dash="dash",
        ),
        curve(x, np.full(len(x), result.loss), look, role="text", name="as it is", dash="dot"),
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + HEIGHT + BOTTOM,
        showlegend=True,
        legend={"y": 1.0},
        xaxis={
            "title": {"text": "local tokens"},
            "type": "log",
            "tickvals": x.tolist(),
            "ticktext": [f"{n:,}" for n in x.tolist()],
        },
        yaxis={"title": {"text": "loss (nats per token)"}},
    )


def _hidden(result: Sharding, look: Look) -> go.Figure:
    layers, heads = np.indices(result.need.shape).reshape(2, -1)
    hover = np.array(
        [
            f"<b>L{layer}.head[{head}]</b><br>{number(100 * hidden)} % of its attention hidden<br>"
            f"{number(need, sign=True)} ± {number(error)} nats per token"
            for layer, head, hidden, need, error in zip(
                layers.tolist(),
                heads.tolist(),
                result.hidden.ravel(),
                result.need.ravel(),
                result.error.ravel(),
                strict=True,
            )
        ],
        dtype=object,
    )
    dots = go.Scatter(
        x=result.hidden.ravel().astype(float),
        y=result.need.ravel().astype(float),
        mode="markers",
        marker={"size": 9, "color": layers.astype(float), "colorscale": "Viridis"},
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
    )
    return drawn(
        [dots],
        look,
        title=title(result),
        height=TOP + HEIGHT + BOTTOM,
        xaxis={"title": {"text": "share of its attention that the shard hides"}, "range": [0, 1]},
        yaxis={"title": {"text": "loss gained (nats per token)"}},
    )


def _tasks(result: Sharding, look: Look) -> go.Figure:
    ways = ((1, "every head on its shard", "a"), (2, "random", "control"))
    lost = [(result.log_p[0] - result.log_p[place], words, role) for place, words, role in ways]
    return bars(result.tasks, lost, look, title=title(result), in_context=result.in_context)
