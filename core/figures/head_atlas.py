"""All heads at a glance: one number of each, the role each fits best, one number against another.

Takes numbers of any analysis, so that scores, effects and weights are drawn alike.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.head_maps import hovers, largest, printed
from core.figures.theme import (
    BOTTOM,
    TOP,
    UNSIGNED,
    Look,
    colour,
    colour_bar,
    drawn,
    note,
    rounded_up,
    signed,
)
from core.figures.wording import number
from core.results.heads import ROLE_NAMES, ROLES, Heads
from core.spec.site import Site

MOST_BESIDE = 16  # more heads: the control stands in the hover and the caption alone
TEXT_HEADS = 12  # more: no numbers inside the cells
PLANE = 340
# role: (light, dark, mark inside a cell). The mark says it without colour.
LOOKS: dict[str, tuple[str, str, str]] = {
    "none": ("#f5f6f8", "#1a1d27", ""),
    "induction": ("#cc6677", "#e08593", "ind"),
    "duplicate token": ("#aa4499", "#cc6ebc", "dup"),
    "previous token": ("#88ccee", "#6fb7dc", "prev"),
    "current token": ("#44aa99", "#44aa99", "self"),
    "next token": ("#5aa772", "#5aa772", "next"),
    "same word": ("#ddcc77", "#cdbb62", "word"),
    "delimiter": ("#aaaa55", "#aaaa55", "del"),
    "sink": ("#a88bd4", "#a88bd4", "sink"),
    "broad": ("#c4c8ce", "#5d646f", "broad"),
}


@dataclass(frozen=True, eq=False)
class Score:
    """One number of every head: its name, what it is, values and control, each [layer, head]."""

    name: str
    words: str
    unit: str
    values: np.ndarray
    control: np.ndarray | None = None
    signed: bool = False
    least: float = 0.0  # where the scale of an unsigned score begins
    most: float = 0.0  # where it ends; 0: a round number that holds all
    stack: str = ""

    @property
    def size(self) -> np.ndarray:
        """[layer, head] what ranks heads: the value, of a signed score its size; NaN is -inf."""
        values = np.abs(self.values) if self.signed else self.values
        return np.where(np.isnan(values), -np.inf, values)

    def strongest(self) -> tuple[int, int]:
        """(layer, head) of the largest."""
        layer, head = np.unravel_index(self.size.argmax(), self.size.shape)
        return int(layer), int(head)

    def rank(self, layer: int, head: int) -> int:
        """1 for the largest of all heads."""
        return 1 + int((self.size > self.size[layer, head]).sum())


def figure(score: Score, look: Look) -> go.Figure:
    """The score of every head, its control beside it on the same scale; layer 0 at the bottom."""
    n_layers, n_heads = score.values.shape
    limits = _limits(score)
    few = n_heads <= TEXT_HEADS and n_layers <= grid.MOST_TEXT_ROWS
    shared: dict[str, Any] = {
        "scale": signed(look) if score.signed else UNSIGNED,
        "limits": limits,
        "hover": hovers(score.values.shape, lambda *at: _line(score, *at)),
    }
    text = (printed if score.signed else _plain)(score.values) if few else None
    bar = colour_bar(score.unit, look)
    traces = [grid.cells(score.values.astype("float32"), text=text, bar=bar, **shared)]
    layout: dict[str, Any] = {"xaxis": grid.number_axis(n_heads, "head")}
    if score.control is not None and n_heads <= MOST_BESIDE:
        traces.append(grid.cells(score.control.astype("float32"), xaxis="x2", **shared))
        layout["xaxis"]["domain"] = [0, 0.6]
        layout["xaxis2"] = grid.number_axis(n_heads, "head") | {"domain": [0.64, 1], "anchor": "y"}
        layout["annotations"] = [
            _heading(score.name, "x domain", look),
            _heading("control", "x2 domain", look),
        ]
    return _map(traces, look, title=title(score), n_layers=n_layers, **layout)


def title(score: Score) -> str:
    """The head of the largest value beside its control, in words."""
    at = score.strongest()
    control = "" if score.control is None else f" (control {_number(score, score.control[at])})"
    return f"{_site(score.stack, *at)}: {score.name} {_number(score, score.values[at])}{control}"


def roles(result: Heads, look: Look) -> go.Figure:
    """The role that each head fits best, by colour and mark; pale cells fit none."""
    present = [code for code in range(len(ROLE_NAMES)) if code == 0 or (result.role == code).any()]
    place = np.full(len(ROLE_NAMES), 0)
    place[present] = np.arange(len(present))
    n_layers, n_heads = result.role.shape
    few = n_heads <= TEXT_HEADS and n_layers <= grid.MOST_TEXT_ROWS
    cells = grid.cells(
        place[result.role].astype("float32"),
        scale=_steps([_shade(ROLE_NAMES[code], look) for code in present]),
        limits=(-0.5, len(present) - 0.5),
        hover=hovers(result.role.shape, lambda *at: _role_line(result, *at)),
        text=_marks(result) if few else None,
        bar=colour_bar(
            "", look, tickvals=list(range(len(present))), ticklen=0,
            ticktext=[ROLE_NAMES[code] for code in present],
        ),
    )  # fmt: skip
    axis = grid.number_axis(n_heads, "head")
    return _map([cells], look, title=roles_title(result), n_layers=n_layers, xaxis=axis)


def roles_title(result: Heads) -> str:
    """How many heads fit which role."""
    found = [(int((result.role == code).sum()), name) for code, name in enumerate(ROLE_NAMES)]
    counts = ", ".join(f"{n} {name}" for n, name in sorted(found[1:], key=lambda it: -it[0]) if n)
    return f"{counts or 'no head fits a role'}; {found[0][0]} of {result.role.size} fit none"


def plane(
    across: Score, up: Score, look: Look, *, role: np.ndarray | None, picked: tuple[int, int]
) -> go.Figure:
    """One dot a head: one score against another, coloured by role, the picked head ringed."""
    x, y = across.values.ravel(), up.values.ravel()
    names = [ROLE_NAMES[code] for code in role.ravel().tolist()] if role is not None else []
    dots = go.Scatter(
        x=x,
        y=y,
        mode="markers",
        marker={
            "size": 9 if x.size <= 400 else 6,
            "color": [_dot(name, look) for name in names] or colour("a", look),
            "line": {"width": 1, "color": colour("muted", look)},
        },
        hovertext=hovers(across.values.shape, lambda *at: _both(across, up, role, *at)).ravel(),
        hovertemplate="%{hovertext}<extra></extra>",
    )
    return drawn(
        [dots],
        look,
        title=plane_title(across, up),
        height=TOP + PLANE,
        shapes=_ring(float(across.values[picked]), float(up.values[picked]), look),
        xaxis={"title": {"text": f"{across.name} ({across.unit})"}},
        yaxis={"title": {"text": f"{up.name} ({up.unit})"}},
    )


def plane_title(across: Score, up: Score) -> str:
    """How far two scores go together, by rank."""
    return f"{across.name} and {up.name}: rank correlation {number(agreement(across, up))}"


def agreement(across: Score, up: Score) -> float:
    """Spearman's correlation over all heads that have both numbers; NaN below three of them."""
    x, y = across.values.ravel(), up.values.ravel()
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3:
        return float("nan")
    ranks = [_ranks(values[both]) for values in (x, y)]
    if min(rank.std() for rank in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    """Places in ascending order; equal values share the mean of theirs."""
    _, place, n = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(n) - (n - 1) / 2)[place]


