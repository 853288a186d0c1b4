"""Which features are near one, by what they write, what they read and when they fire."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.asked import whole
from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.feature_known import Known, named
from core.analyses.feature_rows import (
    check_feature,
    feature_site,
    once,
    opened_dictionary,
    random_directions,
    stream_rows,
    unit_columns,
    unit_rows,
)
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.dictionaries.sparse import SparseDict
from core.engine.neuron_rows import n_layers, neuron_rows, weights_of
from core.engine.token_scores import decoded, vocabulary
from core.galleries import cofiring
from core.galleries.reading import RARE, FeatureGallery
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.feature_neighbours import HINTS, FeatureNeighbours
from core.spec.errors import Error
from core.spec.site import Site

N_CHANCE, QUANTILE = 200, 0.99
N_SHIFTS = 20
N_OPPOSITE, N_FAMILY, N_NEURONS, N_TOKENS = 5, 12, 12, 3
N_NEURON_CHANCE = 32
MOST_K = 200
SPLIT_COSINE, SPLIT_JACCARD = 0.7, 0.05
SAME_COSINE, SAME_JACCARD = 0.9, 0.5
_BAND = 4_096  # features whose own cosines say what is usual


def feature_neighbours(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    feature: int,
    k: int = 20,
    firing: bool = True,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> FeatureNeighbours:
    """Features by cosine of decoder rows and of encoder columns, and by firing on the same tokens;
    duplicates, splits, parents and children; neurons that write or read what the feature writes.

    firing  False leaves out what needs the gallery of the corpus (made where there is none)
    """
    found = opened_dictionary(loaded, dictionary)
    one = check_feature(found, feature)
    whole("k", k, MOST_K)
    place: dict[str, Any] = {"field": field, "window": window, "n_contexts": n_contexts}
    gallery = None
    if firing:
        place |= {"dictionary": dictionary, "corpus": corpus, "seed": seed}
        gallery = opened(loaded, progress, **place)
    with loaded.busy():
        progress.step(0.3, "features that write or read the like")
        decoder, encoder = _cosines(found, one)
        rows = _by_rows(loaded, found, decoder, encoder, one, k)
        progress.step(0.5, "features that fire on the same tokens")
        counted, fires = _by_firing(gallery, one, decoder, k, seed)
        progress.step(0.7, "neurons that write or read the like")
        neurons = _neurons(loaded, found, one, progress)
        listed = _listed(one, rows, counted)
        says = _says(loaded, found, listed)
    return FeatureNeighbours(
        request={},
        dictionary=found.name,
        feature=one,
        site=feature_site(found, one),
        n_features=found.n_features,
        n_chance=N_CHANCE,
        n_shifts=N_SHIFTS,
        named=Known(labels=named(found)).labelled(listed),
        says=says,
        **rows,
        **_both(rows["decoder"], decoder, fires, one),
        **counted,
        **neurons,
        **_heads(loaded, found, one),
    )


def _cosines(dictionary: SparseDict, feature: int) -> tuple[np.ndarray, np.ndarray]:
    """Of this decoder row, and of this encoder column, with all of them, [feature] each."""
    found = []
    for rows in (unit_rows(dictionary), unit_columns(dictionary)):
        found.append((rows @ rows[feature]).cpu().numpy())
    return found[0], found[1]


def _by_rows(
    loaded: Loaded,
    dictionary: SparseDict,
    decoder: np.ndarray,
    encoder: np.ndarray,
    feature: int,
    k: int,
) -> dict[str, Any]:
    """Lists by cosine and what chance gives, by field of the result."""
    near, read = _best(decoder, feature, k), _best(encoder, feature, k)
    opposite = _best(-decoder, feature, N_OPPOSITE)
    own, band = once(loaded, dictionary, "own cosines", lambda: _own(dictionary))
    return {
        "own_cosine": float(own[feature]) if len(own) else float("nan"),
        "own_band": band,
        "chance_decoder": once(
            loaded, dictionary, "chance decoder", lambda: _chance(unit_rows(dictionary))
        ),
        "chance_encoder": once(
            loaded, dictionary, "chance encoder", lambda: _chance(unit_columns(dictionary))
        ),
        "decoder": near,
        "decoder_cosine": decoder[near],
        "decoder_encoder": encoder[near],
        "opposite": opposite,
        "opposite_cosine": decoder[opposite],
        "encoder": read,
        "encoder_cosine": encoder[read],
        "encoder_decoder": decoder[read],
    }


def _best(score: np.ndarray, feature: int, k: int) -> np.ndarray:
    """The k features of largest score, this one left out; of equals the lower number."""
    order = np.argsort(-score, kind="stable")
    found: np.ndarray = order[order != feature][:k].astype(np.int32)
    return found


def _own(dictionary: SparseDict) -> tuple[np.ndarray, tuple[float, float]]:
    """Cosine of each feature's encoder and decoder, and the central 95 %; () across widths."""
    if dictionary.d_in != dictionary.d_out:
        return np.zeros(0), (float("nan"), float("nan"))
    own = (unit_rows(dictionary) * unit_columns(dictionary)).sum(1).cpu().numpy()
    low, high = np.quantile(own, (0.025, 0.975))
    return own, (float(low), float(high))


