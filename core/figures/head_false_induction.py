"""Heads that look for what wrong examples teach, and the answers without them."""

import numpy as np
import plotly.graph_objects as go

from core.figures.head_pair import head_pair, strongest
from core.figures.lines import dots, ranges, rows_axis
from core.figures.theme import BOTTOM, ROW, TOP, Look, drawn
from core.figures.wording import count, number
from core.results.head_false_induction import AS_IT_IS, WITHOUT, HeadFalseInduction
from core.spec.errors import Error

VIEWS = ("heads", "ablation")


def figure(result: HeadFalseInduction, look: Look, *, view: str = "heads") -> go.Figure:
    """view "heads": layer by head; "ablation": right answers behind right and wrong examples."""
    if view not in VIEWS:
        raise Error(f"false induction is drawn as {', '.join(VIEWS)}, not {view[:20]!r}")
    return _ablation(result, look) if view == "ablation" else _heads(result, look)


def title(result: HeadFalseInduction) -> str:
    """The strongest head beside its control, and what silencing the best brings back, in words."""
    layer, head = strongest(result.score)
    found = (
        f"L{layer}.head[{head}] looks for what wrong examples teach: "
        f"{number(result.score[layer, head])} (no order {number(result.control[layer, head])})"
    )
    if not result.n_tested:
        return found
    n, back = len(result.chosen), result.gap_reduction
    if np.isnan(back).all():
        return f"{found}; wrong examples cost no right answer here"
    return (
        f"{found}; without the {count(n, 'best head')} {back[0]:.0%} of the lost accuracy comes "
        f"back (others {back[1:].mean():.0%})"
    )


def caption(result: HeadFalseInduction) -> str:
    """The control and the sample, in words."""
    what = "random words for things and kinds"
    if result.source == "categories":
        what = f"things and their kind ({count(len(result.names), 'kind')} with a token)"
    words = (
        f"{count(result.n_prompts, 'prompt')} of {count(result.n_examples, 'example')} in "
        f"{count(result.n_classes, 'class', 'classes')}, {what}; control, the same labels in no "
        "order"
    )
    if not result.n_tested:
        return words
    back = result.margin_reduction
    told = "" if np.isnan(back).any() else (
        f"; of the margin {back[0]:.0%} comes back (others {back[1:].mean():.0%})"
    )  # fmt: skip
    return (
        f"{words}; heads chosen on {result.n_chosen_on} and silenced at the last token of "
        f"{count(result.n_tested, 'other prompt')}, beside {count(result.n_random, 'group')} of "
        f"as many others{told}"
    )


def _heads(result: HeadFalseInduction, look: Look) -> go.Figure:
    return head_pair(
        result.score,
        result.control,
        look,
        title=title(result),
        words="looks for the wrong label",
        control_words="labels in no order",
        more={"attention to all labels": result.mass},
    )


def _ablation(result: HeadFalseInduction, look: Look) -> go.Figure:
    if not result.n_tested:
        raise Error("no heads were silenced; ask with k of 1 or more")
    rows = np.arange(2)
    both = np.stack([result.accuracy_true, result.accuracy_false])
    others = both[:, WITHOUT + 1 :]
    n = len(result.chosen)
    traces = [
        ranges(others.min(1), others.max(1), rows, look, name=f"without {n} others"),
        dots(both[:, AS_IT_IS], rows, look, role="b", name="as it is", symbol="circle-open"),
        dots(both[:, WITHOUT], rows, look, role="a", name=f"without the {n} best"),
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + 40 + 3 * ROW + BOTTOM,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": TOP + 40},
        xaxis={"title": {"text": "share of right answers"}, "range": [-0.02, 1.02]},
        yaxis=rows_axis(["right examples", "wrong examples"]),
    )
