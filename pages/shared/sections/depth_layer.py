"""One layer of a depth curve: its scores, what is confused, the most wrong texts, its direction."""

import html

import numpy as np
import streamlit as st

from core.figures.wording import number
from core.results.depth import Depth
from core.results.direction import short
from core.spec.concept import MAX_TEXTS, Concept
from core.spec.errors import Error
from core.spec.interventions import Project
from core.spec.site import site
from pages.shared import state, tray
from pages.shared.menu import entry
from pages.shared.notices import sentence, shown_text, small
from pages.shared.sections import depth_curve
from pages.shared.sections.framed import framed
from pages.shared.sections.labelled import Given

HELP = (
    "What the probe of this layer does with every text while it is held out. Rows of the table are "
    "the classes, columns what the probe said. Margin: its log odds against the right class (ridge "
    "and means: the distance), largest first; texts that are wrong with a large margin are often "
    "wrong labels. The direction is that of the probe on all texts: taking it out shows whether "
    "the model uses it."
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
            _direction(found, layer, given)
        with right:
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


def _direction(found: Depth, layer: int, given: Given) -> None:
    """Into the clamps, or on to the page of directions."""
    if len(found.classes) != 2:
        words = "With more than two classes every class has a direction; choose two to push along."
        st.html(small(words, quiet=True))
        return
    vector = tuple(short(found.direction[layer, 0]))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "+ take out", key="depth_take_out", on_click=state.attempt,
            args=(tray.add, Project(site(found.site(layer)), vector)), disabled=not np.any(vector),
            help="Project the probe's direction out of the stream at this layer; into the clamps.",
        )  # fmt: skip
        if st.button(
            "open in Directions", key="depth_directions", icon=entry("directions").icon,
            help="A direction from the same texts: push along it, take it out, erase it.",
        ):  # fmt: skip
            _go(layer, given)


def _go(layer: int, given: Given) -> None:
    """Over to the page of directions, or why its concepts cannot hold these texts."""
    try:
        _carry(layer, given)
    except Error as fault:
        sentence(str(fault))
        return
    st.switch_page(entry("directions").path, query_params=state.query())


def _carry(layer: int, given: Given) -> None:
    """The two classes as the concept of the page of directions."""
    work, one = state.workspace(), given.one
    if one is not None:
        sides = [
            tuple(dict.fromkeys(
                text for text, own in zip(one.texts, one.labels, strict=True)
                if own == label
            ))[:MAX_TEXTS]
            for label in (1, 0)
        ]  # fmt: skip
        both = set(sides[0]) & set(sides[1])
        up, down = (tuple(text for text in side if text not in both) for side in sides)
        name = f"{one.classes[1]}, not {one.classes[0]}"[:100]
        state.change(own=Concept(name, up, down))
        work = state.workspace().with_choice("concept", "")
    state.set_workspace(work.with_choice("at", str(max(0, layer - 1))))
