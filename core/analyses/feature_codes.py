"""The codes of texts: what a dictionary finds in the tokens of a run."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from core.analyses.feature_rows import once
from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.analyses.splice import coded, target
from core.corpus.reference import reference_chunks
from core.dictionaries.sparse import Normed, SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import special
from core.spec.interventions import Change
from core.spec.site import Site
from kernels.feature_topk import Codes

PRE_ACTIVATIONS = 256_000_000  # tokens x features of one batch


@dataclass(frozen=True)
class Seen:
    """The counted tokens of some texts, text after text.

    normed  what the encoder read; y [token, d_out] what the dictionary should give
    more    values of other sites [token, ...]
    """

    codes: Codes
    normed: Normed
    y: Tensor
    counts: tuple[int, ...]  # counted tokens of each text
    more: dict[Site, Tensor]


def counted(loaded: Loaded, ids: Sequence[int]) -> list[bool]:
    """Which tokens count: no special ones, and not the first of a causal model, whose
    activations are unlike all others.
    """
    marks = [not is_special for is_special in special(loaded, ids)]
    if loaded.kind == "decoder" and marks:
        marks[0] = False
    return marks


def seen(
    loaded: Loaded,
    progress: Progress,
    dictionary: SparseDict,
    texts: Sequence[Sequence[int]],
    *,
    keep: Sequence[Sequence[bool]] | None = None,
    more: Sequence[Site] = (),
    change: Sequence[Change] = (),
) -> Seen:
    """One run of texts given as token ids. `keep`: the tokens wanted (None: all of them)."""
    places = list(dict.fromkeys((dictionary.site, dictionary.out_site, *more)))
    batch = rows(loaded, texts)
    trace = run(
        loaded,
        batch,
        read=places,
        change=[change] if change else (),
        logits="none",
        check=progress.check,
    )
    wanted = torch.zeros(batch.ids.shape, dtype=torch.bool)
    for row, text in enumerate(texts):
        wanted[row, : len(text)] = True if keep is None else torch.tensor(list(keep[row]))
    with loaded.busy():
        mask = wanted.to(loaded.device)
        values = {place: trace.values[place][mask] for place in places}
        codes, normed = coded(dictionary, values[dictionary.site])
        y = target(dictionary, values[dictionary.out_site])
    counts = tuple(int(n) for n in wanted.sum(dim=1))
    return Seen(codes, normed, y, counts, {place: values[place] for place in more})


def text_batches(
    dictionary: SparseDict, texts: Sequence[Sequence[int]], tokens: int = TOKENS_AT_ONCE
) -> Iterator[list[int]]:
    """Numbers of the texts that run together, of like length, in bounded memory."""
    tokens = max(1, min(tokens, PRE_ACTIVATIONS // dictionary.n_features))
    order = sorted(range(len(texts)), key=lambda number: (len(texts[number]), number))
    batch: list[int] = []
    for number in order:
        if batch and (len(batch) + 1) * len(texts[number]) > tokens:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


def mean_output(loaded: Loaded, progress: Progress, dictionary: SparseDict) -> tuple[Tensor, int]:
    """(mean [d_out] of what the dictionary should give over the reference text, its tokens);
    once per dictionary.
    """

    def make() -> tuple[Tensor, int]:
        texts = reference_chunks(loaded)
        total = torch.zeros(dictionary.d_out, dtype=torch.float64)
        n = 0
        for batch in text_batches(dictionary, texts):
            chosen = [texts[number] for number in batch]
            keep = [counted(loaded, text) for text in chosen]
            found = seen(loaded, progress, dictionary, chosen, keep=keep)
            total += found.y.double().sum(0).cpu()
            n += len(found.y)
        return (total / max(1, n)).float(), n

    return once(loaded, dictionary, "mean output", make)
