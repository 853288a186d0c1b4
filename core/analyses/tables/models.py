"""Two models, and one model over its training."""

from core.analyses.compare import compare
from core.analyses.flips import flips
from core.analyses.listed import Analysis
from core.analyses.match import match
from core.analyses.shared_tokens import shared_tokens
from core.analyses.shift import shift
from core.analyses.training import training
from core.analyses.translate import translate

ANALYSES: dict[str, Analysis] = {
    "compare": Analysis(
        compare, "Two models layer by layer: do they arrange the same texts alike?"
    ),
    "match": Analysis(
        match, "Which neuron, head or feature of another model corresponds to each of this one."
    ),
    "shift": Analysis(
        shift, "What changed from a model to its tuned one, and does a shift reproduce it?"
    ),
    "translate": Analysis(
        translate, "A concept's direction carried into another model, and tested there."
    ),
    "flips": Analysis(
        flips, "Where two models disagree most, and which components turn the answer."
    ),
    "shared_tokens": Analysis(
        shared_tokens, "Which tokens of two models stand for the same stretch of a text."
    ),
    "training": Analysis(
        training, "What heads, concepts, circuits and neurons become over training, and when."
    ),
}
