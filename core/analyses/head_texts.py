"""What heads are scored on: repeated random tokens, given texts, windows of a corpus."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from core.corpus.chunks import around, contexts
from core.corpus.readers import name_of
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.models.words import vocabulary_ids
from core.spec.errors import Error

COPY = 50  # tokens of one copy of repeated random text
PREFIX_COPY, PREFIX_COPIES = 25, 4  # the published form of prefix matching
PREFIX_TRIM = 0.04  # of the vocabulary left out at both ends there, by the order of its merges
LEAST_COPY = 2
SMALL = 4  # copies: a vocabulary of fewer tokens is small
MOST_TEXTS = 100_000
WINDOW = 256  # tokens of a corpus' windows
RANDOM = "random tokens, repeated"
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>|\[unused\d+\]")


@dataclass(frozen=True)
class HeadTexts:
    """Token ids of every text. Repeated ones: `copy` tokens, behind `before` special ones."""

    source: str
    ids: tuple[tuple[int, ...], ...]
    copy: int = 0
    before: int = 0

    @property
    def n_tokens(self) -> int:
        return sum(map(len, self.ids))

    def first(self, n: int) -> "HeadTexts":
        return replace(self, ids=self.ids[:n])

    def shuffled(self, keep: set[int], seed: int) -> "HeadTexts":
        """The same tokens of each text in random order; those to keep stay in place."""
        generator = torch.Generator().manual_seed(seed)
        return replace(self, ids=tuple(_shuffled(ids, keep, generator) for ids in self.ids), copy=0)


def _shuffled(ids: Sequence[int], keep: set[int], generator: torch.Generator) -> tuple[int, ...]:
    places = [place for place, token in enumerate(ids) if token not in keep]
    order = torch.randperm(len(places), generator=generator).tolist()
    moved = dict(zip(places, (ids[places[i]] for i in order), strict=True))
    return tuple(moved.get(place, token) for place, token in enumerate(ids))


def given(
    loaded: Loaded, text: str | None, texts: Sequence[str], corpus: str, n_sequences: int
) -> HeadTexts | None:
    """The texts asked for, None where none were. Raises `Error` on two sources, or too short."""
    asked = [bool(text is not None), bool(texts), bool(corpus)]
    if sum(asked) > 1:
        raise Error("give text=, texts= or corpus=, one of the three")
    if not any(asked):
        return None
    if corpus:
        window = min(WINDOW, loaded.n_ctx or WINDOW)
        found = contexts(loaded, corpus, window=window, n_contexts=n_sequences)
        return _long_enough(f"corpus {name_of(corpus)}", [w.ids for w in found.windows])
    every = [text] if text is not None else list(texts)
    ids = [tuple(encode(loaded, each)) for each in every]
    return _long_enough("1 text" if len(ids) == 1 else f"{len(ids):,} texts", ids)


def _long_enough(source: str, ids: Sequence[tuple[int, ...]]) -> HeadTexts:
    long = tuple(each for each in ids if len(each) > 1)
    if not long:
        raise Error(
            "a head can only look at itself in a text of one token; give a text of two or more"
        )
    return HeadTexts(source, long)


def repeated(loaded: Loaded, n_sequences: int, seed: int) -> HeadTexts:
    """Rows "BOS r r": r of 50 tokens drawn evenly from the ordinary pieces, fewer if it must.

    Of a small vocabulary no token is drawn twice in a row: each would have been seen before.
    """
    before, after = specials(loaded)
    room = (loaded.n_ctx or 10**6) - len(before) - len(after)
    copy = min(COPY, room // 2)
    if copy < LEAST_COPY:
        raise Error(
            f"{loaded.name} takes {loaded.n_ctx} tokens, too few to repeat anything; give a text"
        )
    ids = ordinary_ids(loaded)
    generator = torch.Generator().manual_seed(seed)
    if len(ids) < SMALL * COPY:
        copy = min(copy, len(ids))
        orders = (torch.randperm(len(ids), generator=generator) for _ in range(n_sequences))
        drawn = [order[:copy].tolist() for order in orders]
    else:
        drawn = torch.randint(len(ids), (n_sequences, copy), generator=generator).tolist()
    rows = ([ids[i] for i in row] for row in drawn)
    made = tuple((*before, *row, *row, *after) for row in rows)
    return HeadTexts(RANDOM, made, copy, len(before))


def prefix_rows(loaded: Loaded, n_sequences: int, seed: int) -> HeadTexts | None:
    """Rows of 25 different tokens four times over, as published; None where they do not fit."""
    return _different(loaded, n_sequences, PREFIX_COPIES, seed)


def copying_rows(loaded: Loaded, n_sequences: int, seed: int) -> HeadTexts | None:
    """Rows of 25 different tokens said twice; None where they do not fit."""
    return _different(loaded, n_sequences, 2, seed)


def _different(loaded: Loaded, n_sequences: int, copies: int, seed: int) -> HeadTexts | None:
    """Rows of 25 different tokens, that many times over, the commonest and rarest left out."""
    before, after = specials(loaded)
    length = PREFIX_COPY * copies + len(before) + len(after)
    ids = ordinary_ids(loaded)
    cut = round(PREFIX_TRIM * len(ids))
    ids = ids[cut : len(ids) - cut]
    if len(ids) < PREFIX_COPY or (loaded.n_ctx and loaded.n_ctx < length):
        return None
    generator = torch.Generator().manual_seed(seed)
    made = []
    for _ in range(n_sequences):
        chosen = torch.randperm(len(ids), generator=generator)[:PREFIX_COPY].tolist()
        row = [ids[i] for i in chosen] * copies
        made.append((*before, *row, *after))
    return HeadTexts(RANDOM, tuple(made), PREFIX_COPY, len(before))


def specials(loaded: Loaded) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Special tokens in front of a text and behind it; in front at least a beginning or end one."""
    before, after = around(loaded)
    if before or loaded.kind != "decoder":
        return before, after
    tokenizer = loaded.tokenizer
    marks = [mark for mark in (tokenizer.bos_token_id, tokenizer.eos_token_id) if mark is not None]
    known = [mark for mark in marks if mark < loaded.d_vocab]
    return tuple(known[:1]), after


def ordinary_ids(loaded: Loaded) -> list[int]:
    """Ids of ordinary pieces in ascending order: no special, unused or single-byte tokens."""
    names = vocabulary_ids(loaded)
    marks = {loaded.tokenizer.unk_token_id, *_named(loaded)}  # not every tokenizer marks them
    bytes_alone = "\u0120" in names  # a vocabulary over bytes: its one-sign tokens are the bytes
    found = sorted(
        token
        for name, token in names.items()
        if not _BYTE.fullmatch(name) and not (bytes_alone and len(name) == 1) and token not in marks
    )
    every = sorted(set(names.values()) - marks)
    found = found if len(found) >= COPY // 2 else every
    if len(found) < LEAST_COPY:
        raise Error(f"the vocabulary of {loaded.name} has no two words to repeat; give a text")
    return found


def _named(loaded: Loaded) -> set[int]:
    """The ids that the configuration gives a special part."""
    found: set[int] = set()
    for part in ("bos", "eos", "pad"):
        ids = getattr(loaded.config, f"{part}_token_id", None)
        found |= {i for i in (ids if isinstance(ids, list | tuple) else [ids]) if i is not None}
    return found
