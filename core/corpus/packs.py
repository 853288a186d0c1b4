"""Task packs: small tasks whose answer is one token of the model at hand."""

import csv
import json
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from core.corpus.chunks import around
from core.home import ASSETS
from core.models.loaded import Loaded
from core.models.tokens import decode, known_ids, pieces
from core.models.words import token_texts
from core.spec.errors import Error
from core.spec.task_packs import TASK_PACKS

FOLDER = ASSETS / "heads" / "packs"
SEQUENCES = ASSETS / "sequences"
COPY = 30  # tokens of one copy of repeated random ones
LEAST_COPY = 3
SHOWN = 3  # items of a succession in front of the answer
FILLER = 4  # neutral sentences on either side of the word to find
N_GENERATED = 120  # cases of a generated task
# Lists whose order everybody knows; the others are for single heads.
ORDERED = ("digits_1_200", "number_words_1_20", "days", "months", "letters_upper")


@dataclass(frozen=True)
class Case:
    """One question: token ids of a prompt, and the token that answers it.

    `counterfactual` is a prompt whose right answer is `other`; () where there is none. `other` may
    stand without it: the answer that the task tempts to; -1 for none.
    """

    ids: tuple[int, ...]
    answer: int
    counterfactual: tuple[int, ...] = ()
    other: int = -1

    @property
    def aligned(self) -> bool:
        """Both prompts have as many tokens, so states can be moved between them."""
        return len(self.ids) == len(self.counterfactual)


@dataclass(frozen=True)
class Pack:
    """The cases of a task that fit a model; `n_written` is how many there were before."""

    name: str
    about: str
    cases: tuple[Case, ...]
    n_written: int


@dataclass(frozen=True)
class _Text:
    """A case as written; answers are what follows the prompt, blank included."""

    prompt: str
    answer: str
    counterfactual: str = ""
    other: str = ""


def pack_names() -> tuple[str, ...]:
    """All tasks there are."""
    return tuple(_PACKS)


def pack(loaded: Loaded, name: str) -> Pack:
    """The cases of a task whose answers are single tokens of this model; once per model.

    Raises `Error` for a name unknown, a model that foretells no next token, and where no case fits.
    """
    if name not in _PACKS:
        raise Error(f"no task {str(name)[:40]!r}; there are {', '.join(_PACKS)}")
    if loaded.kind != "decoder" or loaded.head is None:
        raise Error(
            f"tasks are answered by the next token, and {loaded.name} ({loaded.kind}) does not "
            "continue a text; use a decoder"
        )
    key = ("task_pack", name)
    if key not in loaded.memo:
        cases, n = _PACKS[name](loaded)
        loaded.memo[key] = Pack(name, TASK_PACKS[name], cases, n)
    found: Pack = loaded.memo[key]
    if not found.cases:
        raise Error(
            f"none of the {found.n_written} cases of {name} has an answer that is one token of "
            f"{loaded.name} and a prompt that fits its context; choose another task"
        )
    return found


def pack_sizes(loaded: Loaded) -> dict[str, tuple[int, int]]:
    """(cases that fit the model, cases written) of every task; (0, written) where none fits."""
    found = {}
    for name, read in _PACKS.items():
        try:
            found[name] = (len(pack(loaded, name).cases), pack(loaded, name).n_written)
        except Error:
            found[name] = (0, read(loaded)[1])
    return found


def beginning(loaded: Loaded) -> tuple[int, ...]:
    """Special tokens in front of a prompt: the tokenizer's, else one that begins or ends a text."""
    before, _ = around(loaded)
    if before:
        return before
    marks: list[int | None] = [loaded.tokenizer.bos_token_id, loaded.tokenizer.eos_token_id]
    return tuple(mark for mark in marks if mark is not None and mark < loaded.d_vocab)[:1]


def plain_ids(loaded: Loaded, text: str) -> list[int]:
    """Token ids of a text without special tokens."""
    return [int(token) for token in loaded.tokenizer(text, add_special_tokens=False)["input_ids"]]


