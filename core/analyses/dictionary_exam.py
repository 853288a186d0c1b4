"""How good a dictionary in training is, on contexts it never trains on."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from core.analyses.runs import LOGITS_AT_ONCE, Progress
from core.analyses.site_stream import SiteStream
from core.analyses.splice import held_at, spliced
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.site import Site
from kernels.feature_topk import Activation

TOKENS, LIVE_TOKENS = 16_384, 2_048  # judged in the end, and for every point of the curves
LOSS_CONTEXTS, LIVE_CONTEXTS = 64, 8
BATCH_TOKENS = 2_048


@dataclass(frozen=True)
class Fit:
    """On `n` tokens; fvu and l0 as in the result, `fired` [feature] bool."""

    fvu: float
    l0: float
    fired: Tensor


class Exam:
    """Held-out contexts, their activations, and the model's own losses there."""

    def __init__(self, loaded: Loaded, stream: SiteStream, windows: Sequence[int]) -> None:
        self.loaded, self.stream, self.made = loaded, stream, stream.made
        self.windows = _first(stream, windows, TOKENS)
        self.live = _first(stream, windows, LIVE_TOKENS)
        self.missing = ""
        try:
            refuse_without_next_tokens(loaded, "the cost of a dictionary")
        except Error as why:
            self.missing = str(why)
        self._values: dict[int, Tensor] = {}

    def values(self, progress: Progress, live: bool = False) -> Tensor:
        """Raw activations [token, d] of the held-out tokens."""
        wanted = self.live if live else self.windows
        if len(wanted) not in self._values:
            self._values[len(wanted)] = self.stream.read(progress, wanted)
        return self._values[len(wanted)]

    def fit(self, dictionary: SparseDict, x: Tensor) -> Fit:
        """FVU, L0 and what fires, on raw activations [token, d]."""
        error = variance = 0.0
        active, mean = 0, x.mean(0)
        fired = torch.zeros(dictionary.n_features, dtype=torch.bool, device=x.device)
        for part in x.split(BATCH_TOKENS):
            normed = dictionary.normed(part)
            codes = dictionary.codes_of(normed)
            rebuilt = dictionary.decode(codes, normed)
            error += float((part - rebuilt).double().pow(2).sum())
            variance += float((part - mean).double().pow(2).sum())
            active += len(codes.value)
            fired[codes.feature.long()] = True
        return Fit(error / max(variance, 1e-30), active / len(x), fired)

    def loss(self, progress: Progress, stand: SparseDict | Tensor | None, live: bool) -> float:
        """Nats a next token, with nothing, a dictionary or one value at the site; NaN without."""
        if self.missing:
            return float("nan")
        lost, n = 0.0, 0
        wanted = self.live[:LIVE_CONTEXTS] if live else self.windows[:LOSS_CONTEXTS]
        longest = max(len(self.made.windows[i].ids) for i in wanted)
        tokens = min(BATCH_TOKENS, LOGITS_AT_ONCE // (2 * self.loaded.d_vocab))
        size = max(1, tokens // longest)
        for start in range(0, len(wanted), size):
            some = wanted[start : start + size]
            shown = rows(self.loaded, [self.made.windows[i].ids for i in some])
            keep = torch.from_numpy(self.made.keep_mask(some, shown.ids.shape[1]))
            keep = keep.to(self.loaded.device)
            with self._standing(stand, shown, keep):
                logits = run(self.loaded, shown, check=progress.check).logits
            assert logits is not None
            asked = keep[:, 1:].to(logits.device)
            lost += float((next_token_losses(logits, shown).double() * asked).sum())
            n += int(asked.sum())
        return lost / max(n, 1)

    def _standing(
        self, stand: SparseDict | Tensor | None, shown: object, keep: Tensor
    ) -> AbstractContextManager[None]:
        if stand is None:
            return self.loaded.busy()
        if isinstance(stand, SparseDict):
            return spliced(self.loaded, shown, stand, keep)  # type: ignore[arg-type]
        site, device = self.stream.site, self.loaded.device
        dummy = _constant(site, stand.to(device))
        return held_at(self.loaded, shown, dummy, keep, stand.to(device))  # type: ignore[arg-type]


def pca(site: Site, sample: Tensor, k: int, scale: float, heads: bool) -> SparseDict:
    """The k first principal components of scaled values [token, d] as a dictionary of 2k features.

    Both signs of a component are features, so that ReLU loses nothing.
    """
    mean = sample.mean(0)
    centred = (sample - mean).double()
    _, vectors = torch.linalg.eigh(centred.T @ centred)
    top = vectors[:, -min(k, sample.shape[1]) :].float()
    both = torch.cat([top, -top], dim=1)
    empty = torch.zeros(both.shape[1], device=sample.device)
    return SparseDict(
        "PCA",
        site,
        site,
        both,
        empty,
        both.T.contiguous(),
        mean / scale,
        Activation("relu"),
        b_in=mean / scale,
        heads=heads,
    )


def _constant(site: Site, value: Tensor) -> SparseDict:
    """Only says where one value is to be held."""
    d = len(value)
    empty = value.new_zeros(d, 1)
    act = Activation("relu")
    return SparseDict("", site, site, empty, empty[0], empty.T, value, act)


def _first(stream: SiteStream, windows: Sequence[int], tokens: int) -> list[int]:
    """Contexts spread over those held out, of about that many tokens."""
    per_window = stream.made.n_tokens / len(stream.made)
    wanted = max(1, min(len(windows), round(tokens / per_window)))
    step = len(windows) / wanted
    return [windows[int(place * step)] for place in range(wanted)]
