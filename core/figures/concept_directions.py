"""Contrasts as directions: angles between them, pairs left out, and the spectrum behind it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import dots, rows_axis
from core.figures.theme import UNSIGNED, Look, colour, colour_bar, drawn, faint, note
from core.figures.wording import count, escaped, number, visible
from core.results.concept_directions import METRICS, SHAKY, ConceptDirections
from core.spec.errors import Error

VIEWS = ("cosines", "projections", "densities", "scores", "spectrum")
CELL = 15  # pixels of a heat map's row
COLUMNS = 3  # of the small densities
PANEL = 120  # pixels of one
MOST_PANELS = 24
LABEL = 24  # characters of a contrast's name on an axis


def figure(
    result: ConceptDirections,
    look: Look,
    *,
    view: str = "cosines",
    metric: str = "",
    chosen: Sequence[int] = (),
) -> go.Figure:
    """One view of the contrasts; grey is always chance.

    view    "cosines": |cosine| of every two contrasts; a ring marks what differs from random words.
            "projections": every pair on the direction built without it, in standard deviations of
            random pairs; "densities": the same as two densities; "scores": d' beside random
            contrasts; "spectrum": eigenvalues of the covariance
    metric  "causal", "Euclidean" or "random metric" for one map of cosines, "" for all three
    chosen  numbers of the contrasts of "densities", () for all
    """
    if metric not in ("", *METRICS):
        raise Error(f"metric= is one of {', '.join(METRICS)}, not {str(metric)[:20]!r}")
    match view:
        case "cosines":
            return _maps(result, look, METRICS if not metric else (metric,))
        case "projections":
            return _projections(result, look)
        case "densities":
            return _densities(result, look, chosen)
        case "scores":
            return _scores(result, look)
        case "spectrum":
            return _spectrum(result, look)
    raise Error(f"contrasts can be seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: ConceptDirections) -> str:
    """How many contrasts hold on pairs left out, and how alike they are, in words."""
    n = len(result.concepts)
    chance = np.nanmax(result.d_prime[0, n:])
    holds = int((result.d_prime[0, :n] > max(2.0, chance)).sum())
    alike = result.off_diagonal
    angles = (
        f"; mean |cosine| {number(alike[0])} causal, {number(alike[1])} Euclidean" if n > 1 else ""
    )
    return (
        f"{holds} of {count(n, 'contrast')} hold on pairs left out (d' above 2; random contrasts "
        f"at most {number(chance)}){angles}"
    )


def caption(result: ConceptDirections) -> str:
    """Words kept and dropped, controls, seed, and what to be careful about."""
    kept = len(result.pairs)
    left = f", {count(len(result.dropped), 'pair')} dropped" if result.dropped else ""
    where = (
        f"rows of the unembedding, covariance of {count(result.vocabulary, 'token')}"
        if result.layer < 0
        else f"states at {result.where} in {count(len(result.contexts), 'context')}, covariance of "
        f"{count(result.vocabulary, 'token')} of text"
    )
    parts = [
        f"{count(kept, 'pair')} in {count(len(result.concepts), 'contrast')}{left}; {where}",
        f"control: {count(result.n_random, 'random pair')}, {len(result.controls)} random "
        f"contrasts of {result.n_control} pairs; marks: false discovery rate 5 % against "
        f"{result.n_null} draws of random words in the same pattern of pairs; seed {result.seed}",
        *result.warnings,
    ]
    return "; ".join(parts)


def _maps(result: ConceptDirections, look: Look, metrics: Sequence[str]) -> go.Figure:
    """Heat maps of |cosine|, the random contrasts last, rings where it differs from chance."""
    n = len(result.rows)
    room = 1 / len(metrics)
    layout: dict[str, Any] = {}
    traces: list[Any] = []
    notes = []
    for number_, metric in enumerate(metrics):
        at = METRICS.index(metric)
        end = "" if number_ == 0 else str(number_ + 1)
        last = number_ == len(metrics) - 1
        traces.append(
            grid.cells(
                np.abs(result.cosine[at]).astype("float32"),
                scale=UNSIGNED,
                limits=(0.0, 1.0),
                hover=_cell_words(result, at),
                bar=colour_bar("|cosine| (0 to 1)", look) if last else None,
                xaxis=f"x{end}",
            )
        )
        if at < 2:
            traces.append(_rings(result, at, look, f"x{end}"))
        domain = [number_ * room, (number_ + 1) * room - (0 if last else 0.02)]
        layout[f"xaxis{end}"] = {**_names_axis(result, upright=True), "domain": domain}
        heading: dict[str, Any] = {"x": domain[0], "xref": "paper", "xanchor": "left"}
        notes.append(note(metric, look, y=1, yref="paper", yanchor="bottom", **heading))
    names = _names_axis(result)
    return drawn(
        traces,
        look,
        title=title(result),
        height=230 + CELL * max(n, 10),
        margin={"l": 190, "t": 84, "b": 150},
        annotations=notes,
        yaxis={**names, "range": [n - 0.5, -0.5]},
        **layout,
    )


def _names_axis(result: ConceptDirections, upright: bool = False) -> dict[str, Any]:
    n = len(result.rows)
    axis: dict[str, Any] = {
        "title": {"text": "contrast", "standoff": 4},
        "tickmode": "array",
        "tickvals": list(range(n)),
        "ticktext": [_name(name) for name in result.rows],
        "tickfont": {"size": 11},
        "range": [-0.5, n - 0.5],
        "showgrid": False,
    }
    return {**axis, "tickangle": -90} if upright else axis


def _name(name: str) -> str:
    return escaped(visible(name, LABEL).replace("·", " "))


def _rings(result: ConceptDirections, metric: int, look: Look, xaxis: str) -> go.Scatter:
    """A ring in every cell that differs from random words."""
    rows, columns = np.nonzero(result.significant[metric])
    return go.Scatter(
        x=columns,
        y=rows,
        mode="markers",
        marker={"symbol": "circle-open", "size": 7, "color": colour("warning", look),
                "line": {"width": 1.5}},
        hoverinfo="skip",
        xaxis=xaxis,
    )  # fmt: skip


def _cell_words(result: ConceptDirections, metric: int) -> np.ndarray:
    n = len(result.rows)
    found = np.empty((n, n), dtype=object)
    for row, one in enumerate(result.rows):
        for column, other in enumerate(result.rows):
            line = (
                f"<b>{_name(one)} · {_name(other)}</b><br>cosine "
                f"{number(result.cosine[metric, row, column], sign=True)}"
            )
            if metric < 2 and row != column:
                middle = result.null_mean[metric, row, column]
                spread = result.null_sd[metric, row, column]
                line += f"<br>random words {number(middle, sign=True)} ± {number(spread)}"
            found[row, column] = line
    return found


def _projections(result: ConceptDirections, look: Look) -> go.Figure:
    """Row by row: dots are pairs, the grey line holds 90 % of random pairs."""
    n = len(result.concepts)
    low, high = (_quantile(result, share)[:n] for share in (0.05, 0.95))
    rows = np.arange(n)
    gap = np.full(n, np.nan)
    traces = [
        go.Scatter(
            x=np.stack([low, high, gap], axis=1).reshape(-1),
            y=np.stack([rows, rows, gap], axis=1).reshape(-1),
            mode="lines",
            name="random pairs, 5 to 95 %",
            line={"color": faint("control", look, 0.4), "width": 12},
            hoverinfo="skip",
        ),
        go.Scatter(
            x=result.projection[0],
            y=result.pair_concept,
            mode="markers",
            name="pairs, each left out",
            marker={"color": faint("a", look, 0.65), "size": 7},
            hovertext=[_pair(*pair) for pair in result.pairs],
            hovertemplate="%{hovertext}<br>%{x:.3~g} sd<extra></extra>",
        ),
    ]
    scores = [
        f"{name} (d' {number(round(float(value), 1))})"
        for name, value in zip(map(_name, result.concepts), result.d_prime[0], strict=False)
    ]
    axis = rows_axis(result.concepts)
    return drawn(
        traces,
        look,
        title=title(result),
        height=150 + 24 * max(n, 3),
        showlegend=True,
        legend={"y": 1.02},
        margin={"l": 230, "t": 92, "b": 52, "r": 16},
        xaxis={"title": {"text": "projection (standard deviations of random pairs)"}},
        yaxis={**axis, "ticktext": scores, "title": {"text": "contrast"}},
    )


def _quantile(result: ConceptDirections, share: float) -> np.ndarray:
    """[row] of the random pairs, from their density."""
    width = np.diff(result.edges)
    total = np.cumsum(result.random_density * width, axis=1)
    return np.array([np.interp(share, row, result.edges[1:]) for row in total])


def _pair(first: str, second: str) -> str:
    return f"<b>{escaped(visible(first, 30))} → {escaped(visible(second, 30))}</b>"


def _densities(result: ConceptDirections, look: Look, chosen: Sequence[int]) -> go.Figure:
    """Two densities a contrast: random pairs (grey), pairs left out; dots at the pairs."""
    n = len(result.concepts)
    if any(number not in range(n) for number in chosen):
        raise Error(f"chosen= names contrasts 0 to {n - 1}")
    shown = (list(chosen) or list(range(n)))[:MOST_PANELS]
    columns = min(COLUMNS, len(shown))
    n_rows = -(-len(shown) // columns)
    reach = -5.0, max(6.0, 1.1 * float(np.nanmax(result.projection[0], initial=0.0)))
    traces: list[Any] = []
    layout: dict[str, Any] = {}
    notes = []
    for place, concept in enumerate(shown):
        end = "" if place == 0 else str(place + 1)
        row, column = divmod(place, columns)
        x0, y1 = column / columns, 1 - row / n_rows
        traces += _two_densities(result, concept, look, end, reach)
        layout[f"xaxis{end}"] = {
            "domain": [x0, x0 + 0.92 / columns], "anchor": f"y{end}", "range": list(reach),
            "showgrid": False, "title": {"text": "sd of random pairs" if row == n_rows - 1 else ""},
        }  # fmt: skip
        layout[f"yaxis{end}"] = {
            "domain": [y1 - 0.68 / n_rows, y1 - 0.12 / n_rows], "anchor": f"x{end}",
            "showticklabels": False, "showgrid": False, "rangemode": "tozero",
            "title": {"text": "density" if column == 0 else ""},
        }  # fmt: skip
        words = (
            f"{_name(result.concepts[concept])}: d' {number(result.d_prime[0, concept])}, "
            f"AUC {number(result.auc[0, concept])}, n = {result.n_pairs[concept]}"
        )
        anchor: dict[str, Any] = {"x": x0, "y": y1 - 0.1 / n_rows, "xref": "paper", "yref": "paper"}
        notes.append(note(words, look, xanchor="left", yanchor="bottom", **anchor))
    return drawn(
        traces,
        look,
        title=title(result),
        height=80 + PANEL * n_rows,
        annotations=notes,
        margin={"l": 40, "t": 44, "b": 52},
        **layout,
    )


def _two_densities(
    result: ConceptDirections, concept: int, look: Look, end: str, reach: tuple[float, float]
) -> list[go.Scatter]:
    middle = (result.edges[1:] + result.edges[:-1]) / 2
    own = result.projection[0][result.pair_concept == concept]
    at = np.isfinite(own)
    axes = {"xaxis": f"x{end}", "yaxis": f"y{end}"}
    steps = np.linspace(*reach, 120)
    width = max(0.3, float(np.nanstd(own)) * max(1, at.sum()) ** -0.2) if at.any() else 1.0
    bumps = np.exp(-0.5 * ((steps[:, None] - own[at]) / width) ** 2) / width / np.sqrt(2 * np.pi)
    density = bumps.mean(axis=1) if at.any() else np.zeros_like(steps)
    pairs = [
        _pair(*pair)
        for pair, number_ in zip(result.pairs, result.pair_concept, strict=True)
        if number_ == concept
    ]
    return [
        go.Scatter(
            x=middle, y=result.random_density[concept], mode="lines", fill="tozeroy",
            line={"color": colour("control", look), "width": 1, "shape": "spline"},
            fillcolor=faint("control", look, 0.25), hoverinfo="skip", **axes,
        ),
        go.Scatter(
            x=steps, y=density, mode="lines", fill="tozeroy",
            line={"color": colour("a", look), "width": 1.5},
            fillcolor=faint("a", look, 0.2), hoverinfo="skip", **axes,
        ),
        go.Scatter(
            x=own, y=np.zeros(len(own)), mode="markers",
            marker={"color": colour("a", look), "size": 5, "symbol": "line-ns-open"},
            hovertext=pairs, hovertemplate="%{hovertext}<br>%{x:.3~g} sd<extra></extra>", **axes,
        ),
    ]  # fmt: skip


def _scores(result: ConceptDirections, look: Look) -> go.Figure:
    """d' of every contrast, causal and Euclidean; grey: the range of the random contrasts."""
    n = len(result.concepts)
    rows = np.arange(n)
    traces = []
    for metric, role, shift, symbol in ((0, "a", -0.14, "circle"), (1, "b", 0.14, "diamond")):
        chance = result.d_prime[metric, n:]
        low, high = np.full(n, np.nanmin(chance)), np.full(n, np.nanmax(chance))
        gap = np.full(n, np.nan)
        at = rows + shift
        traces.append(
            go.Scatter(
                x=np.stack([low, high, gap], axis=1).reshape(-1),
                y=np.stack([at, at, gap], axis=1).reshape(-1),
                mode="lines",
                name="random contrasts",
                showlegend=metric == 0,
                line={"color": faint("control", look, 0.35), "width": 6},
                hoverinfo="skip",
            )
        )
        traces.append(
            dots(
                result.d_prime[metric, :n], at, look, role=role, name=METRICS[metric], unit="d'",
                symbol=symbol,
            )
        )  # fmt: skip
    names = [
        f"{_name(name)} ({size}{'' if size >= SHAKY else ' ⚠'})"
        for name, size in zip(result.concepts, result.n_pairs, strict=True)
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=150 + 26 * max(n, 3),
        showlegend=True,
        legend={"y": 1.02},
        margin={"l": 230, "t": 92, "b": 52, "r": 16},
        xaxis={"title": {"text": "d' of pairs left out against random pairs"}},
        yaxis={**rows_axis(names, "contrast"), "ticktext": names},
    )


