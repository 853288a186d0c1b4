"""One probe under the real and under other meanings of the words, layer by layer."""

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.theme import Look, colour, drawn
from core.figures.wording import count, number, readable
from core.results.meaning_control import MeaningControl
from core.spec.errors import Error

VIEWS = ("scores", "excess")


def figure(result: MeaningControl, look: Look, *, view: str = "scores") -> go.Figure:
    """Solid: labels under the real meaning. Dashed with its band: under other meanings.

    view  "scores": held-out AUC; "excess": the real meaning above the mean of the others, beside
          every other meaning above the rest
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    return _scores(result, look) if view == "scores" else _excess(result, look)


def title(result: MeaningControl) -> str:
    """Whether the states hold the real meaning, in words."""
    best, name = result.best, readable(result.texts_name)[:40]
    here = f"AUC {number(result.auc[best])} against {number(result.other_auc[:, best].mean())}"
    if not result.held:
        return (
            f"{name}: the probe may make the meaning itself; at best {here} under other meanings "
            f"(behind {state(best)}, p = {number(result.p)})"
        )
    return (
        f"{name}: the states hold the meaning; behind {state(best)} {here} under "
        f"{count(len(result.other_auc), 'other meaning')} (p = {number(result.p)})"
    )


def caption(result: MeaningControl) -> str:
    """The controls and the sample, in words."""
    best = result.best
    held = "groups" if result.grouped else "texts"
    parts = [
        f"ridge probes of the state at {result.position}; {count(result.n_texts, 'text')}, {held} "
        f"held out in {result.n_folds} folds; excess {number(result.excess[best])} "
        f"({number(result.excess_low[best])} to {number(result.excess_high[best])}), "
        f"{number(result.nested)} at the layer found on other texts (another meaning at most "
        f"{number(result.nested_others.max())})",
        f"words alone: {number(result.words_auc[0])} and {number(result.words_auc[1:].mean())}",
        f"labels shuffled {result.n_shuffles} times: {number(result.control_auc[:, best].mean())}",
        f"other meanings label {100 * result.agreement.min():.0f} to "
        f"{100 * result.agreement.max():.0f} % of the texts as the real one does",
    ]
    if np.isfinite(result.untrained_excess).any():
        parts.append(f"fresh weights: excess {number(np.nanmax(result.untrained_excess))} at most")
    return "; ".join([*parts, f"seed {result.seed}", *result.notes])


def _scores(result: MeaningControl, look: Look) -> go.Figure:
    x = np.arange(len(result.sites))
    low, high = np.quantile(result.control_auc, (0.05, 0.95), axis=0)
    traces = lines.band(x, low, high, look, role="control", alpha=0.3)
    traces[-1].update(name="shuffled labels, 90 %", showlegend=True)
    if np.isfinite(result.untrained_auc).any():
        traces.append(
            lines.curve(
                x, result.untrained_auc, look, role="control", name="fresh weights, real meaning",
                dash="dot", symbol="x",
            )
        )  # fmt: skip
    least, most = result.other_auc.min(axis=0), result.other_auc.max(axis=0)
    traces += lines.band(x, least, most, look, role="b")
    traces.append(
        lines.curve(
            x, result.other_auc.mean(axis=0), look, role="b", dash="dash",
            name="other meanings (band: all of them)", symbol="diamond",
        )
    )  # fmt: skip
    traces += lines.band(x, result.auc_low, result.auc_high, look, role="a")
    traces.append(lines.curve(x, result.auc, look, role="a", name="real meaning"))
    lowest = min(float(np.nanmin(low)), float(least.min()), float(result.auc_low.min()))
    return drawn(
        traces, look, title=title(result), height=400, showlegend=True, legend={"y": 1.02},
        margin={"t": 104}, xaxis=layers(len(x)),
        yaxis={"title": {"text": "held-out AUC"}, "range": [min(0.35, lowest) - 0.03, 1.03]},
    )  # fmt: skip


def _excess(result: MeaningControl, look: Look) -> go.Figure:
    x = np.arange(len(result.sites))
    least, most = result.other_excess.min(axis=0), result.other_excess.max(axis=0)
    traces = lines.band(x, least, most, look, role="control", alpha=0.3)
    traces[-1].update(name="every other meaning above the rest", showlegend=True)
    if np.isfinite(result.untrained_excess).any():
        traces.append(
            lines.curve(
                x, result.untrained_excess, look, role="control", name="fresh weights", dash="dot",
                symbol="x",
            )
        )  # fmt: skip
    traces += lines.band(x, result.excess_low, result.excess_high, look, role="a")
    traces.append(
        lines.curve(x, result.excess, look, role="a", name="real meaning above the others")
    )
    zero = {"type": "line", "xref": "x domain", "x0": 0, "x1": 1, "y0": 0, "y1": 0,
            "layer": "below", "line": {"color": colour("control", look), "width": 1}}  # fmt: skip
    return drawn(
        traces, look, title=title(result), height=400, showlegend=True, legend={"y": 1.02},
        margin={"t": 104}, shapes=[zero], xaxis=layers(len(x)),
        yaxis={"title": {"text": "AUC above other meanings"}},
    )  # fmt: skip
