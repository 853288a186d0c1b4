"""What a change breaks on text that has nothing to do with it."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress, batches, divergence, log_probabilities
from core.corpus.reference import reference_chunks
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.spec.interventions import Intervention

MOST_TOKENS = 96
LOSS_LIMIT = 0.5  # nats per token: text with a larger loss is no longer the model's own


def neutral_rows(loaded: Loaded) -> Rows:
    """A fixed part of the built-in reference text, one row: its longest paragraph, cut."""
    longest = max(reference_chunks(loaded), key=len)
    return rows(loaded, [longest[:MOST_TOKENS]])


def side_effects(
    loaded: Loaded,
    progress: Progress,
    base: Sequence[Intervention],
    changes: Sequence[Sequence[Intervention]],
) -> tuple[np.ndarray, np.ndarray]:
    """KL(base || changed) and loss increase on the neutral text, [change] each, nats per token.

    The loss is that of the next token; of an encoder that of the token itself. An encoder-decoder
    has no such loss: its KL at the decoder's first token stands for it.
    """
    text = neutral_rows(loaded)
    ask = partial(batches, loaded, text, logits="all", check=progress.check)
    before = log_probabilities(next(ask([base])))[0]
    kls, losses = [], []
    for logits in ask(changes):
        after = log_probabilities(logits)
        kls.append(divergence(before, after).mean(dim=-1))
        losses.append(_loss(loaded, text, after) - _loss(loaded, text, before[None]))
    kl, loss = torch.cat(kls).cpu().numpy(), torch.cat(losses).cpu().numpy()
    return kl, kl if loaded.kind == "encoder-decoder" else loss


def _loss(loaded: Loaded, text: Rows, log_p: Tensor) -> Tensor:
    """Mean loss of each row, log_p [row, token, d_vocab]."""
    if loaded.kind == "encoder-decoder":
        return torch.zeros(len(log_p))
    shift = 0 if loaded.kind == "encoder" else 1
    wanted = text.ids[:, shift:].expand(len(log_p), -1)[..., None]
    found = log_p[:, : log_p.shape[1] - shift].gather(2, wanted)
    return -found[..., 0].mean(dim=-1)
