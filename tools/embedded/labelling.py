"""What every feature of a dictionary stands for: planted labels with F1."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from core.corpus.world import HELD_OUT_SEEDS, generate
from tools.embedded.dictionaries import Dictionary
from tools.embedded.reading import Reader

DOCUMENTS = 2600
THRESHOLDS = (0.0, 0.1, 0.2, 0.35, 0.5)  # of the feature's largest value
FEWEST = 20  # tokens a label needs in each half


@dataclass
class Labelled:
    """Documents as rows of tokens, with the labels of every token as a table [token, label]."""

    ids: list[list[int]]
    labels: tuple[str, ...]
    table: (
        Tensor  # [token, label] of bool, tokens of all documents one after another, BEGIN left out
    )
    half: Tensor  # [token] of bool: true in the second half of the documents


def labelled_documents(reader: Reader, count: int = DOCUMENTS) -> Labelled:
    ids, marks, half = [], [], []
    for number, document in enumerate(generate(HELD_OUT_SEEDS + 26, count)):
        encoded = reader.tokenizer(document.text.rstrip(), return_offsets_mapping=True)
        row = encoded["input_ids"][:256]
        spans = document.spans()
        for start, end in encoded["offset_mapping"][1 : len(row)]:
            marks.append(
                {
                    label
                    for one in spans
                    if start < one.end and end > one.start
                    for label in one.labels
                }
            )
        half += [number >= count // 2] * (len(row) - 1)
        ids.append(row)
    halves = torch.tensor(half)
    names = sorted(set().union(*marks))
    column = {name: at for at, name in enumerate(names)}
    table = torch.zeros(len(marks), len(names), dtype=torch.bool)
    for at, found in enumerate(marks):
        table[at, [column[name] for name in found]] = True
    enough = (table[~halves].sum(0) >= FEWEST) & (table[halves].sum(0) >= FEWEST)
    kept = enough.nonzero().flatten().tolist()
    return Labelled(ids, tuple(names[at] for at in kept), table[:, kept], halves)


@torch.no_grad()
def token_states(reader: Reader, ids: list[list[int]], layer: int) -> Tensor:
    """States after a layer at all tokens but BEGIN, document after document: [token, width]."""
    found: list[Tensor] = []
    for start in range(0, len(ids), 64):
        rows = ids[start : start + 64]
        longest = max(map(len, rows))
        states = reader.states(torch.tensor([row + [0] * (longest - len(row)) for row in rows]))[
            layer
        ]
        found += [state[1 : len(row)] for state, row in zip(states, rows, strict=True)]
    return torch.cat(found)


def f1_table(active: Tensor, table: Tensor) -> Tensor:
    """F1 [label, feature] of active [token, feature] against table [token, label], both 0 or 1
    floats.
    """
    both = table.T @ active
    return 2 * both / (table.sum(0)[:, None] + active.sum(0)[None] + 1e-9)


def f1_by_threshold(values: Tensor, labelled: Labelled, second: bool) -> Tensor:
    """F1 [threshold, label, feature] on one half of the documents; thresholds are shares of each
    column's maximum.
    """
    chosen = labelled.half if second else ~labelled.half
    largest, table = values.max(0).values, labelled.table[chosen].float()
    part = values[chosen]
    return torch.stack([f1_table((part > share * largest).float(), table) for share in THRESHOLDS])


@dataclass
class Scores:
    """Choices made on the first half of the documents, F1 reported on the second."""

    label_of: list[
        tuple[str, float, float]
    ]  # per feature: best label, F1, threshold as share of maximum
    feature_of: dict[str, tuple[int, float, float]]  # per label: best feature, F1, threshold


def score(values: Tensor, labelled: Labelled) -> Scores:
    """Match columns of values [token, feature] to labels."""
    chosen, reported = (
        f1_by_threshold(values, labelled, False),
        f1_by_threshold(values, labelled, True),
    )
    count, names = values.shape[1], labelled.labels
    flat = chosen.permute(2, 0, 1).flatten(1).argmax(1)
    label_of = []
    for feature, place in enumerate(flat.tolist()):
        threshold, label = divmod(place, len(names))
        label_of.append(
            (names[label], reported[threshold, label, feature].item(), THRESHOLDS[threshold])
        )
    feature_of = {}
    for label, place in enumerate(chosen.permute(1, 0, 2).flatten(1).argmax(1).tolist()):
        threshold, feature = divmod(place, count)
        feature_of[names[label]] = (
            feature,
            reported[threshold, label, feature].item(),
            THRESHOLDS[threshold],
        )
    return Scores(label_of, feature_of)


def chance(values: Tensor, labelled: Labelled) -> float:
    """F1 that 99 of 100 columns stay below when they are moved along the text, so that they have
    nothing to do with the labels; label and threshold are chosen as for the real ones.
    """
    moved = score(values.roll(len(values) // 3 + 1, 0), labelled)
    return torch.tensor([f1 for _, f1, _ in moved.label_of]).quantile(0.99).item()


def write(folder: Path, reader: Reader, dictionary: Dictionary, labelled: Labelled) -> Scores:
    """feature_labels.json beside the dictionary."""
    values = dictionary.encode(token_states(reader, labelled.ids, dictionary.layer))
    scores = score(values, labelled)
    density, largest = (values > 0).float().mean(0), values.max(0).values
    features = [
        {
            "label": label,
            "f1": round(f1, 3),
            "threshold": share,
            "density": round(density[at].item(), 6),
            "max": round(largest[at].item(), 3),
        }
        for at, (label, f1, share) in enumerate(scores.label_of)
    ]
    concepts = {
        label: {"feature": feature, "f1": round(f1, 3), "threshold": share}
        for label, (feature, f1, share) in scores.feature_of.items()
    }
    (folder / "feature_labels.json").write_text(
        json.dumps(
            {
                "site": dictionary.site,
                "documents": len(labelled.ids),
                "tokens": len(values),
                "how": "label chosen on the first half of the documents, f1 of the second; "
                "density and max on all; chance: f1 that 99 of 100 features stay below when their "
                "values are moved to other text",
                "chance": round(chance(values, labelled), 3),
                "features": features,
                "concepts": concepts,
            },
            separators=(",", ":"),
            ensure_ascii=False,
        )
    )
    return scores
