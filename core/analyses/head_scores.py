"""What every head does with a token it sees, by its weights: copy, suppress, count on."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import head_copying
from core.analyses.runs import Progress
from core.corpus.sequences import TokenList, name_ids, token_lists
from core.engine.head_circuits import eigenvalue_score, random_thin
from core.engine.head_probe import head_weights
from core.engine.head_weights import HeadWeights, check_head
from core.engine.token_scores import Vocabulary, vocabulary
from core.engine.token_states import (
    affordable,
    check_embedding,
    frequent_ids,
    piece,
    start_id,
    token_inputs,
    token_states,
    used,
)
from core.models.loaded import Loaded
from core.results.head_scores import KINDS, SIGNED, HeadScores

N_TOKENS = 1_000  # behind copy@5
N_RANDOM = 4  # heads of random weights in each layer
BEST = 5
LEAST_NAMES = 5
_AT_ONCE = 4_096  # tokens of the vocabulary


@dataclass(frozen=True)
class _Tokens:
    """Everything that goes through the heads: the tokens by what they are for."""

    common: tuple[int, ...]
    names: tuple[int, ...]
    lists: tuple[TokenList, ...]

    def ids(self) -> list[int]:
        """All of them, in this order."""
        return [*self.common, *self.names, *(i for each in self.lists for i in each.ids)]


def head_scores(
    loaded: Loaded,
    progress: Progress,
    *,
    embedding: str = "effective",
    against: str = "unembedding",
    seed: int = 0,
    stack: str = "",
) -> HeadScores:
    """OV eigenvalue score, copy@5, suppress@5, name copying and succession of all heads; and
    copying as the activations on random tokens show it.

    embedding  how a token enters a head: "effective", its stream behind block 0, or "raw", its
               row of the input embedding (and so in layer 0 in any case)
    against    what the written vector is read with, as in `neuron_tokens`

    Raises `Error` where the family's weights cannot be read or have nothing to be read with.
    """
    check_embedding(embedding)
    check_head(loaded, 0, stack=stack)
    words = vocabulary(loaded, against, stack)
    tokens = _Tokens(frequent_ids(loaded, N_TOKENS), name_ids(loaded), token_lists(loaded))
    layers = len(loaded.stacks[stack].blocks)
    found: list[tuple[dict[str, Tensor], dict[str, Tensor]]] = []
    acted: list[tuple[Tensor, Tensor]] = []
    with loaded.busy():
        read = head_copying.read(loaded, stack, seed, progress.check)
        progress.step(0.0, "tokens behind block 0")
        head_weights(loaded, 0, stack)
        eigen = _eigen_ids(loaded, words, embedding, stack)
        spoken: dict[str, Tensor] = {}
        for layer in range(layers):
            progress.step(0.1 + 0.9 * layer / layers, f"layer {layer} of {layers - 1}")
            how = used(embedding, layer)
            if how not in spoken:
                spoken[how] = _spoken(loaded, words, eigen, layer, how, stack, progress.check)
            ask = _Asked(loaded, words, tokens, embedding, seed, stack, progress.check)
            found.append(_layer(ask, layer, spoken[how]))
            acted.append(_acted(ask, layer, read))
    return HeadScores(
        request={},
        embedding=embedding,
        against=against,
        start=piece(loaded, start_id(loaded)),
        n_vocabulary=words.n,
        n_eigen=len(eigen),
        n_tokens=len(tokens.common),
        n_names=len(tokens.names),
        n_random=N_RANDOM,
        n_copied=read.n_queries if read else 0,
        copy_chance=read.chance if read else np.nan,
        **_about_lists(tokens.lists),
        **_stacked(found, acted, tokens.lists, loaded.n_heads),
        stack=stack,
    )


def _eigen_ids(loaded: Loaded, words: Vocabulary, embedding: str, stack: str) -> list[int]:
    """The tokens of the eigenvalue score: all of them, or the commonest where that is long."""
    most = affordable(loaded, stack)
    if embedding == "raw" or most >= words.n:
        return list(range(words.n))
    return list(frequent_ids(loaded, most))


def _spoken(
    loaded: Loaded,
    words: Vocabulary,
    ids: list[int],
    layer: int,
    embedding: str,
    stack: str,
    check: Callable[[], None],
) -> Tensor:
    """Sum over tokens of what a token is read with x what it enters as, [d_model, d_model]."""
    states = token_states(loaded, ids, layer, embedding, stack, check)
    if embedding == "effective":  # as long as the norm makes them; raw rows as they are stored
        states = torch.nn.functional.normalize(states, dim=1)
    return words.matrix[ids].T @ states


@dataclass(frozen=True)
class _Asked:
    """What is the same for every layer."""

    loaded: Loaded
    words: Vocabulary
    tokens: _Tokens
    embedding: str
    seed: int
    stack: str
    check: Callable[[], None]


def _layer(ask: _Asked, layer: int, spoken: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """(scores by kind, [head and random head]; successor scores by list) of one layer."""
    words, tokens = ask.words, ask.tokens
    inputs = token_inputs(ask.loaded, tokens.ids(), layer, ask.embedding, ask.stack, ask.check)
    pairs = _pairs(head_weights(ask.loaded, layer, ask.stack), ask.seed * 10_000 + layer)
    rows: list[dict[str, float]] = []
    lists: list[dict[str, float]] = []
    for v, o in pairs:
        ask.check()
        parts = (inputs @ v).split([len(tokens.common), len(tokens.names), _rest(tokens)])
        row = {"ov_eigenvalue": eigenvalue_score(v, o, spoken)}
        row["copy_at_5"], row["suppress_at_5"] = _copied(words, parts[0], o, tokens.common)
        few = len(tokens.names) < LEAST_NAMES
        both = (np.nan, np.nan) if few else _copied(words, parts[1], o, tokens.names)
        row["name_copy"], row["name_suppress"] = both
        counted, each = succession(words, parts[2] @ o, tokens.lists)
        rows.append(row | counted)
        lists.append(each)
    return _columns(rows), _columns(lists)


def _acted(ask: _Asked, layer: int, read: head_copying.Read | None) -> tuple[Tensor, Tensor]:
    """(scores, control) [kind, head] of `head_copying` of one layer; NaN where none can be had."""
    if read is None:
        empty = torch.full((len(head_copying.KINDS), ask.loaded.n_heads), torch.nan)
        return empty, empty
    heads = head_weights(ask.loaded, layer, ask.stack)
    random = _pairs(heads, ask.seed * 10_000 + layer)[heads.n_heads :]
    return read.scores(layer, heads, random, ask.words)


def _rest(tokens: _Tokens) -> int:
    return sum(len(each.ids) for each in tokens.lists)


def _pairs(heads: HeadWeights, seed: int) -> list[tuple[Tensor, Tensor]]:
    """(v, o) of every head, then of the random ones."""
    own = [heads.ov(head) for head in range(heads.n_heads)]
    left, right = random_thin(*own[0], N_RANDOM, seed)
    return own + list(zip(left, right, strict=True))


def _copied(
    words: Vocabulary, values: Tensor, o: Tensor, ids: tuple[int, ...]
) -> tuple[float, float]:
    """Share of tokens that are among the 5 most raised, and most lowered, by what they make a
    head write.

    values [token, d_head] what the head takes from each token. A token is done with as soon as
    more than 5 others lie above it and below it, which most are after a small part of them.
    """
    written = values @ o
    own = (written * words.matrix[list(ids)]).sum(dim=1, keepdim=True)
    # Rounding must not rank a token against itself; a head that writes nothing copies nothing.
    slack = 1e-6 * written.norm(dim=1, keepdim=True) * words.matrix[list(ids)].norm(dim=1).max()
    above, below = torch.zeros(2, len(ids), device=values.device).unbind()
    left = torch.arange(len(ids), device=values.device)
    for part in words.rows.split(_AT_ONCE):
        thin = len(left) > o.shape[0]
        scores = values[left] @ (part @ o.T).T if thin else written[left] @ part.T
        above[left] += (scores >= (own - slack)[left]).sum(dim=1)
        below[left] += (scores <= (own + slack)[left]).sum(dim=1)
        left = left[(above[left] <= BEST) | (below[left] <= BEST)]
        if not len(left):
            break
    return float((above <= BEST).float().mean()), float((below <= BEST).float().mean())


def succession(
    words: Vocabulary, written: Tensor, lists: tuple[TokenList, ...]
) -> tuple[dict[str, float], dict[str, float]]:
    """(successor scores by kind, score of each list) of what one head writes for all items.

    written [item of all lists, d_model]. An item counts when, among its list's items, the next
    one is raised most. Margins: how far that lies above the item itself and above the previous
    one, in standard deviations over the list.
    """
    hits, over_copy, over_previous, each = [], [], [], {}
    for part, one in zip(written.split([len(x.ids) for x in lists]), lists, strict=True):
        hit, copied, previous = steps(part @ words.matrix[list(one.ids)].T, one)
        each[one.name] = float(hit.mean())
        if one.published:
            hits.append(hit)
            over_copy.append(copied)
            over_previous.append(previous)

    def mean(values: list[Tensor]) -> float:
        return float(torch.cat(values).nanmean()) if values else float("nan")

    kinds = ("successor", "successor_over_copy", "successor_over_previous")
    return dict(zip(kinds, map(mean, (hits, over_copy, over_previous)), strict=True)), each


def steps(logits: Tensor, one: TokenList) -> tuple[Tensor, Tensor, Tensor]:
    """(1 where the next item is first, margin over the item, over the previous) [step].

    logits [item, item] of a list: row the item seen, column the item raised.
    """
    after, before = torch.tensor(one.after), torch.tensor(one.before)
    step = torch.nonzero(after >= 0)[:, 0]
    rows = logits.cpu()[step]
    spread = rows.std(dim=1).clamp_min(1e-30)
    place = torch.arange(len(step))
    next_, own = rows[place, after[step]], rows[place, step]
    previous = torch.where(before[step] >= 0, rows[place, before[step].clamp_min(0)], torch.nan)
    others = rows.clone()
    others[place, after[step]] = -torch.inf
    hit = (next_ > others.amax(dim=1)).float()  # a tie, as of a head that writes nothing, is none
    return hit, (next_ - own) / spread, (next_ - previous) / spread


def _columns(rows: list[dict[str, float]]) -> dict[str, Tensor]:
    return {key: torch.tensor([row[key] for row in rows]) for key in rows[0]}


def _about_lists(lists: tuple[TokenList, ...]) -> dict[str, Any]:
    counted = [each for each in lists if each.published]
    items, n_steps = sum(len(each.ids) for each in counted), sum(x.n_steps for x in counted)
    return {
        "list_names": tuple(each.name for each in lists),
        "list_sizes": tuple(len(each.ids) for each in lists),
        "list_dropped": tuple(each.n_dropped for each in lists),
        "list_steps": tuple(each.n_steps for each in lists),
        "list_published": tuple(each.published for each in lists),
        "list_chance": tuple(1 / len(each.ids) for each in lists),
        "chance": sum(x.n_steps / len(x.ids) for x in counted) / n_steps if items else np.nan,
        "n_steps": n_steps,
    }


def _stacked(
    found: list[tuple[dict[str, Tensor], dict[str, Tensor]]],
    acted: list[tuple[Tensor, Tensor]],
    lists: tuple[TokenList, ...],
    n_heads: int,
) -> dict[str, Any]:
    """Layers under each other, the random heads' mean as control of every head of the layer."""
    scores, control = {}, {}
    for place, kind in enumerate(head_copying.KINDS):
        scores[kind] = torch.stack([own[place] for own, _ in acted]).numpy()
        control[kind] = torch.stack([drawn[place] for _, drawn in acted]).numpy()
    for kind in (kind for kind in KINDS if kind not in head_copying.KINDS):
        whole = torch.stack([layer[kind] for layer, _ in found])
        random = whole[:, n_heads:].abs() if kind in SIGNED else whole[:, n_heads:]
        scores[kind] = whole[:, :n_heads].numpy()
        control[kind] = random.mean(dim=1, keepdim=True).expand(-1, n_heads).numpy().copy()
    by_list = {
        one.name: torch.stack([each[one.name] for _, each in found])[:, :n_heads].numpy()
        for one in lists
    }
    return {"scores": scores, "control": control, "by_list": by_list}
