"""The mathematics of relations as offsets: how parallel they are, and what analogies prove.

x [pair, d] and y [pair, d] are the two sides; offsets o = y - x. After Fournier, Dupoux and Dunbar
2020 ("Analogies minus analogy test: measuring regularities in word embeddings") for consistency,
Levy and Goldberg 2014 ("Linguistic Regularities in Sparse and Explicit Word Representations") for
the two ways of solving an analogy.
"""

from dataclasses import dataclass

import numpy as np

from core.analyses.clouds import unit

N_PERMUTED, N_PAIRINGS, N_DRAWS, N_CHECKED = 100, 50, 200, 20
TINY = 1e-300
SMALL = 1e-3  # the constant of 3CosMul
METHODS = ("3CosAdd", "3CosMul")
# The share of questions answered right: inputs excluded, not excluded, the nearest neighbour of
# the third word alone, and with the second sides dealt out anew.
NUMBERS = ("inputs excluded", "nothing excluded", "third word alone", "pairs mixed")


class Grams:
    """All inner products of both sides, from which offsets of any pairing follow without d."""

    def __init__(self, x: np.ndarray, y: np.ndarray) -> None:
        self.xx, self.yy, self.xy = x @ x.T, y @ y.T, x @ y.T
        self.n = len(x)
        self.above = np.triu_indices(self.n, 1)

    def cosines(self, paired: np.ndarray | None = None) -> np.ndarray:
        """[pair, pair] cosines of the offsets y[paired] - x; 0 where an offset is zero."""
        p = np.arange(self.n) if paired is None else paired
        mixed = self.xy[:, p]
        inner = self.yy[np.ix_(p, p)] - mixed - mixed.T + self.xx
        size = np.sqrt(np.maximum(np.diag(inner), 0))
        # Rounding of a difference of large numbers is no direction.
        size[size <= 1e-7 * np.sqrt(np.diag(self.xx) + np.diag(self.yy)[p])] = 0
        apart = np.outer(size, size)
        found: np.ndarray = np.divide(inner, apart, out=np.zeros_like(inner), where=apart > 0)
        return found

    def between(self, paired: np.ndarray | None = None) -> np.ndarray:
        """The cosines of i < j, [n (n - 1) / 2]."""
        return self.cosines(paired)[self.above]


def derangement(n: int, rng: np.random.Generator) -> np.ndarray:
    """A random order in which (nearly always) none keeps its place."""
    for _ in range(20):
        found = rng.permutation(n)
        if n < 2 or (found != np.arange(n)).all():
            return found
    return np.roll(np.arange(n), 1)


@dataclass(frozen=True)
class Parallel:
    """concentration: mean cosine of two offsets, with its 95 % interval over pairs drawn again;
    permuted: the same with the second sides dealt out anew, [time]. consistency: AUC of true
    cosines against those of permuted pairings; its control: [time] of one more such pairing."""

    concentration: float
    low: float
    high: float
    permuted: np.ndarray
    consistency: float
    control: np.ndarray


def parallel(x: np.ndarray, y: np.ndarray, rng: np.random.Generator) -> Parallel:
    """How parallel the offsets of pairs [pair, d] are, beside permuted second sides."""
    grams = Grams(x, y)
    cosine = grams.cosines()
    own = cosine[grams.above]
    mixed = [grams.between(derangement(len(x), rng)) for _ in range(N_PERMUTED)]
    false = np.sort(np.concatenate(mixed[:N_PAIRINGS]))
    more = mixed[N_PAIRINGS : N_PAIRINGS + N_CHECKED]
    low, high = _interval(cosine, rng)
    return Parallel(
        float(own.mean()), low, high, np.array([one.mean() for one in mixed]), auc(own, false),
        np.array([auc(one, false) for one in more]),
    )  # fmt: skip


def auc(true: np.ndarray, false: np.ndarray) -> float:
    """Share of (true, false) in which the true one is larger, ties half; `false` sorted."""
    below = np.searchsorted(false, true, "left") + np.searchsorted(false, true, "right")
    return float(below.mean() / 2 / len(false))


