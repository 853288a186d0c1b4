"""Which token of another model's reading stands where a token of this one stands."""

import numpy as np

from core.analyses.aligned import matched, spans
from core.analyses.runs import Progress
from core.models.loaded import Loaded
from core.models.tokens import special
from core.results.shared_tokens import SharedTokens


def shared_tokens(loaded: Loaded, progress: Progress, *, text: str, other: Loaded) -> SharedTokens:
    """Tokens of two models brought together by the characters they end at.

    text  what both read
    """
    progress.check()
    here, there = spans(loaded, text), spans(other, text)
    own = np.full(len(there), -1, dtype=np.int64)
    for a, b in matched(here, there):
        own[b] = a
    _leading(loaded, other, text, own)
    return SharedTokens(
        request={}, other=other.name, n_here=len(here), n_there=len(there), here=own
    )


def _leading(loaded: Loaded, other: Loaded, text: str, own: np.ndarray) -> None:
    """Special tokens in front of the text belong together, whatever they are called."""
    marked = [special(one, one.tokenizer(text)["input_ids"]) for one in (loaded, other)]
    fronts = [next((n for n, is_special in enumerate(m) if not is_special), 0) for m in marked]
    for back in range(1, min(fronts) + 1):
        own[fronts[1] - back] = fronts[0] - back
