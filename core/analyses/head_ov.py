"""The OV circuit of one head: what it writes for a token, and through which channels."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.engine.head_circuits import participation, random_thin, singular
from core.engine.head_weights import HeadWeights
from core.engine.token_scores import QUANTILE, Ends, Vocabulary, decoded
from core.engine.token_states import token_inputs
from core.models.loaded import Loaded

N_CHANNELS = 10
_TOKENS_AT_ONCE = 8_192
_ENDS = ("top_ids", "top_z", "bottom_ids", "bottom_z")


class Ov:
    """The circuit of one head, and every token of a table taken through its value matrix."""

    def __init__(
        self,
        loaded: Loaded,
        words: Vocabulary,
        heads: HeadWeights,
        layer: int,
        head: int,
        embedding: str,
        stack: str,
        table: Sequence[int],
        check: Callable[[], None],
    ) -> None:
        self.words, self.heads, self.head, self.table = words, heads, head, table
        self.v, self.o = heads.ov(head)
        self.reads, self.values, self.writes = singular(self.v, self.o)
        self._input = (loaded, layer, embedding, stack, check)
        both = torch.cat([self.v, self.reads.T], dim=1)
        through = torch.cat(
            [
                self.inputs(table[start : start + _TOKENS_AT_ONCE]) @ both
                for start in range(0, len(table), _TOKENS_AT_ONCE)
            ]
        )
        self.taken, self.read = through.split(self.v.shape[1], dim=1)  # [token, d_head] each

    def inputs(self, ids: Sequence[int]) -> Tensor:
        """[token, d_model] as the head's matrices meet them."""
        loaded, layer, embedding, stack, check = self._input
        check()
        return token_inputs(loaded, ids, layer, embedding, stack, check)

    def most_written(self, common: Sequence[int], n: int) -> list[int]:
        """The n common tokens for which it writes most beside what it writes for all of them."""
        place = {token: at for at, token in enumerate(self.table)}
        ids = [token for token in common if token in place]
        taken = self.taken[[place[token] for token in ids]]
        taken = taken - taken.mean(dim=0)
        size = ((taken @ (self.o @ self.o.T)) * taken).sum(dim=1)
        return [ids[at] for at in size.topk(min(n, len(ids))).indices.tolist()]

    def usual(self, common: Sequence[int], relative: bool) -> Tensor:
        """The mean of common tokens as they enter, [d_model]; 0 unless it is to be taken away."""
        made = self.inputs(common) if relative else self.inputs(common[:1]) * 0
        return made.mean(dim=0)

    def tables(
        self,
        sources: Sequence[int],
        other: int | None,
        usual: Tensor,
        k: int,
        check: Callable[[], None],
    ) -> dict[str, dict[str, np.ndarray]]:
        """The groups "ov", "sources_of", "channels" and "constant" of the result."""
        inputs, k_read = self.inputs(sources) - usual, min(k, len(self.table))
        channels = slice(0, min(N_CHANNELS, len(self.values)))
        ends = decoded(self.words, self.writes[channels], k, check)
        read = _extremes(self.read[:, channels].T, self.table, k_read)
        return {
            "ov": self._written(inputs, sources, other, k, check),
            "sources_of": _extremes(self._asks(sources), self.table, k_read),
            "channels": {f"read_{name}": read[name] for name in _ENDS}
            | {f"write_{name}": _plain(ends)[name] for name in _ENDS},
            "constant": self._constant(k),
        }

    def _written(
        self,
        inputs: Tensor,
        sources: Sequence[int],
        other: int | None,
        k: int,
        check: Callable[[], None],
    ) -> dict[str, np.ndarray]:
        """What it writes for each source token, and where the token itself stands there."""
        rows = inputs @ self.v @ self.o
        ends = decoded(self.words, rows, k, check)
        scores = rows @ self.words.rows.T
        own = scores.gather(1, torch.tensor(list(sources), device=rows.device)[:, None])
        control = torch.full((len(rows),), torch.nan)
        if other is not None:
            v, o = self.heads.ov(other)
            control = decoded(self.words, inputs @ v @ o, 1, check).largest_z.cpu()
        return _plain(ends) | {
            "own_rank": (1 + (scores > own).sum(dim=1)).cpu().numpy(),
            "own_z": ((own[:, 0] - ends.mean) / ends.deviation).cpu().numpy(),
            "norm": rows.norm(dim=1).cpu().numpy(),
            "control_z": control.numpy(),
        }

    def _asks(self, targets: Sequence[int]) -> Tensor:
        """How much each token of the table raises each target, [target, token]."""
        return (self.words.matrix[list(targets)] @ self.o.T) @ self.taken.T

    def _constant(self, k: int) -> dict[str, np.ndarray]:
        """What it writes whatever it sees: all zeros without biases."""
        row = self.heads.constant(self.head)[None]
        return {name: _plain(decoded(self.words, row, k))[name][0] for name in _ENDS}

    def spectrum(self, n: int, seed: int) -> dict[str, Any]:
        """Singular values beside those of n heads of Gaussian weights that write as much."""
        random = torch.stack(
            [singular(*pair)[1] for pair in zip(*random_thin(self.v, self.o, n, seed), strict=True)]
        )
        layer = [singular(*self.heads.ov(each))[1] for each in range(self.heads.n_heads)]
        return {
            "spectrum": self.values.cpu().numpy(),
            "control_spectrum": random.mean(dim=0).cpu().numpy(),
            "participation": float(participation(self.values)),
            "control_participation": float(participation(random).mean()),
            "layer_participation": participation(torch.stack(layer)).cpu().numpy(),
        }


