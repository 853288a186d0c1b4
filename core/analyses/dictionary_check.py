"""Is a dictionary read as it was trained? Every doubtful convention tried on the user's text."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.dictionaries import shelf
from core.dictionaries.fit import width_at
from core.dictionaries.reading import changed, reading
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.dictionary_check import DictionaryCheck
from core.spec.errors import Error
from core.spec.site import STREAM, Site

DECLARED = "as declared"
MARGIN = 0.8  # a row fits better when its FVU is below this share of the declared row's
L0_RANGE = (0.5, 2.0)  # of the declared L0
L0_LIMITS = (0.2, 5.0)  # beyond these a low FVU is bought with features
AS_GOOD = 1.05
OUTLIER = 10.0  # times the median length
LEAST_TOKENS, MAX_TOKENS = 256, 200_000
TOKENS_AT_ONCE = 2_048
FEATURES_AT_ONCE = 16_000_000  # activations of one block
NORMS = ("none", "scale", "rms", "layernorm", "unit")


@dataclass(frozen=True)
class Row:
    """One way to read the files: what is said in words, as a reading, and the dictionary."""

    words: str
    said: Mapping[str, Any]
    book: SparseDict


def dictionary_check(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_tokens: int = 2_048,
) -> DictionaryCheck:
    """FVU, L0 and dead features, as declared and under every other convention formats disagree on.

    One factor is varied at a time, and the pair of bias and norm. First tokens of contexts and
    tokens of more than ten times the median length do not count.
    """
    book = shelf.of(loaded.dictionaries, dictionary)
    if book.site.stack != loaded.prompt_stack:
        raise Error(
            f"{dictionary} reads {book.site} and the text is read by the encoder; a dictionary of "
            f"the encoder reads e.g. enc.{book.site}"
        )
    _check(n_tokens)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=_enough(n_tokens))
    places = [book.site, book.out_site, *(place for place, _ in _elsewhere(loaded, book))]
    seen = _read(loaded, progress, made, list(dict.fromkeys(places)), n_tokens)
    grid = list(ways(loaded, book, _scale(book, seen)))
    found = []
    for number, row in enumerate(grid):
        progress.step(0.3 + 0.7 * number / len(grid), row.words)
        found.append(_measured(row.book, seen, progress))
    numbers = {key: np.array([one[key] for one in found]) for key in found[0]}
    declared = book.about.declared_l0
    better = _better(numbers["fvu"], numbers["fvu_halves"], numbers["l0"], declared)
    return DictionaryCheck(
        request={},
        dictionary=dictionary,
        site=str(book.site),
        out_site=str(book.out_site),
        format=book.about.format,
        model=book.about.model,
        notes=book.about.notes,
        rows=tuple(row.words for row in grid),
        readings=tuple(dict(row.said) for row in grid),
        better=better,
        sentence=_sentence(grid, numbers, better),
        warnings=tuple(_warnings(numbers, declared)),
        corpus=made.name,
        n_contexts=seen.n_contexts,
        n_tokens=len(seen.half),
        n_outliers=seen.n_outliers,
        declared_l0=declared,
        **numbers,
    )


def _check(n_tokens: int) -> None:
    if isinstance(n_tokens, bool) or not isinstance(n_tokens, int):
        raise Error(f"n_tokens should be a whole number, not {str(n_tokens)[:20]!r}")
    if not LEAST_TOKENS <= n_tokens <= MAX_TOKENS:
        raise Error(f"n_tokens lies between {LEAST_TOKENS} and {MAX_TOKENS:,}, not at {n_tokens}")


@dataclass(frozen=True)
class Seen:
    """values [site] [token, width] of the tokens that count; half [token] 0 or 1 by context."""

    values: dict[Site, Tensor]
    half: Tensor
    n_contexts: int
    n_outliers: int


def _enough(n_tokens: int) -> int:
    return max(8, math.ceil(n_tokens / 4))  # contexts may be short; as many as are needed are read


def _read(
    loaded: Loaded, progress: Progress, made: Contexts, places: list[Site], n_tokens: int
) -> Seen:
    """The sites at the corpus' tokens, context after context, until there are enough."""
    parts: dict[Site, list[Tensor]] = {place: [] for place in places}
    halves: list[Tensor] = []
    taken = used = 0
    for number, window in enumerate(made.windows):
        if taken >= n_tokens:
            break
        keep = torch.tensor(window.keep, device=loaded.device)
        trace = run(
            loaded, rows(loaded, [window.ids]), read=places, logits="none", check=progress.check
        )
        for place in places:
            value = trace.values[place][0]
            parts[place].append(value.reshape(len(value), -1)[keep].float())
        halves.append(torch.full((int(keep.sum()),), number % 2, device=loaded.device))
        taken, used = taken + int(keep.sum()), used + 1
        progress.step(0.3 * min(1.0, taken / n_tokens), "reading the text")
    if taken < LEAST_TOKENS:
        raise Error(
            f"the text has {taken} tokens that count; at least {LEAST_TOKENS} are needed to tell "
            "readings apart"
        )
    whole = {place: torch.cat(values)[:n_tokens] for place, values in parts.items()}
    half = torch.cat(halves)[:n_tokens]
    length = torch.linalg.vector_norm(whole[places[0]], dim=1)
    plain = length <= OUTLIER * length.median()
    kept = {place: value[plain] for place, value in whole.items()}
    return Seen(kept, half[plain], used, int((~plain).sum()))


