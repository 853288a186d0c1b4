"""Push it: the direction added at many layers and strengths, judged by somebody else."""

from typing import Any

import streamlit as st

from core.figures import guide as drawing
from core.figures.wording import number
from core.results.direction import short
from core.results.guide import GuideResult
from core.spec.concept import Concept
from core.spec.interventions import Add
from core.spec.request import ModelRef, Request, ask
from core.spec.site import Site
from pages.shared import sides, state, tray
from pages.shared.clicks import pickable_chart
from pages.shared.notices import sentence, small
from pages.shared.panels import panel
from pages.shared.sections.begun import begun
from pages.shared.sections.concept import option
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import framed
from pages.shared.sections.view import as_code

BUILT = ("difference", "logistic", "pca", "lda")
HELP = (
    "Every cell is one layer and one strength: four texts are continued while the direction is "
    "added at every token. The score asks for both, that the judge finds the concept (below zero: "
    "its opposite) and that the unguided model still finds the text fluent: their harmonic mean. "
    "The judge is never the probe that built the direction: words you name, or a probe of another "
    "layer, or of model B. Right: the same for random directions of equal length. The "
    "triangles mark the natural gap between the class means. “loop”: the text repeats itself, so "
    "its fluency means nothing. Click a cell to read its texts."
)
TRADE = (
    "Every cell once more: fluency to the right, effect upwards. What lies up and right of the "
    "grey crosses (random directions) is worth something."
)
TEACH = (
    "The direction is added at six layers and six strengths, beside random directions of equal "
    "length; the texts are written and judged. Some seconds on the embedded model, minutes on a "
    "large one."
)
WORDS = "Words that show it (else a probe judges)"
WORDS_HELP = (
    "Separated by commas. A text has the concept when one of them stands in it as a whole word: "
    "simple, and independent of every probe. Left empty, a probe of another layer judges, or of "
    "model B where there is one."
)


def question(model: ModelRef, concept: Concept) -> Request:
    work = state.workspace()
    method = work.choice("method")
    words = tuple(word.strip() for word in work.choice("judged").split(",") if word.strip())
    more: dict[str, Any] = {"words": words} if words else {}
    if not words and len(work.models) > 1:
        more["other"] = str(work.models[1])
    return ask(
        "guide", model, concept=option(concept), position=work.choice("read"), seed=work.seed,
        method=method if method in BUILT else "difference", **more,
    )  # fmt: skip


def draw(model: ModelRef, concept: Concept, missing: str, grace: float) -> None:
    """The map, the trade-off and the texts of the chosen cell."""
    if missing:
        sentence(missing, "info")
        return
    state.chosen(st.text_input, WORDS, name="judged", help=WORDS_HELP, placeholder="he, his, him")
    if state.workspace().choice("method") not in BUILT:
        st.caption("Guided here by the difference of means.")
    request = question(model, concept)
    found = begun(request, key="guide", label="Write and judge texts", teach=TEACH, grace=grace)
    if not isinstance(found, GuideResult):
        return
    row, column = _cell(found)
    left, right = sides.columns([3, 2], gap="medium")
    with left:
        panel(
            found,
            drawn(drawing.figure, found),
            key="guide",
            title="Does the text follow, and is it still text?",
            help=HELP,
            caption=drawing.caption(found),
            picked=(row, column),
            on_pick=lambda cell: _choose(found, int(cell[0]), int(cell[1])),
            python=as_code(request),
        )
    with right, framed("Concept against fluency", TRADE, key="tradeoff"):
        pickable_chart(drawn(drawing.tradeoff, found), key="tradeoff_chart",
                       label="Concept against fluency", on_pick=None)  # fmt: skip
    _texts(found, row, column)


def _cell(found: GuideResult) -> tuple[int, int]:
    kept = st.session_state.get(sides.key("_guide_cell"))
    rows, columns = found.score.shape
    if kept and kept[0] == found.concept and kept[1] < rows and kept[2] < columns:
        return kept[1], kept[2]
    return found.best


def _choose(found: GuideResult, row: int, column: int) -> None:
    st.session_state[sides.key("_guide_cell")] = (found.concept, row, column)


def _texts(found: GuideResult, row: int, column: int) -> None:
    """Each prompt continued without guidance, guided, and along a random direction."""
    layer, alpha = int(found.layer[row]), float(found.alpha[column])
    place = f"layer {layer}, strength {number(alpha, sign=True)}"
    clean = int((found.alpha == 0).argmax())
    with st.container(border=True, key=sides.key("guide_texts")):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.html(small(f"Texts at {place}", strong=True), width="stretch")
            add = Add(
                Site(layer, "resid_post"),
                tuple(short(found.direction[row])),
                float(f"{alpha * float(found.mean_norm[row]):.6g}"),
            )
            if sides.first():
                st.button(
                    "+ push like this", key="guide_tray", disabled=not alpha,
                    help="Put this layer and strength into the clamps.", on_click=state.attempt,
                    args=(tray.add, add, float(found.mean_norm[row])),
                )  # fmt: skip
        columns = sides.columns(3, gap="medium")
        for box, words, texts in zip(
            columns,
            ("unguided", f"guided [{place}]", "random direction, equal length"),
            (found.texts[row][clean], found.texts[row][column], found.control_texts[row][column]),
            strict=True,
        ):
            with box:
                st.html(small(words, quiet=True))
                for prompt, text in zip(found.prompts, texts, strict=True):
                    st.html(small(prompt, quiet=True) + small(text or "(it ends at once)"))
