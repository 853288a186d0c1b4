"""One layer of a depth curve: its scores, what is confused, the most wrong texts, its direction."""

import html

import numpy as np
import streamlit as st

from core.figures import depth as drawing
from core.figures.wording import number
from core.results.depth import Depth
from pages.shared import sides, state
from pages.shared.clicks import pickable_chart
from pages.shared.notices import sentence, shown_text, small
from pages.shared.sections import depth_curve, depth_towards
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import framed
from pages.shared.sections.labelled import Given

HELP = (
    "What the probe of this layer does with every text while it is held out. Rows of the table are "
    "the classes, columns what the probe said. Margin: its log odds against the right class (ridge "
    "and means: the distance), largest first; texts that are wrong with a large margin are often "
    "wrong labels. The direction is that of the probe on all texts, of three or more classes "
    "towards one and away from the others: taking it out shows whether the model uses it, pushing "
    "along it moves the stream by as much as lies between the class means."
)
WORST = 20


def draw(found: Depth, given: Given) -> None:
    """The chosen layer; without a choice the one from which on it is readable."""
    layer = chosen(found)
    with framed(f"Layer {layer}: {found.site(layer)}", HELP, key="depth_layer"):
        left, right = st.columns([5, 6], gap="medium")
        with left:
            state.field(
                st.number_input, "Layer (0: embedding)", key="depth_layer_number", value=layer,
                then=depth_curve.choose, min_value=0, max_value=found.n_layers, step=1, width=190,
            )  # fmt: skip
            st.html(_facts(found, layer))
            st.html(_confusion(found, layer))
            towards = depth_towards.chosen(found)
            depth_towards.draw(found, layer, towards, given)
        with right:
            _margins(found, layer, towards)
            _wrong(found, layer)


def chosen(found: Depth) -> int:
    """The chosen layer, else the one from which on it is readable, else the best."""
    text = state.workspace().choice("depth")
    if text.isdecimal() and len(text) < 6:
        return min(int(text), found.n_layers)
    score = state.workspace().choice("metric")
    onset = found.onset(score)
    return int(getattr(found, score).argmax()) if onset is None else onset


def _facts(found: Depth, layer: int) -> str:
    lines = [
        f"{name} {number(values[layer])} ({number(low[layer])} to {number(high[layer])})"
        for name, values, low, high in (
            ("accuracy", found.accuracy, found.accuracy_low, found.accuracy_high),
            ("AUC", found.auc, found.auc_low, found.auc_high),
            ("F1", found.f1, found.f1_low, found.f1_high),
        )
    ]
    lines.append(f"balanced accuracy {number(found.balanced_accuracy[layer])}")
    for name, values in (
        ("shuffled labels", found.control_accuracy),
        (f"control task over each {found.types}", found.task_accuracy),
        ("selectivity", found.selectivity),
        ("random folds", found.random_accuracy),
        ("fresh weights", found.untrained_accuracy),
        ("expected calibration error", found.calibration_error),
    ):
        if np.isfinite(values[layer]):
            lines.append(f"{name} {number(values[layer])}")
    body = "".join(f"<div>{html.escape(line, quote=True)}</div>" for line in lines)
    return f'<div class="eido-facts">{body}</div>'


def _margins(found: Depth, layer: int, towards: int) -> None:
    """The scores of all held-out texts, class beside class."""
    pickable_chart(
        drawn(drawing.margins, found, layer=layer, output=towards),
        key=f"{sides.key('depth_margins')}_chart",
        label="Held-out texts along the probe",
        on_pick=None,
        grid=False,
    )


def _confusion(found: Depth, layer: int) -> str:
    names = [html.escape(shown_text(name, 24), quote=True) for name in found.classes]
    head = "".join(f"<th>said {name}</th>" for name in names)
    body = "".join(
        f"<tr><th>{name}</th>" + "".join(f"<td>{n:,}</td>" for n in row) + "</tr>"
        for name, row in zip(names, found.confusion(layer), strict=True)
    )
    return (
        f'<div class="eido-scroll"><table class="eido-effects"><tr><th></th>{head}</tr>'
        f"{body}</table></div>"
    )


def _wrong(found: Depth, layer: int) -> None:
    worst = found.worst(layer, WORST)
    guess, wrong = found.guess[layer], int((found.guess[layer] != found.label).sum())
    if not len(worst):
        sentence("Every held-out text was told right here.", "info")
        return
    title = f"Most wrong of {wrong:,} wrong texts ({found.n_texts:,} in all)"
    st.html(small(title, strong=True))
    st.dataframe(
        {
            "text": [shown_text(found.texts[i], 300) for i in worst],
            "is": [shown_text(found.classes[found.label[i]], 40) for i in worst],
            "said": [shown_text(found.classes[guess[i]], 40) for i in worst],
            "margin": [number(_against(found, layer, int(i))) for i in worst],
        },
        hide_index=True,
        height=min(420, 38 + 35 * len(worst)),
    )


def _against(found: Depth, layer: int, text: int) -> float:
    """How far the probe was on the wrong side."""
    margin, own = found.margin[layer, text], int(found.label[text])
    if len(margin) == 1:
        return float(abs(margin[0]))
    return float(np.delete(margin, own).max() - margin[own])
