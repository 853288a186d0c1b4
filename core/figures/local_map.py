"""An answer split over its tokens: bars that add up, layer by token, ranks, singular vectors."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.theme import (
    BOTTOM,
    ROW,
    TOP,
    UNSIGNED,
    Look,
    colour,
    colour_bar,
    drawn,
    faint,
    note,
    rounded_up,
    signed,
)
from core.figures.wording import count, escaped, number, quoted, token
from core.results.local_map import LocalMap
from core.spec.errors import Error

MOST = 40  # tokens drawn as bars: those with the largest parts, in their order
VIEWS = ("tokens", "layers", "ranks", "vectors")
_Row = dict[str, Any]


def figure(
    result: LocalMap, look: Look, *, view: str = "tokens", which: int = 0, most: int = MOST
) -> go.Figure:
    """The split of the answer in one of several ways.

    view   "tokens" bars that add up to the score; "layers" the same for the stream in front of
           every block; "ranks" and "vectors" of the maps, where these were asked for
    which  whose vectors: 0 the asked token's, 1 the strongest one's
    """
    if view not in VIEWS:
        raise Error(f"the figure can show {', '.join(VIEWS)}, not {view[:20]!r}")
    if view in ("ranks", "vectors") and not result.mapped:
        raise Error("the maps were not taken apart; ask for them with maps=True")
    if view == "layers":
        return _layers(result, look)
    if view == "ranks":
        return _ranks(result, look)
    if view == "vectors":
        return _vectors(result, look, min(which, len(result.mapped) - 1))
    return _tokens(result, look, most)


def title(result: LocalMap) -> str:
    """Which token contributes most, and that the sum is exact, in words."""
    best = int(np.abs(result.part).argmax())
    constant = float(result.constant.sum()) if len(result.constant) else 0.0
    rest = f", {number(constant)} of it from no token" if len(result.constant) else ""
    return (
        f"{_what(result)} is {number(result.score)}{rest}; {quoted(result.tokens[best])} ({best}) "
        f"contributes {number(result.part[best], sign=True)}"
    )


def caption(result: LocalMap) -> str:
    """How exact, the controls and the sample, in words."""
    about = f"; {result.why_not}, so the length of the state is split" if result.why_not else ""
    return (
        f"exact for this text: parts and constants miss the score by {number(result.miss)} "
        f"({result.dtype}), ordinary gradient × embedding by {number(result.ordinary_miss)}; the "
        f"model itself says {number(result.said)}; control, grey: 95 % of the other tokens of the "
        f"text at the same place; {count(len(result.tokens), 'token')}, 1 text; not what changing "
        f"a token would do{about}"
    )


def _what(result: LocalMap) -> str:
    if result.target == "length":
        return f"The length of the state at token {result.position}"
    against = f" over that of {quoted(result.against)}" if result.against else ""
    return f"The logit of {quoted(result.answer)}{against}"


def _unit(result: LocalMap) -> str:
    return "part of the length" if result.target == "length" else "part of the logit"


def _tokens(result: LocalMap, look: Look, most: int) -> go.Figure:
    order = np.argsort(-np.abs(result.part), kind="stable")[:most]
    shown = np.sort(order)
    n = len(shown)
    rows, names = _names(result, shown)
    parts = np.concatenate([result.part[shown], result.constant])
    plain = np.concatenate([result.ordinary[shown], result.ordinary_constant])
    colours = [colour("high" if part > 0 else "low", look) for part in parts[:n]]
    colours += [colour("muted", look)] * len(result.constants)
    hover = _hover(result, shown)
    bar: _Row = {"orientation": "h", "y": rows, "hovertext": hover, "x": parts}
    bar["hovertemplate"] = "%{hovertext}<extra></extra>"
    traces = [
        _band(result, shown, look),
        go.Bar(marker={"color": colours}, width=0.55, name="held exactly", **bar),
        go.Scatter(
            x=plain,
            y=rows,
            mode="markers",
            name="ordinary gradient × embedding",
            marker={
                "symbol": "diamond-open",
                "size": 8,
                "color": colour("text", look),
                "line": {"width": 1.5},
            },
            hovertext=hover,
            hovertemplate="%{hovertext}<extra></extra>",
        ),
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + ROW * max(5, len(names)) + BOTTOM + 24,
        barmode="overlay",
        showlegend=True,
        legend={"y": 1.0},
        margin={"l": 130, "r": 16, "t": TOP + 24},
        xaxis={"title": {"text": f"{_unit(result)}; all bars add up to {number(result.score)}"},
               "zeroline": True, "zerolinecolor": colour("muted", look)},
        yaxis={
            "tickmode": "array",
            "tickvals": rows.tolist(),
            "ticktext": names,
            "range": [len(names) - 0.5, -0.5],
            "showgrid": False,
            "title": {"text": "token"},
        },
    )  # fmt: skip


def _names(result: LocalMap, shown: np.ndarray) -> tuple[np.ndarray, list[str]]:
    names = [f"{token(result.tokens[i], grid.LABEL)} ({i})" for i in shown]
    names += [f"<i>{escaped(name)}</i>" for name in result.constants]
    return np.arange(len(names)), names


def _band(result: LocalMap, shown: np.ndarray, look: Look) -> go.Bar:
    low, high = result.shuffled_low[shown], result.shuffled_high[shown]
    return go.Bar(
        x=high - low,
        base=low,
        y=np.arange(len(shown)),
        orientation="h",
        name="other tokens of the text there",
        marker={"color": faint("control", look, 0.35)},
        hoverinfo="skip",
    )


def _hover(result: LocalMap, shown: np.ndarray) -> list[str]:
    share = result.share
    lines = [
        f"<b>{token(result.tokens[i])}</b> ({i})<br>{_unit(result)} "
        f"{number(result.part[i], sign=True)} ({number(100 * share[i])} % of all sizes)<br>other "
        f"tokens there {number(result.shuffled_low[i])} to {number(result.shuffled_high[i])}<br>"
        f"ordinary gradient × embedding {number(result.ordinary[i], sign=True)}"
        for i in shown
    ]
    return lines + [
        f"<b>{escaped(name)}</b><br>{number(value, sign=True)}, whatever the tokens are"
        for name, value in zip(result.constants, result.constant, strict=True)
    ]


def _layers(result: LocalMap, look: Look) -> go.Figure:
    """Layer by token: which token's stream carries the answer, layer by layer."""
    values, rest = result.layer_part, result.layer_constant
    limit = rounded_up(float(np.abs(values).max()))
    hover = [
        [
            f"{_depth(row, len(values))} · token {t} <b>{token(piece)}</b><br>{_unit(result)} "
            f"{number(values[row, t], sign=True)}<br>no token's: {number(rest[row], sign=True)}; "
            f"sum of the row {number(values[row].sum() + rest[row])}"
            for t, piece in enumerate(result.tokens)
        ]
        for row in range(len(values))
    ]
    few = values.shape[1] <= grid.MOST_TEXT_COLUMNS and len(values) <= grid.MOST_TEXT_ROWS
    return _map(
        result,
        look,
        values,
        scale=signed(look),
        limits=(-limit, limit),
        hover=hover,
        text=[[number(value) for value in row] for row in values] if few else None,
        unit=_unit(result),
    )


