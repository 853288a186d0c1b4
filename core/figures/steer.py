"""Token by token: how far the clamps moved each of the three texts."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import (
    BOTTOM,
    ROW,
    RUNS,
    TOP,
    Look,
    colour,
    colour_bar,
    drawn,
    rounded_up,
    signed,
)
from core.figures.wording import count, number, token
from core.results.steer import SteerResult

KL_HEIGHT = 200  # pixels of the lower plot


def figure(result: SteerResult, look: Look, *, limit: float | None = None) -> go.Figure:
    """Above: change in log-probability per token. Below: KL per token, one line per run, in
    the colour of its name above.

    limit  the |change| of full colour in nats, when several figures stand side by side
    """
    change = (result.logprob_changed - result.logprob_clean).astype("float32")
    most = limit or span(change)
    n_runs, n_tokens = change.shape
    strips = ROW * n_runs
    height = TOP + strips + KL_HEIGHT + BOTTOM
    split = KL_HEIGHT / (strips + KL_HEIGHT)
    few = n_tokens <= grid.MOST_TEXT_COLUMNS
    cells = grid.cells(
        change,
        scale=signed(look),
        limits=(-most, most),
        hover=_hover(result, change),
        text=_pieces(result, n_tokens) if few else None,
        bar=colour_bar("Δ log p (nats)", look),
    )
    lines = [_kl(result, r, name, look) for r, name in enumerate(result.runs)]
    across: dict[str, Any] = {"range": [-0.5, n_tokens - 0.5], "showgrid": False}
    return drawn(
        [cells, *lines],
        look,
        title=title(result),
        height=height,
        xaxis=across | {"showticklabels": False},
        xaxis2=across
        | {"title": {"text": "token of the continuation"}, "anchor": "y2", "matches": "x"},
        yaxis={
            "domain": [split, 1],
            "tickmode": "array",
            "tickvals": list(range(n_runs)),
            "ticktext": [
                f'<span style="color:{colour(RUNS[name], look)}">{name}</span>'
                for name in result.runs
            ],
            "range": [n_runs - 0.5, -0.5],
            "showgrid": False,
        },
        yaxis2={
            "domain": [0, split - 0.1],
            "title": {"text": "KL (nats)"},
            "rangemode": "tozero",
            "nticks": 4,
        },
    )


def title(result: SteerResult) -> str:
    """Mean KL of the clamped text beside the control's, in words."""
    mean = mean_kl(result)
    if "clamped" not in mean:
        return f"Without clamps: {count(len(result.pieces[0]), 'token')} of continuation"
    return (
        f"KL per token {number(mean['clamped'])} nats with the clamps, "
        f"{number(mean['control'])} with the random control"
    )


def caption(result: SteerResult) -> str:
    """The control and the sample, in words."""
    how = f"temperature {number(result.temperature)}" if result.temperature else "greedy"
    sample = f"{count(len(result.pieces[0]), 'token')}, {how}, seed {result.seed}"
    if len(result.runs) == 1:
        return f"{sample}; no clamps, so no control"
    others = result.control_kl_mean
    among = (
        f"; {count(len(others), 'further control')}: KL {number(others.min())} to "
        f"{number(others.max())} nats per token on the clean text"
        if len(others)
        else ""
    )
    return f"control: random direction of equal norm{among}; {sample}"


def mean_kl(result: SteerResult) -> dict[str, float]:
    """Mean KL(clean ‖ changed) per token of each run's own text, in nats."""
    return {
        name: float(np.nanmean(row)) if np.isfinite(row).any() else float("nan")
        for name, row in zip(result.runs, result.kl, strict=True)
    }


def span(change: np.ndarray) -> float:
    """The |change| of full colour in nats: the largest one rounded up, and at least 1.

    Below 1 nat a change is small, and should look small.
    """
    finite = np.abs(change[np.isfinite(change)])
    return max(1.0, rounded_up(float(finite.max()))) if finite.size else 1.0


def _pieces(result: SteerResult, n_tokens: int) -> np.ndarray:
    rows = [
        [token(piece, 6) for piece in row] + [""] * (n_tokens - len(row)) for row in result.pieces
    ]
    return np.array(rows, dtype=object)


def _hover(result: SteerResult, change: np.ndarray) -> np.ndarray:
    lines = np.full(change.shape, "", dtype=object)
    for r, row in enumerate(result.pieces):
        for t, piece in enumerate(row):
            lines[r, t] = (
                f"{result.runs[r]} · token {t} <b>{token(piece)}</b>"
                f"<br>Δ log p {number(change[r, t], sign=True)} nats"
                f"<br>clean {number(result.logprob_clean[r, t])}, "
                f"changed {number(result.logprob_changed[r, t])}"
                f"<br>KL {number(result.kl[r, t])} nats"
            )
    return lines


def _kl(result: SteerResult, run: int, name: str, look: Look) -> go.Scatter:
    kl = result.kl[run].astype("float32")
    return go.Scatter(
        x=np.arange(len(kl), dtype="int32"),
        y=kl,
        xaxis="x2",
        yaxis="y2",
        mode="lines",
        name=name,
        line={
            "color": colour(RUNS[name], look),
            "width": 2,
            "shape": "hvh",
            "dash": "dash" if name == "control" else "solid",
        },
        hovertemplate="token %{x}<br>KL %{y:.3g} nats<extra>" + name + "</extra>",
    )
