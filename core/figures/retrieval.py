"""Retrieval: heads with their control, where the answer was found, what it loses without them."""

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.head_pair import head_pair, strongest
from core.figures.lines import band, curve
from core.figures.theme import BOTTOM, TOP, UNSIGNED, Look, colour_bar, drawn
from core.figures.wording import count, number
from core.results.retrieval import LEAST, Retrieval
from core.spec.errors import Error

VIEWS = ("heads", "soft", "success", "masked")


def figure(result: Retrieval, look: Look, *, view: str = "heads") -> go.Figure:
    """view "heads", "soft": layer by head; "success": length by depth; "masked": against k."""
    if view not in VIEWS:
        raise Error(f"retrieval is drawn as {', '.join(VIEWS)}, not {view!r:.40}")
    if view == "success":
        return _success(result, look)
    return _masked(result, look) if view == "masked" else _heads(result, look, view)


def title(result: Retrieval) -> str:
    """The best head and how many pass the published threshold, in words."""
    layer, head = strongest(result.score)
    n = int((result.score >= LEAST).sum())
    return (
        f"L{layer}.head[{head}] looks at what is said next for "
        f"{number(round(100 * float(result.score[layer, head]), 1))} % of the needle (control "
        f"{number(round(100 * float(result.control[layer, head]), 1))} %); "
        f"{count(n, 'head')} of {result.score.size} at {number(LEAST)} or more"
    )


def caption(result: Retrieval) -> str:
    """The control and the sample, in words."""
    what = "needles in text" if result.source == "text" else "random tokens said again"
    lost = f", {result.n_lost} more split otherwise" if result.n_lost else ""
    first = ", the first token left out" if result.without_first else ""
    return (
        f"control: spans of chance as long as the answer, up to {result.n_spans} per prompt, and "
        f"for ablation {count(result.n_random, 'set')} of other heads; {what}: "
        f"{count(result.n_prompts, 'prompt')}, {result.n_tokens:,} answer tokens{lost}; "
        f"{result.n_found} with more than half of the answer right; ablation on "
        f"{count(result.n_checked, 'prompt')}{first}"
    )


def _heads(result: Retrieval, look: Look, view: str) -> go.Figure:
    hard = view == "heads"
    return head_pair(
        result.score if hard else result.soft,
        result.control if hard else result.control_soft,
        look,
        title=title(result),
        words="largest on the needle" if hard else "attention on the needle",
        control_words="spans of chance",
        limits=(0.0, 1.0),
        more={
            "where the answer was found": result.score_found,
            "mean attention" if hard else "largest": result.soft if hard else result.score,
        },
    )


def _success(result: Retrieval, look: Look) -> go.Figure:
    z = result.success
    hover = np.array(
        [
            [
                f"<b>{length:,} tokens, depth {depth:.0%}</b><br>{number(100 * z[a, b])} % of the "
                f"answer right<br>log p {number(result.log_p[a, b])} nats per token"
                for b, depth in enumerate(result.depths.tolist())
            ]
            for a, length in enumerate(result.lengths.tolist())
        ],
        dtype=object,
    )
    cells = grid.cells(
        z.astype("float32"),
        scale=UNSIGNED,
        limits=(0.0, 1.0),
        hover=hover,
        bar=colour_bar("share of the answer right", look),
    )
    return drawn(
        [cells],
        look,
        title=title(result),
        height=TOP + grid.rows_height(len(result.lengths)) + BOTTOM + 10,
        xaxis=_ticks([f"{depth:.0%}" for depth in result.depths.tolist()], "depth of the needle"),
        yaxis=_ticks([f"{n:,}" for n in result.lengths.tolist()], "tokens"),
    )


def _ticks(names: list[str], words: str) -> dict[str, object]:
    return {
        "title": {"text": words},
        "tickmode": "array",
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "showgrid": False,
        "range": [-0.5, len(names) - 0.5],
    }


def _masked(result: Retrieval, look: Look) -> go.Figure:
    k = np.concatenate([[0], result.k])
    start = np.array([result.unmasked])
    others = result.masked_control
    low, high = others.min(1), others.max(1)
    traces = [
        *band(k, np.append(start, low), np.append(start, high), look, role="control"),
        curve(
            k,
            np.append(start, others.mean(1)),
            look,
            role="control",
            name="without k other heads",
            dash="dash",
        ),
        curve(k, np.append(start, result.masked), look, role="a", name="without the k best heads"),
    ]
    return drawn(
        traces,
        look,
        title=title(result),
        height=TOP + 260 + BOTTOM,
        showlegend=True,
        legend={"y": 1.0},
        xaxis={"title": {"text": "heads silenced while the answer is foretold"}},
        yaxis={"title": {"text": "share of the answer right"}, "range": [0, 1.02]},
    )
