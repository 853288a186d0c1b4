"""Tests of a typed explanation of a neuron, after "Rigorously Assessing Natural Language
Explanations of Neurons" (Huang et al. 2023): what it fires on, and what it causes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses.interchange import Interchanged, interchange, pairs_of
from core.analyses.runs import Progress
from core.analyses.scores import (
    auc,
    aucs,
    best_threshold,
    bootstrapped,
    f1,
    precision,
    recall,
    wilson,
)
from core.analyses.strings import CARRIERS, carriers_of, layer_values, placed, strings_of
from core.models.loaded import Loaded
from core.results.explain_test import MEASURES, ExplainTest
from core.spec.claims import word_set
from core.spec.errors import Error
from core.spec.site import Site, site

N_RANDOM = 20
N_SHUFFLES = 20
N_BETTER = 3


@dataclass(frozen=True)
class Claim:
    """What is claimed: strings of the concept and near misses, sentences, prompts that go on."""

    members: tuple[str, ...]
    others: tuple[str, ...]
    carriers: tuple[str, ...]
    frames: tuple[str, ...]


def explain_test(
    loaded: Loaded,
    progress: Progress,
    *,
    at: str,
    explanation: str = "",
    members: Sequence[str] = (),
    others: Sequence[str] = (),
    carriers: Sequence[str] = (),
    frames: Sequence[str] = (),
    pairs: Sequence[Any] = (),
    n_random: int = N_RANDOM,
    n_shuffles: int = N_SHUFFLES,
    most_pairs: int = 40,
    seed: int = 0,
) -> ExplainTest:
    """Does the neuron fire on all and only `members`, and does its value carry the difference?

    at            site text of one neuron
    explanation   a name; where members are missing, that of a built-in set ("weekdays")
    members, others   strings of the concept, and near misses that are none
    carriers      sentences with {}; the value is read at the string's last token
    frames        prompts with {} that go on behind the string: members and others fill them in
    pairs         (base, source[, continuation of base, of source]) prompts of one's own
    """
    place = _neuron(loaded, at)
    claim = claimed(explanation, members, others, carriers, frames)
    strings = (*claim.members, *claim.others)
    texts = [placed(loaded, carrier, one) for one in strings for carrier in claim.carriers]
    values = layer_values(loaded, progress, place, texts)
    values = values.reshape(len(strings), len(claim.carriers), -1)
    randoms = _random_units(loaded, place, n_random, seed)
    wanted = pairs_of(claim, pairs, most_pairs, seed)
    moved = interchange(loaded, progress, place, wanted, randoms)
    return ExplainTest(
        request={},
        site=str(place),
        explanation=explanation.strip()[:200] or ", ".join(claim.members[:3]),
        strings=strings,
        carriers=claim.carriers,
        n_random=len(randoms),
        n_shuffles=n_shuffles,
        value=values[:, :, place.unit].numpy(),
        **_observed(
            values.mean(dim=1).double().numpy(), strings, claim, place, randoms, n_shuffles, seed
        ),
        **_moved(moved, seed),
    )


def _observed(
    mean: np.ndarray,
    strings: Sequence[str],
    claim: Claim,
    place: Site,
    randoms: Sequence[int],
    n_shuffles: int,
    seed: int,
) -> dict[str, Any]:
    """What the values [string, neuron] say about the claim, as fields of the result."""
    member = np.arange(len(strings)) < len(claim.members)
    held, own = _held(member, seed), int(place.unit or 0)
    tested = judge(mean[:, own], member, held)
    controls = [judge(mean[:, u], member, held, intervals=False).score[0] for u in randoms]
    better, better_auc = _better(mean, member, place, own)
    said = tested.said[0]
    return {
        "sign": tested.sign,
        "false_alarms": _named(strings, held & said & ~member, tested.value, -1),
        "misses": _named(strings, held & ~said & member, tested.value, 1),
        "better": better,
        "better_auc": better_auc,
        "member": member,
        "held": held,
        "threshold": tested.threshold,
        "score": tested.score,
        "low": tested.low,
        "high": tested.high,
        "random_score": np.array(controls).reshape(-1, len(MEASURES)),
        "shuffled_score": _shuffled(mean[:, own], member, held, n_shuffles, seed),
    }


def _neuron(loaded: Loaded, at: str) -> Site:
    place = site(at)
    if place.component != "neuron" or place.unit is None:
        raise Error(f"{at[:40]!r} is no single neuron; write for example 'L5.neuron[1203]'")
    place = Site(place.layer, "neuron", place.unit, stack=place.stack or loaded.prompt_stack)
    loaded.check(place)
    return place


def claimed(
    explanation: str,
    members: Sequence[str],
    others: Sequence[str],
    carriers: Sequence[str],
    frames: Sequence[str],
) -> Claim:
    """The claim, completed from the built-in sets where something is missing and they know it."""
    known = word_set(explanation)
    if not members and known is None:
        raise Error(
            f"no strings are known for {explanation[:40]!r}; give members= and others=, or one of "
            "the built-in names, for example 'weekdays'"
        )
    inside = strings_of(members or (known.members if known else ()), "strings of the concept")
    outside = strings_of(others or (known.others if known else ()), "other strings")
    outside = tuple(one for one in outside if one not in inside)
    if min(len(inside), len(outside)) < 4:
        raise Error(
            f"{len(inside)} strings of the concept and {len(outside)} others; give at least 4 of "
            "each, since half of them choose the threshold and half test it"
        )
    return Claim(
        inside,
        outside,
        carriers_of(carriers or (known.carriers if known else CARRIERS)),
        tuple(frames) or (known.frames if known else ()),
    )


@dataclass(frozen=True)
class Judged:
    """One neuron against the claim; `said` [rule, string], scores [rule, measure]."""

    sign: int
    value: np.ndarray
    threshold: np.ndarray
    said: np.ndarray
    score: np.ndarray
    low: np.ndarray
    high: np.ndarray


def judge(
    value: np.ndarray, member: np.ndarray, held: np.ndarray, intervals: bool = True
) -> Judged:
    """Sign and thresholds from the strings that are not held out, scores from those that are."""
    free = ~held
    sign = 1 if auc(value[free], member[free]) >= 0.5 else -1
    value = sign * value
    threshold = np.array([best_threshold(value[free], member[free]), float(value[free].max()) / 2])
    said = np.stack([value > edge for edge in threshold])
    inside = member[held]
    rows = [_scored(value[held], one[held], inside, intervals) for one in said]
    score, low, high = (np.array(part) for part in zip(*rows, strict=True))
    return Judged(sign, value, threshold, said, score, low, high)


def _scored(
    value: np.ndarray, said: np.ndarray, member: np.ndarray, intervals: bool
) -> tuple[list[float], list[float], list[float]]:
    """(scores, low, high) as `MEASURES` lists them."""
    score = [precision(said, member), recall(said, member), f1(said, member), auc(value, member)]
    if not intervals:
        return score, [], []
    edges = [
        wilson(score[0], int(said.sum())),
        wilson(score[1], int(member.sum())),
        bootstrapped(lambda v, m: f1(v.astype(bool), m), said.astype(float), member),
        bootstrapped(auc, value, member),
    ]
    return score, [edge[0] for edge in edges], [edge[1] for edge in edges]


def _held(member: np.ndarray, seed: int) -> np.ndarray:
    """Half of the members and half of the others, seeded; the larger halves are held out."""
    drawn = np.random.default_rng(seed)
    held = np.ones(len(member), dtype=bool)
    for side in (np.flatnonzero(member), np.flatnonzero(~member)):
        held[drawn.permutation(side)[: len(side) // 2]] = False
    return held


def _random_units(loaded: Loaded, place: Site, n: int, seed: int) -> list[int]:
    """Other neurons of the layer, each once."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randperm(loaded.d_mlp, generator=generator).tolist()
    return [unit for unit in drawn if unit != place.unit][:n]


