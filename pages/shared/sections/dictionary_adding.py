"""Add a dictionary by its path, or one that is there once more, read otherwise."""

from typing import Any

import streamlit as st

from core.home import hosted
from core.results.add_dictionary import AddDictionary
from core.spec.errors import Error
from core.spec.request import ModelRef, Request, ask
from pages.shared import state
from pages.shared.notices import small
from pages.shared.popover import popover
from pages.shared.sections import once

KEY = "adding"
PATH_HELP = (
    "A folder or a file on the machine Eidoscope runs on: SAELens, Gemma Scope, sparsify, "
    "dictionary_learning, Llama Scope and others. Nothing in it is run, nothing is copied."
)
SITE_HELP = "Where it reads, such as L5.resid_post, when its files do not say so."


def draw(model: ModelRef) -> None:
    """The button and its form; a server that hosts visitors has none."""
    if not hosted():
        popover("Add", _form, model, icon=":material/add:", key=f"add_book_{once.begun(KEY)}")


def watched(grace: float) -> None:
    """What is being added; once it is there it is the chosen one."""
    found = once.watched(KEY, grace)
    if isinstance(found, AddDictionary):
        state.choose("dictionary", found.dictionary)
        state.select(feature=None)


def again(model: ModelRef, of: str, name: str, reading: dict[str, Any]) -> None:
    """Keep the dictionary `of` under a new name too, read otherwise."""
    _begin(ask("add_dictionary", model, again=of, name=name, **reading))


def free(name: str, taken: tuple[str, ...]) -> str:
    """`name` with the first number behind it that nobody has."""
    return next(one for n in range(2, len(taken) + 3) if (one := f"{name}-{n}") not in taken)


def _form(model: ModelRef) -> None:
    with st.form("add_book_form", border=False):
        st.text_input("Path", key="add_path", help=PATH_HELP, placeholder="/data/sae/layer_12")
        st.text_input("Name", key="add_name", max_chars=100, placeholder="of the folder")
        st.text_input("Site", key="add_site", help=SITE_HELP, placeholder="as its files say")
        st.form_submit_button("Add", on_click=state.attempt, args=(_add, model))
    st.html(small("It stays known for this model until its files change.", quiet=True))


def _add(model: ModelRef) -> None:
    path, name, site = (
        str(st.session_state.get(key, "")).strip() for key in ("add_path", "add_name", "add_site")
    )
    if not path:
        raise Error("write the path of a dictionary's folder or file")
    given = {"name": name, "site": site}
    said: dict[str, Any] = {key: value for key, value in given.items() if value}
    _begin(ask("add_dictionary", model, path=path, **said))


def _begin(request: Request) -> None:
    once.begin(KEY, request, ("books",))
