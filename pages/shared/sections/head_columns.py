"""The page Heads one part below the other, for several models beside each other."""

from dataclasses import dataclass, field

import streamlit as st

from pages.shared import sides, state
from pages.shared.sections import (
    corpus,
    head_card,
    head_map,
    head_more,
    head_scores,
    head_table,
)
from pages.shared.sections.beside import Row
from pages.shared.sections.head_scores import Atlas
from pages.shared.sections.view import Patience, View


def rows() -> tuple[Row, ...]:
    """The parts in their order, for one run of the page."""
    return Columns().rows()


@dataclass(slots=True)
class Column:
    """What the upper rows of one model's column have found for the lower ones."""

    shown: str
    atlas: Atlas = field(default_factory=Atlas)
    at: tuple[int, int] | None = None
    looked: str = ""


class Columns:
    """The same views one below the other, where several models stand beside each other."""

    def __init__(self) -> None:
        self._of: dict[str, Column] = {}

    def rows(self) -> tuple[Row, ...]:
        parts = (self._choices, self._map, self._card, self._plane, self._table)
        return (*parts, self._choice, self._more)

    def _here(self) -> Column:
        return self._of[sides.here().letter]

    def _choices(self, view: View, _: Patience) -> None:
        head_scores.ask_ahead(view)
        with st.container(horizontal=True, vertical_alignment="bottom"):
            head_scores.choice()
            shown = head_map.choice(view, Atlas(), name="heads", label="Colour", role=True)
        if state.workspace().choice("scored") == "corpus":
            corpus.draw()
        self._of[sides.here().letter] = Column(shown)

    def _map(self, view: View, patience: Patience) -> None:
        here = self._here()
        here.atlas = head_scores.gathered(view, patience.left())
        here.at = self._selected(here.atlas)
        head_map.draw(here.atlas, here.shown, here.at)

    def _selected(self, atlas: Atlas) -> tuple[int, int] | None:
        """The selected head; while none is, that of A in every model of A's shape."""
        a = self._of.get(sides.LETTERS[0])
        nothing = state.workspace().selection.head is None
        if nothing and atlas.scores and a is not None and a.at and sides.here().alike:
            return a.at
        return head_map.selected(atlas)

    def _card(self, view: View, _: Patience) -> None:
        if at := self._here().at:
            head_card.draw(view, self._here().atlas, at)

    def _plane(self, view: View, _: Patience) -> None:
        if at := self._here().at:
            head_table.plane(view, self._here().atlas, self._here().shown, at)

    def _table(self, *_: object) -> None:
        if self._here().at:
            head_table.table(self._here().atlas, self._here().shown)

    def _choice(self, view: View, _: Patience) -> None:
        if self._here().at:
            self._here().looked = head_more.choice(view)

    def _more(self, view: View, patience: Patience) -> None:
        here = self._here()
        if here.at:
            head_more.draw(here.looked, view, here.atlas, here.at, patience)
