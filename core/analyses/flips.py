"""Texts on which two models disagree most about what comes next, and the components responsible."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import flip_parts, two_models
from core.analyses.paired_units import token_names
from core.analyses.runs import LOGITS_AT_ONCE, TOKENS_AT_ONCE, Progress
from core.analyses.two_models import Items
from core.corpus import readers
from core.engine.forward import run
from core.engine.loss import refuse_without_next_tokens
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.flips import Flips
from core.spec.errors import Error

N_DOCUMENTS = 200
MOST_CHARACTERS = 1_000  # of a document
LISTED = 8
CHOICES = 5
MOST_PLACES = 100_000
LEAST_SHARED = 50
LEAST_TEXTS = 3  # with a word
WORDS = 15
DRAWS = 1_000


def flips(
    loaded: Loaded,
    progress: Progress,
    *,
    other: Loaded,
    texts: Sequence[str] = (),
    corpus: readers.Corpus = "built-in",
    field: str = "text",
    n_documents: int = N_DOCUMENTS,
    listed: int = LISTED,
    parts: bool = True,
    seed: int = 0,
) -> Flips:
    """The places of largest KL, the words that go with them, and what turns the answer there.

    other   the second decoder, by name; with another vocabulary the tokens both have are compared
    texts   those asked about; () for sentences of many kinds and `n_documents` of `corpus` (a
            built-in name, a file, with `field` its column), each cut to 1,000 characters
    listed  how many flips are told in full, one a text; parts: in one architecture, put each
            component of the other model into this one at these places

    KL is that of the other model from this one, in nats. Activation patching between models after
    Prakash et al. 2024, "Fine-Tuning Enhances Existing Mechanisms" (cross-model patching).
    """
    _check(loaded, other, listed, n_documents)
    wanted, source = _texts(texts, corpus, field, n_documents)
    asked = two_models.items(loaded, other, wanted, "token", MOST_PLACES, 1, seed)
    words = _shared(loaded, other)
    seen = _seen(loaded, other, asked, words, progress, seed)
    chosen = _chosen(asked, seen.kl, seen.differs, listed)
    why = _why_no_parts(loaded, other, asked, words)
    told = [
        _told(loaded, other, asked, seen, words, int(item), parts and not why, progress, seed,
              0.6 + 0.4 * number / len(chosen))
        for number, item in enumerate(chosen)
    ]  # fmt: skip
    text_kl = np.zeros(len(asked.texts))
    np.maximum.at(text_kl, asked.text, seen.kl)
    common = _words(asked.texts, text_kl, np.random.default_rng(seed))
    return Flips(
        request={},
        models=(loaded.name, other.name),
        same=two_models.same_weights(loaded, other),
        same_tokens=asked.same_tokens,
        why_no_parts=why if parts else "components were not asked for",
        source=source,
        n_texts=len(asked.texts),
        n_places=asked.n,
        n_shared=words.n,
        seed=seed,
        notes=asked.notes,
        mass=seen.mass,
        differs=float(seen.differs.mean()),
        kl=seen.kl.astype("float32"),
        control_kl=seen.control.astype("float32"),
        text_kl=text_kl.astype("float32"),
        listed_kl=seen.kl[chosen],
        listed_differs=seen.differs[chosen],
        **common,
        **_together(told),
    )


def _check(loaded: Loaded, other: Loaded, listed: int, n_documents: int) -> None:
    for model in (loaded, other):
        refuse_without_next_tokens(model, "where two models flip")
    for name, value, high in (("listed", listed, 50), ("n_documents", n_documents, 5_000)):
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= high:
            raise Error(f"{name}= is a whole number from 1 to {high:,}, not {value!r:.20}")


def _together(told: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The listed flips field by field; their components are the same."""
    found: dict[str, Any] = {}
    for name, first in told[0].items():
        values = [row[name] for row in told]
        found[name] = np.stack(values) if isinstance(first, np.ndarray) else tuple(values)
    return found | {"components": told[0]["components"]}


def _texts(
    texts: Sequence[str], corpus: readers.Corpus, field: str, n: int
) -> tuple[Sequence[str], str]:
    if isinstance(texts, str) or len(texts):
        return texts, "texts of one's own"
    documents = islice(readers.texts(corpus, field), n)
    found = [_cut(document.text) for document in documents]
    name = readers.name_of(corpus)
    if name != "built-in":
        return found, name
    return (*two_models.built_in_texts(), *found), f"{two_models.BUILT_IN}, and {name} documents"


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARACTERS:
        return text
    return text[:MOST_CHARACTERS].rsplit(" ", 1)[0]


