"""What the visitor has chosen: one `Workspace` in the session, and the address that says it.

The address is the truth on arrival. It is written once, at the end of a full run, so that
every change is one step of the browser's history, and Back and Forward walk through them.
Plain objects in `st.session_state` survive everything; widgets only show and change them.
"""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import streamlit as st

from core.spec import links
from core.spec.errors import Error
from core.spec.workspace import Workspace
from pages.shared import sides

# Names in the session. A widget's key never begins with an underscore.
_WORK = "_workspace"
_OWN = "_own_addresses"  # (page, query) pairs that `save` wrote
_TOUCHED = "_touched"  # a callback or the page changed the workspace since the last load
_NOTICE = "_notice"
_KEPT = "_kept"
_STRAYS = "_strays"  # letter: (unit selected in A, kind, place) of a unit without a counterpart
_SHOWN = "_shown"  # key of a field: (its version, the value it shows, the one it began with)
_NOTHING = object()
KEPT_STATES = 20


def workspace() -> Workspace:
    """The one workspace of this visitor's tab, as the column that is drawn sees it."""
    return sides.here().seen(_whole())


def _whole() -> Workspace:
    work: Workspace = st.session_state.setdefault(_WORK, Workspace())
    return work


def set_workspace(work: Workspace) -> None:
    """Put another workspace in its place. Whatever was said about the old one is withdrawn."""
    _put(work)
    st.session_state.pop(_NOTICE, None)


def _put(work: Workspace, given: tuple[str, ...] = ()) -> None:
    side, whole = sides.here(), _whole()
    st.session_state[_WORK] = side.told(whole, work, given)
    if lost := side.stray(whole, work, given):
        strays = st.session_state.setdefault(_STRAYS, {})
        strays[side.letter] = (_of_a(lost[0]), *lost)
    st.session_state[_TOUCHED] = True


def stray(letter: str) -> tuple[str, tuple[int, int]] | None:
    """Kind and place of a unit without a counterpart in A, chosen last in this model's column."""
    found = st.session_state.get(_STRAYS, {}).get(letter)
    if found is None or found[0] != _of_a(found[1]):
        return None
    return found[1], found[2]


def _of_a(kind: str) -> tuple[int, int | None]:
    chosen = _whole().selection
    return chosen.layer, getattr(chosen, kind)


def change(**fields: Any) -> None:
    """Change fields of the workspace: `change(prompt="...")`."""
    set_workspace(replace(workspace(), **fields))


def select(**fields: Any) -> None:
    """Change what is selected, on every page at once: `select(layer=3, head=1)`."""
    work = workspace()
    _put(replace(work, selection=replace(work.selection, **fields)), tuple(fields))
    st.session_state.pop(_NOTICE, None)


def say(sentence: str) -> None:
    """Show one sentence at the top of the page until something is changed."""
    st.session_state[_NOTICE] = sentence


def notice() -> str:
    """The sentence to show, "" when there is none."""
    return str(st.session_state.get(_NOTICE, ""))


def attempt(step: Callable[..., None], *args: Any) -> None:
    """Do what a widget asks for; what cannot be done becomes a sentence and changes nothing."""
    try:
        step(*args)
    except Error as fault:
        say(str(fault))


def field(
    widget: Callable[..., Any],
    label: str,
    *args: Any,
    key: str,
    value: Any,
    then: Callable[[Any], None],
    width: int | Literal["stretch", "content"] = "stretch",
    **options: Any,
) -> None:
    """Draw a widget that shows `value` and does not own it; `then(new)` when a person changes it.

    A value put into a widget reaches the browser a moment later, and whatever the browser sends
    in that moment (a panel that polls is enough) still holds the old value, as if a person had
    set it. So a widget that has to show something else is drawn as a new one, under the next
    version of its key; the old one's last words speak of a widget that is gone. The box around
    it keeps the class `st-key-<key>`.

    The value is what the new widget begins with, and every run says so again: of a run that is
    cut short the browser may never hear, and would then send what it had put there itself.

    Beside model A nothing is drawn: what is set stands once.
    """
    if not sides.first():
        return
    shown: dict[str, tuple[int, Any, Any]] = st.session_state.setdefault(_SHOWN, {})
    version, _, first = shown.get(key, (-1, None, None))
    if st.session_state.get(f"{key}__{version}", _NOTHING) != value:
        version, first = version + 1, value
    shown[key] = (version, value, first)
    options |= _beginning(widget.__name__, args, first)
    with st.container(key=key, width=width):
        widget(
            label, *args, key=f"{key}__{version}", on_change=_tell, args=(key, version, then),
            **options,
        )  # fmt: skip


def _beginning(widget: str, args: tuple[Any, ...], first: Any) -> dict[str, Any]:
    """The option that tells this kind of widget what it begins with."""
    if widget == "selectbox":
        choices = list(args[0])
        return {"index": choices.index(first) if first in choices else None}
    several = ("segmented_control", "multiselect")
    return {"default" if widget in several else "value": first}


