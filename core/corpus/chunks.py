"""A corpus in windows of token ids: the contexts that statistics over a text are made of."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.corpus.readers import Corpus, Text, name_of, stamp, texts
from core.models.loaded import Loaded
from core.spec.errors import Error

WINDOW, MAX_WINDOW = 128, 4_096
N_CONTEXTS, MAX_CONTEXTS = 1_024, 200_000
HELD = 4  # corpora kept with a model
_PART = 200_000  # characters tokenized at once

Span = tuple[int, int]


@dataclass(frozen=True)
class Context:
    """One window: never of two documents.

    ids with the special tokens the model's tokenizer puts around a text; keep False for tokens
    that no statistic counts (special ones, and the first token of a causal model, whose
    activations are unlike all others); spans of the document's characters, () where the tokenizer
    gives none, (0, 0) for special tokens.
    """

    ids: tuple[int, ...]
    keep: tuple[bool, ...]
    document: int
    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Contexts:
    """The windows of a corpus, numbered from 0, and the documents they come from.

    `cut` when the corpus goes on behind the last window. `fingerprint` is a hash of all ids and of
    what is counted, so that answers about another text are never taken for these.
    """

    name: str
    windows: tuple[Context, ...]
    documents: tuple[Text, ...]
    cut: bool
    fingerprint: str

    def __len__(self) -> int:
        return len(self.windows)

    @property
    def n_tokens(self) -> int:
        """Tokens that count."""
        return sum(sum(window.keep) for window in self.windows)

    @property
    def has_spans(self) -> bool:
        return bool(self.windows[0].spans)

    def batches(self, tokens: int) -> list[list[int]]:
        """Numbers of the windows in batches of about that many tokens, short ones together.

        Windows of like length need little padding. The order is the same in every process.
        """
        order = sorted(range(len(self)), key=lambda i: (len(self.windows[i].ids), i))
        found: list[list[int]] = [[]]
        for number in order:
            if found[-1] and (len(found[-1]) + 1) * len(self.windows[number].ids) > tokens:
                found.append([])
            found[-1].append(number)
        return found

    def keep_mask(self, numbers: Sequence[int], width: int) -> np.ndarray:
        """[context, token] of bool: the tokens that count; padding up to `width` does not."""
        mask = np.zeros((len(numbers), width), dtype=bool)
        for row, number in enumerate(numbers):
            kept = self.windows[number].keep
            mask[row, : len(kept)] = kept
        return mask


def contexts(
    loaded: Loaded,
    corpus: Corpus = "built-in",
    *,
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
) -> Contexts:
    """The first `n_contexts` windows of at most `window` tokens. No window: `Error`.

    The last few answers are kept with the model while the corpus does not change.
    """
    limit = min(_whole("window", window, MAX_WINDOW, 8), loaded.n_ctx or MAX_WINDOW)
    most = _whole("n_contexts", n_contexts, MAX_CONTEXTS, 1)
    key = (corpus if isinstance(corpus, str) else tuple(corpus), stamp(corpus), field, limit, most)
    held: dict[Any, Contexts] = loaded.memo.setdefault("contexts", {})
    if key not in held:
        held[key] = _contexts(loaded, corpus, field, limit, most)
        while len(held) > HELD:
            del held[next(iter(held))]
    return held[key]


def _whole(name: str, value: Any, most: int, least: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise Error(f"{name} must be a whole number from {least} to {most:,}, not {value!r:.40}")
    return value


def _contexts(loaded: Loaded, corpus: Corpus, field: str, limit: int, most: int) -> Contexts:
    windows: list[Context] = []
    documents: list[Text] = []
    cut = False
    for text in texts(corpus, field):
        if len(windows) >= most:
            cut = True
            break
        found = _windows(loaded, text.text, len(documents), limit)
        windows += found
        documents += [text] if found else []
    cut = cut or len(windows) > most
    if not windows:
        raise Error(f"the corpus {name_of(corpus)} is empty: it holds no text of two tokens")
    kept = tuple(windows[:most])
    last = kept[-1].document
    return Contexts(name_of(corpus), kept, tuple(documents[: last + 1]), cut, _fingerprint(kept))


def _fingerprint(windows: Sequence[Context]) -> str:
    digest = hashlib.sha256()
    for window in windows:
        numbers = (*window.ids, -1, *map(int, window.keep), -1, window.document)
        digest.update(",".join(map(str, numbers)).encode() + b"\n")
    return digest.hexdigest()


def _windows(loaded: Loaded, text: str, document: int, limit: int) -> list[Context]:
    before, after = around(loaded)
    room = limit - len(before) - len(after)
    special = set(loaded.tokenizer.all_special_ids)
    found = []
    for ids, spans in _bodies(loaded, text, room):
        whole = (*before, *ids, *after)
        keep = [token not in special for token in whole]
        if loaded.kind == "decoder":
            keep[0] = False
        if any(keep):
            ends = (((0, 0),) * len(before), ((0, 0),) * len(after))
            placed = (*ends[0], *spans, *ends[1]) if spans else ()
            found.append(Context(whole, tuple(keep), document, placed))
    return found


def _bodies(
    loaded: Loaded, text: str, room: int
) -> Iterator[tuple[tuple[int, ...], tuple[Span, ...]]]:
    """A document's ids without special tokens around them, `room` at a time, with their spans."""
    for start in range(0, len(text), _PART):
        part = text[start : start + _PART]
        fast = bool(loaded.tokenizer.is_fast)
        encoded = loaded.tokenizer(part, add_special_tokens=False, return_offsets_mapping=fast)
        ids = [int(token) for token in encoded["input_ids"]]
        if ids and max(ids) >= loaded.d_vocab:
            raise Error(
                f"the tokenizer knows token {max(ids)}, the model only {loaded.d_vocab}; "
                "they do not belong together"
            )
        spans = [(a + start, b + start) for a, b in encoded["offset_mapping"]] if fast else []
        for at in range(0, len(ids), room):
            yield tuple(ids[at : at + room]), tuple(spans[at : at + room])


def around(loaded: Loaded) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The special tokens that the tokenizer puts in front of a text and behind it."""
    whole = [int(token) for token in loaded.tokenizer("a")["input_ids"]]
    bare = [int(token) for token in loaded.tokenizer("a", add_special_tokens=False)["input_ids"]]
    for start in range(len(whole) - len(bare) + 1):
        if whole[start : start + len(bare)] == bare:
            return tuple(whole[:start]), tuple(whole[start + len(bare) :])
    return (), ()
