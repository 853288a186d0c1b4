"""What each next token of a text costs the model."""

import torch
from jaxtyping import Float
from torch import Tensor

from core.engine.rows import Rows
from core.models.loaded import Loaded
from core.spec.errors import Error


def refuse_without_next_tokens(loaded: Loaded, what: str) -> None:
    """Raise `Error` unless the model foretells the next token of a text."""
    if loaded.kind != "decoder" or loaded.head is None:
        raise Error(
            f"{what} is about the loss of the next token, and {loaded.name} ({loaded.kind}) does "
            "not continue a text; use a decoder"
        )


def next_token_losses(
    logits: Float[Tensor, "row token d_vocab"], rows: Rows
) -> Float[Tensor, "row next"]:
    """Cross entropy in nats of every token but the first, given those before it.

    logits [row, token, d_vocab] of the rows; returns [row, token - 1], 0 where a row is padded.
    """
    log_p = torch.log_softmax(logits[:, :-1].float(), dim=-1)
    wanted = rows.ids[:, 1:].to(log_p.device)
    lost = -log_p.gather(2, wanted[..., None])[..., 0]
    places = torch.arange(1, rows.ids.shape[1], device=log_p.device)
    real = places[None] < torch.tensor(rows.lengths, device=log_p.device)[:, None]
    return lost * real
