"""Where one head looks on the prompt, with what it causes beside it."""

from core.figures import attention as pattern_drawing
from core.figures import head_sources as drawing
from core.results.attention import AttentionResult
from core.results.head_sources import HeadSources
from core.spec.request import Request
from core.spec.site import Site
from pages.shared.panels import answer, panel
from pages.shared.sections import head_tiles, pattern
from pages.shared.sections.drawn import drawn
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.head_card import causes
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import PREDICTIONS, View, as_code

HELP = (
    "Where the head looks from the selected token; hover a token to see where that one looks, "
    "click it to select it. Weights of one token sum to 1. A weight is not an effect: a head can "
    "look somewhere and change nothing, so the measured effect stands beside it."
)

SOURCES_HELP = (
    "What the head adds to the answer's logit, split over the tokens it looks at: attention weight "
    "times what it fetches there. A token can be looked at and give nothing. The control is the "
    "same for random tokens in place of the answer."
)


def question(view: View, at: tuple[int, int]) -> Request:
    return view.ask("attention", layer=at[0], head=at[1])


def draw(view: View, atlas: Atlas, at: tuple[int, int], grace: float) -> None:
    """The strip of tokens, and below it the whole pattern."""
    site = Site(at[0], "head", at[1], stack=view.stack)
    request = question(view, at)
    found = answer(request, key="pattern", grace=grace, height=200)
    if not isinstance(found, AttentionResult):
        return
    with framed(f"Attention of {site}", HELP, key="pattern", shows=causes(atlas, at)):
        pattern.draw(found, view.token, key="pattern", label=f"Attention of {site}")
        words = pattern_drawing.looks(found, view.token)
        foot(found, words, key="pattern", python=as_code(request))
    if not view.missing(PREDICTIONS):
        _sources(view, at, grace)
    head_tiles.draw(view, atlas, at, grace)


def sources_question(view: View, at: tuple[int, int]) -> Request:
    return view.ask("head_sources", layer=at[0], head=at[1], seed=view.seed, **view.position)


def _sources(view: View, at: tuple[int, int], grace: float) -> None:
    """How much of the answer comes from each token the head looks at."""
    request = sources_question(view, at)
    found = answer(request, key="sources", grace=grace, height=260)
    if isinstance(found, HeadSources):
        panel(
            found,
            drawn(drawing.figure, found),
            key="sources",
            title="What it takes from each token",
            help=SOURCES_HELP,
            caption=drawing.caption(found),
            python=as_code(request),
        )
