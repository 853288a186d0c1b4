"""Does a difference between two models, added to the first, make it answer like the second?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import (
    LOGITS_AT_ONCE,
    TOKENS_AT_ONCE,
    Progress,
    divergence,
    log_probabilities,
)
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import special
from core.spec.interventions import Add, Intervention
from core.spec.site import Site

# token ids of a batch of texts, and their places in the list -> one list of changes a text
Changing = Callable[[list[int]], list[list[Intervention]]]


@dataclass(frozen=True)
class Answers:
    """What a model says after each text: log-probabilities [text, d_vocab] float32 on the CPU."""

    log_p: Tensor

    @property
    def top(self) -> np.ndarray:
        """[text] the most probable token."""
        found: np.ndarray = self.log_p.argmax(dim=-1).numpy()
        return found

    def kl(self, other: "Answers") -> np.ndarray:
        """[text] KL(this || other) in nats, over the ids both have."""
        n = min(self.log_p.shape[1], other.log_p.shape[1])
        found: np.ndarray = divergence(self.log_p[:, :n], other.log_p[:, :n]).numpy()
        return found


def last_place(loaded: Loaded, ids: Sequence[int]) -> int:
    """The last token of a text that is no special one."""
    plain = [at for at, marked in enumerate(special(loaded, ids)) if not marked]
    return plain[-1] if plain else len(ids) - 1


def answers(
    loaded: Loaded,
    progress: Progress,
    texts: Sequence[Sequence[int]],
    changing: Changing | None = None,
) -> Answers:
    """What follows the last token of every text, under changes of its own."""
    found: list[Tensor | None] = [None] * len(texts)
    limit = min(TOKENS_AT_ONCE, LOGITS_AT_ONCE // loaded.d_vocab)
    order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
    start = 0
    while start < len(order):
        batch = [order[start]]
        for at in order[start + 1 :]:
            if (len(batch) + 1) * len(texts[at]) > limit:
                break
            batch.append(at)
        start += len(batch)
        seen = run(
            loaded,
            rows(loaded, [texts[at] for at in batch]),
            change=changing(batch) if changing else (),
            logits="last",
            check=progress.check,
        ).logits
        assert seen is not None
        for at, row in zip(batch, log_probabilities(seen[:, -1]).cpu(), strict=True):
            found[at] = row
    return Answers(torch.stack([row for row in found if row is not None]))


def adding(
    loaded: Loaded,
    texts: Sequence[Sequence[int]],
    layer: int,
    vectors: np.ndarray,
    coefficient: float,
    position: str,
) -> Changing:
    """Add a vector behind a block: one for all texts [d_model], or one each [text, d_model].

    position  "last": at the last token of each text; else at every token
    """
    shared = tuple(map(float, vectors)) if vectors.ndim == 1 else None
    made: dict[int, Add] = {}

    def change(at: int) -> Add:
        place = last_place(loaded, texts[at]) if position == "last" else None
        key = at if shared is None else -1 if place is None else place
        if key not in made:
            site = Site(layer, "resid_post", position=place, stack=loaded.prompt_stack)
            made[key] = Add(site, shared or tuple(map(float, vectors[at])), coefficient)
        return made[key]

    return lambda batch: [[change(at)] for at in batch]


def random_like(vector: np.ndarray, states: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random direction of the same length, drawn where states [item, d_model] differ."""
    centred = states - states.mean(axis=0)
    drawn = rng.normal(size=len(centred)) @ centred
    length = float(np.linalg.norm(drawn))
    if length < 1e-12:
        drawn = rng.normal(size=vector.shape)
        length = float(np.linalg.norm(drawn))
    found: np.ndarray = drawn * (np.linalg.norm(vector) / length)
    return found
