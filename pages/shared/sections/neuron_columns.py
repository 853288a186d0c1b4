"""The page Neurons one part below the other, for several models beside each other."""

from dataclasses import dataclass

from core.spec.request import Request
from core.spec.site import Site
from pages.shared import sides, state
from pages.shared.notices import sentence
from pages.shared.panels import asked
from pages.shared.sections import (
    clamping,
    explanation,
    finding,
    neuron_card,
    neuron_more,
    unit_prompt,
)
from pages.shared.sections.beside import Row
from pages.shared.sections.view import NEURONS, Patience, View


def rows() -> tuple[Row, ...]:
    """The parts in their order, for one run of the page."""
    return Columns().rows()


def ask_ahead(view: View, site: Site) -> None:
    """Ask about the neuron before anything is waited for: the card first, what is slow last.

    What is still being worked out about the neuron before is let go by this.
    """
    asked().ask("card", neuron_card.question(view, site))
    asked().ask("values", unit_prompt.question(view, site))
    neuron_card.measured(view, site)
    for key, request in slow(view, site).items():
        asked().ask(key, request)


def slow(view: View, site: Site) -> dict[str, Request]:
    """What the open tab will ask that does not give way by itself, by key."""
    match state.workspace().choice("about"):
        case "causes":
            return clamping.questions(view, site)
        case "explain" if claim := explanation.question(view, site):
            return {"claim": claim}
    return {}


@dataclass(slots=True)
class Column:
    """What the upper rows of one model's column have found for the lower ones."""

    site: Site
    width: int
    about: str = ""


class Columns:
    """The same views one below the other, where several models stand beside each other."""

    def __init__(self) -> None:
        self._of: dict[str, Column] = {}

    def rows(self) -> tuple[Row, ...]:
        return self._line, self._found, self._card, self._prompt, self._choice, self._more

    def _here(self) -> Column | None:
        return self._of.get(sides.here().letter)

    def _line(self, view: View, _: Patience) -> None:
        if why := view.missing(NEURONS):
            sentence(why, "info")
        else:
            finding.line(view)

    def _found(self, view: View, patience: Patience) -> None:
        found = None if view.missing(NEURONS) else finding.draw(view, patience.left())
        if found is None:
            return
        a = self._of.get(sides.LETTERS[0])
        layer, neuron = finding.selected(*found)
        site = Site(layer, "neuron", neuron, stack=view.stack)
        if a is not None and state.workspace().selection.neuron is None and sides.here().alike:
            site = a.site  # while none is selected, that of A in every model of A's shape
        self._of[sides.here().letter] = Column(site, found[0].z.shape[1])
        ask_ahead(view, site)

    def _card(self, view: View, patience: Patience) -> None:
        if here := self._here():
            neuron_card.draw(view, here.site, here.width, patience.left())

    def _prompt(self, view: View, patience: Patience) -> None:
        if here := self._here():
            measured = neuron_card.measured(view, here.site)
            unit_prompt.draw(view, here.site, measured, patience.left())

    def _choice(self, view: View, _: Patience) -> None:
        if here := self._here():
            here.about = neuron_more.choice(view)

    def _more(self, view: View, patience: Patience) -> None:
        if here := self._here():
            neuron_more.draw(here.about, view, here.site, patience)
