"""Contrasts of words, male/female or verb/past: their vectors at one place, and chance there.

The place is the unembedding, whose rows belong to tokens, or the stream behind a layer, where a
word has the mean of its states in a few contexts. What is measured is the same at both.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses.clouds import unit
from core.analyses.item_states import checked, item_states
from core.analyses.runs import Progress
from core.analyses.whitening import Moments, Whitening, unembedding, whitening
from core.concept_sets import asked
from core.corpus.chunks import contexts as windows_of
from core.corpus.readers import Corpus
from core.engine.forward import run
from core.engine.rows import rows as new_rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.models.words import in_text, token_texts
from core.spec.concept_set import ConceptSet
from core.spec.errors import Error
from core.spec.site import Site

LEAST = 2  # pairs of a contrast: one is left out, one has to stay
MOST = 60  # contrasts of one question
N_WORDS = 240  # random words whose states are read to say what is chance at a layer
PER_DIMENSION = 20  # tokens behind a covariance, per dimension; with fewer it is shrunk
SHRINK = 0.1
TOKENS_AT_ONCE = 4_096
FEW, SHAKY = 5, 15  # pairs below which a direction is a guess, or moves with each pair
KEPT = 4  # covariances of layers kept with a model


@dataclass(frozen=True)
class Contrast:
    """One contrast that can be read: row numbers of the place's words, pair by pair."""

    name: str
    first: tuple[int, ...]
    second: tuple[int, ...]


@dataclass(frozen=True)
class Place:
    """Vectors of words at one place of the model, and what is chance there.

    words     those that are there, each once; rows [word, d] float64 their vectors
    missing   word -> why it has no vector here
    pool      [n, d] vectors of random words; used, the numbers of those that may be drawn
    white     mean and covariance: of the unembedding, or of the stream over a text
    layer     as in `item_states`; None: the unembedding
    shrunk    share of the covariance that was replaced by its mean variance
    n_tokens  behind the covariance
    """

    words: tuple[str, ...]
    rows: np.ndarray
    missing: dict[str, str]
    pool: torch.Tensor
    used: np.ndarray
    white: Whitening
    layer: int | None
    shrunk: float
    n_tokens: int
    contexts: tuple[str, ...] = ()

    def random(self, rng: np.random.Generator, n: int) -> torch.Tensor:
        """[n, d] vectors of n random words, all different where there are as many."""
        chosen = rng.choice(len(self.used), n, replace=n > len(self.used), shuffle=False)
        return self.pool[torch.from_numpy(self.used[chosen])]

    def random_pairs(self, rng: np.random.Generator, n: int) -> np.ndarray:
        """[n, d] float64 differences of two different random words."""
        one = rng.integers(len(self.used), size=n)
        other = (one + rng.integers(1, len(self.used), size=n)) % len(self.used)
        numbers = torch.from_numpy(np.stack([self.used[one], self.used[other]]))
        first, second = self.pool[numbers[0]].double(), self.pool[numbers[1]].double()
        found: np.ndarray = (first - second).numpy()
        return found


def pair_set(concepts: Any) -> ConceptSet:
    """The contrasts asked for. Raises `Error` for a set without pairs."""
    given = asked(concepts)
    if given.kind != "pairs":
        raise Error(
            f"{given.name[:40]!r} holds {given.kind}, not pairs; a contrast is a list of pairs "
            "such as king / queen"
        )
    return given


def on_output(loaded: Loaded, words: Iterable[str], check: Callable[[], None]) -> Place:
    """Words as rows of the unembedding: those that are one token. See `unembedding` for errors."""
    found = unembedding(loaded, check)
    used = found.used.numpy()
    ids: dict[str, int] = {}
    missing: dict[str, str] = {}
    for word in dict.fromkeys(words):
        split = in_text(loaded, word)
        if len(split) == 1 and used[split[0]]:
            ids[word] = split[0]
        else:
            missing[word] = _why(loaded, split)
    rows = found.rows[list(ids.values())].double().numpy()
    return Place(
        tuple(ids), rows, missing, found.rows, np.flatnonzero(used), found.white, None, 0.0,
        found.white.n,
    )  # fmt: skip


