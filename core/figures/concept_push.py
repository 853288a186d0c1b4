"""A contrast pushed: effects on all contrasts, top tokens by nats, arrows, contexts, vocabulary."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import grid
from core.figures.lines import rows_axis
from core.figures.theme import MONO, Look, colour, colour_bar, drawn, faint, note, signed
from core.figures.wording import count, escaped, number, token, visible
from core.results.concept_push import ConceptPush
from core.spec.errors import Error

VIEWS = ("effects", "tokens", "arrows", "contexts", "readings", "vocabulary")
SOURCES = ("linear", "run", "control")
CELL = 17
LABEL = 24


def figure(
    result: ConceptPush,
    look: Look,
    *,
    view: str = "effects",
    source: str = "linear",
    prompt: int = 0,
    concept: int | None = None,
    other: int | None = None,
    group: int | None = None,
) -> go.Figure:
    """One view of what pushing a contrast does; a random push of equal length is beside it.

    view     "effects": change of the log-odds of every contrast by a push along every other, nats
             a nat, on paper, in the run and for random pushes; "tokens": the first tokens at every
             push; "arrows": the change along two contrasts; "contexts": how well each contrast
             tells the contexts of each (AUC); "readings": one contrast read on its own contexts;
             "vocabulary": every token along two contrasts
    source   of "tokens": "linear", "run" or "control"; prompt: number of the prompt there
    concept, other  numbers of two contrasts for "arrows", "readings" and "vocabulary"; None: those
             asked for. Tokens of pairs are marked for those asked for
    group    number of the contexts of "readings"; None: the contrast's own
    """
    first = _number(result, result.concept if concept is None else concept)
    second = _number(result, result.other if other is None else other)
    match view:
        case "effects":
            return _effects(result, look)
        case "tokens":
            return _tokens(result, look, source, prompt)
        case "arrows":
            return _arrows(result, look, first, second)
        case "contexts":
            return _contexts(result, look)
        case "readings":
            return _readings(result, look, first, first if group is None else group)
        case "vocabulary":
            return _vocabulary(result, look, first, second)
    raise Error(f"a push can be seen as {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def _number(result: ConceptPush, concept: int) -> int:
    if concept not in range(len(result.concepts)):
        raise Error(f"contrasts have the numbers 0 to {len(result.concepts) - 1}, not {concept}")
    return concept


def title(result: ConceptPush) -> str:
    """What a nat of the pushed contrast does to itself, to others, and by chance, in words."""
    at = result.concept
    run = result.run_effect.mean(axis=0)
    chance = float(np.abs(result.run_control.mean(axis=0)[at]).mean())
    spill = np.delete(np.abs(run[at]), at)
    beside = f", other contrasts move by {number(spill.mean())}" if len(spill) else ""
    return (
        f"{_said(result, at)}: a nat on paper is {number(run[at, at])} in the run at "
        f"{result.site}{beside} (random push {number(chance)}); "
        f"{number(result.held_out[at])} on pairs left out"
    )


def caption(result: ConceptPush) -> str:
    """The sample, the controls, and what to be careful about, in words."""
    left = f", {count(len(result.dropped), 'pair')} dropped" if result.dropped else ""
    parts = [
        f"{count(len(result.pairs), 'pair')} in {count(len(result.concepts), 'contrast')}{left}; "
        f"{count(len(result.prompts), 'prompt')}; effects in nats a nat, the run pushed by "
        f"{number(result.run_nats)}",
        f"control: {count(result.n_controls, 'random direction')} of equal length on paper, one a "
        "push and prompt in the run",
        f"contexts from {result.corpus}, {count(int(result.n_contexts.sum()), 'reading')}, a "
        "contrast read on its own contexts without the pairs of the word that follows; "
        f"seed {result.seed}",
        *result.notes,
    ]
    return "; ".join(parts)


def _said(result: ConceptPush, concept: int) -> str:
    return visible(result.concepts[concept], 40).replace("·", " ")


def _name(result: ConceptPush, concept: int) -> str:
    return escaped(visible(result.concepts[concept], LABEL).replace("·", " "))


def _names_axis(result: ConceptPush, upright: bool = False) -> dict[str, Any]:
    n = len(result.concepts)
    axis: dict[str, Any] = {
        "tickmode": "array",
        "tickvals": list(range(n)),
        "ticktext": [_name(result, at) for at in range(n)],
        "tickfont": {"size": 11},
        "range": [-0.5, n - 0.5],
        "showgrid": False,
    }
    return {**axis, "tickangle": -90} if upright else axis


def _effects(result: ConceptPush, look: Look) -> go.Figure:
    """Three maps: rows are pushed, columns are measured."""
    n = len(result.concepts)
    run, chance = result.run_effect.mean(axis=0), result.run_control.mean(axis=0)
    parts = (("on paper", result.effect), (f"in the run, {result.site}", run),
             ("run, random push of equal length", chance))  # fmt: skip
    traces, notes, layout = [], [], {}
    for place, (words, values) in enumerate(parts):
        end = "" if place == 0 else str(place + 1)
        last = place == len(parts) - 1
        bar = colour_bar("change of log-odds (nats a nat)", look) if last else None
        traces.append(
            grid.cells(
                values.astype("float32"), scale=signed(look), limits=(-1.0, 1.0), bar=bar,
                hover=_effect_words(result, values, words), xaxis=f"x{end}",
            )
        )  # fmt: skip
        domain = [place / 3, (place + 1) / 3 - (0 if last else 0.02)]
        title_ = {"title": {"text": "measured", "standoff": 4}}
        layout[f"xaxis{end}"] = {**_names_axis(result, True), "domain": domain, **title_}
        where: dict[str, Any] = {"x": domain[0], "xref": "paper", "y": 1, "yref": "paper"}
        notes.append(note(escaped(words), look, xanchor="left", yanchor="bottom", **where))
    return drawn(
        traces,
        look,
        title=title(result),
        height=260 + CELL * max(n, 8),
        margin={"l": 200, "t": 84, "b": 170},
        annotations=notes,
        yaxis={**_names_axis(result), "range": [n - 0.5, -0.5], "title": {"text": "pushed"}},
        **layout,
    )


def _effect_words(result: ConceptPush, values: np.ndarray, words: str) -> np.ndarray:
    n = len(result.concepts)
    found = np.empty((n, n), dtype=object)
    for row in range(n):
        for column in range(n):
            found[row, column] = (
                f"<b>{_name(result, row)} pushed</b><br>{_name(result, column)} moves by "
                f"{number(values[row, column], sign=True)} nats a nat ({escaped(words)})"
                f"<br>random directions on paper ±{number(result.control_effect[row, column])}"
            )
    return found


def _tokens(result: ConceptPush, look: Look, source: str, prompt: int) -> go.Figure:
    """Columns are pushes in nats, rows the first tokens; colour is probability."""
    if source not in SOURCES:
        raise Error(f"source= is one of {', '.join(SOURCES)}, not {str(source)[:20]!r}")
    if prompt not in range(len(result.prompts)):
        raise Error(f"prompts have the numbers 0 to {len(result.prompts) - 1}, not {prompt}")
    prefix = {"linear": "", "run": "run_", "control": "control_"}[source]
    words = getattr(result, f"{prefix}top")[prompt]
    share = getattr(result, f"{prefix}probability")[prompt]
    text = np.array([[token(piece, 12) for piece in column] for column in words], object).T
    hover = np.array(
        [
            [
                f"<b>{token(piece, 30)}</b><br>{number(t, sign=True)} nats<br>probability "
                f"{number(p)}"
                for piece, p in zip(column, row, strict=True)
            ]
            for column, row, t in zip(words, share, result.steps, strict=True)
        ],
        object,
    ).T
    n_steps, k = share.shape
    cells = go.Heatmap(
        z=share.T, x=np.arange(n_steps), y=np.arange(k), zmin=0, zmax=1, xgap=2, ygap=2,
        colorscale=[[0, faint("a", look, 0.03)], [1, faint("a", look, 0.6)]], text=text,
        texttemplate="%{text}", textfont={"family": MONO, "color": colour("text", look)},
        hovertext=hover, hovertemplate="%{hovertext}<extra></extra>",
        colorbar=colour_bar("probability (0 to 1)", look),
    )  # fmt: skip
    kind = {"linear": "on paper", "run": f"run, {result.site}", "control": "random direction"}
    return drawn(
        [cells],
        look,
        title=f"“{visible(result.prompts[prompt], 60).replace('·', ' ')}”, "
        f"{_said(result, result.concept)} ({kind[source]})",
        height=120 + 26 * k,
        margin={"l": 40, "b": 52},
        xaxis={
            "title": {"text": "push (nats of its own pairs)"}, "tickmode": "array",
            "tickvals": list(range(n_steps)), "showgrid": False,
            "ticktext": [number(t, sign=bool(t)) for t in result.steps],
        },
        yaxis={"range": [k - 0.5, -0.5], "showgrid": False, "dtick": 1, "title": {"text": "rank"},
               "showticklabels": False},
    )  # fmt: skip


def _arrows(result: ConceptPush, look: Look, first: int, second: int) -> go.Figure:
    """Pushes along two contrasts as arrows in the plane of their log-odds: solid on paper."""
    traces: list[Any] = []
    notes = []
    for pushed, role in ((first, "a"), (second, "b")):
        end = result.effect[pushed, [first, second]]
        notes.append(_arrow(end, colour(role, look), 2.5))
        traces.append(_tip(end, _name(result, pushed) + ", on paper", role, "circle", look))
        for number_, part in enumerate(result.run_effect):
            tip = part[pushed, [first, second]]
            name = f"{_name(result, pushed)}, in the run"
            traces.append(_tip(tip, name, role, "circle-open", look, number_ == 0))
    for number_, part in enumerate(result.run_control):
        tip = part[[first, second]][:, [first, second]]
        traces.append(
            go.Scatter(
                x=tip[:, 0], y=tip[:, 1], mode="markers", name="random push, in the run",
                showlegend=number_ == 0,
                marker={"color": colour("control", look), "symbol": "x-thin-open", "size": 8},
                hovertemplate="random push<br>%{x:.3~g}, %{y:.3~g} nats<extra></extra>",
            )
        )  # fmt: skip
    axis = {"zeroline": True, "zerolinecolor": colour("muted", look), "range": [-0.75, 1.25]}
    return drawn(
        traces,
        look,
        title=f"A nat along {_said(result, first)} and along {_said(result, second)}: cosine "
        f"{number(result.cosine[first, second], sign=True)}",
        height=440,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 110, "b": 52, "r": 16},
        annotations=notes,
        xaxis={**axis, "title": {"text": f"{_name(result, first)} (nats a nat)"}},
        yaxis={
            **axis, "title": {"text": f"{_name(result, second)} (nats a nat)"}, "scaleanchor": "x"
        },
    )  # fmt: skip


def _arrow(end: np.ndarray, shade: str, width: float) -> dict[str, Any]:
    return {
        "x": float(end[0]), "y": float(end[1]), "ax": 0, "ay": 0, "xref": "x", "yref": "y",
        "axref": "x", "ayref": "y", "showarrow": True, "arrowhead": 2, "arrowwidth": width,
        "arrowcolor": shade, "text": "",
    }  # fmt: skip


def _tip(
    end: np.ndarray, name: str, role: str, symbol: str, look: Look, legend: bool = True
) -> go.Scatter:
    return go.Scatter(
        x=[float(end[0])],
        y=[float(end[1])],
        mode="markers",
        name=name,
        showlegend=legend,
        marker={"color": colour(role, look), "size": 8, "symbol": symbol},
        hovertemplate=f"{name}<br>%{{x:.3~g}}, %{{y:.3~g}} nats<extra></extra>",
    )


def _contexts(result: ConceptPush, look: Look) -> go.Figure:
    """AUC of every contrast on the contexts of every contrast; 0.5 is chance."""
    n, groups = len(result.concepts), len(result.groups)
    hover = np.empty((groups, n), dtype=object)
    for row in range(groups):
        low, high = result.control_auc[row]
        sizes = " and ".join(map(str, result.n_contexts[row].tolist()))
        for column in range(n):
            hover[row, column] = (
                f"<b>contexts of {escaped(visible(result.groups[row], LABEL))}</b> ({sizes})<br>"
                f"read by {_name(result, column)}: AUC {number(result.auc[row, column])}"
                f"<br>random directions {number(low)} to {number(high)}"
            )
    cells = grid.cells(
        result.auc.astype("float32"), scale=signed(look), limits=(0.0, 1.0), hover=hover,
        bar=colour_bar("AUC (0.5 is chance)", look),
    )  # fmt: skip
    names = [
        f"{escaped(visible(name, LABEL).replace('·', ' '))} ({a}, {b})"
        for name, (a, b) in zip(result.groups, result.n_contexts.tolist(), strict=True)
    ]
    own = np.array([result.auc[at, at] for at in range(n)])
    known = own[np.isfinite(own)]
    said = f"{number(np.median(known))} in the middle" if len(known) else "too few contexts"
    return drawn(
        [cells],
        look,
        title=f"Contexts told apart by their own contrast: AUC {said}",
        height=240 + CELL * max(groups, 8),
        margin={"l": 260, "t": 62, "b": 170},
        xaxis={**_names_axis(result, True), "title": {"text": "read by", "standoff": 4}},
        yaxis={**rows_axis(names), "ticktext": names, "title": {"text": "contexts by what follows"},
               "tickfont": {"size": 11}},
    )  # fmt: skip


def _readings(result: ConceptPush, look: Look, concept: int, group: int) -> go.Figure:
    """Histograms of one contrast's reading on contexts of two sides."""
    if group not in range(len(result.groups)):
        raise Error(f"groups have the numbers 0 to {len(result.groups) - 1}, not {group}")
    own = result.context_group == group
    values, side = result.measured[own, concept], result.context_side[own]
    known = np.isfinite(values)
    low, high = (
        (float(values[known].min()), float(values[known].max())) if known.any() else (0.0, 1.0)
    )
    edges = np.linspace(low, high if high > low else low + 1, 31)
    traces = []
    for which, role in ((0, "b"), (1, "a")):
        part = values[known & (side == which)]
        heights = np.histogram(part, edges)[0]
        sizes = result.n_contexts[group, which]
        name = escaped(visible(result.sides[group][which], 24).replace("·", " "))
        traces.append(
            go.Bar(
                x=(edges[1:] + edges[:-1]) / 2, y=heights / max(1, len(part)),
                width=np.diff(edges), marker={"color": faint(role, look, 0.5)},
                name=f"{name} ({sizes})",
                hovertemplate="%{x:.3~g}: %{y:.1%}<extra></extra>",
            )
        )  # fmt: skip
    auc = result.auc[group, concept]
    chance = result.control_auc[group]
    return drawn(
        traces,
        look,
        title=f"{_said(result, concept)} read in contexts of "
        f"{visible(result.groups[group], 40).replace('·', ' ')}: AUC {number(auc)} (random "
        f"directions {number(chance[0])} to {number(chance[1])})",
        height=340,
        showlegend=True,
        legend={"y": 1.02},
        barmode="overlay",
        margin={"t": 92, "b": 52, "r": 16},
        xaxis={"title": {"text": "state along the contrast (whitened units)"}},
        yaxis={"title": {"text": "share of the contexts"}, "tickformat": ".0%"},
    )


