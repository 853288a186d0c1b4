"""The model card: what was loaded, what was checked, what cannot be done."""

from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.results.card import CardResult


def card(loaded: Loaded, progress: Progress) -> CardResult:
    """Family, sizes, memory and the outcome of the load checks (a) to (g)."""
    progress.check()
    assert loaded.card is not None
    return loaded.card
