"""Who says whether a text has a concept: words, or a probe of another layer or model."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses import probes
from core.analyses.contrast import C, Sides, held_out_auc, logistic
from core.analyses.given import against
from core.analyses.runs import Progress
from core.analyses.states import encoded, states
from core.models.loaded import Loaded
from core.spec.concept import Concept
from core.spec.errors import Error

MOST_WORDS = 200


@dataclass(frozen=True)
class Words:
    """A text has the concept when one of the words stands in it; no layer is asked."""

    pattern: re.Pattern[str]
    layer: int = -1
    separation: float = float("nan")

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """[text] 0 or 1."""
        return np.array([float(bool(self.pattern.search(text))) for text in texts])


@dataclass(frozen=True)
class Probe:
    """A logistic probe on mean states of one layer, trained on the concept's own texts."""

    loaded: Loaded
    progress: Progress
    layer: int
    separation: float
    model: Any

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """[text] probability; a text without tokens counts as undecided."""
        said = [text for text in texts if text.strip()]
        found = np.full(len(texts), 0.5)
        if said:
            ids = encoded(self.loaded, said)
            seen = states(
                self.loaded,
                self.progress,
                ids,
                positions=("mean",),
                layers=(self.layer,),
                share=None,
            )
            x = seen.vectors[0, 0].double().numpy()
            p = self.model.predict_proba(x)[:, 1]
            found[[i for i, text in enumerate(texts) if text.strip()]] = p
        return found


Judge = Words | Probe


def by_words(words: Sequence[str]) -> Words:
    """The judge that looks for these words. Raises `Error` for a list without any."""
    kept = [word.strip() for word in words if word.strip()]
    if not 0 < len(kept) <= MOST_WORDS:
        raise Error(f"{len(kept)} words to judge by; give between 1 and {MOST_WORDS}")
    inner = "|".join(re.escape(word) for word in kept)
    return Words(re.compile(rf"(?<!\w)(?:{inner})(?!\w)", re.IGNORECASE))


def best_probes(loaded: Loaded, progress: Progress, concept: Concept, seed: int) -> list[Probe]:
    """The two layers that tell the concept's texts apart best, by mean states, best first."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    downs, _ = against(concept)
    ids = encoded(loaded, (*concept.positive, *downs))
    seen = states(loaded, progress, ids, positions=("mean",), share=(0.05, 0.1), note="the judge")
    vectors = seen.vectors[0].double().numpy()  # [layer, text, d]
    n = len(concept.positive)
    scores = []
    for layer, x in enumerate(vectors):
        progress.check()
        sides = Sides(x[:n], x[n:], concept.paired)
        scores.append(held_out_auc(sides, logistic, np.random.default_rng((seed, layer))))
    y = np.repeat([1, 0], [n, len(downs)])
    found = []
    for layer in np.argsort(-np.array(scores), kind="stable")[:2]:
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=C, max_iter=200))
        model = probes.fitted(probe, vectors[layer], y)
        found.append(Probe(loaded, progress, int(layer), scores[layer], model))
    return found
