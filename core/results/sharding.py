"""What the model, and each head alone, loses when it sees only its shard of the text."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from core.results.base import Result

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Sharding(Result):
    """Losses in nats per token of windows of text, under the block mask of S2-Attention.

    `need` ("range need"): what is lost when that head alone sees its shard; `control`: when it
    sees as many blocks, but drawn at random behind its own; `error`: standard error of `need` over
    the windows. `hidden`: share of the head's ordinary attention that its shard hides, mean over
    tokens. With every head sharded: `sweep` over how many blocks stay local, and the tasks.
    """

    name: ClassVar[str] = "sharding"
    block: int  # tokens; of tasks, 0 where it is a share of the prompt
    blocks: int  # of a window
    local: int
    stride: int
    offset: int
    n_texts: int
    n_tokens: int  # foretold
    tasks: tuple[str, ...]
    in_context: tuple[bool, ...]
    n_cases: tuple[int, ...]
    need: np.ndarray  # [layer, head] nats per token
    error: np.ndarray  # [layer, head]
    control: np.ndarray  # [layer, head]
    hidden: np.ndarray  # [layer, head] 0 to 1
    loss: float  # as it is
    sweep_local: np.ndarray  # [sweep] blocks
    sweep: np.ndarray  # [sweep] nats per token, every head sharded
    sweep_random: np.ndarray  # [sweep] as many blocks at random
    sweep_seen: np.ndarray  # [sweep] share of earlier tokens a query sees, mean over heads
    log_p: np.ndarray  # [condition, task]: as it is, sharded, random blocks
    right: np.ndarray  # [condition, task]

    def to_frame(self) -> "pd.DataFrame":
        """One row per head."""
        import pandas as pd

        layers, heads = np.indices(self.need.shape).reshape(2, -1)
        pairs = zip(layers.tolist(), heads.tolist(), strict=True)
        columns: dict[str, object] = {"site": [f"L{layer}.head[{head}]" for layer, head in pairs]}
        for name in ("need", "error", "control", "hidden"):
            columns[name] = getattr(self, name).ravel()
        return pd.DataFrame(columns)
