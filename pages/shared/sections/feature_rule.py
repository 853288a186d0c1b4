"""What a feature is called and whether that holds: its best rule, a typed label, a blind test."""

from functools import partial
from typing import Any

import streamlit as st

from core.figures import feature_label as rule_drawing
from core.figures import label_test as test_drawing
from core.figures.wording import number, readable
from core.home import hosted
from core.results.feature_label import FeatureLabel
from core.results.label_test import LabelTest
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.contexts import Context, contexts
from pages.shared.notices import sentence, small
from pages.shared.panels import answer
from pages.shared.sections import corpus, feature_card
from pages.shared.sections.feature_book import Book
from pages.shared.sections.framed import framed
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import View

HELP = (
    "The best rule of each kind: what the token is, what stands before it, what comes next, where "
    "in the text, which words the document holds. Found on half of the documents and scored (F1) "
    "on the other. Grey: the same search for as many firings at random tokens. Below 0.4 no rule "
    "is offered: many features have none, and that is said."
)
TEST_HELP = (
    "Your own words against texts the rule was not found on. Left to right: how alike the label "
    "and a context are to the model itself. AUC 0.5 is chance; random words as labels stand "
    "beside it. Hard texts are peaks of the nearest features where this one is silent."
)
BLIND_HELP = (
    "Ten texts in random order, half of them with a token on which the feature fires. Mark those; "
    "the share you get right is the honest score of what you think the feature is."
)
_MARKS = "_blind"


def questions(view: View, book: Book, feature: int) -> dict[str, Request]:
    """The rule, and the test of a label; nothing while the corpus is not at hand."""
    text = corpus.chosen()
    if text is None:
        return {}
    given: dict[str, Any] = {
        "dictionary": book.name,
        "feature": feature,
        "corpus": text,
        "seed": view.seed,
    }
    label = state.workspace().choice("named").strip()
    named: dict[str, Any] = {"label": label} if label else {}
    return {
        "rule": ask("feature_label", view.model, **given),
        "named": ask("label_test", view.model, **given, **named),
    }


def draw(view: View, book: Book, site: Site, grace: float) -> None:
    assert site.unit is not None
    asked = questions(view, book, site.unit)
    if not asked:
        sentence(corpus.GONE, "info")
        return
    left, right = sides.columns(2, gap="medium")
    with left:
        found = one_figure(
            asked["rule"], rule_drawing, key="rule", title=f"A rule for {site}", help=HELP,
            grace=grace, bulk=True, view="kinds",
        )  # fmt: skip
        if isinstance(found, FeatureLabel):
            _wrong(found)
    with right:
        state.field(
            st.text_input, "Your label for it", key="named",
            value=state.workspace().choice("named"), then=partial(state.choose, "named"),
            placeholder="names of animals",
        )  # fmt: skip
        label = state.workspace().choice("named").strip()
        if label and not hosted() and sides.first():
            st.button(
                "Keep as its label", key="keep_named", type="tertiary",
                on_click=feature_card.name, args=(view, book, site, label),
                disabled=len(label) > feature_card.LONGEST,
            )  # fmt: skip
        _named(asked["named"], site, grace)


def _named(request: Request, site: Site, grace: float) -> None:
    """The test of the typed label, and the blind test."""
    if request.option("label"):
        found = one_figure(
            request, test_drawing, key="named_test", title=f"Does it hold for {site}?",
            help=TEST_HELP, grace=grace, bulk=True,
        )  # fmt: skip
    else:
        found = answer(request, key="named_test", grace=grace, bulk=True)
    if isinstance(found, LabelTest):
        for why in found.missing:
            st.html(small(why, quiet=True))
        if len(found.blind) and sides.first():
            _blind(found)


def _wrong(found: FeatureLabel) -> None:
    """Where the rule fails on the other half."""
    if not found.wrong or not found.wrong[0]:
        return
    parts = [
        f"{what}: …{readable(before)[-40:]}[{readable(token)}]{readable(behind)[:30]}…"
        for what, before, token, behind in found.wrong[0][:6]
    ]
    st.html("".join(small(part, quiet=True) for part in parts))


def _blind(found: LabelTest) -> None:
    """Ten texts to be marked; the score when they are."""
    with framed("Blind test", BLIND_HELP, key="blind"):
        key = (found.site, found.label)
        held = st.session_state.get(_MARKS, (None, ()))
        done = held[1] if held[0] == key else ()
        shown = [found.tokens[at] for at in found.blind.tolist()]
        if done:
            share, low, high = found.marked(done)
            st.html(
                small(
                    f"{number(share)} right (chance 0.5; 95 % {number(low)} to {number(high)})",
                    strong=True,
                )
            )
            contexts(
                [
                    _revealed(found, at, mark)
                    for at, mark in zip(found.blind.tolist(), done, strict=True)
                ],
                key="blind_texts", label="The texts with what the feature does", limit=_top(found),
            )  # fmt: skip
            st.button("Again", key="blind_again", on_click=_forget)
            return
        with st.form("blind_form", border=False):
            for place, tokens in enumerate(shown):
                st.checkbox(_plain("".join(tokens)), key=f"blind_{place}")
            st.form_submit_button("Score", on_click=_score, args=(key, len(shown)))


def _revealed(found: LabelTest, at: int, mark: bool) -> Context:
    tokens = found.tokens[at]
    values = found.activation[at, : len(tokens)]
    right = "right" if mark == bool(found.active[at]) else "wrong"
    return Context(tokens, tuple(float(v) for v in values), int(found.peak[at]), right)


def _top(found: LabelTest) -> float:
    known = found.activation[found.activation == found.activation]
    return float(known.max(initial=0.0)) or 1.0


def _score(key: tuple[str, str], n: int) -> None:
    marks = tuple(bool(st.session_state[f"blind_{place}"]) for place in range(n))
    st.session_state[_MARKS] = (key, marks)


def _forget() -> None:
    st.session_state.pop(_MARKS, None)


def _plain(text: str) -> str:
    """Nothing in it is read as Markdown."""
    shown = readable(text).replace("\n", " ")
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]()#+-.!|<>~$:" else sign for sign in shown)
