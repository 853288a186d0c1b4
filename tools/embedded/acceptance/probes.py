"""Rows 22 to 24: from which depth a linear probe reads what the text means."""

from __future__ import annotations

import itertools
import warnings
from random import Random

import numpy as np
from sklearn.linear_model import LogisticRegression

from core.corpus.world import HELD_OUT_SEEDS, facts, generate
from core.corpus.world.document import Document
from core.corpus.world.held_out import CYCLES, steps
from core.corpus.world.tasks import two_hop, verdict
from core.corpus.world.words import (
    FEMALE_NAMES,
    MALE_NAMES,
    NOUNS,
    NUMBERS,
    VERBS,
    capital,
    kind_labels,
)
from tools.embedded.acceptance.rows import Row
from tools.embedded.reading import Reader

ENOUGH = 0.9
Labelled = list[tuple[str, str]]  # a text to its last token, and the class to read there


def animals() -> Labelled:
    """Occurrences of nouns in different openings; nouns recur in both halves, so the embedding can
    carry it.
    """
    rng = Random(220)
    openings = ("The {}", "I saw a {}", "She found a {}", "It is not a {}", "List: {}", "one {}")
    return [
        (rng.choice(openings).format(word), "animal" if "animal" in kind_labels(word) else "other")
        for word in (rng.choice(NOUNS) for _ in range(400))
    ]


def topics() -> Labelled:
    """The place of a story, read at the full stop of its first sentence."""
    found: Labelled = []
    for document in generate(HELD_OUT_SEEDS + 22, 6000):
        if document.families[0] != "stories":
            continue
        topic = next(
            label
            for segment in document.segments
            for label in segment.labels
            if label.startswith("topic:")
        )
        found.append((document.text.split(". ")[0] + ".", topic))
    return found[:500]


def genders() -> Labelled:
    """The gender of a name, read two words after it."""
    rng, found = Random(221), []
    for _ in range(400):
        names, label = rng.choice(((MALE_NAMES, "male"), (FEMALE_NAMES, "female")))
        found.append((f"Yesterday {rng.choice(names)} {rng.choice(VERBS)[1]} with", label))
    return found


def verdicts() -> Labelled:
    rng = Random(222)
    return [verdict(rng) for _ in range(400)]


def resulting_days() -> Labelled:
    """The resulting day, read where it is about to be said; every prompt once, so the split is by
    prompt.
    """
    days = CYCLES["day"]
    found: Labelled = []
    for start, step, way in steps("day"):
        answer, count = days[(start + way * step) % 7], capital(NUMBERS[step])
        found.append((f"{count} days {'after' if way > 0 else 'before'} {days[start]} is", answer))
        found.append(
            (
                f"It is {days[start]}. {count} days "
                f"{'later it will be' if way > 0 else 'earlier it was'}",
                answer,
            )
        )
        found.append(
            (
                f"From {days[start]} go {'forward' if way > 0 else 'back'} {NUMBERS[step]} days to",
                answer,
            )
        )
    return found


def rooms() -> Labelled:
    rng = Random(223)
    return [two_hop(rng) for _ in range(700)]


def statements() -> Labelled:
    """Statements up to their full stop, true and false."""
    rng, found = Random(224), []
    while len(found) < 700:
        made = Document()
        facts.truth(rng, made)
        end = next(
            at for at, segment in enumerate(made.segments) if "statement" in "".join(segment.labels)
        )
        found.append(
            ("".join(text for text, _ in made.segments[:end]) + ".", made.segments[end].labels[0])
        )
    return found


def probe(reader: Reader, items: Labelled, seed: int = 0) -> tuple[list[float], float]:
    """Accuracy by layer on the held-out 30 %, and the share of the commonest class there. The same
    text is never in both parts unless there are fewer texts than items.
    """
    texts = sorted({text for text, _ in items})
    Random(seed).shuffle(texts)
    train = set(texts[: int(0.7 * len(texts))])
    chosen = np.array([text in train for text, _ in items])
    classes = np.array([label for _, label in items])
    values = []
    for states in reader.last_states([text for text, _ in items]).double().numpy():
        mean, spread = states[chosen].mean(0), states[chosen].std(0) + 1e-8
        scaled = (states - mean) / spread
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reading = LogisticRegression(C=0.1, max_iter=300).fit(scaled[chosen], classes[chosen])
        values.append(float(reading.score(scaled[~chosen], classes[~chosen])))
    _, counts = np.unique(classes[~chosen], return_counts=True)
    return values, float(counts.max() / counts.sum())


DEPTHS = (
    ("animal", animals),
    ("topic", topics),
    ("gender", genders),
    ("verdict", verdicts),
    ("day", resulting_days),
)


def depth_row(reader: Reader) -> Row:
    first, curves = {}, []
    for name, make in DEPTHS:
        curve, _ = probe(reader, make())
        first[name] = next(
            (layer for layer, value in enumerate(curve) if value >= ENOUGH), reader.layers + 1
        )
        curves.append(f"{name} " + " ".join(f"{value:.2f}" for value in curve))
    depths = list(first.values())
    ordered = all(one <= two for one, two in itertools.pairwise(depths))
    values = dict(first) | {"in order": ordered, "different depths": len(set(depths))}
    return Row(
        22,
        f"first depth with probe accuracy of {ENOUGH} (0: embedding; {reader.layers + 1}: nowhere)",
        values,
        {"in order": (">=", 1), "different depths": (">=", 3)},
        note="; ".join(curves),
    )


def rows(reader: Reader) -> list[Row]:
    hop, common = probe(reader, rooms())
    after = hop[1:]
    truth, often = probe(reader, statements())
    upper = max(truth[len(truth) // 2 :])
    return [
        depth_row(reader),
        Row(
            23,
            "probe for the two-hop room (8 classes)",
            {
                "lowest": min(after),
                "best": max(after),
                "rise": max(after) - min(after),
                "commonest class": common,
            },
            {"rise": (">=", 0.2)},
            note=" ".join(f"{value:.2f}" for value in hop),
        ),
        Row(
            24,
            "probe for truth at the full stop",
            {"best in the upper half": upper, "commonest class": often},
            {},
            {"best in the upper half": (">=", 0.85)},
            note=" ".join(f"{value:.2f}" for value in truth),
        ),
    ]
