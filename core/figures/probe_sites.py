"""What a probe reads at every head and every site, and what the best of as many is by chance."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, note, signed
from core.figures.wording import count, escaped, number, readable
from core.results.probe_sites import FAMILIES, ProbeSites
from core.spec.errors import Error

VIEWS = ("heads", "sites", "ranked")
NAMES = {
    "embedding": "embedding",
    "attn_out": "attention out",
    "resid_mid": "stream between",
    "mlp_in": "MLP reads",
    "mlp_out": "MLP out",
    "resid_post": "stream behind",
}
MOST = 24  # cells of the ranked view
_WHAT = {"heads": ("head", "heads"), "sites": ("site", "sites")}


def figure(result: ProbeSites, look: Look, *, view: str = "") -> go.Figure:
    """AUC of every head (layer by head) or site (layer by kind); a dot: beyond the best of chance.

    view  "heads", "sites", or "ranked": the highest of both, with intervals and their nulls
    """
    if view not in ("", *VIEWS):
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    view = view or ("heads" if result.best("heads") is not None else "sites")
    if view == "ranked":
        return _ranked(result, look)
    if result.best(view) is None:
        raise Error(f"no {view} were asked for, or this model has none")
    return _map(result, look, view)


def title(result: ProbeSites) -> str:
    """The best head and the best site, and whether they are beyond chance, in words."""
    said = []
    for name in FAMILIES:
        cell = result.best(name)
        if cell is None:
            continue
        here = result.family(name)
        some, n = int(result.beyond[here].sum()), int(here.sum())
        sure = "" if result.beyond[cell] else ", not beyond chance"
        said.append(
            f"best {_WHAT[name][0]} {result.cells[cell]}, AUC {number(result.auc[cell])}{sure}; "
            f"{some} of {count(n, *_WHAT[name])} beyond the best of chance "
            f"({number(result.chance(name))})"
        )
    return f"{readable(result.positive)[:40]}: {'; '.join(said)}"


def caption(result: ProbeSites) -> str:
    """The controls and the sample, in words."""
    parts = [
        f"ridge probes, {count(result.n_texts, 'text')} ({result.n_positive} positive), "
        f"{count(result.n_groups, 'group')} held out in {result.n_folds} folds, state at "
        f"{result.position}"
    ]
    for row, name in enumerate(FAMILIES):
        if result.best(name) is not None:
            parts.append(
                f"best of all {name} under {result.n_shuffles} shuffles of the labels: "
                f"{number(result.most[row].mean())} on average; chosen without the texts it is "
                f"judged on: {number(result.nested[row])} (shuffled "
                f"{number(result.nested_control[row].mean())})"
            )
    if np.isfinite(result.untrained_auc).any():
        fresh = np.nanmax(result.untrained_auc)
        parts.append(f"best cell of fresh weights {number(fresh)}")
    parts.append(f"words alone {number(result.floor_auc[1])}")
    return "; ".join([*parts, f"seed {result.seed}", *result.notes])


def _map(result: ProbeSites, look: Look, view: str) -> go.Figure:
    names, values, which = _laid_out(result, view)
    sure = np.array([[c >= 0 and bool(result.beyond[c]) for c in row] for row in which])
    hover = [["" if c < 0 else _line(result, int(c)) for c in row] for row in which]
    rows, columns = np.nonzero(sure)
    dots = go.Scatter(
        x=columns, y=rows, mode="markers", hoverinfo="skip", name="beyond the best of chance",
        marker={"size": 8, "color": colour("background", look),
                "line": {"color": colour("text", look), "width": 1.5}},
    )  # fmt: skip
    of_sites = view == "sites"
    cells = grid.cells(
        values.astype("float32"), scale=signed(look), limits=(0.0, 1.0),
        hover=np.array(hover, dtype=object), text=_texts(values, sure) if of_sites else None,
        bar=colour_bar("held-out AUC", look, tickvals=[0, 0.25, 0.5, 0.75, 1]),
    )  # fmt: skip
    words = (
        f"{'( ) not above' if of_sites else '○ above'} {result.chance(view):.2f}, which the best "
        "of all reaches in 1 of 20 shuffles"
    )
    place: dict[str, Any] = {"xref": "paper", "yref": "paper", "xanchor": "left", "x": 0}
    return drawn(
        [cells] if of_sites else [cells, dots],
        look,
        title=title(result),
        height=TOP + grid.rows_height(result.n_layers) + BOTTOM + 24,
        margin={"t": TOP + 18},
        annotations=[note(words, look, y=1, yanchor="bottom", **place)],
        xaxis=_named(names) if of_sites else grid.number_axis(len(names), "head"),
        yaxis=grid.number_axis(result.n_layers, "layer", names=True),
    )


def _laid_out(result: ProbeSites, view: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Names of the columns, AUC [layer, column], number of the cell there, -1 for none."""
    index = np.arange(len(result.cells), dtype=float)
    if view == "heads":
        names = [str(head) for head in range(result.n_heads)]
        values, which = (result.grid(each, "head") for each in (result.auc, index))
    else:
        kinds = [name for name in NAMES if name in result.components]
        names = [NAMES[name] for name in kinds]
        values, which = (
            np.stack([result.grid(each, name) for name in kinds], axis=1)
            for each in (result.auc, index)
        )
    return names, values, np.nan_to_num(which, nan=-1).astype(int)


