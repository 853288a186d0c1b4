"""How good is a dictionary: what it leaves unexplained, how many features it needs, what it costs.

Measures after SAEBench, SAELens and dictionary_learning; the mean is that of the data set, and
losses are given in nats before any share of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import dictionary_moments as moments
from core.analyses.asked import whole
from core.analyses.dictionary_controls import (
    random_dictionary,
    reads_alike,
    shuffled_dictionary,
)
from core.analyses.dictionary_losses import Losses, losses
from core.analyses.dictionary_moments import Groups, Sums
from core.analyses.runs import Progress
from core.analyses.splice import encoded, target
from core.corpus.chunks import N_CONTEXTS, WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.dictionaries import shelf
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.engine.token_scores import piece_table
from core.models.loaded import Loaded
from core.results.dictionary_report import CONDITIONS, DictionaryReport
from core.spec.errors import Error
from kernels.feature_topk import COMPETING

N_LOSS_CONTEXTS = 64
N_PILOT = 32  # contexts for a first mean, and for how many features are active
BATCH_TOKENS = 2_048
N_WORST, LEAST_COUNTED = 20, 8  # contexts shown; tokens that a context needs to be among them
MOST_DICTIONARIES = 20


def dictionary_report(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str = "",
    dictionaries: Sequence[str] = (),
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    n_loss_contexts: int = N_LOSS_CONTEXTS,
    seed: int = 0,
) -> DictionaryReport:
    """L0, FVU and what the model loses when the dictionary stands in for the site.

    dictionary, dictionaries   names; without any, all that the model has
    n_loss_contexts            contexts, evenly spaced, in which losses are measured

    Controls: random unit rows with the encoder their transpose and as many features a token; the
    dictionary's own rows dealt out anew; zero and the mean at the site.
    """
    books = chosen(loaded, dictionary, dictionaries)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    n_loss = whole("n_loss_contexts", n_loss_contexts, 100_000)
    with loaded.busy():
        studies = [_Study(book, made) for book in books]
        _pilot(loaded, progress, made, studies, seed)
        _count(loaded, progress, made, studies)
        found = losses(
            loaded,
            progress,
            made,
            [(study.variants, study.positions.mean.float()) for study in studies],
            spread(len(made), n_loss),
            seed,
        )
        return _result(loaded, made, studies, found)


def chosen(loaded: Loaded, dictionary: str, dictionaries: Sequence[str] = ()) -> list[SparseDict]:
    """The dictionaries asked for by name, each once; all of the model's for none."""
    listed = [dictionaries] if isinstance(dictionaries, str) else list(dictionaries)
    names = list(dict.fromkeys(name for name in (dictionary, *listed) if name))
    names = names or list(loaded.dictionaries)
    if not names:
        raise Error(f"{loaded.name} has no dictionary; add one and name it with dictionary=")
    if len(names) > MOST_DICTIONARIES:
        raise Error(f"{len(names)} dictionaries; at most {MOST_DICTIONARIES} are compared at once")
    books = [shelf.of(loaded.dictionaries, name) for name in names]
    for book in books:
        loaded.check(book.site)
        loaded.check(book.out_site)
    return books


def spread(n: int, most: int) -> list[int]:
    """At most that many numbers below n, evenly spaced."""
    return sorted({int(place) for place in np.linspace(0, n - 1, min(n, most))})


@dataclass
class _Worst:
    """A context that is reconstructed badly."""

    context: int
    fvu: float
    error: np.ndarray  # [token] of the whole window, NaN where not counted


