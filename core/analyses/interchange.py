"""Interchange interventions: put a value from one prompt into another and see which answer wins."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from core.analyses.runs import Progress
from core.analyses.strings import TOKENS_AT_ONCE, carriers_of
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import encode, pieces, special
from core.spec.errors import Error
from core.spec.interventions import Add, Clamp, Intervention
from core.spec.site import Site

CONDITIONS = ("neuron", "mlp_out", "resid_post", "random")
MOST_PAIRS = 200
LEAST_GAP = 1e-6  # logits; a smaller distance cannot be divided by


class Framed(Protocol):
    """Strings of two kinds and prompts to put them into."""

    @property
    def members(self) -> tuple[str, ...]: ...
    @property
    def others(self) -> tuple[str, ...]: ...
    @property
    def frames(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class Pair:
    """Two prompts and how each goes on; "" means as the model itself goes on."""

    base: str
    source: str
    base_answer: str = ""
    source_answer: str = ""


@dataclass(frozen=True)
class Interchanged:
    """flipped and shift [condition, pair]; `pairs` with the continuations compared."""

    pairs: tuple[tuple[str, str, str, str], ...]
    conditions: tuple[str, ...]
    skipped: tuple[str, ...]
    flipped: np.ndarray
    shift: np.ndarray


@dataclass(frozen=True)
class _Case:
    """A usable pair: ids, where the last differing token is, the answers, the values there."""

    pair: Pair
    base: list[int]
    source: list[int]
    at_base: int
    at_source: int


def pairs_of(claim: Framed, given: Sequence[Any], most: int, seed: int) -> list[Pair]:
    """The pairs given, else members and others in every frame, either way round, seeded."""
    if not 0 <= most <= MOST_PAIRS:
        raise Error(f"most_pairs lies between 0 and {MOST_PAIRS}, not {most}")
    if given:
        if len(given) > MOST_PAIRS:
            raise Error(f"{len(given)} pairs of prompts; at most {MOST_PAIRS} are used")
        return [_given(one) for one in given]
    if not claim.frames:
        return []
    frames = carriers_of(claim.frames, "frames")
    drawn = np.random.default_rng(seed)
    found: list[Pair] = []
    for number in range(most):
        frame = frames[number % len(frames)]
        inside = claim.members[int(drawn.integers(len(claim.members)))]
        outside = claim.others[int(drawn.integers(len(claim.others)))]
        one, two = frame.replace("{}", inside), frame.replace("{}", outside)
        pair = Pair(one, two) if (number // len(frames)) % 2 else Pair(two, one)
        if pair not in found:
            found.append(pair)
    return found


def _given(one: Any) -> Pair:
    parts = tuple(one) if isinstance(one, list | tuple) else ()
    if len(parts) not in (2, 4) or not all(isinstance(part, str) for part in parts):
        raise Error(
            "a pair is (base, source) or (base, source, continuation of base, of source), "
            f"got {str(one)[:60]!r}"
        )
    return Pair(*parts)


def interchange(
    loaded: Loaded, progress: Progress, at: Site, wanted: Sequence[Pair], randoms: Sequence[int]
) -> Interchanged:
    """Source values into base prompts, at the last token in which the two prompts differ.

    Conditions: the neuron; everything the layer's MLP writes; the whole stream behind the layer
    (the ceilings); each of the random neurons (the floor). A pair counts where base and source
    are continued differently: base prefers its own continuation, source the other.
    """
    why = _why_not(loaded, wanted)
    if why:
        return Interchanged((), CONDITIONS, (why,), np.zeros((4, 0)), np.zeros((4, 0)))
    left_out: Counter[str] = Counter()
    cases = [case for pair in wanted if (case := _case(loaded, pair, at, left_out)) is not None]
    clean, values = _clean(loaded, progress, at, cases)
    kept, answers, gaps = [], [], []
    for number, case in enumerate(cases):
        chosen = _answers(loaded, case.pair, clean[2 * number], clean[2 * number + 1])
        own, other = (float(row[chosen[0]] - row[chosen[1]]) for row in clean[2 * number :][:2])
        if chosen[0] == chosen[1]:
            left_out["both prompts are continued by the same token"] += 1
        elif own <= LEAST_GAP or other >= -LEAST_GAP:
            left_out["the model does not prefer the continuations given"] += 1
        else:
            kept.append(number)
            answers.append(chosen)
            gaps.append((own, other))
    chosen_cases = [cases[n] for n in kept]
    ends = [(values[2 * n], values[2 * n + 1]) for n in kept]
    after = _gaps(loaded, progress, at, chosen_cases, ends, answers, randoms)
    flipped, shift = _effects(after, gaps)
    return Interchanged(
        pairs=tuple(
            (cases[n].pair.base, cases[n].pair.source, *pieces(loaded, chosen))  # type: ignore[misc]
            for n, chosen in zip(kept, answers, strict=True)
        ),
        conditions=CONDITIONS,
        skipped=tuple(f"{n} left out: {why}" for why, n in left_out.items()),
        flipped=flipped,
        shift=shift,
    )


def _why_not(loaded: Loaded, wanted: Sequence[Pair]) -> str:
    if loaded.head is None or loaded.kind == "encoder":
        return f"{loaded.name} does not continue a text, so no continuation can change"
    return "" if wanted else "no prompts that go on behind the string were given"


def _case(loaded: Loaded, pair: Pair, at: Site, left_out: Counter[str]) -> _Case | None:
    base, source = encode(loaded, pair.base), encode(loaded, pair.source)
    shortest, same = min(len(base), len(source)), 0
    while same < shortest and base[-1 - same] == source[-1 - same]:
        same += 1
    if same == shortest:
        left_out["the prompts do not differ in a token of their own"] += 1
        return None
    last = at.layer == len(loaded.stacks[at.stack].blocks) - 1
    if last and same and not at.stack:
        left_out["what the last layer holds in front of the last token reaches no prediction"] += 1
        return None
    return _Case(pair, base, source, len(base) - same - 1, len(source) - same - 1)


def _clean(
    loaded: Loaded, progress: Progress, at: Site, cases: Sequence[_Case]
) -> tuple[list[Tensor], list[dict[str, Tensor]]]:
    """Last logits, and the values at the last differing token: base, source, base, source ..."""
    sites = {name: _place(at, name) for name in ("neuron", "mlp_out", "resid_post")}
    texts = [(ids, p) for c in cases for ids, p in ((c.base, c.at_base), (c.source, c.at_source))]
    logits: list[Tensor] = []
    values: list[dict[str, Tensor]] = []
    for part in _parts(len(texts), max((len(ids) for ids, _ in texts), default=1)):
        own = texts[part.start : part.stop]
        progress.step(0.2, "prompts as they are")
        seen = run(
            loaded,
            rows(loaded, [ids for ids, _ in own]),
            read=list(sites.values()),
            logits="last",
            check=progress.check,
        )
        assert seen.logits is not None
        logits += list(seen.logits[:, -1].float())
        for row, (_, place) in enumerate(own):
            values.append({name: seen.values[each][row, place] for name, each in sites.items()})
    return logits, values


def _place(at: Site, component: str, position: int | None = None, unit: int | None = None) -> Site:
    return Site(at.layer, component, unit, position, stack=at.stack)  # type: ignore[arg-type]


def _parts(n: int, longest: int) -> Iterator[range]:
    size = max(1, TOKENS_AT_ONCE // longest)
    for start in range(0, n, size):
        yield range(start, min(n, start + size))


def _answers(loaded: Loaded, pair: Pair, base: Tensor, source: Tensor) -> tuple[int, int]:
    """The tokens compared: those given, else the model's own first choices."""
    if not pair.base_answer:
        return int(base.argmax()), int(source.argmax())
    return (
        _first_token(loaded, pair.base, pair.base_answer),
        _first_token(loaded, pair.source, pair.source_answer),
    )


