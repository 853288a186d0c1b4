"""Linear probes of one set of texts: which reads best, what they take, how sure, how sturdy."""

from typing import Any

import streamlit as st

from core.figures import probe_family as drawing
from core.results.probe_family import ProbeFamily
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.sections import depth_checks, depth_curve
from pages.shared.sections.begun import begun
from pages.shared.sections.labelled import Given
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import Patience, as_code

TEACH = (
    "Logistic regression, difference in means, LDA and the first principal component on the same "
    "states and folds, each beside shuffled labels. Seconds on the embedded model, minutes on a "
    "large one."
)
READ = (
    "Held-out texts, one line for each probe. Grey: where 90 % of probes on shuffled labels lie; "
    "dotted: random directions with the sign that suits the labels. Of three or more classes the "
    "last stands against the others. The probe that reads best is not always the direction to "
    "push along: see how far they agree. Click a layer to see that there."
)
AGREE = (
    "Cosine between the directions that two probes take from all texts; in the hover what they "
    "come to on shuffled labels. Difference in means follows loud channels that have nothing to "
    "say; logistic regression and LDA take them away."
)
TURN = (
    "Cosine between the directions of one probe at two layers. A block is a code that stays; "
    "away from the diagonal near zero, every layer writes the concept in its own way, and a "
    "direction of one layer means nothing at another."
)
QUESTIONS = {"which": "which probe"} | {
    name: check.label for name, check in depth_checks.CHECKS.items()
}
WAYS = {
    "auc": "AUC by layer",
    "accuracy": "accuracy by layer",
    "agreement": "how far they agree",
    "turning": "where one turns",
}


def question(model: ModelRef, option: tuple[str, object]) -> Request:
    work = state.workspace()
    asked: dict[str, Any] = {option[0]: option[1], "seed": work.seed}
    return ask("probe_family", model, position=work.choice("read"), **asked)


def controls(given: Given | None) -> None:
    """What is asked, and which state counts."""
    state.chosen(
        st.segmented_control, "Question", list(QUESTIONS), name="probed",
        format_func=QUESTIONS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    reads = depth_curve.reads(given)
    state.chosen(
        st.selectbox, "State of a text", list(reads), name="read", width=190,
        format_func=reads.__getitem__,
    )  # fmt: skip


def draw(model: ModelRef, given: Given, patience: Patience) -> None:
    """The answer to the chosen question about these texts."""
    asked = state.workspace().choice("probed")
    if asked in depth_checks.CHECKS:
        depth_checks.draw(model, given, depth_checks.CHECKS[asked], patience)
    else:
        _families(model, given, patience)


def _families(model: ModelRef, given: Given, patience: Patience) -> None:
    """Four probes beside each other."""
    request = question(model, given.option)
    found = begun(
        request, key="family", label="Compare the probes", teach=TEACH, grace=patience.left(),
        height=380,
    )  # fmt: skip
    if isinstance(found, ProbeFamily):
        _show(found, request, as_code(question(model, given.python)), patience)


def _show(found: ProbeFamily, request: Request, code: str, patience: Patience) -> None:
    shown = way(WAYS, name="viewed")
    if shown == "agreement":
        row = _row(found)
        one_figure(
            request, drawing, figure=drawing.agreement, key="family", grace=patience.left(),
            title=f"How far the directions agree behind {drawing.state(row)}", help=AGREE,
            python=code, layer=row,
        )  # fmt: skip
    elif shown == "turning":
        method = family()
        one_figure(
            request, drawing, figure=drawing.turning, key="family", grace=patience.left(),
            title=f"Where the direction of {drawing.NAMES[method]} turns", help=TURN,
            python=code, method=method,
        )  # fmt: skip
    else:
        one_figure(
            request, drawing, key="family", grace=patience.left(), title="Four probes by layer",
            help=READ, python=code, score=shown, on_pick=lambda _, cell: _look(int(cell[0])),
        )  # fmt: skip


def family() -> str:
    """The choice of one of the four probes."""
    return state.chosen(
        st.selectbox, "Probe", list(drawing.NAMES), name="family", width=220,
        format_func=drawing.NAMES.__getitem__,
    )  # fmt: skip


def _row(found: ProbeFamily) -> int:
    """The layer that is looked into, else the one that is read best."""
    text = state.workspace().choice("depth")
    last = found.n_layers
    row = min(int(text), last) if text.isdecimal() and len(text) < 6 else found.best[1]
    state.field(
        st.number_input, "State (0: embedding, 1: behind layer 0)", key="family_layer", value=row,
        then=depth_curve.choose, min_value=0, max_value=last, step=1, width=280,
    )  # fmt: skip
    return row


def _look(row: int) -> None:
    """See how the probes agree there."""
    work = state.workspace().with_choice("depth", str(row)).with_choice("viewed", "agreement")
    state.set_workspace(work)