def _spectrum(result: ConceptDirections, look: Look) -> go.Figure:
    """Eigenvalues by rank, both logarithmic; dashed: the floor they are raised to."""
    d = len(result.spectrum)
    rank = np.arange(1, d + 1, dtype=float)
    share = result.spectrum.astype(float) / max(float(result.spectrum[0]), 1e-300)
    line = go.Scatter(
        x=rank,
        y=np.where(share > 1e-12, share, np.nan),
        mode="lines",
        line={"color": colour("a", look), "width": 2},
        hovertemplate="rank %{x}: %{y:.3g} of the largest<extra></extra>",
    )
    floor = {
        "type": "line", "xref": "paper", "x0": 0, "x1": 1, "y0": 1e-6, "y1": 1e-6,
        "line": {"color": colour("control", look), "dash": "dash", "width": 1},
    }  # fmt: skip
    words = f"{count(result.floored, 'eigenvalue')} of {d:,} raised to the floor"
    return drawn(
        [line],
        look,
        title=words,
        height=320,
        margin={"r": 16, "b": 52},
        shapes=[floor],
        annotations=[
            note("floor", look, x=1, xref="paper", y=-6, yref="y", xanchor="right",
                 yanchor="bottom")
        ],
        xaxis={"type": "log", "title": {"text": "rank"}},
        yaxis={
            "type": "log", "title": {"text": "eigenvalue (share of the largest)"},
            "exponentformat": "power",
        },
    )  # fmt: skip