def _first_token(loaded: Loaded, prompt: str, answer: str) -> int:
    """The first token of a continuation, a blank put in front of a word."""
    answer = f" {answer}" if answer[:1].isalnum() and not prompt.endswith(" ") else answer
    before, whole = encode(loaded, prompt), encode(loaded, prompt + answer)
    if loaded.kind == "decoder" and whole[: len(before)] == before and len(whole) > len(before):
        return whole[len(before)]
    alone = encode(loaded, answer)
    marks = special(loaded, alone)
    found = [token for token, mark in zip(alone, marks, strict=True) if not mark]
    if not found:
        raise Error(f"the continuation {answer[:40]!r} has no token of its own; write a word")
    return found[0]


def _gaps(
    loaded: Loaded,
    progress: Progress,
    at: Site,
    cases: Sequence[_Case],
    ends: Sequence[tuple[dict[str, Tensor], dict[str, Tensor]]],
    answers: Sequence[tuple[int, int]],
    randoms: Sequence[int],
) -> np.ndarray:
    """Logit of the base's continuation minus that of the source's, [pair, interchange]."""
    todo: list[tuple[list[int], tuple[int, int], Intervention]] = []
    for case, (here, there), answer in zip(cases, ends, answers, strict=True):
        changes = _changes(at, case.at_base, here, there, randoms)
        todo += [(case.base, answer, change) for change in changes]
    found = np.zeros(len(todo))
    for part in _parts(len(todo), max((len(ids) for ids, _, _ in todo), default=1)):
        progress.step(
            0.25 + 0.75 * part.start / len(todo), f"interchange {part.start} of {len(todo)}"
        )
        ids, wanted, changes_here = zip(*todo[part.start : part.stop], strict=True)
        seen = run(
            loaded,
            rows(loaded, ids),
            change=[[change] for change in changes_here],
            logits="last",
            check=progress.check,
        )
        assert seen.logits is not None
        for row, (own, other) in enumerate(wanted):
            last = seen.logits[row, -1]
            found[part.start + row] = float(last[own]) - float(last[other])
    return found.reshape(len(cases), 3 + len(randoms))


def _changes(
    at: Site,
    position: int,
    here: dict[str, Tensor],
    there: dict[str, Tensor],
    randoms: Sequence[int],
) -> list[Intervention]:
    """The neuron, the layer's MLP, the stream, then the random neurons, set to the source's."""
    units = [int(at.unit or 0), *randoms]
    neurons = [
        Clamp(_place(at, "neuron", position, unit), float(there["neuron"][unit])) for unit in units
    ]
    wholes = [
        Add(_place(at, name, position), tuple((there[name] - here[name]).float().tolist()))
        for name in ("mlp_out", "resid_post")
    ]
    return [neurons[0], *wholes, *neurons[1:]]


def _effects(
    after: np.ndarray, gaps: Sequence[tuple[float, float]]
) -> tuple[np.ndarray, np.ndarray]:
    """(flipped, shift), each [condition, pair]; the random neurons are averaged."""
    base, source = np.array(gaps, dtype=float).reshape(-1, 2).T
    turned, moved = after < 0, (base[:, None] - after) / (base - source)[:, None]

    def conditions(each: np.ndarray) -> np.ndarray:
        rest = each[:, 3:].mean(axis=1) if each.shape[1] > 3 else np.full(len(each), np.nan)
        return np.vstack([each[:, :3].T, rest])

    return conditions(turned.astype(float)), conditions(moved)
