"""Train a dictionary here: what of, how large, and its curves while it grows."""

from typing import Any

import streamlit as st

from core.figures import train_dictionary as drawing
from core.figures.wording import count, number
from core.home import hosted
from core.results.train_dictionary import TrainDictionary
from core.spec.errors import Error
from core.spec.request import Request, ask
from core.spec.site import STREAM
from core.spec.site import site as site_of
from pages.shared import state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer, asked, panel
from pages.shared.sections import corpus, feature_book
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "Left to right: what is left out of text it has not seen, what that costs the next tokens, "
    "how many features fire, how many have gone silent. Dashed: principal components with as many "
    "numbers a token, and the dictionary before its first step. Cancel keeps what was reached; "
    "asking again goes on from there."
)
ABOUT_TRAINING = (
    "Learns a dictionary of one site on the text chosen above, and keeps it in "
    "$EIDOSCOPE_HOME/dictionaries. A few minutes give a first one of the embedded model."
)
HOSTED = (
    "This server keeps no dictionaries of its visitors. Run Eidoscope on your own machine to train "
    "one."
)
KINDS = {
    "topk": "TopK",
    "batchtopk": "BatchTopK",
    "jumprelu": "JumpReLU",
    "gated": "Gated",
    "matryoshka": "Matryoshka",
    "relu": "ReLU with L1",
}
ABOUT = {
    "topk": "The k largest of every token fire, and an auxiliary loss wakes those gone silent.",
    "batchtopk": "The largest of a whole batch fire, k a token on average.",
    "jumprelu": "Each feature has a threshold of its own, learnt through straight-through slopes.",
    "gated": "One product decides whether a feature fires, another how strongly.",
    "matryoshka": "Small dictionaries inside large ones: the first features have to do alone.",
    "relu": "The oldest kind: an L1 penalty on what is written.",
}
_PLAN = "_training"


def draw(view: View, layers: int, grace: float) -> None:
    """The form, and below it the training that was begun in this tab."""
    if hosted():
        sentence(HOSTED, "info")
        return
    st.html(small(ABOUT_TRAINING, quiet=True))
    with st.form("training", border=True):
        _form(layers)
        st.form_submit_button("Train", type="primary", on_click=state.attempt, args=(_begin,))
    plan = st.session_state.get(_PLAN)
    text = corpus.chosen()
    if not plan or text is None:
        return
    request = ask("train_dictionary", view.model, corpus=text, seed=view.seed, **plan)
    found = answer(request, key="training", grace=grace, height=420, bulk=True, partial=_growing)
    if isinstance(found, TrainDictionary):
        _shown(found, request)


def _form(layers: int) -> None:
    left, middle, right = st.columns(3, gap="medium")
    with left:
        st.text_input(
            "Site",
            f"L{layers // 2}.resid_post",
            key="training_site",
            help="What it is a dictionary of: L2.resid_post, L2.mlp_out, L2.head ...",
        )
        st.text_input(
            "Name",
            "mine",
            key="training_name",
            max_chars=60,
            help="Letters, digits, dots and dashes; it stands in every address.",
        )
    with middle:
        st.selectbox(
            "Kind",
            list(KINDS),
            key="training_kind",
            format_func=KINDS.__getitem__,
            help="  \n".join(f"**{KINDS[name]}** {ABOUT[name]}" for name in KINDS),
        )
        st.number_input(
            "Features",
            0,
            1_000_000,
            0,
            key="training_features",
            help="0: eight times the width of the site.",
        )
    with right:
        st.number_input(
            "Features a token (k)",
            0,
            4_096,
            0,
            key="training_k",
            help="0: a sixteenth of the width, from 8 to 32.",
        )
        st.number_input("Steps of 2,048 tokens", 10, 1_000_000, 500, key="training_steps",
                        help="The embedded model makes some hundred steps a minute.")  # fmt: skip


def _begin() -> None:
    """Take the form. Raises `Error` for a site that cannot be read."""
    place = site_of(str(st.session_state["training_site"]).strip())
    if place.component not in (*STREAM, "head", "neuron") or place.unit is not None:
        raise Error(f"{place}: a dictionary is trained on a whole site such as L2.resid_post")
    plan: dict[str, Any] = {
        "site": str(place),
        "name": str(st.session_state["training_name"]).strip(),
        "architecture": st.session_state["training_kind"],
        "n_features": int(st.session_state["training_features"]),
        "k": int(st.session_state["training_k"]),
        "steps": int(st.session_state["training_steps"]),
    }
    if not plan["name"]:
        raise Error("give the dictionary a name")
    st.session_state[_PLAN] = plan


def _growing(found: TrainDictionary) -> None:
    """The curves so far."""
    st.html(small(f"step {found.reached:,} of {found.steps:,}", quiet=True))
    st.plotly_chart(drawn(drawing.figure, found), key="training_growing", alt="training curves")


def _shown(found: TrainDictionary, request: Request) -> None:
    panel(
        found, drawn(drawing.figure, found), key="training", help=HELP, grid=False,
        title=f"{found.dictionary}: {KINDS.get(found.architecture, found.architecture)} of "
        f"{found.site}", caption=drawing.caption(found), python=as_code(request),
    )  # fmt: skip
    if not found.finished:
        return
    sentence(
        f"{found.dictionary} stands among the dictionaries: "
        f"{count(found.n_features, 'feature')}, FVU {number(found.final_fvu[0])}.", "info",
    )  # fmt: skip
    st.button("Look at its features", key="trained_open", on_click=_open, args=(found.dictionary,))


def _open(name: str) -> None:
    asked().forget("books")  # those there were when it was asked
    state.choose("features", "wall")
    feature_book.take(name)
