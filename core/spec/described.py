"""Descriptions and the words they mean, as plain data."""

from dataclasses import dataclass

WORDNET, FACTS = "WordNet descriptions", "embedded: facts"
ITEM_SETS = (WORDNET, FACTS)  # built in
ARROW, END = " ⇒", "\n"


@dataclass(frozen=True, slots=True)
class Item:
    """A description, the word it means, its category ("" for none), and words as good."""

    description: str
    word: str
    category: str = ""
    synonyms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Items:
    """Items of one kind.

    arrow  stands between a description and its word; end  behind the word of a demonstration
    """

    name: str
    items: tuple[Item, ...]
    arrow: str = ARROW
    end: str = END
    source: str = ""
    licence: str = ""
