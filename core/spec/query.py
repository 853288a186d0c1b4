"""What a person types into a search line: words, texts in quotes, or a /pattern/.

dog                  a word, with its forms (blank in front, capital, plural)
dog cat, horse       several words
" dog"               exactly this text, blanks and all
/ing$/   /^DOG/i     a regular expression; i ignores case
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.spec.errors import Error

MOST_CHARACTERS, MOST_WORDS = 2_000, 100
_QUOTES = str.maketrans("“”„«»", '"""""')
_PARTS = re.compile(r'"([^"]*)"|([^\s,;"]+)')


@dataclass(frozen=True, slots=True)
class Word:
    """One thing asked for; `exact` means this very text and no other form of it."""

    text: str
    exact: bool = False


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression over tokens."""

    text: str
    ignore_case: bool = False


def parse(query: str) -> tuple[Word, ...] | Pattern:
    """The words or the pattern of a search line. Raises `Error` with a sentence."""
    if not isinstance(query, str):
        raise Error(f"a query is a text, not a {type(query).__name__}")
    if len(query) > MOST_CHARACTERS:
        raise Error(f"the query has {len(query):,} characters; at most {MOST_CHARACTERS:,}")
    line = query.encode("utf-8", "replace").decode().strip()
    pattern = re.fullmatch(r"/(.*)/(i?)", line, re.DOTALL)
    if pattern:
        return Pattern(pattern[1], bool(pattern[2]))
    line = line.translate(_QUOTES)
    if line.count('"') % 2:
        raise Error(
            'a quotation mark is opened and not closed; close it, or search for the mark with /"/'
        )
    words = tuple(
        Word(quoted, exact=True) if quoted else Word(plain)
        for quoted, plain in _PARTS.findall(line)
        if quoted or plain
    )
    return checked(words)


def listed(words: Sequence[object]) -> tuple[Word, ...]:
    """Words given as a list (a concept's); blanks around a word are cut."""
    texts = [] if isinstance(words, str) else [word for word in words if isinstance(word, str)]
    if len(texts) != len(words):
        raise Error('words are a list of texts: ["dog", "cat"]')
    clean = (text.encode("utf-8", "replace").decode().strip() for text in texts)
    return checked(tuple(Word(word) for word in clean if word))


def checked(words: tuple[Word, ...]) -> tuple[Word, ...]:
    """Each word once, in order. Raises `Error` for none and for too many."""
    once = tuple(dict.fromkeys(words))
    if not once:
        raise Error("the search is empty; write a word, several words, or a /pattern/")
    if len(once) > MOST_WORDS:
        raise Error(f"the search has {len(once):,} words; at most {MOST_WORDS} at a time")
    return once
