"""Take it out: the direction a behaviour hangs on, out of the stream and out of the weights."""

from typing import Any

import streamlit as st

from core.figures import remove as drawing
from core.figures.wording import number, visible
from core.home import hosted
from core.results.edited import EditedResult
from core.results.remove import RemoveResult
from core.spec.concept import Concept
from core.spec.interventions import Project
from core.spec.request import ModelRef, Request, ask
from core.spec.site import Site
from pages.shared import sides, state, tray
from pages.shared.clicks import pickable_chart
from pages.shared.notices import code, sentence, shown_text, small
from pages.shared.panels import panel
from pages.shared.sections.begun import begun
from pages.shared.sections.concept import option
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.view import as_code

HELP = (
    "Left: the log-odds of the watched tokens behind held-out texts, as the model is, with the "
    "direction taken out of the whole stream, with its affine form (taken to the mean of the "
    "negative texts), and with random directions taken out. Right: how far the texts lie along the "
    "direction, layer by layer; dotted lines at zero mean that nothing of it is left."
)
CANDIDATES = (
    "Candidates are the differences of means of each layer and state, built from one half of the "
    "texts. Ring: the chosen one. Dot: usable, that is not in the last fifth of the depth, KL on "
    "neutral text within the limit, and adding it makes the behaviour appear. Of these the one "
    "that lowers it most."
)
ALONG = (
    "Held-out texts along the chosen direction at its own layer. Taken out, all lie at zero; the "
    "affine form takes them to the mean of the negative texts, which is gentler where the model "
    "keeps a constant along the direction."
)
TEACH = (
    "Candidates from every layer are taken out of the whole stream, one after another, and added; "
    "the best is kept and reported on, with neutral text and random directions beside it. About "
    "ten seconds on the embedded model."
)
TOKENS_HELP = (
    "Separated by commas: the tokens by which the behaviour shows in the next token (he, his). "
    "Left empty, the tokens that tell the two sides apart most are found and named."
)
EXPORT = (
    "The changes are written into the weights of a copy: token and position embeddings, attention "
    "and MLP outputs and their biases are made orthogonal to the direction. The copy is held to "
    "the model under the projections, on the way out and after loading it again; if it differs, "
    "nothing is written. Nothing is ever overwritten."
)


def question(model: ModelRef, concept: Concept) -> Request:
    work = state.workspace()
    words = tuple(word.strip() for word in work.choice("watched").split(",") if word.strip())
    more: dict[str, Any] = {"tokens": words} if words else {}
    return ask("remove", model, concept=option(concept), seed=work.seed, **more)


def draw(model: ModelRef, concept: Concept, missing: str, grace: float) -> None:
    """The report of one removal, and the way to export it."""
    if missing:
        sentence(missing, "info")
        return
    state.chosen(
        st.text_input, "Watched tokens (else found by themselves)", name="watched",
        help=TOKENS_HELP, placeholder="he, his, him",
    )  # fmt: skip
    request = question(model, concept)
    found = begun(request, key="remove", label="Find it and take it out", teach=TEACH, grace=grace)
    if not isinstance(found, RemoveResult):
        return
    panel(
        found,
        drawn(drawing.figure, found),
        key="remove",
        title="What the model stops doing",
        help=HELP,
        caption=drawing.caption(found),
        python=as_code(request),
    )
    left, right = sides.columns(2, gap="medium")
    for column, key, title, help_, figure in (
        (left, "candidates", "Candidates", CANDIDATES, drawing.candidates),
        (right, "along", "Along the direction", ALONG, drawing.projections),
    ):
        with column, framed(title, help_, key=f"remove_{key}"):
            pickable_chart(drawn(figure, found), key=f"remove_{key}_chart", label=title,
                           on_pick=None)  # fmt: skip
    with left:
        _texts(found)
        if sides.first():
            _into_tray(found)
    with right:
        _side_effects(found)
    if sides.first():
        _export(model, found, grace)


def _texts(found: RemoveResult) -> None:
    with st.container(border=True, key=sides.key("remove_texts")):
        st.html(small("Texts, greedy", strong=True))
        for row, prompt in enumerate(found.prompts):
            st.html(small(prompt, quiet=True))
            for words, texts in (
                ("as it is", found.texts_before),
                ("taken out", found.texts_removed),
                ("random direction taken out", found.texts_control),
            ):
                st.html(small(f"{words}: {texts[row]}"))


def _into_tray(found: RemoveResult) -> None:
    layer = found.chosen[1]
    change = Project(Site(layer, "resid_post"), found.changes()[0].direction)
    st.button(
        f"+ take it out at layer {layer}", key="remove_tray", on_click=state.attempt,
        args=(tray.add, change),
        help="One projection for the clamps; the whole removal has one at every attention and MLP.",
    )  # fmt: skip


def _side_effects(found: RemoveResult) -> None:
    with st.container(border=True, key=sides.key("remove_side")):
        st.html(small("What else changes: the neutral sentences that change most", strong=True))
        rows = [
            {
                "KL": float(kl),
                "at": visible(token),
                "before": visible(before),
                "after": visible(after),
                "sentence": shown_text(sentence_, 200),
            }
            for (sentence_, token, before, after), kl in zip(
                found.side_effects, found.side_kl.tolist(), strict=True
            )
        ]
        st.dataframe(rows, hide_index=True, height=300)
        st.caption(f"of {found.n_neutral} neutral sentences; KL in nats per token")


def _export(model: ModelRef, found: RemoveResult, grace: float) -> None:
    with framed("Edited model", EXPORT, key="edited"):
        st.text_input(
            "Name of the new folder", f"without-{_plain_name(found.concept)}", key="edited_name",
            help="A plain name: a folder “edited” in Eidoscope's home."
            + ("" if hosted() else " Or the whole path of a folder that does not exist."),
        )  # fmt: skip
        name = str(st.session_state["edited_name"]).strip()
        request = ask("edited", model, interventions=found.changes(), folder=name, seed=found.seed)
        done = begun(request, key="edited", label="Write the edited model", teach=WHAT, grace=grace,
                     height=140)  # fmt: skip
        if isinstance(done, EditedResult):
            _written(done, request)


WHAT = (
    "A plain Hugging Face folder with safetensors weights, configuration, tokenizer, changes.json "
    "and REPORT.md. It opens in any program, and here as a model by its path."
)


def _plain_name(concept: str) -> str:
    kept = "".join(sign if sign.isascii() and sign.isalnum() else "-" for sign in concept)
    return kept.strip("-")[:40] or "a-direction"


def _written(done: EditedResult, request: Request) -> None:
    where = shown_text(done.folder.rpartition("/")[2] if hosted() else done.folder, 300)
    st.html(small(f"Written: {where}", strong=True))
    st.markdown(" ".join(code(name) for name in done.files))
    st.html(
        small(
            f"Loaded again it differs from the model under the projections by at most "
            f"{number(done.difference[0])} logits (the largest is {number(done.largest[0])}). "
            f"KL on neutral text {number(done.kl[0])} nats per token (random changes "
            f"{number(done.kl[1])}), loss {number(done.loss_increase[0], sign=True)} "
            f"({number(done.loss_increase[1], sign=True)})."
        )
    )
    words = f"control, {done.n_controls} random changes that move the stream as far; "
    foot(done, f"{words}{done.n_tokens} tokens of neutral text", key="edited",
         python=as_code(request))  # fmt: skip
