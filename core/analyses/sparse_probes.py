"""How few features of a dictionary tell each of several concepts."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core import concepts as known
from core.analyses.feature_concept import SPARSE, halves, sparse_accuracies
from core.analyses.feature_pooled import pooled
from core.analyses.feature_rows import opened_dictionary
from core.analyses.given import against, asked_concept
from core.analyses.runs import Progress
from core.analyses.states import encoded
from core.models.loaded import Loaded
from core.results.sparse_probes import SparseProbes
from core.spec.concept import Concept
from core.spec.errors import Error

LEAST, MOST = 8, 200  # texts of a side
MOST_CONCEPTS = 100


def sparse_probes(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    concepts: Sequence[Any] = (),
    pool: str = "max",
    seed: int = 0,
) -> SparseProbes:
    """Accuracy of logistic probes on the 1, 2 and 5 features with the largest difference of means.

    After the sparse probes of SAEBench (Karvonen et al., 2025). Half of the texts train, half test;
    both sides are cut to one size at random, so that always saying one side is right half the time.
    concepts  names, or concepts as in `direction`; (): all that are built in and have their own
              negative texts
    """
    found = opened_dictionary(loaded, dictionary)
    meant, left_out = _asked(concepts)
    rows = []
    for number, concept in enumerate(meant):
        progress.step(number / len(meant), f"{concept.name}, {number + 1} of {len(meant)}")
        texts, member, paired = _sides(concept, seed)
        read = pooled(loaded, progress, found, encoded(loaded, texts), pool)
        test = halves(member, paired, seed)
        firing = np.flatnonzero(np.diff(read.features.indptr))
        rows.append(
            {
                **sparse_accuracies(read, member, test, firing, seed),
                "n_texts": (int(member.sum()), int(test.sum())),
            }
        )
    return SparseProbes(
        request={},
        dictionary=found.name,
        site=str(found.site),
        concepts=tuple(concept.name for concept in meant),
        left_out=left_out,
        k=np.array(SPARSE),
        n_texts=np.array([row["n_texts"] for row in rows]),
        accuracy=_padded([row["sparse_accuracy"] for row in rows]),
        random=_padded([row["random_accuracy"] for row in rows]),
        dense=np.array([row["dense_accuracy"] for row in rows], "float32"),
        majority=np.array([row["majority"] for row in rows], "float32"),
    )


def _asked(asked: Sequence[Any]) -> tuple[list[Concept], tuple[str, ...]]:
    """The concepts meant, and the names of those with too few texts. Raises `Error`."""
    if isinstance(asked, str):
        raise Error("concepts= is a list of concepts or of their names")
    every = [one for one in known.built_in().values() if one.negative]
    meant = [asked_concept(one) for one in asked] if asked else every
    if len(meant) > MOST_CONCEPTS:
        raise Error(f"{len(meant)} concepts were asked for; at most {MOST_CONCEPTS} at a time")
    found = [one for one in meant if one is not None]
    few = [one.name for one in found if min(len(one.positive), len(against(one)[0])) < LEAST]
    kept = [one for one in found if one.name not in few]
    if not kept:
        raise Error(f"no concept has {LEAST} texts on each side; half train and half test")
    return kept, tuple(few)


def _sides(concept: Concept, seed: int) -> tuple[list[str], np.ndarray, bool]:
    """(texts, which are positive, pairs) with as many on either side."""
    up, down = list(concept.positive), list(against(concept)[0])
    n = min(len(up), len(down), MOST)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(up))[:n]
    other = order if concept.paired else generator.permutation(len(down))[:n]
    texts = [up[place] for place in order] + [down[place] for place in other]
    return texts, np.arange(2 * n) < n, concept.paired


def _padded(rows: Sequence[np.ndarray]) -> np.ndarray:
    """[concept, k]; NaN where fewer features fire than a probe takes."""
    found = np.full((len(rows), len(SPARSE)), np.nan, "float32")
    for into, row in zip(found, rows, strict=True):
        into[: len(row)] = row
    return found
