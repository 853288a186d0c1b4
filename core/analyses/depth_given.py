"""What a depth question asks about: texts with classes, and the token each is read at."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses.given import against, asked_concept
from core.labelled import asked
from core.models.loaded import Loaded
from core.models.tokens import MAX_TOKENS, encode, special
from core.spec.errors import Error
from core.spec.labelled import LabelledSet, of_labels, short, together

TOO_LONG = ("refuse", "cut")
Position = str | list[int]


def asked_set(
    labelled: Any,
    concept: Any,
    texts: Sequence[str],
    labels: Sequence[Any],
    groups: Sequence[Any] | None,
    words: Sequence[str] | str,
) -> LabelledSet:
    """The labelled set of a question: by name, as data, as texts with labels, or of a concept.

    A concept's classes are "negative" and "positive"; the halves of its pairs are one group.
    """
    ways = [bool(labelled), bool(concept), len(texts) > 0 or len(labels) > 0]
    if sum(ways) != 1:
        raise Error("give texts= with labels=, or concept=, or labelled=, one of them")
    if labelled:
        return asked(labelled)
    if concept:
        return _of_concept(concept, words)
    for name, given in (("labels", labels), ("groups", groups)):
        if given is not None and len(given) != len(texts):
            raise Error(
                f"{len(texts):,} texts and {len(given):,} {name}: every text needs one; "
                "fill the missing ones or leave their texts out"
            )
    each = [words] * len(texts) if isinstance(words, str) and words else list(words)
    plain = [label.item() if hasattr(label, "item") else label for label in labels]
    own = _groups(groups) if groups is not None else ()
    where = "word" if each else "last"
    return of_labels("own texts", list(texts), plain, groups=own, words=tuple(each), position=where)


def _groups(groups: Sequence[Any]) -> tuple[str, ...]:
    """Groups as texts whose alphabet is the order of what was given."""
    for number, group in enumerate(groups, start=1):
        if group is None or str(group) in ("", "nan"):
            raise Error(f"text {number} has no group; give every text one, or none")
    try:
        order = sorted(set(groups))
    except TypeError:
        order = sorted(set(groups), key=str)
    place = {group: f"{number:06d}" for number, group in enumerate(order)}
    return tuple(place[group] for group in groups)


def group_numbers(given: LabelledSet) -> np.ndarray:
    """The number of each text's group [text], in the order of their names; groups that share a
    text are one."""
    merged = np.array(together(given))
    if not given.groups:
        return merged
    _, named = np.unique(np.array(given.groups), return_inverse=True)
    return merged if merged.max() < named.max() else named


def _of_concept(concept: Any, words: Sequence[str] | str) -> LabelledSet:
    meant = asked_concept(concept)
    assert meant is not None
    downs, _ = against(meant)
    labels = (1,) * len(meant.positive) + (0,) * len(downs)
    pairs = tuple(f"pair {n}" for n in range(1, len(downs) + 1)) * 2 if meant.paired else ()
    texts = (*meant.positive, *downs)
    each = (words,) * len(texts) if isinstance(words, str) and words else tuple(words)
    return LabelledSet(
        meant.name, texts, labels, ("negative", "positive"), groups=pairs, words=each,
        position="word" if each else "last", about=meant.about, source=meant.source,
    )  # fmt: skip


@dataclass(frozen=True)
class Read:
    """The texts as a model reads them.

    ids [text] token ids, position what `states` takes and how it was asked for, types [text] what
    stands there (None for a mean), kind of the types, notes.
    """

    ids: list[list[int]]
    position: Position
    asked: str
    types: list[str] | None
    kind: str
    notes: tuple[str, ...]


def read(loaded: Loaded, given: LabelledSet, position: str, too_long: str) -> Read:
    """Token ids and positions of a set. Raises `Error` naming the text that cannot be read.

    position  "" for the one the set was made for
    """
    position = position or given.position
    if too_long not in TOO_LONG:
        raise Error(f"too_long= is one of {', '.join(TOO_LONG)}, not {too_long[:40]!r}")
    if position == "word":
        return _at_words(loaded, given)
    ids, cut = [], 0
    for number, text in enumerate(given.texts, start=1):
        one, was_cut = _encoded(loaded, text, number, too_long)
        ids.append(one)
        cut += was_cut
    notes = (f"{cut:,} texts are longer than the context; only their ends are read",) if cut else ()
    if position == "mean":
        return Read(ids, position, position, None, "", notes)
    back = 1 if position == "last" else _back(position)
    types = [str(_plain(loaded, one)[-back:][0]) for one in ids]
    return Read(ids, position, position, types, "token", notes)


def _back(position: str) -> int:
    if re.fullmatch(r"-[1-9]\d{0,2}", position):
        return -int(position)
    raise Error(
        f"no position {position[:20]!r}; there are 'last', 'mean', 'word' (with words=) and '-2', "
        "'-3', ..."
    )


def _plain(loaded: Loaded, ids: list[int]) -> list[int]:
    """The tokens that are not special; of a text of special ones the last."""
    marked = special(loaded, ids)
    return [token for token, is_special in zip(ids, marked, strict=True) if not is_special] or [
        ids[-1]
    ]


def _encoded(loaded: Loaded, text: str, number: int, too_long: str) -> tuple[list[int], bool]:
    try:
        return encode(loaded, text), False
    except Error as fault:
        limit = loaded.n_ctx or MAX_TOKENS
        ids = [int(i) for i in loaded.tokenizer(text)["input_ids"]] if text else []
        if len(ids) <= limit:
            raise Error(f"text {number} cannot be read: {fault}") from None
        if too_long == "refuse":
            raise Error(
                f"text {number} has {len(ids):,} tokens and {loaded.name} takes at most "
                f"{limit:,}; shorten it, or say too_long='cut' to read the ends of long texts"
            ) from None
    marked = special(loaded, ids)
    front = next((at for at, is_special in enumerate(marked) if not is_special), 0)
    return ids[:front] + ids[len(ids) - limit + front :], True


def _at_words(loaded: Loaded, given: LabelledSet) -> Read:
    """Each text read at the last token of the last place of its word."""
    if not given.words:
        raise Error("position='word' needs words=: one word for all texts, or one for each")
    if not loaded.tokenizer.is_fast:
        raise Error("this model's tokenizer does not say which characters a token stands for")
    ids, places = [], []
    for number, (text, word) in enumerate(zip(given.texts, given.words, strict=True), start=1):
        ids.append(_encoded(loaded, text, number, "refuse")[0])
        found = list(re.finditer(rf"(?<!\w){re.escape(word)}(?!\w)", text, re.IGNORECASE))
        if not found:
            raise Error(f"text {number} does not hold the word {short(word)}: {short(text)}")
        start, end = found[-1].span()
        spans = loaded.tokenizer(text, return_offsets_mapping=True)["offset_mapping"]
        inside = [at for at, (a, b) in enumerate(spans) if a < end and b > start and b > a]
        if not inside:
            raise Error(f"no token of text {number} stands for the word {short(word)}")
        places.append(inside[-1])
    return Read(ids, places, "word", [word.lower() for word in given.words], "word", ())
