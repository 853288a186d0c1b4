"""What a feature does to next tokens by all paths, beside its lens and random directions."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.asked import whole
from core.analyses.feature_codes import text_batches
from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_rows import (
    check_feature,
    feature_site,
    opened_dictionary,
    random_directions,
    stream_rows,
)
from core.analyses.runs import LOGITS_AT_ONCE, Progress, divergence, log_probabilities
from core.analyses.splice import put, target
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.hooks import Act, acting
from core.engine.loss import refuse_without_next_tokens
from core.engine.rows import Rows, rows
from core.engine.token_scores import piece_table, vocabulary
from core.galleries.reading import FeatureGallery
from core.models.loaded import Loaded
from core.models.tokens import known_ids
from core.results.feature_effect import CONDITIONS, FeatureEffect
from core.spec.errors import Error
from core.spec.site import Site

N_TEXTS, N_CONTROLS = 64, 4
MOST = {"n_texts": 1_024, "n_controls": 64, "k": 200}
N_AGREEMENT = 50
MOST_TIMES = 1_000.0


def feature_effect(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    feature: int,
    times: float = 1.0,
    k: int = 10,
    n_texts: int = N_TEXTS,
    n_controls: int = N_CONTROLS,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> FeatureEffect:
    """The tokens that become likelier and less likely when a feature is added, and when it is
    taken away where it fires; how far its lens foretells them.

    times    of its largest activation in the gallery of the corpus (made where there is none)
    n_texts  contexts of that gallery for each of the two
    Tokens that do not count are left alone and are in no mean.
    """
    own = opened_dictionary(loaded, dictionary)
    one = check_feature(own, feature)
    _check(times, n_texts=n_texts, n_controls=n_controls, k=k)
    refuse_without_next_tokens(loaded, "the total effect of a feature")
    place: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    place |= {"dictionary": dictionary, "corpus": corpus, "seed": seed, "with_codes": False}
    gallery = opened(loaded, progress, **place)
    largest = _largest(gallery, one)
    direct, why = _direct(loaded, own, one)
    known = known_ids(loaded)
    drawn = random_directions(own.W_dec[:1].float(), n_controls, seed, like=False)
    sums = []
    for number, contexts in enumerate((_spread(gallery, n_texts), _firing(gallery, one, n_texts))):
        move = _Move(own, one, times * largest if number == 0 else None)
        study = _Study(loaded, progress, gallery, move, drawn, 0.5 * number, known)
        sums.append(study.of(contexts))
    return FeatureEffect(
        request={},
        dictionary=own.name,
        feature=one,
        site=feature_site(own, one),
        out_site=str(own.out_site),
        corpus=gallery.manifest.corpus,
        times=float(times),
        n_vocabulary=known,
        n_controls=n_controls,
        why_no_lens=why,
        activation=float(times) * largest,
        **_sizes(sums),
        **_lists(loaded, sums, direct, k),
    )


def _check(times: float, **numbers: int) -> None:
    number = isinstance(times, int | float) and not isinstance(times, bool)
    if not number or not 0 < abs(times) <= MOST_TIMES:
        raise Error(f"times is a number up to {MOST_TIMES:,.0f} and not 0, not {str(times)[:20]}")
    for name, value in numbers.items():
        whole(name, value, MOST[name])


def _largest(gallery: FeatureGallery, one: int) -> float:
    """The feature's largest activation. Raises `Error` where it has none."""
    largest = float(gallery.max[one])
    if not largest > 0:
        raise Error(
            f"feature {one:,} of {gallery.manifest.dictionary} fires nowhere in "
            f"{gallery.manifest.corpus}, so there is no size to add; take another corpus"
        )
    return largest


def _direct(loaded: Loaded, dictionary: SparseDict, one: int) -> tuple[np.ndarray | None, str]:
    """(score of every token on the direct path [token], ""), or (None, why there is none)."""
    try:
        with loaded.busy():
            words = vocabulary(loaded, stack=dictionary.out_site.stack)
            scores = words.rows @ stream_rows(loaded, dictionary, [one])[0].to(words.rows)
    except Error as why:
        return None, str(why)
    return (scores - scores.mean()).float().cpu().numpy(), ""


def _spread(gallery: FeatureGallery, n: int) -> list[int]:
    """Contexts evenly over the corpus."""
    every = gallery.n_contexts
    return sorted({int(at) for at in np.linspace(0, every - 1, min(n, every))})


