"""Which features fire on a pattern: precision and recall on documents that did not choose."""

from functools import partial

import streamlit as st

from core.figures import feature_fires as drawing
from core.figures.wording import number, readable
from core.results.feature_fires import FeatureFires
from core.spec.request import Request, ask
from pages.shared import sides, state
from pages.shared.notices import sentence, small
from pages.shared.sections import corpus
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure
from pages.shared.sections.view import View

HELP = (
    "Every feature as a detector of what the pattern means; a large dot stands in the list below. "
    "Half of the documents choose, the other half is shown. Diamonds: the best single neuron and "
    "coordinate at the same recall. Grey: the same marks turned round in each document, which is "
    "what luck gives."
)
TEACH = (
    "Type a regular expression (RE2) over the text; round brackets mark the part that is meant, "
    "such as [a-z,;] ([A-Z][a-z]+). Or take one of these."
)
PATTERNS = {
    "digit": "([0-9])",
    "capital inside a sentence": "[a-z,;] ([A-Z][a-z]+)",
    "end of sentence": r"[a-z]([.!?])(?:\s|$)",
    "comma": "(,)",
    "weekday": r"\b((?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)\b",
    "he or she": r"\b([Hh]e|[Ss]he)\b",
    "past tense": r"\b([a-z]+ed)\b",
    "opening quote": '(?:^|\\s)(["“])',
}
MOST = 10


def question(view: View, book: Book) -> Request | None:
    """None without a pattern, or without the text."""
    pattern, text = state.workspace().choice("regex").strip(), corpus.chosen()
    if not pattern or text is None:
        return None
    return ask(
        "feature_fires", view.model, dictionary=book.name, pattern=pattern, corpus=text,
        seed=view.seed,
    )  # fmt: skip


def draw(view: View, book: Book, grace: float) -> None:
    state.field(
        st.text_input, "Pattern ( / )", key="regex", value=state.workspace().choice("regex"),
        then=partial(state.choose, "regex"), placeholder=r"\b([a-z]+ed)\b",
    )  # fmt: skip
    if corpus.chosen() is None:
        sentence(corpus.GONE, "info")
        return
    request = question(view, book)
    if request is None:
        sentence(TEACH, "info")
        _starters()
        return
    found = one_figure(
        request, drawing, key="pattern", title="Which features fire on the pattern", help=HELP,
        grace=grace, bulk=True, height=420,
    )  # fmt: skip
    if isinstance(found, FeatureFires):
        _doors(found)


def _starters() -> None:
    """Patterns to begin with; what is typed stands once."""
    if not sides.first():
        return
    with st.container(horizontal=True, gap="small"):
        for name, pattern in PATTERNS.items():
            st.button(
                name, key=f"regex_{name}", type="tertiary", on_click=state.choose,
                args=("regex", pattern),
            )  # fmt: skip


def _doors(found: FeatureFires) -> None:
    """The features of the list, each a button; together the best few."""
    labels = dict(found.named)
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        for place, feature in enumerate(found.table[:MOST].tolist()):
            scores = f"{number(found.table_precision[place])} / {number(found.table_recall[place])}"
            st.button(
                f"{feature} · {scores}", key=sides.key(f"fires_{place}"), type="tertiary",
                help=f"precision and recall; {readable(labels.get(feature, 'no label'))[:60]}",
                on_click=sides.bound(_select), args=(feature,),
            )  # fmt: skip
    if len(found.union) > 1:
        words = ", ".join(map(str, found.union))
        precision, recall, f1 = map(number, found.union_scores)
        st.html(
            small(
                f"Together {words}: precision {precision}, recall {recall}, F1 {f1} (held out).",
                quiet=True,
            )
        )


def _select(feature: int) -> None:
    state.select(feature=feature)