def _interval(cosine: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % of the mean cosine of two different pairs when pairs are drawn again."""
    n = len(cosine)
    times = rng.multinomial(n, np.full(n, 1 / n), size=N_DRAWS).astype(float)
    apart = cosine - np.diag(np.diag(cosine))
    total = times.sum(axis=1) ** 2 - (times**2).sum(axis=1)
    mean = np.einsum("ti,ij,tj->t", times, apart, times) / np.maximum(total, 1)
    low, high = np.quantile(mean, (0.025, 0.975))
    return float(low), float(high)


def one_dimension(offsets: np.ndarray) -> float:
    """Share of the variance of centred offsets in their first direction."""
    size = np.linalg.svd(offsets - offsets.mean(axis=0), compute_uv=False) ** 2
    return float(size[0] / max(float(size.sum()), TINY))


def common(offsets: np.ndarray) -> float:
    """Share of the mean square of the offsets that their mean has: 1 when all are equal."""
    return float((offsets.mean(axis=0) ** 2).sum() / max(float((offsets**2).sum(1).mean()), TINY))


def analogies(
    words: np.ndarray,
    candidates: np.ndarray,
    pairs: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, int]:
    """(share answered right [method, number], questions): x_i is to y_i as x_j is to ...?

    words       [word, d] those of the pairs, which come first among the candidates
    candidates  [candidate, d] what an answer is chosen from; everything centred on their mean
    pairs       [pair, 2] numbers of words
    The numbers are `NUMBERS`. Questions whose four words are not all different are left out.
    """
    middle = candidates.mean(axis=0)
    among = unit(candidates - middle)
    close = (unit(words - middle) @ among.T).astype(np.float32)  # [word, candidate]
    asked = _questions(pairs)
    if not asked.any():
        return np.full((2, len(NUMBERS)), np.nan), 0
    mixed = pairs.copy()
    mixed[:, 1] = pairs[derangement(len(pairs), rng), 1]
    odd = _questions(mixed)
    found = np.zeros((2, len(NUMBERS)))
    for number, method in enumerate(METHODS):
        found[number, :2] = _right(close, pairs, asked, method)
        found[number, 2] = _right(close, pairs, asked, "alone")[0]
        found[number, 3] = _right(close, mixed, odd, method)[0]
    return found, int(asked.sum())


def _questions(pairs: np.ndarray) -> np.ndarray:
    """[pair, pair] is a question made of the two, with four different words?"""
    (x, y), n = pairs.T, len(pairs)
    same = (x[:, None] == x) | (y[:, None] == y) | (x[:, None] == y) | (y[:, None] == x)
    found: np.ndarray = ~same & (x != y)[:, None] & (x != y)
    found[np.arange(n), np.arange(n)] = False
    return found


def _right(
    close: np.ndarray, pairs: np.ndarray, asked: np.ndarray, method: str
) -> tuple[float, float]:
    """Share of answers that are right with the three inputs excluded, and with none."""
    right, third, answer = np.zeros(2), close[pairs[:, 0]], pairs[:, 1]
    for (x, y), fit in zip(pairs, asked, strict=True):
        row = np.flatnonzero(fit)
        if method == "alone":
            score = third[row]
        elif method == "3CosAdd":
            score = third[row] + (close[y] - close[x])
        else:
            score = (third[row] + 1) * ((close[y] + 1) / (close[x] + 1 + 2 * SMALL))
        right[1] += (score.argmax(axis=1) == answer[row]).sum()
        score[:, [x, y]] = -np.inf
        score[np.arange(len(row)), pairs[row, 0]] = -np.inf
        right[0] += (score.argmax(axis=1) == answer[row]).sum()
    excluded, every = right / max(1, int(asked.sum()))
    return float(excluded), float(every)


def parallelogram(
    a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray
) -> tuple[float, float]:
    """(cosine, relative gap) of b - a and d - c: 1 and 0 is a parallelogram, 1 and more a
    trapezoid."""
    one, other = b - a, d - c
    sizes = np.linalg.norm(one), np.linalg.norm(other)
    mean = max(float(sum(sizes)) / 2, TINY)
    cosine = float(one @ other / max(float(sizes[0] * sizes[1]), TINY))
    return cosine, float(np.linalg.norm(one - other) / mean)


def without(cloud: np.ndarray, pairs: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """Words [word, d] without what least squares says that covariates [word, covariate] add.

    The weights are those of the offsets of the pairs on the changes of the covariates, so that the
    offsets of what is left are the residuals of that regression (their mean stays).
    """
    one, other = pairs.T
    changed, apart = covariates[other] - covariates[one], cloud[other] - cloud[one]
    weights = np.linalg.pinv(changed - changed.mean(axis=0)) @ (apart - apart.mean(axis=0))
    found: np.ndarray = cloud - (covariates - covariates.mean(axis=0)) @ weights
    return found


def correlations(scores: np.ndarray, covariates: np.ndarray) -> np.ndarray:
    """[component, covariate] Pearson's r; NaN for a covariate that does not vary."""
    one, other = scores - scores.mean(axis=0), covariates - covariates.mean(axis=0)
    size = np.outer(np.linalg.norm(one, axis=0), np.linalg.norm(other, axis=0))
    flat = np.full((one.shape[1], other.shape[1]), np.nan)
    found: np.ndarray = np.divide(one.T @ other, size, out=flat, where=size > 1e-12)
    return found
