"""A concept's direction carried into another model through a linear map, and tested there."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from core.analyses import linear_map, two_models
from core.analyses.contrast import FOLDS, Sides, auc, cosine, difference, unit
from core.analyses.given import Given, against, asked_concept, items
from core.analyses.made_of import made_of
from core.analyses.runs import Progress
from core.analyses.shift_steer import adding, answers, random_like
from core.analyses.states import encoded
from core.models.loaded import Loaded
from core.results.translate import Translate
from core.spec.errors import Error

MOST = 500  # texts of the map
LEAST = 20
N_RANDOM = 20
N_STEERED = 3  # random directions that are also steered with
MOST_STEERED = 40  # texts
_TINY = 1e-12


def translate(
    loaded: Loaded,
    progress: Progress,
    *,
    other: Loaded,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    texts: Sequence[str] = (),
    position: str = "last",
    strength: float = 1.0,
    seed: int = 0,
) -> Translate:
    """Does a direction of this model mean the same in the other one, once it is carried over?

    other    the second model, of any size, family and tokenizer, by name
    concept  or positive= and negative=, or pairs=: as in `direction`
    texts    what the map from this model's states to the other's is learned from; () for sentences
             of many kinds. Texts of the concept are taken out
    position the state of a text: its "last" token or its "mean"; strength: how many times the
             carried difference is added when steering

    After Moayeri et al. 2023, "Text-To-Concept (and Back) via Cross-Model Alignment". Nothing of
    the concept in the other model is used to make the carried direction.
    """
    _check(position, strength)
    place: dict[str, Any] = {
        "concept": concept, "positive": positive, "negative": negative, "pairs": pairs,
        "position": position,
    }  # fmt: skip
    here, there = (items(model, progress, **place) for model in (loaded, other))
    asked = _map_items(loaded, other, texts, place, position, seed)
    states = two_models.both_states(loaded, other, progress, asked, (0.3, 0.5))
    rng = np.random.default_rng(seed)
    way, found = _mapped(progress, states, here, there, rng)
    notes = list(asked.notes)
    random = found.pop("random")
    steered, n_tested = _steered(other, progress, place, way, found, random, strength, notes, rng)
    parts = made_of(other, progress, _by_layer(other, way, found["carried"]), seed=seed)
    return Translate(
        request={},
        **_about(loaded, other, asked),
        concept=here.name,
        source=here.source,
        position=position,
        n_positive=here.n_positive,
        n_negative=here.n_negative,
        n_tested=n_tested,
        strength=float(strength),
        seed=seed,
        notes=tuple(notes),
        raises=tuple(parts.raises[partner] for partner in way),
        lowers=tuple(parts.lowers[partner] for partner in way),
        counterpart=way,
        **found,
        **steered,
    )


def _mapped(
    progress: Progress,
    states: Sequence[np.ndarray],
    here: Given,
    there: Given,
    rng: np.random.Generator,
) -> tuple[np.ndarray, dict[str, Any]]:
    """(the layer there for each layer here, what carrying gives layer by layer)."""
    # Directions are about block outputs; row 0 of the states is what enters the first block.
    one, two = (part[1:].astype(np.float64) for part in states)
    way = two_models.counterpart(len(one), len(two))
    rows = []
    for layer, partner in enumerate(way):
        progress.step(0.5 + 0.2 * layer / len(way), f"map from layer {layer} to {partner}")
        sides = here.sides(layer), there.sides(partner)
        rows.append(_carried(one[layer], two[partner], *sides, rng))
    return way, {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _check(position: str, strength: float) -> None:
    if position not in ("last", "mean"):
        raise Error(f"a direction is carried at 'last' or 'mean', not {str(position)[:20]!r}")
    known = isinstance(strength, int | float) and not isinstance(strength, bool)
    if not known or not 0 < strength < 1_000:
        raise Error(f"strength= is a number above 0, not {strength!r:.20}")


def _about(loaded: Loaded, other: Loaded, asked: two_models.Items) -> dict[str, Any]:
    return {
        "models": (loaded.name, other.name),
        "same": two_models.same_weights(loaded, other),
        "stacks": (loaded.prompt_stack, other.prompt_stack),
        "n_map": asked.n,
        "map_source": asked.source,
    }


def _map_items(
    loaded: Loaded,
    other: Loaded,
    texts: Sequence[str],
    place: dict[str, Any],
    position: str,
    seed: int,
) -> two_models.Items:
    """The texts of the map: those given, or the built-in ones, without any of the concept's."""
    meant = asked_concept(*(place[name] for name in ("concept", "positive", "negative", "pairs")))
    taken = set() if meant is None else {*meant.positive, *meant.negative}
    wanted = texts if len(texts) else two_models.built_in_texts()
    if isinstance(wanted, str):
        raise Error("texts are a list of texts")
    kept = [text for text in wanted if text not in taken]
    found = two_models.items(loaded, other, kept or [""], position, MOST, LEAST, seed)
    return found if len(texts) else replace(found, source=two_models.BUILT_IN)


