"""Walks on a graph as texts of one token a word, read with their states and what is foretold."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from core.analyses.graphs import Graph
from core.analyses.runs import Progress
from core.analyses.states import stream_sites
from core.corpus.graph_words import NodeWords
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import MAX_TOKENS
from core.spec.site import Site

LEAST_LENGTH = 20
LOGITS = 2**26  # numbers of one walk that are held, a quarter of a gigabyte in float32


def prefix(loaded: Loaded) -> list[int]:
    """Special tokens that this tokenizer puts in front of a text."""
    marked = set(loaded.tokenizer.all_special_ids)
    found = []
    for token in loaded.tokenizer("a")["input_ids"]:
        if token not in marked:
            break
        found.append(int(token))
    return found


def most_words(loaded: Loaded) -> int:
    """How many words of one token the model reads at once."""
    return (loaded.n_ctx or MAX_TOKENS) - len(prefix(loaded))


@dataclass(frozen=True)
class Plan:
    """walks [walk, step] of node numbers; contexts: words seen when mean states are taken."""

    graph: Graph
    words: NodeWords
    walks: np.ndarray
    contexts: tuple[int, ...]
    window: int
    notes: list[str] = field(default_factory=list)

    def of(self, n: int) -> "Plan":
        """The first n walks."""
        return replace(self, walks=self.walks[:n])

    def shuffled(self, seed: int) -> "Plan":
        """The same words as often, in an order that knows no graph."""
        rng = np.random.default_rng((seed, 4))
        return replace(self, walks=np.stack([rng.permutation(walk) for walk in self.walks]))

    def steps(self, d_vocab: int) -> np.ndarray:
        """Words seen at the predictions that are looked at: all, or evenly as many as fit."""
        length = self.walks.shape[1]
        n = min(length, max(20, LOGITS // d_vocab))
        return np.unique(np.linspace(1, length, n).round().astype(int))


@dataclass(frozen=True)
class Walked:
    """mass, permuted, on_words [walk, step]; means [context, layer, node, d], NaN for words not
    seen; counts [context, node]; kept [layer, occurrence, d] single states of the last window."""

    mass: np.ndarray
    permuted: np.ndarray
    on_words: np.ndarray
    means: np.ndarray
    counts: np.ndarray
    kept: np.ndarray
    kept_node: np.ndarray
    kept_before: np.ndarray


def walked(
    loaded: Loaded,
    progress: Progress,
    plan: Plan,
    share: tuple[float, float],
    note: str,
    *,
    kept: int = 0,
    change: AbstractContextManager[None] | None = None,
) -> Walked:
    """Read every walk, one forward each; only sums over windows are kept, and the last states of
    the first `kept` walks. `change` is entered around the runs."""
    places = stream_sites(loaded)
    places = [replace(places[0], component="resid_pre"), *places]
    shape, n = plan.graph, len(plan.walks)
    sums = np.zeros((len(plan.contexts), len(places), shape.n, loaded.d_model))
    counts = np.zeros((len(plan.contexts), shape.n), dtype=np.int64)
    parts: list[np.ndarray] = []
    last: list[np.ndarray] = []
    with change or nullcontext():
        for number, (walk, states, on_words) in enumerate(_runs(loaded, plan, places, progress)):
            progress.step(share[0] + (share[1] - share[0]) * number / n, f"{note}: {number + 1}")
            parts.append(_masses(shape, walk[plan.steps(loaded.d_vocab) - 1], on_words))
            for at, context in enumerate(plan.contexts):
                here = slice(max(0, context - plan.window), context)
                one = np.eye(shape.n)[walk[here]]  # [step, node]
                sums[at] += np.einsum("tn,ltd->lnd", one, states[:, here], optimize=True)
                counts[at] += one.sum(axis=0).astype(np.int64)
            if number < kept:
                last.append(states[:, max(1, plan.contexts[-1] - plan.window) :])
    with np.errstate(invalid="ignore"):
        means = sums / counts[:, None, :, None]
    mass, permuted, on_words = np.stack(parts, axis=1)
    ends = [walk[-part.shape[1] - 1 :] for walk, part in zip(plan.walks, last, strict=False)]
    return Walked(
        mass,
        permuted,
        on_words,
        means,
        counts,
        np.concatenate(last, axis=1) if last else np.zeros((len(places), 0, loaded.d_model)),
        np.concatenate([end[1:] for end in ends]) if ends else np.zeros(0, dtype=np.int64),
        np.concatenate([end[:-1] for end in ends]) if ends else np.zeros(0, dtype=np.int64),
    )


def late(mass: np.ndarray) -> np.ndarray:
    """Mean over the last quarter of the steps, [walk]."""
    steps = mass.shape[1]
    return np.asarray(mass[:, -max(1, steps // 4) :].mean(axis=1))


def _runs(
    loaded: Loaded, plan: Plan, places: list[Site], progress: Progress
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(walk [step], states [layer, step, d], probability of each word [asked step, node])."""
    start, ids = prefix(loaded), np.array(plan.words.ids)
    asked = [len(start) - 1 + int(step) for step in plan.steps(loaded.d_vocab)]
    for walk in plan.walks:
        text = rows(loaded, [[*start, *ids[walk].tolist()]])
        seen = run(loaded, text, read=places, logits=asked, check=progress.check)
        assert seen.logits is not None
        p = torch.softmax(seen.logits[0].float(), dim=-1)[:, torch.from_numpy(ids).to(text.ids)]
        states = torch.stack([seen.values[place][0, len(start) :] for place in places])
        yield walk, _double(states), _double(p)


def _masses(shape: Graph, current: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Probability on the neighbours, expected with words permuted, and on all words, [3, step]."""
    others = p.sum(axis=1) - p[np.arange(len(p)), current]
    chance = shape.adjacency.sum(axis=1).mean() / (shape.n - 1)
    return np.stack([(p * shape.adjacency[current]).sum(axis=1), others * chance, p.sum(axis=1)])


def _double(values: Tensor) -> np.ndarray:
    found: np.ndarray = values.float().cpu().double().numpy()
    return found
