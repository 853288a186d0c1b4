"""The neurons of a word, a list of words or a pattern: which write it, which read it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.corpus.patterns import matching
from core.engine.neuron_classes import classes, cosines
from core.engine.neuron_rows import check_weight, check_whole, n_layers, neuron_rows
from core.engine.token_scores import (
    TILE,
    Vocabulary,
    decoded,
    moments,
    piece_table,
    row_moments,
    vocabulary,
)
from core.models.loaded import Loaded
from core.models.words import read_word, token_texts
from core.results.neuron_search import NeuronSearch
from core.spec.errors import Error
from core.spec.query import Pattern, listed, parse

N_RANDOM = 20
N_OWN = 6
MOST_HITS = 1_000


@dataclass(frozen=True)
class _Query:
    """Readings (each a tuple of token ids), and for each the number of the word it is one of."""

    readings: tuple[tuple[int, ...], ...]
    word: tuple[int, ...]
    asked: str
    notes: tuple[str, ...]

    def ids(self) -> list[int]:
        return sorted({token for reading in self.readings for token in reading})


def neuron_search(
    loaded: Loaded,
    progress: Progress,
    *,
    query: str = "",
    words: Sequence[str] = (),
    concept: str = "",
    weight: str = "out",
    k: int = 50,
    against: str = "unembedding",
    seed: int = 0,
    stack: str = "",
) -> NeuronSearch:
    """The k neurons for which the tokens asked for stick out most, and the score of all neurons.

    query    words (with their forms), "exact texts" in quotes, or one /regular expression/
    words    instead of the query: a list, such as the words of a concept; `concept` names it
    Other options as in `neuron_tokens`. Score of a neuron: z over the vocabulary; mean over the
    pieces of a reading, best reading of a word, mean over the words; a pattern is one set of
    tokens. Raises `Error` for a pattern that does not compile or matches nothing, and for words
    the model has no tokens for.
    """
    check_weight(loaded, 0, weight, stack)
    check_whole(k, "number of neurons k")
    if not 1 <= k <= MOST_HITS:
        raise Error(f"k is {k}; take a number of neurons from 1 to {MOST_HITS:,}")
    voc = vocabulary(loaded, against, stack)
    asked = _query(loaded, query, words, concept)
    with loaded.busy():
        scores = _all_scores(loaded, voc, asked, weight, against, stack, seed, progress)
        control = scores[1:].abs().flatten(1).amax(dim=1)
        hits = _hits(loaded, voc, asked, scores[0], k, weight, stack)
        asked_ids = torch.tensor(asked.ids())
        piece_ids, pieces = piece_table(loaded, asked_ids, torch.from_numpy(hits["own_ids"]))
    return NeuronSearch(
        request={},
        pieces=pieces,
        piece_ids=piece_ids,
        weight=weight,
        against=against,
        stack=stack,
        asked=asked.asked,
        notes=asked.notes,
        n_vocabulary=voc.n,
        n_asked=len(asked_ids),
        n_random=N_RANDOM,
        chance=(_percentile(control, 95), _percentile(control, 99)),
        asked_ids=asked_ids.numpy(),
        score=scores[0].numpy(),
        **hits,
    )


def _query(loaded: Loaded, query: str, words: Sequence[str], concept: str) -> _Query:
    """What was asked for, in tokens."""
    if words and query:
        raise Error("search for a query or for a list of words, not for both at once")
    what = listed(words) if words else parse(query)
    if isinstance(what, Pattern):
        return _pattern(loaded, what)
    read = [read_word(loaded, word) for word in what]
    readings = tuple(reading for word in read for reading in word.readings)
    owner = tuple(number for number, word in enumerate(read) for _ in word.readings)
    asked = concept or ", ".join(word.text for word in read)
    return _Query(readings, owner, asked, tuple(word.note for word in read))


def _pattern(loaded: Loaded, pattern: Pattern) -> _Query:
    """All tokens in which the pattern is found, with or without the blank in front."""
    ids, texts = token_texts(loaded)
    bare = [text.removeprefix(" ") for text in texts]
    places = np.union1d(
        matching(pattern.text, texts, ignore_case=pattern.ignore_case),
        matching(pattern.text, bare, ignore_case=pattern.ignore_case),
    )
    shown = f"/{pattern.text}/{'i' if pattern.ignore_case else ''}"
    if not len(places):
        raise Error(f"no token of {loaded.name} matches {shown[:80]}; try another pattern")
    tokens = tuple(ids[place] for place in places.tolist())
    note = f"{shown} matches {len(tokens):,} of {len(ids):,} tokens; the score is their mean"
    return _Query((tokens,), (0,), shown, (note,))


def _random_queries(loaded: Loaded, asked: _Query, seed: int) -> list[_Query]:
    """The same words and readings with every token replaced by a random one."""
    ids, _ = token_texts(loaded)
    generator = np.random.default_rng(seed)
    own = asked.ids()
    queries = []
    for _ in range(N_RANDOM):
        other = generator.choice(np.array(ids), size=len(own), replace=len(own) > len(ids))
        swap = dict(zip(own, other.tolist(), strict=True))
        readings = tuple(tuple(swap[token] for token in each) for each in asked.readings)
        queries.append(_Query(readings, asked.word, "", ()))
    return queries


def _percentile(values: Tensor, share: float) -> float:
    return float(np.percentile(values.numpy(), share))


def _scores(voc: Vocabulary, rows: Tensor, usual: tuple[Tensor, Tensor], query: _Query) -> Tensor:
    """Signed score [neuron] of a query: the stronger end, negative when it is the bottom one."""
    mean, deviation = usual
    # The mean z over the tokens of a reading is that of the mean of their rows.
    targets = torch.stack([voc.matrix[list(reading)].mean(dim=0) for reading in query.readings])
    z = (rows @ targets.T - mean[:, None]) / deviation[:, None]
    top, bottom = _over_words(z, query), _over_words(-z, query)
    return torch.where(top >= bottom, top, -bottom)


def _over_words(z: Tensor, query: _Query) -> Tensor:
    """Best reading of each word, mean over the words: [neuron] from [neuron, reading]."""
    word = torch.tensor(query.word, device=z.device).expand(len(z), -1)
    best = torch.full((len(z), query.word[-1] + 1), -torch.inf, device=z.device)
    return best.scatter_reduce(1, word, z, "amax").mean(dim=1)


def _all_scores(
    loaded: Loaded,
    voc: Vocabulary,
    asked: _Query,
    weight: str,
    against: str,
    stack: str,
    seed: int,
    progress: Progress,
) -> Tensor:
    """Signed scores [query, layer, neuron]: what was asked for first, then its random draws."""
    queries, layers = [asked, *_random_queries(loaded, asked, seed)], n_layers(loaded, stack)
    found = []
    for layer in range(layers):
        progress.step(layer / layers, f"layer {layer} of {layers - 1}")
        rows = neuron_rows(loaded, layer, weight, stack)
        usual = row_moments(loaded, layer, weight, against, stack)
        found.append(torch.stack([_scores(voc, rows, usual, query) for query in queries]).cpu())
    return torch.stack(found, dim=1)


def _hits(
    loaded: Loaded, voc: Vocabulary, query: _Query, score: Tensor, k: int, weight: str, stack: str
) -> dict[str, np.ndarray]:
    """The k neurons of the largest |score| [layer, neuron], by the names of the result."""
    best = score.flatten().abs().argsort(descending=True, stable=True)[:k]
    layer, unit, value = best // score.shape[1], best % score.shape[1], score.flatten()[best]
    margin, own_ids = _evidence(loaded, voc, query, (layer, unit, value), weight, stack)
    every = torch.stack([cosines(loaded, number, stack) for number in range(len(score))])
    kind = every[layer, unit]
    return {
        "layer": layer.numpy(),
        "neuron": unit.numpy(),
        "hit_score": value.numpy(),
        "margin": margin.cpu().numpy(),
        "own_ids": own_ids.cpu().numpy(),
        "linout": kind[:, 0].numpy(),
        "code": classes(kind).numpy(),
    }


def _evidence(
    loaded: Loaded,
    voc: Vocabulary,
    query: _Query,
    hits: tuple[Tensor, Tensor, Tensor],
    weight: str,
    stack: str,
) -> tuple[Tensor, Tensor]:
    """(margin [hit], first tokens [hit, 6]) at the end of each hit that speaks of the query.

    hits  layer, neuron and signed score of each, [hit]
    """
    layer, unit, score = hits
    rows = torch.empty(len(layer), loaded.d_model, device=voc.matrix.device)
    for number in layer.unique().tolist():
        here = layer == number
        rows[here] = neuron_rows(loaded, number, weight, stack, unit[here].tolist())
    rows = rows * torch.where(score < 0, -1.0, 1.0).to(rows.device)[:, None]
    asked = torch.zeros(voc.n, dtype=torch.bool, device=rows.device)
    asked[query.ids()] = True
    leads = []
    for part in rows.split(max(1, TILE // voc.n)):
        scores = part @ voc.rows.T
        own = scores.masked_fill(~asked, -torch.inf).amax(dim=1)
        leads.append(own - scores.masked_fill(asked, -torch.inf).amax(dim=1))
    first = decoded(voc, rows, min(N_OWN, voc.n)).top_ids
    return torch.cat(leads) / moments(voc, rows)[1], first
