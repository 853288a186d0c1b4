"""Depth: the curve of a probe over the layers, between what words and shuffled labels reach."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.lines import band, curve
from core.figures.theme import Look, colour, drawn, faint, note
from core.figures.wording import count, escaped, number, readable
from core.results.depth import Depth

HEIGHT = 380
BINS = 31  # of the margins
NAMES = {"accuracy": "accuracy", "auc": "AUC"}


def figure(
    result: Depth, look: Look, *, score: str = "accuracy", relative: bool = False
) -> go.Figure:
    """Solid: held-out texts with their 95 % interval. Grey band: shuffled labels, 5 to 95 %.

    Dots: the highest of words alone, the token alone and the largest class. Dashes: the control
    task, random folds, fresh weights, where there are any. Upright: from where on it is readable.

    score     "accuracy" or "auc"
    relative  x as a share of the depth
    """
    x = _places(result, relative)
    return drawn(
        [*_control(result, look, score, x), *_others(result, look, score, x),
         *_main(result, look, score, x)],
        look,
        title=title(result, score),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96, "r": 16},
        shapes=[_floor(result, look, score), *_onset(result, look, score, x)],
        annotations=_notes(result, look, score, x),
        xaxis=_axis(result, relative),
        yaxis={"title": {"text": NAMES[score]}, "range": [_least(result, score), 1.03]},
    )  # fmt: skip


def margins(result: Depth, look: Look, *, layer: int, output: int = 1) -> go.Figure:
    """How the held-out texts of a class and the others lie along the probe of a layer.

    output  the class whose margin against the others is drawn, the largest above 0
    """
    values, own = result.towards(layer, output), result.label == output
    ends = np.quantile(values, (0.005, 0.995))
    reach = max(float(np.abs(ends).max()), 1e-6)
    edges = np.linspace(-reach, reach, BINS + 1)
    width = edges[1] - edges[0]
    name = escaped(readable(result.classes[output])[:24])
    rest = (
        escaped(readable(result.classes[1 - output])[:24]) if len(result.classes) == 2 else "others"
    )
    bars = []
    for here, label, role, pattern in ((~own, rest, "b", "/"), (own, name, "a", "")):
        n, _ = np.histogram(values[here].clip(-reach, reach), bins=edges)
        bars.append(
            go.Bar(
                x=edges[:-1] + width / 2, y=n, width=width, name=f"{label} ({here.sum():,})",
                marker={"color": faint(role, look, 0.55), "line": {"color": colour(role, look),
                        "width": 1}, "pattern": {"shape": pattern, "size": 5,
                        "fgcolor": colour(role, look)}},
                hovertemplate=f"{label}<br>margin %{{x:.3~g}}<br>%{{y:,}} texts<extra></extra>",
            )
        )  # fmt: skip
    line = {"color": colour("muted", look), "width": 1.5, "dash": "dot"}
    return drawn(
        bars,
        look,
        title=f"Held-out texts along the probe of {_layer(result, layer)}",
        height=230,
        barmode="overlay",
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 40, "r": 8},
        shapes=[{"type": "line", "line": line, "x0": 0, "x1": 0, "xref": "x", "y0": 0, "y1": 1,
                 "yref": "y domain"}],
        xaxis={"title": {"text": f"margin towards {name} (0: undecided)"}, "showgrid": False},
        yaxis={"title": {"text": "texts"}},
    )  # fmt: skip


def title(result: Depth, score: str = "accuracy") -> str:
    """From which layer on the concept is readable, or that it is not, in words."""
    return f"{_name(result)}{sentence(result, score)}"


def sentence(result: Depth, score: str = "accuracy") -> str:
    """The finding in one plain sentence, with floor, control and sample."""
    values = result.accuracy if score == "accuracy" else result.auc
    control = result.control_accuracy if score == "accuracy" else result.control_auc
    floors = result.floor if score == "accuracy" else result.floor_auc
    best, unit = float(values.max()), "" if score == "accuracy" else f"{NAMES[score]} "
    said = (
        f"({unit}{_two(best)} at {_layer(result, int(values.argmax()))}; words alone "
        f"{_two(floors[1])}; shuffled {_two(control.mean())}; n = {result.n_texts:,})"
    )
    onset = result.onset(score)
    if onset == 0:
        return f"Readable from the embedding on {said}"
    if onset is not None:
        return f"Readable from layer {onset} of {result.n_layers} {said}"
    if not result.readable(score):
        return f"Not readable above {_highest(result, score)} {said}"
    return f"Readable at {_layer(result, int(values.argmax()))} alone {said}"


def caption(result: Depth, score: str = "accuracy") -> str:
    """The controls, the split and the sample, in words."""
    what = "groups held out" if result.grouped else "texts held out at random"
    parts = [
        f"{_probe(result)} on {_position(result)}; {count(result.n_texts, 'text')} of "
        f"{count(len(result.classes), 'class', 'classes')}, {what} in {result.n_folds} folds",
        f"control, labels shuffled {result.n_shuffles} times",
    ]
    if result.types:
        parts.append(
            f"control task, {count(result.n_types, result.types)} with random labels: selectivity "
            f"{number(np.nanmax(result.selectivity))} at most"
        )
    largest, words, token = result.floor if score == "accuracy" else result.floor_auc
    alone = "" if np.isnan(token) else f", the token alone {number(token)}"
    parts.append(
        f"floors of {NAMES[score]}: largest class {number(largest)}, words {number(words)}{alone}"
    )
    parts.append(_points(result, score))
    parts += list(result.notes)
    return "; ".join(parts)


def _points(result: Depth, score: str) -> str:
    """Depths with their intervals, and the points of the paper."""
    said = []
    if result.readable(score):
        for name, word in (("half_rise", "half-rise"), ("saturation", "saturation")):
            value, low, high = result.points[name][0 if score == "accuracy" else 1]
            if np.isfinite(value):
                said.append(f"{word} {number(value)} ({number(low)} to {number(high)})")
    else:
        said.append("no depth is named for what is not readable")
    paper = [
        f"{word} {number(result.paper[name][0])}"
        for name, word in (("jump", "jump"), ("converging", "converging"))
        if np.isfinite(result.paper[name][0])
    ]
    paper_words = ", ".join(paper) if paper else "neither"
    return f"{', '.join(said)}; points of the paper (noise alone can set them): {paper_words}"


def _name(result: Depth) -> str:
    own = result.concept == "own texts"
    return "" if own else f"{readable(result.concept)[:60]}: "


def _probe(result: Depth) -> str:
    if result.probe == "logistic":
        return f"logistic probe, C = {number(result.c)},"
    return {"ridge": "ridge probe", "lda": "LDA", "means": "nearest class mean"}[result.probe]


def _position(result: Depth) -> str:
    named = {"last": "the last token", "mean": "the mean over tokens", "word": "the chosen word"}
    return named.get(result.position, f"token {result.position}")


def _layer(result: Depth, layer: int) -> str:
    del result
    return "the embedding" if layer == 0 else f"layer {layer}"


def _highest(result: Depth, score: str) -> str:
    floors = result.floor if score == "accuracy" else result.floor_auc
    names = ("the largest class", "words alone", "the token alone")
    if result.highest_floor(score) < result.control_most[0 if score == "accuracy" else 1]:
        return "chance"
    return names[int(np.nanargmax(floors))]


def _two(value: float) -> str:
    return f"{float(value):.2f}"


def _places(result: Depth, relative: bool) -> np.ndarray:
    layers = np.arange(result.n_layers + 1, dtype=float)
    return layers / max(1, result.n_layers) if relative else layers


def _axis(result: Depth, relative: bool) -> dict[str, Any]:
    if relative:
        return {"title": {"text": "depth (0: embedding, 1: last layer)"}, "range": [-0.02, 1.02]}
    n = result.n_layers + 1
    step = next(s for s in (1, 2, 4, 8, 16, 32, 64, 10_000) if n <= 24 * s)
    at = list(range(0, n, step))
    return {
        "title": {"text": "layer (0: embedding)"},
        "tickmode": "array",
        "tickvals": at,
        "ticktext": [str(i) for i in at],
        "showgrid": False,
        "range": [-0.5, n - 0.5],
    }


def _main(result: Depth, look: Look, score: str, x: np.ndarray) -> list[go.Scatter]:
    values = getattr(result, score)
    low, high = getattr(result, f"{score}_low"), getattr(result, f"{score}_high")
    hover = [_line(result, layer) for layer in range(len(x))]
    line = curve(x, values, look, role="a", name="held-out texts")
    line.hovertext = np.array(hover, dtype=object)
    line.hovertemplate = "%{hovertext}<extra></extra>"
    return [*band(x, low, high, look, role="a"), line]


def _line(result: Depth, layer: int) -> str:
    return (
        f"<b>{_layer(result, layer)}</b> ({escaped(result.site(layer))})"
        f"<br>accuracy {number(result.accuracy[layer])} "
        f"({number(result.accuracy_low[layer])} to {number(result.accuracy_high[layer])})"
        f"<br>AUC {number(result.auc[layer])}, F1 {number(result.f1[layer])}"
        f"<br>shuffled labels {number(result.control_accuracy[layer])}"
    )


def _control(result: Depth, look: Look, score: str, x: np.ndarray) -> list[go.Scatter]:
    low = getattr(result, f"control_{score}_low")
    high = getattr(result, f"control_{score}_high")
    middle = getattr(result, f"control_{score}")
    line = curve(x, middle, look, role="control", name="shuffled labels", dash="dash")
    line.mode = "lines"
    return [*band(x, low, high, look, role="control", alpha=0.28), line]


def _others(result: Depth, look: Look, score: str, x: np.ndarray) -> list[go.Scatter]:
    rows: Sequence[tuple[str, np.ndarray, str, str]] = (
        ("random folds", getattr(result, f"random_{score}"), "b", "dash"),
        ("fresh weights", getattr(result, f"untrained_{score}"), "control", "dot"),
    )
    if score == "accuracy":
        rows = (*rows, ("control task", result.task_accuracy, "c", "dashdot"))
    found = []
    for name, values, role, dash in rows:
        if np.isfinite(values).any():
            line = curve(x, values, look, role=role, name=name, dash=dash)
            line.mode = "lines"
            found.append(line)
    return found


def _floor(result: Depth, look: Look, score: str) -> dict[str, Any]:
    level = result.highest_floor(score)
    line = {"color": colour("muted", look), "width": 1.5, "dash": "dot"}
    place = {"x0": 0, "x1": 1, "xref": "x domain", "y0": level, "y1": level, "yref": "y"}
    return {"type": "line", "layer": "below", "line": line, **place}


def _onset(result: Depth, look: Look, score: str, x: np.ndarray) -> list[dict[str, Any]]:
    onset = result.onset(score)
    if onset is None:
        return []
    line = {"color": colour("a", look), "width": 1, "dash": "dash"}
    place = {"x0": x[onset], "x1": x[onset], "xref": "x", "y0": 0, "y1": 1, "yref": "y domain"}
    return [{"type": "line", "layer": "below", "line": line, **place}]


def _notes(result: Depth, look: Look, score: str, x: np.ndarray) -> list[dict[str, Any]]:
    level = result.highest_floor(score)
    floors = result.floor if score == "accuracy" else result.floor_auc
    words = ("largest class", "words alone", "token alone")[int(np.nanargmax(floors))]
    found = [
        note(f"{words} {number(level)}", look, x=1, xref="x domain", y=level, yref="y",
             xanchor="right", yanchor="top")
    ]  # fmt: skip
    onset = result.onset(score)
    if onset is not None:
        late = onset > result.n_layers / 2
        found.append(
            note("readable from here", look, "a", x=x[onset], xref="x", y=0, yref="y domain",
                 xanchor="right" if late else "left", yanchor="bottom", xshift=-4 if late else 4)
        )  # fmt: skip
    return found


def _least(result: Depth, score: str) -> float:
    lines = [
        getattr(result, f"{score}_low"),
        getattr(result, f"control_{score}_low"),
        getattr(result, f"random_{score}"),
        getattr(result, f"untrained_{score}"),
        np.array([result.highest_floor(score)]),
    ]
    return max(-0.02, float(np.nanmin(np.concatenate(lines))) - 0.06)
