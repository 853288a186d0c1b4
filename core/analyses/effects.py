"""What changes do to many texts at once: predictions behind them, and divergence inside them."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from core.analyses.runs import (
    LOGITS_AT_ONCE,
    TOKENS_AT_ONCE,
    Progress,
    divergence,
    log_probabilities,
)
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Intervention


def predicts(loaded: Loaded) -> None:
    """Raise `Error` with a sentence when the model predicts no next token behind a text."""
    if loaded.head is None:
        raise Error(f"{loaded.name} has no head for predictions, so no effect can be measured")
    if loaded.kind == "encoder":
        raise Error(
            f"{loaded.name} is an encoder ({loaded.family}): it predicts no next token; "
            "take a model that writes text"
        )


def last_log_p(
    loaded: Loaded,
    progress: Progress,
    texts: Sequence[Sequence[int]],
    change: Sequence[Intervention] = (),
) -> Tensor:
    """Log-probabilities [text, d_vocab] of what follows each text, float32 on the CPU.

    An encoder-decoder answers for its first decoder token.
    """
    found = torch.zeros(len(texts), loaded.d_vocab)
    for batch in _batches(texts, TOKENS_AT_ONCE, LOGITS_AT_ONCE // loaded.d_vocab):
        progress.check()
        seen = run(
            loaded,
            rows(loaded, [texts[index] for index in batch]),
            change=[change] if change else (),
            logits="last",
            check=progress.check,
        )
        assert seen.logits is not None
        found[batch] = log_probabilities(seen.logits[:, -1]).cpu()
    return found


def text_divergence(
    loaded: Loaded,
    progress: Progress,
    texts: Sequence[Sequence[int]],
    change: Sequence[Intervention],
) -> tuple[Tensor, Tensor]:
    """KL(clean || changed) of each text, mean over its tokens in nats [text], and where it is
    largest: the position, the clean and the changed first choice there [text, 3]."""
    kl = torch.zeros(len(texts))
    place = torch.zeros(len(texts), 3, dtype=torch.int64)
    for batch in _batches(texts, TOKENS_AT_ONCE // 2, LOGITS_AT_ONCE // loaded.d_vocab // 2, True):
        progress.check()
        some = rows(loaded, [texts[index] for index in batch])
        clean, changed = (
            log_probabilities(found)
            for each in ((), change)
            if (found := run(loaded, some, change=[each] if each else ()).logits) is not None
        )
        apart = divergence(clean, changed)  # [row, token]
        for row, index in enumerate(batch):
            own = apart[row, : some.lengths[row]]
            at = int(own.argmax())
            kl[index] = float(own.mean())
            first, second = int(clean[row, at].argmax()), int(changed[row, at].argmax())
            place[index] = torch.tensor([at, first, second])
    return kl, place


def _batches(
    texts: Sequence[Sequence[int]], tokens: int, most: int, each_token: bool = False
) -> Iterator[list[int]]:
    """Numbers of texts of like length: at most `tokens` tokens and `most` rows of logits."""
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    batch: list[int] = []
    for index in order:
        size = (len(batch) + 1) * len(texts[index])
        logits = size if each_token else len(batch) + 1
        if batch and (size > tokens or logits > most):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def split(
    n: int, share: float, groups: Sequence[int], seed: int
) -> tuple[Sequence[int], Sequence[int]]:
    """(training numbers, held-out numbers) of n items; items of one group stay together."""
    names = sorted(set(groups))
    order = torch.randperm(len(names), generator=torch.Generator().manual_seed(seed)).tolist()
    kept = {names[number] for number in order[: max(1, round(share * len(names)))]}
    train = [number for number in range(n) if groups[number] in kept]
    return train, [number for number in range(n) if groups[number] not in kept]
