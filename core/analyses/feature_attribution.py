"""Which features made this prediction: slopes times activations, some checked by ablation.

After attribution patching and the concept attribution of "LLM Pretraining with Continuous
Concepts" (2025).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import (
    Progress,
    at_position,
    log_probabilities,
    logit_position,
    prompt_rows,
)
from core.analyses.splice import coded
from core.dictionaries import shelf
from core.dictionaries.sparse import Normed, SparseDict
from core.engine.forward import call, run
from core.engine.gradients import site_gradients
from core.engine.head_attribution import Score
from core.engine.hooks import acting
from core.engine.rows import Rows, repeated
from core.models.loaded import Loaded
from core.models.tokens import known_ids, pieces, special
from core.models.words import one_token
from core.results.feature_attribution import FeatureAttribution
from core.spec.errors import Error
from kernels.feature_topk import Codes

N_SIDE = 15  # features listed on either side
N_VERIFIED = 10
N_RANDOM = 20
POINTS = 10
GATHERED = 16_000_000  # numbers of decoder rows held at once
MEASURES = ("logit", "log p")


def feature_attribution(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str,
    dictionary: str,
    position: int | None = None,
    answer: str | int = "",
    against: str | int = "",
    measure: str = "logit",
    integrated: bool = False,
    base: str = "",
    seed: int = 0,
) -> FeatureAttribution:
    """What every feature adds, at every token, to the answer's score at a position.

    answer      a token, "" the most probable one; against: another, "" the vocabulary's mean
    measure     "logit" (answer less against) or "log p" (of the answer; slopes vanish where it is
                sure)
    integrated  slopes averaged over 10 points between all features at their base and as they are:
                says what they do together; False, one slope where they are: what each does alone
    base        a text of as many tokens that features are compared with; "": with none active

    The dictionary's error stays in place, and its biases do. The ten features of largest total are
    taken out one by one to see whether the sum says what happens.
    """
    if measure not in MEASURES:
        raise Error(f"measure is one of {', '.join(MEASURES)}, not {str(measure)[:40]!r}")
    book = shelf.of(loaded.dictionaries, dictionary)
    prompt, ids = prompt_rows(loaded, text)
    place = at_position(ids, position)
    at = logit_position(loaded, place)
    seen = run(loaded, prompt, read=[book.site, book.out_site], logits=[at], check=progress.check)
    assert seen.logits is not None
    goal = _goal(loaded, seen.logits[0, -1], at, measure, answer, against)
    counted = _counted(loaded, ids)
    here = _held(book, seen.values[book.site], counted)
    other = None if not base else _base(loaded, progress, book, base, len(ids), counted)
    question = _Question(loaded, progress, prompt, book, goal, here, other)
    found = _answered(question, seen.values[book.out_site][0], POINTS if integrated else 1, seed)
    value = float(goal(seen.logits[:, -1])[0])
    spent = sum(float(found[name].sum()) for name in ("by_token", "error", "bias"))
    against_id = goal.score.against
    return FeatureAttribution(
        request={},
        dictionary=dictionary,
        site=str(book.out_site),
        tokens=pieces(loaded, ids),
        counted=tuple(counted.tolist()),
        position=place,
        measure=measure,
        answer=pieces(loaded, [goal.score.answer])[0],
        against="" if against_id is None else pieces(loaded, [against_id])[0],
        base=base,
        value=value,
        rest=value - spent,
        **found,
    )


def _answered(question: "_Question", y: Tensor, points: int, seed: int) -> dict[str, Any]:
    """All that is said about features; y [token, ...] is what the out-site holds."""
    question.progress.step(0.2, "slopes")
    slope = question.slope(points)
    entries = question.entries(slope)
    arrays, totals = _listed(entries, question.n_tokens, question.book)
    question.progress.step(0.6, "taking features out")
    checked = question.verified(entries, totals, seed)
    parts = question.parts(y.flatten(1).float(), slope, entries)
    return {
        "n_points": points,
        "without": question.without(),
        "n_active": len(totals[0]),
        "others": float(totals[1].sum() - arrays["attribution"].sum()),
        "n_random": N_RANDOM,
        "random_largest": _random_largest(entries, slope, question.book, seed),
        "correlation": _correlation(checked["predicted"], checked["ablated"]),
        **arrays,
        **{name: part.cpu().numpy() for name, part in parts.items()},
        **checked,
    }


@dataclass(frozen=True)
class _Goal:
    """The score of logits [row, d_vocab], [row]."""

    loaded: Loaded
    score: Score
    at: int
    measure: str

    def __call__(self, logits: Tensor) -> Tensor:
        if self.measure == "log p":
            return log_probabilities(logits)[:, self.score.answer]
        return self.score.of(self.loaded, logits)


def _goal(
    loaded: Loaded, logits: Tensor, at: int, measure: str, answer: str | int, against: str | int
) -> _Goal:
    best = int(logits[: known_ids(loaded)].argmax())
    if measure == "log p" and against != "":
        raise Error("log p is of the answer alone; leave against= out, or use measure='logit'")
    score = Score(
        best if answer == "" else one_token(loaded, answer),
        None if against == "" else one_token(loaded, against),
    )
    return _Goal(loaded, score, at, measure)


def _counted(loaded: Loaded, ids: list[int]) -> Tensor:
    """Tokens that dictionaries are about: no special ones, not the first of a causal model."""
    keep = torch.tensor([not one for one in special(loaded, ids)])
    if loaded.kind == "decoder":
        keep[0] = False
    return keep


@dataclass(frozen=True)
class _Held:
    """Features of one text: entries sorted by token, and how they are written."""

    token: Tensor  # [entry]
    feature: Tensor  # [entry] int64
    value: Tensor  # [entry] the dictionary's own units
    factor: Tensor  # [token, 1] what the decoder's output is multiplied with


def _held(book: SparseDict, values: Tensor, counted: Tensor) -> _Held:
    codes, normed = coded(book, values)
    token = codes.token
    keep = counted.to(token.device)[token]
    factor = _factor(normed, codes)
    return _Held(token[keep], codes.feature.long()[keep], codes.value[keep], factor)


def _factor(normed: Normed, codes: Codes) -> Tensor:
    if isinstance(normed.factor, Tensor):
        return normed.factor.float()
    return torch.full((codes.n_tokens, 1), float(normed.factor), device=codes.value.device)


def _base(
    loaded: Loaded, progress: Progress, book: SparseDict, text: str, n: int, counted: Tensor
) -> _Held:
    prompt, ids = prompt_rows(loaded, text)
    if len(ids) != n:
        raise Error(
            f"the base text has {len(ids):,} tokens, this text {n:,}; features are compared token "
            "by token, so use texts of equal length"
        )
    seen = run(loaded, prompt, read=[book.site], logits="none", check=progress.check)
    return _held(book, seen.values[book.site], counted)


@dataclass(frozen=True)
class _Entries:
    """Every (token, feature): how far it is from the base, and what that adds."""

    token: Tensor
    feature: Tensor
    written: Tensor  # [entry] what multiplies the decoder row, less the base's
    attribution: Tensor  # [entry]


class _Question:
    """One text, one dictionary, one score."""

    def __init__(
        self,
        loaded: Loaded,
        progress: Progress,
        prompt: Rows,
        book: SparseDict,
        goal: _Goal,
        here: _Held,
        other: _Held | None,
    ) -> None:
        self.loaded, self.progress, self.prompt = loaded, progress, prompt
        self.book, self.goal, self.here = book, goal, here
        token, feature = [here.token], [here.feature]
        written = [here.value * here.factor[here.token, 0]]
        if other is not None:
            token.append(other.token)
            feature.append(other.feature)
            written.append(-other.value * other.factor[other.token, 0])
        self.token, self.feature = torch.cat(token), torch.cat(feature)
        self.written = torch.cat(written)
        self.n_tokens = prompt.ids.shape[1]

    def away(self, chosen: Tensor | None = None, rows: Tensor | None = None) -> Tensor:
        """What the features write more than in the base, [token, d_out]; of some entries only."""
        token, feature, written = self.token, self.feature, self.written
        if chosen is not None:
            token, feature, written = token[chosen], feature[chosen], written[chosen]
        table = self.book.W_dec.float() if rows is None else rows
        found = torch.zeros(self.n_tokens, self.book.d_out, device=table.device)
        size = max(1, GATHERED // self.book.d_out)
        for start in range(0, len(token), size):
            part = slice(start, start + size)
            found.index_add_(0, token[part], written[part, None] * table[feature[part]])
        return found

    def slope(self, points: int) -> Tensor:
        """The score's slope at the out-site [token, d_out], averaged on the way from the base."""
        away = self.away()
        shares = (torch.arange(points) + 0.5) / points if points > 1 else torch.ones(1)
        total = torch.zeros_like(away)
        for share in shares.tolist():
            self.progress.check()

            def act(values: Tensor, left: float = 1 - share) -> Tensor:
                return values - left * away.reshape(values.shape).to(values)

            def scores(logits: Tensor) -> tuple[list[Tensor], None]:
                return [self.goal(logits[:, self.goal.at])[0]], None

            site = self.book.out_site
            _, found, _ = site_gradients(self.loaded, self.prompt, site, act, scores)
            total += found[0][0].flatten(1).float()
        return total / len(shares)

    def entries(self, slope: Tensor) -> _Entries:
        size = max(1, GATHERED // self.book.d_out)
        table = self.book.W_dec
        parts = [
            (slope[token] * table[feature].float()).sum(-1)
            for token, feature in zip(self.token.split(size), self.feature.split(size), strict=True)
        ]
        along = torch.cat(parts) if parts else slope.new_zeros(0)
        return _Entries(self.token, self.feature, self.written, self.written * along)

    def parts(self, y: Tensor, slope: Tensor, entries: _Entries) -> dict[str, Tensor]:
        """Of the score by token: all features, what the dictionary misses, its biases."""
        by_token = torch.zeros(self.n_tokens, device=y.device)
        by_token.index_add_(0, entries.token, entries.attribution)
        own = torch.zeros_like(by_token, dtype=torch.bool)
        own[self.here.token] = True
        bias = self.here.factor * self.book.b_out.float()
        bias = ((slope * bias).sum(-1)) * own
        return {
            "by_token": by_token,
            "bias": bias,
            "error": (slope * y).sum(-1) - by_token - bias,
        }

    def without(self) -> float:
        """The score with every feature as in the base."""
        return float(self.changed([self.away()])[0])

    def verified(self, entries: _Entries, totals: tuple[Tensor, Tensor], seed: int) -> Any:
        """The features of largest totals taken out one by one, and random vectors as long."""
        feature, total = totals
        order = total.abs().argsort(descending=True, stable=True)[:N_VERIFIED]
        generator = torch.Generator().manual_seed(seed)
        moved, random = [], []
        for one in feature[order].tolist():
            chosen = entries.feature == one
            moved.append(self.away(chosen))
            row = torch.randn(self.book.d_out, generator=generator).to(moved[-1].device)
            row *= self.book.lengths[one] / row.norm()
            table = torch.zeros(1, self.book.d_out, device=row.device) + row
            twin = torch.zeros_like(moved[-1])
            twin.index_add_(0, entries.token[chosen], entries.written[chosen, None] * table)
            random.append(twin)
        scores = self.changed([torch.zeros_like(moved[0]), *moved, *random]) if moved else []
        clean = scores[0] if moved else 0.0
        n = len(moved)
        lost = np.array([clean - score for score in scores[1:]])
        return {
            "verified": feature[order].cpu().numpy(),
            "predicted": total[order].cpu().double().numpy(),
            "ablated": lost[:n],
            "random_ablated": lost[n:],
        }

    def changed(self, taken: list[Tensor]) -> list[float]:
        """The score with each of these [token, d_out] taken out of the site."""
        found: list[float] = []
        size = max(1, 4_096 // self.n_tokens)
        for start in range(0, len(taken), size):
            some = torch.stack(taken[start : start + size])
            rows = repeated(self.prompt, len(some)) if len(some) > 1 else self.prompt

            def act(values: Tensor, some: Tensor = some) -> Tensor:
                return values - some.reshape(values.shape).to(values)

            self.progress.check()
            with acting(self.loaded, rows, {self.book.out_site: act}):
                logits = call(self.loaded, rows).logits[:, self.goal.at]
                found += self.goal(logits).double().tolist()
        return found


def _listed(
    entries: _Entries, n_tokens: int, book: SparseDict
) -> tuple[dict[str, np.ndarray], tuple[Tensor, Tensor]]:
    """The strongest on either side by token, and every feature with its total."""
    feature, place = entries.feature.unique(return_inverse=True)
    total = torch.zeros(len(feature), device=place.device, dtype=torch.float64)
    total.index_add_(0, place, entries.attribution.double())
    order = total.argsort(descending=True, stable=True)
    up = order[: min(N_SIDE, int((total > 0).sum()))]
    down = order[len(order) - min(N_SIDE, int((total < 0).sum())) :]
    shown = torch.cat([up, down])
    row = torch.full((len(feature),), -1, device=place.device)
    row[shown] = torch.arange(len(shown), device=place.device)
    own = row[place] >= 0
    at = (row[place][own], entries.token[own])
    attribution = torch.zeros(len(shown), n_tokens, device=place.device, dtype=torch.float64)
    attribution.index_put_(at, entries.attribution[own].double(), accumulate=True)
    activation = torch.zeros(len(shown), n_tokens, device=place.device)
    lengths = book.lengths[entries.feature[own]]
    activation.index_put_(at, entries.written[own] * lengths, accumulate=True)
    arrays = {
        "feature": feature[shown].cpu().numpy(),
        "attribution": attribution.cpu().numpy(),
        "activation": activation.cpu().numpy(),
    }
    return arrays, (feature, total)


def _random_largest(entries: _Entries, slope: Tensor, book: SparseDict, seed: int) -> float:
    """The largest |total| with random decoder rows of the same lengths, mean over draws."""
    feature, place = entries.feature.unique(return_inverse=True)
    if not len(feature):
        return float("nan")
    # sum over tokens of written x slope, which every row of the dictionary is multiplied with
    pulls = torch.zeros(len(feature), book.d_out, device=slope.device)
    size = max(1, GATHERED // book.d_out)
    for start in range(0, len(place), size):
        part = slice(start, start + size)
        pulled = entries.written[part, None] * slope[entries.token[part]]
        pulls.index_add_(0, place[part], pulled)
    generator = torch.Generator().manual_seed(seed)
    largest = []
    for _ in range(N_RANDOM):
        rows = torch.randn(pulls.shape, generator=generator).to(pulls.device)
        rows *= (book.lengths[feature] / rows.norm(dim=-1))[:, None]
        largest.append(float((rows * pulls).sum(-1).abs().max()))
    return float(np.mean(largest))


def _correlation(predicted: np.ndarray, ablated: np.ndarray) -> float:
    spread = min(predicted.std(), ablated.std()) if len(predicted) > 2 else 0.0
    return float(np.corrcoef(predicted, ablated)[0, 1]) if spread > 0 else float("nan")
