"""The linear maps from tokens to an answer's state taken apart: ranks, and singular vectors."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from core.analyses.runs import Progress
from core.engine.detached import Graph, graph, rows_of_map
from core.engine.rows import Rows
from core.models.loaded import Loaded, weight
from core.models.tokens import known_ids, pieces
from core.spec.errors import Error

MOST_BYTES = 2 << 30
STEPS = 50  # of power iteration
WORDS = 8  # tokens that stand for a singular vector
_NOTHING = 1e-12  # of the largest map: a token behind the asked one passes nothing on


@dataclass(frozen=True)
class Maps:
    """As the fields of `LocalMap` of the same names."""

    written: np.ndarray
    stable_rank: np.ndarray
    fresh_rank: np.ndarray
    mapped: tuple[int, ...]
    singular: np.ndarray
    use: np.ndarray
    says: tuple[tuple[tuple[str, ...], ...], ...]
    reads: tuple[tuple[tuple[str, ...], ...], ...]

    @classmethod
    def empty(cls, n_layers: int) -> "Maps":
        """Of maps that were not asked for."""
        none, ranks = np.zeros((0, 0)), np.zeros((n_layers, 0))
        return cls(np.zeros(0), ranks, ranks, (), none, none, (), ())

    def beside(self, fresh: "Maps") -> "Maps":
        """With the ranks of fresh weights."""
        return replace(self, fresh_rank=fresh.stable_rank)

    def fields(self) -> dict[str, Any]:
        return dict(vars(self))


def maps_of(
    loaded: Loaded,
    prompt: Rows,
    at: int,
    mapped: tuple[int, ...],
    k: int,
    progress: Progress,
    share: tuple[float, float],
) -> Maps:
    """The maps from every token to the state at `at`; those of `mapped` decomposed.

    One pass back for each coordinate of the state. Raises `Error` where they do not fit in memory.
    """
    layers, tokens = len(loaded.stacks[loaded.prompt_stack].blocks), prompt.ids.shape[1]
    _refuse_size(loaded, layers, tokens)
    with graph(loaded, prompt) as made:
        state = made.state[0, at]
        inputs = [made.embeddings[0], *made.streams[:layers]]
        whole = _jacobian(state, inputs, progress, share)  # [1 + layer, token, out, in]
    size = torch.linalg.vector_norm(state.detach())
    moved = torch.einsum("toi,ti->to", whole[0], made.embeddings[0][0].detach())
    progress.tell("ranks and singular vectors")
    parts = [
        _taken_apart(loaded, whole[0][token], moved[token], made, token, k) for token in mapped
    ]
    ranks = stable_ranks(whole[1:]).cpu().numpy()
    return Maps(
        written=(torch.linalg.vector_norm(moved, dim=1) / size).cpu().numpy(),
        stable_rank=ranks,
        fresh_rank=np.full_like(ranks, np.nan),
        mapped=mapped,
        singular=np.array([each[0] for each in parts]).reshape(len(mapped), min(k, loaded.d_model)),
        use=np.array([each[1] for each in parts]).reshape(len(mapped), min(k, loaded.d_model)),
        says=tuple(each[2] for each in parts),
        reads=tuple(each[3] for each in parts),
    )


def _refuse_size(loaded: Loaded, layers: int, tokens: int) -> None:
    size = next(loaded.module.parameters()).element_size()
    one = (layers + 1) * loaded.d_model**2 * size
    if one * tokens > MOST_BYTES:
        raise Error(
            f"the maps of {tokens} tokens take {one * tokens / 2**30:.1f} GB; of {loaded.name} at "
            f"most {MOST_BYTES // one} tokens can be taken apart, so shorten the text"
        )


def _jacobian(
    state: Tensor, inputs: list[Tensor], progress: Progress, share: tuple[float, float]
) -> Tensor:
    n, width = len(state), inputs[0].shape[-1]
    whole = state.new_zeros(len(inputs), inputs[0].shape[1], n, width)
    for part, found in rows_of_map(state, inputs, progress.check):
        for number, each in enumerate(found):
            whole[number, :, part] = each[:, 0].transpose(0, 1)
        done = share[0] + (share[1] - share[0]) * part.stop / n
        progress.step(done, f"coordinate {part.stop} of {n}")
    return whole


def stable_ranks(maps: Float[Tensor, "*places out inn"]) -> Float[Tensor, "*places"]:
    """Sum s^2 / s_1^2 of each matrix; NaN of one that is nothing beside the largest.

    s_1 by power iteration from a fixed start, so a lower bound and the rank an upper one; close
    even where the first two are.
    """
    generator = torch.Generator().manual_seed(0)
    vector = torch.randn(maps.shape[-1], generator=generator).to(maps)
    vector = vector.expand(*maps.shape[:-2], -1)[..., None]
    for _ in range(STEPS):
        vector = maps.mT @ (maps @ vector)
        vector = vector / torch.linalg.vector_norm(vector, dim=-2, keepdim=True).clamp_min(1e-300)
    first = torch.linalg.vector_norm(maps @ vector, dim=(-2, -1)).square()
    total = maps.square().sum(dim=(-2, -1))
    nothing = total <= _NOTHING**2 * total.max()
    return torch.where(nothing, torch.nan, total / first.clamp_min(1e-300))


def _taken_apart(
    loaded: Loaded, matrix: Tensor, moved: Tensor, made: Graph, token: int, k: int
) -> tuple[list[float], list[float], Any, Any]:
    """Singular values, shares of what the token writes, and both sides as tokens.

    A pair's sign is free: it is turned so that the token at hand goes forward along it.
    """
    left, values, right = torch.linalg.svd(matrix)
    left, values, right = left[:, :k].T, values[:k], right[:k]
    along = right @ made.embeddings[0][0, token].detach()
    turn = torch.where(along < 0, -1.0, 1.0).to(along)[:, None]
    use = (along * values).square() / moved.square().sum().clamp_min(1e-300)
    inputs = weight(loaded.module.get_input_embeddings())  # type: ignore[operator]
    outputs = loaded.module.get_output_embeddings()  # type: ignore[operator]
    table = inputs if outputs is None or loaded.row.head else weight(outputs)
    return (
        values.tolist(),
        use.tolist(),
        _words(loaded, table, left * turn),
        _words(loaded, inputs, right * turn),
    )


def _words(
    loaded: Loaded, table: Tensor | None, vectors: Float[Tensor, "vector d_model"]
) -> tuple[tuple[str, ...], ...]:
    assert table is not None
    scores = vectors.to(table) @ table[: known_ids(loaded)].T
    return tuple(pieces(loaded, row) for row in scores.topk(WORDS, dim=1).indices.tolist())
