"""What each head may be called: labels by rules, with the scores and chance behind them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result
from core.results.head_ranking import READS, WRITES
from core.spec.head_catalogue import STAGES, stage_of

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Rule:
    """A label by rule: every score reaches its threshold (a negative one from above).

    needs  (score, threshold) of each; `lift`: the first is that many times what uniform attention
    gives; `chance`: that many times the chance level; `causal`: ablating it costs more than
    ablating random heads; `unless`: a label beside which this one is never the strongest.
    """

    label: str
    needs: tuple[tuple[str, float], ...]
    words: str
    lift: float = 0.0
    chance: float = 0.0
    causal: bool = False
    unless: str = ""

    @property
    def stage(self) -> str:
        return stage_of(self.label)


# Thresholds are ours, but retrieval's, which is its paper's. A head may have several labels.
RULES: tuple[Rule, ...] = (
    Rule("previous token", (("text/previous_token", 0.4),), "looks one token back"),
    Rule("current token", (("text/current_token", 0.5),), "looks at the token itself"),
    Rule("duplicate token", (("text/duplicate_token", 0.2),), "looks at equal tokens", lift=5),
    Rule(
        "induction",
        (("repeats/induction_stripe", 0.3),),
        "continues what followed the token before",
        lift=10,
        causal=True,
    ),
    Rule(
        "retrieval",
        (("retrieval/score", 0.1),),
        "fetches what is asked for from a text",
        unless="induction",
    ),
    Rule("successor", (("weights/successor", 0.5),), "says the next item of a list", chance=3),
    Rule(
        "copy",
        (("weights/ov_eigenvalue", 0.7), ("weights/copy_at_5", 0.5)),
        "says the token it looks at",
    ),
    Rule(
        "suppress",
        (("weights/ov_eigenvalue", -0.7), ("weights/suppress_at_5", 0.5)),
        "lowers the token it looks at",
    ),
    Rule(
        "same word",
        (("text/same_word", 0.4),),
        "joins the pieces of a word",
        unless="previous token",
    ),
    Rule(
        "false induction",
        (("demonstrations/false_induction", 0.2),),
        "looks for what wrong examples teach",
        unless="induction",
    ),
    Rule(
        "writes concept",
        tuple((f"concept/{name}", least) for name, least in WRITES.items()),
        "writes the concept that was asked for",
    ),
    Rule(
        "reads concept",
        tuple((f"concept/{name}", least) for name, least in READS.items()),
        "looks at the concept that was asked for and takes it in",
    ),
    Rule("delimiter", (("text/delimiter", 0.6),), "looks at punctuation and line ends"),
    Rule("sink", (("text/first_token", 0.7),), "rests on the first token"),
    Rule("broad", (("text/entropy", 0.85),), "looks at everything alike"),
)
LABELS = tuple(rule.label for rule in RULES)
STAGE_CODES = ("", *STAGES)


@dataclass(frozen=True)
class HeadTypes(Result):
    """Labels of every head, none forced: several or none may fit.

    `fits` [layer, head, label]. `scores` are those of `heads` (on text, on repeated random
    tokens), `head_scores` (weights), `retrieval`, `head_false_induction` (demonstrations),
    `head_ranking` (concept) and `head_importance`, as "source/kind" -> [layer, head]; `nulls`: the
    99th percentile of the same score without training or meaning (untrained weights, shuffled
    text, random matrices, spans of chance, labels in no order; of a concept 95 % of random
    directions), "source/kind/null" -> number. `importance` is the estimated loss without the head,
    nats per token of text.
    """

    name: ClassVar[str] = "head_types"
    corpus: str
    sources: tuple[str, ...]  # those that were read
    tested: tuple[str, ...]  # labels whose rule could be asked
    notes: tuple[str, ...]  # what was not read, and why
    n_texts: Mapping[str, int]  # source -> texts
    n_tokens: Mapping[str, int]
    n_random_heads: int  # behind the causal threshold of induction
    thresholds: Mapping[str, float]  # of lifts and causal checks: "induction/ablation" ...
    nulls: Mapping[str, float]
    scores: Mapping[str, np.ndarray]
    fits: np.ndarray  # [layer, head, label] uint8
    margin: np.ndarray  # [layer, head, label] score over threshold, the least of its scores
    dormant: np.ndarray  # [layer, head] uint8: a sink whose importance is not in the top quarter
    induction_cost: np.ndarray  # [layer, head] loss of the second copy without it; NaN unasked
    importance: np.ndarray  # [layer, head] nats per token; NaN where it was not read
    importance_control: np.ndarray  # [layer, head]
    importance_spearman: float  # agreement of the estimate with exact effects
    stack: str = ""

    @property
    def strongest(self) -> np.ndarray:
        """[layer, head] place in LABELS of the label with the widest margin, -1 without one."""
        return np.where(self.fits.any(axis=-1), self._margins().argmax(axis=-1), -1)

    def _margins(self) -> np.ndarray:
        """[layer, head, label] margins of what fits; no number where it does not."""
        margin = np.where(self.fits > 0, self.margin, -np.inf)
        for place, rule in enumerate(RULES):
            if rule.unless:
                beside = self.fits[..., LABELS.index(rule.unless)] > 0
                own = margin[..., place]
                margin[..., place] = np.where(beside, np.minimum(own, 0), own)
        return margin

    @property
    def stage(self) -> np.ndarray:
        """[layer, head] place in STAGE_CODES of the widest label that has a stage, 0 without."""
        staged = np.array([bool(rule.stage) for rule in RULES])
        margin = np.where(staged, self._margins(), -np.inf)
        codes = np.array([STAGE_CODES.index(rule.stage) for rule in RULES])
        return np.where(np.isfinite(margin).any(axis=-1), codes[margin.argmax(axis=-1)], 0)

    def depth_share(self) -> np.ndarray:
        """[third of the depth, stage] share of its heads at each stage; the first column: none."""
        stage = self.stage
        thirds = np.array_split(np.arange(len(stage)), 3)
        n = len(STAGE_CODES)
        rows = [np.bincount(stage[part].ravel(), minlength=n) for part in thirds]
        return np.array([row / max(1, row.sum()) for row in rows])

    def labels_of(self, layer: int, head: int) -> tuple[str, ...]:
        """Every label that fits, the widest margin first."""
        fits, margin = np.flatnonzero(self.fits[layer, head]), self._margins()[layer, head]
        order = sorted(fits, key=lambda at: -margin[at])
        return tuple(LABELS[at] for at in order)

    def percentile(self, score: str, layer: int, head: int) -> float:
        """Share of the model's heads that score lower, 0 to 1."""
        values = self.scores[score]
        known = values[np.isfinite(values)]
        return float((known < values[layer, head]).mean()) if known.size else float("nan")

    def site(self, layer: int, head: int) -> str:
        prefix = f"{self.stack}." if self.stack else ""
        return f"{prefix}L{layer}.head[{head}]"

    def to_frame(self) -> "pd.DataFrame":
        """One row per head: labels, stage, importance, every score."""
        import pandas as pd

        layers, heads = np.indices(self.dormant.shape).reshape(2, -1)
        places = list(zip(layers.tolist(), heads.tolist(), strict=True))
        columns: dict[str, object] = {
            "site": [self.site(*at) for at in places],
            "labels": [", ".join(self.labels_of(*at)) for at in places],
            "stage": [STAGE_CODES[code] for code in self.stage.ravel().tolist()],
            "dormant": self.dormant.ravel().astype(bool),
            "importance": self.importance.ravel(),
            "importance_control": self.importance_control.ravel(),
        }
        columns |= {name: values.ravel() for name, values in self.scores.items()}
        return pd.DataFrame(columns)
