"""What every head looks at: scores with their controls, and the role each head fits best."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

LEAST_QUERIES = 200  # a score of fewer queries is shown in grey and names no role

# kind -> what the number is. Kinds with targets: attention summed over the target keys, mean over
# the queries that have a target.
KINDS: dict[str, str] = {
    "previous_token": "attention to the token before",
    "current_token": "attention to the query's own token",
    "next_token": "attention to the token after (encoders)",
    "first_token": "attention to the first token",
    "duplicate_token": "attention to earlier equal tokens",
    "induction": "attention to what followed earlier equal tokens",
    "induction_two": "attention to what followed the same two tokens",
    "same_word": "attention to earlier pieces of the word",
    "same_topic": "attention to earlier words of the same topic",
    "induction_stripe": "attention to what followed one repeat ago, in the second copy",
    "duplicate_stripe": "attention to the same token one repeat ago, in the second copy",
    "prefix_matching": "attention to what followed in 2nd to 4th repeats of 25 tokens",
    "punctuation": "attention to punctuation",
    "newline": "attention to line ends",
    "delimiter": "attention to punctuation and line ends",
    "digit": "attention to numbers",
    "capitalised": "attention to words with a capital",
    "stop_word": "attention to function words",
    "special": "attention to special tokens",
    "rare": "attention to the rarest tenth of the tokens",
    "chosen": "attention to the words asked for",
    "entropy": "entropy of attention, as a share of the largest possible",
    "effective_tokens": "tokens looked at: exp(entropy)",
    "strongest": "largest weight of a query",
    "distance": "tokens between query and key, weighted by attention",
    "local": "attention to the last 8 tokens and the query's own",
    "uneven": "share of attention that would have to move to be uniform",
}
MASSES = tuple(kind for kind in KINDS if kind not in ("effective_tokens", "distance"))  # 0 to 1


@dataclass(frozen=True, slots=True)
class Role:
    """A label by rule: the score of `kind` is at least `least`, and `lift` times uniform's."""

    name: str
    kind: str
    least: float
    lift: float
    words: str
    unless: str = ""  # a role that explains the score too: then it is that one


# Thresholds are ours; the first that fits a kind of text is taken (stripes need repeated tokens).
ROLES: tuple[Role, ...] = (
    Role("induction", "induction_stripe", 0.3, 10, "continues what followed the token before"),
    Role("induction", "induction", 0.3, 10, "continues what followed the token before"),
    Role("duplicate token", "duplicate_token", 0.2, 5, "looks at the same token earlier on"),
    Role("previous token", "previous_token", 0.4, 0, "looks one token back"),
    Role("current token", "current_token", 0.5, 0, "looks at the token itself"),
    Role("next token", "next_token", 0.4, 0, "looks one token ahead"),
    Role("same word", "same_word", 0.4, 0, "joins the pieces of a word", "previous token"),
    Role("delimiter", "delimiter", 0.6, 0, "looks at punctuation and line ends"),
    Role("sink", "first_token", 0.7, 0, "rests on the first token"),
    Role("broad", "entropy", 0.85, 0, "looks at everything alike"),
)
ROLE_NAMES = ("none", *dict.fromkeys(role.name for role in ROLES))


@dataclass(frozen=True)
class Heads(Result):
    """Scores of every head by kind, each [layer, head], NaN where no query had a target.

    `control` of a kind with targets: as many random keys in place of the targets; of a class of
    tokens: as many random tokens of the text; of the rest: uniform attention. `uniform`: what
    uniform attention over the keys a query sees would score. `shuffled` and `untrained`: the same
    scores on the tokens in random order, and of the same architecture with fresh weights; {} when
    left out, and `notes` says why. `transformer_lens`: the number of its `detect_head` ("mul"),
    attention on targets over all queries of a text.
    """

    name: ClassVar[str] = "heads"
    source: str  # what was read: "random tokens, repeated", "1 text", a corpus' name
    reading: str  # "plain", "without_first" or "by_value"
    n_texts: int
    n_tokens: int
    n_null_texts: int  # texts behind `shuffled` and `untrained`
    n_queries: Mapping[str, int]
    notes: tuple[str, ...]
    scores: Mapping[str, np.ndarray]
    control: Mapping[str, np.ndarray]
    uniform: Mapping[str, np.ndarray]
    shuffled: Mapping[str, np.ndarray]
    untrained: Mapping[str, np.ndarray]
    transformer_lens: Mapping[str, np.ndarray]
    role: np.ndarray  # [layer, head] int8, place in ROLE_NAMES of the rule exceeded most
    role_score: np.ndarray  # [layer, head] the score that role rests on, NaN without one
    fits: np.ndarray  # [layer, head, role] uint8, every role whose rule the head fits
    lag: np.ndarray  # [layer, head, lag] mean attention at each distance
    lag_uniform: np.ndarray  # [layer, lag]
    lags: np.ndarray  # [lag] query minus key
    lag_queries: np.ndarray  # [lag]
    sink_at: np.ndarray  # [layer, head] the position that receives most over all texts
    sink_mass: np.ndarray  # [layer, head] its mean weight
    loss: np.ndarray  # [position] nats, of the token there; NaN where none was foretold; or empty
    loss_texts: np.ndarray  # [position]
    behaviour: Mapping[str, float] = field(default_factory=dict)
    stack: str = ""  # "enc" when the layers are those of an encoder beside a decoder

    @property
    def kinds(self) -> tuple[str, ...]:
        return tuple(self.scores)

    def lift(self, kind: str) -> np.ndarray:
        """[layer, head] score over that of uniform attention; NaN where uniform gives none."""
        uniform = self.uniform[kind]
        return np.where(uniform > 0, self.scores[kind] / np.where(uniform > 0, uniform, 1), np.nan)

    def threshold(self, kind: str, null: str = "untrained") -> float:
        """99th percentile over all heads of the scores under a null; NaN without it."""
        found = getattr(self, null).get(kind)
        return float(np.nanquantile(found, 0.99)) if _any_number(found) else float("nan")

    def enough(self, kind: str) -> bool:
        """Whether the score rests on enough queries to be read."""
        return self.n_queries[kind] >= LEAST_QUERIES

    def to_frame(self) -> "pd.DataFrame":
        """One row per head: its site, role and scores, controls as `control/<kind>`."""
        import pandas as pd

        layers, heads = np.indices(self.role.shape).reshape(2, -1)
        prefix = f"{self.stack}." if self.stack else ""
        pairs = zip(layers.tolist(), heads.tolist(), strict=True)
        columns: dict[str, object] = {
            "site": [f"{prefix}L{layer}.head[{head}]" for layer, head in pairs],
            "role": [ROLE_NAMES[code] for code in self.role.ravel().tolist()],
        }
        columns |= {kind: array.ravel() for kind, array in self.scores.items()}
        columns |= {f"control/{kind}": array.ravel() for kind, array in self.control.items()}
        return pd.DataFrame(columns)


def _any_number(found: np.ndarray | None) -> bool:
    return found is not None and not bool(np.isnan(found).all())
