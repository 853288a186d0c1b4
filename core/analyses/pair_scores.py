"""Which text of a pair a model prefers: by probability, and when it is asked."""

import numpy as np

from core.analyses.runs import Progress
from core.analyses.sentence_scores import next_log_p, scored
from core.analyses.states import encoded
from core.models.loaded import Loaded
from core.models.tokens import special
from core.models.words import in_text
from core.spec.pairs import PairSet


def direct_gaps(
    loaded: Loaded, progress: Progress, given: PairSet, share: tuple[float, float]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """(gap [way, pair] in nats, tokens of the common ending [pair], tokens that the good text is
    shorter by [pair], what is to be said); NaN for a way that is not to be had.
    """
    n = len(given.good)
    good, bad = encoded(loaded, given.good), encoded(loaded, given.bad)
    pairs = [
        (_plain(loaded, one), _plain(loaded, other)) for one, other in zip(good, bad, strict=True)
    ]
    shared = np.array([_common_end(one, other) for one, other in pairs])
    shorter = np.array([len(other) - len(one) for one, other in pairs])
    gap = np.full((3, n), np.nan)
    if loaded.kind != "decoder" or loaded.head is None:
        said = f"{loaded.name} ({loaded.kind}) does not continue a text: probes only"
        return gap, shared, shorter, [said]
    values = scored(loaded, progress, [*good, *bad], share=share)
    ends = [(_ending(values[i], shared[i]), _ending(values[n + i], shared[i])) for i in range(n)]
    notes = []
    if (shared > 0).all():
        gap[0] = [one - other for one, other in ends]
    else:
        notes.append(
            f"{int((shared == 0).sum()):,} pairs have no common ending, so only whole texts are "
            "compared"
        )
    gap[1] = [np.nansum(values[i]) - np.nansum(values[n + i]) for i in range(n)]
    if any(len(one) != len(other) for one, other in pairs):
        notes.append("texts of some pairs differ in length, which the sum over a text favours")
    if given.prompt:
        notes += _outright(loaded, progress, given, gap)
    return gap, shared, shorter, notes


def _plain(loaded: Loaded, ids: list[int]) -> list[int]:
    marked = special(loaded, ids)
    return [token for token, is_special in zip(ids, marked, strict=True) if not is_special]


def _common_end(one: list[int], other: list[int]) -> int:
    """Tokens that both end with, at least one less than either has."""
    most, n = min(len(one), len(other)) - 1, 0
    while n < most and one[-1 - n] == other[-1 - n]:
        n += 1
    return n


def _ending(values: np.ndarray, n: int) -> float:
    known = values[np.isfinite(values)]
    return float(known[len(known) - n :].sum()) if n else float("nan")


def _outright(loaded: Loaded, progress: Progress, given: PairSet, gap: np.ndarray) -> list[str]:
    """Fill in how much more a good text is said to be right; what is to be said about it."""
    words = [in_text(loaded, answer)[:1] for answer in given.answers]
    if not all(words) or words[0] == words[1]:
        return [
            f"this model's tokenizer does not tell {given.answers[0]!r} from {given.answers[1]!r} "
            "by their first tokens, so it was not asked outright"
        ]
    progress.check()
    texts = [given.prompt.replace("{}", text) for text in (*given.good, *given.bad)]
    log_p = next_log_p(loaded, progress, encoded(loaded, texts), [one[0] for one in words])
    said = log_p[:, 0] - log_p[:, 1]
    gap[2] = said[: len(given.good)] - said[len(given.good) :]
    return []
