"""Directions of concepts: built, pushed, taken out, erased."""

from core.analyses.direction import direction
from core.analyses.edited import edited
from core.analyses.erase import erase
from core.analyses.guide import guide
from core.analyses.listed import Analysis
from core.analyses.remove import remove

ANALYSES: dict[str, Analysis] = {
    "direction": Analysis(direction, "A concept's direction at every layer, and whether it holds."),
    "guide": Analysis(guide, "A direction added at many strengths: does the text follow it?"),
    "remove": Analysis(remove, "A direction taken out everywhere: what the model stops doing."),
    "erase": Analysis(erase, "A concept erased linearly: what is left of it, what it costs."),
    "edited": Analysis(
        edited, "Changes written into the weights, saved as a model folder.", lasting=False
    ),
}
