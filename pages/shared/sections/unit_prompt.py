"""What the chosen unit does on the prompt: the token strip, coloured by its activation."""

import numpy as np

from core.figures.wording import count, number
from core.jobs import Job
from core.results.unit_values import UnitValues
from core.spec.request import Request
from core.spec.site import Site
from pages.shared import state
from pages.shared.panels import answer, drawn_again
from pages.shared.sections.framed import foot, framed
from pages.shared.sections.neuron_card import largest
from pages.shared.sections.view import View, as_code
from pages.shared.tokens import token_strip

HELP = (
    "The activation of this unit at every token of the prompt, under the clamps that are on. "
    "Colour is its share of the largest activation here or on the reference text, whichever is "
    "larger. Click a token to select it on every page."
)


def question(view: View, site: Site) -> Request:
    return view.ask("unit_values", at=str(site))


def draw(view: View, site: Site, measured: Job, grace: float) -> None:
    """The strip; `measured` finds the unit's observed maximum, which is not waited for."""
    request = question(view, site)
    found = answer(request, key="values", grace=grace, height=160)
    if not isinstance(found, UnitValues):
        return
    with framed(f"{site} on the prompt", HELP, key="values", shows=_facts(found, view.token)):
        token_strip(
            found.tokens,
            key="values_strip",
            label=f"Activation of {site} at each token; choose one",
            on_pick=lambda index: state.select(token=int(index)),
            picked=view.token,
            special=found.special,
            values=found.value,
            limit=max(largest(measured), float(np.abs(found.value).max())) or None,
        )
        foot(found, _caption(found), key="values", python=as_code(request))
    drawn_again(measured)


def _facts(found: UnitValues, token: int) -> str:
    here = f"{number(found.value[token])} at the selected token"
    if np.array_equal(found.clean, found.value):
        return here
    return f"{here}, {number(found.clean[token])} without the clamps"


def _caption(found: UnitValues) -> str:
    return (
        f"control: the middle |activation| of {count(found.n_others, 'other unit')} of the layer "
        f"is {number(np.median(found.typical))}; {count(len(found.tokens), 'token')}"
    )
