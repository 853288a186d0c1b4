"""Is a category a vector; do sub-categories branch off from it; do siblings form a simplex?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses import category_panels as panels
from core.analyses.category_close import close
from core.analyses.category_rows import FORMS, PREPARED, Rows, Seen, output_rows, word_states
from core.analyses.category_vectors import HOW, Tree, tree
from core.analyses.clouds import cosines
from core.analyses.item_states import READS
from core.analyses.runs import Progress
from core.analyses.states import stream_sites
from core.concept_sets import asked
from core.models.loaded import Loaded
from core.results.categories import Categories
from core.spec.concept_set import ConceptSet, short
from core.spec.errors import Error

SIDES = ("unembedding", "states")
LEAST = 5  # words of a category
MOST = 400  # categories; every pair of them is a cell
N_SPLITS, N_SHUFFLES = 10, 20
LAYER_SPLITS = 2


@dataclass(frozen=True)
class _Ask:
    """What every panel is made with."""

    tree: Tree
    own: panels.Members
    how: str
    exclusive: bool
    least: int
    seed: int
    n_splits: int
    focus: panels.Focus


def categories(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any,
    side: str = "unembedding",
    layer: int | None = None,
    how: str = "lda",
    prepare: str = "whiten",
    forms: str = "all",
    exclusive: bool = False,
    min_words: int = LEAST,
    focus: str = "",
    toward: str = "",
    n_splits: int = N_SPLITS,
    n_shuffles: int = N_SHUFFLES,
    contexts: Sequence[str] = (),
    read: str = "last",
    seed: int = 0,
) -> Categories:
    """Vectors of categories and what their tree looks like in the model.

    concepts   a set of categories, by name or as data; see `core.concept_sets.asked`
    side       "unembedding": rows of the words' tokens, whitened, so steps are logits; "states":
               of the words at a layer of the stream
    layer      of the states, 0 the embedding; None: where held-out words score best
    how        "lda" (the paper's) or "mean" (baseline)
    prepare    "whiten", "centre" or "zscore"; by all tokens, or by random words at that layer
    forms      on the output side: "all" single-token forms of a word, or the "word" as written
    exclusive  parents without the words of the child they are compared with
    focus, toward  a category to look at closely, and the parent that its own is moved to

    Park, Choe, Jiang and Veitch 2024, "The Geometry of Categorical and Hierarchical Concepts in
    Large Language Models".
    """
    _check(side, how, prepare, forms, read, min_words, n_splits, n_shuffles)
    given = _given(concepts)
    seen = word_states(loaded, progress, given, contexts, read, seed) if side == "states" else None
    if seen is None:
        progress.step(0.1, "rows of the unembedding")
        rows = output_rows(loaded, given, forms, prepare, seed)
        layer, curve = -1, (np.zeros(0), np.zeros(0))
    else:
        layer, curve = _layers(progress, given, seen, layer, prepare, how, min_words, seed)
        rows = seen.rows(layer, prepare)
    ask = _asked(given, rows, how, exclusive, min_words, seed, n_splits, focus, toward)
    found = _measured(progress, rows, ask, n_shuffles)
    return Categories(
        request={},
        side=side,
        site="" if layer < 0 else _site(loaded, layer),
        layer=layer,
        how=how,
        prepare=prepare,
        exclusive=exclusive,
        seed=seed,
        n_splits=n_splits,
        n_shuffles=n_shuffles,
        notes=_notes(ask),
        layer_test=curve[0],
        layer_shuffled=curve[1],
        **_about(given, seen, forms, read),
        **_sizes(rows),
        **found,
    )


def _given(concepts: Any) -> ConceptSet:
    given = asked(concepts)
    if given.kind != "categories":
        raise Error(
            f"{short(given.name)} is a set of {given.kind}; categories are asked about groups of "
            "words"
        )
    return given


def _about(given: ConceptSet, seen: Seen | None, forms: str, read: str) -> dict[str, Any]:
    return {
        "set_name": given.name,
        "source": given.source,
        "licence": given.licence,
        "forms": forms if seen is None else "",
        "contexts": () if seen is None else seen.states.contexts,
        "read": "" if seen is None else read,
    }


def _sizes(rows: Rows) -> dict[str, Any]:
    return {
        "n_words": len(rows.words),
        "n_rows": len(rows.word),
        "n_others": len(rows.others),
        "n_dimensions": rows.cloud.shape[1],
        "dropped": rows.dropped,
    }


def _check(
    side: str, how: str, prepare: str, forms: str, read: str, min_words: Any, n_splits: Any,
    n_shuffles: Any,
) -> None:  # fmt: skip
    for name, value, known in (
        ("side", side, SIDES),
        ("how", how, HOW),
        ("prepare", prepare, PREPARED),
        ("forms", forms, FORMS),
        ("read", read, READS),
    ):
        if value not in known:
            raise Error(f"{name}= is one of {', '.join(known)}, not {str(value)[:20]!r}")
    for name, value, least, most in (
        ("min_words", min_words, 2, 10_000),
        ("n_splits", n_splits, 1, 200),
        ("n_shuffles", n_shuffles, 5, 1_000),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Error(f"{name}= is a whole number from {least} to {most:,}, not {value!r:.40}")


def _site(loaded: Loaded, layer: int) -> str:
    sites = stream_sites(loaded)
    return str(sites[layer - 1]) if layer else str(sites[0]).replace("resid_post", "resid_pre")


def _layers(
    progress: Progress, given: ConceptSet, seen: Seen, layer: int | None, prepare: str, how: str,
    least: int, seed: int,
) -> tuple[int, tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """The layer to look at, and mean held-out scores of every layer, the words' and shuffled."""
    n = seen.states.n_layers
    if layer is not None and not (isinstance(layer, int) and 0 <= layer < n):
        raise Error(f"layer= is a row of the stream from 0 to {n - 1}, not {layer!r:.20}")
    known = _grown(given, seen.states.words[: seen.own], least)
    test, chance = np.zeros(n), np.zeros(n)
    for number in range(n):
        progress.step(0.4 + 0.3 * number / n, f"held-out words at layer {number}")
        try:
            rows = seen.rows(number, prepare)
        except Error:  # an embedding that knows no word apart at this place
            test[number] = chance[number] = np.nan
            continue
        own = panels.members(known, rows.words, rows.word, seed)
        mixed = rows.drawn(len(rows.cloud), np.random.default_rng((seed, 16)))
        for cloud, into in ((rows.cloud, test), (mixed, chance)):
            into[number] = np.nanmean(panels.held_out(cloud, own, how, seed, LAYER_SPLITS).test)
    if not np.isfinite(test).any():
        raise Error("the words have the same state at every layer; nothing can be measured")
    return (int(np.nanargmax(test)) if layer is None else layer), (test, chance)


def _grown(given: ConceptSet, words: Sequence[str], least: int) -> Tree:
    found = tree(given, words, least)
    if len(found.names) < 2:
        raise Error(
            f"{short(given.name)}: {len(found.names)} categories have {least} readable words; at "
            "least two are needed (choose a larger set, or lower min_words=)"
        )
    if len(found.names) > MOST:
        raise Error(
            f"{short(given.name)} has {len(found.names):,} categories; at most {MOST} are asked at "
            "a time: raise min_words="
        )
    return found


def _asked(
    given: ConceptSet, rows: Rows, how: str, exclusive: bool, least: int, seed: int, n_splits: int,
    focus: str, toward: str,
) -> _Ask:  # fmt: skip
    known = _grown(given, rows.words, least)
    own = panels.members(known, rows.words, rows.word, seed)
    chosen, other = (_number(given, known, name) for name in (focus, toward))
    if chosen < 0:
        chosen = _telling(known)
    one = panels.focus(known, chosen, other)
    return _Ask(known, own, how, exclusive, least, seed, n_splits, one)


def _number(given: ConceptSet, known: Tree, name: str) -> int:
    if not name:
        return -1
    if name not in known.names:
        given.group(name)
        raise Error(f"{short(name)} was left out or merged; choose {', '.join(known.names[:6])}")
    return known.names.index(name)


def _telling(known: Tree) -> int:
    """The category with most around it: siblings, another parent, words."""

    def wealth(number: int) -> tuple[bool, bool, int, int]:
        one = panels.focus(known, number)
        return (one.toward >= 0, len(one.corners) > 2, len(one.corners), len(known.words[number]))

    return max(range(len(known.names)), key=wealth)


def _measured(progress: Progress, rows: Rows, ask: _Ask, n_shuffles: int) -> dict[str, Any]:
    progress.step(0.72, "vectors of the categories")
    known, own = ask.tree, ask.own
    held = panels.held_out(rows.cloud, own, ask.how, ask.seed, ask.n_splits)
    panel = _panels(rows.cloud, ask)
    random, random_sd = rows.spread(held.first)
    chance = _shuffled(progress, rows, ask, n_shuffles)
    upper = panel.pop("upper")
    drawn = panels.random_parents(
        panel.pop("ells"), known, upper, np.random.default_rng((ask.seed, 17))
    )
    some = panels.effects(
        rows.cloud, own, known, ask.focus, ask.how, ask.seed, ask.n_splits, progress.check
    )
    names = ("c1", "c2", "regularity", "normal")
    return {
        "names": known.names,
        "parent": known.parent,
        "n_each": np.array([len(words) for words in known.words]),
        "train": held.train,
        "test": held.test,
        "test_sd": held.test_sd,
        "n_test": held.n_test,
        "random": random,
        "random_sd": random_sd,
        "shuffled_test": chance["test"],
        "random_c1": drawn[0],
        "random_c2": drawn[1],
        **{name: panel[name] for name in names},
        **{f"shuffled_{name}": chance[name] for name in names},
        **_against_tree(known, panel["cosine"], chance["cosine"]),
        **_effect_fields(some, chance["effects"]),
        **close(rows, own, known, ask.focus, ask.how, ask.seed),
    }


def _against_tree(known: Tree, cosine: np.ndarray, chance: np.ndarray) -> dict[str, Any]:
    """Cosines beside the tree and beside those of the shuffles, chance [shuffle, a, b]."""
    low, high = np.quantile(chance, (0.05, 0.95), axis=0)
    distance, family = known.distances(), panels.simplices(known)
    return {
        "cosine": cosine,
        "shuffled_cosine": chance.mean(axis=0),
        "shuffled_low": low,
        "shuffled_high": high,
        "distance": distance,
        "spearman": panels.agreement(cosine, distance),
        "shuffled_spearman": np.array([panels.agreement(one, distance) for one in chance]),
        "family": np.array([parent for parent, _ in family], dtype=int),
        "family_size": np.array([len(below) for _, below in family], dtype=int),
    }


def _effect_fields(some: list[panels.Effect], chance: list[list[panels.Effect]]) -> dict[str, Any]:
    return {
        "effect_kind": tuple(one[0] for one in some),
        "effect_pair": np.array([one[1:3] for one in some], dtype=int).reshape(-1, 2),
        "effect": np.array([one[3] for one in some]),
        "effect_sd": np.array([one[4] for one in some]),
        "effect_n": np.array([one[5] for one in some], dtype=int),
        "shuffled_effect": _effects_by_chance(chance, some),
    }


def _panels(cloud: np.ndarray, ask: _Ask) -> dict[str, Any]:
    """What is asked of rows and of shuffled rows alike."""
    ells = panels.vectors(cloud, ask.own, ask.how)
    up, upper = panels.parents_of(cloud, ask.own, ask.tree, ells, ask.how, ask.least, ask.exclusive)
    c1, c2 = panels.angles(ells, up, upper)
    regularity, normal = panels.families(ells, ask.tree)
    return {
        "ells": ells, "upper": upper, "c1": c1, "c2": c2, "cosine": cosines(ells),
        "regularity": regularity, "normal": normal,
    }  # fmt: skip


def _shuffled(progress: Progress, rows: Rows, ask: _Ask, times: int) -> dict[str, Any]:
    """The same questions about rows of any tokens, [shuffle, ...]."""
    names = ("c1", "c2", "cosine", "regularity", "normal")
    found: dict[str, list[Any]] = {name: [] for name in (*names, "test", "effects")}
    for number in range(times):
        progress.step(0.75 + 0.2 * number / times, f"shuffled tokens, {number + 1} of {times}")
        cloud = rows.drawn(len(rows.cloud), np.random.default_rng((ask.seed, 18, number)))
        held = panels.held_out(cloud, ask.own, ask.how, ask.seed + number, 1)
        found["test"].append(held.test)
        panel = _panels(cloud, ask)
        for name in names:
            found[name].append(panel[name])
        found["effects"].append(
            panels.effects(
                cloud, ask.own, ask.tree, ask.focus, ask.how, ask.seed, 3, progress.check
            )
        )
    return {name: np.stack(found[name]) for name in (*names, "test")} | {
        "effects": found["effects"]
    }


def _effects_by_chance(
    shuffled: list[list[panels.Effect]], some: list[panels.Effect]
) -> np.ndarray:
    """[shuffle, effect], NaN where a shuffle held no word out on one side."""
    found = np.full((len(shuffled), len(some)), np.nan)
    place = {one[:3]: number for number, one in enumerate(some)}
    for row, effects in enumerate(shuffled):
        for one in effects:
            if one[:3] in place:
                found[row, place[one[:3]]] = one[3]
    return found


def _notes(ask: _Ask) -> tuple[str, ...]:
    notes = list(ask.tree.notes)
    thinned = sum(len(rows) == panels.MOST_ROWS for rows in ask.own.rows)
    if thinned:
        notes.append(f"{thinned} categories are thinned to {panels.MOST_ROWS} tokens each")
    if (ask.tree.parent < 0).all():
        notes.append("no category lies above another, so there is no hierarchy to ask about")
    return tuple(notes)
