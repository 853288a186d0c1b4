"""Words of several tokens as frames: their token vectors as ordered columns.

After "Frame Representation Hypothesis: Multi-Token LLM Interpretability and Concept-Guided Text
Generation" (Valois, Souza, Shimomoto and Fukui 2024).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from core.analyses.clouds import unit
from core.analyses.whitening import Unembedding, unembedding
from core.models.loaded import Loaded
from core.models.words import in_text
from core.spec.concept_set import ConceptSet, short
from core.spec.errors import Error

LEAST = 2  # words of a concept: one is left out, one has to stay
MOST_TOKENS = 6
POOL = 2_000  # random tokens that random words are made of
INNER = ("causal", "raw")
_TINY = 1e-9


@dataclass(frozen=True)
class Words:
    """The words of one concept as frames.

    ids     tokens of each word; frames [word, d, column] float64, zero columns behind the last one
    """

    name: str
    words: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    frames: np.ndarray


@dataclass(frozen=True)
class Vectors:
    """Token vectors as frames use them: whitened or centred, of length 1 or as they are.

    width  columns of a frame; pool [n, d] vectors of random tokens, what random words are made of
    """

    found: Unembedding
    inner: str
    unit: bool
    width: int
    pool: np.ndarray

    def frames(self, ids: Sequence[Sequence[int]]) -> np.ndarray:
        """[word, d, column] of words given as tokens."""
        flat = [token for word in ids for token in word]
        return self._frames(ids, _rows(self.found, self.inner, self.unit, flat))

    def random(self, ids: Sequence[Sequence[int]], rng: np.random.Generator) -> np.ndarray:
        """Frames of random tokens, as many for each word."""
        n = sum(map(len, ids))
        return self._frames(ids, self.pool[rng.integers(len(self.pool), size=n)])

    def _frames(self, ids: Sequence[Sequence[int]], rows: np.ndarray) -> np.ndarray:
        made = np.zeros((len(ids), self.width, rows.shape[1]))
        sizes = np.array([len(word) for word in ids], dtype=int)
        column = np.concatenate([np.arange(size) for size in sizes])
        made[np.repeat(np.arange(len(ids)), sizes), column] = rows
        return made.transpose(0, 2, 1)


def _rows(found: Unembedding, inner: str, unit_rows: bool, tokens: Sequence[int]) -> np.ndarray:
    """[token, d] float64 vectors of tokens."""
    rows = found.rows[list(tokens)].double().numpy()
    made = found.white.white(rows) if inner == "causal" else rows - found.white.mean
    return unit(made) if unit_rows else made


def vectors(
    loaded: Loaded, inner: str, unit_columns: bool, most_tokens: int, check: Callable[[], None]
) -> Vectors:
    """Token vectors of this model. Raises `Error` for a model without a plain unembedding."""
    if inner not in INNER:
        raise Error(f"inner= is one of {', '.join(INNER)}, not {str(inner)[:20]!r}")
    if isinstance(most_tokens, bool) or most_tokens not in range(1, MOST_TOKENS + 1):
        raise Error(f"most_tokens= lies between 1 and {MOST_TOKENS}")
    found, columns = unembedding(loaded, check), bool(unit_columns)
    used = np.flatnonzero(found.used.numpy())
    sample = np.random.default_rng(0).choice(used, min(POOL, len(used)), replace=False)
    pool = _rows(found, inner, columns, sample.tolist())
    return Vectors(found, inner, columns, int(most_tokens), pool)


def concept_words(
    loaded: Loaded, given: ConceptSet, basis: Vectors
) -> tuple[list[Words], list[tuple[str, str, str]], list[tuple[str, str]]]:
    """The concepts, (concept, word, why) of words left out, (concept, why) of concepts left out.

    A set of pairs gives two concepts a group, its first and its second halves.
    """
    found: list[Words] = []
    dropped: list[tuple[str, str, str]] = []
    left_out: list[tuple[str, str]] = []
    for name, words in _lists(given):
        kept: dict[str, tuple[int, ...]] = {}
        for word in dict.fromkeys(words):
            ids = in_text(loaded, word)
            why = _fault(ids, basis)
            if why:
                dropped.append((name, word, why))
            else:
                kept[word] = ids
        if len(kept) < LEAST:
            left_out.append((name, f"{len(kept)} of {len(words)} words can be read"))
            continue
        frames = basis.frames(list(kept.values()))
        found.append(Words(name, tuple(kept), tuple(kept.values()), frames))
    if not found:
        why = f"; {dropped[0][1]}: {dropped[0][2]}" if dropped else ""
        raise Error(f"no concept of {short(given.name)} has {LEAST} words that can be read{why}")
    return found, dropped, left_out


def _lists(given: ConceptSet) -> list[tuple[str, Sequence[str]]]:
    if given.kind != "pairs":
        return [(group.name, given.below(group.name)) for group in given.groups]
    return [
        (f"{group.name}: {half}", words)
        for group in given.groups
        for half, words in (("first", group.items), ("second", group.targets))
    ]


def _fault(ids: Sequence[int], basis: Vectors) -> str:
    if not ids:
        return "the model has no token for it"
    if len(ids) > basis.width:
        return f"{len(ids)} tokens; frames have at most {basis.width}"
    if not basis.found.used[list(ids)].all():
        return "a row of the unembedding was never trained"
    return ""


def procrustes(total: np.ndarray) -> np.ndarray:
    """The nearest frame of orthonormal columns to sums of frames [..., d, column].

    U V^T of the singular value decomposition U S V^T where S is above rounding; columns without
    support stay zero.
    """
    gram = np.swapaxes(total, -1, -2) @ total
    values, basis = np.linalg.eigh(gram)
    largest = values[..., -1:]
    seen = values > _TINY * np.maximum(largest, 1e-300)
    root = np.where(seen, np.maximum(values, 1e-300), np.inf)
    inverse = basis / np.sqrt(root)[..., None, :] @ np.swapaxes(basis, -1, -2)
    found: np.ndarray = total @ inverse
    return found


def rank(frames: np.ndarray) -> np.ndarray:
    """[...] columns that are not zero of frames [..., d, column]."""
    found: np.ndarray = (np.abs(frames) > _TINY).any(axis=-2).sum(axis=-1)
    return found


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """tr(F1^T F2) / sqrt(rank1 rank2), [n, m] of frames [n, d, column] and [m, d, column]."""
    traces = one.reshape(len(one), -1) @ other.reshape(len(other), -1).T
    both = np.sqrt(np.outer(rank(one), rank(other)))
    return np.divide(traces, both, out=np.zeros_like(traces), where=both > 0)


def own_correlation(frames: np.ndarray) -> np.ndarray:
    """[word] correlation of each word with the concept of all other words."""
    others = procrustes(frames.sum(axis=0) - frames)
    traces = (frames * others).sum(axis=(1, 2))
    both = np.sqrt(rank(frames) * rank(others))
    return np.divide(traces, both, out=np.zeros_like(traces), where=both > 0)


def full_rank(frames: np.ndarray) -> np.ndarray:
    """[word] matrix rank of each frame divided by its tokens: 1 where no token repeats another."""
    found: np.ndarray = np.linalg.matrix_rank(frames) / np.maximum(rank(frames), 1)
    return found
