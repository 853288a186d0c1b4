"""Words inside a lasso: name them as a set, or make a direction from them and steer with it."""

import streamlit as st

from core.figures.wording import count, number, quoted, readable
from core.results.direction import DirectionResult, short
from core.results.layer_map import LayerMap
from core.spec.concept_set import ConceptSet, Group, of_words
from core.spec.errors import Error
from core.spec.request import ModelRef, ask
from core.spec.site import Site
from pages.shared import state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer
from pages.shared.sections import concept_set, geometry_steer
from pages.shared.sections.concept_set import Chosen

_HELD = "_lassoed"  # words of the last lasso
LEAST, MOST = 2, 2_000
SHOWN = 8


def take(found: LayerMap, items: list[int]) -> None:
    """Hold the words of a lasso until they are named or another is drawn."""
    words = tuple(found.words[item] for item in items if item < len(found.words))
    st.session_state[_HELD] = words[:MOST]


def draw(model: ModelRef, found: LayerMap, given: Chosen, layer: int) -> None:
    """What can be done with the words of the lasso."""
    known = set(found.words)
    words = [word for word in st.session_state.get(_HELD, ()) if word in known]
    if not words:
        return
    more = f" and {len(words) - SHOWN} more" if len(words) > SHOWN else ""
    with st.container(border=True, key="lasso"):
        named = quoted(*(readable(word) for word in words[:SHOWN]))
        st.html(small(f"{count(len(words), 'word')} in the lasso: {named}{more}"))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.text_input("Name", key="lasso_name", width=220, placeholder="my concept")
            st.button("Make it a set", on_click=state.attempt, args=(_name, given.one, words))
            st.button(
                "Make a direction", on_click=state.attempt, args=(_direct,), type="primary",
                help="From the other words of the map to these, at the depth that is shown.",
            )  # fmt: skip
            st.button("Forget", on_click=_forget)
        if st.session_state.get("_lasso_directs") == tuple(words):
            _direction(model, found, words, layer)


def _name(whole: ConceptSet, words: list[str]) -> None:
    """The words and, beside them, all others of the set they were chosen from."""
    name = str(st.session_state.get("lasso_name", "")).strip() or "my concept"
    inside = set(words)
    others = tuple(item for item in whole.items if item not in inside)
    if len(words) < LEAST:
        raise Error("draw the lasso around two words or more")
    if others:
        groups = (Group(name, tuple(words)), Group("the others", others))
        made = ConceptSet(name, "categories", groups, whole.contexts)
    else:
        made = of_words(name, words)
    concept_set.take(made)
    _forget()


def _direct() -> None:
    st.session_state["_lasso_directs"] = st.session_state.get(_HELD, ())


def _forget() -> None:
    st.session_state.pop(_HELD, None)
    st.session_state.pop("_lasso_directs", None)


def _direction(
    model: ModelRef, found: LayerMap, words: list[str], layer: int
) -> None:  # fmt: skip
    """The direction from the others to these words, how well it separates, and the clamps."""
    inside = set(words)
    others = [word for word in found.words if word not in inside]
    if len(words) < LEAST or len(others) < LEAST:
        sentence("A direction needs two words inside the lasso and two outside.", "info")
        return
    context = found.contexts[0]
    texts = [[context.replace("{}", word) for word in side] for side in (words, others[:MOST])]
    request = ask(
        "direction", model, positive=tuple(texts[0]), negative=tuple(texts[1]),
        position=found.read, seed=state.workspace().seed,
    )  # fmt: skip
    made = answer(request, key="lasso_direction", grace=0.4, height=120)
    if not isinstance(made, DirectionResult):
        return
    block = max(0, min(layer, made.n_layers) - 1)
    control = made.control_separation[block]
    st.html(
        small(
            f"At L{block}.resid_post the direction tells held-out words apart with AUC "
            f"{number(made.separation[block])} (shuffled labels "
            f"{number(control.mean()) if control.size else 'none'}); "
            f"{count(made.n_positive, 'word')} against {made.n_negative:,}."
        )
    )
    geometry_steer.along(
        Site(block, "resid_post", stack=made.stack),
        tuple(short(made.direction[block])),
        float(made.mean_norm[block]),
        name=f"the direction of {quoted(*words[:3])}",
    )