def _scale(book: SparseDict, seen: Seen) -> float:
    """The factor that gives what is read here a mean length of sqrt(d)."""
    length = torch.linalg.vector_norm(seen.values[book.site], dim=1).mean()
    return float(f"{book.d_in**0.5 / max(float(length), 1e-30):.6g}")


def _elsewhere(loaded: Loaded, book: SparseDict) -> Iterator[tuple[Site, str]]:
    """Other places the hook may have meant: (site, norm in front)."""
    place = book.site
    parallel = loaded.stacks[place.stack].parallel
    before = "resid_pre" if parallel else "resid_mid"
    others: dict[str, list[tuple[Any, str]]] = {
        "resid_pre": [("resid_post", "")],
        "resid_post": [("resid_pre", "")],
        "mlp_in": [(before, ""), (before, "rms")],
        "resid_mid": [("mlp_in", "")] if book.transcoder else [],
    }
    for component, norm in others.get(place.component, []):
        other = replace(place, component=component)
        if width_at(loaded, other) == book.d_in:
            yield other, norm


def ways(loaded: Loaded, book: SparseDict, scale: float) -> Iterator[Row]:
    """The grid: the declared reading, then one factor changed at a time, then bias with norm."""
    yield Row(DECLARED, {}, book)
    has_bias = book.b_in is not None
    both_ways = not book.transcoder and book.d_in == book.d_out

    def row(words: str, **said: Any) -> Row:
        return Row(words, said, changed(book, reading(**said)))

    bias = "bias not subtracted" if has_bias else "bias subtracted"
    if both_ways:
        yield row(bias, subtract=not has_bias)
    if book.n_features == book.d_out:
        yield row("decoder turned round", transpose=True)
    if book.site.component in STREAM:
        words = "stream as it is" if book.center else "stream centred"
        yield row(words, center=not book.center)
    norms = [kind for kind in NORMS if kind != book.norm.kind]
    for kind in norms:
        yield row(f"norm {kind}", **_norm(kind, scale))
    for place, norm in _elsewhere(loaded, book):
        said: dict[str, Any] = {"site": str(place)} | ({"norm": norm} if norm else {})
        moved = replace(book, site=place, out_site=book.out_site if book.transcoder else place)
        moved = changed(moved, reading(**{k: v for k, v in said.items() if k != "site"}))
        yield Row(f"at {place}" + (f", norm {norm}" if norm else ""), said, moved)
    for kind in norms if both_ways else ():
        yield row(f"{bias}, norm {kind}", subtract=not has_bias, **_norm(kind, scale))