def next_token(loaded: Loaded, prompt: str, answer: str) -> int | None:
    """The one token that continues the prompt with the answer; None where it takes several."""
    before, whole = plain_ids(loaded, prompt), plain_ids(loaded, prompt + answer)
    one = len(whole) == len(before) + 1 and whole[:-1] == before
    if not one or whole[-1] >= known_ids(loaded) or whole[-1] == loaded.tokenizer.unk_token_id:
        return None
    # A piece that stands for any unknown text would be "one token" too.
    return whole[-1] if decode(loaded, whole[-1:]).strip() == answer.strip() else None


def words(loaded: Loaded) -> list[int]:
    """Tokens that are whole words of the vocabulary, ascending; any token where these are few."""
    ids, texts = token_texts(loaded)
    marks = {loaded.tokenizer.unk_token_id, *loaded.tokenizer.all_special_ids}
    kept = [(token, text) for token, text in zip(ids, texts, strict=True) if token not in marks]
    found = [
        token
        for token, text in kept
        if len(text.strip()) > 1 and text.strip().isalnum() and pieces(loaded, [token])[0] == text
    ]
    found = found if len(found) > 2 * LEAST_COPY else [token for token, _ in kept]
    if len(found) < 2 * LEAST_COPY:
        raise Error(f"the vocabulary of {loaded.name} has too few words to repeat")
    return sorted(found)


def _fitting(loaded: Loaded, texts: Iterable[_Text]) -> tuple[tuple[Case, ...], int]:
    written = list(texts)
    found = (_case(loaded, each) for each in written)
    return tuple(case for case in found if case is not None), len(written)


def _case(loaded: Loaded, text: _Text) -> Case | None:
    """The case as tokens; None where an answer is not one token, or the prompt is too long."""
    answer = next_token(loaded, text.prompt, text.answer)
    asked = text.counterfactual or text.prompt
    other = next_token(loaded, asked, text.other) if text.other else -1
    if answer is None or other is None or answer == other:
        return None
    ids = (*beginning(loaded), *plain_ids(loaded, text.prompt))
    counterfactual: tuple[int, ...] = ()
    if text.counterfactual:
        counterfactual = (*beginning(loaded), *plain_ids(loaded, text.counterfactual))
    if loaded.n_ctx and max(len(ids), len(counterfactual)) >= loaded.n_ctx:
        return None
    return Case(ids, answer, counterfactual, other)


