"""What every head of a model looks at: scores with controls, from one forward per batch."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import head_texts
from core.analyses.head_kinds import class_kinds, prefix_kind, target_kinds
from core.analyses.head_nulls import N_NULL, shuffled_texts, untrained
from core.analyses.head_roles import roles
from core.analyses.head_tally import REACH, SHAPES, Scores, Tally, groups
from core.analyses.head_texts import HeadTexts
from core.analyses.runs import LOGITS_AT_ONCE, TOKENS_AT_ONCE, Progress
from core.engine.head_stats import READINGS, Reading, collect
from core.engine.loss import next_token_losses
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.results.heads import KINDS, LEAST_QUERIES, Heads
from core.spec.errors import Error
from kernels.head_stats import Runs, targets

N_SEQUENCES = 64
LEAST_LENGTH = 50  # tokens of a text in which early and late losses can be compared
TRANSFORMER_LENS = ("previous_token", "duplicate_token", "induction")
_BASE_LOGITS = LOGITS_AT_ONCE // 2  # the losses need as much again
MOST_LOGITS = 2**28  # of one text, a gigabyte in float32; longer ones are scored without losses


def heads(
    loaded: Loaded,
    progress: Progress,
    *,
    text: str | None = None,
    texts: Sequence[str] = (),
    corpus: str = "",
    n_sequences: int = N_SEQUENCES,
    kinds: Sequence[str] | None = None,
    reading: Reading = "plain",
    topics: Sequence[Sequence[str]] = (),
    words: Sequence[str] = (),
    nulls: bool = True,
    seed: int = 0,
) -> Heads:
    """Scores [layer, head] of what every head looks at, and the role each fits best.

    Without a text: `n_sequences` rows of 50 random tokens repeated once, and rows of 25 repeated
    four times for prefix matching. `kinds` names those wanted (all that the text allows).
    `reading` "without_first" takes the first token out, "by_value" weighs by what a head would
    write. `topics` are word lists for same_topic, `words` the tokens of kind "chosen". `nulls`
    adds the scores on shuffled tokens and of untrained weights. An encoder-decoder's encoder.
    """
    _refuse(n_sequences, kinds, reading)
    asked = head_texts.given(loaded, text, texts, corpus, n_sequences)
    sample = asked or head_texts.repeated(loaded, n_sequences, seed)
    prefix = None if asked else head_texts.prefix_rows(loaded, -(-n_sequences // 2), seed)
    job = _Job(loaded, progress, reading, tuple(tuple(each) for each in topics), tuple(words), seed)
    parts = [sample, *([prefix] if prefix else [])]
    job.total = sum(each.n_tokens for each in parts) + nulls * 2 * sample.first(N_NULL).n_tokens
    losses = _Losses() if _foretells(loaded, sample) else None
    tally = job.score(sample, losses)
    scores = {what: tally.scores(what) for what in ("score", "control", "uniform")}
    queries = dict(tally.queries)
    if prefix:
        repeats = job.score(prefix, None, only_prefix=True)
        for what, found in scores.items():
            found["prefix_matching"] = repeats.scores(what)["prefix_matching"]
        queries["prefix_matching"] = repeats.queries["prefix_matching"]
    for kind in SHAPES:  # of attention as a whole: uniform attention is the control
        if kind in scores["score"]:
            scores["control"][kind] = scores["uniform"][kind]
    null, notes = _nulls(job, sample) if nulls else (({}, {}), ["shuffled, untrained: not asked"])
    return _result(
        loaded, sample, reading, tally, scores, queries, null, notes, losses, _wanted(kinds)
    )


def _refuse(n_sequences: Any, kinds: Sequence[str] | None, reading: str) -> None:
    whole = isinstance(n_sequences, int) and not isinstance(n_sequences, bool)
    if not whole or not 1 <= n_sequences <= head_texts.MOST_TEXTS:
        most = f"{head_texts.MOST_TEXTS:,}"
        raise Error(f"n_sequences must be a whole number from 1 to {most}, not {n_sequences!r:.40}")
    if reading not in READINGS:
        raise Error(f"reading is one of {', '.join(READINGS)}, not {reading!r:.40}")
    asked = [kinds] if isinstance(kinds, str) else list(kinds or ())
    strange = [kind for kind in asked if kind not in KINDS]
    if strange or isinstance(kinds, str):
        wrong = str(strange[0] if strange else kinds)
        raise Error(f"no kind {wrong[:40]!r} in a list of kinds; there are {', '.join(KINDS)}")


def _foretells(loaded: Loaded, sample: HeadTexts) -> bool:
    """Whether next tokens are foretold, and the logits of the longest text can be held."""
    longest = max(map(len, sample.ids))
    able = loaded.kind == "decoder" and loaded.head is not None
    return able and longest * loaded.d_vocab <= MOST_LOGITS


def _wanted(kinds: Sequence[str] | None) -> Callable[[str], bool]:
    return lambda kind: kinds is None or kind in kinds


class _Losses:
    """Mean loss by position of the token foretold, and how often the first choice was right."""

    def __init__(self) -> None:
        self.total, self.right, self.n = np.zeros(0), np.zeros(0), np.zeros(0)

    def add(self, logits: Tensor, batch: Rows) -> None:
        lost = next_token_losses(logits, batch)
        right = (logits[:, :-1].argmax(-1) == batch.ids[:, 1:]).double()
        places = torch.arange(1, batch.ids.shape[1], device=logits.device)
        ends = torch.tensor(batch.lengths, device=logits.device)
        real = (places[None] < ends[:, None]).double()
        self.total = _sum(self.total, lost.double().sum(0))
        self.right = _sum(self.right, (right * real).sum(0))
        self.n = _sum(self.n, real.sum(0))

    def by_position(self) -> tuple[np.ndarray, np.ndarray]:
        """(loss [position], texts [position]); NaN at position 0, which nothing foretells."""
        mean = self.total / np.maximum(self.n, 1)
        return np.concatenate([[np.nan], mean]), np.concatenate([[0], self.n]).astype(np.int64)

    def mean(self, first: int, end: int) -> tuple[float, float]:
        """(loss, share right) over the tokens at positions first to end - 1."""
        part = slice(first - 1, end - 1)
        n = max(self.n[part].sum(), 1)
        return float(self.total[part].sum() / n), float(self.right[part].sum() / n)


def _sum(old: np.ndarray, new: Tensor) -> np.ndarray:
    added = new.cpu().numpy()
    both = np.zeros(max(len(old), len(added)))
    both[: len(old)] += old
    both[: len(added)] += added
    return both


@dataclass
class _Job:
    """One model and how its heads are read; counts the tokens done for the progress bar."""

    loaded: Loaded
    progress: Progress
    reading: Reading
    topics: tuple[tuple[str, ...], ...]
    words: tuple[str, ...]
    seed: int
    total: int = 1
    done: int = 0

    def score(
        self,
        texts: HeadTexts,
        losses: _Losses | None,
        *,
        only_prefix: bool = False,
        model: Loaded | None = None,
        note: str = "what every head looks at",
    ) -> Tally:
        """One forward per batch of the texts; `losses` takes the losses too."""
        loaded = model or self.loaded
        causal = loaded.kind == "decoder"
        layers = len(loaded.stacks[loaded.prompt_stack].blocks)
        classes = {} if only_prefix else class_kinds(loaded, texts, self.words)
        tally = Tally((layers, loaded.n_heads), causal, classes, self.seed)
        for batch in self._batches(texts, losses is not None):
            self.progress.step(min(self.done / self.total, 1.0), note)
            kinds = self._kinds(batch, texts, only_prefix)
            aims = targets(
                kinds, batch.lengths, causal=causal, seed=self.seed * 100_003 + tally.batch
            )
            group = groups(batch, causal)
            tally.begin(batch, aims, group)
            logits = collect(
                loaded,
                batch,
                aims,
                group,
                tally.add,
                reach=REACH,
                reading=self.reading,
                logits="all" if losses else "none",
                check=self.progress.check,
            )
            if losses and logits is not None:
                losses.add(logits, batch)
            self.done += sum(batch.lengths)
        return tally

    def _kinds(self, batch: Rows, texts: HeadTexts, only_prefix: bool) -> dict[str, Runs]:
        if only_prefix:
            return prefix_kind(batch, texts)
        return target_kinds(self.loaded, batch, texts, self.topics)

    def _batches(self, texts: HeadTexts, with_logits: bool) -> Iterator[Rows]:
        """Rows of like length together, as many as fit at once."""
        most = TOKENS_AT_ONCE
        if with_logits:
            most = min(most, _BASE_LOGITS // self.loaded.d_vocab)
        order = sorted(range(len(texts.ids)), key=lambda i: (len(texts.ids[i]), i))
        held: list[Sequence[int]] = []
        for number in order:
            row = texts.ids[number]
            if held and (len(held) + 1) * len(row) > most:
                yield rows(self.loaded, held)
                held = []
            held.append(row)
        yield rows(self.loaded, held)


def _nulls(job: _Job, sample: HeadTexts) -> tuple[tuple[Scores, Scores], list[str]]:
    """Scores on the tokens in random order, and of untrained weights; what was left out."""
    some = sample.first(N_NULL)
    mixed = shuffled_texts(job.loaded, some, job.seed)
    shuffled = job.score(mixed, None, note="control: shuffled tokens").scores("score")
    fresh, why = untrained(job.loaded, job.seed)
    if fresh is None:
        return (shuffled, {}), [why]
    scores = job.score(some, None, model=fresh, note="control: untrained weights").scores("score")
    return (shuffled, scores), []


def _result(
    loaded: Loaded,
    sample: HeadTexts,
    reading: str,
    tally: Tally,
    scores: Mapping[str, Scores],
    queries: Mapping[str, int],
    null: tuple[Scores, Scores],
    notes: list[str],
    losses: _Losses | None,
    wanted: Callable[[str], bool],
) -> Heads:
    kept = [kind for kind in KINDS if kind in scores["score"] and wanted(kind)]
    if not kept:
        raise Error(f"none of these kinds has targets here; there are {', '.join(scores['score'])}")

    def only(found: Scores) -> Scores:
        return {kind: found[kind].astype(np.float32) for kind in kept if kind in found}

    role, role_score, fits = roles(scores["score"], scores["uniform"], queries)
    loss, loss_texts = losses.by_position() if losses else (np.zeros(0), np.zeros(0, np.int64))
    return Heads(
        request={},
        source=sample.source,
        reading=reading,
        n_texts=len(sample.ids),
        n_tokens=sample.n_tokens,
        n_null_texts=min(N_NULL, len(sample.ids)) if null[0] else 0,
        n_queries={kind: queries[kind] for kind in kept},
        notes=(*notes, *_notes(loaded, kept, queries, losses is not None)),
        scores=only(scores["score"]),
        control=only(scores["control"]),
        uniform=only(scores["uniform"]),
        shuffled=only(null[0]),
        untrained=only(null[1]),
        transformer_lens={
            kind: tally.over_all(kind).astype(np.float32) for kind in TRANSFORMER_LENS
        },
        role=role,
        role_score=role_score,
        fits=fits,
        **_profiles(tally),
        loss=loss.astype(np.float32),
        loss_texts=loss_texts,
        behaviour=_behaviour(sample, losses),
        stack=loaded.prompt_stack,
    )


def _profiles(tally: Tally) -> dict[str, np.ndarray]:
    """Attention by distance, and the position that receives most."""
    count = np.maximum(tally.lag_queries, 1)
    received = tally.profile("received") / max(tally.queries["entropy"], 1)
    reach = tally.lag_queries.size
    return {
        "lag": (tally.profile("lag") / count).astype(np.float32),
        "lag_uniform": (tally.profile("lag_uniform")[:, 0] / count).astype(np.float32),
        "lags": np.arange(reach) - (0 if tally.causal else (reach - 1) // 2),
        "lag_queries": tally.lag_queries.astype(np.int64),
        "sink_at": received.argmax(-1),
        "sink_mass": received.max(-1).astype(np.float32),
    }


def _notes(
    loaded: Loaded, kept: Sequence[str], queries: Mapping[str, int], losses: bool
) -> tuple[str, ...]:
    found = []
    if loaded.pattern_source == "outputs":
        found.append(
            f"{loaded.family} hands out whole patterns only: they were read one layer at a time"
        )
    few = [kind for kind in kept if queries[kind] < LEAST_QUERIES]
    if few:
        names = ", ".join(few)
        found.append(f"fewer than {LEAST_QUERIES} queries, so not to be relied on: {names}")
    if loaded.kind != "decoder":
        found.append(f"{loaded.name} sees both sides, so it foretells no next token: no losses")
    elif not losses and loaded.head is not None:
        found.append("no losses: the predictions for a text so long would not fit in memory")
    return tuple(found)


def _behaviour(sample: HeadTexts, losses: _Losses | None) -> dict[str, float]:
    """Losses of both copies of repeated tokens; of ordinary texts early and late ones."""
    if losses is None:
        return {}
    if sample.copy:
        return _copies(sample, losses)
    length = int((losses.n >= max(1, losses.n.max() / 2)).sum()) + 1
    if length < LEAST_LENGTH:
        return {}
    early, late = _spans(length)
    first, last = losses.mean(*early)[0], losses.mean(*late)[0]
    return {
        "loss_early": first,
        "loss_late": last,
        "in_context_score": last - first,
        "early_from": early[0],
        "early_to": early[1] - 1,
        "late_from": late[0],
        "late_to": late[1] - 1,
    }


def _copies(sample: HeadTexts, losses: _Losses) -> dict[str, float]:
    """Means over all tokens of a copy, its first too, which nothing in the text foretells."""
    begin, middle = sample.before, sample.before + sample.copy
    first, right_first = losses.mean(max(begin, 1), middle)
    second, right = losses.mean(middle, middle + sample.copy)
    return {
        "loss_first": first,
        "loss_second": second,
        "gain": first - second,
        "accuracy_first": right_first,
        "accuracy_second": right,
        "second_from": middle,
    }


def _spans(length: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """(early, late) positions to compare, end excluded."""
    if length > 520:
        return (40, 61), (480, 521)
    place = int(0.9 * (length - 1))
    return (20, 31), (place - 5, min(place + 6, length))
