"""The set of concepts a page is about: built in, saved, typed, or from a file."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

import streamlit as st

from core import concept_sets, own_sets
from core.figures.wording import count
from core.home import hosted
from core.spec.concept_set import ConceptSet, plain
from core.spec.errors import Error
from core.spec.request import ModelRef
from core.spec.set_text import read_text
from pages.shared import state
from pages.shared.notices import sentence, shown_text, small
from pages.shared.popover import popover

OWN = ""  # the choice that means the visitor's own set
ANY = ("categories", "pairs", "cycle", "line")
# The set a question begins with, for the embedded models and for any other.
FIRST = {
    "categories": ("embedded: kinds of things", "categories"),
    "pairs": ("embedded: relations", "contrasts"),
    "cycle": ("embedded: days", "weekdays"),
    "line": ("embedded: numbers", "years"),
}
KINDS = {
    "": "as it is written",
    "categories": "groups of words",
    "pairs": "pairs",
    "cycle": "words in a circle",
    "line": "words in a row",
}
HELP = (
    "Groups of words, pairs or an order. Built in are what is planted in the embedded models, "
    "everyday categories, contrasts and relations, WordNet, and labelled texts. Write your own "
    "under “Own words”, or lasso points in the map and name them."
)
SYNTAX = """mammal: dog, cat, horse
bird: robin, owl, crow

or pairs:
king - queen
man - woman"""
TEACH = (
    "One group a line: name, colon, words. “animal > bird: robin” puts bird below animal. Pairs "
    "stand with a dash between them. A line that ends with {} is a context the words stand in. A "
    "CSV with a first line that names its columns (word, group, parent; or base and target) works "
    "as well."
)
READS = {"last": "last piece", "mean": "mean of the pieces"}
PREPARED = {
    "zscore": "centred and scaled",
    "centre": "centred",
    "raw": "raw",
    "unit": "centred, length 1",
    "drop-1": "without the first component",
    "drop-3": "without the first three",
}
LONGEST = 500_000  # characters
SHOWN = 400  # words that are listed
_SHUT = "_own_set_shut"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A set of concepts as it goes into questions."""

    one: ConceptSet
    option: Any  # its name, or the set as plain data

    def options(self) -> dict[str, Any]:
        """The set and how its words are read, as options of an analysis."""
        work = state.workspace()
        found: dict[str, Any] = {"concepts": self.option}
        if work.choice("stands") != "last":
            found["read"] = work.choice("stands")
        if contexts := written(work.choice("contexts")):
            found["contexts"] = contexts
        return found


def written(text: str) -> tuple[str, ...]:
    """The contexts a visitor wrote, set apart by bars."""
    return tuple(part.strip() for part in text.split("|") if part.strip())


def draw(model: ModelRef, kinds: tuple[str, ...] = ANY, *, read: bool = True) -> Chosen | None:
    """Choose a set of one of these kinds; None, and a sentence, as long as there is none."""
    own = state.workspace().own_set
    names = _names(kinds)
    fits = own is not None and own.kind in kinds
    value = state.workspace().choice("concepts")
    if (value == OWN and not fits) or (value != OWN and value not in names):
        value = _first(model, kinds, names)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.field(
            st.selectbox, "Concepts", [*names, *([OWN] if fits else [])],
            key=f"concepts_{'_'.join(kinds)}", value=value,
            then=partial(state.choose, "concepts"), help=HELP, width=340,
            format_func=partial(_words, own.name if own else ""),
        )  # fmt: skip
        if read:
            _reading()
        shut = st.session_state.get(_SHUT, 0)
        popover("Own words", _form, own, icon=":material/edit:", key=f"own_set_{shut}")
        found = None
        try:
            found = chosen(value)
            popover("Its words", _listed, found.one, icon=":material/list:", key="set_words")
        except Error as fault:
            sentence(str(fault))
    if found is not None:
        st.html(small(about(found.one), quiet=True))
    return found


def chosen(name: str) -> Chosen:
    """The set of this name, as a question has it. Raises `Error` with a sentence."""
    if name == OWN:
        own = state.workspace().own_set
        if own is None:
            raise Error("Write words under “Own words” first.")
        return Chosen(own, plain(own))
    one = concept_sets.named(name)
    # A saved set is asked about by its content: its name may stand for another version later.
    return Chosen(one, name if name in concept_sets.built_in() else plain(one))


def take(one: ConceptSet) -> None:
    """Make a set of the visitor's own the chosen one."""
    work = state.workspace().with_choice("concepts", OWN)
    state.set_workspace(work)
    state.change(own_set=one)


def about(one: ConceptSet) -> str:
    """What the set is, how large, and where it is from."""
    groups = [group for group in one.groups if group.items]
    sizes = f"{count(one.n_items, 'word')} in {count(len(groups), 'group')}"
    if one.kind == "pairs":
        sizes = f"{count(sum(1 for _ in one.pairs()), 'pair')} in {count(len(groups), 'group')}"
    elif one.kind in ("cycle", "line"):
        sizes = f"{count(one.n_items, 'word')} in order"
    source = f"{one.source.rstrip('.')} ({one.licence})" if one.licence else one.source.rstrip(".")
    return ". ".join(part for part in (one.about.rstrip("."), sizes, source) if part) + "."


