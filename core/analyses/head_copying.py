"""Copying measured while a model reads: does a head raise the very token it looks at?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.analyses.head_texts import copying_rows
from core.engine.forward import run
from core.engine.head_weights import HeadWeights, scaled
from core.engine.rows import Rows, rows
from core.engine.token_scores import Vocabulary
from core.models.loaded import Loaded
from core.spec.site import Site

N_ROWS = 16
KINDS = ("copy_activation", "suppress_activation")


@dataclass(frozen=True)
class Read:
    """A model that has read rows of different tokens, said twice.

    words [row, choice] the different tokens of each row; where [row, token] the place of each
    token among them; queries: those of the second copy, which see all of the first.
    """

    loaded: Loaded
    batch: Rows
    words: Tensor
    where: Tensor
    queries: slice

    @property
    def n_queries(self) -> int:
        return self.batch.n * (self.queries.stop - self.queries.start)

    @property
    def chance(self) -> float:
        return 1 / self.words.shape[1]

    def scores(
        self,
        layer: int,
        heads: HeadWeights,
        random: list[tuple[Tensor, Tensor]],
        vocabulary: Vocabulary,
    ) -> tuple[Tensor, Tensor]:
        """(scores, control) [kind, head] of a layer; see `copying`.

        Control: mean over random (v, o) pairs that get what the head's own attention brings.
        """
        stack = self.loaded.prompt_stack
        places = [Site(layer, part, stack=stack) for part in ("head", "pattern", "resid_pre")]
        with torch.no_grad():
            seen = run(self.loaded, self.batch, read=places, logits="none").values
        z, pattern, stream = (seen[place].float() for place in places)
        with self.loaded.busy():
            looked = pattern[:, :, self.queries]  # [row, head, query, key]
            own = torch.einsum("bqhe,hed->bhqd", z[:, self.queries], heads.o)
            most = self.where[:, None].expand(-1, looked.shape[1], -1)
            most = most.to(looked.device).gather(2, looked.argmax(-1))
            table = vocabulary.matrix[self.words]
            found = copying(own, table, most)
            brought = looked @ scaled(self.loaded, layer, stream, stack)[:, None]
            drawn = [copying(brought @ v @ o, table, most) for v, o in random]
        return found.cpu(), torch.stack(drawn).mean(0).cpu()


def read(loaded: Loaded, stack: str, seed: int, check: Callable[[], None]) -> Read | None:
    """None where no attention can be read of this stack, or the tokens do not fit."""
    made = copying_rows(loaded, N_ROWS, seed)
    if made is None or not loaded.pattern_source or stack != loaded.prompt_stack:
        return None
    check()
    words, where = [], []
    for ids in made.ids:
        different = list(dict.fromkeys(ids))
        words.append(different)
        where.append([different.index(token) for token in ids])
    start = made.before + made.copy
    return Read(
        loaded,
        rows(loaded, made.ids),
        torch.tensor(words),
        torch.tensor(where),
        slice(start, start + made.copy),
    )


def copying(written: Tensor, table: Tensor, most: Tensor) -> Tensor:
    """Share of the raised (and lowered) logits that falls on the token looked at, [kind, head].

    written [row, head, query, d_model], table [row, choice, d_model] what the tokens of the text
    are read with, most [row, head, query] the choice attention is largest on. Logits among the
    choices less their mean; what is negative counts as 0 (for lowering, what is positive).
    """
    logits = written @ table[:, None].transpose(2, 3)
    logits = logits - logits.mean(-1, keepdim=True)
    found = []
    for side in (logits, -logits):
        raised = side.clamp_min(0)
        whole = raised.sum(-1)
        own = raised.gather(-1, most[..., None])[..., 0]
        share = torch.where(whole > 0, own / whole.clamp_min(1e-30), 0.0)
        found.append(share.mean((0, 2)))
    return torch.stack(found)