def _norm(kind: str, scale: float) -> dict[str, Any]:
    return {"norm": kind, "scale": scale} if kind == "scale" else {"norm": kind}


def _measured(book: SparseDict, seen: Seen, progress: Progress) -> dict[str, Any]:
    """FVU (whole and by halves), L0 and dead share of one reading."""
    given, target = seen.values[book.site], seen.values[book.out_site]
    if book.center and not book.transcoder:
        target = target - target.mean(-1, keepdim=True)
    size = max(64, min(TOKENS_AT_ONCE, FEATURES_AT_ONCE // book.n_features))
    lost = torch.zeros(len(given), dtype=torch.float64, device=given.device)
    alive = torch.zeros(book.n_features, dtype=torch.bool, device=given.device)
    fired = 0
    for start in range(0, len(given), size):
        progress.check()
        here = slice(start, start + size)
        normed = book.normed(given[here])
        codes = book.codes_of(normed)
        lost[here] = (target[here] - book.decode(codes, normed)).double().square().sum(1)
        alive[codes.feature.long()] = True
        fired += len(codes.feature)
    spread = (target - target.mean(0)).double().square().sum(1)
    halves = [float(lost[seen.half == h].sum() / _above(spread[seen.half == h])) for h in (0, 1)]
    return {
        "fvu": float(lost.sum() / _above(spread)),
        "fvu_halves": halves,
        "l0": fired / len(given),
        "dead": 1 - float(alive.float().mean()),
    }


def _above(spread: Tensor) -> Tensor:
    return spread.sum().clamp_min(1e-30)


def _better(fvu: np.ndarray, halves: np.ndarray, l0: np.ndarray, declared: float) -> int:
    """The row that fits clearly better than the declared one, in both halves; -1 for none.

    A low FVU that is bought with many times the declared L0 does not count; where the declared
    reading's L0 is far off, a row counts that reconstructs as well and has it right.
    """
    ratio = l0 / declared if declared else np.ones_like(l0)
    sane = (ratio > L0_LIMITS[0]) & (ratio < L0_LIMITS[1])
    clearly = (fvu < MARGIN * fvu[0]) & (halves < MARGIN * halves[0]).all(axis=1) & sane
    if not _right(ratio[:1])[0]:
        clearly |= (fvu < AS_GOOD * fvu[0]) & _right(ratio)
    clearly[0] = False
    if not clearly.any():
        return -1
    return int(np.where(clearly, fvu, np.inf).argmin())


def _right(ratio: np.ndarray) -> np.ndarray:
    right: np.ndarray = (ratio >= L0_RANGE[0]) & (ratio <= L0_RANGE[1])
    return right


def _sentence(grid: list[Row], numbers: dict[str, np.ndarray], better: int) -> str:
    fvu, l0 = numbers["fvu"], numbers["l0"]
    if better < 0:
        if fvu[0] >= 1:
            return (
                f"No reading fits: the mean of the site explains more (FVU {fvu[0]:.2f} as "
                "declared). The dictionary is of another model, layer or place."
            )
        return (
            f"No other reading fits better by {1 - MARGIN:.0%}: FVU {fvu[0]:.3f}, "
            f"L0 {l0[0]:.1f} as declared."
        )
    return (
        f"This file fits better read with: {grid[better].words}. FVU {fvu[better]:.3f} instead of "
        f"{fvu[0]:.3f}, L0 {l0[better]:.1f} instead of {l0[0]:.1f}."
    )


def _warnings(numbers: dict[str, np.ndarray], declared: float) -> Iterator[str]:
    l0 = float(numbers["l0"][0])
    if declared and not _right(np.array([l0 / declared]))[0]:
        yield f"L0 is {l0:.1f} on this text, {declared:.1f} is declared"
    if numbers["dead"][0] > 0.9:
        yield f"{numbers['dead'][0]:.0%} of the features fire at no token of this text"
