"""The concept a page is about: one that comes along, or the visitor's own texts."""

import streamlit as st

from core import concepts
from core.figures.wording import count
from core.spec.concept import MAX_TEXTS, Concept, lines, plain
from core.spec.errors import Error
from pages.shared import state
from pages.shared.notices import sentence, shown_text
from pages.shared.popover import popover

OWN = ""  # the choice that means the visitor's own texts
_SHUT = "_own_shut"
SHOWN = 200  # texts of a side that are listed
HELP = (
    "What the direction is for. Built-in concepts are pairs of short texts that differ in one "
    "thing, or the words planted in an embedded model. Or write your own."
)
TEACH = (
    "Write texts that show the concept and texts that do not, one a line: at least two a side, "
    "better thirty. As alike as possible otherwise; line by line in pairs where you can."
)


def named() -> dict[str, Concept]:
    """Every built-in concept by name."""
    return dict(concepts.built_in())


def draw() -> Concept | None:
    """Choose or write a concept; None as long as there is none."""
    known = named()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = state.chosen(
            st.selectbox, "Concept", [*known, OWN], name="concept", format_func=_words, help=HELP
        )
        own = state.workspace().own
        # A new version of the popover is a closed one.
        shut = st.session_state.get(_SHUT, 0)
        popover("Write your own", _form, own, icon=":material/edit:", key=f"own_concept_{shut}")
        found = own if name == OWN else known[name]
        if found is not None:
            popover("Its texts", _texts, found, icon=":material/list:", key="concept_texts")
    if found is None:
        sentence(TEACH, "info")
    else:
        st.caption(_about(found))
    return found


def option(concept: Concept) -> object:
    """The concept as it goes into questions: its name when it is built in, else all of it."""
    return concept.name if named().get(concept.name) == concept else plain(concept)


def _words(name: str) -> str:
    return name if name != OWN else "your own texts"


def _about(concept: Concept) -> str:
    sides = f"{len(concept.positive):,} against "
    sides += f"{len(concept.negative):,}" if concept.negative else "text of any kind"
    paired = ", paired" if concept.paired else ""
    about = f"{shown_text(concept.about or concept.name, 200)}; "
    return _plain(f"{about}{sides}{paired}. {shown_text(concept.source, 200)}")


def _plain(text: str) -> str:
    """Nothing in it is read as Markdown."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]()#+-.!|<>~$:" else sign for sign in text)


def _texts(concept: Concept) -> None:
    left, right = st.columns(2)
    for column, side, texts in (
        (left, "Positive", concept.positive),
        (right, "Negative", concept.negative),
    ):
        with column:
            st.html(f"<b>{side}</b>")
            st.dataframe(
                {"text": [shown_text(text, 300) for text in texts[:SHOWN]]},
                hide_index=True,
                height=320,
            )
            if len(texts) > SHOWN:
                st.caption(f"the first {SHOWN} of {count(len(texts), 'text')}")


def _form(own: Concept | None) -> None:
    with st.form("own_form", border=False):
        st.text_input("Name", own.name if own else "", key="own_name", max_chars=100)
        left, right = st.columns(2)
        with left:
            st.text_area(
                "Texts that have it, one a line", "\n".join(own.positive if own else ()),
                key="own_positive", height=200,
            )  # fmt: skip
        with right:
            st.text_area(
                "Texts that have not; none: text of any kind",
                "\n".join(own.negative if own else ()), key="own_negative", height=200,
            )  # fmt: skip
        st.checkbox("Line by line they are pairs", bool(own and own.paired), key="own_paired")
        st.form_submit_button("Use these texts", on_click=state.attempt, args=(_take,))


def _take() -> None:
    """Make the texts of the form the concept. Raises `Error` with a sentence."""
    texts = {side: lines(st.session_state[f"own_{side}"]) for side in ("positive", "negative")}
    if max(map(len, texts.values())) > MAX_TEXTS:
        raise Error(f"a concept holds at most {MAX_TEXTS:,} texts a side")
    name = str(st.session_state["own_name"]).strip() or "my concept"
    paired = bool(st.session_state["own_paired"]) and bool(texts["negative"])
    made = Concept(name, texts["positive"], texts["negative"], paired=paired)
    state.change(own=made)
    state.set_workspace(state.workspace().with_choice("concept", OWN))
    st.session_state[_SHUT] = st.session_state.get(_SHUT, 0) + 1
