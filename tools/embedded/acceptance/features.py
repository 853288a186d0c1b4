"""Rows 25 to 29: what the dictionaries hold, and what happens when one feature is pushed."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

from core.corpus.world.words import FEMALE_NAMES, MALE_NAMES
from tools.embedded.acceptance.behaviour import at_least
from tools.embedded.acceptance.rows import Row
from tools.embedded.dictionaries import SKIPPED, Dictionary, load
from tools.embedded.labelling import Labelled, Scores, labelled_documents, score, token_states
from tools.embedded.mix import held_out_rows
from tools.embedded.reading import Reader

DOSES = (0.5, 1.0, 1.5, 2.0, 3.0)  # of the feature's largest value
CANDIDATES = 12  # features by F1 of which the most effective one is taken
OPENING = "One Monday in June, {} went to the farm. Then"
MEN = tuple(OPENING.format(name) for name in MALE_NAMES)
WOMEN = tuple(OPENING.format(name) for name in FEMALE_NAMES)
PRAISED = tuple(
    f"Review of the {thing}. The {one} was {praise}. The {two} was great. Overall, it was"
    for thing, one, praise, two in (
        ("film", "story", "wonderful", "music"),
        ("book", "ending", "lovely", "story"),
        ("hotel", "room", "beautiful", "staff"),
        ("song", "music", "excellent", "ending"),
        ("meal", "food", "wonderful", "price"),
        ("show", "view", "brilliant", "music"),
        ("game", "story", "excellent", "view"),
        ("party", "food", "lovely", "room"),
    )
)


@torch.no_grad()
def splice(reader: Reader, dictionary: Dictionary) -> dict[str, float]:
    """Unexplained variance on held-out rows, and how much of the loss the reconstruction keeps: 1
    is all of it, 0 as bad as the mean state. The first positions stay as they are.
    """
    ids = torch.cat([rows[:32] for rows in held_out_rows(reader.folder, 32).values()])
    states = torch.cat([reader.states(part[:, :-1])[dictionary.layer] for part in ids.split(8)])[
        :, SKIPPED:
    ]
    error = states - dictionary.decode(dictionary.encode(states))
    mean = states.mean((0, 1))
    unexplained = error.pow(2).sum() / (states - mean).pow(2).sum()

    def rebuilt(state: Tensor) -> Tensor:
        return torch.cat(
            [state[:, :SKIPPED], dictionary.decode(dictionary.encode(state[:, SKIPPED:]))], 1
        )

    def flat(state: Tensor) -> Tensor:
        return torch.cat([state[:, :SKIPPED], mean.expand_as(state[:, SKIPPED:])], 1)

    def loss() -> float:
        parts = [
            functional.cross_entropy(
                reader.model(part[:, :-1]).logits[:, SKIPPED:].flatten(0, 1).float(),
                part[:, 1 + SKIPPED :].flatten(),
            )
            for part in ids.split(8)
        ]
        return torch.stack(parts).mean().item()

    clean = loss()
    with reader.changed(dictionary.layer, rebuilt):
        spliced = loss()
    with reader.changed(dictionary.layer, flat):
        ablated = loss()
    return {
        "unexplained": unexplained.item(),
        "loss recovered": (ablated - spliced) / (ablated - clean),
    }


def clamp(dictionary: Dictionary, feature: int, value: float):
    """Adds what is missing to the value, times the feature's direction; the rest of the state
    stays.
    """

    def change(state: Tensor) -> Tensor:
        return (
            state
            + (value - dictionary.encode(state)[..., feature : feature + 1])
            * dictionary.W_dec[feature]
        )

    return change


def said_with(
    reader: Reader, dictionary: Dictionary, feature: int, value: float, prompts, word: str
) -> float:
    """Mean probability of the word after the prompts while the feature is held at the value
    everywhere.
    """
    with reader.changed(dictionary.layer, clamp(dictionary, feature, value)):
        return said(reader, prompts, word)


def said(reader: Reader, prompts, word: str) -> float:
    return reader.last_logits(list(prompts)).softmax(-1)[:, reader.first_piece(word)].mean().item()


class Encoded:
    """A dictionary with its values on the labelled documents and the matches found there."""

    def __init__(self, reader: Reader, folder: Path, labelled: Labelled) -> None:
        self.name, self.dictionary = folder.name, load(folder)
        self.values = self.dictionary.encode(
            token_states(reader, labelled.ids, self.dictionary.layer)
        )
        self.largest = self.values.max(0).values
        self.labelled = labelled

    @cached_property
    def scores(self) -> Scores:
        return score(self.values, self.labelled)

    def features_for(self, labelled: Labelled, label: str) -> list[int]:
        """Features by F1 against a label on the first half, best first."""
        column = labelled.table[:, [labelled.labels.index(label)]].float()
        chosen = ~labelled.half
        active = (self.values[chosen] > 0.2 * self.largest).float()
        both = column[chosen].T @ active
        return (
            (2 * both / (column[chosen].sum() + active.sum(0) + 1e-9))[0]
            .topk(CANDIDATES)
            .indices.tolist()
        )


def planted(labels) -> list[str]:
    return [label for label in labels if not label.startswith("word:")]


def share_above(scores: Scores, names, limit: float) -> float:
    return sum(scores.feature_of[name][1] > limit for name in names) / len(names)


def neuron_shares(reader: Reader, labelled: Labelled, layer: int) -> dict[str, float]:
    """Row 27: the same matching for MLP neurons of the block that ends at the dictionary's site,
    either sign.
    """
    seen: list[Tensor] = []
    handle = reader.neurons(layer - 1).register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].detach())
    )
    try:
        found = []
        for start in range(0, len(labelled.ids), 64):
            rows = labelled.ids[start : start + 64]
            longest = max(map(len, rows))
            with torch.no_grad():
                reader.model(torch.tensor([row + [0] * (longest - len(row)) for row in rows]))
            found += [state[1 : len(row)] for state, row in zip(seen.pop(), rows, strict=True)]
    finally:
        handle.remove()
    values = torch.cat(found)
    both = score(torch.cat([values.clamp(min=0), (-values).clamp(min=0)], 1), labelled)
    names = planted(labelled.labels)
    return {
        "neuron F1 > 0.8": share_above(both, names, 0.8),
        "neuron F1 > 0.5": share_above(both, names, 0.5),
    }


def steering(
    reader: Reader, dictionaries: list[Encoded], labelled: Labelled, label: str, prompts, word: str
) -> dict:
    """The most effective of the label's best features at twice its maximum, found on the even
    prompts, with its dose curve on the odd ones.
    """
    tried = []
    for one in dictionaries:
        for feature in one.features_for(labelled, label):
            value = one.largest[feature].item()
            tried.append(
                (
                    said_with(reader, one.dictionary, feature, 2 * value, prompts[::2], word),
                    one,
                    feature,
                    value,
                )
            )
    _, one, feature, value = max(tried, key=lambda row: row[0])
    curve = {
        dose: said_with(reader, one.dictionary, feature, dose * value, prompts[1::2], word)
        for dose in DOSES
    }
    rng = Random(0)
    alive = (one.values > 0).any(0).nonzero().flatten().tolist()
    control = [
        said_with(reader, one.dictionary, other, 2 * one.largest[other].item(), prompts[1::2], word)
        for other in rng.sample(alive, 8)
    ]
    return {
        "site": f"{one.dictionary.site}.feature[{one.name}:{feature}]",
        "label": label,
        "word": word,
        "max": value,
        "before": said(reader, prompts[1::2], word),
        "doses": curve,
        "random features at x2": sum(control) / len(control),
    }


def told(one: dict) -> str:
    """Site and dose curve of a steering record, for a note."""
    curve = ", ".join(f"x{dose:g} {value:.2f}" for dose, value in one["doses"].items())
    return f"{one['site']} (maximum {one['max']:.1f}): {curve}"


def clamp_rows(reader: Reader, encoded: list[Encoded], labelled: Labelled) -> list[Row]:
    she = steering(reader, encoded, labelled, "female", MEN, "she")
    he = steering(reader, encoded, labelled, "male", WOMEN, "he")
    bad = steering(reader, encoded, labelled, "blame", PRAISED, "bad")
    values = {
        "she, before": she["before"],
        "she, x1": she["doses"][1.0],
        "she, x2": she["doses"][2.0],
        "he, before": he["before"],
        "he, x1": he["doses"][1.0],
        "he, x2": he["doses"][2.0],
        "better of the two, x1": max(she["doses"][1.0], he["doses"][1.0]),
        "random features": (she["random features at x2"] + he["random features at x2"]) / 2,
    }
    return [
        Row(
            28,
            "one feature held at a multiple of its maximum: P(she) after a man's name, "
            "P(he) after a woman's",
            values,
            {
                "better of the two, x1": (">=", 0.3),
                "she, x2": (">=", 0.6),
                "he, x2": (">=", 0.6),
                "random features": ("<=", 0.1),
            },
            note=f"{told(she)}; {told(he)}",
        ),
        Row(
            29,
            "bad-review feature held: P(bad) after praise",
            {
                "before": bad["before"],
                "x1": bad["doses"][1.0],
                "x2": bad["doses"][2.0],
                "random features": bad["random features at x2"],
            },
            at_least(0.5, "x2"),
            note=told(bad),
        ),
    ]


def rows(reader: Reader) -> list[Row]:
    """All rows of the dictionaries shipped beside the model; the middle one stands for rows 25 and
    26.
    """
    folders = sorted((reader.folder / "sae").iterdir())
    labelled = labelled_documents(reader)
    encoded = [Encoded(reader, folder, labelled) for folder in folders]
    middle = encoded[len(encoded) // 2]
    names = planted(labelled.labels)
    quality = splice(reader, middle.dictionary) | {
        "dead": (middle.largest <= 0).float().mean().item()
    }
    found = {
        "F1 > 0.8": share_above(middle.scores, names, 0.8),
        "F1 > 0.5": share_above(middle.scores, names, 0.5),
        "in any dictionary > 0.8": sum(
            max(one.scores.feature_of[name][1] for one in encoded) > 0.8 for name in names
        )
        / len(names),
    }
    neurons = neuron_shares(reader, labelled, middle.dictionary.layer)
    return [
        Row(
            25,
            f"dictionary {middle.name} (2048 features, 16 active)",
            quality,
            {"unexplained": ("<=", 0.10), "loss recovered": (">=", 0.98), "dead": ("<=", 0.02)},
            note=f"dead: silent on {len(labelled.table):,} tokens",
        ),
        Row(
            26,
            f"share of {len(names)} planted labels with a feature of that F1",
            found,
            {"F1 > 0.8": (">=", 0.15), "F1 > 0.5": (">=", 0.55)},
            {"in any dictionary > 0.8": (">=", 0.4)},
            note="thresholds chosen on one half of 2,600 documents, F1 of the other half; "
            "word identities not counted",
        ),
        Row(27, "the same for single MLP neurons, either sign", neurons),
        *clamp_rows(reader, encoded, labelled),
    ]