@dataclass
class _Study:
    """One dictionary with its controls, and what was added up so far."""

    book: SparseDict
    made: Contexts
    variants: dict[str, SparseDict] = field(default_factory=dict)
    sums: dict[str, Sums] = field(default_factory=dict)
    worst: list[_Worst] = field(default_factory=list)

    def begin(self, mean: Tensor, k: int, seed: int) -> None:
        """Ready to count, once a first mean and the number of active features are known."""
        own = self.book.act.k if self.book.act.kind in COMPETING else k
        made = [
            self.book,
            random_dictionary(self.book, own, seed),
            shuffled_dictionary(self.book, seed),
        ]
        self.variants = dict(zip(CONDITIONS, made, strict=True))
        self.sums = {name: Sums(self.book.d_out) for name in CONDITIONS}
        self.edges = _position_edges(max(len(window.ids) for window in self.made.windows))
        self.positions = Groups(len(self.edges) - 1, mean)
        self.norms = Groups(moments.OCTAVES * moments.PER_OCTAVE, mean)
        self.counts = torch.zeros(self.book.n_features, dtype=torch.int64)

    def add(self, numbers: Sequence[int], values: dict[Any, Tensor], keep: np.ndarray) -> None:
        """One batch; values of the sites [row, token, ...], keep [row, token]."""
        place = torch.from_numpy(keep).reshape(-1).nonzero()[:, 0]
        out = target(self.book, values[self.book.out_site])
        y = out[place.to(out.device)]
        flat = self.book.flat(values[self.book.site])
        own, normed = encoded(self.book, flat[place.to(flat.device)])
        for name, variant in self.variants.items():  # all of them normalise alike
            codes = own if reads_alike(variant, self.book) else variant.codes_of(normed)
            written = (codes.value * variant.lengths[codes.feature.long()]).double().sum()
            made = variant.decode(codes, normed)
            error = self.sums[name].add(y, made, len(codes.value), float(written))
            if variant is self.book:
                fired = torch.bincount(codes.feature.long(), minlength=self.book.n_features)
                self.counts += fired.cpu()
                self._by_group(y, error, place % keep.shape[1])
                self._by_context(numbers, y, error, keep)

    def _by_group(self, y: Tensor, error: Tensor, position: Tensor) -> None:
        edges = torch.tensor(self.edges)
        self.positions.add(torch.bucketize(position, edges, right=True) - 1, y, error)
        self.norms.add(moments.norm_group(y.float().norm(dim=-1)), y, error)

    def _by_context(
        self, numbers: Sequence[int], y: Tensor, error: Tensor, keep: np.ndarray
    ) -> None:
        away = (y.double().cpu() - self.positions.shift).square().sum(-1)
        ends = np.cumsum(keep.sum(axis=1))
        for row, (number, end) in enumerate(zip(numbers, ends, strict=True)):
            own = slice(int(end - keep[row].sum()), int(end))
            if keep[row].sum() < LEAST_COUNTED:
                continue
            whole = np.full(len(self.made.windows[number].ids), np.nan)
            whole[np.flatnonzero(keep[row])] = error[own].numpy()
            share = float(error[own].sum() / away[own].sum().clamp_min(1e-30))
            self.worst.append(_Worst(number, share, whole))
        self.worst.sort(key=lambda each: (-each.fvu, each.context))
        del self.worst[N_WORST:]


def _position_edges(longest: int) -> list[int]:
    """0, 1, 2, 4, 8 ... to the longest context."""
    edges = [0, 1]
    while edges[-1] < longest:
        edges.append(min(2 * edges[-1], longest))
    return edges


def _pilot(
    loaded: Loaded, progress: Progress, made: Contexts, studies: Sequence[_Study], seed: int
) -> None:
    """A first mean of every out-site, and how many features a token has."""
    totals: list[list[Any]] = [[0.0, 0, 0] for _ in studies]
    for numbers, values in _read(loaded, progress, made, studies, spread(len(made), N_PILOT)):
        keep = made.keep_mask(numbers, next(iter(values.values())).shape[1])
        place = torch.from_numpy(keep).reshape(-1).nonzero()[:, 0]
        for total, study in zip(totals, studies, strict=True):
            out = target(study.book, values[study.book.out_site])
            flat = study.book.flat(values[study.book.site])
            codes, _ = encoded(study.book, flat[place.to(flat.device)])
            total[0] = total[0] + out[place.to(out.device)].double().sum(0)
            total[1] += len(codes.value)
            total[2] += len(place)
    for (total_y, active, n), study in zip(totals, studies, strict=True):
        study.begin(total_y / n, round(active / n), seed)


def _count(loaded: Loaded, progress: Progress, made: Contexts, studies: Sequence[_Study]) -> None:
    done = 0
    for numbers, values in _read(loaded, progress, made, studies, range(len(made))):
        keep = made.keep_mask(numbers, next(iter(values.values())).shape[1])
        for study in studies:
            study.add(numbers, values, keep)
        done += len(numbers)
        progress.step(0.6 * done / len(made), f"{made.name}: context {done} of {len(made)}")


