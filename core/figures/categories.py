"""Categories as vectors: held-out words, right angles, cosines, planes, simplices, effects."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import category_space, grid, lines
from core.figures.probe_family import layers, state
from core.figures.theme import (
    BOTTOM,
    TOP,
    UNSIGNED,
    Look,
    colour,
    colour_bar,
    drawn,
    faint,
    rounded_up,
    signed,
)
from core.figures.wording import count, escaped, number, quoted, readable
from core.results.categories import FEW, WARNING, Categories
from core.spec.errors import Error

VIEWS = ("held out", "angles", "cosines", "plane", "simplex", "families", "effect", "layers")
ROW = 18  # pixels of a category
MOST_TALL = 1_400  # pixels of a figure with a row for every category
MOST_MARKED = 40  # categories, beyond which a cell is too small for a mark
PANELS = ("cosine in the model", "1 / (1 + steps in the tree)", "shuffled tokens, mean")


def figure(result: Categories, look: Look, *, view: str = "held out", kind: int = 0) -> go.Figure:
    """One question about the categories, beside its null.

    view  "held out": scores of words on their category's vector; "angles": what a child adds, with
          the parent; "cosines" beside the tree; "plane" and "simplex" of the category looked at;
          "families": regularity of siblings; "effect" of a step between parents; "layers"
    kind  of the plane (0 parent and child, 1 parent and siblings, 2 two parents and siblings) or
          of the simplex (0 three siblings, 1 four)
    """
    match view:
        case "held out":
            return _held_out(result, look)
        case "angles":
            return _angles(result, look)
        case "cosines":
            return _cosines(result, look)
        case "plane":
            return category_space.plane(result, look, kind)
        case "simplex":
            return category_space.simplex(result, look, kind)
        case "families":
            return _families(result, look)
        case "effect":
            return _effect(result, look)
        case "layers":
            return _layers(result, look)
    raise Error(f"categories can be seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: Categories) -> str:
    """How many categories are vectors that held-out words share, in words."""
    where = "in the unembedding" if result.layer < 0 else f"behind {state(result.layer)}"
    own = int(result.represented.sum())
    many = count(len(result.names), "category", "categories")
    return (
        f"{readable(result.set_name[:40])}: held-out words of {own} of {many} score beyond "
        f"shuffled tokens {where}, "
        f"mean {number(np.nanmean(result.test))} "
        f"(shuffled {number(np.nanmean(result.shuffled_test))})"
    )


def caption(result: Categories) -> str:
    """Controls, sample, what was left out, and what right angles do not show."""
    few = int((result.n_each < FEW).sum())
    parts = [
        f"control: the words' rows dealt out anew from {result.n_others:,} tokens, "
        f"{result.n_shuffles} times",
        f"{count(result.n_words, 'word')}, {count(result.n_rows, 'row')} of "
        f"{result.n_dimensions} dimensions; 70 % of a category's words to learn from, "
        f"{count(result.n_splits, 'split')}",
        f"vectors by {'discriminant' if result.how == 'lda' else 'mean'}, prepared: "
        f"{result.prepare}; seed {result.seed}",
    ]
    if few:
        parts.append(f"{few} have fewer than {FEW} words and move from split to split")
    if result.dropped:
        some = quoted(*(word for word, _ in result.dropped[:5]))
        parts.append(f"{len(result.dropped):,} words not read: {some}")
    return "; ".join([*parts, *map(readable, result.notes), WARNING])


def _names(result: Categories) -> list[str]:
    """Names as the tree has them, moved in by their depth."""
    depth = np.zeros(len(result.parent), int)
    for child, above in enumerate(result.parent):
        depth[child] = 0 if above < 0 else depth[above] + 1
    return ["· " * int(d) + name[:28] for d, name in zip(depth, result.names, strict=True)]


def order(result: Categories) -> np.ndarray:
    """[row] categories from the roots down, every one before those below it."""
    found: list[int] = []

    def down(above: int) -> None:
        for child in np.flatnonzero(result.parent == above):
            found.append(int(child))
            down(int(child))

    down(-1)
    return np.array(found)


def _rows(result: Categories, shown: np.ndarray) -> tuple[dict[str, Any], int]:
    """The axis with a row for every category, and the height of the plot."""
    names = [_names(result)[place] for place in shown]
    height = min(MOST_TALL, max(6, len(names)) * ROW)
    axis = lines.rows_axis(names)
    step = max(1, -(-len(names) * 11 // height))
    axis["tickvals"], axis["ticktext"] = axis["tickvals"][::step], axis["ticktext"][::step]
    return axis, height


def _held_out(result: Categories, look: Look) -> go.Figure:
    shown = order(result)
    y = np.arange(len(shown))
    low, high = np.quantile(result.shuffled_test[:, shown], (0.05, 0.95), axis=0)
    test, spread = result.test[shown], result.test_sd[shown]
    random, wide = result.random[shown], result.random_sd[shown]
    traces = [
        lines.ranges(low, high, y, look, name="shuffled tokens, held-out words (90 %)"),
        lines.dots(random, y, look, role="control", name="any token (± sd)", symbol="line-ns-open",
                   low=random - wide, high=random + wide),
        lines.dots(result.train[shown], y, look, role="b", name="words it was learned from",
                   symbol="circle-open"),
        lines.dots(test, y, look, role="a", name="held-out words (± sd)",
                   low=test - spread, high=test + spread),
    ]  # fmt: skip
    traces[-1].hovertext = [
        f"{escaped(result.names[c])}: {number(result.test[c])} ± {number(result.test_sd[c])}, "
        f"{result.n_each[c]} words, {result.n_test[c]} rows held out"
        for c in shown
    ]
    traces[-1].hovertemplate = "%{hovertext}<extra></extra>"
    axis, height = _rows(result, shown)
    return drawn(
        traces,
        look,
        title=title(result),
        height=height + TOP + BOTTOM + 60,
        showlegend=True,
        legend={"y": 1.01},
        margin={"t": TOP + 40},
        xaxis={"title": {"text": "score along the category's vector (1: its end)"}},
        yaxis=axis,
    )


def _angles(result: Categories, look: Look) -> go.Figure:
    shown = np.array([c for c in order(result) if result.parent[c] >= 0], dtype=int)
    if not len(shown):
        raise Error("no category lies above another in this set, so there are no angles to draw")
    y = np.arange(len(shown))
    traces: list[Any] = []
    for side, name in enumerate(("c1", "c2")):
        place: dict[str, Any] = {"xaxis": "x" if side == 0 else "x2", "showlegend": side == 0}
        chance = getattr(result, f"shuffled_{name}")[:, shown]
        fit = ~np.isnan(chance).all(axis=0)
        low, high = np.full(len(shown), np.nan), np.full(len(shown), np.nan)
        if fit.any():
            low[fit], high[fit] = np.nanquantile(chance[:, fit], (0.05, 0.95), axis=0)
        traces += [
            lines.ranges(low, high, y, look, name="shuffled tokens (90 %)", **place),
            lines.dots(getattr(result, f"random_{name}")[shown], y, look, role="control",
                       name="unrelated parents (mean)", symbol="x", **place),
            lines.dots(getattr(result, name)[shown], y, look, role="a", name="own parent", **place),
        ]  # fmt: skip
    axis, height = _rows(result, shown)
    return drawn(
        traces,
        look,
        title="What a category adds to its parent: at right angles? (weak evidence by itself)",
        height=height + TOP + BOTTOM + 60,
        showlegend=True,
        legend={"y": 1.01},
        margin={"t": TOP + 40},
        xaxis={"title": {"text": "cos(child - parent, parent)"}, "range": [-1.05, 1.05],
               "domain": [0, 0.48]},
        xaxis2={"title": {"text": "cos(child - parent, parent - grandparent)"},
                "range": [-1.05, 1.05], "domain": [0.52, 1]},
        yaxis=axis,
    )  # fmt: skip


def _cosines(result: Categories, look: Look) -> go.Figure:
    shown = order(result)
    at = np.ix_(shown, shown)
    near = 1 / (1 + result.distance)
    n = len(shown)
    few = n <= MOST_MARKED
    mark = np.where(result.marked[at] & ~np.eye(n, dtype=bool), "•", "") if few else None
    limit = rounded_up(float(np.abs(result.cosine[~np.eye(len(near), dtype=bool)]).max(initial=0)))
    traces = []
    for place, values in enumerate((result.cosine, near, result.shuffled_cosine)):
        tree = place == 1
        cell = grid.cells(
            values[at].astype(np.float32),
            scale=UNSIGNED if tree else signed(look),
            limits=(0.0, 1.0) if tree else (-limit, limit),
            hover=_cell_words(result, shown) if place == 0 and n <= MOST_MARKED else None,
            text=mark if place == 0 else None,
            bar=colour_bar("cosine", look) if place == 0 else None,
            hovertemplate="%{hovertext}<extra></extra>" if place == 0 and few else
            "%{y}, %{x}: %{z:.3~g}<extra></extra>",
            xaxis=f"x{place + 1}" if place else "x",
        )  # fmt: skip
        traces.append(cell)
    axis, height = _rows(result, shown)
    names = [escaped(result.names[c][:18]) for c in shown]
    axes = {
        f"xaxis{place + 1 if place else ''}": {
            "title": {"text": words}, "domain": [place * 0.345, place * 0.345 + 0.31],
            "tickvals": axis["tickvals"] if n <= 24 else [], "ticktext": names, "tickangle": -90,
            "showgrid": False,
        }
        for place, words in enumerate(PANELS)
    }  # fmt: skip
    return drawn(
        traces,
        look,
        title=(
            f"Cosines of categories follow the tree: Spearman {number(result.spearman)} "
            f"(shuffled {_span(result.shuffled_spearman)}); • beyond 90 % of the shuffles"
        ),
        height=max(height, 240) + TOP + BOTTOM + 110,
        yaxis={**axis, "autorange": False},
        **axes,
    )


def _cell_words(result: Categories, shown: np.ndarray) -> np.ndarray:
    words = [
        [
            f"{escaped(result.names[a])}, {escaped(result.names[b])}<br>cosine "
            f"{number(result.cosine[a, b])}, shuffled {number(result.shuffled_cosine[a, b])} "
            f"({number(result.shuffled_low[a, b])} to {number(result.shuffled_high[a, b])})<br>"
            f"{int(result.distance[a, b])} steps in the tree"
            for b in shown
        ]
        for a in shown
    ]
    return np.array(words, dtype=object)


def _span(values: np.ndarray) -> str:
    known = values[~np.isnan(values)]
    if not len(known):
        return "no value"
    low, high = np.quantile(known, (0.05, 0.95))
    return f"{number(low)} to {number(high)}"


def _families(result: Categories, look: Look) -> go.Figure:
    if not len(result.family):
        raise Error("no category of this set has three children, so there is no simplex to measure")
    y = np.arange(len(result.family))
    traces: list[Any] = []
    for side, name in enumerate(("regularity", "normal")):
        place: dict[str, Any] = {"xaxis": "x" if side == 0 else "x2", "showlegend": side == 0}
        low, high = np.quantile(getattr(result, f"shuffled_{name}"), (0.05, 0.95), axis=0)
        traces.append(lines.ranges(low, high, y, look, name="shuffled tokens (90 %)", **place))
        values = getattr(result, name)
        traces.append(lines.dots(values, y, look, role="a", name="children", **place))
    names = [
        f"{result.names[parent][:24]} ({size})"
        for parent, size in zip(result.family, result.family_size, strict=True)
    ]
    return drawn(
        traces,
        look,
        title="Children of one parent as a simplex: random vectors form regular ones too",
        height=max(5, len(names)) * 26 + TOP + BOTTOM + 60,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": TOP + 40},
        xaxis={"title": {"text": "deviation / mean of edges (0: regular)"}, "domain": [0, 0.46],
               "rangemode": "tozero"},
        xaxis2={"title": {"text": "cos(child - first child, parent)"}, "domain": [0.54, 1],
                "range": [-1.05, 1.05]},
        yaxis=lines.rows_axis(names),
    )  # fmt: skip


def _effect(result: Categories, look: Look) -> go.Figure:
    if not result.effect_kind:
        raise Error(
            "the category looked at has no parent, or none that it could be moved to; choose "
            "another one (focus=)"
        )
    y = np.arange(len(result.effect))
    names = []
    for kind, (a, b) in zip(result.effect_kind, result.effect_pair, strict=True):
        words = f"{result.names[a][:20]} → {result.names[b][:20]}"
        names.append(f"across: {words}" if kind == "across" else f"within: {words}")
    low, high = np.nanquantile(result.shuffled_effect, (0.05, 0.95), axis=0)
    low_, high_ = result.effect - result.effect_sd, result.effect + result.effect_sd
    unit = "logits" if result.side == "unembedding" else "standard deviations of words"
    traces = [
        lines.ranges(low, high, y, look, name="shuffled tokens (90 %)"),
        lines.dots(result.effect, y, look, role="a", name="held-out words (± sd over pairs)",
                   low=low_, high=high_, unit=unit),
    ]  # fmt: skip
    one, other = result.names[result.focus_parent], result.names[result.toward]
    return drawn(
        traces,
        look,
        title=f"A step of length 1 from {readable(one[:24])} to {readable(other[:24])}",
        height=max(5, len(names)) * 26 + TOP + BOTTOM + 60,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": TOP + 40},
        xaxis={"title": {"text": f"change of the difference of two words ({unit})"}},
        yaxis=lines.rows_axis(names),
        shapes=[{"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper",
                 "line": {"color": colour("muted", look), "width": 1}}],
    )  # fmt: skip


def _layers(result: Categories, look: Look) -> go.Figure:
    if not len(result.layer_test):
        raise Error("rows of the unembedding have no layers; ask with side='states'")
    x = np.arange(len(result.layer_test))
    traces = [
        lines.curve(x, result.layer_shuffled, look, role="control", name="shuffled words",
                    dash="dash"),
        lines.curve(x, result.layer_test, look, role="a", name="held-out words"),
    ]  # fmt: skip
    return drawn(
        traces,
        look,
        title=f"Held-out words on their category's vector, layer by layer (shown: {result.layer})",
        height=340,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": TOP + 36},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "score (1: end of the vector)"}},
        shapes=[{"type": "line", "x0": result.layer, "x1": result.layer, "y0": 0, "y1": 1,
                 "yref": "paper", "line": {"color": faint("a", look, 0.5), "dash": "dot"}}],
    )  # fmt: skip
