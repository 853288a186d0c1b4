"""Features that cannot be taken apart: clusters of a dictionary whose tokens lie on a circle or
another shape of several dimensions.

Engels et al. 2024, "Not All Language Model Features Are Linear".
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses import feature_clusters as clusters
from core.analyses.clouds import above_chance
from core.analyses.feature_clusters import PLANES, Judged, judged
from core.analyses.feature_gallery import opened
from core.analyses.feature_rows import opened_dictionary, unit_rows
from core.analyses.runs import Progress
from core.corpus.chunks import N_CONTEXTS, WINDOW
from core.corpus.readers import Corpus
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from core.results.irreducible import Irreducible
from core.spec.errors import Error

BY = ("neighbours", "spectral")
LEAST_TOKENS = 100  # of a cluster
MOST_TOKENS = 20_000
MOST_SPECTRAL = 4_000  # features of a spectral clustering: the affinity of all pairs is held
N_RANDOM = 40  # of each range of sizes
N_SHOWN, N_DRAWN, N_WORDS, AROUND = 24, 600, 8, 8


def irreducible(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    by: str = "neighbours",
    threshold: float = 0.5,
    n_clusters: int = 0,
    features: Sequence[int] = (),
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> Irreducible:
    """Clusters of features ranked by how irreducible their tokens are.

    by          "neighbours": components of the graph of the two nearest of cosine above
                `threshold`; "spectral": `n_clusters` by the angle (0: one for 24 features)
    features    one cluster of one's own instead, by the numbers of its features
    The gallery of the corpus is opened, or made where there is none.
    """
    found = opened_dictionary(loaded, dictionary)
    rows = unit_rows(found).cpu()
    if by not in BY:
        raise Error(f"by= is one of {', '.join(BY)}, not {str(by)[:20]!r}")
    if not -1 <= threshold < 1:
        raise Error(f"threshold= is a cosine below 1, not {threshold}")
    gallery = opened(
        loaded, progress, dictionary=dictionary, corpus=corpus, field=field, window=window,
        n_contexts=n_contexts, seed=seed,
    )  # fmt: skip
    gallery.need_codes()
    progress.step(0.5, "clusters of decoder rows")
    live = np.flatnonzero(gallery.count > 0)
    if len(features):
        made = [_own(features, found.n_features)]
    else:
        made = [live[part] for part in _clusters(rows[live], by, threshold, n_clusters, seed)]
    if not made:
        raise Error(
            f"no two features of {dictionary} have a cosine above {threshold:g}; lower "
            "threshold=, or choose by='spectral'"
        )
    lengths = found.lengths.cpu().numpy()
    tokens = _Tokens(gallery, lengths, rows.numpy(), seed)
    own = _judge(progress, tokens, made, (0.55, 0.75))
    if not own:
        raise Error(
            f"no cluster of {dictionary} fires on {LEAST_TOKENS} tokens of this text; give more "
            "text (n_contexts=, corpus=)"
        )
    chance = _judge(progress, tokens, _random(own, live, seed), (0.75, 1.0))
    return _result(found.name, str(found.out_site), by, threshold, gallery, len(made), own, chance,
                   tokens, seed)  # fmt: skip


def _own(features: Sequence[int], n: int) -> np.ndarray:
    chosen = np.unique(np.array(list(features)))
    if chosen.dtype.kind != "i" or not 2 <= len(chosen) <= clusters.MOST_MEMBERS:
        raise Error(f"features= takes 2 to {clusters.MOST_MEMBERS:,} numbers of features")
    if chosen[0] < 0 or chosen[-1] >= n:
        raise Error(f"features= takes numbers from 0 to {n - 1:,}")
    return chosen


def _clusters(rows: Any, by: str, threshold: float, n: int, seed: int) -> list[np.ndarray]:
    if by == "neighbours":
        return clusters.by_neighbours(rows, threshold)
    if len(rows) > MOST_SPECTRAL:
        raise Error(
            f"{len(rows):,} features fire; spectral clusters are made of up to {MOST_SPECTRAL:,}: "
            "choose by='neighbours'"
        )
    n = n or max(2, len(rows) // 24)
    if not 2 <= n <= len(rows) // 2:
        raise Error(f"n_clusters= lies between 2 and {len(rows) // 2:,}, not {n}")
    return clusters.by_spectrum(rows, n, seed)


class _Tokens:
    """The tokens a cluster fires on, as its features alone write them."""

    def __init__(
        self, gallery: FeatureGallery, lengths: np.ndarray, rows: np.ndarray, seed: int
    ) -> None:
        self.gallery, self.lengths, self.rows, self.seed = gallery, lengths, rows, seed
        self.codes = gallery.need_codes()

    def of(self, members: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(tokens, activations [token, member] in units of what is written)."""
        fires = [self.codes.of_feature(int(feature)) for feature in members]
        token = np.unique(np.concatenate([place for place, _ in fires]))
        if len(token) > MOST_TOKENS:
            rng = np.random.default_rng((self.seed, int(members[0])))
            token = np.sort(rng.choice(token, size=MOST_TOKENS, replace=False))
        value = np.zeros((len(token), len(members)))
        for column, (place, activation) in enumerate(fires):
            at = np.searchsorted(token, place)
            fit = (at < len(token)) & (token[np.minimum(at, len(token) - 1)] == place)
            value[at[fit], column] = activation[fit] * self.lengths[members[column]]
        return token, value


