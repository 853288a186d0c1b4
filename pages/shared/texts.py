"""The continuations side by side: clean, clamped, and the random control."""

from collections.abc import Sequence

from core.figures.theme import Look
from core.results.steer import SteerResult


def three_texts(result: SteerResult, *, key: str, look: Look | None = None) -> None:
    """The texts of all runs as columns, each token coloured by its change in log-probability."""
    raise NotImplementedError


def streaming_texts(
    partial: Sequence[tuple[str, str]], *, key: str, sites: Sequence[str] = ()
) -> None:
    """Texts while they are written: (run name, text so far), same columns as `three_texts`."""
    raise NotImplementedError
