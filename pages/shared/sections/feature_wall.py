"""The wall of all features: sorted, filtered, searched, a card each."""

import math
from functools import partial

import numpy as np
import streamlit as st

from core.figures.wording import count, number, readable
from core.results.feature_list import FeatureList
from core.spec.request import Request, ask
from pages.shared import sides, state
from pages.shared.notices import sentence, small
from pages.shared.panels import answer
from pages.shared.sections import corpus, once
from pages.shared.sections.feature_book import Book
from pages.shared.sections.framed import foot
from pages.shared.sections.view import View, as_code
from pages.shared.wall import STEP, WINDOW, Card, wall

SORTS = {
    "contribution": "what they explain",
    "density": "how often they fire",
    "max": "largest value",
    "mean_active": "mean where they fire",
    "label_score": "score of the label",
    "concentration": "fire on few tokens",
    "cosine": "cos(encoder, decoder)",
    "lens_z": "write a clear token",
    "mystery": "explain much, no label",
    "drift": "differ between halves",
    "feature": "number",
}
RISING = ("feature",)  # the smallest first
KEPT = {
    "live": "live",
    "labelled": "with a rule",
    "rare": "rare",
    "dense": "dense",
    "dead": "dead",
}
LEAST_LABEL = 0.4  # F1 from which a rule counts as a label
SHOWN = 3  # contexts on a card
HIGH = 420  # pixels of the frame while the gallery is made
SEEK = {"text": "cards that hold", "fires": "that fire on the token"}
SEARCH_HELP = (
    "Cards that hold: the text may stand around their peaks, among the tokens they fire on or "
    "write, or in their label. That fire on the token: at a tenth of its occurrences or more; the "
    "most faithful ones first."
)
RULES = "rules"
RULES_HELP = (
    "Looks for the best rule of every feature on this text, scored on documents it was not found "
    "on. Once for a dictionary; the labels are kept."
)
_FIRST = "_wall_first"


def draw(view: View, book: Book, grace: float) -> FeatureList | None:
    """Search line and wall; the page of cards in view, None while it is being made."""
    _line(view, book)
    once.watched(RULES, grace)
    request = question(view, book, _first(book))
    if request is None:
        sentence(corpus.GONE, "info")
        return None
    found = answer(
        request, key="wall", grace=grace, height=HIGH, bulk=True,
        partial=lambda so_far: _growing(view, book, so_far),
    )  # fmt: skip
    if not isinstance(found, FeatureList):
        return None
    st.html(small(_summary(found), quiet=True))
    if not found.total:
        sentence("No feature fits. Search for less, or let more kinds through.", "info")
        return found
    _wall(view, book, found)
    foot(found, caption(found), key="wall", python=as_code(request))
    return found


def question(view: View, book: Book, first: int) -> Request | None:
    """The cards from number `first` on; None when the corpus is not at hand."""
    text = corpus.chosen()
    if text is None:
        return None
    work = state.workspace()
    sort, seek = work.choice("sorted"), work.choice("seek").strip()
    options: dict[str, object] = _kept(work.choice("which"))
    if seek and work.choice("seeks") == "fires":
        options["fires_on"], sort = seek, "fires"
    elif seek:
        options["text"] = seek
    return ask(
        "feature_list", view.model, interventions=book.changes(view), dictionary=book.name,
        sort=sort, descending=sort not in RISING, limit=WINDOW, offset=first, corpus=text,
        **options,
    )  # fmt: skip


def caption(found: FeatureList) -> str:
    """The control and the sample, in words."""
    chance = found.label_chance[~np.isnan(found.label_chance)]
    control = f"; labels beside {number(chance.max())} for moved firings" if len(chance) else ""
    grown = f"; {found.share:.0%} of the text read" if found.share < 1 else ""
    return f"{count(found.n_tokens, 'token')} of {found.corpus}{control}{grown}"


