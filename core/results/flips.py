"""Where two models disagree most about the next token, and what in them makes the difference."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Flips(Result):
    """A place is a token of a text behind which both models have read the same characters.

    KL is that of the other model's next-token distribution from this one's, in nats; between
    vocabularies that differ over the `n_shared` tokens both have, scaled to sum to 1. The control
    takes the other model's distribution from another place.

    A listed flip is told by two tokens: `away`, which this model says rather than the other, and
    `toward`, the other way round; its margin is log p(toward) - log p(away). `effect` is the share
    of the margin's difference between the models that one component of the other model, put in
    place of this one's, makes up for; its control moves the stream as far at random.
    """

    name: ClassVar[str] = "flips"
    models: tuple[str, str]
    same: bool
    same_tokens: bool
    why_no_parts: str  # why components cannot be exchanged, "" where they were
    source: str
    n_texts: int
    n_places: int
    n_shared: int
    seed: int
    notes: tuple[str, ...]
    texts: tuple[str, ...]  # [listed] what both have read
    after: tuple[str, ...]  # [listed] how the text goes on
    away: tuple[str, ...]  # [listed]
    toward: tuple[str, ...]  # [listed]
    says_here: tuple[tuple[str, ...], ...]  # [listed][k] first choices
    says_there: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]  # whose texts the models disagree on most, most first
    components: tuple[str, ...]
    mass: np.ndarray  # [2] mean probability on the shared tokens, here and there
    differs: float  # share of places with another first choice
    kl: np.ndarray  # [place] every one, in the order of the texts
    control_kl: np.ndarray  # [place]
    text_kl: np.ndarray  # [text] the largest of each
    listed_kl: np.ndarray  # [listed]
    listed_differs: np.ndarray  # [listed] bool
    p_here: np.ndarray  # [listed, k] probabilities of says_here
    p_there: np.ndarray  # [listed, k]
    p_away: np.ndarray  # [listed, 2] of the two tokens, here and there
    p_toward: np.ndarray  # [listed, 2]
    word_kl: np.ndarray  # [word] mean of the largest KL of the texts with it
    word_n: np.ndarray  # [word] such texts
    word_high: np.ndarray  # [word] 95 % of as many texts drawn at random stay below
    effect: np.ndarray  # [listed, component]; [0, 0] where components do not correspond
    control_effect: np.ndarray  # [listed, component, draw]
    layer_effect: np.ndarray  # [listed, layer + 1] the whole stream put in; 0 enters the blocks
    lens_here: np.ndarray  # [listed, layer + 1] the margin as each layer would have it
    lens_there: np.ndarray  # [listed, layer + 1]

    @property
    def responsible(self) -> np.ndarray:
        """[component] their order by mean effect over the listed flips, largest first."""
        return np.argsort(-self.effect.mean(axis=0), kind="stable")

    def to_frame(self) -> "pd.DataFrame":
        """One row per listed flip."""
        import pandas as pd

        columns = {
            "text": self.texts,
            "here": [row[0] for row in self.says_here],
            "there": [row[0] for row in self.says_there],
            "kl": self.listed_kl,
            "away": self.away,
            "toward": self.toward,
        }
        if self.effect.size:
            best = self.effect.argmax(axis=1)
            columns["component"] = [self.components[at] for at in best]
            columns["effect"] = self.effect.max(axis=1)
        return pd.DataFrame(columns)