@dataclass(frozen=True)
class _Words:
    """Token ids of either side that mean the same, row by row; `why` the vocabularies differ."""

    ids: tuple[Tensor, Tensor]
    n: int
    why: str

    def of(self, side: int, row: int) -> int:
        return int(self.ids[side][row])


def _why_no_parts(loaded: Loaded, other: Loaded, asked: Items, words: _Words) -> str:
    """Why components of the two cannot be exchanged, "" where they can."""
    why = two_models.unlike_architectures(loaded, other) or words.why
    if not why and not asked.same_tokens:
        why = f"{loaded.name} and {other.name} split texts into different tokens"
    return why


def _shared(one: Loaded, two: Loaded) -> _Words:
    why = two_models.unlike_vocabularies(one, two)
    if not why:
        every = torch.arange(min(one.d_vocab, two.d_vocab))
        return _Words((every, every), len(every), "")
    names = [token_names(model) for model in (one, two)]
    both = sorted(set(names[0]) & set(names[1]))
    if len(both) < LEAST_SHARED:
        raise Error(
            f"{one.name} and {two.name} have {len(both)} tokens in common, too few to compare "
            "what they say"
        )
    ids = [torch.tensor([own[name] for name in both]) for own in names]
    return _Words((ids[0], ids[1]), len(both), why)


@dataclass
class _Seen:
    """Of every place: KL, its control, whether first choices differ, and the telling tokens.

    top [2, place, k] and p [2, place, k] first choices among the shared tokens; pair [place, 2]
    (toward, away), p_pair [2, place, 2].
    """

    kl: np.ndarray
    control: np.ndarray
    differs: np.ndarray
    mass: np.ndarray
    top: np.ndarray
    p: np.ndarray
    pair: np.ndarray
    p_pair: np.ndarray


def _seen(
    one: Loaded, two: Loaded, asked: Items, words: _Words, progress: Progress, seed: int
) -> _Seen:
    """Both models on every text, a batch at a time; only a few numbers of a place are kept."""
    n, k = asked.n, min(CHOICES, words.n)
    found = _Seen(
        kl=np.zeros(n),
        control=np.zeros(n),
        differs=np.zeros(n, dtype=bool),
        mass=np.zeros(2),
        top=np.zeros((2, n, k), dtype=np.int64),
        p=np.zeros((2, n, k)),
        pair=np.zeros((n, 2), dtype=np.int64),
        p_pair=np.zeros((2, n, 2)),
    )
    rng = np.random.default_rng(seed)
    done = 0
    for batch in _batches(one, two, asked):
        progress.step(0.6 * done / len(asked.texts), f"text {done:,} of {len(asked.texts):,}")
        done += len(batch)
        items = np.flatnonzero(np.isin(asked.text, batch))
        if not len(items):
            continue
        row = {text: at for at, text in enumerate(batch)}
        at = [row[text] for text in asked.text[items]]
        both = []
        for side, model in enumerate((one, two)):
            said = run(
                model, rows(model, [asked.ids[side][text] for text in batch]), check=progress.check
            ).logits
            assert said is not None
            logits = said[at, asked.at[side][items].tolist()].float().cpu()
            own = torch.log_softmax(logits, dim=-1)[:, words.ids[side]]
            found.mass[side] += float(own.exp().sum())
            both.append(torch.log_softmax(own, dim=-1))
        _compare(both[0], both[1], items, found, rng)
    found.mass /= max(1, n)
    return found


def _compare(
    p: Tensor, q: Tensor, items: np.ndarray, found: _Seen, rng: np.random.Generator
) -> None:
    """p, q [place, token] log-probabilities here and there."""
    order = torch.from_numpy(np.roll(rng.permutation(len(items)), 1))
    apart = q.exp() * (q - p)
    found.kl[items] = apart.sum(dim=-1).clamp_min(0).numpy()
    mixed = q[order]
    found.control[items] = (mixed.exp() * (mixed - p)).sum(dim=-1).clamp_min(0).numpy()
    k = found.top.shape[-1]
    for side, each in enumerate((p, q)):
        best = each.topk(k, dim=-1)
        found.top[side, items] = best.indices.numpy()
        found.p[side, items] = best.values.exp().numpy()
    found.differs[items] = found.top[0, items, 0] != found.top[1, items, 0]
    toward, away = apart.argmax(dim=-1), (p.exp() * (p - q)).argmax(dim=-1)
    found.pair[items] = torch.stack([toward, away], dim=1).numpy()
    for side, each in enumerate((p, q)):
        rows_ = torch.arange(len(each))
        found.p_pair[side, items] = (
            torch.stack([each[rows_, toward], each[rows_, away]], dim=1).exp().numpy()
        )


