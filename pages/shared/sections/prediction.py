"""What comes next: the most probable tokens, clean beside clamped beside control."""

from core.figures import next_tokens as drawing
from core.results.next_tokens import NextTokens
from core.spec.request import Request
from pages.shared.notices import sentence
from pages.shared.panels import answer, panel
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import PREDICTIONS, View, as_code

HELP = (
    "The probability the model gives to each possible next token, at the selected token. With "
    "clamps: the run without them, with them, and a random control that moves the stream as far "
    "in a random direction (mean of 8; the line shows their range). KL, in nats, says how far "
    "the whole distribution moved from the clean one."
)
MASKED = (
    "What the model would fill in at the selected token, seeing the text on both sides. Write "
    "its mask token (such as [MASK]) into the text for a fair question; any other token is "
    "predicted with itself in view. "
)


def question(view: View) -> Request:
    return view.ask("next_tokens", k=10, seed=view.seed, **view.position)


def draw(view: View, grace: float) -> None:
    """The panel of next tokens."""
    if why := view.missing(PREDICTIONS):
        sentence(why, "info")
        return
    request = question(view)
    result = answer(request, key="next", grace=grace)
    if isinstance(result, NextTokens):
        panel(
            result,
            drawn(drawing.figure, result),
            key="next",
            title="Fill-in prediction" if result.masked else "Next token",
            help=MASKED + HELP if result.masked else HELP,
            caption=drawing.caption(result),
            python=as_code(request),
        )
