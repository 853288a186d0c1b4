"""A feature read as tokens: bars of z beside what random directions reach, or all tokens."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import BOTTOM, MONO, TOP, Look, colour, drawn, note
from core.figures.wording import count, number, quoted, token
from core.results.feature_lens import FeatureLens
from core.spec.errors import Error

ROW = 18  # pixels of a bar
HEIGHT = 300
SHOWN = ("tokens", "all")


def figure(
    result: FeatureLens, look: Look, *, show: str = "tokens", row: int = 0, most: int = 10
) -> go.Figure:
    """Above the tokens the feature raises, below those it lowers, z as length.

    show  "tokens"; "all": the histogram of z over the whole vocabulary
    row   which of the features that were asked for
    most  tokens drawn at each end
    """
    if show not in SHOWN:
        raise Error(f"the figure can show {', '.join(SHOWN)}, not {show[:20]!r}")
    if not 0 <= row < len(result.features):
        raise Error(f"feature {row} of {len(result.features)} that were asked for")
    return _histogram(result, look, row) if show == "all" else _bars(result, look, row, most)


def title(result: FeatureLens) -> str:
    """What the first feature says at its stronger end, and whether that is more than chance."""
    up = result.top_z[0, 0] >= -result.bottom_z[0, 0]
    ids, z = (result.top_ids, result.top_z) if up else (result.bottom_ids, result.bottom_z)
    size, chance = float(z[0, 0]), float(result.null_z.max())
    verdict = "beyond" if abs(size) > chance else "within"
    return (
        f"{result.sites[0]} {'promotes' if up else 'suppresses'} {quoted(*result.read(ids[0][:3]))}"
        f": z {number(size, sign=True)}, {verdict} chance ({number(chance)})"
    )


def caption(result: FeatureLens) -> str:
    """The control and the sample, in words."""
    own, typical = float(result.kurtosis[0]), result.null_kurtosis.tolist()
    through = f"; through {result.through}" if result.through else ""
    return (
        f"with the final norm's weight, direct path only{through}; control, "
        f"{count(result.n_null, 'random direction')} of the same length: 99 % stay below |z| "
        f"{number(result.null_z[0])}, those like the decoder rows below {number(result.null_z[1])};"
        f" {count(result.n_vocabulary, 'token')}; excess kurtosis {number(own)}, of random ones "
        f"{number(typical[0])} on average, 1 in 100 above {number(typical[1])}"
    )


def _bars(result: FeatureLens, look: Look, row: int, most: int) -> go.Figure:
    k = min(most, result.top_ids.shape[1])
    end = max(float(np.abs(part[row]).max()) for part in (result.top_z, result.bottom_z))
    end = max(end, float(result.null_z.max())) * 1.06
    places = (np.arange(2 * k, k, -1), np.arange(k))
    return drawn(
        [
            _end(result, look, row, k, name, role, at)
            for name, role, at in zip(("top", "bottom"), ("high", "low"), places, strict=True)
        ],
        look,
        title=title(result),
        height=TOP + (2 * k + 1) * ROW + BOTTOM,
        bargap=0.25,
        shapes=_chance(result, look),
        xaxis={"title": {"text": "z over the vocabulary"}, "range": [-end, end], "zeroline": True},
        yaxis=_labels(result, row, k, places),
    )


def _end(
    result: FeatureLens, look: Look, row: int, k: int, end: str, role: str, at: np.ndarray
) -> go.Bar:
    ids, z, scores, cosine = (
        getattr(result, f"{end}_{kind}")[row, :k] for kind in ("ids", "z", "scores", "cosine")
    )
    return go.Bar(
        x=z,
        y=at,
        orientation="h",
        marker={"color": colour(role, look)},
        customdata=np.stack([scores, cosine], axis=1),
        hovertext=[token(piece) for piece in result.read(ids)],
        hovertemplate="%{hovertext}<br>z %{x:.3~g}<br>score %{customdata[0]:.3~g}"
        "<br>cosine %{customdata[1]:.3~g}<extra></extra>",
    )


def _labels(
    result: FeatureLens, row: int, k: int, places: tuple[np.ndarray, np.ndarray]
) -> dict[str, Any]:
    pieces = (*result.read(result.top_ids[row, :k]), *result.read(result.bottom_ids[row, :k]))
    return {
        "title": {"text": "token"},
        "tickmode": "array",
        "tickvals": np.concatenate(places).tolist(),
        "ticktext": [token(piece, 12) for piece in pieces],
        "tickfont": {"family": MONO, "size": 12},
        "range": [-0.7, 2 * k + 0.7],
        "showgrid": False,
    }


def _chance(result: FeatureLens, look: Look) -> list[dict[str, Any]]:
    """Dashed uprights: what 99 % of random directions stay below."""
    line = {"color": colour("control", look), "width": 1.2, "dash": "dash"}
    at = float(result.null_z.max())
    return [
        {"type": "line", "x0": x, "x1": x, "y0": 0, "y1": 1, "yref": "y domain", "line": line}
        for x in (-at, at)
    ]


def _histogram(result: FeatureLens, look: Look, row: int) -> go.Figure:
    edges, counts = result.edges, result.counts[row]
    bars = go.Bar(
        x=(edges[1:] + edges[:-1]) / 2,
        y=np.where(counts > 0, counts, np.nan),
        width=np.diff(edges),
        marker={"color": colour("a", look), "line": {"width": 0}},
        hovertemplate="z about %{x:.3~g}<br>%{y:,} tokens<extra></extra>",
    )
    words = f"skew {number(result.skew[row])}, excess kurtosis {number(result.kurtosis[row])}"
    place: dict[str, Any] = {"x": 1, "xref": "x domain", "y": 1, "yref": "y domain"}
    return drawn(
        [bars],
        look,
        title=title(result),
        height=HEIGHT,
        bargap=0,
        shapes=_chance(result, look),
        annotations=[note(words, look, xanchor="right", yanchor="top", **place)],
        xaxis={"title": {"text": "z over the vocabulary"}},
        yaxis={"title": {"text": "tokens"}, "type": "log", "dtick": 1},
    )