def random_directions(
    words: Vocabulary, ov: Ov, draws: int, seed: int, check: Callable[[], None]
) -> dict[str, Any]:
    """How far the first token of a random direction stands out, written and read.

    z does not depend on a length, so this is what heads of Gaussian weights write for any token.
    """
    generator = torch.Generator().manual_seed(seed)
    width, size = words.matrix.shape[1], ov.v.shape[1]
    written = torch.randn(draws, width, generator=generator).to(words.matrix)
    # A direction among those the head can read: the table is known in these coordinates.
    read = torch.randn(draws, size, generator=generator).to(ov.read) @ ov.read.T
    z = (read - read.mean(1, keepdim=True)) / read.std(1, keepdim=True).clamp_min(1e-12)
    largest = decoded(words, written, 1, check).largest_z
    return {
        "n_null": draws,
        "null_z": float(torch.quantile(largest, QUANTILE)),
        "read_null_z": float(torch.quantile(z.abs().amax(dim=1), QUANTILE)),
    }


def _plain(ends: Ends) -> dict[str, np.ndarray]:
    found = {
        "top_ids": ends.top_ids,
        "top_logits": ends.top,
        "top_z": ends.top_z,
        "bottom_ids": ends.bottom_ids,
        "bottom_logits": ends.bottom,
        "bottom_z": ends.bottom_z,
    }
    return {name: value.cpu().numpy() for name, value in found.items()}


def _extremes(scores: Tensor, table: Sequence[int], k: int) -> dict[str, np.ndarray]:
    """Ids and z of the k highest and lowest tokens of a table, [row, k] each."""
    deviation = scores.std(dim=1, keepdim=True).clamp_min(1e-12)
    z = (scores - scores.mean(dim=1, keepdim=True)) / deviation
    ids = torch.tensor(list(table))
    high, low = z.topk(k), z.topk(k, largest=False)
    return {
        "top_ids": ids[high.indices.cpu()].numpy(),
        "top_z": high.values.cpu().numpy(),
        "bottom_ids": ids[low.indices.cpu()].numpy(),
        "bottom_z": low.values.cpu().numpy(),
    }
