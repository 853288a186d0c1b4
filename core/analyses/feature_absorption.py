"""Absorption: a general feature that keeps silent where a special one stands in for it."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses.absorption_rates import Class, Material, learned, rates
from core.analyses.feature_concept import check_texts, halves, said_concept
from core.analyses.feature_pooled import pooled
from core.analyses.feature_rows import opened_dictionary, unit_rows
from core.analyses.given import against
from core.analyses.runs import Progress
from core.analyses.spelling import LETTERS, refuse_unless_it_spells, words
from core.analyses.states import encoded
from core.models.loaded import Loaded
from core.results.feature_absorption import FeatureAbsorption
from core.spec.errors import Error

TASKS = ("concept", "first letter")
N_SHUFFLES, LEAST_WORDS = 20, 8  # words of a letter


def feature_absorption(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    task: str = "concept",
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> FeatureAbsorption:
    """How often another feature stands in for the main ones of a class, at a text's last token.

    After Chanin et al., "A is for Absorption" (2024), in the form of SAEBench (2025).
    task  "concept": the concept as in `direction`, its texts being single words at best;
          "first letter": words of the vocabulary by their letter, of a model that spells
    """
    found = opened_dictionary(loaded, dictionary)
    if task not in TASKS:
        raise Error(f"absorption is measured on {' or '.join(TASKS)}, not {str(task)[:20]!r}")
    if isinstance(shuffles, bool) or not isinstance(shuffles, int) or not 2 <= shuffles <= 1_000:
        raise Error(f"shuffles must be a whole number from 2 to 1,000, not {str(shuffles)[:20]}")
    if task == "first letter":
        texts, members, spelling = _letters(loaded, progress, seed)
    else:
        texts, members = _concept(concept, positive, negative)
        spelling = float("nan")
    read = pooled(loaded, progress, found, encoded(loaded, texts), "last")
    firing = np.flatnonzero(np.diff(read.features.indptr))
    if not len(firing):
        raise Error(f"no feature of {found.name} fires at the end of these texts")
    rows = unit_rows(found, firing.tolist()).cpu().numpy().astype(float)
    codes = read.features[:, firing].toarray().astype(float)
    studies = []
    for number, (name, member) in enumerate(members.items()):
        progress.step(0.5 + 0.5 * number / len(members), name)
        of = Material(read.x.astype(float), codes, rows, halves(member, False, seed))
        studies.append(_Study(of, learned(of, member), shuffles, seed))
    return FeatureAbsorption(
        request={},
        dictionary=found.name,
        site=str(found.site),
        task=task,
        n_texts=len(texts),
        n_shuffles=shuffles,
        spelling=spelling,
        classes=tuple(members),
        **_laid_out(studies, firing, texts),
    )


Members = dict[str, np.ndarray]  # [text] bool of each class


def _letters(loaded: Loaded, progress: Progress, seed: int) -> tuple[list[str], Members, float]:
    """Words, those of every letter with enough of them, and how well the model spells."""
    spelling, _ = refuse_unless_it_spells(loaded, progress, seed)
    texts = words(loaded, seed)
    members = {letter: np.array([one[0] == letter for one in texts]) for letter in LETTERS}
    members = {name: own for name, own in members.items() if own.sum() >= LEAST_WORDS}
    if not members:
        raise Error(
            f"{loaded.name} has no letter with {LEAST_WORDS} words of one token; ask about a "
            "concept instead"
        )
    return texts, members, spelling


def _concept(
    concept: Any, positive: Sequence[str], negative: Sequence[str]
) -> tuple[list[str], Members]:
    """The texts of a concept, and which are positive."""
    meant = said_concept(concept, positive, negative)
    downs, _ = against(meant)
    check_texts(meant, downs)
    texts = [*meant.positive, *downs]
    return texts, {meant.name: np.arange(len(texts)) < len(meant.positive)}


class _Study:
    """One class with its control."""

    def __init__(self, of: Material, found: Class, shuffles: int, seed: int) -> None:
        self.found, self.rates = found, rates(of, found)
        generator = np.random.default_rng(seed)
        self.chance = np.array(
            [
                _share(rates(of, found, of.rows[generator.permutation(len(of.rows))]).absorbed)
                for _ in range(shuffles)
            ]
        )


def _share(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _laid_out(
    studies: Sequence[_Study], firing: np.ndarray, texts: Sequence[str]
) -> dict[str, Any]:
    """By field of the result."""
    numbers = {
        "f1": [one.found.f1 for one in studies],
        "probe_f1": [one.found.probe_f1 for one in studies],
        "silent": [_share(one.rates.silent) for one in studies],
        "absorbed": [_share(one.rates.absorbed) for one in studies],
        "fraction": [_share(one.rates.fraction) for one in studies],
        "chance": [float(one.chance.mean()) for one in studies],
        "chance_high": [float(np.quantile(one.chance, 0.95)) for one in studies],
    }
    where = [np.flatnonzero(one.rates.absorbed) for one in studies]
    kept = list(zip(studies, where, strict=True))
    of_class = np.repeat(np.arange(len(studies)), [len(places) for places in where])
    absorber = np.concatenate([one.rates.absorber[places] for one, places in kept])
    return {
        **{name: np.array(values, "float32") for name, values in numbers.items()},
        "n_right": np.array([len(one.found.right) for one in studies]),
        "main": tuple(tuple(firing[list(one.found.main)].tolist()) for one in studies),
        "texts": tuple(
            texts[place][:80] for one, places in kept for place in one.found.right[places]
        ),
        "text_class": of_class,
        "absorber": firing[absorber].astype("int32"),
        "share": np.concatenate([one.rates.share[places] for one, places in kept]),
    }