def _chance(rows: Tensor) -> tuple[float, float]:
    """99th percentile of the largest cosine of random directions with the rows: isotropic ones,
    and ones with the rows' covariance."""
    found = []
    for like in (False, True):
        drawn = random_directions(rows, N_CHANCE, seed=0, like=like)
        largest = torch.cat([(part @ rows.T).amax(1) for part in drawn.split(32)])
        found.append(float(torch.quantile(largest, QUANTILE)))
    return found[0], found[1]


def _by_firing(
    gallery: FeatureGallery | None, feature: int, decoder: np.ndarray, k: int, seed: int
) -> tuple[dict[str, Any], cofiring.Together | None]:
    """Lists by firing together, by field of the result."""
    why_not = _why_not(gallery, feature)
    fires = None
    if gallery is not None and not why_not:
        fires = cofiring.together(gallery, feature)
    n_fires = int(gallery.count[feature]) if gallery is not None else -1
    head = {
        "corpus": gallery.manifest.corpus if gallery is not None else "",
        "n_tokens": gallery.n_tokens if gallery is not None else 0,
        "n_fires": n_fires,
        "why_not": why_not,
    }
    if fires is None or gallery is None:
        return head | _nothing(), None
    jaccard = np.where(fires.both > 0, np.nan_to_num(fires.jaccard, nan=-1.0), -1.0)
    near = _best(jaccard, feature, k)
    near = near[jaccard[near] > 0]
    above = cofiring.parents(fires, feature)[:N_FAMILY]
    below = cofiring.children(fires, feature)[:N_FAMILY]
    shifted = cofiring.shifted_jaccard(gallery, feature, N_SHIFTS, seed)
    parts = {name: getattr(fires, name)[near] for name in ("jaccard", "phi", "lift", "pearson")}
    return {
        **head,
        "chance_jaccard": (float(shifted.mean()), float(shifted.max())),
        "together": near,
        "together_count": fires.count[near],
        "together_both": fires.both[near],
        **{name: part.astype("float32") for name, part in parts.items()},
        "together_cosine": decoder[near],
        "together_hint": _hints(near, decoder, fires, feature),
        "parents": above.astype(np.int32),
        "parents_share": (fires.both[above] / fires.own).astype("float32"),
        "parents_count": fires.count[above],
        "children": below.astype(np.int32),
        "children_share": (fires.both[below] / fires.count[below]).astype("float32"),
        "children_count": fires.count[below],
    }, fires


def _why_not(gallery: FeatureGallery | None, feature: int) -> str:
    if gallery is None:
        return "firing together was not asked for"
    if gallery.codes is None:
        return (
            "the gallery keeps no activations of every token, "
            f"{gallery.manifest.codes_note or 'it is still being made'}"
        )
    count = int(gallery.count[feature])
    if count < RARE:
        return f"it fires on {count} of {gallery.n_tokens:,} tokens, and {RARE} are needed"
    return ""


def _nothing() -> dict[str, Any]:
    """The fields about firing where nothing is known."""
    ids = ("together", "parents", "children")
    counts = ("together_count", "together_both", "parents_count", "children_count")
    numbers = ("jaccard", "phi", "lift", "pearson", "together_cosine")
    shares = ("parents_share", "children_share")
    return {
        "chance_jaccard": (float("nan"), float("nan")),
        "together_hint": np.zeros(0, np.int8),
        **{name: np.zeros(0, np.int32) for name in ids},
        **{name: np.zeros(0, np.int64) for name in counts},
        **{name: np.zeros(0, "float32") for name in (*numbers, *shares)},
    }


def _both(
    near: np.ndarray, decoder: np.ndarray, fires: cofiring.Together | None, feature: int
) -> dict[str, Any]:
    """How the nearest by rows fire, by field of the result."""
    jaccard = fires.jaccard[near] if fires else np.full(len(near), np.nan)
    return {
        "decoder_jaccard": jaccard.astype("float32"),
        "decoder_hint": _hints(near, decoder, fires, feature),
    }


