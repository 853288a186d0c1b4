"""Prompts of described words, and what a model says and holds at their ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from core.analyses.runs import Progress
from core.analyses.states import of_like_length, stream_sites
from core.engine.forward import run
from core.engine.readout import unembed
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import MAX_TOKENS, decode, encode, pieces, special
from core.spec.described import Item, Items
from core.spec.errors import Error

SAID = 3  # tokens of the answer that are kept for reading
_MOST_PIECES = 8


@dataclass(frozen=True)
class Prompts:
    """ids [item] of every prompt, ending with the arrow; before the index of the last token of
    each description; n the demonstrations in front."""

    ids: tuple[tuple[int, ...], ...]
    arrow: tuple[int, ...]
    before: tuple[int, ...]
    n: int
    example: str


def prompts(
    loaded: Loaded, given: Items, asked: Sequence[int], n: int, seed: int, *, mismatched: bool
) -> Prompts:
    """One prompt for each item asked, the same demonstrations in all (another one in the place of
    the item itself); as many as fit.

    mismatched  the demonstrations' words are moved on by one, so that none is right
    """
    order = np.random.default_rng((seed, 41)).permutation(len(given.items))
    limit = loaded.n_ctx or MAX_TOKENS
    while True:
        texts = [_text(given, asked_item, order, n, mismatched) for asked_item in asked]
        try:
            ids = [encode(loaded, text + given.arrow) for text in texts]
        except Error:
            if not n:
                raise
            ids = []
        if ids and max(map(len, ids)) + _MOST_PIECES <= limit:
            break
        if not n:
            raise Error(
                f"a description with its word is longer than the {limit:,} tokens of {loaded.name}"
            )
        n -= 1
    places = [_last(loaded, one) for one in ids]
    before = [
        min(_last(loaded, encode(loaded, text)), arrow - 1)
        for text, arrow in zip(texts, places, strict=True)
    ]
    return Prompts(
        tuple(tuple(one[: arrow + 1]) for one, arrow in zip(ids, places, strict=True)),
        tuple(places),
        tuple(max(0, place) for place in before),
        n,
        texts[0] + given.arrow,
    )


def _text(given: Items, asked: int, order: np.ndarray, n: int, mismatched: bool) -> str:
    own = given.items[asked]
    fit = [int(i) for i in order if i != asked and given.items[i].word != own.word]
    shown = [given.items[i] for i in fit[:n]]
    words = [item.word for item in shown]
    if mismatched:
        words = words[1:] + words[:1]
    lines = [
        f"{item.description}{given.arrow} {word}{given.end}"
        for item, word in zip(shown, words, strict=True)
    ]
    return "".join(lines) + own.description


def _last(loaded: Loaded, ids: Sequence[int]) -> int:
    """The last token that is not special."""
    marked = special(loaded, ids)
    return max((place for place, mark in enumerate(marked) if not mark), default=len(ids) - 1)


@dataclass(frozen=True)
class Read:
    """arrow, before  [layer, item, d] float32 states, row 0 what enters the first block
    right [item] bool, said [item], first_p [item] probability of the first token of the word"""

    arrow: np.ndarray
    before: np.ndarray
    right: np.ndarray
    said: tuple[str, ...]
    first_p: np.ndarray


def read(
    loaded: Loaded, progress: Progress, made: Prompts, items: Sequence[Item],
    share: tuple[float, float], note: str,
) -> Read:  # fmt: skip
    """States at the arrow and before it, and whether the greedy continuation is the word.

    The word stands behind the arrow in the same pass: what is in front cannot see it, and the
    state of each of its tokens says how the model would go on.
    """
    sites = stream_sites(loaded)
    places = [replace(sites[0], component="resid_pre"), *sites]
    n = len(made.ids)
    states = np.zeros((2, len(places), n, loaded.d_model), dtype=np.float32)
    first_p = np.zeros(n)
    spelled = [_spellings(loaded, item) for item in items]
    ids = [(*one, *words[0][:_MOST_PIECES]) for one, words in zip(made.ids, spelled, strict=True)]
    written: list[list[int]] = [[] for _ in range(n)]
    done = 0
    for batch in of_like_length(loaded, ids, len(places)):
        progress.step(share[0] + (share[1] - share[0]) * done / n, note)
        seen = run(
            loaded, rows(loaded, [ids[i] for i in batch]), read=places, logits="none",
            check=progress.check,
        )  # fmt: skip
        for layer, site in enumerate(places):
            for kind, where in enumerate((made.arrow, made.before)):
                at = [where[i] for i in batch]
                part = seen.values[site][range(len(batch)), at]
                states[kind, layer, batch] = part.float().cpu().numpy()
        last = seen.values[sites[-1]]
        for row, i in enumerate(batch):
            logits = unembed(loaded, last[row, made.arrow[i] : len(ids[i])]).float()
            p = torch.softmax(logits[0], dim=-1)
            first_p[i] = max(float(p[one[0]]) for one in spelled[i])
            written[i] = _followed(logits.argmax(dim=-1).tolist(), ids[i][made.arrow[i] + 1 :])
        done += len(batch)
    right, said = _finished(loaded, progress, made, written, items)
    return Read(states[0], states[1], right, said, first_p)


def _followed(chosen: Sequence[int], forced: Sequence[int]) -> list[int]:
    """The greedy tokens, up to the first that is not the word's own."""
    found = [int(chosen[0])]
    for place, token in enumerate(forced):
        if found[-1] != token:
            break
        found.append(int(chosen[place + 1]))
    return found


def _spellings(loaded: Loaded, item: Item) -> list[list[int]]:
    """Token ids of the word and of those as good, as they stand behind the arrow."""
    found = []
    for word in (item.word, *item.synonyms):
        ids = loaded.tokenizer(f" {word}", add_special_tokens=False)["input_ids"]
        found.append([int(i) for i in ids])
    return [ids for ids in found if ids] or [[0]]


def _finished(
    loaded: Loaded, progress: Progress, made: Prompts, written: list[list[int]],
    items: Sequence[Item],
) -> tuple[np.ndarray, tuple[str, ...]]:  # fmt: skip
    """Verdicts on the answers; those that may still become a word are written on, greedily."""
    n = len(written)
    state = [_verdict(loaded, written[i], items[i]) for i in range(n)]
    steps = 0
    while any(one == "open" for one in state) and steps < _MOST_PIECES:
        going = [i for i in range(n) if state[i] == "open"]
        ids = {i: (*made.ids[i], *written[i]) for i in going}
        for batch in of_like_length(loaded, [ids[i] for i in going], 1):
            shown = [going[place] for place in batch]
            logits = run(
                loaded, rows(loaded, [ids[i] for i in shown]), logits="last", check=progress.check
            ).logits
            assert logits is not None
            for i, token in zip(shown, logits[:, -1].argmax(dim=-1).tolist(), strict=True):
                written[i].append(int(token))
                state[i] = _verdict(loaded, written[i], items[i])
        steps += 1
    right = np.array([one == "right" for one in state])
    return right, tuple(decode(loaded, one)[:40] for one in written)


def _verdict(loaded: Loaded, written: Sequence[int], item: Item) -> str:
    """ "right", "wrong", or "open" while the text is the beginning of a word that fits."""
    text = "".join(pieces(loaded, written)).lstrip()
    words = (item.word, *item.synonyms)
    for word in words:
        rest = text[len(word) :]
        if text.casefold().startswith(word.casefold()) and rest and not rest[0].isalnum():
            return "right"
    if any(word.casefold().startswith(text.casefold()) for word in words) or not text:
        return "open"
    return "wrong"
