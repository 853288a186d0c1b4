"""What each score of a head asks about: target keys by position and token, classes of tokens."""

import string
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from core.analyses.head_texts import HeadTexts
from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.models.words import read_word
from core.spec.query import listed
from kernels.head_stats import Runs
from kernels.head_stats.targets import after_same_two, at, back, equal, near

_FUNCTION_WORDS = (
    "a an the and or but if of to in on at by for from with as into than then so that this these",
    "those it its he him his she her they them their we us our you your i me my is are was were be",
    "been am do does did has have had not no will would can could shall should may might must",
    "there here when where which who what how",
)
STOP_WORDS = frozenset(word for line in _FUNCTION_WORDS for word in line.split())
TOPICS: tuple[tuple[str, ...], ...] = tuple(
    tuple(line.split())
    for line in (
        "mother father mom dad son daughter brother sister family baby child children parents",
        "cat dog bird fish horse cow pig sheep lion bear rabbit mouse duck animal animals",
        "food eat ate bread cake apple milk meat soup tea cook hungry dinner lunch fruit",
        "red blue green yellow black white brown pink orange purple grey colour color",
        "sun rain snow wind cloud clouds storm sky weather cold hot warm winter summer",
        "house home door room window wall kitchen bed garden roof floor table chair",
        "one two three four five six seven eight nine ten hundred thousand",
        "head hand hands eye eyes face foot feet arm leg nose mouth hair ear ears heart",
        "king queen prince princess castle war army soldier sword crown",
        "day night morning evening week month year hour today tomorrow yesterday time",
        "car train boat ship bus road street drive drove travel bike plane",
        "school teacher book books read write learn student lesson class paper",
    )
)
RARE = 0.1  # of the tokens of the texts


def target_kinds(
    loaded: Loaded, rows: Rows, texts: HeadTexts, topics: Sequence[Sequence[str]] = ()
) -> dict[str, Runs]:
    """The target keys of every kind that asks about places or equal tokens, for these rows."""
    ids = rows.ids
    found = {
        "previous_token": back(ids, 1),
        "current_token": back(ids, 0),
        "first_token": at(ids, 0),
        "duplicate_token": equal(ids),
        "induction": equal(ids, behind=1),
        "induction_two": after_same_two(ids),
    }
    if loaded.kind != "decoder":
        found["next_token"] = back(ids, -1)
    if texts.copy:
        for name, distance in (("induction_stripe", -1), ("duplicate_stripe", 0)):
            found[name] = _stripe(ids, texts, texts.copy + distance)
    elif texts.source:
        known = [pieces(loaded, row) for row in ids.tolist()]
        found["same_word"] = _same_word(known, ids)
        found["same_topic"] = equal(_topics(known, topics or TOPICS, ids))
    return found


def prefix_kind(rows: Rows, texts: HeadTexts) -> dict[str, Runs]:
    """What followed earlier copies, for queries from the second copy on."""
    order, first, n = equal(rows.ids, behind=1)
    places = torch.arange(rows.ids.shape[1], device=rows.ids.device)
    begin = texts.before + texts.copy
    inside = (places >= begin) & (places < begin + texts.copy * 3)
    return {"prefix_matching": Runs(order, first, n * inside)}


def _stripe(ids: Tensor, texts: HeadTexts, distance: int) -> Runs:
    """The key at a fixed distance, for the queries of the second copy."""
    places = torch.arange(ids.shape[1], device=ids.device)
    begin = texts.before + texts.copy
    inside = (places >= begin) & (places < begin + texts.copy)
    keys = places - distance
    return near(ids, keys, torch.where(inside, keys, keys - 1))


def _same_word(known: Sequence[Sequence[str]], ids: Tensor) -> Runs:
    """From the first piece of a word to the piece before the query."""
    pieces_marked = any(piece.startswith("##") for row in known for piece in row)
    blanks_marked = _blanks_marked(piece for row in known for piece in row)
    joins = _marked if pieces_marked else _unbroken if blanks_marked else _never
    begins = [_word_begins(row, joins) for row in known]
    first = torch.tensor(begins, device=ids.device)
    places = torch.arange(ids.shape[1], device=ids.device).expand_as(ids)
    return near(ids, first, places - 1)


