"""What is this feature, and how sure are we? Rules for one feature or for all, held out."""

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_rows import check_features, opened_dictionary
from core.analyses.label_facts import Family, families
from core.analyses.label_rules import Best, Fired, Rules, shuffled
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW, contexts
from core.corpus.readers import Corpus
from core.galleries import labels
from core.galleries.reading import FeatureGallery
from core.galleries.text import GalleryText
from core.models.loaded import Loaded
from core.results.feature_label import LEVELS, FeatureLabel
from core.spec.errors import Error

log = logging.getLogger("eidoscope")

LEAST_FIRES = 15  # in each half
STRONG = 0.25  # of the largest value
MOST_DETAILED = 20  # features whose other rules, mistakes and intervals are told
N_DRAWS = 500
N_WRONG, AROUND = 8, 8  # mistakes of each sort; tokens on either side
_AT_ONCE = 2_000_000  # firings scored at once


def feature_label(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    feature: int | Sequence[int] | None = None,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    patterns: Sequence[str] = (),
    seed: int = 0,
) -> FeatureLabel:
    """The rule that says best where a feature fires: the token, one near it, its place, its text.

    feature   one, some, or None for all features of the dictionary
    patterns  regular expressions (RE2) to try besides; their one group marks the part meant

    Labels of a whole dictionary are kept with its gallery. Control: as many firings of each
    feature in each half, at random tokens, put through the same search.
    """
    book = opened_dictionary(loaded, dictionary)
    asked = None if feature is None else check_features(book, feature, book.n_features)
    place: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    gallery = opened(loaded, progress, dictionary=dictionary, corpus=corpus, **place)
    made = contexts(loaded, corpus, **place)
    if made.fingerprint != gallery.manifest.corpus_fingerprint:
        raise Error(f"the text {made.name} has changed since its gallery was made; ask again")
    known = families(gallery.text, made, _strings(patterns))
    rules = Rules(known, gallery.text.keep, gallery.text.token_half)
    found = labelled(gallery, rules, asked, progress, seed)
    if asked is None and not patterns:
        _keep(gallery, found)
    return found


def _keep(gallery: FeatureGallery, found: FeatureLabel) -> None:
    """The labels of a whole dictionary, where its cards and its list find them."""
    kept = {}
    for place in np.flatnonzero(np.isfinite(found.f1[0])).tolist():
        short = labels.shortened(found.label(place))
        scores = (float(found.f1[0, place]), float(found.control_f1[0, place]))
        kept[place] = labels.Label(short, *scores, f"rule on {found.corpus}"[:80])
    try:
        labels.write_ruled(gallery.manifest.dictionary_fingerprint, kept)
    except OSError as fault:
        log.warning("the labels are not kept: %s", fault.strerror or fault)


def labelled(
    gallery: FeatureGallery,
    rules: Rules,
    asked: Sequence[int] | None,
    progress: Progress,
    seed: int = 0,
) -> FeatureLabel:
    """The rules of the features asked for (None: all) in a gallery that keeps its codes."""
    features = np.arange(gallery.n_features) if asked is None else np.array(asked)
    parts: list[dict[str, Any]] = []
    done = 0
    for numbers, fired in _batches(gallery, features, asked is None):
        progress.step(done / len(features), f"rules: feature {done} of {len(features)}")
        parts.append(_scored(gallery, rules, numbers, fired, len(features), seed))
        done += len(numbers)
    arrays = {
        name: np.concatenate([part[name] for part in parts], axis=-1)
        for name, value in parts[0].items()
        if isinstance(value, np.ndarray)
    }
    text = gallery.text
    halves = [int((text.half[np.unique(text.document)] == side).sum()) for side in (0, 1)]
    return FeatureLabel(
        request={},
        dictionary=gallery.manifest.dictionary,
        site=gallery.manifest.site,
        corpus=gallery.manifest.corpus,
        n_tokens=(len(rules.tokens[0]), len(rules.tokens[1])),
        n_documents=(halves[0], halves[1]),
        families=tuple(family.name for family in rules.families),
        n_atoms=tuple(family.n_atoms for family in rules.families),
        rule=_joined(parts, "rule"),
        kind=_joined(parts, "kind"),
        other_rule=tuple(one for part in parts for one in part["other_rule"]),
        wrong=tuple(one for part in parts for one in part["wrong"]),
        least_fires=LEAST_FIRES,
        feature=features,
        **arrays,
    )


def _strings(patterns: Any) -> list[str]:
    listed = [patterns] if isinstance(patterns, str) else list(patterns)
    if not all(isinstance(one, str) for one in listed):
        raise Error("patterns are a list of regular expressions")
    return listed


def _joined(parts: Sequence[dict[str, Any]], name: str) -> tuple[tuple[str, ...], ...]:
    return tuple(
        tuple(one for part in parts for one in part[name][level]) for level in range(len(LEVELS))
    )


def _batches(gallery: FeatureGallery, features: np.ndarray, every: bool) -> Any:
    """(feature numbers, their firings) in parts of bounded size."""
    codes = gallery.need_codes()
    if every:
        for part, token, value in codes.columns(_AT_ONCE):
            counts = np.diff(codes.columns_start[part.start : part.stop + 1])
            row = np.repeat(np.arange(len(part)), counts)
            yield np.array(part), Fired(len(part), row, token, value)
        return
    for start in range(0, len(features), 256):
        numbers = features[start : start + 256]
        found = [codes.of_feature(int(one)) for one in numbers]
        row = np.repeat(np.arange(len(numbers)), [len(token) for token, _ in found])
        token, value = (np.concatenate(part) for part in zip(*found, strict=True))
        yield numbers, Fired(len(numbers), row, token, value)


