"""Residual stream states of many texts at all layers, reduced while running."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.corpus.reference import reference_chunks
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import encode, special
from core.spec.errors import Error
from core.spec.interventions import Intervention
from core.spec.site import Site

# Numbers of one batch's states over all layers that are held at a time: 256 MB in float32.
STATES_AT_ONCE = 64_000_000
# "last", "mean", a number counted from the end ("-1", "-2", ...), or one token index a text
Position = str | Sequence[int]


@dataclass(frozen=True)
class States:
    """What one pass over the texts showed.

    vectors  [position, layer, text, d_model] float32 on the CPU; row l is `L{l}.resid_post`, or
             what enters block l where the embedding was asked for as row 0
    norm     [layer] mean length of the stream over all tokens that are not special
    n_tokens such tokens in all
    """

    vectors: Tensor
    norm: Tensor
    n_tokens: int


def stream_sites(loaded: Loaded) -> list[Site]:
    """The outputs of the blocks that read the prompt, first layer first."""
    stack = loaded.prompt_stack
    return [Site(n, "resid_post", stack=stack) for n in range(len(loaded.stacks[stack].blocks))]


def states(
    loaded: Loaded,
    progress: Progress,
    texts: Sequence[Sequence[int]],
    *,
    positions: Sequence[Position] = ("last",),
    change: Sequence[Intervention] = (),
    layers: Sequence[int] | None = None,
    embedding: bool = False,
    note: str = "reading the texts",
    share: tuple[float, float] | None = (0.0, 1.0),
) -> States:
    """States of texts given as token ids, under the changes, in one pass; all layers, or `layers`.

    "last" is the last token that is not special (of a text of special tokens: the last), "mean"
    the mean over those that are not special, "-2" the last but one; a list holds the index of one
    token of every text. `embedding` puts what enters the first block in front of the layers. Texts
    of like length share a batch, padded on the right; only one vector per text and position is
    kept. `share` is the stretch of the progress bar that this fills; None leaves the bar alone.
    """
    every = stream_sites(loaded)
    places = every if layers is None else [every[layer] for layer in layers]
    if embedding:
        places = [replace(every[0], component="resid_pre"), *places]
    found = torch.zeros(len(positions), len(places), len(texts), loaded.d_model)
    lengths = torch.zeros(len(places), dtype=torch.float64)
    n_tokens, done = 0, 0
    for batch in of_like_length(loaded, texts, len(places)):
        _tell(progress, share, done / max(1, len(texts)), note)
        ids = [texts[index] for index in batch]
        seen = run(
            loaded,
            rows(loaded, ids),
            read=places,
            change=[change] if change else (),
            logits="none",
            check=progress.check,
        )
        here = [p if isinstance(p, str) else [p[index] for index in batch] for p in positions]
        weights = token_weights(loaded, ids, here)  # [position, row, token]
        real = weights.real.sum()
        for layer, place in enumerate(places):
            values = seen.values[place].float()
            found[:, layer, batch] = _reduced(values, weights.of).cpu()
            sizes = torch.linalg.vector_norm(values, dim=-1).cpu()
            lengths[layer] += (sizes * weights.real).sum().double()
        n_tokens += int(real)
        done += len(batch)
    return States(found, (lengths / max(1, n_tokens)).float(), n_tokens)


def _tell(progress: Progress, share: tuple[float, float] | None, done: float, note: str) -> None:
    if share is None:
        progress.check()
    else:
        progress.step(share[0] + (share[1] - share[0]) * done, note)


def encoded(loaded: Loaded, texts: Sequence[str]) -> list[list[int]]:
    """Token ids of the texts. Raises `Error` saying which text cannot be read."""
    found = []
    for number, text in enumerate(texts, start=1):
        try:
            found.append(encode(loaded, text))
        except Error as fault:
            raise Error(f"text {number} cannot be read: {fault}") from None
    return found


def reference_norm(loaded: Loaded, progress: Progress) -> tuple[Tensor, int]:
    """Mean length of the stream over the reference text [layer], and its tokens; once a model."""
    if "reference_norm" not in loaded.memo:
        ids = reference_chunks(loaded)
        seen = states(loaded, progress, ids, note="reference text")
        loaded.memo["reference_norm"] = (seen.norm, seen.n_tokens)
    found: tuple[Tensor, int] = loaded.memo["reference_norm"]
    return found


def of_like_length(
    loaded: Loaded, texts: Sequence[Sequence[int]], n_layers: int
) -> Iterator[list[int]]:
    """Numbers of the texts that run together, of like length, in bounded memory."""
    tokens = min(TOKENS_AT_ONCE, STATES_AT_ONCE // (n_layers * loaded.d_model))
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * len(texts[index]) > tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


@dataclass(frozen=True)
class TokenWeights:
    """Which tokens stand for a text, and which are no special ones."""

    of: Tensor  # [position, row, token], each row of a position sums to 1
    real: Tensor  # [row, token] 1 where a token is real and not special


def token_weights(
    loaded: Loaded, ids: Sequence[Sequence[int]], positions: Sequence[Position]
) -> TokenWeights:
    """How much each token of each text counts at these positions; see `states`."""
    longest = max(map(len, ids))
    real = torch.zeros(len(ids), longest)
    of = torch.zeros(len(positions), len(ids), longest)
    for row, text in enumerate(ids):
        marked = special(loaded, text)
        plain = [at for at, is_special in enumerate(marked) if not is_special]
        real[row, plain] = 1
        for number, position in enumerate(positions):
            if isinstance(position, str):
                of[number, row] = _weight(position, plain or [len(text) - 1], longest)
            else:
                of[number, row, position[row]] = 1
    return TokenWeights(of, real)


def _weight(position: str, plain: list[int], longest: int) -> Tensor:
    """Which of a text's tokens count at this position, and how much: [token], summing to 1."""
    weight = torch.zeros(longest)
    if position == "mean":
        weight[plain] = 1 / len(plain)
    else:
        back = 1 if position == "last" else -_back(position)
        weight[plain[max(0, len(plain) - back)]] = 1
    return weight


def _back(position: str) -> int:
    try:
        number = int(position)
    except ValueError:
        number = 0
    if not -1_000 < number < 0:
        raise Error(f"no position {position[:20]!r}; there are 'last', 'mean' and '-2', '-3', ...")
    return number


def _reduced(values: Tensor, weights: Tensor) -> Tensor:
    """values [row, token, d_model] and weights [position, row, token] to [position, row, d]."""
    return torch.einsum("prt,rtd->prd", weights.to(values), values)
