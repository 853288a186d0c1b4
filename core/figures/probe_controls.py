"""What a probe needs before it reads a concept: texts, bits, dimensions."""

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import band, curve
from core.figures.probe_family import layers, state
from core.figures.theme import Look, colour, drawn, note
from core.figures.wording import count, escaped, number, readable
from core.results.probe_controls import ProbeControls
from core.spec.errors import Error

VIEWS = ("bits", "sizes", "dimensions")
HEIGHT = 380
MOST_BITS = 1.8


def figure(
    result: ProbeControls, look: Look, *, view: str = "bits", layer: int | None = None
) -> go.Figure:
    """One view; grey is the same on shuffled labels.

    view   "bits" by layer, or at one layer "sizes" or "dimensions"
    layer  row of the stream, 0 the embedding; None the one with the fewest bits
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    row = result.best if layer is None else layer
    if not 0 <= row <= result.n_layers:
        raise Error(f"layer= is a row from 0 (the embedding) to {result.n_layers}, not {layer}")
    if view == "bits":
        return _bits(result, look)
    return _sizes(result, look, row) if view == "sizes" else _dimensions(result, look, row)


def title(result: ProbeControls) -> str:
    """The shortest code and what else it takes there, in words."""
    row, bits = result.best, float(result.bits.mean(axis=0).min())
    name = readable(result.concept)[:60]
    shuffled = float(result.control_bits[:, row].mean())
    if bits >= min(float(result.entropy[0]), result.control_bits[:, row].min()):
        return (
            f"{name}: no layer makes the labels shorter than shuffled ones (at best "
            f"{number(bits)} bits a text; shuffled {number(shuffled)})"
        )
    enough, few = result.enough(row), result.few(row)
    words = "" if enough is None else f"; {count(enough, 'text')} {_s('teach', enough)} it"
    if few is not None:
        words += f", {count(few, 'dimension')} {_s('hold', few)} it"
    return (
        f"{name}: the labels take {number(bits)} bits a text behind {state(row)} (shuffled "
        f"{number(shuffled)}){words}"
    )


def _s(verb: str, n: int) -> str:
    return f"{verb}{'es' if verb == 'teach' else 's'}" if n == 1 else verb


def caption(result: ProbeControls) -> str:
    """The controls, the code and the sample, in words."""
    parts = [
        f"logistic probe, C = {number(result.c)} on standardised states (the code takes the best "
        f"of {len(result.penalties)} penalties and pays for it), state at {result.position}",
        f"{count(result.n_texts, 'text')}, {result.n_positive} {result.positive}, "
        f"{count(result.n_groups, 'group')} in {result.n_folds} folds",
        f"grey: labels shuffled {result.n_shuffles} times ({result.n_few_shuffles} times for "
        "texts and dimensions); dots: random directions",
        f"code in blocks that end at {', '.join(f'{int(n):,}' for n in result.block)} texts, "
        f"{result.n_orders} orders; knowing the shares of the classes alone: "
        f"{number(result.entropy[0])} bits",
        f"seed {result.seed}",
        *result.notes,
    ]
    return "; ".join(parts)


def _bits(result: ProbeControls, look: Look) -> go.Figure:
    x = np.arange(result.n_layers + 1)
    low, high = np.quantile(result.control_bits, (0.05, 0.95), axis=0)
    shown = min(MOST_BITS, float(high.max()))  # a sure probe of shuffled labels pays without end
    traces = [
        *band(x, low, high, look, role="control", alpha=0.3),
        _shuffled(x, result.control_bits.mean(axis=0), look),
        *band(x, result.bits.min(axis=0), result.bits.max(axis=0), look, role="a"),
        curve(x, result.bits.mean(axis=0), look, role="a", name="online code, mean of orders"),
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100},
        shapes=[_level(1.0, look)],
        annotations=[
            note("one bit: nothing learned", look, x=1, xref="x domain", y=1, yref="y",
                 xanchor="right", yanchor="bottom")
        ],
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "bits a text"},
               "range": [0, 1.05 * max(1.05, shown, float(result.bits.max()))]},
    )  # fmt: skip


def _sizes(result: ProbeControls, look: Look, row: int) -> go.Figure:
    x, control = result.size, result.control_size_auc[:, :, row]
    ends = result.size_auc_low[:, row], result.size_auc_high[:, row]
    traces = [
        *band(x, control.min(axis=0), control.max(axis=0), look, role="control", alpha=0.3),
        _shuffled(x, control.mean(axis=0), look),
        *band(x, *ends, look, role="a"),
        curve(x, result.size_auc[:, row], look, role="a", name=f"behind {state(row)}"),
    ]
    if row:
        traces.append(
            curve(x, result.size_auc[:, 0], look, role="b", name="embedding", dash="dash")
        )
    return _at(result, look, traces, f"How many texts teach it behind {state(row)}",
               {"title": {"text": "texts learned from"}, "type": "log", **_ticks(x)})  # fmt: skip


def _dimensions(result: ProbeControls, look: Look, row: int) -> go.Figure:
    x, control = result.dimension, result.control_dimension_auc[:, :, row]
    traces = [
        *band(x, control.min(axis=0), control.max(axis=0), look, role="control", alpha=0.3),
        _shuffled(x, control.mean(axis=0), look),
        _random(x, result.random_dimension_auc[:, row], look, "random directions"),
        curve(x, result.dimension_auc[:, row], look, role="a", name="principal components"),
    ]
    return _at(result, look, traces, f"In how many dimensions it is read behind {state(row)}",
               {"title": {"text": "dimensions kept"}, "type": "log", **_ticks(x)})  # fmt: skip


def _at(
    result: ProbeControls, look: Look, traces: list[go.Scatter], words: str,
    xaxis: dict[str, object], **more: object,
) -> go.Figure:  # fmt: skip
    """A curve at one layer; AUCs of all layers share their range."""
    least = min(
        float(values.min())
        for values in (result.size_auc_low, result.dimension_auc, result.random_dimension_auc,
                       result.control_size_auc, result.control_dimension_auc)
    )  # fmt: skip
    return drawn(
        traces,
        look,
        title=f"{escaped(result.concept)}: {words[0].lower()}{words[1:]}",
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84},
        xaxis=xaxis,
        yaxis={"title": {"text": "held-out AUC"}, "range": [max(-0.02, least - 0.04), 1.03]},
        **more,
    )


def _ticks(x: np.ndarray) -> dict[str, object]:
    """Every value that was asked, on a logarithmic axis; where they crowd, each other."""
    shown = [int(n) for n in x]
    if len(shown) > 1 and shown[-1] < 1.3 * shown[-2]:
        shown.pop(-2)
    return {"tickmode": "array", "tickvals": shown, "ticktext": [f"{n:,}" for n in shown]}


def _shuffled(x: np.ndarray, y: np.ndarray, look: Look) -> go.Scatter:
    line = curve(x, y, look, role="control", name="shuffled labels", dash="dash")
    line.mode = "lines"
    return line


def _random(x: np.ndarray, y: np.ndarray, look: Look, name: str) -> go.Scatter:
    return curve(x, y, look, role="control", name=name, dash="dot", symbol="x")


def _level(y: float, look: Look) -> dict[str, object]:
    line = {"color": colour("muted", look), "width": 1.5, "dash": "dot"}
    place = {"x0": 0, "x1": 1, "xref": "x domain", "y0": y, "y1": y, "yref": "y"}
    return {"type": "line", "layer": "below", "line": line, **place}
