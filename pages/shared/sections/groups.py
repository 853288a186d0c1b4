"""Groups of neurons: what a kind of text needs, what kinds share, what carries one text on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from core.figures import core_neurons, domain_neurons, shared_neurons, task_spot
from core.figures.wording import readable, visible
from core.results.base import Result
from core.results.core_neurons import CoreNeurons
from core.results.domain_neurons import DomainNeurons
from core.results.shared_neurons import SharedNeurons
from core.results.task_spot import TaskSpot
from core.spec.claims import kinds_of_text
from core.spec.request import Request, ask
from pages.shared import sides, state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

MOST_LISTED = 500


@dataclass(frozen=True)
class Group:
    """One question about groups: its analysis, how it is drawn, its views, and what to say."""

    label: str
    analysis: str
    result: type[Result]
    figure: Callable[..., go.Figure]
    caption: Callable[..., str]
    views: dict[str, str]
    teach: str
    help: str


GROUPS = {
    "spot": Group(
        "Task spot",
        "task_spot",
        TaskSpot,
        task_spot.figure,
        task_spot.caption,
        {"dose": "what breaks", "layers": "where they are"},
        "Two kinds of text, one a line. The neurons that the first needs and the second does not "
        "are found on half of the lines and silenced on the other half.",
        "A neuron's importance is |activation × gradient of the loss|, as a share of all, on the "
        "first kind minus on the second. The spot is set to zero and the loss measured on held-out "
        "texts of both kinds, for several sizes; grey: random sets with as many neurons in every "
        "layer. Neurons a model is already sure with have small gradients and can be missed.",
    ),
    "shared": Group(
        "Shared",
        "shared_neurons",
        SharedNeurons,
        shared_neurons.figure,
        shared_neurons.caption,
        {"overlap": "overlap", "silent": "what breaks", "layers": "by layer"},
        "Choose kinds of text. Their most active neurons are compared layer by layer; with a "
        "model B of the same shape its sets stand beside.",
        "Each set holds the neurons among the most active of their layer in every text. Overlap "
        "is corrected for chance layer by layer: 0 is chance, 1 is equal; on the diagonal stand "
        "the two halves of a set's own texts. “What breaks” silences what all share, and what "
        "each has for itself; compare with the random sets in the hover.",
    ),
    "core": Group(
        "Core of the prompt",
        "core_neurons",
        CoreNeurons,
        core_neurons.figure,
        core_neurons.caption,
        {"loss": "what it carries", "stability": "how soon it is known"},
        "The few neurons the first half of the prompt keeps using, and whether the second half "
        "can be foretold with them alone. Write a text of some sentences above.",
        "Blue: only the core found on the first half runs at the tokens of the second. Orange: "
        "the core of the reference text, which tells whether the core is this text's own. Grey: "
        "random sets of equal size. “How soon”: overlap of the core of each beginning with that "
        "of the whole first half; dashed, two random sets.",
    ),
    "kinds": Group(
        "Of one kind of text",
        "domain_neurons",
        DomainNeurons,
        domain_neurons.figure,
        domain_neurons.caption,
        {"entropy": "how concentrated", "silent": "what breaks", "layers": "where they are"},
        "Choose kinds of text. Neurons are listed that fire on one of them and hardly on others.",
        "A neuron fires where its |activation| exceeds its own root mean square. The entropy of "
        "its rates over the kinds is low when it fires on few; grey: the same texts with the kinds "
        "dealt out at random. Neurons that fire rarely can be specific and still matter little: "
        "see what breaks.",
    ),
}
FIRST, SECOND = ("code", ("stories", "geography"))
_ASKED = "_groups"  # group: the options that were asked for


def draw(view: View, grace: float) -> None:
    """Which group, its texts, and the answer."""
    name = state.chosen(
        st.segmented_control, "Group", list(GROUPS), name="group",
        format_func=lambda key: GROUPS[key].label, label_visibility="collapsed",
    )  # fmt: skip
    group = GROUPS[name]
    left, right = sides.columns([2, 5], gap="medium")
    with left:
        if sides.first():
            st.html(small(group.teach))
            _inputs(name)
    with right:
        request = question(view, name)
        if request is None:
            sentence("Press Find: this takes some seconds, longer on a large model.", "info")
            return
        result = answer(request, key="group", grace=grace, height=400, bulk=True)
        if isinstance(result, group.result):
            _shown(group, result, request)


def question(view: View, name: str) -> Request | None:
    """What was asked for under this group, on this model; None before Find was pressed."""
    options = st.session_state.get(_ASKED, {}).get(name)
    if options is None:
        return None
    if name == "core":
        return ask("core_neurons", view.model, view.prompt, seed=view.seed, **options)
    if name == "shared" and len(state.workspace().models) > 1:
        b = state.workspace().models[1]
        other = (b.name, b.revision, b.dtype) if b.revision or b.dtype else b.name
        options = {**options, "other": other}
    return ask(GROUPS[name].analysis, view.model, seed=view.seed, **options)


def _inputs(name: str) -> None:
    with st.form(f"group_{name}", border=True):
        match name:
            case "spot":
                _two_texts()
            case "core":
                st.number_input(
                    "Neurons that run, % of each layer", 1, 100, 20, key="group_beta",
                    help="the share that counts as the core",
                )  # fmt: skip
            case _:
                _several_texts(name)
        st.form_submit_button("Find", type="primary", on_click=_find, args=(name,))


def _two_texts() -> None:
    known = kinds_of_text()
    st.text_input("Name of the first kind", FIRST, key="group_first")
    st.text_area("Its texts", "\n".join(known[FIRST]), key="group_texts", height=140)
    st.text_input("Name of the others", " and ".join(SECOND), key="group_second")
    lines = [text for kind in SECOND for text in known[kind][:6]]
    st.text_area("Other texts", "\n".join(lines), key="group_others", height=140)
    st.number_input(
        "Neurons, % of all", 0.05, 10.0, 0.5, step=0.1, format="%.2f", key="group_share"
    )


def _several_texts(name: str) -> None:
    known = kinds_of_text()
    st.multiselect(
        "Built-in kinds of text", list(known), ["calendar", "geography", "stories", "code"],
        key=f"group_{name}_kinds",
    )  # fmt: skip
    st.text_input("Another kind, its name", key=f"group_{name}_own")
    st.text_area("Its texts, one a line", key=f"group_{name}_texts", height=120)
    if name == "shared":
        st.number_input("Most active, % of each layer", 1, 50, 10, key="group_ratio")
    else:
        st.number_input("Neurons listed, % of all", 0.1, 20.0, 1.0, step=0.1, key="group_listed")


def _find(name: str) -> None:
    """Keep what the form holds as the question."""
    held = st.session_state
    options: dict[str, Any]
    match name:
        case "spot":
            share = round(float(held["group_share"]) / 100, 6)
            options = {
                "texts": _lines(held["group_texts"]),
                "other_texts": _lines(held["group_others"]),
                "names": (held["group_first"] or "first", held["group_second"] or "others"),
                "share": share,
            }
        case "core":
            options = {"beta": int(held["group_beta"]) / 100}
        case _:
            options = {"groups": _kinds(name)}
            if name == "shared":
                options["ratio"] = int(held["group_ratio"]) / 100
            else:
                options["share"] = round(float(held["group_listed"]) / 100, 6)
    held.setdefault(_ASKED, {})[name] = options


def _kinds(name: str) -> tuple[tuple[str, tuple[str, ...]], ...]:
    known, held = kinds_of_text(), st.session_state
    chosen = [(kind, known[kind]) for kind in held[f"group_{name}_kinds"]]
    own = _lines(held[f"group_{name}_texts"])
    if own:
        chosen.append((held[f"group_{name}_own"] or "own", own))
    return tuple(chosen)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line.strip() for line in text.splitlines() if line.strip())


def _shown(group: Group, result: Result, request: Request) -> None:
    views = list(group.views)
    show = state.workspace().choice("grouped")
    show = show if show in views else views[0]
    state.field(
        st.segmented_control, "Show", views, key="grouped", value=show,
        then=lambda value: state.choose("grouped", value),
        format_func=group.views.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    panel(
        result,
        drawn(group.figure, result, view=show),
        key="group",
        title=group.label,
        help=group.help,
        caption=group.caption(result),
        grid=False,
        python=as_code(request),
    )
    _listed(result)


def _listed(result: Result) -> None:
    """The neurons of the group; a chosen row is the neuron of the page."""
    places = _places(result)
    if not places:
        return
    frame = pd.DataFrame({"neuron": [f"L{layer}.neuron[{unit}]" for layer, unit in places]})
    if isinstance(result, TaskSpot | DomainNeurons):
        frame["writes"] = [
            " ".join(visible(piece, 16) for piece in words) for words in result.writes
        ] + [""] * (len(frame) - len(result.writes))
    if isinstance(result, DomainNeurons):
        frame["fires most on"] = [
            readable(result.names[kind]) for kind in result.kind[: len(frame)]
        ]

    key = sides.key("group_table")

    def choose() -> None:
        rows = st.session_state[key].selection.rows
        if rows and rows[0] < len(places):
            layer, unit = places[rows[0]]
            state.select(layer=layer, neuron=unit)

    st.html(small("The neurons: choose one to look at it above", strong=True))
    st.dataframe(
        frame, key=key, hide_index=True, height=260, on_select=sides.bound(choose),
        selection_mode="single-row",
    )  # fmt: skip


def _places(result: Result) -> list[tuple[int, int]]:
    if isinstance(result, CoreNeurons):
        layers, ranks = result.unit.shape
        return [
            (layer, int(result.unit[layer, rank]))
            for rank in range(ranks)
            for layer in range(layers)
        ][:MOST_LISTED]
    if isinstance(result, TaskSpot | SharedNeurons | DomainNeurons):
        pairs = zip(result.layer.tolist(), result.unit.tolist(), strict=True)
        return list(pairs)[:MOST_LISTED]
    return []