def _texts(values: np.ndarray, sure: np.ndarray) -> np.ndarray | None:
    """What stands in the cells: AUC, in brackets where it is not beyond chance."""
    if len(values) > 2 * grid.MOST_TEXT_ROWS:
        return None
    rows = [
        ["" if np.isnan(v) else f"{v:.2f}" if clear else f"({v:.2f})"
         for v, clear in zip(row, clears, strict=True)]
        for row, clears in zip(values, sure, strict=True)
    ]  # fmt: skip
    return np.array(rows, dtype=object)


def _named(names: list[str]) -> dict[str, Any]:
    return {
        "title": {"text": ""},
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "showgrid": False,
        "autotickangles": [0, -35, -90],
    }


def _line(result: ProbeSites, cell: int) -> str:
    low, high = np.quantile(result.control_auc[:, cell], (0.05, 0.95))
    fresh = result.untrained_auc[cell]
    more = f"<br>fresh weights {number(fresh)}" if np.isfinite(fresh) else ""
    return (
        f"<b>{escaped(result.cells[cell])}</b> {NAMES.get(result.components[cell], 'head')}"
        f"<br>AUC {number(result.auc[cell])} ({number(result.auc_low[cell])} to "
        f"{number(result.auc_high[cell])}), accuracy {number(result.accuracy[cell])}"
        f"<br>shuffled labels {number(low)} to {number(high)}{more}"
        f"<br>the best of all reaches it with p = {number(result.p[cell])}"
    )


def _ranked(result: ProbeSites, look: Look) -> go.Figure:
    """The highest cells, each with its interval and the range of its own shuffles."""
    order = np.argsort(-np.nan_to_num(result.auc, nan=-1), kind="stable")[:MOST]
    y = np.arange(len(order), dtype=float)
    low, high = np.quantile(result.control_auc[:, order], (0.05, 0.95), axis=0)
    heads = result.family("heads")[order]
    traces: list[Any] = [lines.ranges(low, high, y, look, name="shuffled labels, 5 to 95 %")]
    for name, role, symbol, here in (
        ("heads", "a", "circle", heads), ("other sites", "b", "diamond", ~heads),
    ):  # fmt: skip
        if here.any():
            at = order[here]
            traces.append(
                lines.dots(
                    result.auc[at], y[here], look, role=role, name=name, symbol=symbol,
                    low=result.auc_low[at], high=result.auc_high[at], unit="AUC",
                )
            )  # fmt: skip
    shapes = []
    for name, role in (("heads", "a"), ("sites", "b")):
        if result.best(name) is not None:
            level = result.chance(name)
            line = {"color": colour(role, look), "width": 1.2, "dash": "dot"}
            shapes.append(
                {"type": "line", "yref": "y domain", "x0": level, "x1": level, "y0": 0, "y1": 1,
                 "layer": "below", "line": line}
            )  # fmt: skip
    names = [result.cells[cell] for cell in order]
    return drawn(
        traces, look, title=title(result), height=TOP + 20 * len(order) + BOTTOM + 60,
        showlegend=True, legend={"y": 1.01}, margin={"t": TOP + 34}, shapes=shapes,
        xaxis={"title": {"text": "held-out AUC (dotted: the best of all under shuffled labels)"},
               "range": [min(0.3, float(low.min()) - 0.02), 1.02]},
        yaxis=lines.rows_axis(names),
    )  # fmt: skip
