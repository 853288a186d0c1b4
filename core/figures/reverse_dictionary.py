"""Descriptions that land on their words: accuracy, categories, numbers of demonstrations."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from core.figures import lines
from core.figures.probe_family import layers, state
from core.figures.theme import BOTTOM, TOP, Look, colour, drawn
from core.figures.wording import count, escaped, number, readable
from core.results.reverse_dictionary import CONDITIONS, ReverseDictionary
from core.spec.errors import Error
from core.spec.intervals import wilson

VIEWS = ("accuracy", "layers", "demonstrations", "properties")
NAMES = {
    "matched": "right demonstrations",
    "mismatched": "words dealt out among them",
    "none": "no demonstrations",
}
PLACES = ("at the arrow", "end of the description", "at the arrow, mismatched")
STYLES = (("a", "solid"), ("c", "dot"), ("b", "dash"))


def figure(
    result: ReverseDictionary, look: Look, *, view: str = "accuracy", layer: int | None = None
) -> go.Figure:
    """One question about the descriptions, beside its control.

    view   "accuracy" with right, mismatched and no demonstrations; "layers": categories told by
           the nearest mean; "demonstrations": how many it takes; "properties" read at the arrow
    layer  of the likeness over numbers of demonstrations; None: the best one for categories
    """
    match view:
        case "accuracy":
            return _accuracy(result, look)
        case "layers":
            return _layers(result, look)
        case "demonstrations":
            return _counts(result, look, result.best_layer if layer is None else layer)
        case "properties":
            return _properties(result, look)
    raise Error(f"the reverse dictionary can show {', '.join(VIEWS)}, not {str(view)[:20]!r}")


def title(result: ReverseDictionary) -> str:
    """Accuracy with its controls, and where categories are told best, in words."""
    shares = [number(result.accuracy(one)) for one in CONDITIONS]
    words = (
        f"{readable(result.set_name[:40])}: {shares[0]} of {count(result.n_items, 'description')} "
        f"land on their word ({shares[1]} with mismatched demonstrations, {shares[2]} with none)"
    )
    if np.isnan(result.category_accuracy[0]).all():
        return words
    row = result.best_layer
    chance = float(np.nanmean(result.category_chance[:, 0, row]))
    return (
        f"{words}; categories told at the arrow behind {state(row)} "
        f"{number(result.category_accuracy[0, row])} (by chance {number(chance)})"
    )


def caption(result: ReverseDictionary) -> str:
    """Controls and sample, in words."""
    fitted = ", ".join(map(str, dict.fromkeys(result.fitted)))
    parts = [
        f"{count(result.n_items, 'item')} of {result.n_given:,}, {fitted} demonstrations, "
        f"{count(result.n_runs, 'run')}; greedy, exact match with the word or one of the same "
        "definition",
        "control: the same demonstrations with their words dealt out among them; categories: "
        f"labels dealt out anew {result.n_shuffles} times, the state at the end of the description",
        f"odd one out of three at the best layer {number(result.odd_one_out[result.best_layer])} "
        f"(by chance 0.333, n = {result.n_triplets:,}); seed {result.seed}",
    ]
    if result.source:
        parts.append(f"{readable(result.source)} {readable(result.licence)}")
    return "; ".join([*parts, *map(readable, result.notes)])


def _accuracy(result: ReverseDictionary, look: Look) -> go.Figure:
    y = np.arange(len(CONDITIONS))
    value = np.array([result.accuracy(one) for one in CONDITIONS])
    # Runs ask the same items again: the interval is that of the items.
    spread = np.array([wilson(share, result.n_items) for share in value])
    p = result.first_p.mean(axis=1)
    own = lines.dots(
        value, y, look, role="a", name="share right (95 %)", low=spread[:, 0], high=spread[:, 1]
    )
    probability = lines.dots(
        p,
        y,
        look,
        role="control",
        name="mean probability of the first token",
        symbol="diamond-open",
    )
    return drawn(
        [own, probability],
        look,
        title=title(result),
        height=TOP + BOTTOM + 190,
        showlegend=True,
        legend={"y": 1.03},
        margin={"t": TOP + 40},
        xaxis={"title": {"text": "share of the descriptions"}, "range": [-0.03, 1.03]},
        yaxis=lines.rows_axis([NAMES[one] for one in CONDITIONS]),
    )


def _chance(values: np.ndarray) -> np.ndarray:
    found = np.full((2, *values.shape[1:]), np.nan)
    known = ~np.isnan(values).all(axis=0)
    found[:, known] = np.nanquantile(values[:, known], (0.05, 0.95), axis=0)
    return found


def _layers(result: ReverseDictionary, look: Look) -> go.Figure:
    if np.isnan(result.category_accuracy).all():
        raise Error("the items have no categories, so there is nothing to tell by layer")
    x = np.arange(result.category_accuracy.shape[1])
    low, high = _chance(result.category_chance[:, 0])
    traces: list[Any] = lines.band(x, low, high, look, role="control", alpha=0.35)
    for place, (name, (role, dash)) in enumerate(zip(PLACES, STYLES, strict=True)):
        values = result.category_accuracy[place]
        traces.append(lines.curve(x, values, look, role=role, dash=dash, name=name))
    odd = result.odd_one_out
    if not np.isnan(odd).all():
        traces.append(
            lines.curve(x, odd, look, role="clamped", dash="dashdot", symbol="diamond",
                        name="odd one out (by chance 0.333)")
        )  # fmt: skip
    return drawn(
        traces,
        look,
        title=f"{readable(result.set_name[:40])}: when the description becomes its category "
        "(grey: labels dealt out anew)",
        height=420,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100},
        xaxis=layers(len(x)),
        yaxis={"title": {"text": "accuracy, mean over categories"}, "range": [-0.03, 1.03]},
    )


def _counts(result: ReverseDictionary, look: Look, layer: int) -> go.Figure:
    if not 0 <= layer < result.likeness.shape[1]:
        raise Error(f"layer {layer}: there are 0 to {result.likeness.shape[1] - 1}")
    x = np.arange(len(result.ns))
    low, high = _chance(result.likeness_chance[:, :, layer])
    traces: list[Any] = lines.band(x, low, high, look, role="control", alpha=0.35)
    traces += [
        lines.curve(x, result.likeness[:, layer], look, role="a",
                    name=f"likeness with the most, behind {state(layer)} (RSA)"),
        lines.curve(x, result.n_accuracy, look, role="b", dash="dash", name="share right"),
    ]  # fmt: skip
    return drawn(
        traces,
        look,
        title="How many demonstrations it takes (grey: likeness with items dealt out anew)",
        height=400,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": 100},
        xaxis={
            "title": {"text": "demonstrations"},
            "tickvals": x.tolist(),
            "ticktext": [str(int(n)) for n in result.ns],
        },
        yaxis={"title": {"text": "Spearman correlation; share"}},
    )


def _properties(result: ReverseDictionary, look: Look) -> go.Figure:
    if not result.properties:
        raise Error("no properties were given; give a table of words and properties (properties=)")
    kinds = list(dict.fromkeys(result.property_group))
    order = sorted(
        range(len(result.properties)),
        key=lambda p: (kinds.index(result.property_group[p]), -result.property_auc[p]),
    )
    y = np.arange(len(order))
    chance = result.property_chance[:, order]
    names = []
    for p in order:
        kind = f"{result.property_group[p][:16]}: " if result.property_group[p] else ""
        names.append(f"{kind}{result.properties[p][:28]} ({result.property_size[p]})")
    medians = ", ".join(
        f"{readable(kind or 'all')} {number(np.nanmedian(values))}"
        for kind in kinds
        if (values := result.property_auc[np.array(result.property_group) == kind]).size
    )
    own = lines.dots(result.property_auc[order], y, look, role="a", name="AUC held out")
    own.hovertext = [
        f"{escaped(result.properties[p])}<br>AUC {number(result.property_auc[p])}, F1 "
        f"{number(result.property_f1[p])}, {result.property_size[p]} words"
        for p in order
    ]
    own.hovertemplate = "%{hovertext}<extra></extra>"
    traces = [
        lines.ranges(chance.min(axis=0), chance.max(axis=0), y, look, name="items dealt out anew"),
        lines.dots(result.property_f1[order], y, look, role="b", name="F1", symbol="diamond-open"),
        own,
    ]
    return drawn(
        traces,
        look,
        title=f"Properties read behind {state(result.property_layer)}: median {medians}",
        height=max(5, len(names)) * 22 + TOP + BOTTOM + 60,
        showlegend=True,
        legend={"y": 1.02},
        margin={"t": TOP + 40},
        xaxis={"title": {"text": "AUC, F1"}, "range": [-0.03, 1.03]},
        yaxis=lines.rows_axis(names),
        shapes=[{"type": "line", "x0": 0.5, "x1": 0.5, "y0": 0, "y1": 1, "yref": "paper",
                 "line": {"color": colour("muted", look), "width": 1}}],
    )  # fmt: skip
