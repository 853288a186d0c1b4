"""A probe's scores as probabilities: reliability, error by layer, and stopping early."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.probe_family import layers, state
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, signed
from core.figures.wording import count, escaped, number, readable
from core.results.calibration import Calibration
from core.spec.errors import Error

VIEWS = ("reliability", "errors", "stopping", "parts", "reading")
HEIGHT = 380
SMALL = 0.01  # an error that nobody would notice


def figure(
    result: Calibration, look: Look, *, view: str = "reliability", layer: int | None = None
) -> go.Figure:
    """One view of it; grey is what chance or a fixed place would do.

    view   "reliability" at one layer, "errors" by layer, "stopping" by layers, "parts" (AUC by
           layer and share of the text), "reading" (stopping by tokens at one layer)
    layer  row of the stream, 0 the embedding; None the one with the least Brier score
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    if view in ("parts", "reading") and not len(result.part):
        raise Error("this model reads a text in both directions, so no part of it is read first")
    row = result.best if layer is None else layer
    if not 0 <= row <= result.n_layers:
        raise Error(f"layer= is a row from 0 (the embedding) to {result.n_layers}, not {layer}")
    if view in ("reliability", "reading"):
        return (_reliability if view == "reliability" else _reading)(result, look, row)
    return {"errors": _errors, "stopping": _stopping, "parts": _parts}[view](result, look)


def title(result: Calibration) -> str:
    """How far the probabilities are off at the best layer, in words."""
    row = result.best
    name = readable(result.concept)[:60]
    if result.brier[row] >= result.base_brier[0]:
        return (
            f"{name}: no layer's probability beats the share of the classes (Brier "
            f"{_short(result.brier[row])}, share alone {number(result.base_brier[0])})"
        )
    if result.raw_ece[row] <= max(SMALL, result.perfect_ece_high[row]):
        return (
            f"{name}: behind {state(row)} the probe's probabilities are right as they are (error "
            f"{_short(result.raw_ece[row])}, a perfect probe's {_short(result.perfect_ece[row])}; "
            f"accuracy {number(result.accuracy[row])})"
        )
    warm = float(result.temperature[row].mean())
    off = "no more than" if result.trusted(row) else "still more than"
    return (
        f"{name}: behind {state(row)} the probe is {'too sure' if warm > 1 else 'not sure enough'} "
        f"(temperature {number(warm)}); its error goes from {_short(result.raw_ece[row])} to "
        f"{_short(result.ece[row])}, {off} a perfect probe's by chance "
        f"({_short(result.perfect_ece_high[row])})"
    )


def caption(result: Calibration) -> str:
    """The controls and the sample, in words."""
    row = result.best
    return "; ".join(
        [
            f"logistic probe, C = {number(result.c)}, state at {result.position}; "
            f"{count(result.n_texts, 'text')}, {result.n_positive} {result.positive}, "
            f"{count(result.n_groups, 'group')} in {result.n_folds} folds, the temperature from "
            f"{result.n_inner} inner parts of the training texts",
            f"error: expected calibration error over ten bins; with labels drawn from the "
            f"probabilities themselves ({result.n_draws} draws) {_short(result.perfect_ece[row])}, "
            f"95 % below {_short(result.perfect_ece_high[row])}",
            f"Brier {_short(result.brier[row])}, labels shuffled {result.n_shuffles} times "
            f"{_short(result.control_brier[row])}, share of the classes alone "
            f"{number(result.base_brier[0])}",
            f"seed {result.seed}",
            *result.notes,
        ]
    )


def _short(value: float) -> str:
    """To four places: what is smaller is nothing."""
    return number(round(float(value), 4))


def _reliability(result: Calibration, look: Look, row: int) -> go.Figure:
    traces: list[go.Scatter] = [
        go.Scatter(
            x=[0, 1], y=[0, 1], mode="lines", name="perfect", hoverinfo="skip",
            line={"color": colour("control", look), "width": 1.5, "dash": "dot"},
        )
    ]  # fmt: skip
    largest = float(np.nanmax(result.reliability[row, :, 0]))
    for name, bins, role, symbol in (
        ("as it is", result.raw_reliability[row], "b", "square"),
        ("after the temperature", result.reliability[row], "a", "circle"),
    ):
        kept = bins[bins[:, 0] > 0]
        line = lines.curve(kept[:, 1], kept[:, 2], look, role=role, name=name, symbol=symbol)
        line.marker.size = 6 + 14 * np.sqrt(kept[:, 0] / largest)
        line.customdata = kept[:, :1]
        line.hovertemplate = (
            f"{name}<br>%{{customdata[0]:,}} texts<br>mean probability %{{x:.3~f}}"
            "<br>positive %{y:.3~f}<extra></extra>"
        )
        traces.append(line)
    return drawn(
        traces,
        look,
        title=f"{escaped(result.concept)}: what a probability means behind {state(row)}",
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84},
        xaxis={"title": {"text": f"probability of {escaped(result.positive)}"},
               "range": [-0.03, 1.03]},
        yaxis={"title": {"text": f"share that is {escaped(result.positive)}"},
               "range": [-0.05, 1.05]},
    )  # fmt: skip