def _map(traces: list[Any], look: Look, *, title: str, n_layers: int, **layout: Any) -> go.Figure:
    return drawn(
        traces,
        look,
        title=title,
        height=TOP + 12 + grid.rows_height(n_layers) + BOTTOM,
        margin={"t": TOP + 12},
        yaxis=grid.number_axis(n_layers, "layer", names=True),
        **layout,
    )


def _limits(score: Score) -> tuple[float, float]:
    most = largest(score.values)
    if score.control is not None:
        most = max(most, largest(score.control))
    if score.signed:
        return -(most or 1.0), most or 1.0
    return score.least, score.most or rounded_up(most)


def _site(stack: str, layer: int, head: int) -> Site:
    return Site(layer, "head", head, stack=stack)


def _number(score: Score, value: float) -> str:
    return number(value, sign=score.signed)


def _line(score: Score, layer: int, head: int) -> str:
    lines = [
        f"<b>{_site(score.stack, layer, head)}</b>",
        f"{score.name} {_number(score, score.values[layer, head])} {score.unit}",
    ]
    if score.control is not None:
        lines.append(f"control {_number(score, score.control[layer, head])}")
    lines.append(f"rank {score.rank(layer, head)} of {score.values.size}")
    return "<br>".join(lines)


def _plain(values: np.ndarray) -> np.ndarray:
    return np.array(
        [["" if np.isnan(v) else number(round(float(v), 2)) for v in row] for row in values], object
    )


def _both(across: Score, up: Score, role: np.ndarray | None, layer: int, head: int) -> str:
    name = "" if role is None else f"<br>role: {ROLE_NAMES[int(role[layer, head])]}"
    numbers = (f"{one.name} {_number(one, one.values[layer, head])}" for one in (across, up))
    return f"<b>{_site(across.stack, layer, head)}</b><br>{'<br>'.join(numbers)}{name}"


def _role_line(result: Heads, layer: int, head: int) -> str:
    code = int(result.role[layer, head])
    words = next((role.words for role in ROLES if role.name == ROLE_NAMES[code]), "fits no rule")
    score = result.role_score[layer, head]
    known = "" if np.isnan(score) else f"<br>score {number(score)}"
    others = [
        ROLE_NAMES[i]
        for i in np.flatnonzero(result.fits[layer, head]).tolist()
        if i not in (0, code)
    ]
    too = f"<br>fits too: {', '.join(others)}" if others else ""
    return f"<b>{_site(result.stack, layer, head)}</b><br>{ROLE_NAMES[code]}: {words}{known}{too}"


def _marks(result: Heads) -> np.ndarray:
    marks = [LOOKS[name][2] for name in ROLE_NAMES]
    return np.array([[marks[code] for code in row] for row in result.role.tolist()], object)


def _shade(name: str, look: Look) -> str:
    return LOOKS[name][look.dark]


def _dot(name: str, look: Look) -> str:
    return colour("background", look) if name == "none" else _shade(name, look)


def _steps(shades: list[str]) -> list[list[Any]]:
    """A scale of flat steps, one a shade."""
    n = len(shades)
    return [[(i + side) / n, shade] for i, shade in enumerate(shades) for side in (0, 1)]


def _ring(x: float, y: float, look: Look) -> list[dict[str, Any]]:
    if np.isnan(x) or np.isnan(y):
        return []
    place = {"xsizemode": "pixel", "ysizemode": "pixel", "xanchor": x, "yanchor": y}
    line = {"color": colour("text", look), "width": 2}
    return [{"type": "circle", "x0": -8, "x1": 8, "y0": -8, "y1": 8, "line": line, **place}]


def _heading(words: str, domain: str, look: Look) -> dict[str, Any]:
    place: dict[str, Any] = {"x": 0, "y": 1, "xref": domain, "yref": "paper"}
    return note(words, look, xanchor="left", yanchor="bottom", **place)
