"""What every neuron of a model responds to in a corpus, in one pass."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from core.analyses.neuron_gallery import gallery
from core.analyses.runs import Progress
from core.corpus.chunks import N_CONTEXTS, WINDOW, Contexts
from core.corpus.readers import Corpus
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.neuron_examples import NeuronExamples
from core.spec.interventions import Change
from kernels.top_examples import State
from kernels.top_examples.reading import above, quantile, sides
from kernels.top_examples.state import Slots

FIRING = 0.1  # of the largest activation
DRAWS = 2_000


def neuron_examples(
    loaded: Loaded,
    progress: Progress,
    *,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    layer: int | Sequence[int] | None = None,
    interventions: Sequence[Change] = (),
    k: int = 20,
    seed: int = 0,
) -> NeuronExamples:
    """Density, ends, quantiles and top contexts of every neuron over a corpus.

    One forward pass; activations are reduced batch by batch and never kept (one-pass statistics
    after SAEDashboard and sae_vis). A pass that was stopped resumes; a finished one is reopened.
    Control: how far the peaks of k random tokens fall on one token.
    """
    found = gallery(
        loaded,
        progress,
        corpus=corpus,
        field=field,
        window=window,
        n_contexts=n_contexts,
        layer=layer,
        interventions=interventions,
        k=k,
        seed=seed,
    )
    made = found.contexts
    ids = padded_ids(made)
    words = _Words()
    with loaded.busy():
        rows = [_layer(state, ids, k, words) for state in found.states]
    known = words.ids
    return NeuronExamples(
        request={},
        corpus=made.name,
        n_tokens=found.states[0].n_tokens,
        n_contexts=len(made),
        n_documents=len(made.documents),
        cut=made.cut,
        window=max(len(each.ids) for each in made.windows),
        sites=tuple(str(change.site) for change in interventions),
        layers=found.layers,
        gallery=found.fingerprint,
        resumed=found.resumed,
        n_listed=k,
        random_share=random_share(made, k, seed),
        pieces=pieces(loaded, known),
        stack=loaded.prompt_stack,
        **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
    )


def densities(state: State) -> tuple[Tensor, Tensor]:
    """Share of tokens above a tenth of the largest and below a tenth of the smallest, [unit]."""
    found = []
    for counts, end in zip(sides(state), (state.largest, -state.smallest), strict=True):
        reach = end.clamp_min(0)
        share = above(counts, FIRING * reach, reach) / max(1, state.n_tokens)
        found.append(torch.where(reach > 0, share, 0.0).float())
    return found[0], found[1]


def reach(state: State, share: float) -> Tensor:
    """The |activation| that a share of all tokens does not exceed, [unit]."""
    positive, negative = sides(state)
    both = positive + negative
    both[:, 0] = positive[:, 0]  # the bin around zero is in both
    return quantile(both, share, torch.maximum(state.largest, -state.smallest))


def padded_ids(made: Contexts) -> np.ndarray:
    """Token ids [context, token] int32, -1 behind the end."""
    width = max(len(window.ids) for window in made.windows)
    ids = np.full((len(made), width), -1, dtype=np.int32)
    for row, window in enumerate(made.windows):
        ids[row, : len(window.ids)] = window.ids
    return ids


def most_common(slots: Slots, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """(token id, share) of the token on which most of the k strongest peaks fall, [unit].

    Peaks at or below zero do not count (the list "low" keeps values with their sign turned). No
    peak that counts: id -1, share NaN.
    """
    value, context, position = (
        getattr(slots, name)[:, :k].cpu().numpy() for name in ("value", "context", "position")
    )
    counted = (value > 0) & (context >= 0)
    tokens = np.where(counted, ids[context, position], -1)
    return _mode(tokens, counted)


def _mode(tokens: np.ndarray, counted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Most common entry of each row among the counted ones (the lower id of equals), its share."""
    order = np.sort(np.where(counted, tokens, -1), axis=1)
    length = np.ones_like(order)
    for column in range(1, order.shape[1]):
        goes_on = order[:, column] == order[:, column - 1]
        length[:, column] = np.where(goes_on, length[:, column - 1] + 1, 1)
    length[order < 0] = 0
    best = length.argmax(axis=1)[:, None]
    n = counted.sum(axis=1)
    most = np.take_along_axis(length, best, 1)[:, 0]
    token = np.where(n > 0, np.take_along_axis(order, best, 1)[:, 0], -1)
    share = np.where(n > 0, most / np.maximum(n, 1), np.nan)
    return token.astype(np.int32), share.astype(np.float32)


def random_share(made: Contexts, k: int, seed: int) -> tuple[float, float]:
    """Mean and 99th percentile of the same share for k random tokens of the corpus."""
    kept = [
        token
        for window in made.windows
        for token, counts in zip(window.ids, window.keep, strict=True)
        if counts
    ]
    generator = np.random.default_rng(seed)
    drawn = np.array(kept)[generator.integers(len(kept), size=(DRAWS, k))]
    share = _mode(drawn, np.ones_like(drawn, dtype=bool))[1]
    return float(share.mean()), float(np.quantile(share, 0.99))


class _Words:
    """The tokens that some neuron is about, numbered as they are met."""

    def __init__(self) -> None:
        self.ids: list[int] = []
        self._numbers: dict[int, int] = {-1: -1}

    def number(self, tokens: np.ndarray) -> np.ndarray:
        unique, places = np.unique(tokens, return_inverse=True)
        for token in unique.tolist():
            if token not in self._numbers:
                self._numbers[token] = len(self.ids)
                self.ids.append(token)
        numbers = np.array([self._numbers[token] for token in unique.tolist()], dtype=np.int32)
        return numbers[places.reshape(-1)]


def _layer(state: State, ids: np.ndarray, k: int, words: _Words) -> dict[str, np.ndarray]:
    """One layer's rows, by field."""
    positive, negative = densities(state)
    mean = state.total / state.n_tokens
    variance = (state.squares / state.n_tokens - mean**2).clamp_min(0)
    numbers = {
        "density": positive,
        "density_negative": negative,
        "largest": state.largest,
        "smallest": state.smallest,
        "p999": reach(state, 0.999),
        "mean": mean.float(),
        "std": variance.sqrt().float(),
    }
    row = {name: tensor.cpu().numpy() for name, tensor in numbers.items()}
    for name, suffix in (("high", ""), ("low", "_negative")):
        slots = state.lists[name]
        token, row[f"top_share{suffix}"] = most_common(slots, ids, k)
        row[f"top_piece{suffix}"] = words.number(token)
        row[f"context{suffix}"] = slots.context[:, 0].cpu().numpy()
        row[f"position{suffix}"] = slots.position[:, 0].cpu().numpy()
    return row
