"""Descriptions and the words they mean: does the model land on them, and where is the concept?"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from core.analyses import separation
from core.analyses.clouds import unit
from core.analyses.property_decoding import N_CHANCES, decoded
from core.analyses.reverse_prompts import Prompts, Read, prompts, read
from core.analyses.runs import Progress
from core.analyses.states import stream_sites
from core.corpus.reverse_items import asked
from core.corpus.word_properties import Properties
from core.corpus.word_properties import properties as known_properties
from core.engine.loss import refuse_without_next_tokens
from core.models.loaded import Loaded
from core.results.reverse_dictionary import CONDITIONS, ReverseDictionary
from core.spec.described import WORDNET, Item, Items
from core.spec.errors import Error

N_DEMONSTRATIONS, MOST_DEMONSTRATIONS = 8, 48
N_ITEMS, N_SHUFFLES, N_TRIPLETS = 96, 30, 2_000
LEAST_WITH = 20  # items that have a property, and that have it not
PLACES = 3  # arrow, end of the description, arrow behind mismatched demonstrations


def reverse_dictionary(
    loaded: Loaded,
    progress: Progress,
    *,
    items: Any = WORDNET,
    n_items: int = N_ITEMS,
    n_demonstrations: int = N_DEMONSTRATIONS,
    n_runs: int = 1,
    properties: Any = None,
    min_with: int = LEAST_WITH,
    layer: int | None = None,
    arrow: str = "",
    end: str = "",
    n_shuffles: int = N_SHUFFLES,
    seed: int = 0,
) -> ReverseDictionary:
    """Demonstrations "description ⇒ word", a line each, then a description and the arrow.

    items       a built-in name, a .csv file, or rows of (description, word, category); more than
                `n_items` are thinned, category by category
    n_runs      sets of demonstrations
    properties  of the words: a .csv file, or property -> words; read from the state at the arrow
                of `layer` (None: the one that tells most about the categories), by one regression
                for each property that `min_with` items have and as many have not

    Xu, Zhang, Zhou et al. 2024, "On the Tip of the Tongue: Analyzing Conceptual Representation in
    Large Language Models with Reverse-Dictionary Probe".
    """
    refuse_without_next_tokens(loaded, "the reverse dictionary")
    _check(n_items, n_demonstrations, n_runs, min_with, n_shuffles)
    given = asked(items, arrow, end)
    chosen = _some(given, n_items, seed)
    own = [given.items[i] for i in chosen]
    counts = _counts(n_demonstrations)
    reads, notes = _reads(loaded, progress, given, chosen, counts, n_runs, seed)
    main, wrong = reads["matched"][0][1], reads["mismatched"][0][1]
    progress.step(0.85, "categories")
    labels = np.array([item.category for item in own])
    apart = _categories(main, wrong, labels, n_shuffles, seed)
    curve = _convergence(reads["counts"], labels, n_shuffles, seed)
    best = _layer(layer, apart["category_accuracy"])
    progress.step(0.92, "properties")
    decoded_ = _properties(progress, main, own, properties, min_with, best, seed)
    notes += decoded_.pop("notes")
    if (labels == "").all():
        notes.append("the items have no categories, so none can be told")
    return ReverseDictionary(
        request={},
        arrow=given.arrow,
        seed=seed,
        n_demonstrations=n_demonstrations,
        n_runs=n_runs,
        n_shuffles=n_shuffles,
        notes=tuple(notes),
        sites=("embedding", *map(str, stream_sites(loaded))),
        n_triplets=N_TRIPLETS,
        **_about(given, own),
        **_behaviour(reads),
        **apart,
        **curve,
        **decoded_,
    )


def _about(given: Items, own: Sequence[Item]) -> dict[str, Any]:
    return {
        "set_name": given.name,
        "source": given.source,
        "licence": given.licence,
        "n_items": len(own),
        "n_given": len(given.items),
        "words": tuple(item.word for item in own),
        "descriptions": tuple(item.description for item in own),
        "category": tuple(item.category for item in own),
        "categories": tuple(sorted({item.category for item in own} - {""})),
    }


def _behaviour(reads: dict[str, list[tuple[Prompts, Read]]]) -> dict[str, Any]:
    """What was said, condition by condition."""
    made, main = reads["matched"][0]
    each = [[one for _, one in reads[condition]] for condition in CONDITIONS]
    return {
        "fitted": tuple(one.n for one, _ in reads["matched"]),
        "example": made.example[-2_000:],
        "right": np.stack([np.stack([one.right for one in runs]) for runs in each]),
        "said": main.said,
        "first_p": np.stack([np.mean([one.first_p for one in runs], axis=0) for runs in each]),
    }


def _check(n_items: Any, n: Any, n_runs: Any, min_with: Any, n_shuffles: Any) -> None:
    for name, value, least, most in (
        ("n_items", n_items, 8, 5_000),
        ("n_demonstrations", n, 1, MOST_DEMONSTRATIONS),
        ("n_runs", n_runs, 1, 20),
        ("min_with", min_with, 5, 10_000),
        ("n_shuffles", n_shuffles, 5, 1_000),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise Error(f"{name}= is a whole number from {least} to {most:,}, not {value!r:.40}")


def _some(given: Items, n: int, seed: int) -> list[int]:
    """Numbers of the items asked: all, or as many of each category as fit, drawn."""
    every = np.arange(len(given.items))
    if len(every) <= n:
        return [int(i) for i in every]
    rng = np.random.default_rng((seed, 42))
    labels = np.array([item.category for item in given.items])
    share = n / len(every)
    kept = [
        rng.permutation(mine)[: max(min(2, len(mine)), round(share * len(mine)))]
        for mine in (np.flatnonzero(labels == name) for name in np.unique(labels))
    ]
    return sorted(int(i) for part in kept for i in part)


def _counts(n: int) -> list[int]:
    """0, 1, 2, 4 ... and the number asked for."""
    found = [0]
    while (power := 2 ** (len(found) - 1)) < n:
        found.append(power)
    return [*found, n]


def _reads(
    loaded: Loaded, progress: Progress, given: Items, chosen: Sequence[int],
    counts: Sequence[int], n_runs: int, seed: int,
) -> tuple[dict[str, list[tuple[Prompts, Read]]], list[str]]:  # fmt: skip
    """(prompts, read) of every run of each condition, and of every number of demonstrations."""
    own = [given.items[i] for i in chosen]
    n = counts[-1]
    plan: list[tuple[int, bool, int]] = [(count, False, 0) for count in counts]
    plan += [(n, False, run) for run in range(1, n_runs)]
    plan += [(n, True, run) for run in range(n_runs)]
    load = [count + 1 for count, _, _ in plan]
    done: dict[tuple[int, bool, int], tuple[Prompts, Read]] = {}
    for number, ask in enumerate(plan):
        count, mismatched, run_ = ask
        made = prompts(loaded, given, chosen, count, seed + 1_000 * run_, mismatched=mismatched)
        share = tuple(0.85 * sum(load[: number + k]) / sum(load) for k in (0, 1))
        words = f"{count} demonstrations" + (", mismatched" if mismatched else "")
        done[ask] = (
            made, read(loaded, progress, made, own, (share[0], share[1]), words)
        )  # fmt: skip
    fitted = done[n, False, 0][0].n
    notes = [] if fitted == n else [f"{fitted} of {n} demonstrations fit into the context"]
    if len(chosen) < len(given.items):
        notes.append(f"{len(chosen)} of {len(given.items):,} descriptions are asked, drawn")
    return {
        "matched": [done[n, False, run_] for run_ in range(n_runs)],
        "mismatched": [done[n, True, run_] for run_ in range(n_runs)],
        "none": [done[0, False, 0]] * n_runs,
        "counts": [done[count, False, 0] for count in counts],
    }, notes


def _categories(
    main: Read, wrong: Read, labels: np.ndarray, n_shuffles: int, seed: int
) -> dict[str, Any]:
    n_layers = len(main.arrow)
    rng = np.random.default_rng((seed, 43))
    fit = np.flatnonzero(labels != "")
    tables = np.stack([labels[fit], *(rng.permutation(labels[fit]) for _ in range(n_shuffles))])
    found = np.full((1 + n_shuffles, PLACES, n_layers), np.nan)
    odd = np.full(n_layers, np.nan)
    if len(fit) and len(np.unique(tables[0])) > 1:
        triplets = _triplets(tables[0], rng)
        for layer in range(n_layers):
            for place, states in enumerate((main.arrow, main.before, wrong.arrow)):
                rows = _centred(states[layer][fit])
                if rows is None:
                    continue
                inner = rows @ rows.T
                for row, own in enumerate(tables):
                    chosen = separation.nearest_centroid(inner, own)
                    found[row, place, layer] = separation.balanced(chosen, own)
                if place == 0 and len(triplets):
                    a, b, c = triplets.T
                    best = np.stack([inner[a, b], inner[a, c], inner[b, c]]).argmax(axis=0)
                    odd[layer] = float((best == 0).mean())
    return {"category_accuracy": found[0], "category_chance": found[1:], "odd_one_out": odd}


def _centred(states: np.ndarray) -> np.ndarray | None:
    """Unit rows of centred states; None where all are the same."""
    rows = np.asarray(states, dtype=np.float64)
    centred = rows - rows.mean(axis=0)
    if np.abs(centred).max() <= 1e-6 * max(1e-12, np.abs(rows).max()):
        return None
    return unit(centred)


def _triplets(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """[triplet, 3] two items of one category and one of another."""
    names, count = np.unique(labels, return_counts=True)
    many = names[count > 1]
    if not len(many):
        return np.zeros((0, 3), dtype=int)
    found = []
    for name in rng.choice(many, N_TRIPLETS):
        pair = rng.choice(np.flatnonzero(labels == name), 2, replace=False)
        found.append([*pair, rng.choice(np.flatnonzero(labels != name))])
    return np.array(found)


def _convergence(
    reads: Sequence[tuple[Prompts, Read]], labels: np.ndarray, n_shuffles: int, seed: int
) -> dict[str, Any]:
    """Similarity of the items' similarities behind few and behind most demonstrations."""
    rng = np.random.default_rng((seed, 44))
    n_items = len(labels)
    orders = [rng.permutation(n_items) for _ in range(n_shuffles)]
    n_layers = len(reads[0][1].arrow)
    likeness = np.full((len(reads), n_layers), np.nan)
    chance = np.full((n_shuffles, len(reads), n_layers), np.nan)
    own = np.full(n_layers, np.nan)
    same = (labels[:, None] == labels) & (labels != "")
    pair = np.triu_indices(n_items, 1)
    for layer in range(n_layers):
        tables = []
        for _, one in reads:
            rows = _centred(one.arrow[layer])
            tables.append(None if rows is None else rows @ rows.T)
        last = tables[-1]
        if last is None:
            continue
        goal = _ranks(last[pair])
        for number, table in enumerate(tables):
            if table is None:
                continue
            square = np.zeros_like(table)  # ranks, which stay the same when items are moved
            square[pair] = _ranks(table[pair])
            square += square.T
            likeness[number, layer] = _correlation(square[pair], goal)
            for time, order in enumerate(orders):
                chance[time, number, layer] = _correlation(square[np.ix_(order, order)][pair], goal)
        if same[pair].any():
            own[layer] = _correlation(_ranks(same[pair].astype(float)), goal)
    return {
        "ns": np.array([made.n for made, _ in reads]),
        "n_accuracy": np.array([one.right.mean() for _, one in reads]),
        "likeness": likeness,
        "likeness_chance": chance,
        "category_likeness": own,
    }


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata  # a second to import

    found: np.ndarray = rankdata(values)
    return found


