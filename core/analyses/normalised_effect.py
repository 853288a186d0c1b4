"""How far a concept's rate follows a push, with what the push breaks taken off; no model."""

from dataclasses import dataclass

import numpy as np

_STEPS = 201
_BENDS = np.geomspace(0.05, 50, 121)  # per largest strength


@dataclass(frozen=True)
class Effect:
    """What was fitted: (height tanh(bend alpha) + level) / exp(decay alpha²), and its range."""

    bend: float
    decay: float
    height: float
    level: float
    pnes: float  # largest minus smallest value between the strengths that were tried

    def at(self, alpha: np.ndarray) -> np.ndarray:
        top = self.height * np.tanh(self.bend * alpha) + self.level
        return np.asarray(top * np.exp(-self.decay * alpha * alpha))


def effect(alpha: np.ndarray, rate: np.ndarray, ratio: np.ndarray, base: float) -> Effect:
    """The perplexity-normalised effect of rates and perplexity ratios [strength].

    y = (rate - base) / ratio; ln ratio = decay alpha² by least squares, then y by least squares
    over bend. After von Rütte et al. 2024, with a height of its own. Strengths: two or more,
    not 0.
    """
    square = alpha * alpha
    decay = max(0.0, float((square * np.log(ratio)).sum() / (square * square).sum()))
    y = np.append((rate - base) / ratio, 0.0)
    strength = np.append(alpha, 0.0)
    fall = np.exp(-decay * strength * strength)
    best, least = (0.0, 0.0, 0.0), np.inf
    for bend in _BENDS / np.abs(alpha).max():
        design = np.stack([np.tanh(bend * strength) * fall, fall], axis=1)
        found, *_ = np.linalg.lstsq(design, y, rcond=None)
        error = float(((design @ found - y) ** 2).sum())
        if error < least - 1e-15:
            best, least = (float(bend), float(found[0]), float(found[1])), error
    one = Effect(best[0], decay, best[1], best[2], 0.0)
    shown = one.at(np.linspace(min(0.0, alpha.min()), max(0.0, alpha.max()), _STEPS))
    return Effect(one.bend, decay, one.height, one.level, float(shown.max() - shown.min()))