def _vocabulary(result: ConceptPush, look: Look, first: int, second: int) -> go.Figure:
    """A sample of the vocabulary along two contrasts; words of the pairs asked for in colour."""
    marks = np.array(result.token_pair)
    x, y = result.vocabulary[:, first], result.vocabulary[:, second]
    hover = np.array([token(piece, 30) for piece in result.tokens], dtype=object)
    traces = []
    kinds = [((0,), "other tokens", "control", "circle", 4)]
    if first == result.concept:
        kinds.append(((1,), f"{_name(result, first)}, first halves", "a", "circle-open", 8))
        kinds.append(((2,), f"{_name(result, first)}, second halves", "a", "circle", 8))
    if second == result.other:
        kinds.append(((3,), f"{_name(result, second)}, first halves", "b", "diamond-open", 8))
        kinds.append(((4,), f"{_name(result, second)}, second halves", "b", "diamond", 8))
    drawn_ = {mark for chosen, *_ in kinds for mark in chosen}
    for chosen, name, role, symbol, size in kinds:
        at = np.isin(marks, chosen)
        if chosen == (0,):
            at |= ~np.isin(marks, list(drawn_))
        traces.append(
            go.Scatter(
                x=x[at], y=y[at], mode="markers", name=name,
                marker={"color": faint(role, look, 0.35 if chosen == (0,) else 0.9),
                        "symbol": symbol, "size": size},
                hovertext=hover[at],
                hovertemplate="<b>%{hovertext}</b><br>%{x:.3~g}, %{y:.3~g}<extra></extra>",
            )
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=f"The vocabulary along two contrasts: correlation "
        f"{number(result.correlation[first, second], sign=True)}",
        height=480,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 110, "b": 52, "r": 16},
        xaxis={"title": {"text": f"{_name(result, first)} (whitened units)"}},
        yaxis={"title": {"text": f"{_name(result, second)} (whitened units)"}},
    )
