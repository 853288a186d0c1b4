"""Sets of units side by side: what every two share beyond chance, what breaks without each."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour_bar, drawn, note, signed
from core.figures.wording import count, escaped, number, readable

NAME = 28  # characters of a name


def name(text: str) -> str:
    """The name of a set or task as it stands in titles and at axes."""
    return readable(text.replace("_", " "))[:NAME]


def pair_title(
    names: Sequence[str], corrected: np.ndarray, both: np.ndarray, chance: np.ndarray, unit: str
) -> str:
    """The pair that shares most, in words; `both` and `chance` are units [set, set, layer]."""
    pairs = [(x, y) for x in range(len(names)) for y in range(x)]
    x, y = max(pairs, key=lambda pair: corrected[pair], default=(0, 0))
    most = "" if len(pairs) == 1 else " most"
    return (
        f"“{name(names[y])}” and “{name(names[x])}” share{most}: "
        f"{count(int(both[x, y].sum()), unit)}, by chance {number(chance[x, y].sum())}"
    )


def overlap_map(
    names: Sequence[str],
    corrected: np.ndarray,
    look: Look,
    *,
    title: str,
    kind: str,
    line: Callable[[int, int], str],
) -> go.Figure:
    """Chance-corrected Jaccard of every two sets; `line(x, y)` goes on with the hover, escaped."""
    n = len(names)
    hover = _hovers(
        (n, n),
        lambda x, y: (
            f"<b>{_print(names[x])}</b> and <b>{_print(names[y])}</b><br>corrected "
            f"Jaccard {number(corrected[x, y])}<br>{line(x, y)}"
        ),
    )
    cells = grid.cells(
        corrected.astype("float32"),
        scale=signed(look),
        limits=(-1.0, 1.0),
        hover=hover,
        text=_printed(corrected),
        bar=colour_bar("corrected Jaccard", look),
    )
    return drawn(
        [cells],
        look,
        title=title,
        height=TOP + 44 * max(n, 3) + BOTTOM + 20,
        margin={"l": 160, "b": 56},
        xaxis=_named(names, kind) | {"range": [-0.5, n - 0.5]},
        yaxis=_named(names, kind) | {"range": [n - 0.5, -0.5]},
    )


def silent_map(
    silenced: Sequence[str],
    sizes: np.ndarray,
    measured: Sequence[str],
    cost: np.ndarray,
    look: Look,
    *,
    title: str,
    unit: str,
    bar: str,
    empty: str = "",
    limit: float | None = None,
) -> go.Figure:
    """What is lost on each kind of text while a set is silent.

    cost   [silenced, measured, 1 + random sets] nats
    unit   what the sets hold; bar: what is lost; empty: said where no set is silenced
    limit  the |value| of full colour, when several figures stand side by side
    """
    z, control = cost[:, :, 0], cost[:, :, 1:].mean(axis=2)
    most = limit or max(float(np.abs(z).max(initial=0)), 1e-3)
    hover = _hovers(
        z.shape,
        lambda x, y: (
            f"<b>{_print(silenced[x])}</b> silent ({count(int(sizes[x]), unit)})<br>on "
            f"{_print(measured[y])}: {number(z[x, y], sign=True)} nats<br>random sets "
            f"{number(control[x, y], sign=True)}"
        ),
    )
    cells = grid.cells(
        z.astype("float32"),
        scale=signed(look),
        limits=(-most, most),
        hover=hover,
        text=_printed(z),
        bar=colour_bar(bar, look),
    )
    rows = [f"{name(one)} ({size})" for one, size in zip(silenced, sizes.tolist(), strict=True)]
    n, notes = max(len(z), 1), []
    if not len(z):
        notes = [note(empty, look, x=0.5, y=0.5, xref="paper", yref="paper")]
    return drawn(
        [cells],
        look,
        title=title,
        height=TOP + 44 * max(n, 2) + BOTTOM + 20,
        margin={"l": 200, "b": 56},
        xaxis=_named(measured, "measured on") | {"range": [-0.5, len(measured) - 0.5]},
        yaxis=_named(rows, "silent", whole=True) | {"range": [n - 0.5, -0.5]},
        annotations=notes,
    )


def _print(text: str) -> str:
    return escaped(name(text))


def _named(names: Sequence[str], words: str, *, whole: bool = False) -> dict[str, Any]:
    return {
        "title": {"text": words},
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": [escaped(one) if whole else _print(one) for one in names],
        "showgrid": False,
    }


def _hovers(shape: tuple[int, ...], line: Callable[[int, int], str]) -> np.ndarray:
    found = [[line(x, y) for y in range(shape[1])] for x in range(shape[0])]
    return np.array(found, dtype=object).reshape(shape)


def _printed(z: np.ndarray) -> np.ndarray | None:
    if max(z.shape, default=0) > grid.MOST_TEXT_ROWS:
        return None
    text = [[number(round(float(v), 2), sign=True) for v in row] for row in z]
    return np.array(text, dtype=object).reshape(z.shape)