def _tell(key: str, version: int, then: Callable[[Any], None]) -> None:
    # Streamlit calls back for a widget that is gone, and for one that came back, as well.
    now, value, _ = st.session_state[_SHOWN][key]
    told = st.session_state[f"{key}__{version}"]
    if version == now and told != value:
        then(told)


def bound(
    widget: Callable[..., Any], label: str, *args: Any, name: str, key: str = "", **options: Any
) -> Any:
    """Show the workspace field `name` ("prompt", "selection.layer") and write changes back.

    Returns the value shown. A value outside `min_value` and `max_value`, from a link or
    another model, is moved to the nearest allowed one, in the workspace too.
    """
    value = found = _read(name)
    for option, bounding in (("min_value", max), ("max_value", min)):
        if options.get(option) is not None:
            value = bounding(options[option], value)
    if value != found and sides.first():
        _put(_with(name, value))
    key = key or f"work_{name.replace('.', '_')}"
    field(widget, label, *args, key=key, value=value, then=partial(_take, name), **options)
    return value


def _read(name: str) -> Any:
    group, _, rest = name.rpartition(".")
    return getattr(workspace().selection if group else workspace(), rest)


def _with(name: str, value: Any) -> Workspace:
    work = workspace()
    group, _, rest = name.rpartition(".")
    if group:
        return replace(work, selection=replace(work.selection, **{rest: value}))
    return replace(work, **{rest: value})


def _take(name: str, value: Any) -> None:
    set_workspace(_with(name, value))


def chosen(widget: Callable[..., Any], label: str, *args: Any, name: str, **options: Any) -> str:
    """Show a choice of the workspace by its name in links (`CHOICES`) and write changes back.

    Returns what is chosen. A value that is none of the widget's options, from a link or another
    model, becomes the first of them.
    """
    value = workspace().choice(name)
    if args and value not in args[0]:
        value = next(iter(args[0]))
        if not sides.first():
            return str(value)  # what this model lacks is not taken from the others
        _put(workspace().with_choice(name, value))
    field(
        widget,
        label,
        *args,
        key=f"choice_{name}",
        value=value,
        then=partial(choose, name),
        **options,
    )
    return value


def choose(name: str, value: str | None) -> None:
    """Take a choice; a button of a row that was pressed again (None) keeps what it had."""
    if value is not None:
        attempt(lambda: set_workspace(workspace().with_choice(name, value)))


def query() -> dict[str, str]:
    """The address parameters of this state, for the address bar and every link of the menu.

    A state too long for a browser's address stays in this tab under a short name.
    """
    work = workspace()
    try:
        links.link("", work)
    except Error:
        name = hashlib.sha256(links.to_session(work).encode()).hexdigest()[:16]
        kept = st.session_state.setdefault(_KEPT, {})
        kept.pop(name, None)
        kept[name] = work
        while len(kept) > KEPT_STATES:
            kept.pop(next(iter(kept)))
        return {"kept": name}
    return links.to_query(work)


def load(page: str) -> None:
    """Take the workspace from the address when a person, not `save`, brought it there."""
    address = st.query_params.to_dict()
    # A click that came before the browser had the last address must not be lost to it.
    if st.session_state.pop(_TOUCHED, False):
        return
    if (page, address) in st.session_state.get(_OWN, ()):
        return
    before = workspace()
    sentence = ""
    try:
        opened = _opened(address)
    except Error as fault:
        opened, sentence = Workspace(), f"The link could not be opened: {fault}."
    tray = opened.tray
    # The history of the tray belongs to the tab: arriving at another address is a step in it.
    opened = replace(opened, tray=before.tray, past=before.past, future=before.future)
    set_workspace(opened.with_tray(tray))
    st.session_state.pop(_TOUCHED)
    if sentence:
        say(sentence)


def _opened(address: dict[str, str]) -> Workspace:
    if "kept" not in address:
        return links.from_query(address)
    work: Workspace | None = st.session_state.get(_KEPT, {}).get(address["kept"])
    if work is None:
        raise Error(
            "its state is too long for an address and lives only in the tab that made it; "
            "save a session file there and open it here"
        )
    return work


def rerun() -> None:
    """Run the whole page again because an answer is there.

    The browser may still send the address from before the last change, so it is not read.
    """
    st.session_state[_TOUCHED] = True
    st.rerun()


def save(page: str) -> None:
    """Write the address of this state: one step of history when anything changed."""
    wanted, present = query(), st.query_params.to_dict()
    # Both, while it is being written: this run may end inside the next line.
    st.session_state[_OWN] = [(page, present), (page, wanted)]
    if present != wanted:
        st.query_params.from_dict(wanted)
    st.session_state[_OWN] = [(page, wanted)]
    st.session_state.pop(_TOUCHED, None)
