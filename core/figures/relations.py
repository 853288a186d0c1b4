"""Relations as offsets: how parallel by depth, what analogies prove, what hides in the offsets."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid, lines
from core.figures.theme import BOTTOM, TOP, Look, colour, colour_bar, drawn, faint, note, signed
from core.figures.wording import count, escaped, number, readable
from core.results.relations import RelationOffsets
from core.spec.errors import Error

VIEWS = ("layers", "analogies", "distractors", "between")
HEIGHT = 420
SHOWN = {
    "consistency": ("consistency of the pairing (AUC)", "consistency_control", "consistency_high"),
    "concentration": ("mean cosine of two offsets", "permuted", "permuted_high"),
    "one_dimension": (
        "variance of the centred offsets in one direction", "one_dimension_control", "",
    ),
}  # fmt: skip
# Hues that stay apart on white and near-black, for the lines of many relations.
HUES = (
    "#4e79a7", "#e8812b", "#59a14f", "#d35759", "#5fa8a3", "#a0699c", "#c9a227", "#e5808e",
    "#9c755f", "#3b8bc2", "#7d8f2f", "#8c8c8c",
)  # fmt: skip
SYMBOLS = ("circle", "diamond", "square", "x", "triangle-up", "cross")


def figure(
    result: RelationOffsets,
    look: Look,
    *,
    view: str = "layers",
    show: str = "consistency",
    layer: int | None = None,
    method: str = "3CosAdd",
) -> go.Figure:
    """A line for each relation over the depth; grey is where mixed pairs lie.

    view    "layers"; "analogies": the four accuracies at one depth; "distractors": what the
            leading components of all offsets go with; "between": cosines of the mean offsets
    show    in "layers": "consistency", "concentration" or "one_dimension"
    layer   row of the depth axis, 0 is the embedding; None for the best one
    method  in "analogies": "3CosAdd" or "3CosMul"
    """
    row = result.best if layer is None else layer
    if not 0 <= row < len(result.rows):
        raise Error(f"layer {row}: this answer has 0 (embedding) to {len(result.rows) - 1}")
    match view:
        case "layers":
            return _layers(result, look, row, show)
        case "analogies":
            return _analogies(result, look, row, method)
        case "distractors":
            return _distractors(result, look, row)
        case "between":
            return _between(result, look, row)
    raise Error(f"relations can show {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def place(name: str) -> str:
    """A row in a sentence: "layer 2", "the embedding"."""
    return name if name.startswith("layer") else f"the {name}"


def title(result: RelationOffsets) -> str:
    """How many relations are parallel beyond mixed pairs, and the clearest of them."""
    row = result.best
    good = int(result.parallel(row).sum())
    n = int(np.isfinite(result.consistency[row]).sum())
    top = int(np.nan_to_num(result.consistency[row], nan=-1).argmax())
    return (
        f"{good} of {count(n, 'relation')} are parallel offsets behind {place(result.rows[row])}; "
        f"clearest {readable(result.relations[top])[:30]}, consistency "
        f"{number(result.consistency[row, top])} (mixed pairs "
        f"{number(result.consistency_control[row, top])}), analogies "
        f"{result.accuracy[row, top, 0, 0]:.0%} (third word alone "
        f"{result.accuracy[row, top, 0, 2]:.0%})"
    )


def caption(result: RelationOffsets) -> str:
    """Controls, sample and what was changed, in words."""
    row = result.best
    without = f"; taken out: {', '.join(result.project_out)}" if result.project_out else ""
    dropped = f"; {count(len(result.dropped), 'word')} not read" if result.dropped else ""
    return (
        f"{count(len(result.pair), 'pair')} of {readable(result.concept)[:40]}; control: "
        f"second sides dealt out anew, {result.n_permuted} times; an answer is chosen from "
        f"{count(int(result.n_candidates[row]), 'word')} (unembedding "
        f"{count(int(result.n_candidates[-1]), 'word')}); means over "
        f"{count(len(result.contexts), 'context')}, {result.read} piece, {result.prepare}"
        f"{without}; seed {result.seed}{dropped}"
    )


def depth_axis(rows: tuple[str, ...], **more: Any) -> dict[str, Any]:
    """The rows of the depth axis, the unembedding set apart by its name."""
    short = {"embedding": "emb", "unembedding": "unemb"}
    step = max(1, len(rows) // 16)
    ticks = [at for at in range(len(rows)) if at % step == 0 or at == len(rows) - 1]
    names = [short.get(rows[at], rows[at].replace("layer ", "L")) for at in ticks]
    return {
        "title": {"text": "what leaves the layer"},
        "tickmode": "array", "tickvals": ticks, "ticktext": names, **more,
    }  # fmt: skip


def _layers(result: RelationOffsets, look: Look, row: int, show: str) -> go.Figure:
    if show not in SHOWN:
        raise Error(f"the lines can be {', '.join(SHOWN)}, not {str(show)[:20]!r}")
    words, control, high = SHOWN[show]
    values = getattr(result, show)
    x = np.arange(len(result.rows))
    low = np.fmin.reduce(getattr(result, control), axis=1)
    top = np.fmax.reduce(getattr(result, high or control), axis=1)
    traces: list[Any] = lines.band(x, low, top, look, role="control", alpha=0.25)
    traces[-1].update(name="mixed pairs", showlegend=True, hoverinfo="skip")
    for number_, name in enumerate(result.relations):
        hue = HUES[number_ % len(HUES)]
        named = escaped(readable(name)[:24])
        traces.append(
            go.Scatter(
                x=x, y=values[:, number_], mode="lines+markers", name=named,
                line={"color": hue, "width": 2},
                marker={"symbol": SYMBOLS[number_ // len(HUES) % len(SYMBOLS)], "size": 7},
                customdata=np.stack([result.n_pairs[:, number_],
                                     getattr(result, control)[:, number_]], axis=1),
                hovertemplate=f"{named}, %{{x}}<br>{words} %{{y:.3~g}}<br>mixed pairs "
                "%{customdata[1]:.3~g}, n = %{customdata[0]}<extra></extra>",
            )
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=title(result),
        height=HEIGHT,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 110},
        xaxis=depth_axis(result.rows),
        yaxis={"title": {"text": words}},
        shapes=[_here(row, look)],
    )


def _here(row: int, look: Look) -> dict[str, Any]:
    """A thin line at the row that other views show."""
    return {"type": "line", "x0": row, "x1": row, "y0": 0, "y1": 1, "yref": "paper",
            "layer": "below", "line": {"color": faint("muted", look, 0.5), "width": 1}}  # fmt: skip


def _analogies(result: RelationOffsets, look: Look, row: int, method: str) -> go.Figure:
    if method not in result.methods:
        raise Error(f"method is one of {', '.join(result.methods)}, not {str(method)[:20]!r}")
    values = result.accuracy[row, :, result.methods.index(method)]  # [relation, number]
    at = np.arange(len(result.relations), dtype=float)
    marks = (("a", "circle"), ("b", "diamond"), ("control", "x"), ("control", "line-ns-open"))
    traces = [
        lines.dots(values[:, column], at, look, role=role, name=name, symbol=symbol,
                   customdata=result.n_questions[row])
        for column, ((role, symbol), name) in enumerate(zip(marks, result.numbers, strict=True))
    ]  # fmt: skip
    for trace in traces:
        trace.update(
            hovertemplate=f"{trace.name}<br>%{{x:.1%}} of %{{customdata:,}} questions"
            "<extra></extra>",
            showlegend=True,
        )
    names = [
        f"{readable(name)[:24]} ({n:,})"
        for name, n in zip(result.relations, result.n_questions[row].tolist(), strict=True)
    ]
    return drawn(
        traces,
        look,
        title=f"{method} behind {place(result.rows[row])}: an analogy counts for what it adds to "
        "the nearest word of the third one",
        height=TOP + 30 * len(at) + BOTTOM + 60,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 96},
        xaxis={"title": {"text": "questions answered right"}, "range": [-0.02, 1.02],
               "tickformat": ".0%"},
        yaxis=lines.rows_axis(names, "relation (questions)"),
    )  # fmt: skip


def _distractors(result: RelationOffsets, look: Look, row: int) -> go.Figure:
    values = result.correlation[row].astype("float32")
    hover = [
        [
            f"component {i + 1} ({result.variance[row, i]:.0%}), {name}<br>r "
            f"{number(values[i, j]) if np.isfinite(values[i, j]) else 'none: it never changes'}"
            for j, name in enumerate(result.distractors)
        ]
        for i in range(len(values))
    ]
    shown = np.array([[number(round(float(v), 2)) if np.isfinite(v) else "·" for v in line]
                      for line in values], dtype=object)  # fmt: skip
    cells = grid.cells(
        values, scale=signed(look), limits=(-1.0, 1.0), hover=np.array(hover, dtype=object),
        text=shown, bar=colour_bar("Pearson's r", look),
    )  # fmt: skip
    names = [f"component {i + 1} ({share:.0%})" for i, share in enumerate(result.variance[row])]
    n = len(result.pair)
    return drawn(
        [cells],
        look,
        title=f"What the offsets of all relations go with behind {place(result.rows[row])}; by "
        f"chance |r| stays below {number(2 / max(n, 1) ** 0.5)} (n = {n})",
        height=TOP + grid.rows_height(len(values)) + BOTTOM + 60,
        xaxis={"title": {"text": "change from the first to the second word"}, "tickmode": "array",
               "tickvals": list(range(len(result.distractors))), "ticktext": result.distractors},
        yaxis={"title": {"text": "principal component (share)"}, "autorange": "reversed",
               "tickmode": "array", "tickvals": list(range(len(values))), "ticktext": names},
    )  # fmt: skip


def _between(result: RelationOffsets, look: Look, row: int) -> go.Figure:
    values = result.cosine[row].astype("float32")
    names = [readable(name)[:24] for name in result.relations]
    hover = [
        [f"{escaped(a)}, {escaped(b)}<br>cosine {number(values[i, j])}"
         for j, b in enumerate(names)]
        for i, a in enumerate(names)
    ]  # fmt: skip
    shown = np.array([[number(round(float(v), 2)) if np.isfinite(v) else "·" for v in line]
                      for line in values], dtype=object)  # fmt: skip
    cells = grid.cells(
        values, scale=signed(look), limits=(-1.0, 1.0), hover=np.array(hover, dtype=object),
        text=shown if len(values) <= 15 else None, bar=colour_bar("cosine", look),
    )  # fmt: skip
    ticks = {"tickmode": "array", "tickvals": list(range(len(names))),
             "ticktext": [escaped(name) for name in names]}  # fmt: skip
    width = result.direction.shape[-1]
    chance = f"random directions: |cosine| about {number(0.8 / width**0.5)}"
    return drawn(
        [cells],
        look,
        title=f"Do relations share a direction behind {place(result.rows[row])}?",
        height=TOP + grid.rows_height(len(values)) + BOTTOM + 60,
        xaxis={"title": {"text": "relation"}, **ticks},
        yaxis={"title": {"text": "relation"}, "autorange": "reversed", **ticks},
        annotations=[note(chance, look, x=1, y=1.03, xref="paper", yref="paper", xanchor="right")],
        font={"color": colour("text", look)},
    )
