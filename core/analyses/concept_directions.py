"""Contrasts as directions under the causal inner product, beside random ones."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.special import ndtr

from core.analyses.clouds import unit
from core.analyses.runs import Progress
from core.analyses.states import reference_norm
from core.analyses.stream_vectors import to_stream
from core.analyses.whitening import Whitening
from core.analyses.word_contrasts import (
    Contrast,
    Kept,
    Place,
    at_layer,
    beside_chance,
    incidence,
    kept,
    leave_one_out,
    on_output,
    pair_set,
    place_of,
)
from core.corpus.readers import Corpus
from core.models.loaded import Loaded
from core.results.concept_directions import ConceptDirections
from core.spec.concept_set import ConceptSet
from core.spec.errors import Error
from core.spec.site import Site

N_RANDOM = 10_000
CONTROLS, CONTROL_PAIRS = 5, 30
N_NULL = 200
NULL_WORDS = 4_096  # random words that stand for all in the chance of a cosine
FALSE_DISCOVERIES = 0.05
BINS, REACH = 60, 6.0  # of the densities, in standard deviations of random pairs
MOST_RANDOM = 200_000


def concept_directions(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "contrasts",
    layer: int | None = None,
    contexts: Sequence[str] = (),
    read: str = "last",
    corpus: Corpus = "built-in",
    n_contexts: int = 64,
    n_random: int = N_RANDOM,
    seed: int = 0,
) -> ConceptDirections:
    """One direction per contrast, tested on pairs left out, and the angles between contrasts.

    concepts   a set of pairs: a name, a `ConceptSet`, a list of (first, second)
    layer      None: rows of the unembedding under the causal inner product (Park, Choe and Veitch
               2023); 0 to n_layers: states of the words in contexts=, read= as in `item_states`,
               whitened by the covariance of the stream over corpus= (n_contexts windows)
    n_random   random pairs of words that the pairs are compared with

    At the unembedding only words that are one token count; the others are listed with the reason.
    """
    given = pair_set(concepts)
    if not isinstance(n_random, int) or not 100 <= n_random <= MOST_RANDOM:
        raise Error(f"n_random= is a number of pairs between 100 and {MOST_RANDOM:,}")
    progress.step(0.0, "whitening" if layer is None else "reading the words")
    if layer is None:
        place = on_output(loaded, given.items, progress.check)
    else:
        place = at_layer(
            loaded, progress, given.items, layer, contexts=contexts or given.contexts, read=read,
            corpus=corpus, n_contexts=n_contexts, seed=seed,
        )  # fmt: skip
    own = kept(given, place)
    progress.step(0.8, "directions")
    found = measured(place, own.contrasts, n_random, seed, progress)
    return _result(loaded, progress, given, place, own, found, n_random, seed)


@dataclass(frozen=True)
class _Rows:
    """Contrasts and random contrasts over one list of words."""

    contrasts: tuple[Contrast, ...]
    rows: np.ndarray  # [word, d]
    n_own: int

    @property
    def weights(self) -> np.ndarray:
        return incidence(self.contrasts, len(self.rows))


def measured(
    place: Place, contrasts: Sequence[Contrast], n_random: int, seed: int, progress: Progress
) -> dict[str, np.ndarray]:
    """Every array of the result that follows from words, contrasts and whitening alone."""
    rng = np.random.default_rng(seed)
    both = _with_controls(place, contrasts, rng)
    mean = both.weights @ both.rows  # [row, d]
    metrics = (place.white.inverse, None)
    directions = [unit(mean if root is None else mean @ root) for root in metrics]
    found = _subspaces(place, both, directions, metrics, n_random, rng)
    crossed = [one @ one.T for one in directions]
    strange = np.abs(rng.normal(size=(mean.shape[1], mean.shape[1])))
    turned = unit(directions[1] @ strange)
    found["cosine"] = np.stack([*crossed, turned @ turned.T])
    found |= _chance(place, both, rng, progress)
    found["significant"] = np.stack(
        [
            discoveries(cosine, middle, spread)
            for cosine, middle, spread in zip(
                crossed, found["null_mean"], found["null_sd"], strict=True
            )
        ]
    )
    found["direction"] = directions[0][: both.n_own]
    found["mean"] = mean[: both.n_own]
    return found


def _with_controls(place: Place, contrasts: Sequence[Contrast], rng: np.random.Generator) -> _Rows:
    """The contrasts, and random ones of 30 random pairs each, on words of their own."""
    extra = place.random(rng, CONTROLS * CONTROL_PAIRS * 2).double().numpy()
    start = len(place.rows)
    random = []
    for number in range(CONTROLS):
        own = range(start + number * 2 * CONTROL_PAIRS, start + (number + 1) * 2 * CONTROL_PAIRS)
        random.append(Contrast(f"random {number + 1}", tuple(own[::2]), tuple(own[1::2])))
    rows = np.concatenate([place.rows, extra])
    return _Rows((*contrasts, *random), rows, len(contrasts))


def _subspaces(
    place: Place,
    both: _Rows,
    directions: Sequence[np.ndarray],
    metrics: Sequence[np.ndarray | None],
    n_random: int,
    rng: np.random.Generator,
) -> dict[str, np.ndarray]:
    """Pairs on directions built without them, beside random pairs, for both inner products."""
    chance = place.random_pairs(rng, n_random)
    edges = np.linspace(-REACH, REACH, BINS + 1)
    columns: dict[str, list[Any]] = {
        name: [] for name in ("projection", "random_mean", "d_prime", "auc", "positive")
    }
    density = np.zeros((len(both.contrasts), BINS))
    for metric, (direction, root) in enumerate(zip(directions, metrics, strict=True)):
        along = direction if root is None else direction @ root.T
        beside = chance @ along.T  # [random pair, row]
        spread = np.where(beside.std(axis=0) > 0, beside.std(axis=0), 1.0)
        scores, own = [], []
        for row, one in enumerate(both.contrasts):
            apart = both.rows[list(one.second)] - both.rows[list(one.first)]
            _, along_others = leave_one_out(one, apart if root is None else apart @ root)
            scores.append(beside_chance(along_others, beside[:, row]))
            if row < both.n_own:
                own.append(along_others / spread[row])
            if metric == 0:
                scaled = np.clip(beside[:, row] / spread[row], -REACH, REACH)
                density[row] = np.histogram(scaled, edges, density=True)[0]
        columns["projection"].append(np.concatenate(own))
        columns["random_mean"].append(beside.mean(axis=0) / spread)
        for number, name in enumerate(("d_prime", "auc", "positive")):
            columns[name].append(np.array([score[number] for score in scores]))
    found = {name: np.stack(values) for name, values in columns.items()}
    return found | {"edges": edges, "random_density": density}


def _chance(
    place: Place, both: _Rows, rng: np.random.Generator, progress: Progress
) -> dict[str, np.ndarray]:
    """Mean and standard deviation of each cosine when every word is a random one.

    A word that two contrasts share stays shared: a -> b and a -> c have half of their differences
    in common whatever a, b and c are.
    """
    n_rows, n_words = both.weights.shape
    first, second = np.zeros((2, n_rows, n_rows)), np.zeros((2, n_rows, n_rows))
    # In float32 and from words that lie together in memory: this is chance, and most of the time.
    weights = torch.from_numpy(both.weights).float()
    inverse = torch.from_numpy(place.white.inverse).float()
    words = place.random(rng, min(max(NULL_WORDS, 2 * n_words), len(place.used))).float()
    for _ in range(N_NULL):
        progress.check()
        chosen = rng.choice(len(words), n_words, replace=n_words > len(words), shuffle=False)
        mean = weights @ words[torch.from_numpy(chosen)]
        for metric, made in enumerate((mean @ inverse, mean)):
            directions = unit(made.double().numpy())
            cosine = directions @ directions.T
            first[metric] += cosine
            second[metric] += cosine**2
    middle = first / N_NULL
    spread = np.sqrt(np.maximum(second / N_NULL - middle**2, 0))
    return {"null_mean": middle, "null_sd": spread}


def discoveries(cosine: np.ndarray, middle: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """[row, row] bool: cells off chance, at a false discovery rate of 5 % (Benjamini, Hochberg).

    Two-sided p from the normal approximation of the chance; the diagonal is never marked.
    """
    above = np.triu_indices(len(cosine), 1)
    if not len(above[0]):
        return np.zeros_like(cosine, dtype=bool)
    z = (cosine - middle)[above] / np.maximum(spread[above], 1e-12)
    p = 2 * ndtr(-np.abs(z))
    order = np.argsort(p)
    line = FALSE_DISCOVERIES * np.arange(1, len(p) + 1) / len(p)
    passed = np.flatnonzero(p[order] <= line)
    marked = np.zeros(len(p), dtype=bool)
    if len(passed):
        marked[order[: passed[-1] + 1]] = True
    found = np.zeros_like(cosine, dtype=bool)
    found[above] = marked
    return found | found.T


def _result(
    loaded: Loaded,
    progress: Progress,
    given: ConceptSet,
    place: Place,
    own: Kept,
    found: dict[str, np.ndarray],
    n_random: int,
    seed: int,
) -> ConceptDirections:
    mean = found.pop("mean")
    site, vector = _vectors(loaded, place, mean)
    norm, _ = reference_norm(loaded, progress)
    layer = -1 if place.layer is None else place.layer
    white: Whitening = place.white
    bits = ("significant",)
    return ConceptDirections(
        request={},
        concept_set=given.name,
        where="unembedding" if layer < 0 else str(site),
        layer=layer,
        concepts=own.names,
        controls=tuple(f"random {number + 1}" for number in range(CONTROLS)),
        pairs=own.pairs,
        dropped=own.dropped,
        left_out=own.left_out,
        contexts=place.contexts,
        vocabulary=place.n_tokens,
        floored=white.floored,
        shrunk=place.shrunk,
        n_random=n_random,
        n_null=N_NULL,
        seed=seed,
        site=str(site),
        n_pairs=own.n_pairs,
        pair_concept=own.pair_concept,
        spectrum=white.spectrum.astype(np.float32),
        vector=vector.astype(np.float32),
        mean_norm=norm[[min(site.layer, len(norm) - 1)]].numpy(),
        **{name: v if name in bits else v.astype(np.float32) for name, v in found.items()},
    )


def _vectors(loaded: Loaded, place: Place, mean: np.ndarray) -> tuple[Site, np.ndarray]:
    """What to add to the stream to move along each contrast, [concept, d_model] of length 1.

    From the unembedding: C^-1 times the mean difference, through the final norm backwards. From
    states: the mean difference itself.
    """
    if place.layer is None:
        last = place_of(loaded, loaded.n_layers)
        return last, unit(to_stream(loaded, mean @ place.white.inverse @ place.white.inverse))
    return place_of(loaded, place.layer), unit(mean)
