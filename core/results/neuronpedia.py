"""A feature in the JSON that SAEDashboard writes and Neuronpedia reads, and labels out of it.

Keys and their meaning after `neuronpedia_converter.py` of SAEDashboard. What is not known is an
empty list. Beside those keys stand `explanations`, as Neuronpedia itself gives them out.
"""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from core.results.feature_card import FeatureCard
from core.results.feature_lens import FeatureLens
from core.results.feature_neighbours import FeatureNeighbours
from core.spec.errors import Error
from core.spec.site import site

N_ALIGNED = 3  # coordinates of the decoder row that are told
FIFTHS = ("+5", "+4", "+3", "+2", "+1")
_TEXTS = ("description", "label", "explanation", "text")
_NUMBERS = ("feature_index", "index", "feature")
_COUNTS = ("n_features", "d_sae", "num_features")


def feature_json(
    card: FeatureCard,
    lens: FeatureLens | None = None,
    near: FeatureNeighbours | None = None,
    row: np.ndarray | None = None,
) -> dict[str, Any]:
    """One feature, activations in the dictionary's own units, ready for JSON.

    lens, near  of the same feature, for its tokens and its neighbours; row [d_out] its decoder row
    """
    centres = (card.edges[1:] + card.edges[:-1]) / 2 / _length(card)
    found = {
        "feature_index": card.feature,
        **_aligned(row),
        "correlated_neurons_indices": [],
        "correlated_neurons_pearson": [],
        "correlated_neurons_l1": [],
        **_correlated(near),
        **_tokens(card.feature, lens),
        "frac_nonzero": card.density,
        "freq_hist_data_bar_heights": card.counts,
        "freq_hist_data_bar_values": centres,
        "decoder_weights_dist": [] if near is None else near.head_decoder,
        "n_prompts_total": card.n_contexts,
        "n_tokens_in_prompt": card.window,
        "dataset": card.corpus,
        "activations": [_activation(card, place) for place in _shown(card)],
        "explanations": _explained(card),
    }
    return {name: _plain(value) for name, value in found.items()}


def batch_json(model: str, card: FeatureCard, features: Sequence[dict[str, Any]]) -> bytes:
    """Features of one dictionary as a file; `card` is that of any of them."""
    plain = {
        "model_id": model,
        "layer": site(card.site).layer,
        "sae_set": card.dictionary,
        "n_features": card.n_features,
        "features": list(features),
    }
    return json.dumps(plain, ensure_ascii=True, allow_nan=False).encode()


def _length(card: FeatureCard) -> float:
    """Values are in units of written length; a row of length 0 writes nothing."""
    return card.length or 1.0


def _aligned(row: np.ndarray | None) -> dict[str, Any]:
    """The coordinates that the decoder row is largest in, and their share of its sum."""
    if row is None:
        return {f"neuron_alignment_{part}": [] for part in ("indices", "values", "l1")}
    best = np.argsort(-row, kind="stable")[:N_ALIGNED]
    return {
        "neuron_alignment_indices": best,
        "neuron_alignment_values": row[best],
        "neuron_alignment_l1": np.abs(row[best]) / max(float(np.abs(row).sum()), 1e-30),
    }


def _correlated(near: FeatureNeighbours | None) -> dict[str, Any]:
    """SAEDashboard puts cosines under the names that end in l1."""
    parts: dict[str, Any] = {"indices": [], "pearson": [], "l1": []}
    if near is not None:
        known = np.isfinite(near.pearson)
        parts["indices"] = near.together[known]
        parts["pearson"] = near.pearson[known]
        parts["l1"] = near.together_cosine[known]
    return {f"correlated_features_{name}": part for name, part in parts.items()}


def _tokens(feature: int, lens: FeatureLens | None) -> dict[str, Any]:
    names = ("pos_str", "pos_values", "neg_str", "neg_values")
    histogram = ("logits_hist_data_bar_heights", "logits_hist_data_bar_values")
    if lens is None:
        return {name: [] for name in (*names, *histogram)}
    row = lens.features.index(feature)
    centres = (lens.edges[1:] + lens.edges[:-1]) / 2 * lens.deviation[row]
    parts = (
        lens.read(lens.top_ids[row]),
        lens.top_scores[row],
        lens.read(lens.bottom_ids[row]),
        lens.bottom_scores[row],
        lens.counts[row],
        centres,
    )
    return dict(zip((*names, *histogram), parts, strict=True))