def _errors(result: Calibration, look: Look) -> go.Figure:
    x = np.arange(result.n_layers + 1)
    zero = np.zeros(len(x))
    perfect = lines.band(x, zero, result.perfect_ece_high, look, role="control", alpha=0.3)
    perfect[-1].update(name="perfect, by chance", showlegend=True)
    return drawn(
        [
            *perfect,
            lines.curve(x, result.raw_ece, look, role="b", name="as it is", dash="dash",
                        symbol="square"),
            lines.curve(x, result.ece, look, role="a", name="after the temperature"),
        ],
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "expected calibration error"}, "rangemode": "tozero"},
    )  # fmt: skip


def _stopping(result: Calibration, look: Look) -> go.Figure:
    fixed = 1 - np.arange(result.n_layers + 1) / max(1, result.n_layers)
    return _exits(
        look, result.stop_saved, result.stop_accuracy, result.threshold, fixed, result.accuracy,
        f"{escaped(result.concept)}: stopping at the first sure layer", "share of the blocks saved",
        "all stop at one layer",
    )  # fmt: skip


def _reading(result: Calibration, look: Look, row: int) -> go.Figure:
    return _exits(
        look, result.read_saved[row], result.read_accuracy[row], result.threshold,
        1 - result.part, result.part_accuracy[:, row],
        f"{escaped(result.concept)}: stopping within the text, probe behind {state(row)}",
        "share of the tokens saved", "all stop after one share",
    )  # fmt: skip


def _exits(
    look: Look, saved: np.ndarray, right: np.ndarray, level: np.ndarray, fixed: np.ndarray,
    told: np.ndarray, words: str, axis: str, control: str,
) -> go.Figure:  # fmt: skip
    own = lines.curve(saved, right, look, role="a", name="stops when this sure")
    near = np.abs(np.diff(saved, prepend=np.inf)) < 0.03
    text = ["" if close else f"{one:g}" for one, close in zip(level, near, strict=True)]
    own.update(mode="lines+markers+text", text=text, textposition="top center")
    other = lines.curve(fixed, told, look, role="control", name=control, dash="dot", symbol="x")
    least = min(float(right.min()), float(told.min()), 0.5)
    return drawn(
        [other, own],
        look,
        title=words,
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 84},
        xaxis={"title": {"text": axis}, "range": [-0.05, 1.05]},
        yaxis={"title": {"text": "held-out accuracy"}, "range": [least - 0.05, 1.08]},
    )


def _parts(result: Calibration, look: Look) -> go.Figure:
    """AUC by layer (across) and share of the text read (down)."""
    values, chance = result.part_auc, result.control_part_auc
    hover = [
        [
            f"behind {state(layer)}, {part:.0%} of the tokens<br>AUC {number(values[row, layer])}"
            f"<br>shuffled labels {number(chance[:, row, layer].mean())}<br>words so far "
            f"{number(result.part_words_auc[row])}"
            for layer in range(values.shape[1])
        ]
        for row, part in enumerate(result.part)
    ]
    words = np.array([[number(round(float(v), 2)) for v in row] for row in values], dtype=object)
    wide = values.shape[1] > 16
    cells = grid.cells(
        values.astype("float32"),
        scale=signed(look),
        limits=(0.0, 1.0),
        hover=np.array(hover, dtype=object),
        text=None if wide else words,
        bar=colour_bar("AUC", look),
    )
    names = [
        f"{part:.0%} (words {number(round(float(auc), 2))})"
        for part, auc in zip(result.part, result.part_words_auc, strict=True)
    ]
    return drawn(
        [cells],
        look,
        title=f"{escaped(result.concept)}: how much of a text must be read, and how deep",
        height=TOP + grid.rows_height(len(names)) + BOTTOM,
        xaxis=layers(values.shape[1]),
        yaxis={"title": {"text": "share of the text"}, "autorange": "reversed",
               "tickmode": "array", "tickvals": list(range(len(names))), "ticktext": names},
    )  # fmt: skip