def _shuffled(
    value: np.ndarray, member: np.ndarray, held: np.ndarray, n: int, seed: int
) -> np.ndarray:
    """Scores with the membership dealt out at random within each half, [shuffle, measure]."""
    drawn = np.random.default_rng(seed + 1)
    found = []
    for _ in range(n):
        mixed = member.copy()
        for half in (held, ~held):
            mixed[half] = drawn.permutation(member[half])
        found.append(judge(value, mixed, held, intervals=False).score[0])
    return np.array(found).reshape(n, len(MEASURES))


def _better(
    mean: np.ndarray, member: np.ndarray, place: Site, own: int
) -> tuple[tuple[str, ...], np.ndarray]:
    """The neurons of the layer that separate the strings best, this one left out."""
    scores = np.abs(aucs(mean, member) - 0.5) + 0.5
    scores[own] = -1
    best = np.argsort(-scores, kind="stable")[:N_BETTER]
    names = [str(Site(place.layer, "neuron", int(unit), stack=place.stack)) for unit in best]
    return tuple(names), scores[best]


def _named(
    strings: Sequence[str], wrong: np.ndarray, value: np.ndarray, way: int
) -> tuple[str, ...]:
    """The strings that are wrong, the clearest mistake first."""
    places = np.flatnonzero(wrong)
    return tuple(strings[n] for n in places[np.argsort(way * value[places], kind="stable")])


def _moved(moved: Interchanged, seed: int) -> dict[str, Any]:
    """What the interchanges show, as fields of the result."""
    n = len(moved.pairs)
    efficacy = moved.flipped.mean(axis=1) if n else np.full(len(moved.conditions), np.nan)
    edges = np.array([wilson(float(share), n) for share in efficacy]).reshape(-1, 2)
    shift = moved.shift.mean(axis=1) if n else efficacy
    shifts = np.full((len(moved.conditions), 2), np.nan)
    for place, row in enumerate(moved.shift if n else ()):
        drawn = np.random.default_rng(seed).integers(0, n, (1_000, n))
        shifts[place] = np.quantile(row[drawn].mean(axis=1), (0.025, 0.975))
    return {
        "pairs": moved.pairs,
        "conditions": moved.conditions,
        "skipped": moved.skipped,
        "flipped": moved.flipped,
        "shift": moved.shift,
        "efficacy": efficacy,
        "efficacy_low": edges[:, 0],
        "efficacy_high": edges[:, 1],
        "mean_shift": shift,
        "shift_low": shifts[:, 0],
        "shift_high": shifts[:, 1],
    }
