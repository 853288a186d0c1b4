"""Does a model know how its words are spelled? Asked with examples, one letter a word."""

from collections.abc import Sequence

import numpy as np

from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.engine.forward import run
from core.engine.loss import refuse_without_next_tokens
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import encode, pieces
from core.models.words import token_texts
from core.spec.errors import Error

LETTERS = "abcdefghijklmnopqrstuvwxyz"
EXAMPLES = ("table", "garden", "music", "yellow", "river")
LEAST_LENGTH, MOST_WORDS, ASKED = 3, 2_000, 100
SPELLS = 0.5  # share of words whose first letter it must name


def words(loaded: Loaded, seed: int) -> list[str]:
    """Words that are single tokens behind a blank, at most 2,000, drawn from the vocabulary."""
    _, texts = token_texts(loaded)
    found = {text.strip() for text in texts if text.startswith(" ")}
    plain = sorted(
        word
        for word in found
        if len(word) >= LEAST_LENGTH and word.isascii() and word.isalpha() and word.islower()
    )
    order = np.random.default_rng(seed).permutation(len(plain))[:MOST_WORDS]
    return [plain[place] for place in sorted(order)]


def spelled(loaded: Loaded, progress: Progress, asked: Sequence[str]) -> float:
    """Share of the words whose first letter is the model's first choice after five examples."""
    refuse_without_next_tokens(loaded, "spelling")
    shots = "".join(f"{word} has the first letter: {word[0].upper()}\n" for word in EXAMPLES)
    ids = [encode(loaded, f"{shots}{word} has the first letter:") for word in asked]
    size = max(1, TOKENS_AT_ONCE // max(map(len, ids)))
    right = 0
    for start in range(0, len(ids), size):
        part = ids[start : start + size]
        logits = run(loaded, rows(loaded, part), logits="last", check=progress.check).logits
        assert logits is not None
        best = logits.reshape(len(part), -1).argmax(-1).tolist()
        said = pieces(loaded, best)
        own = asked[start : start + size]
        pairs = zip(said, own, strict=True)
        right += sum(piece.strip().lower() == word[0] for piece, word in pairs)
    return right / max(1, len(ids))


def refuse_unless_it_spells(loaded: Loaded, progress: Progress, seed: int) -> tuple[float, int]:
    """(share of words spelled right, words asked). Raises `Error` below a half."""
    known = words(loaded, seed)
    order = np.random.default_rng(seed + 1).permutation(len(known))[:ASKED]
    if not len(order):
        raise Error(f"{loaded.name} has no English words that are one token; ask with a concept")
    share = spelled(loaded, progress, [known[place] for place in order])
    if share < SPELLS:
        raise Error(
            f"{loaded.name} does not spell: it names the first letter of "
            f"{round(share * len(order))} of {len(order)} words, so no feature can stand for one; "
            "ask about a concept instead, or take a model of 1 B parameters or more"
        )
    return share, len(order)
