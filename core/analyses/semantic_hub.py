"""Same meaning, different form: do the two come together in the middle layers?

Wu et al. 2024, "The Semantic Hub Hypothesis: Language Models Share Semantic Representations Across
Languages and Modalities".
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses.clouds import FLAT, cosines, prepared
from core.analyses.head_nulls import untrained
from core.analyses.item_states import ItemStates, set_states
from core.analyses.offsets import derangement
from core.analyses.runs import Progress
from core.concept_sets import asked
from core.corpus.forms import FORMS
from core.models.loaded import Loaded
from core.models.words import in_text
from core.results.semantic_hub import SemanticHub
from core.spec.concept_set import ConceptSet, Group, short
from core.spec.errors import Error

CONTINUATION = "This represents"
ENDS = (".", "!", "?", ";", ":", ",", "\N{IDEOGRAPHIC FULL STOP}", "\N{HORIZONTAL ELLIPSIS}")
LEAST, MOST = 3, 400  # pairs of a group
N_PERMUTED, N_DRAWS = 100, 200


def semantic_hub(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "forms",
    only: Sequence[str] = (),
    contexts: Sequence[str] = (),
    continuation: str = CONTINUATION,
    read: str = "last",
    prepare: str = "raw",
    untrained_too: bool = True,
    seed: int = 0,
) -> SemanticHub:
    """How alike two forms of one meaning are at every layer, beyond forms of different meanings.

    concepts      "forms", "embedded: languages and translations", "embedded: sums and dates asked
                  in two ways", or any set of pairs; texts stand alone, words in neutral contexts
    only          names of groups; () for all
    untrained_too the same with fresh weights as a second control
    continuation  put behind a text that ends with punctuation, so that its last token is a word
    """
    given, chosen = _given(concepts, only)
    texts, n_continued = _continued(given, chosen, continuation)
    how: dict[str, Any] = {"contexts": contexts, "read": read}
    seen = set_states(loaded, progress, texts, **how, share=(0, 0.4))
    pair, group, where = _pairs(texts, seen)
    told = (pair, group, len(chosen), prepare, seed)
    found = _layers(seen, *told, progress)
    fresh, why = untrained(loaded, seed) if untrained_too else (None, "")
    null = {name: np.full_like(found["found"], np.nan) for name in ("centred", "found")}
    if fresh is not None:
        progress.step(0.7, "fresh weights")
        null = _layers(set_states(fresh, progress, texts, **how, share=(0.7, 0.9)), *told, progress)
    return SemanticHub(
        request={},
        concept=given.name,
        about=given.about,
        source=given.source,
        groups=tuple(one.name for one in chosen),
        first=tuple(chosen[g].items[at] for g, at in where),
        second=tuple(chosen[g].targets[at] for g, at in where),
        dropped=seen.dropped,
        contexts=seen.contexts,
        read=read,
        prepare=prepare,
        continuation=continuation if n_continued else "",
        n_continued=n_continued,
        n_permuted=N_PERMUTED,
        seed=seed,
        notes=(*_notes(chosen, group), *([why] if why else [])),
        group=group,
        n_pairs=np.bincount(group, minlength=len(chosen)),
        untrained=null["centred"],
        untrained_found=null["found"],
        shared=_shared(loaded, seen.words, pair, group, len(chosen)),
        **found,
    )


def _given(concepts: Any, only: Sequence[str]) -> tuple[ConceptSet, list[Group]]:
    """The set and those of its groups that are asked about."""
    own = isinstance(concepts, str) and concepts in FORMS
    given = FORMS[concepts] if own else asked(concepts)
    if given.kind != "pairs":
        raise Error(
            f"{short(given.name)} is a set of {given.kind}; two forms of a meaning are pairs"
        )
    chosen = [given.group(name) for name in only] or list(given.groups)
    _fit(given, chosen)
    return given, chosen


def _fit(given: ConceptSet, chosen: list[Group]) -> None:
    for one in chosen:
        if not LEAST <= len(one.items) <= MOST:
            raise Error(
                f"{short(one.name)} of {short(given.name)} has {len(one.items)} pairs; {LEAST} to "
                f"{MOST} are compared"
            )


def _continued(given: ConceptSet, chosen: list[Group], more: str) -> tuple[ConceptSet, int]:
    """The set with the continuation behind texts that end with punctuation, and how many do."""
    if not isinstance(more, str):
        raise Error(f"continuation= is a text, not {str(more)[:20]!r}")
    ends = [text.rstrip().endswith(ENDS) for one in chosen for text in (*one.items, *one.targets)]
    n = sum(ends) if more.strip() else 0

    def after(text: str) -> str:
        return f"{text.rstrip()} {more.strip()}" if n and text.rstrip().endswith(ENDS) else text

    groups = [
        Group(one.name, tuple(map(after, one.items)), tuple(map(after, one.targets)))
        for one in chosen
    ]
    return ConceptSet(
        given.name, "pairs", tuple(groups), given.contexts, given.model, given.about, given.source,
        given.licence,
    ), n  # fmt: skip


def _pairs(
    asked_for: ConceptSet, seen: ItemStates
) -> tuple[np.ndarray, np.ndarray, list[tuple[int, int]]]:
    """([pair, 2] item numbers, [pair] group, (group, place in it) of each) of those read."""
    place = {text: number for number, text in enumerate(seen.words)}
    pair, where = [], []
    for number, one in enumerate(asked_for.groups):
        for at, both in enumerate(zip(one.items, one.targets, strict=True)):
            if all(text in place for text in both):
                pair.append([place[text] for text in both])
                where.append((number, at))
    group = np.array([number for number, _ in where], dtype=np.int64)
    if not len(group) or np.bincount(group).max() < LEAST:
        why = f": {seen.dropped[0][1]}" if seen.dropped else ""
        raise Error(f"no group has {LEAST} pairs that can be read{why}")
    return np.array(pair), group, where


def _notes(chosen: list[Group], group: np.ndarray) -> tuple[str, ...]:
    n = np.bincount(group, minlength=len(chosen))
    return tuple(
        f"{len(one.items) - had} pairs of {one.name} could not be read"
        for one, had in zip(chosen, n.tolist(), strict=True)
        if had < len(one.items)
    )


def _shared(
    loaded: Loaded, texts: Sequence[str], pair: np.ndarray, group: np.ndarray, n_groups: int
) -> np.ndarray:
    """[group] mean Jaccard index of the tokens of two forms, minus that of other meanings."""
    tokens = [set(in_text(loaded, text)) for text in texts]
    found = np.full(n_groups, np.nan)
    for number in range(n_groups):
        own = pair[group == number]
        alike = np.array([[_jaccard(tokens[a], tokens[b]) for b in own[:, 1]] for a in own[:, 0]])
        if len(own) > 1:
            found[number] = adjusted(alike)
    return found


def _jaccard(one: set[int], other: set[int]) -> float:
    return len(one & other) / max(1, len(one | other))


def _layers(
    seen: ItemStates,
    pair: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    prepare: str,
    seed: int,
    progress: Progress,
) -> dict[str, np.ndarray]:
    """Every measure over the layers."""
    rows = [
        _layer(seen.at(layer), pair, group, n_groups, prepare, seed, progress)
        for layer in range(seen.n_layers)
    ]
    return {name: np.stack([row[name] for row in rows]) for name in rows[0]}


def _layer(
    cloud: np.ndarray,
    pair: np.ndarray,
    group: np.ndarray,
    n_groups: int,
    prepare: str,
    seed: int,
    progress: Progress,
) -> dict[str, np.ndarray]:
    if np.abs(cloud - cloud[0]).max() > FLAT * np.abs(cloud).max():
        cloud = prepared(cloud, prepare)
    rows, own = [], np.full(len(pair), np.nan)
    for number in range(n_groups):
        progress.check()
        here = np.flatnonzero(group == number)
        x, z = cloud[pair[here, 0]], cloud[pair[here, 1]]
        rows.append(compared(x, z, np.random.default_rng((seed, number))))
        if len(here) > 1:
            alike = cosines(x, z)
            own[here] = np.diag(alike) - (alike.sum(axis=1) - np.diag(alike)) / (len(here) - 1)
    return {name: np.array([row[name] for row in rows]) for name in rows[0]} | {"own": own}


def adjusted(alike: np.ndarray, paired: np.ndarray | None = None) -> float:
    """Mean cosine of the pairs minus that of all others, from cosines [first, second]."""
    n = len(alike)
    own = alike[np.arange(n), np.arange(n) if paired is None else paired]
    return float(own.mean() - (alike.sum() - own.sum()) / (n * n - n))


def compared(x: np.ndarray, z: np.ndarray, rng: np.random.Generator) -> dict[str, float]:
    """Every measure of one group at one layer, from both forms [pair, d]."""
    names = ("similarity", "low", "high", "control_high", "centred", "centred_low",
             "centred_high", "centred_control", "found", "background")  # fmt: skip
    if len(x) < LEAST:
        return dict.fromkeys(names, float("nan"))
    raw, middle = cosines(x, z), cosines(x - x.mean(axis=0), z - z.mean(axis=0))
    mixed = [derangement(len(x), rng) for _ in range(N_PERMUTED)]
    out = {"background": float((raw.sum() - np.trace(raw)) / (len(raw) ** 2 - len(raw)))}
    for alike, name, low, high, control in (
        (raw, *names[:4]),
        (middle, *names[4:8]),
    ):
        out[name] = adjusted(alike)
        out[low], out[high] = _interval(alike, rng)
        out[control] = float(np.quantile([adjusted(alike, one) for one in mixed], 0.95))
    # A tie, as of forms whose states are all the same, is no find.
    best = middle.max(axis=1, keepdims=True)
    once = (middle >= best - 1e-9).sum(axis=1) == 1
    out["found"] = float(((middle.argmax(axis=1) == np.arange(len(x))) & once).mean())
    return out


def _interval(alike: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """95 % of the adjusted similarity when pairs are drawn again."""
    n = len(alike)
    times = rng.multinomial(n, np.full(n, 1 / n), size=N_DRAWS).astype(float)
    own, apart = np.diag(alike), alike - np.diag(np.diag(alike))
    total = times.sum(axis=1) ** 2 - (times**2).sum(axis=1)
    others = ((times @ apart) * times).sum(axis=1) / np.maximum(total, 1)
    low, high = np.quantile(times @ own / n - others, (0.025, 0.975))
    return float(low), float(high)