def _repeated(loaded: Loaded) -> tuple[tuple[Case, ...], int]:
    """ "BOS r r" cut inside the second copy; in the counterfactual the first copy goes on else."""
    ids, front, draw = words(loaded), beginning(loaded), random.Random(0)
    copy = min(COPY, len(ids) // 2, ((loaded.n_ctx or 10**6) - len(front)) // 2)
    if copy < LEAST_COPY:
        return (), N_GENERATED
    cases = []
    for _ in range(N_GENERATED):
        *row, other = draw.sample(ids, copy + 1)
        at = draw.randrange(1, copy)
        changed = [*row[:at], other, *row[at + 1 :]]
        second = row[:at]
        cases.append(Case((*front, *row, *second), row[at], (*front, *changed, *second), other))
    return tuple(cases), N_GENERATED


def _indirect_objects(loaded: Loaded) -> tuple[tuple[Case, ...], int]:
    """The published prompts, and our own with names the model may have as tokens."""
    made, draw = _made(), random.Random(0)
    names = json.loads((SEQUENCES / "names.json").read_text(encoding="utf-8"))
    names = [name for name in names if next_token(loaded, "Then", f" {name}") is not None]
    texts = list(_from_file("indirect_objects.csv"))
    for _ in range(N_GENERATED if len(names) > 1 else 0):
        one, two = draw.sample(names, 2)
        template, thing = draw.choice(made["giving"]), draw.choice(made["things"])
        place = draw.choice(made["places"])
        prompt, changed = (
            template.format(one=one, two=two, giver=giver, thing=thing, place=place)
            for giver in (one, two)
        )
        texts.append(_Text(prompt, f" {two}", changed, f" {one}"))
    return _fitting(loaded, texts)


def _colours(loaded: Loaded) -> tuple[tuple[Case, ...], int]:
    """The published questions, and our own whose answers have no capital."""
    made, draw = _made(), random.Random(0)
    texts = list(_from_file("colours.csv"))
    for _ in range(N_GENERATED):
        things, colours = draw.sample(made["things"], 3), draw.sample(made["colours"], 3)
        parts = [f"the {a} is {b}" for a, b in zip(things, colours, strict=True)]
        said = f"{parts[0].capitalize()}, {parts[1]} and {parts[2]}. The colour of the"
        at, other = draw.sample(range(3), 2)
        prompt, changed = (f"{said} {things[place]} is" for place in (at, other))
        texts.append(_Text(prompt, f" {colours[at]}", changed, f" {colours[other]}"))
    return _fitting(loaded, texts)


def _made() -> dict[str, Any]:
    """Words and templates that tasks are generated from."""
    made: dict[str, Any] = json.loads((FOLDER / "words.json").read_text(encoding="utf-8"))
    return made


def _from_file(name: str) -> Iterator[_Text]:
    for row in _rows(name):
        yield _Text(row["prompt"], f" {row['answer']}", row["counterfactual"], f" {row['other']}")


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _successions(loaded: Loaded) -> tuple[tuple[Case, ...], int]:
    """ "Monday, Tuesday, Wednesday," and the same from another start."""
    lists = json.loads((SEQUENCES / "sequences.json").read_text(encoding="utf-8"))
    draw = random.Random(0)
    texts = []
    for name in ORDERED:
        items, cyclic = lists[name]["items"], lists[name]["cyclic"]
        starts = range(len(items) if cyclic else len(items) - SHOWN)
        for start in draw.sample(starts, min(len(starts), N_GENERATED // len(ORDERED))):
            other = draw.choice([place for place in starts if place != start])
            (prompt, answer), (changed, instead) = (
                _counted(items, place) for place in (start, other)
            )
            texts.append(_Text(prompt, answer, changed, instead))
    return _fitting(loaded, texts)


def _counted(items: list[str], start: int) -> tuple[str, str]:
    *shown, last = (items[(start + step) % len(items)] for step in range(SHOWN + 1))
    return ", ".join(shown) + ",", f" {last}"


def _needles(loaded: Loaded) -> tuple[tuple[Case, ...], int]:
    """A password among neutral sentences, then asked for; the counterfactual has another one."""
    made, neutral, draw = _made(), haystack(), random.Random(0)
    texts = []
    for _ in range(N_GENERATED):
        place = draw.choice(made["places"])
        word, other = draw.sample(made["words"], 2)
        filler = draw.sample(neutral, 2 * FILLER)
        prompt, changed = (
            " ".join(
                [
                    *filler[:FILLER],
                    made["needle"].format(place=place, word=each),
                    *filler[FILLER:],
                    made["question"].format(place=place),
                ]
            )
            for each in (word, other)
        )
        texts.append(_Text(prompt, f" {word}", changed, f" {other}"))
    return _fitting(loaded, texts)


def haystack() -> list[str]:
    """Neutral sentences in their order."""
    text = " ".join((FOLDER / "haystack.txt").read_text(encoding="utf-8").split())
    return [f"{part.strip()}." for part in text.split(".") if part.strip()]


def _context(loaded: Loaded) -> tuple[tuple[Case, ...], int]:
    """A false fact, then its question: the context says one thing, the weights another."""
    texts = (
        _Text(
            f"Redefine: {row['prompt']} {row['new']}. {row['prompt']}",
            f" {row['new']}",
            f"Redefine: {row['prompt']} {row['true']}. {row['prompt']}",
            f" {row['true']}",
        )
        for row in _rows("facts.csv")
    )
    return _fitting(loaded, texts)


def _facts(loaded: Loaded) -> tuple[tuple[Case, ...], int]:
    """The same questions without a context; `other` is the attribute that is wrong."""
    texts = (
        _Text(row["prompt"], f" {row['true']}", other=f" {row['new']}")
        for row in _rows("facts.csv")
    )
    return _fitting(loaded, texts)


_PACKS: dict[str, Callable[[Loaded], tuple[tuple[Case, ...], int]]] = {
    "repeated_tokens": _repeated,
    "indirect_objects": _indirect_objects,
    "successions": _successions,
    "needle_in_text": _needles,
    "colours": _colours,
    "facts_against_context": _context,
    "facts": _facts,
}