def _shown(card: FeatureCard) -> list[int]:
    """The contexts that such files have: the largest, then every fifth of the range."""
    order = ("top", *FIFTHS)
    return [at for name in order for at, group in enumerate(card.group) if group == name]


def _activation(card: FeatureCard, at: int) -> dict[str, Any]:
    """One context; the largest stand in a bin of their own that says -1."""
    tokens = card.tokens[at]
    low, high, share = -1.0, card.largest, -1.0
    if card.group[at] in FIFTHS:
        fifth = int(card.group[at])
        low, high = card.largest * (fifth - 1) / 5, card.largest * fifth / 5
        share = float(card.band_share[fifth - 1])
    return {
        "tokens": list(tokens),
        "values": _plain(card.activation[at, : len(tokens)] / _length(card)),
        "bin_min": low if low < 0 else low / _length(card),
        "bin_max": high / _length(card),
        "bin_contains": share,
        "qualifying_token_index": int(card.position[at]),
    }


def _explained(card: FeatureCard) -> list[dict[str, Any]]:
    if not card.label:
        return []
    score = card.label_score if math.isfinite(card.label_score) else None
    return [{"description": card.label, "typeName": card.label_by, "score": score}]


def _plain(value: Any) -> Any:
    """Arrays as lists; what is not a number is null."""
    if isinstance(value, np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def labels_in(text: str, n_features: int, layer: int) -> dict[int, str]:
    """Labels by feature from such a file, from Neuronpedia's own features or explanations.

    A file of one object, a list of them, a batch with `features`, or an object per line. Raises
    `Error` for what is none of them, and for a file of a dictionary of another size or layer.
    """
    found: dict[int, str] = {}
    entries = 0
    for entry in _entries(text):
        number = next((entry[name] for name in _NUMBERS if name in entry), None)
        if number is None or isinstance(number, bool) or not str(number).isdecimal():
            continue
        _refuse_other(entry, n_features, layer)
        entries += 1
        if int(number) >= n_features:
            raise Error(
                f"the file speaks of feature {int(number):,}, and the dictionary has {n_features:,}"
                " features; it is the file of another dictionary"
            )
        said = _said(entry)
        if said:
            found[int(number)] = said
    if not entries:
        raise Error("the file holds no features: no entry has a feature_index or an index")
    return found


def _entries(text: str) -> Iterator[dict[str, Any]]:
    """Every object that may be a feature; what a batch says of all stands in each."""
    for plain in _documents(text):
        for one in plain if isinstance(plain, list) else [plain]:
            if not isinstance(one, dict):
                continue
            features = one.get("features")
            if not isinstance(features, list):
                yield one
                continue
            shared = {name: one[name] for name in (*_COUNTS, "layer") if name in one}
            yield from (shared | each for each in features if isinstance(each, dict))


def _documents(text: str) -> Iterable[Any]:
    try:
        return [json.loads(text)]
    except (ValueError, RecursionError):
        pass
    try:
        return [json.loads(line) for line in text.splitlines() if line.strip()]
    except (ValueError, RecursionError):
        raise Error("the file is neither JSON nor JSON lines") from None


def _refuse_other(entry: dict[str, Any], n_features: int, layer: int) -> None:
    for name in _COUNTS:
        count = entry.get(name)
        if isinstance(count, int) and count != n_features:
            raise Error(
                f"the file is of a dictionary of {count:,} features, this one has {n_features:,}"
            )
    of_layer = str(entry.get("layer", "")).partition("-")[0]  # "6-res-jb"
    if of_layer.isdecimal() and int(of_layer) != layer:
        raise Error(f"the file is of layer {int(of_layer)}, this dictionary reads layer {layer}")


def _said(entry: dict[str, Any]) -> str:
    """The label of a feature, its first explanation where it has several."""
    several = entry.get("explanations")
    if isinstance(several, list):
        parts = [each for each in several if isinstance(each, dict)]
        return next((text for text in map(_said, parts) if text), "")
    texts = (entry.get(name) for name in _TEXTS)
    return next((" ".join(text.split()) for text in texts if isinstance(text, str)), "")
