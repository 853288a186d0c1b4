"""Pairs of texts that say the same in two forms: languages, words and signs, other wordings.

The sets of the embedded models are in the words of the text these learned from; the others are
written for this project (CC0).
"""

from collections.abc import Mapping, Sequence

from core.corpus.cyclic_tasks import TASKS
from core.corpus.world.words import MONTHS, NUMBERS, TRANSLATIONS, capital
from core.spec.concept_set import SLOT, ConceptSet, Group
from core.spec.errors import Error

OWN = "Written for this project."
TEXTS = (SLOT,)  # each stands alone

_CODE = (
    ("print the word hello", 'print("hello")'),
    ("add one to x", "x = x + 1"),
    ("the length of the list", "len(items)"),
    ("if a is greater than b", "if a > b:"),
    ("for every number from zero to nine", "for i in range(10):"),
    ("return the sum of a and b", "return a + b"),
    ("import the math library", "import math"),
    ("the square root of sixteen", "math.sqrt(16)"),
    ("x is equal to y", "x == y"),
    ("an empty list", "items = []"),
    ("the first element of the list", "items[0]"),
    ("define a function with one argument", "def f(x):"),
    ("while the queue is not empty", "while queue:"),
    ("the largest of the numbers", "max(numbers)"),
    ("open the file for reading", 'open(path, "r")'),
    ("both conditions hold", "a and b"),
)
_OTHERWISE = (
    ("The shop opens at nine", "Nine is when the store starts its day"),
    ("She did not like the film", "The movie was not to her taste"),
    ("He runs faster than his brother", "His brother is slower on his feet"),
    ("It will rain tomorrow", "Wet weather is expected the next day"),
    ("The soup is too hot to eat", "One cannot yet eat the soup, it burns"),
    ("They moved to a smaller house", "Their new home has less room"),
    ("The train was an hour late", "We waited sixty minutes for the train"),
    ("He forgot his keys at work", "His keys were left at the office"),
    ("The baby is finally asleep", "At last the little one is sleeping"),
    ("The price of bread has doubled", "Bread costs twice what it did"),
    ("She speaks three languages", "There are three tongues she can talk in"),
    ("The bridge is closed for repairs", "Workers are mending the bridge, nobody may cross"),
    ("Nobody answered the phone", "The telephone rang and was not picked up"),
    ("He has been ill for a week", "For seven days he has not been well"),
    ("The team won its last game", "Their final match ended in victory"),
    ("The garden needs water", "The plants outside are dry"),
)


def _last(text: str) -> str:
    """A word without its article."""
    return text.replace("'", " ").rsplit(" ", maxsplit=1)[-1]


def _languages() -> ConceptSet:
    # A word that is spelled alike in two of them would be found by its token.
    spelled = [tuple(map(_last, row)) for row in TRANSLATIONS]
    nouns = [
        row
        for row, words in zip(TRANSLATIONS, spelled, strict=True)
        if (" " in row[1] or "'" in row[1]) and len(set(words)) == 3
    ]
    seen = [(f"I see the {a}", f"Je vois {b}", f"Veo {c}") for a, b, c in nouns]
    said = [(capital(a), _last(b)) for a, b, _ in TRANSLATIONS]
    groups = [
        _group("English and French", [row[:2] for row in seen]),
        _group("English and Spanish", [(one, three) for one, _, three in seen]),
        _group("French and Spanish", [row[1:] for row in seen]),
        _group(
            "a translation said in two ways",
            [(f"{a} is {b} in French", f"In French, {b} means {a.lower()}") for a, b in said],
        ),
    ]
    return ConceptSet(
        "embedded: languages and translations", "pairs", tuple(groups), TEXTS, "embedded",
        "The same in two languages, or the same translation in two sentences.", OWN, "Apache-2.0",
    )  # fmt: skip


def _sums() -> ConceptSet:
    two = [(total // 2, total - total // 2) for total in range(2, 19)]  # each sum once
    plus = [f"{capital(NUMBERS[a])} plus {NUMBERS[b]} is" for a, b in two]
    sum_of = [f"The sum of {NUMBERS[a]} and {NUMBERS[b]} is" for a, b in two]
    add = [f"If you add {NUMBERS[a]} and {NUMBERS[b]}, you get" for a, b in two]
    one, other = TASKS["embedded: months"], MONTHS
    months = [
        (one.prompt(start, step), f"It is {other[start]}. {NUMBERS[step + 2].capitalize()} months "
         "later it will be")
        for start, step in ((start, start % 10) for start in range(12))
    ]  # fmt: skip
    groups = [
        _group("plus and sum of", list(zip(plus, sum_of, strict=True))),
        _group("plus and if you add", list(zip(plus, add, strict=True))),
        _group("months after and later", months),
    ]
    return ConceptSet(
        "embedded: sums and dates asked in two ways", "pairs", tuple(groups), TEXTS, "embedded",
        "The same sum or the same date asked for in two sentences.", OWN, "Apache-2.0",
    )  # fmt: skip


def _forms() -> ConceptSet:
    numbers = [(word, str(number)) for number, word in enumerate(NUMBERS)]
    two = [(a, b) for a in (2, 3, 5, 7) for b in (1, 4, 6, 8)]
    sums = [(f"{NUMBERS[a]} plus {NUMBERS[b]}", f"{a} + {b}") for a, b in two]
    groups = [
        _group("numbers in words and digits", numbers),
        _group("sums in words and signs", sums),
        _group("words and code", list(_CODE)),
        _group("other words", list(_OTHERWISE)),
    ]
    return ConceptSet(
        "forms", "pairs", tuple(groups), TEXTS, "",
        "The same in words, digits, code, or other words.", OWN, "CC0-1.0",
    )  # fmt: skip


def _group(name: str, pairs: Sequence[tuple[str, ...]]) -> Group:
    return Group(name, tuple(one for one, _ in pairs), tuple(other for _, other in pairs))


FORMS: Mapping[str, ConceptSet] = {one.name: one for one in (_languages(), _sums(), _forms())}


def forms(name: str) -> ConceptSet:
    """A set of pairs in two forms by name. Raises `Error`."""
    if name not in FORMS:
        raise Error(f"no pairs in two forms {name[:40]!r}; there are {', '.join(FORMS)}")
    return FORMS[name]
