"""Contrasts behind the final norm, where a push is linear: effects, log-odds, the vocabulary."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from core.analyses.clouds import unit
from core.analyses.word_contrasts import Contrast, Place, leave_one_out
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.spec.errors import Error

N_CONTROLS = 20
N_SAMPLE = 1_500  # tokens of the vocabulary that are drawn


class Lines:
    """Everything that is linear behind the final norm.

    direction  [concept, d] in whitened coordinates, length 1
    gain       [concept] mean_i (g(y1_i) - g(y0_i)) . direction: nats per unit of length
    shift      [concept, d] what a nat adds to the state behind the final norm
    """

    def __init__(self, place: Place, contrasts: Sequence[Contrast], ids: Sequence[int]) -> None:
        self.place, self.contrasts = place, contrasts
        self.ids = np.array(ids)
        white = place.white.white(place.rows)
        self.raw = np.stack(
            [
                (place.rows[list(one.second)] - place.rows[list(one.first)]).mean(axis=0)
                for one in contrasts
            ]
        )  # [concept, d] mean differences of the unembedding's own rows
        self.apart = [white[list(one.second)] - white[list(one.first)] for one in contrasts]
        self.mean = np.stack([part.mean(axis=0) for part in self.apart])
        self.direction = unit(self.mean)
        self.gain = np.linalg.norm(self.mean, axis=1)
        if not self.gain.all():
            name = contrasts[int(self.gain.argmin())].name
            raise Error(f"the pairs of {name[:40]!r} cancel each other, so there is no direction")
        self.shift = self.direction / self.gain[:, None] @ place.white.inverse

    def effects(self, rng: np.random.Generator) -> dict[str, np.ndarray]:
        """[pushed, measured] nats a nat, the same of random directions, and on pairs left out."""
        per_nat = self.direction / self.gain[:, None]
        random = unit(rng.normal(size=(N_CONTROLS, self.mean.shape[1])))
        chance = np.abs(random @ self.mean.T).mean(axis=0)  # [measured] a unit of length
        held = [
            np.nanmean(leave_one_out(one, apart)[1]) if _splits(one) else np.nan
            for one, apart in zip(self.contrasts, self.apart, strict=True)
        ]
        return {
            "effect": per_nat @ self.mean.T,
            "control_effect": chance / self.gain[:, None],
            "held_out": np.array(held) / self.gain,
            "cosine": self.direction @ self.direction.T,
        }

    def log_odds(self, logits: np.ndarray) -> np.ndarray:
        """[..., concept] mean over the pairs of logits [..., d_vocab]."""
        return np.stack(
            [
                (
                    logits[..., self.ids[list(one.second)]] - logits[..., self.ids[list(one.first)]]
                ).mean(axis=-1)
                for one in self.contrasts
            ],
            axis=-1,
        )

    def token_shift(self, shifts: np.ndarray) -> np.ndarray:
        """[n, d_vocab known] what shifts [n, d] behind the final norm add to the logits."""
        found: np.ndarray = (torch.from_numpy(shifts).float() @ self.place.pool.T).double().numpy()
        return found

    def vocabulary(
        self, loaded: Loaded, chosen: tuple[int, int], rng: np.random.Generator
    ) -> dict[str, Any]:
        """Projections of a sample of tokens and the pairs' own, and correlations over all."""
        used = self.place.used
        along = self.direction @ self.place.white.inverse  # [concept, d]
        projected = self.token_shift(along)[:, used]
        correlation = np.corrcoef(projected) if len(along) > 1 else np.ones((1, 1))
        marks = np.zeros(loaded.d_vocab, dtype=int)
        for number, first in ((chosen[1], 3), (chosen[0], 1)):
            one = self.contrasts[number]
            marks[self.ids[list(one.first)]], marks[self.ids[list(one.second)]] = first, first + 1
        sample = rng.choice(used, min(N_SAMPLE, len(used)), replace=False)
        named = np.flatnonzero(marks)
        tokens = np.union1d(sample, named)
        place = np.searchsorted(used, tokens)
        centred = projected - projected.mean(axis=1, keepdims=True)
        return {
            "tokens": pieces(loaded, tokens.tolist()),
            "token_pair": tuple(marks[tokens].tolist()),
            "vocabulary": centred[:, place].T,
            "correlation": correlation,
        }


def _splits(one: Contrast) -> bool:
    """Is there a pair that shares no word with some other?"""
    words = [{first, second} for first, second in zip(one.first, one.second, strict=True)]
    return any(not words[0] & other for other in words[1:]) or any(
        not a & b for a in words for b in words
    )
