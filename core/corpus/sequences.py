"""Ordered word lists and names as the single tokens of one model."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from core.home import ASSETS
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces
from core.spec.errors import Error

FOLDER = ASSETS / "sequences"
LEAST_STEPS = 3  # from an item to the next one: fewer say nothing
_SPELLINGS: dict[str, Callable[[str], str]] = {
    "as written": str,
    "lower case": str.lower,
    "capitalised": str.capitalize,
    "upper case": str.upper,
}


@dataclass(frozen=True)
class TokenList:
    """The items of a list that are single tokens, in order.

    `after` and `before` give each item's next and previous one as a place in `ids`, -1 where that
    is no item or no token. `spelling` names the form that has the most tokens.
    """

    name: str
    items: tuple[str, ...]
    ids: tuple[int, ...]
    after: tuple[int, ...]
    before: tuple[int, ...]
    n_dropped: int
    published: bool
    spelling: str

    @property
    def n_steps(self) -> int:
        return sum(place >= 0 for place in self.after)


def list_names() -> tuple[str, ...]:
    """All lists there are, by name."""
    return tuple(_lists())


def list_items(name: str) -> tuple[str, ...]:
    """The items of a list as they are written, tokens or not."""
    return tuple(_lists()[name]["items"])


def token_lists(loaded: Loaded) -> tuple[TokenList, ...]:
    """Every list with enough tokens in this model; read once per model."""
    if "token_lists" not in loaded.memo:
        read = [_read(loaded, name) for name in list_names()]
        loaded.memo["token_lists"] = tuple(each for each in read if each.n_steps >= LEAST_STEPS)
    found: tuple[TokenList, ...] = loaded.memo["token_lists"]
    return found


def token_list(loaded: Loaded, name: str) -> TokenList:
    """One list. Raises `Error` for a name unknown, and for a list with too few tokens."""
    if name not in list_names():
        raise Error(f"no list {str(name)[:40]!r}; there are {', '.join(list_names())}")
    for found in token_lists(loaded):
        if found.name == name:
            return found
    read, names = _read(loaded, name), [each.name for each in token_lists(loaded)]
    raise Error(
        f"only {len(read.ids)} of the {len(read.ids) + read.n_dropped} items of {name} are single "
        f"tokens of {loaded.name}, too few that follow each other; "
        f"it has {', '.join(names) or 'none of the lists'}"
    )


def name_ids(loaded: Loaded) -> tuple[int, ...]:
    """The given names that are single tokens; read once per model."""
    if "name_ids" not in loaded.memo:
        names = json.loads((FOLDER / "names.json").read_text(encoding="utf-8"))
        found = (one_token(loaded, name) for name in names)
        loaded.memo["name_ids"] = tuple(dict.fromkeys(i for i in found if i is not None))
    ids: tuple[int, ...] = loaded.memo["name_ids"]
    return ids


def one_token(loaded: Loaded, text: str) -> int | None:
    """The token that is this text, with a blank in front if there is such a one."""
    for spelled in (f" {text}", text):
        ids = loaded.tokenizer(spelled, add_special_tokens=False)["input_ids"]
        read = [(int(i), pieces(loaded, [int(i)])[0]) for i in ids if i < known_ids(loaded)]
        kept = [(token, piece.strip()) for token, piece in read if piece.strip()]
        if len(kept) == 1 and kept[0][1] == text:
            return kept[0][0]
    return None


@cache
def _lists() -> dict[str, dict[str, Any]]:
    lists: dict[str, dict[str, Any]] = json.loads(
        (FOLDER / "sequences.json").read_text(encoding="utf-8")
    )
    return lists


def _read(loaded: Loaded, name: str) -> TokenList:
    """A list in the spelling that has most tokens; the first of those that have."""
    items = _lists()[name]["items"]
    best: list[int | None] = []
    spelling = ""
    for form, spell in _SPELLINGS.items():
        ids = _once([one_token(loaded, spell(item)) for item in items])
        if sum(token is not None for token in ids) > sum(token is not None for token in best):
            best, spelling = ids, form
        if None not in best:
            break
    return _linked(name, best or [None] * len(items), spelling)


def _once(ids: list[int | None]) -> list[int | None]:
    """The same token twice cannot be told apart: the first one stays."""
    return [token if token not in ids[:place] else None for place, token in enumerate(ids)]


def _linked(name: str, ids: list[int | None], spelling: str) -> TokenList:
    whole = _lists()[name]
    spell = _SPELLINGS.get(spelling, str)
    kept = [place for place, token in enumerate(ids) if token is not None]
    at = {place: number for number, place in enumerate(kept)}
    n = len(ids)

    def neighbour(place: int, step: int) -> int:
        other = (place + step) % n if whole["cyclic"] else place + step
        return at.get(other, -1)

    return TokenList(
        name=name,
        items=tuple(spell(whole["items"][place]) for place in kept),
        ids=tuple(token for token in ids if token is not None),
        after=tuple(neighbour(place, 1) for place in kept),
        before=tuple(neighbour(place, -1) for place in kept),
        n_dropped=n - len(kept),
        published=whole["published"],
        spelling=spelling,
    )
