"""Token by token: how far the clamps moved each of the three texts."""

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from core.figures import grid
from core.figures.theme import RUNS, Look, colour, colour_bar, laid_out, signed
from core.figures.wording import count, number, token
from core.results.steer import SteerResult


def figure(result: SteerResult, look: Look, *, limit: float | None = None) -> go.Figure:
    """Above: change in log-probability per token. Below: KL per token, one line per run.

    limit  the |change| of full colour in nats, when several figures stand side by side
    """
    change = (result.logprob_changed - result.logprob_clean).astype("float32")
    most = limit or span(change)
    n_runs, n_tokens = change.shape
    fig = make_subplots(
        rows=2, cols=1, shared_xaxes=True, vertical_spacing=0.08, row_heights=[0.45, 0.55]
    )
    few = n_tokens <= grid.MOST_TEXT_COLUMNS
    fig.add_trace(
        grid.cells(
            change,
            scale=signed(look),
            limits=(-most, most),
            hover=_hover(result, change),
            text=_pieces(result, n_tokens) if few else None,
            bar=colour_bar("Δ log p (nats)", look, len=0.5, y=1, yanchor="top"),
        ),
        row=1,
        col=1,
    )
    for r, name in enumerate(result.runs):
        fig.add_trace(_kl(result, r, name, look), row=2, col=1)
    laid_out(fig, look, title=title(result), height=330 + 26 * n_runs)
    fig.update_layout(
        showlegend=n_runs > 1,
        legend={"orientation": "h", "x": 0, "y": 0.5, "yanchor": "bottom", "font": {"size": 12}},
    )
    fig.update_yaxes(
        tickmode="array",
        tickvals=np.arange(n_runs),
        ticktext=list(result.runs),
        range=[n_runs - 0.5, -0.5],
        showgrid=False,
        row=1,
        col=1,
    )
    fig.update_yaxes(title="KL (nats)", rangemode="tozero", nticks=4, row=2, col=1)
    fig.update_xaxes(range=[-0.5, n_tokens - 0.5], showgrid=False)
    fig.update_xaxes(title="token of the continuation", row=2, col=1)
    return fig


def title(result: SteerResult) -> str:
    """Mean KL of the clamped text beside the control's, as the figure says it."""
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
    """The |change| of full colour: the largest one, rounded up to 1, 2, 5, 10 ... nats."""
    finite = np.abs(change[np.isfinite(change)])
    most = float(finite.max()) if finite.size else 1.0
    return next((float(step) for step in (1, 2, 5, 10, 20, 50) if most <= step), 100.0)


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