def _firing(gallery: FeatureGallery, one: int, n: int) -> list[int]:
    """Contexts where it fires: those of firings drawn evenly first."""
    found: dict[int, None] = {}
    for listed in (gallery.sample, gallery.weighted, gallery.top):
        found |= dict.fromkeys(at for at in listed.context[one].tolist() if at >= 0)
    return sorted(list(found)[:n])


@dataclass
class _Move:
    """One feature moved along what it writes: by an amount, or to zero (None).

    Wherever `keep` [row, token] is true; with a direction [d_out] as far in that direction. What
    it saw stays in `fires` [row, token] and, of the tokens it moved, in `length` and `stream`.
    """

    dictionary: SparseDict
    unit: int
    amount: float | None
    fires: Tensor = field(init=False)
    length: float = field(init=False)
    stream: float = field(init=False)

    @contextmanager
    def made(
        self, loaded: Loaded, shown: Rows, keep: Tensor, direction: Tensor | None
    ) -> Iterator[None]:
        """Runs inside are changed."""
        own = self.dictionary
        held: list[tuple[Tensor, Tensor]] = []

        def listen(values: Tensor) -> None:
            held.append(own.one(values.to(own.W_enc.device), self.unit))

        def write(values: Tensor) -> Tensor:
            if not own.transcoder:
                listen(values)
            now, step = held.pop()
            by = -now if self.amount is None else torch.full_like(now, self.amount)
            moved = by[:, None] * step
            size = torch.linalg.vector_norm(moved, dim=1, keepdim=True)
            if direction is not None:
                moved = size * direction.to(moved)
            flat = values.reshape(moved.shape).to(moved)
            mask = keep.to(moved.device).reshape(-1)
            self.fires = (now > 0).reshape(keep.shape)
            self.length = float(size[mask].sum())
            self.stream = float(torch.linalg.vector_norm(target(own, flat)[mask], dim=1).sum())
            return put(values, flat + moved, keep)

        acts: dict[Site, Act] = {own.out_site: write}
        if own.transcoder:
            acts[own.site] = listen
        with acting(loaded, shown, acts):
            yield


@dataclass
class _Sums:
    """Over tokens: change [case, token of the vocabulary] and KL [case], the controls behind; then
    the standard error of the first case over contexts."""

    change: np.ndarray
    kl: np.ndarray
    error: np.ndarray
    n: int
    n_texts: int
    length: float
    stream: float


