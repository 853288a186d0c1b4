"""What a model loses when a dictionary, its controls, zero or the mean stand at a site."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import LOGITS_AT_ONCE, Progress, divergence, log_probabilities
from core.analyses.splice import held_at, spliced
from core.corpus.chunks import Contexts
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.results.dictionary_report import CONDITIONS, LOSSES
from core.spec.errors import Error

BATCH_TOKENS = 2_048
N_DRAWS = 1_000
Stand = tuple[Mapping[str, SparseDict], Tensor]  # a dictionary with its controls, the site's mean


@dataclass(frozen=True)
class Losses:
    """Sums by context: ce and kl [dictionary, loss, context], clean [context], n [context]."""

    ce: np.ndarray
    kl: np.ndarray
    clean: np.ndarray
    n: np.ndarray
    missing: str
    seed: int

    def fields(self) -> dict[str, Any]:
        """What of it stands in the report."""
        n = max(1, int(self.n.sum()))
        delta = self.ce - self.clean
        known = not self.missing
        mean = delta.sum(axis=-1) / n if known else np.full(delta.shape[:2], np.nan)
        kl = self.kl.sum(axis=-1) / n if known else mean
        low, high = self._interval(delta) if known else (mean, mean)
        return {
            "n_loss_tokens": int(self.n.sum()),
            "n_loss_contexts": int((self.n > 0).sum()),
            "loss_missing": self.missing,
            "ce_clean": float(self.clean.sum() / n) if known else float("nan"),
            "delta_ce": mean,
            "delta_ce_low": low,
            "delta_ce_high": high,
            "kl": kl,
            "recovered": _recovered(mean),
            "kl_recovered": _recovered(kl),
        }

    def _interval(self, delta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """95 % of the mean over contexts drawn again; the same draw for all conditions."""
        counts = np.random.default_rng(self.seed).multinomial(
            len(self.n), np.full(len(self.n), 1 / len(self.n)), N_DRAWS
        )
        drawn = (delta @ counts.T) / np.maximum(counts @ self.n, 1)
        low, high = np.quantile(drawn, (0.025, 0.975), axis=-1)
        return low, high


def _recovered(loss: np.ndarray) -> np.ndarray:
    """[dictionary, condition, 2]: the share of what zero / mean ablation costs that is not lost."""
    ablated = loss[:, None, len(CONDITIONS) :]
    with np.errstate(divide="ignore", invalid="ignore"):
        share: np.ndarray = 1 - loss[:, : len(CONDITIONS), None] / ablated
    return np.where(ablated > 0, share, np.nan)


def losses(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    stands: Sequence[Stand],
    wanted: Sequence[int],
    seed: int,
) -> Losses:
    """Every condition in the contexts wanted; without a next token to foretell, why not."""
    shape = (len(stands), len(LOSSES), len(wanted))
    ce, kl = np.zeros(shape), np.zeros(shape)
    clean, n = np.zeros(len(wanted)), np.zeros(len(wanted), dtype=np.int64)
    try:
        refuse_without_next_tokens(loaded, "the cost of a dictionary")
    except Error as why:
        return Losses(ce, kl, clean, n, str(why), seed)
    column = {number: place for place, number in enumerate(wanted)}
    done = 0
    for numbers in _batches(loaded, made, set(wanted)):
        shown = rows(loaded, [made.windows[number].ids for number in numbers])
        keep = torch.from_numpy(made.keep_mask(numbers, shown.ids.shape[1])).to(loaded.device)
        at = [column[number] for number in numbers]
        own = _logits(loaded, shown, progress)
        lost, log_p = next_token_losses(own, shown), log_probabilities(own[:, :-1])
        asked = keep[:, 1:].to(lost.device)
        clean[at], n[at] = _sums(lost, asked), asked.sum(dim=1).cpu().numpy()
        for row, stand in enumerate(stands):
            for place, held in enumerate(_conditions(loaded, shown, keep, stand)):
                with held:
                    other = _logits(loaded, shown, progress)
                ce[row, place, at] = _sums(next_token_losses(other, shown), asked)
                apart = divergence(log_p, log_probabilities(other[:, :-1]))
                kl[row, place, at] = _sums(apart, asked)
        done += len(numbers)
        progress.step(0.6 + 0.4 * done / len(wanted), f"losses: {done} of {len(wanted)} contexts")
    return Losses(ce, kl, clean, n, "", seed)


def _batches(loaded: Loaded, made: Contexts, wanted: set[int]) -> Iterator[list[int]]:
    """Two sets of logits are held at once, so a large vocabulary takes fewer tokens."""
    room = max(1, min(BATCH_TOKENS, LOGITS_AT_ONCE // (4 * loaded.d_vocab)))
    for batch in made.batches(room):
        numbers = [number for number in batch if number in wanted]
        if numbers:
            yield numbers


def _logits(loaded: Loaded, shown: Rows, progress: Progress) -> Tensor:
    logits = run(loaded, shown, check=progress.check).logits
    assert logits is not None
    return logits


def _conditions(
    loaded: Loaded, shown: Rows, keep: Tensor, stand: Stand
) -> Iterator[AbstractContextManager[None]]:
    """What stands at the site, in the order of LOSSES."""
    variants, mean = stand
    for name in CONDITIONS:
        yield spliced(loaded, shown, variants[name], keep)
    for value in (torch.zeros_like(mean), mean):
        yield held_at(loaded, shown, variants["dictionary"], keep, value)


def _sums(values: Tensor, asked: Tensor) -> np.ndarray:
    """[row] float64 over the tokens asked for."""
    summed: np.ndarray = (values.double() * asked).sum(dim=1).cpu().numpy()
    return summed
