"""How tokens travel through the layers: steps, turns, shares, and where they are headed."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Trajectories(Result):
    """One path a token; point 0 is what enters the first block, point l what leaves block l - 1.

    Lengths grow with depth in most models, so paths are compared by cosines, drawn as directions.
    Controls: steps of the same lengths in random directions from the same start; the same steps in
    random order (these end where the path ends); the same texts with fresh weights.
    """

    name: ClassVar[str] = "trajectories"
    texts: tuple[str, ...]
    tokens: tuple[str, ...]  # [path]
    contexts: tuple[str, ...]  # [path] what stands in front of it, and the token
    of_text: tuple[int, ...]  # [path] number of its text
    position: tuple[int, ...]  # [path]
    outputs: tuple[str, ...]  # [path] the token foretold there, "" without predictions
    sites: tuple[str, ...]  # [point]
    basis: str  # what the picture's plane was fitted on
    notes: tuple[str, ...]
    n_random: int
    seed: int
    norm: np.ndarray  # [path, point] length of the state
    step: np.ndarray  # [path, layer] length of the step
    straight: np.ndarray  # [path] |end - start| / length of the path, 0 to 1
    random_straight: np.ndarray  # [path, 2.5 % | mean | 97.5 %] random directions
    fresh_straight: np.ndarray  # [path]
    turn: np.ndarray  # [path, layer] cosine of a step with the one before; NaN for the first
    order_turn: np.ndarray  # [path, layer] mean over random orders
    fresh_turn: np.ndarray
    attention_share: np.ndarray  # [path, layer] of the step, along it; with the MLP's 1
    mlp_share: np.ndarray
    to_end: np.ndarray  # [path, point] cosine of the state with the last one
    random_to_end: np.ndarray  # [path, point] mean over random directions
    order_to_end: np.ndarray  # [path, point] mean over random orders
    fresh_to_end: np.ndarray
    to_input: np.ndarray  # [path, point] cosine with the embedding of the token
    to_output: np.ndarray  # [path, point] cosine with the row that reads the foretold token
    other_output: np.ndarray  # [path, point] the same, mean over random tokens
    place: np.ndarray  # [path, point, 2] directions of the states in the plane of `basis`
    random_place: np.ndarray  # [path, point, 2] one path of random directions in that plane
    plane_share: np.ndarray  # [2] of the variance of what the plane was fitted on

    @property
    def path(self) -> np.ndarray:
        """[path] length of the whole way."""
        found: np.ndarray = self.step.sum(axis=1)
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row per path and point; what is about a step stands at its end."""
        import pandas as pd

        paths, points = self.norm.shape
        first = np.full((paths, 1), np.nan)
        columns = {
            name: getattr(self, name) for name in ("norm", "to_end", "to_input", "to_output")
        }
        for name in ("step", "turn", "attention_share", "mlp_share"):
            columns[name] = np.concatenate([first, getattr(self, name)], axis=1)
        place = {
            "token": np.repeat(np.array(self.tokens, dtype=object), points),
            "text": np.repeat(self.of_text, points),
            "position": np.repeat(self.position, points),
            "site": np.tile(np.array(self.sites, dtype=object), paths),
        }
        return pd.DataFrame(place | {name: each.ravel() for name, each in columns.items()})