def _correlation(one: np.ndarray, other: np.ndarray) -> float:
    a, b = one - one.mean(), other - other.mean()
    length = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / length if length > 0 else float("nan")


def _layer(layer: int | None, accuracy: np.ndarray) -> int:
    n = accuracy.shape[1]
    if layer is not None:
        if not isinstance(layer, int) or not 0 <= layer < n:
            raise Error(f"layer= is a row of the stream from 0 to {n - 1}, not {layer!r:.20}")
        return layer
    return n - 1 if np.isnan(accuracy[0]).all() else int(np.nanargmax(accuracy[0]))


def _properties(
    progress: Progress, main: Read, own: Sequence[Any], given: Any, least: int, layer: int,
    seed: int,
) -> dict[str, Any]:  # fmt: skip
    nothing: dict[str, Any] = {
        "property_layer": -1,
        "properties": (),
        "property_group": (),
        "property_size": np.zeros(0, dtype=int),
        "property_auc": np.zeros(0),
        "property_f1": np.zeros(0),
        "property_chance": np.zeros((N_CHANCES, 0)),
        "notes": [],
    }
    if given is None:
        return nothing
    known: Properties = known_properties(given)
    words = [item.word.lower() for item in own]
    labels = np.array([[word in have for have in known.words] for word in words])
    n = labels.sum(axis=0)
    fit = np.flatnonzero((n >= least) & (len(words) - n >= least))
    if not len(fit):
        raise Error(
            f"none of {len(known.names):,} properties is had by {least} of the {len(words)} words "
            "and not by as many others; ask more items (n_items=), or lower min_with="
        )
    found = decoded(main.arrow[layer], labels[:, fit], seed, progress.check)
    left = len(known.names) - len(fit)
    return {
        "property_layer": layer,
        "properties": tuple(known.names[p] for p in fit),
        "property_group": tuple(known.group[p] for p in fit),
        "property_size": n[fit],
        "property_auc": found.auc,
        "property_f1": found.f1,
        "property_chance": found.chance,
        "notes": [f"{left} properties with fewer than {least} words are left out"] if left else [],
    }
