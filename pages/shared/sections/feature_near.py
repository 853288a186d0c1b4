"""What is near a feature: by what it writes, by firing together, and which neurons."""

import streamlit as st

from core.figures import feature_neighbours as drawing
from core.figures.wording import number, visible
from core.results.feature_neighbours import HINTS, FeatureNeighbours
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.notices import small
from pages.shared.sections.feature_book import Book
from pages.shared.sections.one_figure import one_figure, way
from pages.shared.sections.view import View

HELP = (
    "Right: decoder rows that point the same way (redundant, or one meaning split by context). "
    "Up: features that fire on the same tokens. A parent fires nearly wherever this one does, and "
    "more. The marks of chance: what random directions and the same firings moved elsewhere reach."
)
WAYS = {"pairs": "features", "neurons": "neurons"}
MOST = 8


def question(view: View, book: Book, feature: int) -> Request:
    return ask("feature_neighbours", view.model, dictionary=book.name, feature=feature)


def draw(view: View, book: Book, site: Site, grace: float) -> None:
    assert site.unit is not None
    found = one_figure(
        question(view, book, site.unit), drawing, key="near", title=f"What is near {site}",
        help=HELP, grace=grace, show=way(WAYS, name="seen"),
    )  # fmt: skip
    if isinstance(found, FeatureNeighbours):
        if found.why_not:
            st.html(small(f"Nothing is said about firing together: {found.why_not}.", quiet=True))
        _doors(found)


def _doors(found: FeatureNeighbours) -> None:
    """Lists of neighbours, each a button to its page."""
    rows = [
        ("Writes most alike", found.decoder, found.decoder_cosine, found.decoder_hint),
        ("Fires with", found.together, found.jaccard, found.together_hint),
        ("Parents", found.parents, found.parents_share, None),
        ("Children", found.children, found.children_share, None),
        ("Writes the opposite", found.opposite, found.opposite_cosine, None),
    ]
    for words, features, scores, hints in rows:
        if not len(features):
            continue
        with st.container(horizontal=True, gap="small", vertical_alignment="center"):
            st.html(small(words), width="content")
            for place, feature in enumerate(features[:MOST].tolist()):
                hint = HINTS[int(hints[place])] if hints is not None else ""
                st.button(
                    f"{feature} · {number(scores[place])}" + (f" · {hint}" if hint else ""),
                    key=sides.key(f"near_{words}_{place}"),
                    type="tertiary",
                    help=_words(found, feature),
                    on_click=sides.bound(_select),
                    args=(feature,),
                )


def _words(found: FeatureNeighbours, feature: int) -> str:
    label = dict(found.named).get(feature, "")
    says = ", ".join(visible(piece, 12) for piece in dict(found.says).get(feature, ())[:4])
    said = "; ".join(part for part in (label, f"writes {says}" if says else "") if part)
    return f"`{said.replace('`', 'ʼ')}`" if said else "no label"


def _select(feature: int) -> None:
    state.select(feature=feature)
