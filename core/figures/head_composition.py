"""Earlier heads by later heads: how strongly one reads what the other writes, and by channel."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import dots, rows_axis
from core.figures.theme import BOTTOM, ROW, TOP, Look, colour, colour_bar, drawn, note, signed
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
VIEWS = ("pairs", "channels")
ROWS = 20  # channels shown


def figure(
    result: HeadComposition,
    look: Look,
    *,
    kind: str = "k",
    limit: float | None = None,
    view: str = "pairs",
) -> go.Figure:
    """Colour is composition less that of random factors; row the earlier head, column the later.

    kind   "q", "k" or "v": through what the later head reads
    limit  the difference of full colour, when several matrices stand side by side
    view   "channels": the single channels that stand out most instead
    """
    place = _place(kind)
    if view not in VIEWS:
        raise Error(f"composition is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    if view == "channels":
        return _channels(result, look, kind)
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


def channels_title(result: HeadComposition, kind: str = "k") -> str:
    """The channel that stands out most, and how many do."""
    place, best = _place(kind), result.channel_frame(kind).iloc[0]
    return (
        f"{best.late} hears channel {int(best.channel) + 1} of {best.early} with {KINDS[kind]}: "
        f"{number(best.outlier)} standard deviations above other channels (random directions "
        f"{number(result.random_outlier[place])}); "
        f"{count(result.n_outliers[place], 'channel')} beyond {number(result.outlier)}"
    )


def _channels(result: HeadComposition, look: Look, kind: str) -> go.Figure:
    best = result.channel_frame(kind).head(ROWS)
    names = [f"{row.early} · {row.channel + 1} → {row.late}" for row in best.itertuples()]
    hover = [
        f"<b>{name}</b><br>composition {number(row.value)}<br>{number(row.z, sign=True)} beside "
        f"random directions<br>{row.strength:.0%} of what {row.early} writes"
        for name, row in zip(names, best.itertuples(), strict=True)
    ]
    y, x = np.arange(len(best)), best.outlier.to_numpy()
    chance = result.random_outlier[_place(kind)]
    marks = dots(x, y, look, role="a", name="channel", hovertext=hover)
    marks.hovertemplate = "%{hovertext}<extra></extra>"
    line = {"type": "line", "x0": chance, "x1": chance, "yref": "paper", "y0": 0, "y1": 1}
    return drawn(
        [marks],
        look,
        title=channels_title(result, kind),
        height=TOP + ROW * max(3, len(best)) + BOTTOM,
        shapes=[{**line, "line": {"color": colour("control", look), "dash": "dash"}}],
        annotations=[note("random", look, x=chance, y=1.0, yref="paper", yanchor="bottom")],
        xaxis={
            "title": {"text": "standard deviations above the other channels"},
            "range": [0, 1.08 * max(float(x.max()), chance)],
        },
        yaxis=rows_axis(names),
    )


def caption(result: HeadComposition) -> str:
    """The control and the sample, in words."""
    mean, deviation = result.random[0].tolist()
    words = (
        f"control, {count(result.n_random, 'pair')} of random factors: {number(mean)} "
        f"± {number(deviation)}; {count(result.n_pairs, 'pair')} of heads in "
        f"{count(result.n_layers, 'layer')}; channels: the {result.n_channels} strongest of each "
        f"head, {count(result.n_heard, 'pair')} of one and a later head, control "
        f"{count(result.n_draws, 'random direction')}; norms folded in"
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