def _read(
    loaded: Loaded,
    progress: Progress,
    made: Contexts,
    studies: Sequence[_Study],
    wanted: Sequence[int],
) -> Any:
    """(numbers of contexts, {site: values [row, token, ...]}) batch by batch, short ones first."""
    sites = list(dict.fromkeys(s for each in studies for s in (each.book.site, each.book.out_site)))
    asked = set(wanted)
    for batch in made.batches(BATCH_TOKENS):
        numbers = [number for number in batch if number in asked]
        if numbers:
            shown = rows(loaded, [made.windows[number].ids for number in numbers])
            yield (
                numbers,
                run(loaded, shown, read=sites, logits="none", check=progress.check).values,
            )


def _result(
    loaded: Loaded, made: Contexts, studies: Sequence[_Study], found: Losses
) -> DictionaryReport:
    parts = [_of(study) for study in studies]
    stacked: dict[str, Any] = {name: _padded([p[name] for p in parts]) for name in parts[0]}
    shown = stacked["worst_ids"]
    piece_ids, pieces = piece_table(loaded, torch.from_numpy(shown[shown >= 0]))
    first = studies[0]
    return DictionaryReport(
        request={},
        pieces=pieces,
        piece_ids=piece_ids,
        dictionaries=tuple(study.book.name for study in studies),
        sites=tuple(_place(study.book) for study in studies),
        corpus=made.name,
        n_tokens=made.n_tokens,
        n_contexts=len(made),
        density={s.book.name: s.counts.numpy() / max(1, made.n_tokens) for s in studies},
        position_edges=np.array(first.edges),
        position_n=first.positions.n.long().numpy(),
        **stacked,
        **found.fields(),
    )


def _place(book: SparseDict) -> str:
    return f"{book.site} to {book.out_site}" if book.transcoder else str(book.site)


def _of(study: _Study) -> dict[str, np.ndarray]:
    """The fields of one dictionary that are stacked with those of the others."""
    variance = float(study.positions.variance().sum())
    sums = [study.sums[name] for name in CONDITIONS]
    unexplained = np.array([each.unexplained(variance) for each in sums])
    parts = moments.equal_parts(study.norms.n.numpy())
    ends = [part.start for part in parts] + [parts[-1].stop]
    mean_error = sums[0].mean("error") or 1.0
    ids = [np.array(study.made.windows[each.context].ids) for each in study.worst]
    return {
        "n_features": np.array(study.book.n_features),
        "l0": np.array([each.mean("l0") for each in sums]),
        "l1": np.array([each.mean("l1") for each in sums]),
        "fvu": unexplained[:, 0],
        "fvu_centred": unexplained[:, 1],
        "cosine": np.array([each.mean("cosine") for each in sums]),
        "norm_ratio": np.array([each.mean("ratio") for each in sums]),
        "bias": np.array([each.bias for each in sums]),
        "dead_share": np.array(float((study.counts == 0).float().mean())),
        "position_fvu": study.positions.fvu(),
        "norm_edges": np.array([moments.norm_edge(end) for end in ends]),
        "norm_n": np.array([study.norms.n[part].sum().item() for part in parts]),
        "norm_fvu": study.norms.fvu(parts),
        "worst_context": np.array([each.context for each in study.worst], dtype=np.int64),
        "worst_fvu": np.array([each.fvu for each in study.worst]),
        "worst_ids": _padded(ids) if ids else np.empty((0, 0), dtype=np.int64),
        "worst_error": _padded([each.error / mean_error for each in study.worst])
        if ids
        else np.empty((0, 0)),
    }


def _padded(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of like rank in one, filled up behind with -1 (whole numbers) or NaN."""
    shape = np.max([array.shape for array in arrays], axis=0).astype(int)
    whole = all(array.dtype.kind in "iu" for array in arrays)
    full = np.full((len(arrays), *shape), -1 if whole else np.nan, np.int64 if whole else float)
    for row, array in enumerate(arrays):
        place: tuple[Any, ...] = (row, *(slice(0, end) for end in array.shape))
        full[place] = array
    return full