def _carried(
    x: np.ndarray, y: np.ndarray, here: Sides, there: Sides, rng: np.random.Generator
) -> dict[str, Any]:
    """Everything of one layer that needs no further run."""
    way = linear_map.fitted(x, y)
    lost = linear_map.fitted(x, y[rng.permutation(len(y))])
    held = linear_map.held_out(x, y, rng)
    vector, own = difference(here), difference(there)
    random = np.stack([random_like(vector, x, rng) for _ in range(N_RANDOM)])
    both = [
        [auc(test.positive @ v, test.negative @ v) for v in candidates]
        for test, candidates in _folds(here, there, way, lost, random, rng)
    ]
    scores = np.mean(both, axis=0)
    carried = vector @ way.weight
    moved = random @ way.weight
    return {
        "map_r2": held.r2,
        "map_at1": held.at1,
        "direction": vector,
        "carried": carried,
        "own": own,
        "cosine": cosine(carried, own),
        "control_cosine": np.array([cosine(row, own) for row in moved]),
        "auc_here": _here(here, rng),
        "auc_own": scores[0],
        "auc_carried": scores[1],
        "auc_lost": scores[2],
        "auc_random": scores[3:],
        "random": moved[:N_STEERED] * _ratio(carried, moved[:N_STEERED]),
    }


def _ratio(vector: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """What makes each row as long as the vector."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: np.ndarray = np.linalg.norm(vector) / np.maximum(lengths, _TINY)
    return found


def _folds(
    here: Sides,
    there: Sides,
    way: linear_map.LinearMap,
    lost: linear_map.LinearMap,
    random: np.ndarray,
    rng: np.random.Generator,
) -> Iterator[tuple[Sides, list[np.ndarray]]]:
    """(held-out items there, [own, carried, by the lost map, random ones]) of each fold."""
    for train, test in _parts(here, rng):
        vector = difference(here.at(*train))
        yield (
            there.at(*test),
            [
                unit(difference(there.at(*train))),
                unit(vector @ way.weight),
                unit(vector @ lost.weight),
                *(unit(row @ way.weight) for row in random),
            ],
        )


def _parts(
    sides: Sides, rng: np.random.Generator
) -> Iterator[tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]]:
    """Numbers of the training and of the held-out items of each fold; pairs stay together."""
    k = min(FOLDS, sides.n)
    n_up, n_down = len(sides.positive), len(sides.negative)
    ups = np.array_split(rng.permutation(n_up), k)
    downs = ups if sides.paired else np.array_split(rng.permutation(n_down), k)
    for up, down in zip(ups, downs, strict=True):
        rest = np.setdiff1d(np.arange(n_up), up), np.setdiff1d(np.arange(n_down), down)
        yield rest, (up, down)


def _here(sides: Sides, rng: np.random.Generator) -> float:
    """Held-out AUC of the direction in the model it comes from."""
    found = []
    for train, test in _parts(sides, rng):
        vector, held = difference(sides.at(*train)), sides.at(*test)
        found.append(auc(held.positive @ vector, held.negative @ vector))
    return float(np.mean(found))


@dataclass(frozen=True)
class _Concept:
    """The other model's own move from negative to positive texts, [d_vocab], of other texts."""

    move: np.ndarray

    def share(self, before: np.ndarray, after: np.ndarray) -> float:
        """How much of it a change makes, mean over the texts [text, d_vocab]."""
        length = max(float(self.move @ self.move), _TINY)
        return float(((after - before) @ self.move).mean() / length)


def _steered(
    other: Loaded,
    progress: Progress,
    place: dict[str, Any],
    way: np.ndarray,
    found: dict[str, np.ndarray],
    random: np.ndarray,
    strength: float,
    notes: list[str],
    rng: np.random.Generator,
) -> tuple[dict[str, Any], int]:
    """Effects of the carried direction, of the own one and of random ones on negative texts."""
    unknown = {
        "effect_own": np.full(len(way), np.nan),
        "effect_carried": np.full(len(way), np.nan),
        "effect_random": np.full((len(way), N_STEERED), np.nan),
    }
    if other.kind != "decoder" or other.head is None:
        notes.append(f"no steering: {other.name} ({other.kind}) does not continue a text")
        return unknown, 0
    up, down = _texts(place)
    held = np.sort(rng.permutation(len(down))[: max(1, min(MOST_STEERED, len(down) // 2))])
    rest = [text for number, text in enumerate(down) if number not in set(held.tolist())]
    said = [
        answers(other, progress, encoded(other, side)).log_p.double().numpy().mean(axis=0)
        for side in (up, rest or down)
    ]
    moved = _Concept(said[0] - said[1])
    ids = encoded(other, [down[number] for number in held])
    before = answers(other, progress, ids).log_p.double().numpy()

    def effect(layer: int, vector: np.ndarray) -> float:
        change = adding(other, ids, layer, vector, strength, place["position"])
        return moved.share(before, answers(other, progress, ids, change).log_p.double().numpy())

    rows = []
    for number, layer in enumerate(way.tolist()):
        progress.step(0.7 + 0.25 * number / len(way), f"steering behind layer {layer} there")
        rows.append(
            {
                "effect_own": effect(layer, found["own"][number]),
                "effect_carried": effect(layer, found["carried"][number]),
                "effect_random": [effect(layer, vector) for vector in random[number]],
            }
        )
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}, len(ids)


def _texts(place: dict[str, Any]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The positive and the negative texts of the concept."""
    meant = asked_concept(*(place[name] for name in ("concept", "positive", "negative", "pairs")))
    assert meant is not None  # `items` has refused a question without a concept
    return meant.positive, against(meant)[0]


def _by_layer(other: Loaded, way: np.ndarray, carried: np.ndarray) -> torch.Tensor:
    """Unit vectors of every layer there: the carried one, and any where none leads to."""
    n_layers = len(other.stacks[other.prompt_stack].blocks)
    found = np.zeros((n_layers, other.d_model))
    found[:, 0] = 1.0
    for partner, vector in zip(way, carried, strict=True):
        found[partner] = unit(vector)
    return torch.tensor(found, dtype=torch.float32)
