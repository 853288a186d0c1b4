"""The labelled texts a page is about: built in, a table of one's own, or the sides of a concept."""

import os
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import streamlit as st

from core import labelled
from core.figures.wording import count
from core.home import hosted
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, plain, remarks
from pages.shared import state
from pages.shared.notices import sentence, shown_text, small
from pages.shared.popover import popover
from pages.shared.sections import concept

CONCEPT, PASTED = "concept", "pasted"
HELP = (
    "Texts of two or more classes. Built in are sets planted in the embedded models, easy to hard, "
    "and sets for any model; a concept, or two lists of your own, under “a concept”. "
)
HELP_FILE = (
    HELP + "Or type the path of a .csv, .tsv or .jsonl file with columns text, label and, where "
    "texts belong together, group."
)
GONE = "The pasted table was left in another tab; paste it again under Own table."
PASTE = (
    "CSV with a first line that names the columns, or one JSON object a line. Columns text and "
    "label, and group where texts belong together (the same subject, the same pattern): a group "
    "is held out as a whole, so that no probe can score by knowing it again."
)
LONGEST = 2_000_000  # characters of a pasted table
SHOWN = 200  # texts that are listed
_HELD, _SHUT = "_pasted_table", "_table_shut"


@dataclass(frozen=True, slots=True)
class Given:
    """A labelled set as it goes into questions."""

    one: LabelledSet | None  # None for a concept, which is shown as one
    option: tuple[str, Any]  # name and value of the option
    python: tuple[str, Any]  # the same as a notebook says it


def draw() -> Given | None:
    """Choose or paste a set; None, and a sentence, as long as there is none."""
    held = st.session_state.get(_HELD)
    value = state.workspace().choice("labelled")
    options = [*labelled.built_in(), CONCEPT, *([PASTED] if held else [])]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.selectbox, "Labelled texts", options if value in options else [*options, value],
            key="labelled", value=value, then=_take, format_func=_words,
            accept_new_options=not hosted(), help=HELP if hosted() else HELP_FILE, width=460,
        )  # fmt: skip
        shut = st.session_state.get(_SHUT, 0)
        popover("Own table", _form, icon=":material/table:", key=f"own_table_{shut}")
        found = None
        try:
            found = given(value) if value != CONCEPT else None
        except Error as fault:
            sentence(str(fault))
        if found is not None and found.one is not None:
            popover("Its texts", _texts, found.one, icon=":material/list:", key="set_texts")
    if value == CONCEPT:
        found = _of_concept()
    if found is not None and found.one is not None:
        st.html(small(about(found.one), quiet=True))
    return found


def given(name: str) -> Given:
    """The set of this name, as a question has it. Raises `Error` with a sentence."""
    if name in labelled.built_in():
        return Given(labelled.named(name), ("labelled", name), ("labelled", name))
    if name == PASTED:
        held = st.session_state.get(_HELD)
        if held is None:
            raise Error(GONE)
        return Given(held, ("labelled", plain(held)), ("labelled", plain(held)))
    if Path(name).suffix.lower() not in labelled.SUFFIXES:
        labelled.named(name)  # says what there is
    place = os.path.expanduser(name)
    stamp = os.stat(place) if not hosted() and os.path.isfile(place) else None
    one = _read(name, (stamp.st_mtime_ns, stamp.st_size) if stamp else None)
    # What the file holds now is asked about, not what stood under its name before.
    return Given(one, ("labelled", plain(one)), ("labelled", name))


@lru_cache(maxsize=4)
def _read(path: str, stamp: tuple[int, int] | None) -> LabelledSet:
    del stamp
    return labelled.read_file(path)


def about(one: LabelledSet) -> str:
    """What the set is, how many texts of each class, its groups and where it is from."""
    sizes = ", ".join(
        f"{n:,} {shown_text(name, 40)}" for name, n in zip(one.classes, one.counts, strict=True)
    )
    groups = f" in {count(len(set(one.groups)), 'group')}" if one.groups else ""
    parts = [
        one.about.rstrip("."),
        f"{count(len(one.texts), 'text')}{groups}: {sizes}",
        f"Level: {one.level}" if one.level else "",
        f"{one.source.rstrip('.')} ({one.licence})" if one.licence else one.source.rstrip("."),
    ]
    return ". ".join(part for part in parts if part) + "."


def _words(name: str) -> str:
    """A set in the list of sets."""
    entry = labelled.built_in().get(name)
    if entry is not None:
        level = f", {entry.level}" if entry.level else ""
        return f"{name} ({entry.topic}{level}; {entry.n:,})"
    return {CONCEPT: "a concept, or two lists of texts", PASTED: "pasted table"}.get(name, name)


def _of_concept() -> Given | None:
    meant = concept.draw()
    if meant is None:
        return None
    option = ("concept", concept.option(meant))
    return Given(None, option, option)


def _take(name: str | None) -> None:
    if name and name.strip():
        state.attempt(partial(state.choose, "labelled", name.strip()))


def _form() -> None:
    with st.form("table_form", border=False):
        st.html(small(PASTE, quiet=True))
        st.text_area("Table", key="table_text", height=220, placeholder="text,label,group")
        st.form_submit_button("Use this table", on_click=state.attempt, args=(_paste,))


def _paste() -> None:
    """Make the pasted table the set. Raises `Error` with a sentence."""
    content = str(st.session_state["table_text"])
    if len(content) > LONGEST:
        raise Error(f"the table has {len(content):,} characters; at most {LONGEST:,} are read")
    kind = "jsonl" if content.lstrip().startswith("{") else "csv"
    hold(labelled.read_table(content, kind, name="pasted table"))
    st.session_state[_SHUT] = st.session_state.get(_SHUT, 0) + 1


def hold(one: LabelledSet) -> None:
    """Make a set that has no name or path of its own the chosen one, for this tab."""
    st.session_state[_HELD] = one
    state.choose("labelled", PASTED)


def _texts(one: LabelledSet) -> None:
    for said in remarks(one):
        sentence(said, "info")
    table = {
        "text": [shown_text(text, 300) for text in one.texts[:SHOWN]],
        "class": [shown_text(one.classes[label], 40) for label in one.labels[:SHOWN]],
    }
    if one.groups:
        table["group"] = [shown_text(group, 60) for group in one.groups[:SHOWN]]
    st.dataframe(table, hide_index=True, height=360)
    if len(one.texts) > SHOWN:
        st.caption(f"the first {SHOWN} of {count(len(one.texts), 'text')}")
