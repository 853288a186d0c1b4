"""In-context graph tracing: do states of words come to lie as a walk connects the words?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses import graphs
from core.analyses.graph_heads import Silenced, silenced
from core.analyses.graph_walks import LEAST_LENGTH, Plan, Walked, late, most_words, walked
from core.analyses.graphs import Graph
from core.analyses.head_nulls import untrained
from core.analyses.probe_asked import stream_names
from core.analyses.runs import Progress
from core.corpus.graph_words import NodeWords, node_words
from core.engine.loss import refuse_without_next_tokens
from core.engine.token_scores import vocabulary
from core.models.loaded import Loaded
from core.results.graph_tracing import GraphTracing
from core.spec.errors import Error

LENGTH, WINDOW = 1_400, 50  # words, as published
CONTEXTS = (20, 50, 100, 200, 400, 800, 1_380)
N_PERMUTATIONS, N_MIXED, N_CONTROL = 200, 100, 4
BINS = 3  # points of the curve for each doubling of the words seen
RANGE = (0.025, 0.975)


def graph_tracing(
    loaded: Loaded,
    progress: Progress,
    *,
    graph: str = "grid",
    nodes: Sequence[str] = (),
    length: int = LENGTH,
    window: int = WINDOW,
    n_walks: int = 16,
    ablate: int = 0,
    nulls: bool = True,
    seed: int = 0,
) -> GraphTracing:
    """Walk a graph of words before the model's eyes, and look where it puts the words.

    graph    "grid" (4 x 4), "ring" (of 10), "hexagon" (two by two), "weekdays" (a ring of the days
             in another order than the week's)
    nodes    words of one's own, one token each; their number is the graph's size
    length   words of a walk, at most what the model reads; n_walks, one from each node in turn
    window   words that a node's mean state is taken over
    ablate   heads put to zero in each of three sets: the strongest for induction, for the token
             before, and random others; 0 for none

    Park et al. 2025, "ICLR: In-Context Learning of Representations", with the null of its critique:
    vectors that know nothing, averaged once with their neighbours, give most of the picture.
    """
    refuse_without_next_tokens(loaded, "tracing a graph")
    plan = _planned(loaded, graph, nodes, length, window, n_walks, seed)
    _whole("ablate", ablate, 0, loaded.n_layers * loaded.n_heads // 2)
    share = 0.5 if nulls or ablate else 1.0
    seen = walked(loaded, progress, plan, (0.0, share), "walks", kept=N_CONTROL)
    shuffled = fresh = None
    if nulls:
        few = plan.of(min(N_CONTROL, n_walks))
        shuffled = walked(loaded, progress, few.shuffled(seed), (share, 0.7), "in random order")
        twin, why = untrained(loaded, seed)
        if twin is None:
            plan.notes.append(why)
        else:
            fresh = walked(twin, progress, few, (0.7, 0.8), "fresh weights")
    heads = Silenced.empty()
    if ablate:
        heads = silenced(loaded, progress, plan.of(min(8, n_walks)), ablate, seed, (0.8, 1.0))
    return _result(loaded, plan, seen, shuffled, fresh, heads, seed)


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise Error(f"{name} is a whole number from {least} to {most}, not {str(value)[:20]}")


def _planned(
    loaded: Loaded, name: str, nodes: Sequence[str], length: int, window: int, n_walks: int,
    seed: int,
) -> Plan:  # fmt: skip
    if isinstance(nodes, str):
        raise Error("nodes= is a list of words, one for each node")
    size = len(nodes) or graphs.GRAPHS.get(name, 0)
    shape = graphs.graph(name, size)
    _whole("length", length, LEAST_LENGTH, 100_000)
    _whole("window", window, 10, 10_000)
    _whole("n_walks", n_walks, 1, 64)
    words = node_words(loaded, size, nodes, days=name == "weekdays")
    most = most_words(loaded)
    if most < max(LEAST_LENGTH, 3 * size):
        raise Error(
            f"{loaded.name} reads {most} words at most, too few to walk {size} nodes; take a graph "
            "of fewer nodes"
        )
    notes = []
    if length > most:
        notes.append(f"{loaded.name} reads {most:,} words at most, so walks end there")
    length = min(length, most)
    rng = np.random.default_rng(seed)
    walks = np.stack([graphs.walk(shape, length, at % size, rng) for at in range(n_walks)])
    contexts = sorted({*(each for each in CONTEXTS if each <= length), length})
    return Plan(shape, words, walks, tuple(contexts), window, notes)


@dataclass(frozen=True)
class _Scores:
    """Energies and planes of mean states, [context, layer] each."""

    energy: np.ndarray
    plane_energy: np.ndarray
    alignment: np.ndarray
    share: np.ndarray
    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    place: np.ndarray


def _scores(shape: Graph, means: np.ndarray, seed: int) -> tuple[_Scores, list[graphs.Plane]]:
    """means [context, layer, node, d], NaN where a word was not seen; the planes of the last
    context by layer."""
    rng = np.random.default_rng((seed, 1))
    orders = [rng.permutation(shape.n) for _ in range(N_PERMUTATIONS)]
    contexts, layers = means.shape[:2]
    names = ("energy", "plane_energy", "alignment", "share", "usual", "low", "high")
    found = {name: np.full((contexts, layers), np.nan) for name in names}
    place = np.full((contexts, layers, shape.n, 2), np.nan)
    planes: list[graphs.Plane] = []
    for context in range(contexts):
        planes = []
        for layer in range(layers):
            here = means[context, layer]
            if np.isfinite(here).all(axis=1).sum() < 3:
                planes.append(graphs.Plane(place[context, layer], np.zeros((2, here.shape[1])),
                                           np.zeros(here.shape[1]), np.nan, np.nan))  # fmt: skip
                continue
            flat = graphs.plane(here, shape.adjacency)
            planes.append(flat)
            place[context, layer] = flat.points
            low, high = np.quantile(graphs.energies(here, shape.adjacency, orders), RANGE)
            values = (
                graphs.energy(here, shape.adjacency),
                graphs.energy(flat.points, shape.adjacency),
                flat.alignment,
                flat.share,
                graphs.energy(here, shape.usual),
                low,
                high,
            )
            for name, value in zip(names, values, strict=True):
                found[name][context, layer] = value
    return _Scores(place=place, **found), planes


def _points(seen: Walked, planes: Sequence[graphs.Plane]) -> np.ndarray:
    """The kept single states in the planes of the last context, [layer, occurrence, 2]."""
    return np.stack([
        (states - flat.middle) @ flat.axes.T
        for states, flat in zip(seen.kept, planes, strict=True)
    ])  # fmt: skip


def _quantiles(drawn: np.ndarray) -> np.ndarray:
    """2.5 %, mean, 97.5 % of [draw, 2]."""
    low, high = np.quantile(drawn, RANGE, axis=0)
    return np.stack([low, drawn.mean(axis=0), high])


def _result(
    loaded: Loaded, plan: Plan, seen: Walked, shuffled: Walked | None, fresh: Walked | None,
    heads: Silenced, seed: int,
) -> GraphTracing:  # fmt: skip
    shape, words = plan.graph, plan.words
    own, planes = _scores(shape, seen.means, seed)
    nothing = np.full_like(own.energy, np.nan)
    other = _scores(shape, shuffled.means, seed)[0] if shuffled else None
    blank = _scores(shape, fresh.means[-1:], seed)[0] if fresh else None
    arrays = {
        "edges": shape.edges,
        "layout": shape.place,
        **_foretold(seen, plan.steps(loaded.d_vocab), seed),
        "context": np.array(plan.contexts),
        "seen": seen.counts,
        "energy": own.energy,
        "plane_energy": own.plane_energy,
        "alignment": own.alignment,
        "plane_share": own.share,
        "usual_energy": own.usual,
        "permuted_low": own.low,
        "permuted_high": own.high,
        "shuffled_energy": other.energy if other else nothing,
        "shuffled_alignment": other.alignment if other else nothing,
        "fresh_energy": blank.energy[0] if blank else nothing[0],
        "fresh_alignment": blank.alignment[0] if blank else nothing[0],
        **_mixed(loaded, plan, seed),
        "place": own.place.astype("float32"),
        "point": _points(seen, planes).astype("float32"),
        "point_node": seen.kept_node,
        "point_before": seen.kept_before,
    }
    return GraphTracing(
        request={},
        graph=shape.name,
        **_words(words),
        notes=tuple(plan.notes),
        sites=stream_names(loaded),
        n_walks=len(plan.walks),
        n_control_walks=N_CONTROL if shuffled else 0,
        length=plan.walks.shape[1],
        window=plan.window,
        n_permutations=N_PERMUTATIONS,
        n_mixed=N_MIXED,
        seed=seed,
        late=float(late(seen.mass).mean()),
        late_permuted=float(late(seen.permuted).mean()),
        **arrays,
        **heads.fields(),
    )


def _foretold(seen: Walked, steps: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """What is foretold along the walks, in groups of steps."""
    bins = _bins(steps)
    low, high = _spread(_binned(seen.mass, bins), seed)
    return {
        "step": _binned(steps[None], bins)[0],
        "mass": _binned(seen.mass, bins).mean(axis=0),
        "mass_low": low,
        "mass_high": high,
        "permuted_mass": _binned(seen.permuted, bins).mean(axis=0),
        "words_mass": _binned(seen.on_words, bins).mean(axis=0),
    }


def _mixed(loaded: Loaded, plan: Plan, seed: int) -> dict[str, np.ndarray]:
    """The required null: vectors that know nothing of a walk, averaged with their neighbours."""
    rng, width = np.random.default_rng((seed, 2)), loaded.d_model
    table = vocabulary(loaded, "embedding").matrix[list(plan.words.ids)]
    return {
        "mixed": _quantiles(graphs.mixed(plan.graph, width, N_MIXED, rng)),
        "mixed_place": graphs.mixed_plane(plan.graph, width, rng).points,
        "mixed_own": np.array(graphs.mixed_once(plan.graph, table.double().cpu().numpy())),
        "unrelated": _quantiles(graphs.unrelated(plan.graph, width, N_MIXED, rng)),
    }


def _words(words: NodeWords) -> dict[str, Any]:
    return {"words": words.words, "source": words.source, "dropped": words.dropped}


def _bins(steps: np.ndarray) -> np.ndarray:
    """Where groups of steps begin that lie near each other on a logarithmic axis."""
    place = np.floor(BINS * np.log2(steps)).astype(int)
    return np.flatnonzero(np.diff(place, prepend=-1))


def _binned(values: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Means over the groups, [walk, bin]: the word before the next is another at every step."""
    sizes = np.diff(np.append(bins, values.shape[1]))
    return np.asarray(np.add.reduceat(values, bins, axis=1) / sizes)


def _spread(values: np.ndarray, seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """95 % of the mean over walks [walk, step], walks drawn again."""
    rng = np.random.default_rng((seed, 3))
    drawn = values[rng.integers(len(values), size=(n, len(values)))].mean(axis=1)
    low, high = np.quantile(drawn, RANGE, axis=0)
    return low, high
