"""Texts as one row each: what their tokens' features come to, and what the dictionary read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.feature_codes import counted, seen, text_batches
from core.analyses.runs import Progress
from core.dictionaries.sparse import SparseDict
from core.models.loaded import Loaded
from core.models.tokens import special
from core.spec.errors import Error
from core.spec.site import Site
from kernels.feature_topk import Codes

POOLS = ("max", "mean", "last")


@dataclass(frozen=True)
class Pooled:
    """Axis 0 is the text, in the order they were given.

    features, means   scipy CSC [text, feature] of written length: by `pool`, and mean over tokens
    x                 [text, d_in] what the dictionary read: mean over tokens, or the last one
    neurons           [text, neuron] of the same layer by `pool`; None without neurons
    """

    features: Any
    means: Any
    x: np.ndarray
    neurons: np.ndarray | None
    place: Site  # of the neurons


def pooled(
    loaded: Loaded,
    progress: Progress,
    dictionary: SparseDict,
    ids: Sequence[Sequence[int]],
    pool: str,
) -> Pooled:
    """One pass over the texts, a batch of like length at a time."""
    if pool not in POOLS:
        raise Error(f"a text's tokens are pooled by {', '.join(POOLS)}, not {str(pool)[:20]!r}")
    place = Site(dictionary.site.layer, "neuron", stack=dictionary.site.stack)
    more = [place] if loaded.block(place).neurons is not None else []
    keep = [kept_tokens(loaded, text, pool) for text in ids]
    triples: list[list[np.ndarray]] = []
    means: list[list[np.ndarray]] = []
    x = np.zeros((len(ids), dictionary.d_in), "float32")
    neurons = np.zeros((len(ids), loaded.d_mlp), "float32") if more else None
    done = 0
    for batch in text_batches(dictionary, ids):
        progress.step(0.5 * done / len(ids), f"reading the texts, {done} of {len(ids)}")
        marks = [keep[number] for number in batch]
        chosen = [ids[number] for number in batch]
        found = seen(loaded, progress, dictionary, chosen, keep=marks, more=more)
        counts = torch.tensor(found.counts, device=found.codes.start.device)
        of = torch.repeat_interleave(torch.arange(len(batch), device=counts.device), counts)
        triples.append(_per_text(dictionary, found.codes, of, batch, pool, found.counts))
        means.append(_per_text(dictionary, found.codes, of, batch, "mean", found.counts))
        x[batch] = rows_of(found.normed.x.float(), of, counts, "mean")
        if neurons is not None:
            values = found.more[place].float().to(of.device)
            neurons[batch] = rows_of(values, of, counts, pool)
        done += len(batch)
    shape = (len(ids), dictionary.n_features)
    return Pooled(_matrix(triples, shape), _matrix(means, shape), x, neurons, place)


def kept_tokens(loaded: Loaded, text: Sequence[int], pool: str) -> list[bool]:
    """The tokens that stand for a text; where none counts, those that are not special, or all."""
    marks = counted(loaded, text)
    if not any(marks):
        marks = [not is_special for is_special in special(loaded, text)]
    if not any(marks):
        marks = [True] * len(text)
    if pool == "last":
        last = max(place for place, counts in enumerate(marks) if counts)
        marks = [place == last for place in range(len(marks))]
    return marks


def _per_text(
    dictionary: SparseDict,
    codes: Codes,
    of: Tensor,
    batch: Sequence[int],
    pool: str,
    counts: Sequence[int],
) -> list[np.ndarray]:
    """(text, feature, value) of what a text's tokens come to; `of` [token] is the row in batch."""
    key = of[codes.token] * dictionary.n_features + codes.feature.long()
    pair, entry = torch.unique(key, return_inverse=True)
    value = torch.zeros(len(pair), device=key.device)
    if pool == "mean":
        value.index_add_(0, entry, codes.value)
    else:
        value.scatter_reduce_(0, entry, codes.value, "amax")
    row, feature = pair // dictionary.n_features, pair % dictionary.n_features
    if pool == "mean":
        value = value / torch.tensor(counts, device=value.device)[row]
    value = value * dictionary.lengths[feature].to(value)
    text = np.asarray(batch)[row.cpu().numpy()]
    return [text, feature.cpu().numpy(), value.cpu().numpy()]


def rows_of(values: Tensor, of: Tensor, counts: Tensor, pool: str) -> np.ndarray:
    """values [token, width] to [row, width]; a "last" token is alone in its row."""
    shape = (len(counts), values.shape[1])
    if pool == "max":
        found = torch.full(shape, -torch.inf, device=values.device)
        found.scatter_reduce_(0, of[:, None].expand_as(values), values, "amax")
    else:
        found = torch.zeros(shape, device=values.device).index_add_(0, of, values)
        found = found / counts[:, None]
    rows: np.ndarray = found.cpu().numpy()
    return rows


def _matrix(triples: Sequence[Sequence[np.ndarray]], shape: tuple[int, int]) -> Any:
    from scipy.sparse import csc_matrix  # slow to import

    text, feature, value = (np.concatenate(part) for part in zip(*triples, strict=True))
    return csc_matrix((value, (text, feature)), shape=shape)
