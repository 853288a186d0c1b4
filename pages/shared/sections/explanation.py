"""A typed explanation of the chosen neuron, tested: what it fires on, and what its value causes."""

from typing import Any

import streamlit as st

from core.figures import explain_test as drawing
from core.figures.wording import number
from core.results.explain_test import ExplainTest
from core.spec.claims import WordSet, word_set, word_sets
from core.spec.request import Request, ask
from core.spec.site import Site, site
from pages.shared import sides, state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "Left: half of the strings choose threshold and sign, the other half is scored; grey is what "
    "other neurons of the layer reach the same way, the cross this neuron with the membership "
    "shuffled. Right: the neuron's value from one prompt is put into another; how often the answer "
    "turns to the other prompt's, and how far its logit difference moves. Everything the layer's "
    "MLP writes and the whole stream are the ceilings, random neurons the floor. A neuron can fire "
    "on exactly these strings and cause nothing."
)
TEACH = (
    "Say what this neuron is about: choose a built-in set such as “day”, or type a name of your "
    "own and give its strings. Then the claim is tested, not believed."
)
OWN = "Strings of your own are needed: at least 4 of the concept and 4 near misses that are not."
SHOWS = {"score": "scores", "strings": "string by string"}
FIELDS = {
    "members": "Strings of the concept",
    "others": "Near misses that are none",
    "carriers": "Sentences, {} where the string goes",
    "frames": "Prompts that go on behind the string",
}
_HELD = "_claims"  # explanation: its texts, as this tab has changed them


def question(view: View, at: Site) -> Request | None:
    """The test of what is claimed; None without a claim, or without strings for it."""
    claim = state.workspace().choice("claim").strip()
    if not claim:
        return None
    own = _texts(claim)
    if not own["members"] or not own["others"]:
        return None
    options: dict[str, Any] = {name: tuple(lines) for name, lines in own.items() if lines}
    return ask("explain_test", view.model, at=str(at), explanation=claim, seed=view.seed, **options)


def draw(view: View, at: Site, grace: float) -> None:
    """The claim and its strings, then the scorecard."""
    left, right = sides.columns([2, 5], gap="medium")
    with left:
        _inputs()
    with right:
        _tested(view, at, grace)


def _tested(view: View, at: Site, grace: float) -> None:
    request = question(view, at)
    if request is None:
        sentence(OWN if state.workspace().choice("claim").strip() else TEACH, "info")
        return
    result = answer(request, key="claim", grace=grace, height=380)
    if not isinstance(result, ExplainTest):
        return
    show = state.chosen(
        st.segmented_control, "Show", list(SHOWS), name="claimed",
        format_func=SHOWS.__getitem__, label_visibility="collapsed",
    )  # fmt: skip
    if drawing.failed(result):
        sentence("The claim fails: F1 on held-out strings is below 0.5.", "warning")
    panel(
        result,
        drawn(drawing.figure, result, view=show),
        key="claim",
        title=f"Does {result.site} fire on what is claimed, and does that matter?",
        help=HELP,
        caption=drawing.caption(result),
        grid=False,
        python=as_code(request),
    )
    _mistakes(result)


def _mistakes(result: ExplainTest) -> None:
    """What is wrong with the claim, and which neurons of the layer fit it better."""
    for name, words in (("False alarms", result.false_alarms), ("Misses", result.misses)):
        st.html(small(f"{name}: {', '.join(words[:12]) or 'none'}"))
    with st.container(horizontal=True, vertical_alignment="center"):
        st.html(small("Neurons of this layer that separate the strings best:"), width="content")
        for name, auc in zip(result.better, result.better_auc.tolist(), strict=True):
            place = site(name)
            st.button(
                f"`{name}` AUC {number(auc)}",
                key=sides.key(f"better_{place.unit}"),
                type="tertiary",
                on_click=sides.bound(_select),
                args=(place,),
            )


def _select(place: Site) -> None:
    state.select(layer=place.layer, neuron=place.unit)


def _inputs() -> None:
    """What is claimed: a name, and the texts that say what it means."""
    if not sides.first():
        return
    claim = state.workspace().choice("claim")
    names = [known.name for known in word_sets()]
    state.field(
        st.selectbox, "This neuron fires on", names if claim in ("", *names) else [*names, claim],
        key="claim_name", value=claim or None, then=_take, accept_new_options=True,
        index=None, placeholder="day, animal, country … or type your own",
    )  # fmt: skip
    if not claim:
        return
    own = _texts(claim)
    with st.form("claim_form", border=True):
        for name, label in FIELDS.items():
            st.text_area(label, key=f"claim_{name}_{claim}", value="\n".join(own[name]), height=100)
        st.form_submit_button("Test these", on_click=_keep, args=(claim,))
    st.caption("One a line. Commas separate strings as well.")


def _take(claim: str | None) -> None:
    state.attempt(state.choose, "claim", (claim or "").strip())


def _keep(claim: str) -> None:
    """Take the texts of the form as what the claim means in this tab."""
    held = st.session_state.setdefault(_HELD, {})
    held[claim] = {
        name: _lines(str(st.session_state[f"claim_{name}_{claim}"]), name) for name in FIELDS
    }


def _lines(text: str, name: str) -> list[str]:
    if name in ("members", "others"):
        text = text.replace(",", "\n")
    return [line.strip() for line in text.splitlines() if line.strip()]


def _texts(claim: str) -> dict[str, list[str]]:
    """The texts of a claim: as this tab has changed them, else those built in."""
    held: dict[str, dict[str, list[str]]] = st.session_state.get(_HELD, {})
    if claim in held:
        return held[claim]
    known = word_set(claim) or WordSet(claim, (), (), (), (), ())
    return {name: list(getattr(known, name)) for name in FIELDS}