def _ranks(result: LocalMap, look: Look) -> go.Figure:
    """Layer by token: how many directions a token's map uses, beside fresh weights."""
    values, fresh = result.stable_rank, result.fresh_rank
    both = np.concatenate([values.ravel(), [1.0]])
    limit = rounded_up(float(np.nanmax(both)))
    hover = [
        [
            f"{_depth(row, len(values))} · token {t} <b>{token(piece)}</b><br>stable rank "
            f"{number(values[row, t])}<br>fresh weights {number(fresh[row, t])}"
            for t, piece in enumerate(result.tokens)
        ]
        for row in range(len(values))
    ]
    few = values.shape[1] <= grid.MOST_TEXT_COLUMNS and len(values) <= grid.MOST_TEXT_ROWS
    return _map(
        result,
        look,
        values,
        scale=UNSIGNED,
        limits=(0.0, limit),
        hover=hover,
        text=[[_pair(own, other) for own, other in zip(row, low, strict=True)]
              for row, low in zip(values, fresh, strict=True)] if few else None,
        unit="stable rank (in brackets: fresh weights)",
    )  # fmt: skip


def _pair(own: float, fresh: float) -> str:
    if np.isnan(own):
        return ""
    return f"{own:.1f}" + ("" if np.isnan(fresh) else f" ({fresh:.0f})")


