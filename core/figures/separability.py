"""Where classes come apart: three measures by layer, and what every attribute holds."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.theme import Look, drawn, note
from core.figures.wording import count, number, quoted, readable
from core.results.separability import WARNING, Separability
from core.spec.errors import Error

VIEWS = ("apart", "shares")
MEASURES = {
    "gdv": "discrimination value (0: not apart)",
    "silhouette": "silhouette (cosine)",
    "accuracy": "accuracy of the nearest mean",
}
ROLES = ("a", "b", "c", "clamped", "warning", "text", "high", "low")
DASHES = ("solid", "dash", "dot", "dashdot")
HEIGHT = 420


def figure(result: Separability, look: Look, *, view: str = "apart") -> go.Figure:
    """By layer, with what labels dealt out anew give in grey.

    view  "apart": discrimination value, silhouette and accuracy of the classes; "shares" of the
          variance that every attribute holds
    """
    if view == "apart":
        return _apart(result, look)
    if view == "shares":
        return _shares(result, look)
    raise Error(f"separability can be seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: Separability) -> str:
    """The layer at which the classes are furthest apart, in words."""
    row = result.best
    low, high = _chance(result.gdv_chance)[:, row]
    return (
        f"{readable(result.set_name[:40])}: {count(len(result.classes), 'class', 'classes')} by "
        f"{readable(result.by)} are furthest apart behind {state(row)}, discrimination value "
        f"{number(result.gdv[row])} (by chance {number(low)} to {number(high)}), nearest mean "
        f"{number(result.accuracy[row])} right "
        f"(by chance {number(np.nanmean(result.accuracy_chance[:, row]))})"
    )


def caption(result: Separability) -> str:
    """Control, sample and how far to trust a share, in words."""
    parts = [
        f"control: the words' labels dealt out anew {result.n_shuffles} times (grey: 90 %)",
        f"{count(result.n_words, 'word')} in classes of {min(result.class_size)} to "
        f"{max(result.class_size)}, {count(len(result.contexts), 'context')}, {result.read} piece, "
        f"{result.prepare}; seed {result.seed}",
        "accuracy and silhouette by cosine, every word left out of its own class's mean",
    ]
    if result.dropped:
        some = quoted(*(word for word, _ in result.dropped[:5]))
        parts.append(f"{len(result.dropped):,} words not read: {some}")
    return "; ".join([*parts, *map(readable, result.notes), WARNING])


def _chance(values: np.ndarray) -> np.ndarray:
    """[(low, high), ...] where 90 % of the shuffles lie; NaN where nothing was measured."""
    found = np.full((2, *values.shape[1:]), np.nan)
    known = ~np.isnan(values).all(axis=0)
    found[:, known] = np.nanquantile(values[:, known], (0.05, 0.95), axis=0)
    return found


def _apart(result: Separability, look: Look) -> go.Figure:
    x = np.arange(len(result.gdv))
    traces: list[Any] = []
    axes: dict[str, Any] = {}
    for place, (name, words) in enumerate(MEASURES.items()):
        side = {"xaxis": f"x{place + 1}" if place else "x", "yaxis": f"y{place + 1}"}
        side["yaxis"] = "y" if place == 0 else side["yaxis"]
        low, high = _chance(getattr(result, f"{name}_chance"))
        band = lines.band(x, low, high, look, role="control",
                          alpha=0.35)  # fmt: skip
        traces += [trace.update(**side) for trace in band]
        own = [("a", "solid", "classes", getattr(result, name))]
        fresh = getattr(result, f"untrained_{name}")
        if not np.isnan(fresh).all():
            own.append(("b", "dash", "fresh weights", fresh))
        for role, dash, label, values in own:
            more: dict[str, Any] = {**side, "showlegend": place == 0}
            traces.append(lines.curve(x, values, look, role=role, dash=dash, name=label, **more))
        domain = [place * 0.35, place * 0.35 + 0.28]
        end = str(place + 1) if place else ""
        axes[f"xaxis{end}"] = {**layers(len(x)), "domain": domain, "anchor": f"y{end}"}
        axes[f"yaxis{end}"] = {"title": {"text": words}, "anchor": f"x{end}"}
    axes["yaxis"]["autorange"] = "reversed"  # the more negative the better: better is up
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.04},
        margin={"t": 96},
        annotations=[note("grey: labels dealt out anew (90 %)", look, xref="paper", yref="paper",
                          x=1, y=1.1, xanchor="right")],
        **axes,
    )  # fmt: skip


def _shares(result: Separability, look: Look) -> go.Figure:
    x = np.arange(result.share.shape[1])
    traces: list[Any] = []
    low, high = _chance(result.share_chance)
    if not np.isnan(low).all():
        known = ~np.isnan(low).all(axis=1)
        traces += lines.band(
            x, low[known].min(axis=0), high[known].max(axis=0), look, role="control", alpha=0.35
        )
    for row, name in enumerate(result.attributes):
        place = {"role": ROLES[row % len(ROLES)], "dash": DASHES[(row // len(ROLES)) % 4]}
        words = f"{readable(name[:30])} ({result.n_values[row]})"
        traces.append(lines.curve(x, 100 * result.share_adjusted[row], look, name=words, **place))
    for trace in traces[:2]:
        if trace.hoverinfo == "skip":
            trace.y = 100 * np.asarray(trace.y)
    return drawn(
        traces,
        look,
        title=f"{readable(result.set_name[:40])}: what the variance of the states belongs to",
        height=HEIGHT + 40,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 120},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "share of the variance beyond chance, %"}},
    )
