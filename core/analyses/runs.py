"""The three conditions every causal view shows, and running many rows in bounded memory."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from jaxtyping import Float
from torch import Tensor

from core.engine.forward import Changes, Logits, Trace, run
from core.engine.rows import Rows, repeated, rows
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.spec.errors import Error
from core.spec.interventions import Change, Control, Intervention

N_CONTROLS = 8
# Rows x tokens of one batch; logits of more would not pay for their memory on a CPU.
TOKENS_AT_ONCE = 4_096
LOGITS_AT_ONCE = 2**27  # numbers, half a gigabyte in float32: large vocabularies take fewer rows


class Progress(Protocol):
    """What long work reports to; see `core.queue`."""

    def step(self, share: float, note: str = "") -> None: ...

    def tell(self, note: str) -> None: ...

    def check(self) -> None: ...

    def publish(self, partial: object) -> None: ...


class Silent:
    """Progress of work that nobody watches."""

    def step(self, share: float, note: str = "") -> None:
        """Nobody to tell."""

    def tell(self, note: str) -> None:
        """Nobody to tell."""

    def check(self) -> None:
        """Nobody to stop it."""

    def publish(self, partial: object) -> None:
        """Nobody to show it to."""


def controls(changes: Sequence[Change], n: int, seed: int = 0) -> list[list[Intervention]]:
    """n matched controls of a whole list of changes, each with its own random choice."""
    return [[Control(change, seed * 1_000 + i) for change in changes] for i in range(n)]


def conditions(
    changes: Sequence[Change], n_controls: int = N_CONTROLS, seed: int = 0
) -> list[list[Intervention]]:
    """Rows "clean", "clamped" and the controls; only the clean one when nothing is changed."""
    if not changes:
        return [[]]
    return [[], list(changes), *controls(changes, n_controls, seed)]


def prompt_rows(loaded: Loaded, text: str) -> tuple[Rows, list[int]]:
    """A single row of a text, and its ids."""
    ids = encode(loaded, text)
    return rows(loaded, [ids]), ids


def at_position(ids: Sequence[int], position: int | None) -> int:
    """The position asked for, the last one for None. Raises `Error` beyond the text."""
    if position is None:
        return len(ids) - 1
    if not 0 <= position < len(ids):
        raise Error(f"position {position}: the text has tokens 0 to {len(ids) - 1}")
    return position


def logit_position(loaded: Loaded, position: int) -> int:
    """Where in the logits a prompt position is; an encoder-decoder predicts its first token."""
    return 0 if loaded.kind == "encoder-decoder" else position


def batches(
    loaded: Loaded,
    prompt: Rows,
    changes: Changes,
    *,
    logits: Logits,
    check: Callable[[], None],
) -> Iterator[Tensor]:
    """Logits of one prompt under many lists of changes, a batch of rows at a time."""
    tokens = prompt.ids.shape[1]
    asked = tokens if logits == "all" else 1 if isinstance(logits, str) else len(logits)
    size = max(1, min(TOKENS_AT_ONCE // tokens, LOGITS_AT_ONCE // (asked * loaded.d_vocab)))
    for start in range(0, len(changes), size):
        part = changes[start : start + size]
        batch = repeated(prompt, len(part)) if len(part) > 1 else prompt
        trace: Trace = run(loaded, batch, change=part, logits=logits, check=check)
        assert trace.logits is not None
        yield trace.logits


def log_probabilities(
    logits: Float[Tensor, "*places d_vocab"],
) -> Float[Tensor, "*places d_vocab"]:
    """Natural log-probabilities in float32."""
    return torch.log_softmax(logits.float(), dim=-1)


def divergence(
    log_p: Float[Tensor, "#*places d_vocab"], log_q: Float[Tensor, "#*places d_vocab"]
) -> Float[Tensor, "..."]:
    """KL(p || q) in nats over the last axis; never below 0 by rounding."""
    return (log_p.exp() * (log_p - log_q)).sum(dim=-1).clamp_min(0.0)


def entropy(log_p: Float[Tensor, "*places d_vocab"]) -> Float[Tensor, "*places"]:
    """Entropy in nats over the last axis."""
    return -(log_p.exp() * log_p).sum(dim=-1)