def _why(loaded: Loaded, split: Sequence[int]) -> str:
    if not split:
        return "the model has no token for it"
    if len(split) == 1:
        return "its row of the unembedding was never trained"
    return f"{len(split)} tokens: {' | '.join(pieces(loaded, split[:6]))}"


def at_layer(
    loaded: Loaded,
    progress: Progress,
    words: Sequence[str],
    layer: int,
    *,
    contexts: Sequence[str] = (),
    read: str = "last",
    corpus: Corpus = "built-in",
    n_contexts: int = 64,
    seed: int = 0,
) -> Place:
    """Words as their mean states behind a layer (0: the embedding), beside random words.

    The covariance is that of the stream over a text; with fewer than 20 tokens a dimension a tenth
    of it is replaced by its mean variance. Random words are whole tokens in the same contexts.
    """
    n_layers = len(loaded.stacks[loaded.prompt_stack].blocks)
    if isinstance(layer, bool) or not isinstance(layer, int) or not 0 <= layer <= n_layers:
        raise Error(f"layer= is 0 (the embedding) to {n_layers}, or None for the unembedding")
    texts = checked(contexts)
    seen = item_states(loaded, progress, words, contexts=texts, read=read, share=(0.0, 0.4))
    strangers = _strangers(loaded, set(words), seed)
    chance = item_states(
        loaded, progress, strangers, contexts=texts, read=read, share=(0.4, 0.6)
    )  # fmt: skip
    white, shrunk, n = stream_whitening(
        loaded, progress, layer, corpus=corpus, n_contexts=n_contexts
    )
    pool = torch.from_numpy(chance.at(layer))
    return Place(
        seen.words, seen.at(layer), dict(seen.dropped), pool, np.arange(len(pool)), white, layer,
        shrunk, n, texts,
    )  # fmt: skip


def _strangers(loaded: Loaded, known: set[str], seed: int) -> list[str]:
    """Random words that are whole tokens, none of them asked for."""
    _, texts = token_texts(loaded)
    words = sorted({text.strip() for text in texts if text.strip().isalpha() and len(text) > 2})
    words = [word for word in words if word not in known]
    if len(words) < 2 * LEAST:
        raise Error(
            f"{loaded.name} has {len(words)} other words that are whole tokens; random pairs need "
            f"at least {2 * LEAST}"
        )
    rng = np.random.default_rng((seed, 7))
    return [words[at] for at in rng.permutation(len(words))[:N_WORDS]]


def stream_whitening(
    loaded: Loaded, progress: Progress, layer: int, *, corpus: Corpus, n_contexts: int
) -> tuple[Whitening, float, int]:
    """Whitening of the stream behind a layer over a text, its shrinkage, its tokens; kept."""
    found = windows_of(loaded, corpus, n_contexts=n_contexts)
    held: dict[Any, tuple[Whitening, float, int]] = loaded.memo.setdefault("stream_whitening", {})
    key = (found.fingerprint, layer)
    if key not in held:
        held[key] = _stream_whitening(loaded, progress, layer, found)
        while len(held) > KEPT:
            held.pop(next(iter(held)))
    return held[key]


def place_of(loaded: Loaded, layer: int) -> Site:
    """The site whose values a row of `item_states` holds."""
    stack = loaded.prompt_stack
    if layer == 0:
        return Site(0, "resid_pre", stack=stack)
    return Site(layer - 1, "resid_post", stack=stack)


def _stream_whitening(
    loaded: Loaded, progress: Progress, layer: int, found: Any
) -> tuple[Whitening, float, int]:
    site, moments = place_of(loaded, layer), Moments()
    parts = found.batches(TOKENS_AT_ONCE)
    for number, part in enumerate(parts):
        progress.step(0.6 + 0.2 * number / len(parts), "covariance of the stream over a text")
        batch = new_rows(loaded, [found.windows[window].ids for window in part])
        with loaded.busy():
            seen = run(loaded, batch, read=[site], logits="none", check=progress.check)
        values = seen.values[site].float().cpu()
        moments.add(values[torch.from_numpy(found.keep_mask(part, values.shape[1]))])
    covariance, shrunk = moments.covariance, 0.0
    d = len(covariance)
    if moments.n < PER_DIMENSION * d:
        shrunk = SHRINK
        covariance = (1 - shrunk) * covariance + shrunk * np.trace(covariance) / d * np.eye(d)
    return whitening(moments.mean, covariance, moments.n), shrunk, moments.n


