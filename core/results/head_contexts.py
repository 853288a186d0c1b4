"""Where one head attends most in a corpus: pairs of tokens, from its strongest to any."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd

BINS = 50  # of the histograms, over 0 to 1
# What a pair of tokens (query, key) can be to each other; a pair can be several of them.
RELATIONS: dict[str, str] = {
    "itself": "the token itself",
    "one back": "the token before",
    "one ahead": "the token after",
    "equal": "an earlier equal token",
    "behind equal": "what followed an earlier equal token",
}


@dataclass(frozen=True)
class HeadContexts(Result):
    """Every query counts once, with the key it looks at most; shown are some of them, in groups.

    Queries that see `least` keys or more; special tokens and a causal model's first token count as
    neither query nor key, `rest` is the attention they get. Groups, in this order: "top" (largest
    weight first), "5" ... "1" (pairs spread over that fifth of the range from 0 to the largest
    weight), "sample" (random queries). `relation`: share of the `n_listed` strongest pairs that
    are related so. Controls: a random key in place of the strongest of every query (`random_*`),
    and the weight that uniform attention over the same keys would give (`uniform*`).
    """

    name: ClassVar[str] = "head_contexts"
    site: str
    corpus: str
    n_contexts: int
    n_tokens: int
    n_queries: int
    cut: bool  # the corpus goes on behind the last context
    least: int
    sites: tuple[str, ...]  # of the changes in place
    group: tuple[str, ...]  # of each shown pair
    tokens: tuple[tuple[str, ...], ...]  # [shown][token]
    special: tuple[tuple[bool, ...], ...]  # [shown][token]
    n_listed: int
    relations: tuple[str, ...]  # of RELATIONS, those that can be in this model
    largest: float  # of all weights
    mean: float  # of the largest weight of a query
    uniform_mean: float
    random_mean: float
    random_p99: float  # 99 % of random pairs stay below
    rest: float  # mean attention to tokens that do not count
    distance: float  # tokens from query back to key, mean over the listed
    random_distance: float
    relation: np.ndarray  # [relation] share of the listed pairs
    random_relation: np.ndarray  # [relation] share of the random pairs
    attention: np.ndarray  # [shown, token] float32 of the query, NaN behind the end of a text
    context: np.ndarray  # [shown] number of the context in the corpus
    document: np.ndarray  # [shown] number of its document
    query: np.ndarray  # [shown] token that looks
    key: np.ndarray  # [shown] token it looks at most
    weight: np.ndarray  # [shown]
    uniform: np.ndarray  # [shown]
    counts: np.ndarray  # [bin] queries by their largest weight
    random_counts: np.ndarray  # [bin] queries by the weight of a random key
    band_share: np.ndarray  # [5] share of the queries in each fifth, the lowest first

    def to_frame(self) -> "pd.DataFrame":
        """One row per shown pair."""
        import pandas as pd

        pairs = list(zip(self.tokens, self.query.tolist(), self.key.tolist(), strict=True))
        return pd.DataFrame(
            {
                "group": self.group,
                "weight": self.weight,
                "uniform": self.uniform,
                "query": [tokens[query] for tokens, query, _ in pairs],
                "key": [tokens[key] for tokens, _, key in pairs],
                "distance": self.query - self.key,
                "context": self.context,
                "text": ["".join(tokens) for tokens in self.tokens],
            }
        )
