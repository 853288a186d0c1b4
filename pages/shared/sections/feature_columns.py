"""The page Features one part below the other, for several models beside each other."""

from dataclasses import dataclass

from pages.shared import sides
from pages.shared.sections import feature_book, feature_ways
from pages.shared.sections.beside import Row
from pages.shared.sections.feature_book import Book
from pages.shared.sections.view import Patience, View


def rows() -> tuple[Row, ...]:
    """The parts in their order, for one run of the page."""
    return Columns().rows()


@dataclass(slots=True)
class Column:
    """What the upper rows of one model's column have found for the lower ones."""

    book: Book | None
    way: str = ""
    feature: int | None = None
    asks: str = ""


class Columns:
    """The same views one below the other, where several models stand beside each other."""

    def __init__(self) -> None:
        self._of: dict[str, Column] = {}

    def rows(self) -> tuple[Row, ...]:
        return self._book, self._way, self._found, self._card, self._ask, self._asked

    def _here(self) -> Column:
        return self._of[sides.here().letter]

    def _one(self) -> bool:
        """Is one feature looked for here?"""
        here = self._here()
        return here.book is not None and here.way not in feature_ways.WHOLE

    def _book(self, view: View, patience: Patience) -> None:
        self._of[sides.here().letter] = Column(feature_book.draw(view, patience.left()))

    def _way(self, *_: object) -> None:
        self._here().way = feature_ways.choice()

    def _found(self, view: View, patience: Patience) -> None:
        here = self._here()
        if here.book is None or not self._one():
            feature_ways.whole(view, here.book, here.way, patience)
        else:
            feature_ways.draw(view, here.book, here.way, patience)

    def _card(self, view: View, patience: Patience) -> None:
        here = self._here()
        if here.book is not None and self._one():
            here.feature = feature_ways.card(view, here.book, patience)

    def _ask(self, *_: object) -> None:
        if self._here().feature is not None:
            self._here().asks = feature_ways.ask()

    def _asked(self, view: View, patience: Patience) -> None:
        here = self._here()
        if here.book is not None and here.feature is not None:
            feature_ways.asked(view, here.book, here.feature, here.asks, patience)
