"""Earlier heads by later heads: how strongly one reads what the other writes."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import BOTTOM, TOP, Look, colour_bar, drawn, signed
from core.figures.wording import count, number
from core.results.head_composition import KINDS, HeadComposition
from core.spec.errors import Error

_HOVER = (
    "<b>{0}L%{{customdata[0]}}.head[%{{customdata[1]}}] → "
    "{0}L%{{customdata[2]}}.head[%{{customdata[3]}}]</b><br>"
    "%{{z:+.3~g}} beside random factors ({1})<extra></extra>"
)
MOST = 160  # heads: more are shown layer by layer, the strongest pair of two layers
SIDE = 460


def figure(
    result: HeadComposition, look: Look, *, kind: str = "k", limit: float | None = None
) -> go.Figure:
    """Colour is composition less that of random factors; row the earlier head, column the later.

    kind   "q", "k" or "v": through what the later head reads
    limit  the difference of full colour, when several matrices stand side by side
    """
    place = _place(kind)
    mean = float(result.random[place, 0])
    shown, pairs = _shown(result, kind)
    above = shown - mean
    most = limit or float(np.nanmax(np.abs(above)))
    whole = len(shown) == result.n_layers * result.n_heads
    cells = grid.cells(
        above.astype("float32"),
        scale=signed(look),
        limits=(-most, most),
        customdata=_sites(result, pairs),
        hovertemplate=_HOVER.format("enc." if result.stack else "", number(mean)),
        bar=colour_bar("composition − random", look),
    )
    return drawn(
        [cells],
        look,
        title=title(result, kind),
        height=TOP + SIDE + BOTTOM,
        xaxis=_axis(result, f"reads with {KINDS[kind]} (later head)", whole),
        yaxis=_axis(result, "writes (earlier head)", whole),
    )


def title(result: HeadComposition, kind: str = "k") -> str:
    """The strongest pair beside what random factors give."""
    place = _place(kind)
    early, late = result.strongest(kind, 1)[0]
    return (
        f"{result.site(late)} reads {result.site(early)} with {KINDS[kind]}: "
        f"{number(result.composition[kind][early, late])} "
        f"(random {number(result.random[place, 0])})"
    )


def caption(result: HeadComposition) -> str:
    """The control and the sample, in words."""
    mean, deviation = result.random[0].tolist()
    words = (
        f"control, {count(result.n_random, 'pair')} of random factors: {number(mean)} "
        f"± {number(deviation)}; {count(result.n_pairs, 'pair')} of heads in "
        f"{count(result.n_layers, 'layer')}; norms folded in"
    )
    if result.rotary:
        words += "; rotary positions: queries and keys by content alone, at offset 0"
    if result.normed:
        words += "; what the norms of queries and keys divide by is left out"
    return words


def _place(kind: str) -> int:
    if kind not in KINDS:
        raise Error(f"heads read with {', '.join(KINDS)}, not with {kind[:20]!r}")
    return list(KINDS).index(kind)


def _shown(result: HeadComposition, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """(values, pair as one number) of the cells: pairs of heads, or the strongest of two layers."""
    table = result.composition[kind]
    n = len(table)
    pairs = np.arange(n * n).reshape(n, n)
    if n <= MOST:
        return table, pairs
    layers, heads = result.n_layers, result.n_heads
    blocks = table.reshape(layers, heads, layers, heads).swapaxes(1, 2).reshape(layers, layers, -1)
    own = pairs.reshape(layers, heads, layers, heads).swapaxes(1, 2).reshape(layers, layers, -1)
    best = np.where(np.isnan(blocks), -1.0, blocks).argmax(axis=2)[:, :, None]
    found = (np.take_along_axis(each, best, axis=2)[:, :, 0] for each in (blocks, own))
    values, chosen = found
    return values, chosen


def _sites(result: HeadComposition, pairs: np.ndarray) -> np.ndarray:
    """[..., 4] layer and head of the earlier and of the later one; text would be heavy."""
    n, heads = result.n_layers * result.n_heads, result.n_heads
    early, late = pairs // n, pairs % n
    places = (early // heads, early % heads, late // heads, late % heads)
    return np.stack(places, axis=-1).astype("int16")


def _axis(result: HeadComposition, title: str, whole: bool) -> dict[str, Any]:
    """Heads with a tick at the first of each layer, or layers."""
    if not whole:
        return grid.number_axis(result.n_layers, title, names=True)
    every = max(1, -(-result.n_layers // 24))
    layers = range(0, result.n_layers, every)
    return {
        "title": {"text": title},
        "tickmode": "array",
        "tickvals": [layer * result.n_heads for layer in layers],
        "ticktext": [f"L{layer}" for layer in layers],
        "showgrid": False,
        "range": [-0.5, result.n_layers * result.n_heads - 0.5],
    }
