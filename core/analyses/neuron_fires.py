"""Which neurons fire on weekdays? All neurons of a model scored against marked tokens."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from core.analyses.neuron_gallery import chosen, n_batch_tokens
from core.analyses.runs import Progress
from core.corpus.chunks import N_CONTEXTS, WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.corpus.spans import label_spans, pattern_spans, target_tokens, word_spans
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.neuron_fires import NeuronFires
from core.spec.errors import Error
from core.spec.site import Site
from kernels.top_examples.reading import edges
from kernels.top_examples.reference import histogram
from kernels.top_examples.state import BINS

N_SHIFTS = 20
LEAST_TARGETS = 3  # in each half
MOST_K = 1_000
MAX_COUNTS = 4_000_000_000  # bytes of all histograms
N_SHOWN_TARGETS = 12
_HALF_OCTAVES = BINS // 2
_CENTRE = _HALF_OCTAVES  # the bin around zero among the signed ones


def neuron_fires(
    loaded: Loaded,
    progress: Progress,
    *,
    words: Sequence[str] = (),
    pattern: str = "",
    label: str = "",
    token: str = "last",
    corpus: Corpus | None = None,
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    layer: int | Sequence[int] | None = None,
    k: int = 50,
    seed: int = 0,
) -> NeuronFires:
    """Score every neuron as a detector of the target tokens, in one pass over a corpus.

    words    whole words in any case; of a word of several tokens the `token` asked for counts
    pattern  a regular expression (RE2), its one group marking the part that is meant
    label    a planted label of the generated world; the corpus is "world" unless named
    k        rows of the table

    Pattern to features of the "Codebook Features" viewer, for raw neurons and with thresholds:
    running histograms by class (half octaves of the activation) give AUC and the threshold of
    best F1; chosen on half A of the documents, reported on half B. Control: marks rotated inside
    each context, 20 times, in the same pass.
    """
    sites = chosen(loaded, layer)
    if not isinstance(k, int) or not 1 <= k <= MOST_K:
        raise Error(f"k must be a whole number from 1 to {MOST_K:,}, not {k!r:.40}")
    _refuse_if_too_large(loaded, len(sites))
    source = corpus if corpus is not None else "world" if label else "built-in"
    made = contexts(loaded, source, field=field, window=window, n_contexts=n_contexts)
    target, spans = _spans(made, words, pattern, label)
    marks = _Marks(made, target_tokens(made, spans, token), target, seed)
    counts = _count(loaded, progress, made, marks, sites)
    with loaded.busy():
        return _result(loaded, made, marks, counts, sites, token, k)


def _spans(
    made: Contexts, words: Sequence[str], pattern: str, label: str
) -> tuple[str, list[list[tuple[int, int]]]]:
    """What is looked for in words, and where it stands in each document."""
    if sum(map(bool, (words, pattern, label))) != 1:
        raise Error("say what to look for: words=, pattern= or label=, one of the three")
    texts = [document.text for document in made.documents]
    if words:
        listed = [words] if isinstance(words, str) else list(words)
        what = "the word " if len(listed) == 1 else "one of the words "
        return (what + ", ".join(listed))[:200], word_spans(listed, texts)
    if pattern:
        return f"the pattern /{pattern}/", pattern_spans(pattern, texts)
    return f"the label {label}", label_spans(label, made)


def _refuse_if_too_large(loaded: Loaded, n_layers: int) -> None:
    neurons = n_layers * loaded.d_mlp
    size = neurons * (2 * _HALF_OCTAVES + 1) * 2 * (2 + N_SHIFTS) * 4
    if size > MAX_COUNTS:
        raise Error(
            f"counts of {neurons:,} neurons take {size / 1e9:.1f} GB, at most "
            f"{MAX_COUNTS / 1e9:.0f} GB are used; choose some layers with layer="
        )


class _Marks:
    """The target tokens of every context, their rotated controls, and the halves of documents.

    rows [1 + N_SHIFTS, token] of bool per context: the true marks, then the rotations.
    """

    def __init__(
        self, made: Contexts, targets: Sequence[Sequence[bool]], what: str, seed: int
    ) -> None:
        self.what = what
        self.met: Counter[int] = Counter()
        self.rows: list[np.ndarray] = []
        self.half = [_half(window.document) for window in made.windows]
        self.n_tokens, self.n_targets = [0, 0], [0, 0]
        generator = np.random.default_rng(seed)
        for window, target, half in zip(made.windows, targets, self.half, strict=True):
            kept = np.array(window.keep)
            own = np.array(target)[kept]
            self.met.update(np.array(window.ids)[kept][own].tolist())
            self.n_tokens[half] += len(own)
            self.n_targets[half] += int(own.sum())
            steps = generator.integers(1, max(2, len(own)), size=N_SHIFTS)
            self.rows.append(np.stack([own, *(np.roll(own, step) for step in steps)]))
        self._refuse_too_few(made)

    def _refuse_too_few(self, made: Contexts) -> None:
        found, least = sum(self.n_targets), min(self.n_targets)
        there = f"{made.name} ({sum(self.n_tokens):,} tokens)"
        if not found:
            raise Error(f"{self.what} is nowhere in {there}; try a larger corpus or another target")
        if least < LEAST_TARGETS:
            raise Error(
                f"too few places with {self.what} in {there}: {found}, of which {least} in one "
                f"half of the documents; each half needs {LEAST_TARGETS}"
            )
        if min(a - b for a, b in zip(self.n_tokens, self.n_targets, strict=True)) < LEAST_TARGETS:
            raise Error(f"{self.what} is nearly every token of {there}; choose something rarer")


def _half(document: int) -> int:
    """0 (A) or 1 (B), the same for a document in every process."""
    return (document * 2_654_435_761 >> 15) & 1


@dataclass
class _Counts:
    """Histograms of one layer: everything [half, unit, bin], marked [1 + N_SHIFTS, half, ...]."""

    every: Tensor
    marked: Tensor


def _count(
    loaded: Loaded, progress: Progress, made: Contexts, marks: _Marks, sites: Sequence[Site]
) -> list[_Counts]:
    """The pass: activations become counts by half, class and half octave."""
    shape = (2, loaded.d_mlp, 2 * _HALF_OCTAVES + 1)
    counts = [
        _Counts(*(torch.zeros(*n, *shape, dtype=torch.int32) for n in ((), (1 + N_SHIFTS,))))
        for _ in sites
    ]
    batches = made.batches(n_batch_tokens(loaded, len(sites)))
    for number, batch in enumerate(batches):
        note = f"reading {made.name}, part {number + 1} of {len(batches)}"
        progress.step(number / len(batches), note)
        given = rows(loaded, [made.windows[i].ids for i in batch])
        seen = run(loaded, given, read=sites, logits="none", check=progress.check)
        keep = torch.from_numpy(made.keep_mask(batch, given.ids.shape[1])).to(loaded.device)
        half = torch.tensor([marks.half[i] for i in batch], device=loaded.device)
        token_half = half[:, None].expand_as(keep)[keep]
        marked = torch.from_numpy(np.concatenate([marks.rows[i] for i in batch], axis=1))
        with loaded.busy():
            for site, each in zip(sites, counts, strict=True):
                values = seen.values[site][keep].float()
                _add(each, values, token_half, marked.to(loaded.device))
    return counts


def _add(counts: _Counts, values: Tensor, half: Tensor, marked: Tensor) -> None:
    """values [token, unit]; half [token]; marked [1 + N_SHIFTS, token]."""
    for side in (0, 1):
        own = half == side
        if bool(own.any()):
            counts.every[side] += _halved(values[own])
        for number, marks in enumerate(marked):
            chosen_ones = marks & own
            if bool(chosen_ones.any()):
                counts.marked[number, side] += _halved(values[chosen_ones])


def _halved(values: Tensor) -> Tensor:
    """Counts [unit, bin] by sign and half octave, on the CPU."""
    quarter = histogram(values).cpu()
    low, centre, high = quarter[:, :BINS], quarter[:, BINS : BINS + 1], quarter[:, BINS + 1 :]
    pairs = [part.view(len(part), -1, 2).sum(2, dtype=torch.int32) for part in (low, high)]
    return torch.cat([pairs[0], centre, pairs[1]], dim=1)


@dataclass
class _Scores:
    """One layer against one set of marks; [unit] each. A chooses, B is reported."""

    chosen_f1: Tensor
    f1: Tensor
    precision: Tensor
    recall: Tensor
    auc: Tensor
    direction: Tensor
    bin: Tensor


def scores(marked: Tensor, every: Tensor) -> _Scores:
    """marked, every [half, unit, bin] counts of the target tokens and of all tokens."""
    found = []
    for turned in (False, True):
        target, other = marked.double(), (every - marked).double()
        if turned:
            target, other = target.flip(2), other.flip(2)
        # Thresholds: the lower edges of the bins above zero.
        hits, false = (
            part.flip(2).cumsum(2).flip(2)[..., _CENTRE + 1 :] for part in (target, other)
        )
        total = target.sum(2, keepdim=True)
        f1 = 2 * hits / (hits + false + total).clamp_min(1)
        found.append((hits, false, total, f1))
    # Of equal scores the lowest threshold, and the positive side.
    best = [f1[0].max(dim=1) for *_, f1 in found]
    direction = torch.where(best[0].values >= best[1].values, 1, -1)
    positive = direction > 0
    place = torch.where(positive, best[0].indices, best[1].indices)
    hits, false, total, f1 = (
        torch.where(positive[:, None], one[1], other[1]).gather(1, index[:, None])[:, 0]
        for one, other, index in zip(*found, (place, place, place * 0, place), strict=True)
    )
    return _Scores(
        chosen_f1=torch.maximum(best[0].values, best[1].values),
        f1=f1,
        precision=hits / (hits + false).clamp_min(1),
        recall=hits / total.clamp_min(1),
        auc=_auc(marked[1].double(), (every[1] - marked[1]).double()),
        direction=direction,
        bin=place,
    )


def _auc(target: Tensor, other: Tensor) -> Tensor:
    """Chance that a target token lies higher than another, equals counted half, [unit]."""
    below = other.cumsum(1) - other / 2
    pairs = target.sum(1) * other.sum(1)
    return (target * below).sum(1) / pairs.clamp_min(1)


def _result(
    loaded: Loaded,
    made: Contexts,
    marks: _Marks,
    counts: Sequence[_Counts],
    sites: Sequence[Site],
    token: str,
    k: int,
) -> NeuronFires:
    own = [scores(each.marked[0], each.every) for each in counts]
    control_f1, control_auc = _controls(counts)
    f1 = torch.stack([each.f1 for each in own]).float().numpy()
    share = marks.n_targets[1] / marks.n_tokens[1]
    met = marks.met.most_common(N_SHOWN_TARGETS)
    layers = np.array([site.layer for site in sites])
    return NeuronFires(
        request={},
        target=marks.what,
        token=token,
        corpus=made.name,
        n_contexts=len(made),
        n_tokens=(marks.n_tokens[0], marks.n_tokens[1]),
        n_targets=(marks.n_targets[0], marks.n_targets[1]),
        targets=tuple(zip(pieces(loaded, [i for i, _ in met]), (n for _, n in met), strict=True)),
        always=(share, 2 * share / (1 + share)),
        layers=tuple(layers.tolist()),
        n_beyond=int((f1 > control_f1.max()).sum()),
        f1=f1,
        auc=torch.stack([each.auc for each in own]).float().numpy(),
        direction=torch.stack([each.direction for each in own]).to(torch.int8).numpy(),
        control_f1=control_f1,
        control_auc=control_auc,
        **_table(own, layers, k),
        stack=loaded.prompt_stack,
    )


def _table(own: Sequence[_Scores], layers: np.ndarray, k: int) -> dict[str, np.ndarray]:
    """The k neurons of best F1 on half A, by field of the result."""
    order = torch.cat([each.chosen_f1 for each in own]).argsort(descending=True, stable=True)[:k]

    def picked(name: str) -> np.ndarray:
        return torch.cat([getattr(each, name) for each in own])[order].numpy()

    place, n_neurons = order.numpy(), len(own[0].f1)
    low = edges()[1:-1].view(-1, 2)[:, 0].numpy()  # lower edge of each half octave
    above = picked("direction") > 0
    numbers = {
        "threshold": low[picked("bin")],
        "precision": picked("precision"),
        "recall": picked("recall"),
        "best_f1": picked("f1"),
        "best_auc": np.where(above, picked("auc"), 1 - picked("auc")),
    }
    return {
        "best_layer": layers[place // n_neurons],
        "best_neuron": place % n_neurons,
        "best_direction": np.where(above, 1, -1).astype(np.int8),
        **{name: values.astype(np.float32) for name, values in numbers.items()},
    }


def _controls(counts: Sequence[_Counts]) -> tuple[np.ndarray, np.ndarray]:
    """Best F1 and AUC of all neurons for each rotation, [shift]."""
    best = np.zeros((2, N_SHIFTS))
    for number in range(N_SHIFTS):
        for each in counts:
            found = scores(each.marked[1 + number], each.every)
            reached = (found.f1.max(), torch.maximum(found.auc, 1 - found.auc).max())
            best[:, number] = np.maximum(best[:, number], [float(value) for value in reached])
    return best[0].astype(np.float32), best[1].astype(np.float32)