def _word_begins(row: Sequence[str], joins: Callable[[str, str], bool]) -> list[int]:
    """For every piece, where its word begins."""
    begins: list[int] = []
    for place, piece in enumerate(row):
        begins.append(begins[-1] if place and joins(row[place - 1], piece) else place)
    return begins


def _marked(_: str, piece: str) -> bool:
    return piece.startswith("##")


def _unbroken(before: str, piece: str) -> bool:
    return piece[:1].isalnum() and before[-1:].isalnum()


def _never(_: str, __: str) -> bool:
    """A vocabulary of whole words, which marks neither pieces nor blanks."""
    return False


def _topics(known: Sequence[Sequence[str]], topics: Sequence[Sequence[str]], ids: Tensor) -> Tensor:
    """The topic each token's word belongs to, -1 for none."""
    number = {word.lower(): place for place, words in enumerate(topics) for word in words}
    blanks = _blanks_marked(piece for row in known for piece in row)
    found = [[number.get(_word(piece, blanks), -1) for piece in row] for row in known]
    return torch.tensor(found, device=ids.device)


def _blanks_marked(known: Iterable[str]) -> bool:
    """Whether pieces that begin a word begin with a blank."""
    return any(piece[:1].isspace() for piece in known)


def _word(piece: str, blanks: bool) -> str:
    """The word that a piece is or begins, in small letters; "" for one inside a word.

    Where words begin with a blank, one without is inside unless it has a capital.
    """
    inside = piece.startswith("##") or (blanks and not piece[:1].isspace() and piece.islower())
    return "" if inside else piece.strip().lower()


def class_kinds(
    loaded: Loaded, texts: HeadTexts, words: Sequence[str] = ()
) -> dict[str, frozenset[int]]:
    """Token ids of every class that occurs in ordinary texts; none in random tokens."""
    counts = Counter(token for row in texts.ids for token in row)
    special = set(loaded.tokenizer.all_special_ids)
    plain = [token for token in counts if token not in special]
    names = dict(zip(plain, pieces(loaded, plain), strict=True))
    found = {"special": frozenset(set(counts) & special)}
    if not texts.copy:
        found |= {
            name: frozenset(token for token, piece in names.items() if test(piece))
            for name, test in _CLASSES.items()
        }
        blanks = _blanks_marked(names.values())
        found["stop_word"] = frozenset(
            token for token, piece in names.items() if _word(piece, blanks) in STOP_WORDS
        )
        found["rare"] = _rarest(counts, texts.n_tokens)
    if words:
        found["chosen"] = _chosen(loaded, words)
    return {name: ids for name, ids in found.items() if ids}


def _rarest(counts: Counter[int], total: int) -> frozenset[int]:
    """The rarest tokens that make up a tenth of the texts; ties go to the lower id."""
    found, used = [], 0
    for token, count in sorted(counts.items(), key=lambda item: (item[1], item[0])):
        if used + count > RARE * total:
            break
        found.append(token)
        used += count
    return frozenset(found)


def _chosen(loaded: Loaded, words: Sequence[str]) -> frozenset[int]:
    readings = (read_word(loaded, word).readings for word in listed(words))
    return frozenset(token for every in readings for reading in every for token in reading)


def _is_punctuation(piece: str) -> bool:
    bare = piece.removeprefix("##").strip()
    return bool(bare) and all(sign in _PUNCTUATION for sign in bare)


def _is_newline(piece: str) -> bool:
    return "\n" in piece or piece == "<0x0A>"


_PUNCTUATION = frozenset(string.punctuation + "“”‘’–—…«»")
_CLASSES: Mapping[str, Callable[[str], bool]] = {
    "punctuation": _is_punctuation,
    "newline": _is_newline,
    "delimiter": lambda piece: _is_punctuation(piece) or _is_newline(piece),
    "digit": lambda piece: piece.removeprefix("##").strip().isdigit(),
    "capitalised": lambda piece: piece.strip()[:1].isupper(),
}