_Found = tuple[np.ndarray, np.ndarray, Judged]  # members, tokens, what was found


def _judge(
    progress: Progress, tokens: _Tokens, made: list[np.ndarray], share: tuple[float, float]
) -> list[_Found]:
    """Every cluster with enough tokens and a plane to judge."""
    found = []
    for number, members in enumerate(made):
        done = share[0] + (share[1] - share[0]) * number / len(made)
        progress.step(done, f"cluster {number + 1} of {len(made)}")
        token, value = tokens.of(members)
        if len(token) < LEAST_TOKENS:
            continue
        one = judged(value, tokens.rows[members])
        if np.isfinite(one.score):
            found.append((members, token, one))
    return found


def _random(own: list[_Found], live: np.ndarray, seed: int) -> list[np.ndarray]:
    """Random clusters of features that fire: 40 for every range of sizes that there is."""
    rng, found = np.random.default_rng((seed, 1)), []
    size = np.array([len(members) for members, _, _ in own])
    for each in np.unique(_range(size)):
        for n in rng.choice(size[_range(size) == each], size=N_RANDOM):
            found.append(np.sort(rng.choice(live, size=min(int(n), len(live)), replace=False)))
    return found


def _range(size: np.ndarray) -> np.ndarray:
    """Sizes that are compared with each other: 2, 3, 4 to 7, 8 to 15 ..."""
    size = np.asarray(size)
    return np.where(size < 4, size, 2 + np.log2(np.maximum(size, 1)).astype(int))


def _p(one: _Found, chance: list[_Found]) -> float:
    """Share of random clusters of like size that score as high; NaN where none could be judged."""
    like = [
        other.score
        for members, _, other in chance
        if _range(np.array(len(members))) == _range(np.array(len(one[0])))
    ]
    return above_chance(one[2].score, like) if like else float("nan")


def _result(
    name: str,
    site: str,
    by: str,
    threshold: float,
    gallery: FeatureGallery,
    n_clusters: int,
    own: list[_Found],
    chance: list[_Found],
    tokens: _Tokens,
    seed: int,
) -> Irreducible:
    own = sorted(own, key=lambda one: -one[2].score)
    shown = own[:N_SHOWN]
    drawn = [_drawn(gallery, one, seed) for one in shown]
    return Irreducible(
        request={},
        dictionary=name,
        site=site,
        clusters_by=by,
        threshold=threshold,
        corpus=gallery.manifest.corpus,
        n_tokens=gallery.n_tokens,
        n_features=gallery.n_features,
        n_clusters=n_clusters,
        n_judged=len(own),
        n_random=len(chance),
        most_tokens=MOST_TOKENS,
        seed=seed,
        planes=PLANES,
        words=tuple(_words(gallery, token) for _, token, _ in own),
        drawn=tuple(one[1] for one in drawn),
        passages=tuple(one[2] for one in drawn),
        features=tuple(tuple(members.tolist()) for members, _, _ in own),
        score=np.array([one.score for _, _, one in own]),
        p=np.array([_p(one, chance) for one in own]),
        size=np.array([len(members) for members, _, _ in own]),
        count=np.array([len(token) for _, token, _ in own]),
        cosine=np.array([_cosine(tokens.rows[members]) for members, _, _ in own]),
        separability=np.stack([one.separability for _, _, one in own]),
        mixture=np.stack([one.mixture for _, _, one in own]),
        variance=np.stack([one.variance for _, _, one in own]),
        random_score=np.array([one.score for _, _, one in chance]),
        random_size=np.array([len(members) for members, _, _ in chance]),
        random_separability=np.array([np.nanmean(one.separability) for _, _, one in chance]),
        random_mixture=np.array([np.nanmean(one.mixture) for _, _, one in chance]),
        points=np.stack([one[0] for one in drawn]),
    )


def _cosine(rows: np.ndarray) -> float:
    n = len(rows)
    return float(((rows.sum(axis=0) ** 2).sum() - (rows**2).sum()) / (n * (n - 1)))


def _words(gallery: FeatureGallery, token: np.ndarray) -> tuple[str, ...]:
    common = Counter(gallery.text.ids[token].tolist()).most_common(N_WORDS)
    return gallery.text.read([number for number, _ in common])


def _drawn(
    gallery: FeatureGallery, one: _Found, seed: int
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...]]:
    """Some of a cluster's tokens: components [point, 5], the tokens, their passages."""
    _, token, found = one
    rng = np.random.default_rng((seed, 2))
    some = np.sort(rng.permutation(len(token))[:N_DRAWN])
    place = np.full((N_DRAWN, 5), np.nan, dtype=np.float32)
    place[: len(some)] = found.point[some]
    text, at = gallery.text, token[some]
    passages = []
    for number in at.tolist():
        first, last = text.start[text.context[number] : text.context[number] + 2]
        part = slice(max(first, number - AROUND), min(last, number + 3))
        passages.append("".join(text.read(text.ids[part])))
    return place, text.read(text.ids[at]), tuple(passages)