def _line(view: View, book: Book) -> None:
    if not sides.first():
        return
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.selectbox, "Look for", list(SEEK), name="seeks", format_func=SEEK.__getitem__,
            width=170,
        )  # fmt: skip
        state.field(
            st.text_input, "Search ( / )", key="seek", value=state.workspace().choice("seek"),
            then=partial(state.choose, "seek"), placeholder="dog   ·   colour", help=SEARCH_HELP,
        )  # fmt: skip
    with st.container(horizontal=True, vertical_alignment="bottom"):
        state.chosen(
            st.selectbox, "Order", list(SORTS), name="sorted", format_func=SORTS.__getitem__,
            width=170,
        )  # fmt: skip
        state.chosen(
            st.selectbox, "Which", ["", *KEPT], name="which",
            format_func=lambda name: KEPT.get(name, "all"), width=130,
        )  # fmt: skip
        st.button(
            "Find rules", key="find_rules", help=RULES_HELP, on_click=_find_rules,
            args=(view, book), disabled=corpus.chosen() is None,
        )  # fmt: skip


def _find_rules(view: View, book: Book) -> None:
    """Rules for all features; the wall, the card and the map show them afterwards."""
    request = ask(
        "feature_label", view.model, dictionary=book.name, corpus=corpus.chosen(), seed=view.seed
    )
    once.begin(RULES, request, ("wall", "card", "feature_map"), bulk=True)


def _kept(name: str) -> dict[str, object]:
    match name:
        case "labelled":
            return {"labelled": LEAST_LABEL}
        case "live":
            return {"without": ("dead",)}
        case "":
            return {}
    return {"badges": (name,)}


def _summary(found: FeatureList) -> str:
    asked = f" {found.asked}" if found.asked else ""
    return f"{count(found.total, 'feature')} of {found.n_features:,}{asked}; {found.sort_words}"


def _listed(book: Book) -> str:
    work = state.workspace()
    parts = (work.choice(name) for name in ("sorted", "which", "seek", "seeks", "corpus"))
    return "|".join((book.name, *parts))


def _first(book: Book) -> int:
    """Where the window of cards begins; at the top when something else is listed."""
    listed, first = st.session_state.get(sides.key(_FIRST), ("", 0))
    return int(first) if listed == _listed(book) else 0


def _wall(view: View, book: Book, found: FeatureList) -> None:
    listed = _listed(book)
    wall(
        [_card(found, row) for row in range(len(found.features))],
        total=found.total,
        first=found.offset,
        key="wall_cards",
        label=f"Features of {book.name}",
        listed=listed,
        picked=state.workspace().selection.feature,
        on_pick=_pick,
        on_clamp=partial(book.clamp, view),
        on_first=lambda first: st.session_state.__setitem__(
            sides.key(_FIRST), (listed, first // STEP * STEP)
        ),
    )


def _growing(view: View, book: Book, found: FeatureList) -> None:
    """The first cards of a gallery that is still being made; one that is chosen opens with it."""
    st.html(small(f"{found.share:.0%} of the text read: {_summary(found)}", quiet=True))
    wall(
        [_card(found, row) for row in range(len(found.features))],
        total=len(found.features),
        first=0,
        key="wall_growing",
        label=f"Features of {book.name}, so far",
        listed="growing",
        picked=state.workspace().selection.feature,
        on_pick=_pick,
        on_clamp=partial(book.clamp, view),
        on_first=lambda _: None,
    )


def _pick(feature: int) -> None:
    state.select(feature=feature)


def _card(found: FeatureList, row: int) -> Card:
    lines = tuple(zip(found.peaks[row], found.peak_at[row], strict=True))
    score, chance = float(found.label_score[row]), float(found.label_chance[row])
    label = found.label[row]
    said = "" if math.isnan(score) else f"F1 {score:.2f}"
    if said and not math.isnan(chance):
        said += f" (chance {chance:.2f})"
    if label and found.label_by[row] == "yours":
        said = "yours"
    elif label and score < LEAST_LABEL:  # a rule that does not hold is no label
        said, label = f"best rule {readable(label)[:24]}: {said}", ""
    spark = found.spark[row].astype(float)
    return Card(
        feature=found.features[row],
        label=label,
        score=said,
        density=_share(float(found.density[row])),
        lines=lines[:SHOWN],
        writes=found.lens[row][:4],
        bars=tuple((spark / max(1.0, spark.max())).tolist()),
        badges=found.badges[row],
        title=f"{found.sites[row]}: largest {number(found.max_activation[row])}",
    )


def _share(share: float) -> str:
    return "silent" if share == 0 else f"{100 * share:.3g} %"
