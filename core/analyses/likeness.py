"""How alike two answers are: ROUGE-L and BLEU on tokens."""

import math
from collections import Counter
from collections.abc import Sequence

MOST_GRAM = 4


def rouge_l(written: Sequence[int], wanted: Sequence[int]) -> float:
    """F1 of the longest common subsequence (Lin 2004); 1 when equal, also when both are empty."""
    if not written or not wanted:
        return float(len(written) == len(wanted))
    return 2 * _common(written, wanted) / (len(written) + len(wanted))


def _common(one: Sequence[int], two: Sequence[int]) -> int:
    """Length of the longest common subsequence."""
    row = [0] * (len(two) + 1)
    for left in one:
        before = 0
        for place, right in enumerate(two, start=1):
            before, row[place] = (
                row[place],
                before + 1 if left == right else max(row[place], row[place - 1]),
            )
    return row[-1]


def bleu(written: Sequence[int], wanted: Sequence[int]) -> float:
    """BLEU (Papineni et al. 2002) of one answer with up to 4-grams, as many as the shorter one has.

    Counts above one token are raised by one ("add one" of Lin and Och 2004), so that a short
    answer with no common pair is not nought for that alone.
    """
    if not written or not wanted:
        return float(len(written) == len(wanted))
    logs = []
    for n in range(1, min(MOST_GRAM, len(written), len(wanted)) + 1):
        have, want = _grams(written, n), _grams(wanted, n)
        hits, all_ = sum((have & want).values()), sum(have.values())
        share = hits / all_ if n == 1 else (hits + 1) / (all_ + 1)
        if not share:
            return 0.0
        logs.append(math.log(share))
    short = min(0.0, 1 - len(wanted) / len(written))
    return math.exp(short + sum(logs) / len(logs))


def _grams(tokens: Sequence[int], n: int) -> Counter[tuple[int, ...]]:
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))
