"""Topic structure: heads that look from a word to one of its topic, and words that lie together."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.probe_family import layers
from core.figures.theme import (
    BOTTOM,
    TOP,
    Look,
    colour,
    colour_bar,
    drawn,
    faint,
    rounded_up,
    signed,
)
from core.figures.wording import count, number, quoted, readable
from core.results.topics import Topics
from core.spec.errors import Error

VIEWS = ("heads", "cosine")


def figure(result: Topics, look: Look, *, view: str = "heads") -> go.Figure:
    """One side of topic structure, beside topics dealt out anew.

    view  "heads": attention to words of one's own topic less to others, a dot where it is beyond
          chance; "cosine": of states, same topic and different, by layer
    """
    if view == "heads":
        return _heads(result, look)
    if view == "cosine":
        return _cosine(result, look)
    raise Error(f"topics can be seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: Topics) -> str:
    """How many heads look within a topic, and how far words of one lie together, in words."""
    beyond = result.beyond
    layer, head = np.unravel_index(int(result.z.argmax()), result.z.shape)
    row = int(result.cosine_gap.argmax())
    chance = float(np.quantile(result.cosine_chance[:, row], 0.95))
    return (
        f"{readable(result.set_name[:40])}: {int((beyond > 0).sum())} of "
        f"{count(beyond.size, 'head')} look more within a topic than chance; most L{layer}H{head}, "
        f"gap {number(result.gap[layer, head])} times the usual weight; cosine "
        f"{number(result.cosine_gap[row])} higher within a topic (by chance up to {number(chance)})"
    )


def caption(result: Topics) -> str:
    """Control, sample and what was left out."""
    where = (
        f"{result.n_texts} lists of words in random order"
        if not result.corpus
        else f"{count(result.n_texts, 'window')} of {readable(result.corpus)}"
    )
    parts = [
        f"control: topics of words dealt out anew {result.n_shuffles} times; a dot where a head is "
        "beyond the most extreme of all heads in 95 % of them",
        f"{count(result.n_pairs, 'pair')} of words ({result.n_same:,} of one topic) in {where}; "
        f"weights over the head's mean at that distance ({result.n_bins} distances)",
        f"{count(result.n_words, 'word')} of {count(len(result.topics), 'topic')} behind "
        f"{count(len(result.contexts), 'context')}, {result.prepare}; seed {result.seed}",
    ]
    if result.dropped:
        some = quoted(*(word for word, _ in result.dropped[:5]))
        parts.append(f"{len(result.dropped):,} words left out: {some}")
    return "; ".join([*parts, *map(readable, result.notes)])


def _heads(result: Topics, look: Look) -> go.Figure:
    gap, beyond = result.gap, result.beyond
    limit = rounded_up(float(np.abs(gap).max()))
    low, high = np.quantile(result.attention_chance, (0.05, 0.95), axis=0)
    fresh = result.untrained_attention
    hover = [
        [
            f"L{layer}H{head}<br>same topic {number(result.attention_same[layer, head])}, "
            f"different {number(result.attention_different[layer, head])} of the usual weight "
            f"({number(result.weight[layer, head])})<br>gap {number(gap[layer, head], sign=True)}, "
            f"by chance {number(low[layer, head])} to {number(high[layer, head])}"
            + ("" if np.isnan(fresh[layer, head]) else
               f"<br>fresh weights {number(fresh[layer, head], sign=True)}")
            for head in range(gap.shape[1])
        ]
        for layer in range(gap.shape[0])
    ]  # fmt: skip
    small = gap.shape[0] <= grid.MOST_LABELS and gap.shape[1] <= grid.MOST_LABELS
    cells = grid.cells(
        gap.astype(np.float32),
        scale=signed(look),
        limits=(-limit, limit),
        hover=np.array(hover, dtype=object) if gap.size <= grid.MOST_HOVERS else None,
        hovertemplate="%{hovertext}<extra></extra>" if gap.size <= grid.MOST_HOVERS else
        "L%{y}H%{x}: %{z:.3~g}<extra></extra>",
        text=np.where(beyond != 0, "•", "") if small else None,
        bar=colour_bar("gap, in usual weights", look),
    )  # fmt: skip
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + grid.rows_height(len(gap)) + BOTTOM + 20,
        xaxis=grid.number_axis(gap.shape[1], "head"),
        yaxis=grid.number_axis(gap.shape[0], "layer", names=True),
    )


def _cosine(result: Topics, look: Look) -> go.Figure:
    x = np.arange(len(result.cosine_same))
    bars = [
        go.Bar(
            x=x + shift, y=values, width=0.36, name=name,
            marker={"color": colour(role, look), "pattern": {"shape": shape}},
            hovertemplate=f"{name}<br>%{{y:.3~g}}<extra></extra>",
        )
        for shift, values, name, role, shape in (
            (-0.19, result.cosine_same, "same topic", "a", ""),
            (0.19, result.cosine_different, "different topics", "b", "/"),
        )
    ]  # fmt: skip
    low, high = np.quantile(result.cosine_chance, (0.05, 0.95), axis=0)
    base = result.cosine_different
    band = go.Bar(
        x=x - 0.19, y=high - low, base=base + low, width=0.5, name="same topic by chance (90 %)",
        marker={"color": faint("control", look, 0.6)},
        hovertemplate="topics dealt out anew<extra></extra>",
    )  # fmt: skip
    traces = [*bars, band]
    fresh = result.untrained_cosine
    if not np.isnan(fresh).all():
        traces.append(
            lines.curve(x, fresh, look, role="control", dash="dash",
                        name="same - different, fresh weights")
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=400,
        barmode="overlay",
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "mean cosine of pairs of words"}},
    )
