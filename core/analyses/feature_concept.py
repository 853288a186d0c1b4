"""Which features carry a concept, held out, corrected for how many were tried, beside probes."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses.feature_known import known
from core.analyses.feature_pooled import Pooled, pooled
from core.analyses.feature_rows import opened_dictionary
from core.analyses.given import against, asked_concept
from core.analyses.probes import fitted, linear
from core.analyses.runs import Progress
from core.analyses.scores import auc, aucs, bootstrapped
from core.analyses.states import encoded
from core.models.loaded import Loaded
from core.results.feature_concept import FeatureConcept
from core.spec.concept import Concept
from core.spec.errors import Error
from core.spec.site import Site

LEAST, MOST = 4, 4_000  # texts of a side; of both
SPARSE = (1, 2, 5)
N_RANDOM = 10
N_SHUFFLES, QUANTILE = 200, 0.95
MOST_K = 200
MOST_SHUFFLES = 10_000
_FEATURES_AT_ONCE = 2_048
_SHOWN = 120  # characters of a text


def feature_concept(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    pool: str = "max",
    k: int = 20,
    shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> FeatureConcept:
    """AUC of every feature between two sets of texts, beside probes and shuffled labels.

    The concept as in `direction`. Half of the texts (pairs stay together) choose, the other half
    is reported. In the same table: the difference of means of what the dictionary reads, a linear
    probe on it, the best neuron of that layer. After AxBench (Wu et al. 2025, max-pooled latents)
    and the sparse probes of SAEBench (Karvonen et al. 2025): logistic regressions on the 1, 2 and
    5 features with the largest difference of means.
    pool  what a text's tokens come to: "max", "mean" or "last"
    """
    found = opened_dictionary(loaded, dictionary)
    meant = said_concept(concept, positive, negative, pairs)
    _whole("k", k, MOST_K)
    check_shuffles(shuffles)
    downs, what = against(meant)
    check_texts(meant, downs)
    texts = (*meant.positive, *downs)
    read = pooled(loaded, progress, found, encoded(loaded, texts), pool)
    member = np.arange(len(texts)) < len(meant.positive)
    test = halves(member, meant.paired, seed)
    labels = shuffled_labels(member, meant.paired, shuffles, seed)
    scored = _Scored(read, member, test, labels, progress)
    names, baseline = _baselines(read, member, test, scored.first)
    table = scored.table(k, seed)
    return FeatureConcept(
        request={},
        dictionary=found.name,
        site=str(found.site),
        concept=meant.name,
        about=(f"positive texts of {meant.name}", what),
        paired=meant.paired,
        pool=pool,
        n_texts=(int(member.sum()), int((~member).sum()), int(test.sum())),
        baselines=names,
        neuron=str(_neuron(read, member, test)[0]) if read.neurons is not None else "",
        texts=tuple(text[:_SHOWN] for text in texts),
        named=known(loaded, found).labelled(table["feature"].tolist()),
        member=member,
        test=test,
        **scored.whole(),
        **table,
        **_intervals(baseline, member[test], seed),
        **sparse_accuracies(read, member, test, scored.firing, seed),
    )


def said_concept(
    concept: Any,
    positive: Sequence[str],
    negative: Sequence[str],
    pairs: Sequence[Sequence[str]] = (),
) -> Concept:
    """The concept of a question that needs one. Raises `Error` without."""
    meant = asked_concept(concept, positive, negative, pairs)
    if meant is None:
        raise Error("say which concept: concept=, or positive= and negative= texts, or pairs=")
    return meant


def check_shuffles(shuffles: int) -> None:
    """Raise `Error` for a number of shuffles that cannot be."""
    _whole("shuffles", shuffles, MOST_SHUFFLES)


def _whole(name: str, value: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise Error(f"{name} must be a whole number from 1 to {most:,}, not {str(value)[:20]}")


def check_texts(meant: Concept, downs: Sequence[str]) -> None:
    """Raise `Error` for too few or too many texts."""
    up, down = len(meant.positive), len(downs)
    if min(up, down) < LEAST:
        raise Error(
            f"{meant.name}: {up} positive and {down} negative texts; half of them choose and half "
            f"test, so at least {LEAST} are needed on each side"
        )
    if up + down > MOST:
        raise Error(f"{up + down:,} texts; at most {MOST:,} are read at a time")


def halves(member: np.ndarray, paired: bool, seed: int) -> np.ndarray:
    """Which texts are in the test half [text]; of pairs both, of each side every second."""
    generator = np.random.default_rng(seed)
    test = np.zeros(len(member), dtype=bool)
    up, down = np.flatnonzero(member), np.flatnonzero(~member)
    order = generator.permutation(len(up))[1::2]
    test[up[order]] = True
    test[down[order] if paired else generator.permutation(down)[1::2]] = True
    return test


def shuffled_labels(member: np.ndarray, paired: bool, n: int, seed: int) -> np.ndarray:
    """The labels anew, [shuffle, text]; pairs change sides as a whole or not at all."""
    generator = np.random.default_rng(seed + 1)
    if not paired:
        return np.stack([generator.permutation(member) for _ in range(n)])
    kept = generator.random((n, int(member.sum()))) < 0.5
    return np.concatenate([kept, ~kept], axis=1)


class _Scored:
    """AUCs of all features: all texts, the two halves, and the largest under shuffled labels."""

    def __init__(
        self,
        read: Pooled,
        member: np.ndarray,
        test: np.ndarray,
        shuffled: np.ndarray,
        progress: Progress,
    ) -> None:
        self.matrix, self.member, self.test = read.features, member, test
        self.firing = np.flatnonzero(np.diff(self.matrix.indptr))
        n = self.matrix.shape[1]
        self.auc, self.train, self.held = (np.full(n, 0.5, "float32") for _ in range(3))
        self.null = np.zeros(len(shuffled))
        for start in range(0, len(self.firing), _FEATURES_AT_ONCE):
            share = start / max(1, len(self.firing))
            progress.step(0.5 + 0.3 * share, "scoring the features beside shuffled labels")
            self._block(self.firing[start : start + _FEATURES_AT_ONCE], shuffled)
        self.threshold = float(np.quantile(self.null, QUANTILE))
        self.order = np.argsort(-np.abs(self.train - 0.5), kind="stable")

    def _block(self, features: np.ndarray, shuffled: np.ndarray) -> None:
        values = self.matrix[:, features].toarray()
        self.auc[features] = aucs(values, self.member)
        for side, scores in ((~self.test, self.train), (self.test, self.held)):
            scores[features] = aucs(values[side], self.member[side])
        reached = np.abs(many_aucs(values, shuffled) - 0.5).max(axis=1)
        self.null = np.maximum(self.null, reached)

    @property
    def first(self) -> np.ndarray:
        """The pooled values of the best feature, signed so that positive texts have more."""
        best = self.order[0]
        sign = 1 if self.train[best] >= 0.5 else -1
        values: np.ndarray = sign * self.matrix[:, [best]].toarray()[:, 0]
        return values

    def whole(self) -> dict[str, Any]:
        """What all features did, by field of the result."""
        return {
            "n_firing": len(self.firing),
            "n_beyond": int((np.abs(self.auc - 0.5) > self.threshold).sum()),
            "threshold": self.threshold,
            "auc": self.auc,
            "null": self.null,
        }

    def table(self, k: int, seed: int) -> dict[str, Any]:
        """The k best on the training half, by field of the result."""
        best = self.order[:k]
        best = best[np.isin(best, self.firing)]
        values = self.matrix[:, best].toarray().T.astype("float32")
        held, member = values[:, self.test], self.member[self.test]
        up, down = held[:, member], held[:, ~member]
        intervals = np.array(
            [bootstrapped(auc, row, member, seed, repeats=200) for row in held]
        ).reshape(-1, 2)
        reached = np.abs(self.auc[best] - 0.5)
        above = (self.null[None] >= reached[:, None] - 1e-9).sum(axis=1)
        spread = up.var(axis=1, ddof=1) / up.shape[1] + down.var(axis=1, ddof=1) / down.shape[1]
        difference = up.mean(axis=1) - down.mean(axis=1)
        numbers = {
            "auc_train": self.train[best],
            "auc_test": self.held[best],
            "auc_low": intervals[:, 0],
            "auc_high": intervals[:, 1],
            "p": (1 + above) / (1 + len(self.null)),
            "separation": (up > 0).mean(axis=1) - (down > 0).mean(axis=1),
            "difference": difference,
            "t": difference / np.sqrt(np.maximum(spread, 1e-30)),
            "values": values,
        }
        found = {name: value.astype("float32") for name, value in numbers.items()}
        return {
            "feature": best.astype(np.int32),
            "beyond": reached > self.threshold,
            **found,
        }


def many_aucs(values: np.ndarray, members: np.ndarray) -> np.ndarray:
    """AUC of every column of values [text, unit] for every row of labels [set, text]."""
    from scipy.stats import rankdata  # slow to import

    ranks = rankdata(values, axis=0)
    n = members.sum(axis=1)[:, None]
    found: np.ndarray = (members.astype(float) @ ranks - n * (n + 1) / 2) / (
        n * (members.shape[1] - n)
    )
    return found


def _baselines(
    read: Pooled, member: np.ndarray, test: np.ndarray, feature: np.ndarray
) -> tuple[tuple[str, ...], list[np.ndarray]]:
    """Names and scores [text of the test half] of what was found on the other half."""
    train = ~test
    x, own = read.x, member[train]
    direction = x[train][own].mean(axis=0) - x[train][~own].mean(axis=0)
    probe = fitted(linear(), x[train], own)
    found = {
        "best feature": feature[test],
        "difference of means": x[test] @ direction,
        "linear probe": probe.decision_function(x[test]),
    }
    if read.neurons is not None:
        place, sign = _neuron(read, member, test)
        found["best neuron"] = sign * read.neurons[test, place.unit]
    return tuple(found), list(found.values())


def _neuron(read: Pooled, member: np.ndarray, test: np.ndarray) -> tuple[Site, int]:
    """The neuron that does best on the training half, and its sign."""
    assert read.neurons is not None
    scores = aucs(read.neurons[~test], member[~test]) - 0.5
    unit = int(np.abs(scores).argmax())
    site = Site(read.place.layer, "neuron", unit, stack=read.place.stack)
    return site, 1 if scores[unit] >= 0 else -1


def _intervals(scores: Sequence[np.ndarray], member: np.ndarray, seed: int) -> dict[str, Any]:
    own = [auc(row, member) for row in scores]
    low, high = zip(
        *(bootstrapped(auc, row, member, seed, repeats=200) for row in scores), strict=True
    )
    named = {"baseline_auc": own, "baseline_low": low, "baseline_high": high}
    return {name: np.array(values, "float32") for name, values in named.items()}


def sparse_accuracies(
    read: Pooled, member: np.ndarray, test: np.ndarray, firing: np.ndarray, seed: int
) -> dict[str, Any]:
    """Probes on few features (mean over tokens) beside random ones and all the dictionary reads."""
    train = ~test
    generator = np.random.default_rng(seed + 2)
    up = np.asarray(read.means[train & member].mean(axis=0))[0]
    down = np.asarray(read.means[train & ~member].mean(axis=0))[0]
    best = np.argsort(-np.abs(up - down), kind="stable")

    def right(features: np.ndarray) -> float:
        x = read.means[:, features].toarray()
        return _accuracy(x, member, test)

    ks = [k for k in SPARSE if k <= max(1, len(firing))]
    random = [
        np.mean([right(generator.choice(firing, k, replace=False)) for _ in range(N_RANDOM)])
        if len(firing)
        else np.nan
        for k in ks
    ]
    share = float(member[test].mean())
    return {
        "sparse_k": np.array(ks),
        "sparse_accuracy": np.array([right(best[:k]) for k in ks], "float32"),
        "random_accuracy": np.array(random, "float32"),
        "dense_accuracy": _accuracy(read.x, member, test),
        "majority": max(share, 1 - share),
    }


def _accuracy(x: np.ndarray, member: np.ndarray, test: np.ndarray) -> float:
    probe = fitted(linear(), x[~test], member[~test])
    return float(probe.score(x[test], member[test]))
