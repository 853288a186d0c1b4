"""What a site holds over a corpus as shuffled batches: the same for a seed, whenever asked for.

Contexts are shuffled and read in blocks that fit in memory; the tokens of a block are shuffled
again. A batch is a function of its number, so a run that was broken off goes on with the very
batches it would have seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.corpus.chunks import Contexts
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Site

BLOCK_BYTES = {"cpu": 400_000_000, "cuda": 8_000_000_000}  # of activations held, in float16
READ_TOKENS = 2_048  # of one pass through the model
LARGEST = 65_504.0  # float16
SAMPLE = 20_000


@dataclass(frozen=True)
class _Block:
    """Neighbours in the shuffled order of one round over the corpus."""

    round: int
    number: int
    windows: tuple[int, ...]
    first: int  # number of its first batch
    n_batches: int


class SiteStream:
    """Batches of what a site holds at the tokens that count, scaled to a mean length sqrt(d)."""

    def __init__(
        self,
        loaded: Loaded,
        made: Contexts,
        windows: Sequence[int],
        site: Site,
        batch: int,
        seed: int,
    ) -> None:
        self.loaded, self.made, self.site = loaded, made, site
        self.windows, self.batch_size, self.seed = list(windows), batch, seed
        self._kept = [sum(made.windows[number].keep) for number in self.windows]
        self.n_tokens = sum(self._kept)
        if self.n_tokens < batch:
            raise Error(
                f"{made.name} holds {self.n_tokens:,} tokens to train on and one batch takes "
                f"{batch:,}; give a longer corpus, more contexts (n_contexts=) or a smaller batch="
            )
        self.scale, self.mean = 1.0, torch.zeros(0)
        self._blocks: list[_Block] = []
        self._packed: tuple[tuple[int, ...], Tensor] = ((), torch.zeros(0))
        self._order: tuple[_Block | None, Tensor] = (None, torch.zeros(0))

    def prepare(self, progress: Progress) -> int:
        """Read the first block; set scale and mean from it. Returns the width d."""
        block = self._block_of(0)
        raw = self.read(progress, block.windows)
        lengths = raw.norm(dim=-1).mean()
        self.scale = float(raw.shape[1] ** 0.5 / lengths.clamp_min(1e-12))
        self.mean = (raw * self.scale).mean(0)
        self._packed = (block.windows, self._half(raw))
        return int(raw.shape[1])

    def sample(self) -> Tensor:
        """Scaled values of the first tokens of the block at hand, for what needs a few only."""
        return self._packed[1][:SAMPLE].float()

    def batch(self, progress: Progress, step: int) -> Tensor:
        """Batch number `step`, [token, d] float32, scaled."""
        block = self._block_of(step)
        if self._packed[0] != block.windows:
            self._packed = (block.windows, self._half(self.read(progress, block.windows)))
        whole = self._packed[1]
        if self._order[0] != block:
            generator = self._generator(block.round, block.number + 1)
            order = torch.randperm(len(whole), generator=generator)
            self._order = (block, order.to(whole.device))
        start = (step - block.first) * self.batch_size
        return whole[self._order[1][start : start + self.batch_size]].float()

    def read(self, progress: Progress, windows: Sequence[int]) -> Tensor:
        """Unscaled values at the tokens of some contexts, [token, d] float32, by context."""
        order = sorted(windows, key=lambda i: (len(self.made.windows[i].ids), i))
        found: dict[int, Tensor] = {}
        size = max(1, READ_TOKENS // max(len(self.made.windows[i].ids) for i in order))
        for start in range(0, len(order), size):
            some = order[start : start + size]
            shown = rows(self.loaded, [self.made.windows[i].ids for i in some])
            seen = run(
                self.loaded, shown, read=[self.site], logits="none", check=progress.check
            ).values[self.site]
            keep = self.made.keep_mask(some, shown.ids.shape[1])
            for row, number in enumerate(some):
                kept = torch.from_numpy(keep[row]).to(seen.device)
                found[number] = seen[row][kept].flatten(1).float()
        return torch.cat([found[number] for number in windows])

    def _half(self, raw: Tensor) -> Tensor:
        return (raw * self.scale).clamp(-LARGEST, LARGEST).half()

    def _generator(self, *numbers: int) -> torch.Generator:
        seed = np.random.SeedSequence((self.seed, *numbers)).generate_state(1, np.uint64)[0]
        return torch.Generator().manual_seed(int(seed) % 2**63)

    def _block_of(self, step: int) -> _Block:
        """The block that holds batch `step`; rounds over the corpus follow one another."""
        while not self._blocks or step >= self._blocks[-1].first + self._blocks[-1].n_batches:
            number = self._blocks[-1].round + 1 if self._blocks else 0
            self._blocks += self._round(number)
        return next(b for b in self._blocks if b.first <= step < b.first + b.n_batches)

    def _round(self, number: int) -> list[_Block]:
        """One pass over the corpus in a new order, cut into blocks."""
        order = torch.randperm(len(self.windows), generator=self._generator(number, 0)).tolist()
        width = self.loaded.width(self.site)
        width *= self.loaded.d_head if self.site.component in ("head", "cross_head") else 1
        most = BLOCK_BYTES.get(self.loaded.device.type, BLOCK_BYTES["cpu"]) // (2 * width)
        if self.n_tokens <= most:
            order = sorted(order)  # all of it fits and is read once, in its own order
        blocks: list[tuple[int, ...]] = []
        held: list[int] = []
        tokens = 0
        for place in order:
            held.append(place)
            tokens += self._kept[place]
            if tokens >= max(most, self.batch_size):
                blocks.append(tuple(held))
                held, tokens = [], 0
        if held and (tokens >= self.batch_size or not blocks):
            blocks.append(tuple(held))
        first = self._blocks[-1].first + self._blocks[-1].n_batches if self._blocks else 0
        found = []
        for count, places in enumerate(blocks):
            n = sum(self._kept[place] for place in places) // self.batch_size
            numbers = tuple(self.windows[place] for place in places)
            found.append(_Block(number, count, numbers, first, n))
            first += n
        return found


def held_out(made: Contexts, share: int = 10) -> tuple[list[int], list[int], str]:
    """(contexts to train on, contexts held out, how they were divided).

    Every tenth document is held out; with fewer than ten documents the last tenth of the contexts.
    """
    n = len(made)
    if n < 2:
        raise Error(
            f"{made.name} gives one context only; a dictionary needs text to train on and other "
            "text to be judged on, so give a longer corpus"
        )
    documents = 1 + max(window.document for window in made.windows)
    if documents >= share:
        out = [i for i in range(n) if made.windows[i].document % share == share - 1]
        words = f"every {share}th document"
    else:
        out = list(range(n - max(1, n // share), n))
        words = "the last tenth of the contexts, since there are few documents"
    kept = set(out)
    return [i for i in range(n) if i not in kept], out, words