def _scored(
    gallery: FeatureGallery,
    rules: Rules,
    numbers: np.ndarray,
    fired: Fired,
    n_all: int,
    seed: int,
) -> dict[str, Any]:
    """The fields of some features, features last."""
    largest = gallery.max[numbers]
    levels = [fired, fired.only(fired.value > STRONG * largest[fired.row])]
    detailed = n_all <= MOST_DETAILED
    found: dict[str, list[Any]] = {}
    for level, own in enumerate(levels):
        best = rules.best(own)
        chance = rules.best(shuffled(own, rules, seed * 2 + level))
        row = _level(gallery.text, rules, own, best, chance, detailed)
        if level == 0:
            others = row.pop("others")
            wrong = row.pop("wrong")
            family_f1 = row.pop("family_f1")
        for name, value in row.items():
            if name not in ("others", "wrong", "family_f1"):
                found.setdefault(name, []).append(value)
    joined = {
        name: np.stack(rows) if isinstance(rows[0], np.ndarray) else rows
        for name, rows in found.items()
    }
    return {**joined, "other_rule": others, "wrong": wrong, "family_f1": family_f1}


def _level(
    text: GalleryText, rules: Rules, fired: Fired, best: Best, chance: Best, detailed: bool
) -> dict[str, Any]:
    """One level of firing: the family that was best on half A, its scores on half B."""
    side = rules.half[fired.token]
    fires = np.stack([np.bincount(fired.row[side == s], minlength=fired.n) for s in (0, 1)])
    enough = fires.min(axis=0) >= LEAST_FIRES
    each = np.arange(fired.n)
    top, control_top = best.chosen.argmax(axis=0), chance.chosen.argmax(axis=0)
    has: np.ndarray = best.atoms[top, each, 0] >= 0
    said = [
        _words(rules.families[family], best.atoms[family, n]) if has[n] and enough[n] else ""
        for n, family in enumerate(top)
    ]
    scores = {name: getattr(best, name)[top, each] for name in ("f1", "precision", "recall")}
    scores["weighted_recall"] = best.weighted[top, each]
    scores["f1_found"] = best.chosen[top, each]
    scores["control_f1"] = chance.f1[control_top, each]
    scores["control_f1_found"] = chance.chosen[control_top, each]
    scores = {name: np.where(enough, value, np.nan) for name, value in scores.items()}
    low, high = np.full(fired.n, np.nan), np.full(fired.n, np.nan)
    others: list[tuple[str, ...]] = []
    wrong: list[tuple[tuple[str, str, str, str], ...]] = []
    for n in range(fired.n if detailed else 0):
        others.append(tuple(_words(f, best.atoms[i, n]) for i, f in enumerate(rules.families)))
        token = fired.token[fired.row == n]
        holds = rules.families[top[n]].holds(_listed(best.atoms[top[n], n]))
        ok = bool(has[n] and enough[n])
        if ok:
            low[n], high[n] = _interval(text, rules, token, holds)
        wrong.append(_wrong(text, rules, token, holds) if ok else ())
    return {
        "rule": said,
        "kind": [rules.families[f].name if s else "" for f, s in zip(top, said, strict=True)],
        "fires": fires,
        **scores,
        "f1_low": low,
        "f1_high": high,
        "others": others,
        "wrong": wrong,
        "family_f1": np.where(enough, best.f1, np.nan),
    }


def _listed(atoms: np.ndarray) -> list[int]:
    return [int(atom) for atom in atoms if atom >= 0]


def _words(family: Family, atoms: np.ndarray) -> str:
    listed = _listed(atoms)
    return family.words(listed) if listed else ""


def _interval(
    text: GalleryText, rules: Rules, token: np.ndarray, holds: np.ndarray
) -> tuple[float, float]:
    """95 % of the held-out F1 over documents drawn again."""
    there = rules.tokens[1]
    fires = np.zeros(text.n_tokens, dtype=bool)
    fires[token] = True
    document = np.unique(text.document[text.context[there]], return_inverse=True)[1].reshape(-1)
    counts = np.stack(
        [
            np.bincount(document, weights=mark[there].astype(float))
            for mark in (fires & holds, fires, holds)
        ]
    )
    n = counts.shape[1]
    drawn = np.random.default_rng(0).multinomial(n, np.full(n, 1 / n), N_DRAWS)
    hit, fired, said = counts @ drawn.T
    low, high = np.quantile(2 * hit / np.maximum(fired + said, 1), (0.025, 0.975))
    return float(low), float(high)


def _wrong(
    text: GalleryText, rules: Rules, token: np.ndarray, holds: np.ndarray
) -> tuple[tuple[str, str, str, str], ...]:
    """Tokens of half B, evenly spread, at which the rule and the feature disagree."""
    fires = np.zeros(text.n_tokens, dtype=bool)
    fires[token] = True
    counted = np.zeros(text.n_tokens, dtype=bool)
    counted[rules.tokens[1]] = True
    found = []
    for what, mark in (("missed", fires & ~holds), ("false alarm", holds & ~fires)):
        places = np.flatnonzero(mark & counted)
        chosen = places[np.linspace(0, len(places) - 1, min(N_WRONG, len(places))).astype(int)]
        found += [(what, *_around(text, int(place))) for place in chosen]
    return tuple(found)


def _around(text: GalleryText, place: int) -> tuple[str, str, str]:
    """(text before a token, the token, text behind)."""
    context = text.context[place]
    first = max(int(text.start[context]), place - AROUND)
    last = min(int(text.start[context + 1]), place + AROUND + 1)
    before, own, behind = (
        "".join(text.read(text.ids[part]))
        for part in (slice(first, place), slice(place, place + 1), slice(place + 1, last))
    )
    return before, own, behind
