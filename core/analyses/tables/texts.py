"""Questions about one text: what is said next, layer by layer, and what a change does to it."""

from core.analyses.attention import attention
from core.analyses.card import card
from core.analyses.dose import dose
from core.analyses.lens import lens
from core.analyses.listed import Analysis
from core.analyses.next_tokens import next_tokens
from core.analyses.scale import scale
from core.analyses.steer import steer
from core.analyses.token_neurons import token_neurons
from core.analyses.unit_effect import unit_effect
from core.analyses.unit_values import unit_values

ANALYSES: dict[str, Analysis] = {
    "card": Analysis(
        card, "What the model is, which load checks it passed, what is missing.", lasting=False
    ),
    "next_tokens": Analysis(next_tokens, "What comes next: clean, clamped and controls."),
    "lens": Analysis(lens, "What each layer would say if the model stopped there."),
    "attention": Analysis(attention, "Where one head looks on a text."),
    "token_neurons": Analysis(token_neurons, "The strongest neurons at a token, what they write."),
    "steer": Analysis(steer, "Texts written clean, clamped and under a random control."),
    "dose": Analysis(
        dose,
        "How the answer responds to the strength of one change, and what it breaks.",
        version=2,
    ),
    "unit_effect": Analysis(unit_effect, "What one unit causes: ablated, activated, suppressed."),
    "unit_values": Analysis(unit_values, "What one unit does at every token of a text."),
    "scale": Analysis(
        scale, "How large the values at a site get on the reference text.", version=2
    ),
}