@dataclass(frozen=True)
class Kept:
    """The contrasts that can be read at a place.

    pairs     (first, second) of every pair kept, contrast after contrast
    dropped   (contrast, first, second, why) of the pairs left out
    left_out  (contrast, why) of contrasts with fewer than two pairs
    """

    contrasts: tuple[Contrast, ...]
    pairs: tuple[tuple[str, str], ...]
    dropped: tuple[tuple[str, str, str, str], ...]
    left_out: tuple[tuple[str, str], ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(one.name for one in self.contrasts)

    @property
    def n_pairs(self) -> np.ndarray:
        return np.array([len(one.first) for one in self.contrasts])

    @property
    def pair_concept(self) -> np.ndarray:
        """[pair] number of its contrast."""
        return np.repeat(np.arange(len(self.contrasts)), self.n_pairs)


def kept(given: ConceptSet, place: Place) -> Kept:
    """The contrasts whose words are at the place. Raises `Error` when none has two pairs."""
    number = {word: at for at, word in enumerate(place.words)}
    contrasts: list[Contrast] = []
    pairs: list[tuple[str, str]] = []
    dropped: list[tuple[str, str, str, str]] = []
    left_out: list[tuple[str, str]] = []
    for group in given.groups:
        own = []
        for one, other in zip(group.items, group.targets, strict=True):
            why = _pair_fault(one, other, number, place)
            if why:
                dropped.append((group.name, one, other, why))
            else:
                own.append((one, other))
        if len(own) < LEAST:
            left_out.append((group.name, f"{len(own)} of {len(group.items)} pairs can be read"))
            continue
        first, second = zip(*own, strict=True)
        contrasts.append(
            Contrast(
                group.name,
                tuple(number[word] for word in first),
                tuple(number[word] for word in second),
            )
        )
        pairs += own
    if not contrasts:
        why = f"; {dropped[0][1]} / {dropped[0][2]}: {dropped[0][3]}" if dropped else ""
        raise Error(
            f"no contrast of {given.name[:40]!r} has {LEAST} pairs that can be read here{why}"
        )
    if len(contrasts) > MOST:
        raise Error(f"{len(contrasts)} contrasts; at most {MOST} are compared at once")
    return Kept(tuple(contrasts), tuple(pairs), tuple(dropped), tuple(left_out))


def _pair_fault(one: str, other: str, number: dict[str, int], place: Place) -> str:
    for word in (one, other):
        if word not in number:
            return f"{word}: {place.missing.get(word, 'it was not read')}"
    if np.array_equal(place.rows[number[one]], place.rows[number[other]]):
        return "both halves have the same vector"
    return ""


def incidence(contrasts: Sequence[Contrast], n_words: int) -> np.ndarray:
    """[contrast, word]: 1/n for the second halves, -1/n for the first; times rows, the means."""
    found = np.zeros((len(contrasts), n_words))
    for row, one in enumerate(contrasts):
        np.add.at(found[row], list(one.second), 1 / len(one.second))
        np.add.at(found[row], list(one.first), -1 / len(one.first))
    return found


def leave_one_out(one: Contrast, apart: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Directions [pair, d] of length 1 from the other pairs, and each pair's projection [pair].

    apart [pair, d] are differences second - first, whitened or not. Pairs that share a word with
    the one left out are left out with it: snow -> white would else tell on milk -> white. NaN
    where no pair remains.
    """
    first, second = np.array(one.first)[:, None], np.array(one.second)[:, None]
    shared = (first == first.T) | (second == second.T) | (first == second.T) | (second == first.T)
    others = unit((~shared).astype(float) @ apart)
    others[shared.all(axis=1)] = np.nan
    return others, (apart * others).sum(axis=1)


def beside_chance(values: np.ndarray, chance: np.ndarray) -> tuple[float, float, float]:
    """d' = (mean - mean of chance) / sd of chance, AUC against chance, share above 0; NaN is left
    out."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan"), float("nan")
    spread = chance.std()
    distance = float((values.mean() - chance.mean()) / spread) if spread else float("nan")
    ordered = np.sort(chance)
    below = np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")
    return distance, float(below.mean() / 2 / len(chance)), float((values > 0).mean())
