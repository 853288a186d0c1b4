"""checks.json: a few numbers of what is shipped, for the tests that run on every change."""

from __future__ import annotations

import json

import torch
from torch.nn import functional

from core.corpus.world import HELD_OUT_SEEDS, generate
from tools.embedded.dictionaries import SKIPPED, load
from tools.embedded.reading import Reader
from tools.embedded.settings import ROW, SHIPPED


def texts(seed: int, count: int) -> list[str]:
    return [one.text.rstrip() for one in generate(HELD_OUT_SEEDS + seed, count)]


@torch.no_grad()
def document_loss(reader: Reader) -> float:
    """Nats per token over all tokens of 50 held-out documents."""
    lost, count = 0.0, 0
    for text in texts(50, 50):
        ids = torch.tensor([reader.ids(text)[:ROW]])
        logits = reader.model(ids).logits
        lost += functional.cross_entropy(logits[0, :-1], ids[0, 1:], reduction="sum").item()
        count += ids.shape[1] - 1
    return lost / count


def explained(reader: Reader) -> dict[str, float]:
    """Explained share of variance of every dictionary of the model, on 60 held-out documents."""
    ids = [torch.tensor([reader.ids(text)[:ROW]]) for text in texts(52, 60)]
    states = torch.cat([reader.states(one)[:, 0, SKIPPED:] for one in ids], dim=1)
    found = {}
    for folder in sorted((reader.folder / "sae").iterdir()):
        dictionary = load(folder)
        x = states[dictionary.layer]
        error = x - dictionary.decode(dictionary.encode(x))
        share = error.pow(2).sum() / (x - x.mean(0)).pow(2).sum()
        found[f"{reader.folder.name}/{folder.name}"] = 1 - share.item()
    return found


def write() -> None:
    readers = [Reader.open(SHIPPED / name) for name in ("embedded", "embedded-small")]
    shares = {
        name: value
        for reader in readers
        if (reader.folder / "sae").exists()
        for name, value in explained(reader).items()
    }
    content = {"loss of 50 documents": document_loss(readers[0]), "explained": shares}
    (SHIPPED / "embedded" / "checks.json").write_text(json.dumps(content, indent=1) + "\n")