@dataclass
class _Study:
    """One condition in some contexts."""

    loaded: Loaded
    progress: Progress
    gallery: FeatureGallery
    move: _Move
    drawn: Tensor
    done: float
    known: int

    def of(self, contexts: Sequence[int]) -> _Sums:
        n_cases = 1 + len(self.drawn)
        self.total = torch.zeros(n_cases, self.known, dtype=torch.float64)
        self.kl = torch.zeros(n_cases, dtype=torch.float64)
        # Sums over contexts of s^2, s n and n^2, s the sum of a context's n changes.
        self.square, self.mixed = torch.zeros(2, self.known, dtype=torch.float64)
        self.counts: list[Tensor] = []
        self.length = self.stream = 0.0
        text = self.gallery.text
        ids = [text.context_ids(at).tolist() for at in contexts]
        keep = [text.keep[text.start[at] : text.start[at + 1]].tolist() for at in contexts]
        room = max(1, LOGITS_AT_ONCE // (4 * self.loaded.d_vocab))
        read = 0
        for some in text_batches(self.move.dictionary, ids, room):
            share, name = read / len(ids), "added" if self.move.amount is not None else "ablated"
            self.progress.step(self.done + 0.5 * share, f"{name}: context {read} of {len(ids)}")
            self._batch([ids[at] for at in some], [keep[at] for at in some])
            read += len(some)
        return self._sums()

    def _batch(self, ids: list[list[int]], keep: list[list[bool]]) -> None:
        shown = rows(self.loaded, ids)
        marks = torch.zeros(shown.ids.shape, dtype=torch.bool)
        for row, own in enumerate(keep):
            marks[row, : len(own)] = torch.tensor(own)
        clean = self._log_p(shown)
        for case, direction in enumerate((None, *self.drawn)):
            with self.move.made(self.loaded, shown, marks, direction):
                after = self._log_p(shown)
            if case == 0:
                asked = marks if self.move.amount is not None else marks & self.move.fires.cpu()
                asked = asked.to(after.device)
                self.length += self.move.length
                self.stream += self.move.stream
            apart = divergence(clean, after)
            self.kl[case] += float((apart.double() * asked).sum())
            moved = torch.einsum("rtv,rt->rv", after - clean, asked.to(after)).double().cpu()
            moved = moved[:, : self.known]
            self.total[case] += moved.sum(0)
            if case == 0:
                n = asked.sum(1).double().cpu()
                self.counts.append(n)
                self.square += moved.square().sum(0)
                self.mixed += (moved * n[:, None]).sum(0)

    def _log_p(self, shown: Rows) -> Tensor:
        logits = run(self.loaded, shown, check=self.progress.check).logits
        assert logits is not None
        return log_probabilities(logits)

    def _sums(self) -> _Sums:
        counts = torch.cat(self.counts) if self.counts else torch.zeros(0, dtype=torch.float64)
        counts = counts[counts > 0]
        n = float(counts.sum())
        nan = float("nan")
        mean = self.total / (n or nan)
        spread = self.square - 2 * mean[0] * self.mixed + mean[0].square() * counts.square().sum()
        size = len(counts)
        error = (
            spread.clamp_min(0).sqrt() / (n or nan) if size > 1 else torch.full_like(spread, nan)
        )
        error = error * (size / max(1, size - 1)) ** 0.5
        kl = (self.kl / (n or nan)).numpy()
        parts = (mean.numpy(), kl, error.numpy(), int(n), size)
        return _Sums(*parts, self.length, self.stream)


def _sizes(sums: Sequence[_Sums]) -> dict[str, Any]:
    """How much was moved, of how much text, and how far answers went, by field of the result."""
    added = sums[0]
    return {
        "length": added.length / max(1, added.n),
        "stream": added.stream / max(1, added.n),
        "n_contexts": np.array([each.n_texts for each in sums]),
        "n_tokens": np.array([each.n for each in sums]),
        "kl": np.array([each.kl[0] for each in sums]),
        "control_kl": np.array([each.kl[1:] for each in sums]),
        "control_largest": np.array([np.abs(each.change[1:]).max(1) for each in sums]),
    }


def _lists(
    loaded: Loaded, sums: Sequence[_Sums], direct: np.ndarray | None, k: int
) -> dict[str, Any]:
    """Tokens by what happens to them and by the lens, by field of the result."""
    found: dict[str, list[Any]] = {}
    rank = np.zeros(sums[0].change.shape[1], np.int64)
    score = np.full(len(rank), np.nan) if direct is None else direct
    if direct is not None:
        rank[np.argsort(-direct, kind="stable")] = np.arange(1, len(direct) + 1)
    first = np.argsort(-score, kind="stable")[:N_AGREEMENT]
    for number, each in enumerate(sums):
        own, controls = each.change[0], each.change[1:]
        for end, sign in (("top", -1), ("bottom", 1)):
            ids = np.argsort(sign * own, kind="stable")[:k]
            parts = (ids, own[ids], each.error[ids], controls[:, ids].mean(0), rank[ids])
            for name, part in zip(
                ("ids", "change", "error", "control", "rank"), parts, strict=True
            ):
                found.setdefault(f"{end}_{name}", []).append(part)
        found.setdefault("direct_change", []).append(own[first])
        found.setdefault("direct_control", []).append(controls[:, first].mean(0))
        # Taking the feature away should do the opposite of what its lens says.
        turned = -score if CONDITIONS[number] == "ablated" else score
        for name, tokens in (("agreement", first), ("whole", slice(None))):
            like = [_spearman(turned[tokens], one[tokens]) for one in each.change]
            found.setdefault(name, []).append(like[0])
            found.setdefault(f"control_{name}", []).append(like[1:])
    arrays = {name: np.array(parts) for name, parts in found.items()}
    listed = (arrays["top_ids"], arrays["bottom_ids"], first)
    piece_ids, pieces = piece_table(loaded, *map(torch.from_numpy, listed))
    return {
        **arrays,
        "n_agreement": len(first),
        "direct_ids": first,
        "direct_score": score[first],
        "pieces": pieces,
        "piece_ids": piece_ids,
    }


def _spearman(one: np.ndarray, two: np.ndarray) -> float:
    """Rank correlation; NaN where either says nothing."""
    from scipy.stats import spearmanr

    if len(one) < 3 or not (np.isfinite(one).all() and np.isfinite(two).all()):
        return float("nan")
    if not one.std() or not two.std():
        return float("nan")
    return float(spearmanr(one, two).statistic)