def _names(kinds: tuple[str, ...]) -> list[str]:
    """Built-in and saved sets of these kinds."""
    built_in = [one.name for one in concept_sets.built_in().values() if one.kind in kinds]
    saved = []
    for name in own_sets.saved():
        try:
            one = own_sets.newest(name)
        except Error:
            continue  # damaged on disk: said when it is asked for by name
        if one is not None and one.kind in kinds and name not in built_in:
            saved.append(name)
    return [*saved, *built_in]


def _first(model: ModelRef, kinds: tuple[str, ...], names: list[str]) -> str:
    planted = str(model).startswith("embedded")
    wanted = FIRST[kinds[0]][0 if planted else 1]
    return wanted if wanted in names else names[0]


def _words(own: str, name: str) -> str:
    """A set in the list; `own` is the name of the visitor's."""
    if name == OWN:
        return f"{own} (yours)"
    entry = concept_sets.built_in().get(name)
    return f"{name} ({entry.n_items:,})" if entry else f"{name} (saved)"


def _reading() -> None:
    """Which state of a word counts, in what contexts."""
    state.chosen(
        st.selectbox, "State of a word", list(READS), name="stands", width=170,
        format_func=READS.__getitem__,
        help="A word of several tokens is read at its last piece, which has seen the others, or "
        "as the mean of its pieces. A word always stands at the end of a context: at the first "
        "place of a text every state is that of the attention sink.",
    )  # fmt: skip
    state.chosen(
        st.text_input, "Contexts", name="contexts", width=230, placeholder="the set's own",
        help="What stands before a word, {} for the word, bars between several: “The word is {} | "
        "I see {}”. States are averaged over them. Empty: the contexts of the set, else four "
        "neutral ones.",
    )  # fmt: skip


def _form(own: ConceptSet | None) -> None:
    with st.form("own_set_form", border=False):
        st.html(small(TEACH, quiet=True))
        st.text_input("Name", own.name if own else "", key="set_name", max_chars=100)
        st.text_area("Words", key="set_text", height=220, placeholder=SYNTAX)
        st.selectbox("Meant as", list(KINDS), key="set_kind", format_func=KINDS.__getitem__)
        st.file_uploader(
            "or a file", type=["csv", "tsv", "txt", "json"], key="set_file", max_upload_size=20
        )
        st.form_submit_button("Use these", on_click=state.attempt, args=(_take_written,))


def _take_written() -> None:
    """Make what was typed or uploaded the set. Raises `Error` with a sentence."""
    name = str(st.session_state["set_name"]).strip() or "own words"
    content, ending = str(st.session_state["set_text"]), ""
    if not content.strip() and (file := st.session_state.get("set_file")) is not None:
        try:
            content = file.getvalue().decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Error(f"{file.name[:60]!r} is not UTF-8 text; save it as UTF-8") from None
        ending = file.name.rpartition(".")[2].lower()
    if not content.strip():
        raise Error("Write at least two words, or give a file.")
    if len(content) > LONGEST:
        raise Error(f"the text has {len(content):,} characters; at most {LONGEST:,} are read")
    take(_read(content, ending, name, str(st.session_state["set_kind"])))
    st.session_state[_SHUT] = st.session_state.get(_SHUT, 0) + 1


def _read(content: str, ending: str, name: str, kind: str) -> ConceptSet:
    if ending == "json" or content.lstrip().startswith("{"):
        return own_sets.imported(content)
    first = content.lstrip().partition("\n")[0].lower()
    named = {cell.strip().strip('"') for cell in first.replace(";", ",").split(",")}
    table = named & {*own_sets.ITEM_NAMES, *own_sets.GROUP_NAMES} and ":" not in first
    if ending in ("csv", "tsv") or (table and len(named) > 1):
        return own_sets.read_table(content, name)
    return read_text(content, name, kind)


def _listed(one: ConceptSet) -> None:
    """The words, and the ways to keep them."""
    rows = []
    for group in one.groups:
        for number, item in enumerate(group.items):
            row = {"group": shown_text(group.name, 40), "word": shown_text(item, 80)}
            if group.targets:
                row["with"] = shown_text(group.targets[number], 80)
            if group.parent:
                row["below"] = shown_text(group.parent, 40)
            rows.append(row)
    st.dataframe(rows[:SHOWN], hide_index=True, height=320)
    if len(rows) > SHOWN:
        st.caption(f"the first {SHOWN} of {len(rows):,}")
    if one.contexts:
        st.caption("In the contexts " + ", ".join(shown_text(c, 60) for c in one.contexts[:8]))
    with st.container(horizontal=True):
        st.download_button("CSV", own_sets.as_csv(one), f"{_file(one)}.csv", "text/csv")
        st.download_button("JSON", own_sets.exported(one), f"{_file(one)}.json", "application/json")
        if not hosted() and one.name not in concept_sets.built_in():
            st.button("Save", on_click=state.attempt, args=(_save, one),
                      help="A version under its name on this computer; it stands in the list "
                      "from then on.")  # fmt: skip
    versions = own_sets.versions(one.name)
    if versions:
        st.caption(f"saved in {count(len(versions), 'version')}, newest {versions[-1].key[:12]}")


def _save(one: ConceptSet) -> None:
    made = concept_sets.save(one)
    state.say(f"Saved as {made.name} ({made.key[:12]}).")


def _file(one: ConceptSet) -> str:
    """A harmless file name."""
    return "".join(sign if sign.isalnum() else "-" for sign in one.name)[:60] or "concepts"


def as_python(given: Chosen) -> str:
    """The set as a notebook says it."""
    if isinstance(given.option, str):
        return json.dumps(given.option)
    return f"api.read_concept_set({json.dumps(_file(given.one) + '.json')})"
