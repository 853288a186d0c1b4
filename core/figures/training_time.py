"""Training as an axis: where checkpoints stand, how they are called, and single heads' names."""

from typing import Any

import numpy as np

from core.figures.theme import Look, faint
from core.figures.wording import escaped, readable, visible
from core.results.training import Training

MOST_TICKS = 14
_GAP = 0.5  # decades between fresh weights, step 0 and the first step


def at(result: Training, row: int) -> str:
    """A checkpoint in words: "step 2,500", else its name."""
    if result.fresh and row == 0:
        return result.checkpoints[0]
    step = result.steps[row]
    last = row == result.n_rows - 1
    name = readable(result.checkpoints[row])[:30]
    if np.isnan(step):
        return name
    return f"step {step:,.0f}" + (f" (the end, {name})" if last else "")


def places(result: Training) -> np.ndarray:
    """[row] where checkpoints stand: by the logarithm of their step, evenly where it is unknown.

    Step 0 stands before the first step, fresh weights before that; a last checkpoint of unknown
    step behind all.
    """
    steps = result.steps.copy()
    start = int(result.fresh)
    known = steps[start:]
    if len(known) > 1 and np.isnan(known[-1]):
        known = known[:-1]
    if np.isnan(known).any() or (np.diff(known) <= 0).any() or not (known > 0).any():
        return np.arange(result.n_rows, dtype=float)
    least = np.log10(known[known > 0].min())
    found = np.where(known > 0, np.log10(np.maximum(known, 1e-9)), least - _GAP)
    if len(known) < len(steps) - start:
        found = np.append(found, found[-1] + _GAP)
    return np.insert(found, 0, found[0] - _GAP) if result.fresh else found


def short(result: Training, row: int) -> str:
    """A checkpoint on an axis: "fresh", "2.5k", or its name."""
    if result.fresh and row == 0:
        return "fresh"
    step = result.steps[row]
    if np.isnan(step):
        return visible(result.checkpoints[row], 12)
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if step >= size:
            return f"{step / size:.3g}{sign}"
    return f"{step:.0f}"


def time(result: Training, where: np.ndarray) -> dict[str, Any]:
    """The axis of training; ticks that would touch are left out, the last one stays."""
    span = max(float(where[-1] - where[0]), 1e-9)
    kept: list[int] = []
    for row in range(result.n_rows)[::-1]:
        if not kept or where[kept[-1]] - where[row] >= span / MOST_TICKS:
            kept.append(row)
    return {
        "title": {"text": "step of training"},
        "tickmode": "array",
        "tickvals": [float(where[row]) for row in kept],
        "ticktext": [escaped(short(result, row)) for row in kept],
        "range": [float(where[0]) - 0.03 * span, float(where[-1]) + 0.03 * span],
        "showgrid": False,
    }


def columns(result: Training) -> dict[str, Any]:
    """The same as cells of equal width."""
    step = -(-result.n_rows // MOST_TICKS)
    rows = list(range(result.n_rows - 1, -1, -step))
    return {
        "title": {"text": "step of training"},
        "tickmode": "array",
        "tickvals": rows,
        "ticktext": [escaped(short(result, row)) for row in rows],
        "tickangle": 0,
        "range": [-0.5, result.n_rows - 0.5],
        "showgrid": False,
    }


def marked(look: Look, row: int | None, where: np.ndarray) -> dict[str, Any]:
    """A line at the checkpoint that is looked at."""
    if row is None:
        return {}
    x = float(where[row])
    line = {"color": faint("text", look, 0.45), "width": 1.5, "dash": "dot"}
    return {
        "shapes": [
            {"type": "line", "x0": x, "x1": x, "yref": "y domain", "y0": 0, "y1": 1,
             "layer": "below", "line": line}
        ]
    }  # fmt: skip


def site(result: Training, layer: int, head: int) -> str:
    prefix = f"{result.stack}." if result.stack else ""
    return f"{prefix}L{layer}.head[{head}]"
