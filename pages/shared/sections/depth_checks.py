"""Questions a probe has to answer: what it takes, how sure, how sturdy, and whether it guides."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Any

import streamlit as st

from core.figures import calibration, depth_noise, detect_guide, probe_controls
from core.figures.probe_family import NAMES
from core.results.base import Result
from core.results.detect_guide import DetectGuide
from core.results.direction import short
from core.spec.interventions import Add, Project
from core.spec.request import ModelRef, Request, ask
from core.spec.site import Site
from pages.shared import sides, state, tray
from pages.shared.notices import sentence, small
from pages.shared.sections.begun import begun
from pages.shared.sections.labelled import Given
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience, as_code

TIME = "Seconds on the embedded model, minutes on a large one."


@dataclass(frozen=True)
class Way:
    """One picture of an answer; `at` says that it is about one layer."""

    label: str
    title: str
    help: str
    at: bool = False


@dataclass(frozen=True)
class Check:
    """One question: the analysis, its button, what it is about, and its pictures by view."""

    label: str
    analysis: str
    drawing: ModuleType
    button: str
    teach: str
    ways: Mapping[str, Way]


CHECKS: Mapping[str, Check] = MappingProxyType({
    "takes": Check(
        "what it takes", "probe_controls", probe_controls, "See what reading takes",
        "Is it the model or the probe? A strong probe with many texts reads much that the model "
        "does not say. Here: the labels as a code written with the probe, few texts, few "
        f"dimensions, each beside shuffled labels. {TIME}",
        {
            "bits": Way(
                "bits", "How many bits the labels take",
                "Texts are written down block by block, each with a probe of all texts before: "
                "the fewer bits a text, the more easily the concept is read (online code, minimum "
                "description length). Band: three orders; grey: shuffled labels; dotted: one bit, "
                "nothing was learned. Click a layer to look at it.",
            ),
            "sizes": Way(
                "texts", "How many texts teach it",
                "Held-out AUC of probes that saw only so many texts, with its 95 % interval; grey: "
                "shuffled labels; dashes: the embedding. What is laid out along a line takes few.",
                at=True,
            ),
            "dimensions": Way(
                "dimensions", "How many dimensions hold it",
                "Held-out AUC on the leading principal components alone, which see no label. "
                "Crosses: as many random directions; grey: shuffled labels.",
                at=True,
            ),
        },
    ),
    "sure": Check(
        "as a probability", "calibration", calibration, "Check the probabilities",
        "When a probe says 0.9, is it right in nine of ten? And how early is it sure, in depth and "
        f"within a text? {TIME}",
        {
            "reliability": Way(
                "reliability", "What a probability means",
                "Held-out texts in ten bins of the probability that the probe gives; the larger "
                "the sign, the more texts. On the dotted line probabilities come true. Squares: "
                "the probe as it is; dots: after one number, the temperature, was fitted on other "
                "texts.",
                at=True,
            ),
            "errors": Way(
                "error by layer", "How far the probabilities are off",
                "Expected calibration error. Grey: what a perfect probe shows with so few texts, "
                "in 95 of 100 draws.",
            ),
            "stopping": Way(
                "stopping by layers", "Stopping at the first sure layer",
                "A text is decided at the first layer whose probe is this sure (the number at the "
                "point). Crosses: all texts stop at one layer; only what lies above is won.",
            ),
            "parts": Way(
                "within the text", "How much of a text must be read, and how deep",
                "Held-out AUC of probes at the token at which each tenth of a text has been read. "
                "Beside each share what the words so far tell without the model.",
            ),
            "reading": Way(
                "stopping within", "Stopping before the end of a text",
                "A text is decided at the first tenth whose probe is this sure. Crosses: all texts "
                "stop after one share.",
                at=True,
            ),
        },
    ),
    "noise": Check(
        "with noise", "depth_noise", depth_noise, "Add noise",
        "The same curve on texts with letters, typing errors, a sentence or words added, and on "
        f"weights of 16, 8 and 4 bits. {TIME}",
        {
            "learned anew": Way(
                "learned anew", "Depth under each change",
                "Probes are learned and asked under the change, on the same folds. Band: 95 % of "
                "the clean curve; grey: shuffled labels.",
            ),
            "learned clean": Way(
                "learned clean", "Learned clean, asked under each change",
                "Probes of clean texts and weights, asked about the changed ones.",
            ),
            "shift": Way(
                "shift", "How far the rise moves",
                "Shift of the half-rise and of the highest AUC against clean, with 5 to 95 % over "
                "draws of groups. Grey: the same texts in other folds, which is chance.",
            ),
            "moved": Way(
                "how far states move", "How far each change moves the states",
                "Distance of the states to the clean ones over the spread of these.",
            ),
        },
    ),
    "guides": Check(
        "read or guide", "detect_guide", detect_guide, "Guide with each probe",
        "Is the direction that reads a concept best also the one that moves what the model writes? "
        "Texts are written under a push along each probe at five layers, beside random "
        f"directions. {TIME}",
        {
            "both": Way(
                "against each other", "Reading against guiding",
                "Across: held-out AUC. Up: how far the concept's rate in written texts follows the "
                "push, over what the push breaks (perplexity-normalised effect). Crosses: random "
                "directions pushed as far. A judge at another layer, or words, says what a text "
                "has. Click a direction to take it.",
            ),
            "layers": Way(
                "by layer", "How far each direction guides, by layer",
                "Effect over perplexity of each probe's direction; grey: random directions.",
            ),
        },
    ),
})  # fmt: skip


def question(model: ModelRef, analysis: str, option: tuple[str, object]) -> Request:
    work = state.workspace()
    asked: dict[str, Any] = {option[0]: option[1], "seed": work.seed}
    return ask(analysis, model, position=work.choice("read"), **asked)


def draw(model: ModelRef, given: Given, check: Check, patience: Patience) -> None:
    request = question(model, check.analysis, given.option)
    found = begun(
        request, key=check.analysis, label=check.button, teach=check.teach, grace=patience.left(),
        height=380,
    )  # fmt: skip
    if found is None:
        return
    ways = dict(check.ways)
    if check.analysis == "calibration" and not len(found.part):  # type: ignore[attr-defined]
        ways = {name: one for name, one in ways.items() if name not in ("parts", "reading")}
    shown = way({name: one.label for name, one in ways.items()}, name="viewed")
    one = ways[shown]
    chosen: dict[str, Any] = {"layer": _row(found)} if one.at else {}
    one_figure(
        request, check.drawing, key=check.analysis, grace=patience.left(), title=one.title,
        help=one.help, python=as_code(question(model, check.analysis, given.python)), view=shown,
        on_pick=_pick if shown in ("bits", "errors", "both") else None, **chosen,
    )  # fmt: skip
    if isinstance(found, DetectGuide):
        _take(found)


def _row(found: Result) -> int:
    """The layer that is looked into, else the best of the answer."""
    text, last = state.workspace().choice("depth"), found.n_layers  # type: ignore[attr-defined]
    row = min(int(text), last) if text.isdecimal() and len(text) < 6 else found.best  # type: ignore[attr-defined]
    state.field(
        st.number_input, "State (0: embedding, 1: behind layer 0)",
        key=sides.key("checked_layer"), value=row,
        then=lambda value: state.choose("depth", str(value)), min_value=0, max_value=last, step=1,
        width=280,
    )  # fmt: skip
    return int(row)


def _pick(found: Result, cell: Any) -> None:
    """A layer is looked at in the next picture; a direction is taken."""
    index, trace = int(cell[0]), int(cell[1])
    work = state.workspace()
    if isinstance(found, DetectGuide):
        if 1 <= trace <= len(found.methods):
            state.choose("family", found.methods[trace - 1])
            state.select(layer=int(found.layer[index]))
        return
    views = {"probe_controls": "sizes", "calibration": "reliability"}
    work = work.with_choice("depth", str(index)).with_choice("viewed", views[found.name])
    state.set_workspace(work)


def _take(found: DetectGuide) -> None:
    """The chosen direction into the clamps: pushed as in the experiment, or taken out."""
    work = state.workspace()
    method = found.methods.index(work.choice("family"))
    layers = [int(layer) for layer in found.layer]
    column = layers.index(work.selection.layer) if work.selection.layer in layers else -1
    if column < 0:
        sentence("Click a direction in the figure to push along it or to take it out.", "info")
        return
    place = Site(layers[column], "resid_post")
    vector = tuple(short(found.direction[method, column]))
    unit = float(f"{found.mean_norm[column]:.6g}")
    strength = float(f"{unit * float(found.alpha[found.alpha > 0].min(initial=0.5)):.6g}")
    with st.container(horizontal=True, vertical_alignment="center"):
        name = NAMES[found.methods[method]]
        st.html(small(f"chosen: {name} at {place}"))
        st.button(
            "+ push", key=sides.key("guides_push"), on_click=state.attempt,
            args=(tray.add, Add(place, vector, strength, keep_norm=True), unit),
            help="Add the direction at every token, keeping the length of the stream.",
        )  # fmt: skip
        st.button(
            "+ take out", key=sides.key("guides_out"), on_click=state.attempt,
            args=(tray.add, Project(place, vector)), help="Project the direction out.",
        )  # fmt: skip