def _batches(one: Loaded, two: Loaded, asked: Items) -> Iterator[list[int]]:
    """Texts of like length whose logits of both models are held together."""
    limit = min(TOKENS_AT_ONCE, LOGITS_AT_ONCE // (one.d_vocab + two.d_vocab))
    length = [max(len(a), len(b)) for a, b in zip(*asked.ids, strict=True)]
    batch: list[int] = []
    for text in sorted(range(len(length)), key=length.__getitem__):
        if batch and (len(batch) + 1) * length[text] > limit:
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _chosen(asked: Items, kl: np.ndarray, differs: np.ndarray, listed: int) -> np.ndarray:
    """The place of largest KL of each text, flips before the rest, largest first.

    Texts that begin alike are one as far as they do.
    """
    order = np.lexsort((-kl, ~differs))
    _, first = np.unique(asked.text[order], return_index=True)
    found: dict[str, int] = {}
    for item in order[np.sort(first)]:
        read = asked.texts[int(asked.text[item])][: int(asked.end[item])]
        found.setdefault(read, int(item))
        if len(found) == listed:
            break
    return np.array(list(found.values()))


def _told(
    one: Loaded,
    two: Loaded,
    asked: Items,
    seen: _Seen,
    words: _Words,
    item: int,
    parts: bool,
    progress: Progress,
    seed: int,
    share: float,
) -> dict[str, Any]:
    """Everything about one listed flip, by field."""
    progress.step(share, "what turns the answer")
    text = int(asked.text[item])
    whole, end = asked.texts[text], int(asked.end[item])
    pair = seen.pair[item]
    both = [(words.of(side, pair[0]), words.of(side, pair[1])) for side in (0, 1)]
    ids = [asked.ids[side][text][: int(asked.at[side][item]) + 1] for side in (0, 1)]
    says = [
        pieces(model, [words.of(side, row) for row in seen.top[side, item]])
        for side, model in enumerate((one, two))
    ]
    found: dict[str, Any] = {
        "texts": whole[:end],
        "after": whole[end : end + 40],
        "toward": pieces(two, [both[1][0]])[0],
        "away": pieces(one, [both[0][1]])[0],
        "says_here": says[0],
        "says_there": says[1],
        "p_here": seen.p[0, item],
        "p_there": seen.p[1, item],
        "p_toward": seen.p_pair[:, item, 0],
        "p_away": seen.p_pair[:, item, 1],
        "lens_here": flip_parts.lens(one, ids[0], both[0], progress),
        "lens_there": flip_parts.lens(two, ids[1], both[1], progress),
        "components": (),
        "effect": np.zeros(0),
        "control_effect": np.zeros((0, flip_parts.N_CONTROLS)),
        "layer_effect": np.zeros(0),
    }
    if parts:
        got = flip_parts.exchanged(one, two, ids[0], both[0], progress, seed)
        found |= {
            "components": got.names,
            "effect": got.effect,
            "control_effect": got.control,
            "layer_effect": got.layers,
        }
    return found


def _words(texts: Sequence[str], text_kl: np.ndarray, rng: np.random.Generator) -> dict[str, Any]:
    """Words whose texts the models disagree on more than on as many texts drawn at random."""
    places: dict[str, list[int]] = {}
    for number, text in enumerate(texts):
        for word in set(re.findall(r"\w[\w'’-]*", text.lower())):
            places.setdefault(word, []).append(number)
    common = {word: at for word, at in places.items() if LEAST_TEXTS <= len(at) < len(texts)}
    sizes = sorted({len(at) for at in common.values()})
    high = {}
    for size in sizes:
        drawn = rng.random((DRAWS, len(texts))).argpartition(size - 1, axis=1)[:, :size]
        high[size] = float(np.quantile(text_kl[drawn].mean(axis=1), 0.95))
    means = {word: float(text_kl[at].mean()) for word, at in common.items()}
    order = sorted(common, key=lambda word: (high[len(common[word])] - means[word], word))[:WORDS]
    return {
        "words": tuple(order),
        "word_kl": np.array([means[word] for word in order]),
        "word_n": np.array([len(common[word]) for word in order], dtype=int),
        "word_high": np.array([high[len(common[word])] for word in order]),
    }