def _depth(row: int, rows: int) -> str:
    return f"in front of block {row}" if row < rows else "behind the last block"


def _map(
    result: LocalMap,
    look: Look,
    values: np.ndarray,
    *,
    scale: Any,
    limits: tuple[float, float],
    hover: list[list[str]],
    text: list[list[str]] | None,
    unit: str,
) -> go.Figure:
    cells = grid.cells(
        values.astype("float32"),
        scale=scale,
        limits=limits,
        hover=np.array(hover, dtype=object),
        text=None if text is None else np.array(text, dtype=object),
        bar=colour_bar(unit, look),
    )
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + grid.rows_height(len(values)) + BOTTOM + grid.label_room(result.tokens),
        xaxis=grid.token_axis(result.tokens, "token"),
        yaxis=_rows(len(values), len(result.layer_part)),
    )


def _rows(rows: int, ends: int) -> dict[str, Any]:
    """Blocks by number, and what leaves the last one where that has a row."""
    axis = grid.number_axis(rows, "the stream in front of block")
    names = ["end" if at == ends - 1 else str(at) for at in axis["tickvals"]]
    return {**axis, "ticktext": names}


def _vectors(result: LocalMap, look: Look, which: int) -> go.Figure:
    """The pairs of singular vectors of one token's map: what is read, what is then written."""
    use, values = result.use[which], result.singular[which]
    rows = np.arange(len(use))
    at = result.mapped[which]
    words = [
        f"reads {_listed(reads)}  →  says {_listed(says)}"
        for reads, says in zip(result.reads[which], result.says[which], strict=True)
    ]
    hover = [
        f"pair {row + 1}, singular value {number(values[row])}<br>share of what "
        f"<b>{token(result.tokens[at])}</b> writes {number(use[row])}<br>{words[row]}"
        for row in rows
    ]
    bars = go.Bar(
        x=use,
        y=rows,
        orientation="h",
        marker={"color": colour("a", look)},
        width=0.4,
        offset=-0.45,
        hovertext=hover,
        hovertemplate="%{hovertext}<extra></extra>",
    )
    beside = {"x": 0, "xanchor": "left", "align": "left"}
    notes = [note(line, look, "text", y=row + 0.25, **beside) for row, line in enumerate(words)]
    return drawn(
        [bars],
        look,
        title=f"What {quoted(result.tokens[at])} ({at}) sends to the answer, by singular vectors",
        height=TOP + 2 * ROW * max(3, len(use)) + BOTTOM,
        annotations=notes,
        margin={"l": 90},
        xaxis={
            "title": {"text": "share of what the token writes (0 to 1)"},
            "range": [0, 1],
        },
        yaxis={
            "tickmode": "array",
            "tickvals": rows.tolist(),
            "ticktext": [f"{row + 1}: s = {number(value)}" for row, value in enumerate(values)],
            "range": [len(use) - 0.4, -0.6],
            "showgrid": False,
            "title": {"text": "pair"},
        },
    )


def _listed(words: tuple[str, ...], most: int = 5) -> str:
    return ", ".join(token(word, 10) for word in words[:most])