def _hints(
    features: np.ndarray, decoder: np.ndarray, fires: cofiring.Together | None, feature: int
) -> np.ndarray:
    """What each pair looks like, place in HINTS; nothing is said without counts."""
    found = np.zeros(len(features), np.int8)
    if fires is None:
        return found
    above, below = cofiring.parents(fires, feature), cofiring.children(fires, feature)
    cosine, jaccard = decoder[features], fires.jaccard[features]
    found[np.isin(features, below)] = HINTS.index("child")
    found[np.isin(features, above)] = HINTS.index("parent")
    split = (cosine > SPLIT_COSINE) & (jaccard < SPLIT_JACCARD)
    found[split] = HINTS.index("split by context")
    found[(cosine > SAME_COSINE) & (jaccard > SAME_JACCARD)] = HINTS.index("duplicate")
    return found


def _neurons(
    loaded: Loaded, dictionary: SparseDict, feature: int, progress: Progress
) -> dict[str, Any]:
    """Neurons whose vectors are most like what the feature writes, by field of the result."""
    stack = dictionary.out_site.stack
    try:
        own = stream_rows(loaded, dictionary, [feature])
        kinds, layers = weights_of(loaded, stack), n_layers(loaded, stack)
    except Error as fault:
        nothing = {"neurons": (), "neuron_kind": (), "neuron_cosine": np.zeros(0, "float32")}
        return {**nothing, "neuron_chance": float("nan"), "why_no_neurons": str(fault)}
    own = torch.nn.functional.normalize(own, dim=1)
    drawn = random_directions(own, N_NEURON_CHANCE, seed=0, like=False)
    both = torch.cat([own, drawn])
    names: list[tuple[str, str]] = []
    values, largest = [], torch.zeros(N_NEURON_CHANCE, device=own.device)
    for layer in range(layers):
        progress.check()
        for kind in kinds:
            rows = torch.nn.functional.normalize(neuron_rows(loaded, layer, kind, stack), dim=1)
            cosine = both @ rows.T
            largest = torch.maximum(largest, cosine[1:].abs().amax(1))
            best = cosine[0].abs().topk(min(N_NEURONS, cosine.shape[1])).indices
            values.append(cosine[0, best])
            names += [
                (str(Site(layer, "neuron", unit, stack=stack)), kind) for unit in best.tolist()
            ]
    every = torch.cat(values).cpu()
    order = every.abs().argsort(descending=True, stable=True)[:N_NEURONS]
    chosen = [names[place] for place in order.tolist()]
    return {
        "neurons": tuple(name for name, _ in chosen),
        "neuron_kind": tuple(kind for _, kind in chosen),
        "neuron_cosine": every[order].numpy(),
        "neuron_chance": float(largest.mean()),
        "why_no_neurons": "",
    }


def _listed(feature: int, rows: dict[str, Any], counted: dict[str, Any]) -> list[int]:
    """Every feature that some list names, and this one."""
    lists: Sequence[np.ndarray] = [
        *(rows[name] for name in ("decoder", "opposite", "encoder")),
        *(counted[name] for name in ("together", "parents", "children")),
    ]
    return sorted({feature, *np.concatenate(lists).astype(int).tolist()})


def _says(
    loaded: Loaded, dictionary: SparseDict, features: list[int]
) -> tuple[tuple[int, tuple[str, ...]], ...]:
    """(feature, first tokens of its lens); () where no lens reads the dictionary."""
    try:
        words = vocabulary(loaded, stack=dictionary.out_site.stack)
        rows = stream_rows(loaded, dictionary, features)
    except Error:
        return ()
    ids = decoded(words, rows, min(N_TOKENS, words.n)).top_ids.tolist()
    return tuple((one, pieces(loaded, row)) for one, row in zip(features, ids, strict=True))


def _heads(loaded: Loaded, dictionary: SparseDict, feature: int) -> dict[str, Any]:
    """Shares of the heads in the squares of both rows; empty where no heads lie side by side."""

    def share(row: Tensor, laid: bool) -> np.ndarray:
        if not laid or len(row) != loaded.n_heads * loaded.d_head:
            return np.zeros(0, "float32")
        square = row.float().square().reshape(loaded.n_heads, -1).sum(1)
        found: np.ndarray = (square / square.sum().clamp_min(1e-30)).cpu().numpy()
        return found

    reads = dictionary.heads
    writes = dictionary.out_site.component == "head" and dictionary.out_site.unit is None
    return {
        "head_decoder": share(dictionary.W_dec[feature], writes),
        "head_encoder": share(dictionary.W_enc[:, feature], reads),
    }
