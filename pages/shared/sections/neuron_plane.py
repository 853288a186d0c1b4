"""A gated neuron's two inputs: one meaning, or several?"""

from core.figures import neuron_plane as drawing
from core.results.neuron_plane import NeuronPlane
from core.spec.request import Request, ask
from core.spec.site import Site
from pages.shared.contexts import Context, contexts
from pages.shared.notices import sentence
from pages.shared.panels import answer, panel
from pages.shared.sections import corpus
from pages.shared.sections.drawn import drawn
from pages.shared.sections.view import View, as_code

HELP = (
    "Every token of the text, by the gate's input (across) and the up value (upwards); the "
    "activation is nonlinearity(gate) × up. Tokens in two opposite corners mean that the neuron "
    "speaks with two voices. Rings: the strongest tokens of each quadrant. The shares beside the "
    "control say whether a corner holds more of the activation than it would if gate and up value "
    "had nothing to do with each other."
)


HELP_FLAT = (
    "Every token of the text, by the neuron's input before its nonlinearity. Below: the tokens at "
    "which the activation is strongest, for positive and for negative inputs."
)


def question(view: View, site: Site) -> Request | None:
    text = corpus.chosen()
    if text is None:
        return None
    return ask("neuron_plane", view.model, layer=site.layer, neuron=site.unit, corpus=text)


def draw(view: View, site: Site, grace: float) -> None:
    corpus.draw()
    request = question(view, site)
    if request is None:
        sentence(corpus.GONE, "info")
        return
    found = answer(request, key="plane", grace=grace, height=420, bulk=True)
    if not isinstance(found, NeuronPlane):
        return
    panel(
        found,
        drawn(drawing.figure, found),
        key="plane",
        title=f"What {site} is made of: gate and up value" if found.gated else f"Input of {site}",
        help=HELP if found.gated else HELP_FLAT,
        caption=drawing.caption(found),
        python=as_code(request),
    )
    place = "quadrant" if found.gated else "input"
    contexts(
        [
            Context(tokens, _alone(len(tokens), at, value), at, f"{place} {quadrant}")
            for tokens, at, value, quadrant in zip(
                found.extreme_tokens,
                found.extreme_at,
                found.extreme_activation.tolist(),
                found.extreme_quadrant,
                strict=True,
            )
        ],
        key="plane_texts",
        label=f"The strongest tokens of {site} in each {place}",
        limit=float(abs(found.extreme_activation).max(initial=0.0)) or 1.0,
    )


def _alone(n: int, at: int, value: float) -> tuple[float, ...]:
    """The value at its token, nothing at the others: theirs is not in this answer."""
    return tuple(value if place == at else 0.0 for place in range(n))
