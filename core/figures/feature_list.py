"""The features of a page: how the firings of each spread below its largest activation."""

import numpy as np
import plotly.graph_objects as go

from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour_bar, drawn
from core.figures.wording import count, escaped, number, token
from core.results.feature_list import FeatureList

ROW = 18  # pixels


def figure(result: FeatureList, look: Look) -> go.Figure:
    """A row a feature, a column a quarter octave up to its largest activation; brightness is the
    share of its firings there."""
    n, bins = result.spark.shape
    total = result.spark.sum(axis=1, keepdims=True)
    share = np.where(result.spark > 0, result.spark / np.maximum(total, 1), np.nan)
    below = 2.0 ** (np.arange(1 - bins, 1) / 4)
    heat = go.Heatmap(
        z=share.astype(np.float32),
        x=np.arange(bins),
        y=np.arange(n),
        customdata=result.spark,
        zmin=0,
        colorscale=UNSIGNED,
        colorbar=colour_bar("share of firings", look),
        hovertemplate="%{customdata:,} firings<extra></extra>",
    )
    ticks = list(range(bins - 1, -1, -4))
    return drawn(
        [heat],
        look,
        title=title(result),
        height=TOP + max(1, n) * ROW + BOTTOM,
        margin={"l": 220},
        xaxis={
            "title": {"text": "activation, as a share of the feature's largest"},
            "tickvals": ticks,
            "ticktext": [f"{below[at]:.2g}" for at in ticks],
        },
        yaxis={
            "tickvals": list(range(n)),
            "ticktext": [_name(result, row) for row in range(n)],
            "autorange": "reversed",
            "showgrid": False,
        },
    )


def title(result: FeatureList) -> str:
    """What was asked for, and how many features there are."""
    asked = f": {result.asked}" if result.asked else ""
    return (
        f"{result.total:,} of {result.n_features:,} features of {result.dictionary}{asked}; by "
        f"{result.sort_words}{'' if result.descending else ', smallest first'}"
    )


def caption(result: FeatureList) -> str:
    """The control and the sample, in words."""
    words = [f"{count(result.n_tokens, 'token')} of {result.corpus}"]
    if np.isfinite(result.label_score).any():
        words.append("F1 of a label on documents it was not chosen on; control: " + _chance(result))
    if result.fires_on:
        what = f"{count(result.n_fires_on, 'occurrence')} of {result.fires_on.strip()[:40]!r}"
        words.append(
            f"fires on a tenth or more of {what}; control: its share of all tokens"
            if result.fires_from == "every token"
            else f"found among the contexts listed for each feature, of {what} in the text"
        )
    return "; ".join(words)


def _chance(result: FeatureList) -> str:
    known = result.label_chance[np.isfinite(result.label_chance)]
    if not known.size:
        return "not known"
    return f"{number(known.max())} in 1 of 100 features whose firings were moved to other text"


def _name(result: FeatureList, row: int) -> str:
    words = result.label[row] or " ".join(result.tokens[row][:3])
    return f"{escaped(token(words, 22))} · {result.features[row]}"
