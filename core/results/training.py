"""A model over its training: heads, concepts, circuits and neurons at every checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

RISE = 0.1  # of attention: so far above every control a head's score counts
RISE_AUC = 0.05  # likewise of a concept's AUC
CHANCE = 0.05  # of shuffled labellings may reach what counts as separated
NEVER = -1


@dataclass(frozen=True, slots=True)
class Emergence:
    """Something that came during training: what, from which row on, where, and what became of it.

    `first` is the first row that shows it, `since` the first from which on every row does (NEVER
    where the last does not). `value` and `control`: in the last row, or where it is not shown
    there, in the row that showed it most.
    """

    what: str  # "head" or "concept"
    name: str  # the kind of head, or the concept
    first: int
    since: int
    lost: int  # the first row from which on no row shows it; NEVER where the last does, or where
    # the value in the end lies within `RISE` of the largest, which is wavering and no loss
    layer: int  # of a concept the state, 0 the embedding
    head: int  # NEVER of a concept
    value: float
    control: float
    n: int  # heads of the kind, layers of the concept that show it at the last row


@dataclass(frozen=True)
class Training(Result):
    """A row is a checkpoint, the model asked the last; row 0 fresh weights where `fresh`.

    `scores`, `control`, `shuffled` by kind of head: attention to the kind's targets in random
    tokens said twice, to as many random keys, and to the same places with the tokens in random
    order (which says nothing against a head that looks one token back). `auc`: held-out, of the
    difference of means; `control_auc` under shuffled labels. `effect`: nats of log p(answer) lost
    when a head is ablated. NaN and `why_not` where a model cannot be asked.
    """

    name: ClassVar[str] = "training"
    model: str
    checkpoints: tuple[str, ...]  # [row] names to show
    refs: tuple[str, ...]  # [row] by which it is opened, "" of fresh weights
    revisions: tuple[str, ...]  # [row] of a hub model, else ""
    fresh: bool
    left_out: tuple[tuple[str, str], ...]  # (checkpoint, why)
    why_not: tuple[tuple[str, str], ...]  # (part, why)
    kinds: tuple[str, ...]
    by_place: tuple[str, ...]  # kinds whose targets do not depend on which tokens stand there
    concepts: tuple[str, ...]
    n_items: tuple[tuple[int, int], ...]  # [concept] positive, negative
    n_shuffles: int
    corpora: tuple[str, ...]
    n_tokens: tuple[int, ...]  # [corpus] foretold
    n_sequences: int  # rows of repeated tokens
    n_queries: tuple[int, ...]  # [kind]
    task: str
    n_cases: int
    to: str
    k: int  # heads of a circuit
    n_neurons: int  # of a layer that were followed
    d_mlp: int
    seed: int
    stack: str
    steps: np.ndarray  # [row] of training, NaN where unknown
    loss: np.ndarray  # [row, corpus] nats a token
    copy_loss: np.ndarray  # [row, 2] in the first and the second copy
    scores: Mapping[str, np.ndarray]  # kind: [row, layer, head]
    control: Mapping[str, np.ndarray]
    shuffled: Mapping[str, np.ndarray]
    auc: np.ndarray  # [row, concept, state]
    control_auc: np.ndarray  # [row, concept, shuffle, state]
    effect: np.ndarray  # [row, layer, head] mean over cases
    answered: np.ndarray  # [row] mean log p of the answer
    right: np.ndarray  # [row] share of cases whose answer is the first choice
    top: np.ndarray  # [row, k] layer * heads + head, the largest effect first; -1 without a task
    overlap: np.ndarray  # [row, row] Jaccard of `top`; diagonal: two halves of the row's cases
    chance_overlap: float  # of random sets of k
    chance_overlap_high: float  # 95 % of random sets have no more
    kept_next: np.ndarray  # [row, layer] neurons that find themselves in the next row
    kept_last: np.ndarray  # [row, layer] ... in the last row
    cosine_next: np.ndarray  # [row, layer] mean cosine of neuron j with neuron j of the next row
    control_cosine_next: np.ndarray  # [row, layer] ... with another neuron there

    @property
    def n_rows(self) -> int:
        return len(self.checkpoints)

    @property
    def trained(self) -> np.ndarray:
        """Rows that are checkpoints."""
        return np.arange(int(self.fresh), self.n_rows)

    def reason(self, part: str) -> str:
        """Why a part ("heads", "circuit", ...) is missing, "" where it is not."""
        return dict(self.why_not).get(part, "")

    def best(self, kind: str) -> np.ndarray:
        """[row] the largest score of any head."""
        found: np.ndarray = self.scores[kind].reshape(self.n_rows, -1).max(axis=1)
        return found

    def level(self, kind: str) -> np.ndarray:
        """[row] the largest control of any head: random keys, the tokens in random order where
        these matter, and the score with fresh weights."""
        nulls = [self.control[kind]]
        nulls += [] if kind in self.by_place else [self.shuffled[kind]]
        rows = np.stack(nulls, axis=1).reshape(self.n_rows, -1)
        least = self.scores[kind][0].max() if self.fresh else -np.inf
        found: np.ndarray = np.maximum(rows.max(axis=1), least)
        return found

    def beyond(self, kind: str) -> np.ndarray:
        """[row, layer, head] bool: above every control by more than `RISE`."""
        found: np.ndarray = self.scores[kind] > (self.level(kind) + RISE)[:, None, None]
        if self.fresh:
            found[0] = False
        return found

    def concept_level(self, concept: int) -> float:
        """What the best of all its cells reaches under shuffled labels in 1 of 20, or the best
        layer with fresh weights."""
        best = self.control_auc[:, concept].max(axis=(0, 2))  # [shuffle]
        found = float(np.quantile(best, 1 - CHANCE))
        return max(found, float(self.auc[0, concept].max())) if self.fresh else found

    def separated(self, concept: int) -> np.ndarray:
        """[row, state] bool: beyond shuffled labels and fresh weights by more than `RISE_AUC`."""
        found: np.ndarray = self.auc[:, concept] > self.concept_level(concept) + RISE_AUC
        if self.fresh:
            found[0] = False
        return found

    def emergences(self) -> tuple[Emergence, ...]:
        """What came, and what went again: the strongest head of each kind, every concept, and
        heads that were beyond control and are not in the end; in the order of their coming."""
        found = [*self._heads(), *self._concepts()]
        late = self.n_rows
        return tuple(
            sorted(found, key=lambda one: one.since if one.since != NEVER else late + one.first)
        )

    def _heads(self) -> list[Emergence]:
        found = []
        for kind in self.kinds:
            beyond, scores, level = self.beyond(kind), self.scores[kind], self.level(kind)
            strongest = np.unravel_index(scores[-1].argmax(), scores[-1].shape)
            n = int(beyond[-1].sum())
            lost = beyond.any(axis=0) & ~beyond[-1] & (scores.max(axis=0) > scores[-1] + RISE)
            for layer, head in ([strongest] if n else []) + list(np.argwhere(lost)):
                values, shown = scores[:, layer, head], beyond[:, layer, head]
                at = _most(values, shown)
                found.append(
                    Emergence(
                        "head", kind, *times(shown, values), int(layer), int(head),
                        float(values[at]), float(level[at]), n,
                    )
                )  # fmt: skip
        return found

    def _concepts(self) -> list[Emergence]:
        found = []
        for number, name in enumerate(self.concepts):
            separated = self.separated(number)
            shown: np.ndarray = np.any(separated, axis=1)
            if not shown.any():
                continue
            values = self.auc[:, number].max(axis=1)
            at = _most(values, shown)
            found.append(
                Emergence(
                    "concept", name, *times(shown, values), int(self.auc[at, number].argmax()),
                    NEVER, float(values[at]), self.concept_level(number), int(separated[-1].sum()),
                )
            )  # fmt: skip
        return found

    def to_frame(self) -> "pd.DataFrame":
        """One row a checkpoint and head: scores with controls, effect, in its circuit or not."""
        import pandas as pd

        row, layer, head = np.indices(self.effect.shape).reshape(3, -1)
        prefix = f"{self.stack}." if self.stack else ""
        flat = layer * self.effect.shape[2] + head
        columns: dict[str, object] = {
            "checkpoint": [self.checkpoints[one] for one in row],
            "step": self.steps[row],
            "site": [f"{prefix}L{a}.head[{b}]" for a, b in zip(layer, head, strict=True)],
        }
        for kind in self.kinds:
            columns[kind] = self.scores[kind].ravel()
            columns[f"control/{kind}"] = self.control[kind].ravel()
            columns[f"shuffled/{kind}"] = self.shuffled[kind].ravel()
        columns["effect"] = self.effect.ravel()
        columns["in circuit"] = (self.top[row] == flat[:, None]).any(axis=1)
        return pd.DataFrame(columns)


def _most(values: np.ndarray, shown: np.ndarray) -> int:
    """The last row where it is shown there, else the row that shows it most."""
    return len(shown) - 1 if shown[-1] else int(np.where(shown, values, -np.inf).argmax())


def times(shown: np.ndarray, values: np.ndarray) -> tuple[int, int, int]:
    """(first, since, lost) of something that rows [row] show or do not; it is shown somewhere."""
    rows = np.flatnonzero(shown)
    last = int(rows[-1])
    if last < len(shown) - 1:
        fell = values.max() > values[-1] + RISE
        return int(rows[0]), NEVER, last + 1 if fell else NEVER
    gaps = np.flatnonzero(~shown)
    return int(rows[0]), int(gaps[-1]) + 1 if len(gaps) else 0, NEVER
