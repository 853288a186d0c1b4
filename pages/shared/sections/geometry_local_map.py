"""Which token of the prompt contributes how much of the answer, exactly."""

from functools import partial

import streamlit as st

from core.figures import local_map as drawing
from core.results.local_map import LocalMap
from core.spec.request import ModelRef, Request
from pages.shared import state
from pages.shared.sections import prompt
from pages.shared.sections.begun import begun
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.reading import opened
from pages.shared.sections.view import Patience, View

HELP = (
    "At this very text the model is a linear map of its token embeddings, once what its norms "
    "divide by, its attention weights and its gates are held as the numbers they are. So the logit "
    "is a sum: a bar a token, and what no token brings (positions, biases). Diamonds: the ordinary "
    "gradient × embedding, which does not add up. Grey: what the other tokens of the text would "
    "contribute at the same place. It is no claim about changing a token: norms, weights and gates "
    "would then change too. Clamps take no part here. Click a token above to ask at its place."
)
LAYERS = (
    "The same split for the stream in front of every block: at which depth which place carries the "
    "answer. Every row, with what no token brings, adds up to the score."
)
RANKS = (
    "The map from each token to the answer's state as a matrix: its stable rank, the number of "
    "directions that it uses, in brackets that of fresh weights."
)
VECTORS = (
    "The largest singular vectors of one token's map: what it reads from the embedding (tokens "
    "nearest to the right vector), what it then writes (tokens nearest to the left one), and the "
    "share of what this token writes that goes that way. Words are the nearest, not a meaning."
)
TEACH = (
    "The map of every token is made as a matrix, one pass back for each coordinate, and again with "
    "fresh weights: seconds on the embedded model, minutes on a large one."
)
WAYS = {
    "tokens": "token by token",
    "layers": "layer by layer",
    "ranks": "how many directions",
    "vectors": "what is read and said",
}
TITLES = {
    "tokens": "What each token contributes",
    "layers": "Where the answer is carried",
    "ranks": "Directions in use",
    "vectors": "What is read, what is said",
}
HELPS = {"tokens": HELP, "layers": LAYERS, "ranks": RANKS, "vectors": VECTORS}


def draw(_: ModelRef, patience: Patience) -> None:
    prompt.draw()
    view = opened(state.workspace(), patience)
    if view is None:
        return
    prompt.strip(view)
    _controls()
    shown = way(WAYS, name="viewed")
    if shown in ("tokens", "layers"):
        one_figure(
            question(view), drawing, key="local_map", title=TITLES[shown], help=HELPS[shown],
            grace=patience.left(), height=360, view=shown,
        )  # fmt: skip
    else:
        _maps(view, shown, patience)


def _maps(view: View, shown: str, patience: Patience) -> None:
    """The maps themselves, once they were asked for."""
    request = question(view, maps=True)
    found = begun(
        request, key="local_maps", label="Take the maps apart", teach=TEACH,
        grace=patience.left(), height=360,
    )  # fmt: skip
    if not isinstance(found, LocalMap):
        return
    which = _which(found) if shown == "vectors" else 0
    one_figure(
        request, drawing, key="local_maps", title=TITLES[shown], help=HELPS[shown],
        grace=patience.left(), height=360, view=shown, which=which,
    )  # fmt: skip


def _which(found: LocalMap) -> int:
    """Whose map: the asked token's, or that of the one that contributes most."""
    names = {"asked": "the asked token", "strongest": "the strongest token"}
    return int(way(names, name="apart") == "strongest" and len(found.mapped) > 1)


def question(view: View, **options: bool) -> Request:
    """The split of the answer at the selected token; of the answer typed, where one was."""
    work = state.workspace()
    words = {"answer": work.choice("answer"), "against": work.choice("versus")}
    typed = {name: word for name, word in words.items() if word.strip()}
    return view.clean("local_map", seed=view.seed, **typed, **view.position, **options)


def _controls() -> None:
    with st.container(horizontal=True, vertical_alignment="bottom"):
        for name, label, empty in (
            ("answer", "Answer", "the most probable token"),
            ("versus", "less the logit of", "nothing"),
        ):
            state.field(
                st.text_input, label, key=f"split_{name}", value=state.workspace().choice(name),
                then=partial(state.choose, name), placeholder=empty, width=220,
            )  # fmt: skip
