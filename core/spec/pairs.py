"""Minimal pairs as plain data: an acceptable text beside one that differs from it in one thing."""

from collections.abc import Iterable
from dataclasses import dataclass

from core.spec.errors import Error
from core.spec.labelled import MAX_TEXT, short

MOST = 2_000  # pairs
LEAST = 4

# The sets that come with the program, by name: what differs.
PAIR_SETS: dict[str, str] = {
    "kinds": "A dog is a mammal / A robin is a mammal: another word, of a near kind or a far one",
    "capitals": "The capital of France is Paris / The capital of Spain is Paris",
    "agreement": "The dogs are here / The dog are here: number of the noun",
    "gender": "Anna went home. Then she / Tom went home. Then she: who is meant",
    "verdicts": "The food was great. It was good / The food was awful. It was good",
}


@dataclass(frozen=True, slots=True)
class PairSet:
    """Pairs (good[i], bad[i]).

    groups  one a pair: pairs of one group stay on one side of every split
    kinds   one a pair: how the two differ, as "near" and "far"; scored apart
    prompt  how a model is asked about a text ("{} True or false? It is"), "" for not at all
    answers what it says of a good and of a bad text
    """

    name: str
    good: tuple[str, ...]
    bad: tuple[str, ...]
    groups: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    prompt: str = ""
    answers: tuple[str, str] = ("true", "false")
    about: str = ""

    def __post_init__(self) -> None:
        for name in ("good", "bad", "groups", "kinds"):
            given = getattr(self, name)
            if isinstance(given, str) or not isinstance(given, Iterable):
                raise Error(f"{name}= of minimal pairs is a list, one for each pair")
            object.__setattr__(self, name, tuple(given))
        self._check_texts()
        for name in ("groups", "kinds"):
            given = getattr(self, name)
            if given and len(given) != len(self.good):
                raise Error(f"{len(self.good):,} pairs and {len(given):,} {name}; give one each")
        if self.prompt and self.prompt.count("{}") != 1:
            raise Error("prompt= holds {} once, where the text stands: '{} True or false? It is'")

    def _check_texts(self) -> None:
        if len(self.good) != len(self.bad):
            raise Error(
                f"{len(self.good):,} acceptable and {len(self.bad):,} unacceptable texts; a pair "
                "needs one of each, line by line"
            )
        if not LEAST <= len(self.good) <= MOST:
            raise Error(f"{len(self.good):,} pairs; give {LEAST} to {MOST:,}")
        for number, pair in enumerate(zip(self.good, self.bad, strict=True), start=1):
            for text in pair:
                if not isinstance(text, str) or not text.strip():
                    raise Error(f"pair {number} lacks a text; both sides of it are needed")
                if len(text) > MAX_TEXT:
                    raise Error(f"pair {number} has a text of {len(text):,} characters; shorten it")
            if pair[0] == pair[1]:
                raise Error(f"both texts of pair {number} are {short(pair[0])}; they must differ")


def read_lines(text: str, mark: str = "|") -> PairSet:
    """Pairs typed one a line, "acceptable | unacceptable"."""
    good, bad = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        one, found, other = line.partition(mark)
        if not found or mark in other:
            raise Error(f"line {number} is not 'acceptable {mark} unacceptable': {short(line)}")
        good.append(one.strip())
        bad.append(other.strip())
    return PairSet("own pairs", tuple(good), tuple(bad))
