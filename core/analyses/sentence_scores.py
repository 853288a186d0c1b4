"""How probable a model finds whole texts, token by token."""

from collections.abc import Sequence

import numpy as np
import torch

from core.analyses.runs import LOGITS_AT_ONCE, TOKENS_AT_ONCE, Progress
from core.engine.forward import run
from core.engine.loss import next_token_losses
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import special


def scored(
    loaded: Loaded,
    progress: Progress,
    texts: Sequence[Sequence[int]],
    *,
    share: tuple[float, float] | None = None,
    note: str = "scoring the texts",
) -> list[np.ndarray]:
    """log p (nats) of every token given those before it, [token] for each text of token ids.

    NaN for the first token, which has nothing before it, and for special ones.
    """
    found: list[np.ndarray] = [np.zeros(0)] * len(texts)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    done = 0
    while done < len(order):
        size = 1
        while done + size < len(order) and _fits(loaded, size + 1, len(texts[order[done + size]])):
            size += 1
        batch = order[done : done + size]
        if share is None:
            progress.check()
        else:
            progress.step(share[0] + (share[1] - share[0]) * done / len(order), note)
        given = rows(loaded, [texts[index] for index in batch])
        logits = run(loaded, given, check=progress.check).logits
        assert logits is not None
        losses = next_token_losses(logits, given).cpu().numpy()
        for row, index in enumerate(batch):
            n = len(texts[index])
            values = np.concatenate([[np.nan], -losses[row, : n - 1].astype(float)])
            values[np.array(special(loaded, texts[index]), dtype=bool)] = np.nan
            found[index] = values
        done += size
    return found


def _fits(loaded: Loaded, n_rows: int, longest: int) -> bool:
    tokens = n_rows * longest
    return tokens <= TOKENS_AT_ONCE and tokens * loaded.d_vocab <= LOGITS_AT_ONCE


def next_log_p(
    loaded: Loaded, progress: Progress, texts: Sequence[Sequence[int]], wanted: Sequence[int]
) -> np.ndarray:
    """log p of the wanted tokens as what follows each text, [text, wanted]."""
    found = np.zeros((len(texts), len(wanted)))
    size = max(1, TOKENS_AT_ONCE // max(map(len, texts)))
    for start in range(0, len(texts), size):
        progress.check()
        some = texts[start : start + size]
        logits = run(loaded, rows(loaded, some), logits="last", check=progress.check).logits
        assert logits is not None
        log_p = torch.log_softmax(logits[:, -1].float(), dim=-1)
        found[start : start + size] = log_p[:, list(wanted)].cpu().numpy()
    return found
