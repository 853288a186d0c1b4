"""The rows of one batch: token ids, padded on the right where lengths differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.models.loaded import Loaded
from core.models.tokens import encode


@dataclass(frozen=True)
class Rows:
    """ids [row, token]; `lengths` real tokens per row; `targets` decoder ids of an encoder-decoder.

    For an encoder-decoder `ids` go to the encoder and `targets` [row, token] to the decoder.
    """

    ids: Tensor
    lengths: tuple[int, ...]
    targets: Tensor | None = None

    @property
    def n(self) -> int:
        return self.ids.shape[0]

    @property
    def padded(self) -> bool:
        return min(self.lengths) < self.ids.shape[1]

    @property
    def alike(self) -> bool:
        """Every row holds the same text, so lower layers need to see it only once."""
        return self.n > 1 and not self.padded and bool((self.ids == self.ids[:1]).all())

    def mask(self) -> Tensor | None:
        """Attention mask [row, token], None when nothing is padded."""
        if not self.padded:
            return None
        places = torch.arange(self.ids.shape[1], device=self.ids.device)
        return (places[None] < torch.tensor(self.lengths, device=self.ids.device)[:, None]).long()


def rows(loaded: Loaded, texts: Sequence[Sequence[int]]) -> Rows:
    """Rows from lists of token ids."""
    longest = max(map(len, texts))
    filler = loaded.tokenizer.pad_token_id or 0
    ids = torch.full((len(texts), longest), filler, dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(list(text))
    targets = None
    if loaded.kind == "encoder-decoder":
        start = getattr(loaded.config, "decoder_start_token_id", None) or 0
        targets = torch.full((len(texts), 1), start, dtype=torch.long, device=loaded.device)
    return Rows(ids.to(loaded.device), tuple(map(len, texts)), targets)


def text_rows(loaded: Loaded, *texts: str) -> Rows:
    """Rows from texts, tokenized as the model's tokenizer does."""
    return rows(loaded, [encode(loaded, text) for text in texts])


def repeated(one: Rows, times: int) -> Rows:
    """The same single row several times."""
    targets = None if one.targets is None else one.targets.expand(times, -1)
    return Rows(one.ids.expand(times, -1), one.lengths * times, targets)
