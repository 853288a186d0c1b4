"""Made-up results about the weights of neurons, plain and hostile. No model has said any of it."""

import numpy as np

from core.results.neuron_card import NeuronCard
from core.results.neuron_classes import CLASSES, NeuronClasses
from core.results.neuron_map import NeuronMap
from core.results.neuron_match import NeuronMatch
from core.results.neuron_search import NeuronSearch
from core.results.neuron_tokens import NeuronTokens
from tests.pages.samples import VOCAB


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _ends(rng: np.random.Generator, shape: tuple[int, ...], n: int) -> dict[str, np.ndarray]:
    """Ids and sorted scores of both ends, most extreme first."""
    top = np.sort(rng.normal(4, 1, shape), axis=-1)[..., ::-1].astype("float32")
    bottom = np.sort(rng.normal(-4, 1, shape), axis=-1).astype("float32")
    return {
        "top_ids": rng.integers(0, n, shape),
        "top_logits": top,
        "bottom_ids": rng.integers(0, n, shape),
        "bottom_logits": bottom,
    }


def neuron_tokens(pieces: tuple[str, ...] = VOCAB, neurons: int = 40) -> NeuronTokens:
    """One layer, a few neurons beyond chance."""
    rng, k = _rng(0), 5
    ends = _ends(rng, (neurons, k), len(pieces))
    top_z, bottom_z = ends["top_logits"][:, 0] * 0.8, ends["bottom_logits"][:, 0] * 0.8
    nothing = np.zeros(0, "float32")
    return NeuronTokens(
        request={},
        pieces=pieces,
        piece_ids=np.arange(len(pieces)),
        layer=3,
        weight="out",
        against="unembedding",
        relative=False,
        n_vocabulary=4_096,
        null_z=4.6,
        n_null=2_000,
        **ends,
        top_z=top_z,
        bottom_z=bottom_z,
        margin=np.full(neurons, 0.2, "float32"),
        decodable=np.maximum(top_z, -bottom_z) > 4.6,
        hub_ids=np.array([1, 3]),
        hub_share=np.array([0.05, 0.02], "float32"),
        top_probability=nothing,
        bottom_probability=nothing,
        kurtosis=nothing,
    )


def neuron_map(pieces: tuple[str, ...] = VOCAB, layers: int = 6, neurons: int = 700) -> NeuronMap:
    """More neurons than columns, so that cells are pooled."""
    rng, shape = _rng(1), (layers, neurons)
    return NeuronMap(
        request={},
        pieces=pieces,
        piece_ids=np.arange(len(pieces)),
        weight="out",
        against="unembedding",
        n_vocabulary=4_096,
        n_null=2_000,
        top_id=rng.integers(0, len(pieces), shape).astype("int32"),
        bottom_id=rng.integers(0, len(pieces), shape).astype("int32"),
        top_z=rng.normal(4, 1, shape).astype("float32"),
        bottom_z=rng.normal(-4, 1, shape).astype("float32"),
        write_norm=rng.exponential(1, shape).astype("float32"),
        linout=rng.normal(0, 0.2, shape).astype("float32"),
        code=np.full(shape, CLASSES.index("orthogonal output"), "int8"),
        null_z=np.full(layers, 6.2, "float32"),
        decodable_share=np.linspace(0.02, 0.2, layers, dtype="float32"),
    )


def neuron_card(pieces: tuple[str, ...] = VOCAB, gated: bool = True) -> NeuronCard:
    """A neuron that writes one token clearly."""
    rng, k = _rng(2), 6
    weights = ("out", "in", "gate") if gated else ("out", "in")
    shape = (len(weights), k)
    ends = _ends(rng, shape, len(pieces))
    nothing = [np.nan, np.nan]
    return NeuronCard(
        request={},
        pieces=pieces,
        piece_ids=np.arange(len(pieces)),
        layer=5,
        neuron=181,
        weights=weights,
        against="unembedding",
        n_vocabulary=4_096,
        n_neurons=3_072,
        class_name="conditional weakening",
        write_norm=1.3,
        write_percentile=0.91,
        isotropic=0.14,
        chance_cosine=0.38,
        n_chance=64,
        n_null=2_000,
        cosines=np.array([-0.6, 0.1, 0.2] if gated else [-0.6, *nothing], "float32"),
        band=np.array([[-0.2, 0.2]] + ([[-0.2, 0.2]] if gated else [nothing]) * 2, "float32"),
        null_z=np.full(len(weights), 5.1, "float32"),
        **ends,
        top_z=ends["top_logits"] * 1.5,
        top_cosine=ends["top_logits"] * 0.05,
        bottom_z=ends["bottom_logits"],
        bottom_cosine=ends["bottom_logits"] * 0.05,
        top_probability=np.full(len(weights), 0.01, "float32"),
        bottom_probability=np.full(len(weights), 0.002, "float32"),
        near_layer=np.array([4, 5]),
        near_neuron=np.array([109, 20]),
        near_cosine=np.array([-0.61, 0.4], "float32"),
        near_ids=rng.integers(0, len(pieces), (2, 3)),
    )


def neuron_search(
    pieces: tuple[str, ...] = VOCAB, asked: str = "he, she", clear: bool = True
) -> NeuronSearch:
    """One neuron far beyond chance, or none."""
    rng, hits = _rng(3), 10
    score = rng.normal(0, 1, (6, 96)).astype("float32")
    score[4, 17] = -9.5 if clear else -2.0
    best = np.argsort(-np.abs(score), axis=None)[:hits]
    layer, neuron = np.unravel_index(best, score.shape)
    return NeuronSearch(
        request={},
        pieces=pieces,
        piece_ids=np.arange(len(pieces)),
        weight="out",
        against="unembedding",
        asked=asked,
        notes=("“he” is the token “ he”",),
        n_vocabulary=4_096,
        n_asked=2,
        n_random=20,
        chance=(4.1, 4.4),
        asked_ids=np.array([0, 1]),
        score=score,
        layer=layer,
        neuron=neuron,
        hit_score=score[layer, neuron],
        margin=rng.normal(0, 1, hits).astype("float32"),
        own_ids=rng.integers(0, len(pieces), (hits, 6)),
        linout=rng.normal(0, 0.2, hits).astype("float32"),
        code=np.full(hits, 6, "int8"),
    )


def neuron_classes(gated: bool = True, layers: int = 6, neurons: int = 200) -> NeuronClasses:
    """Strengthening early, weakening late, as published."""
    rng = _rng(4)
    count = np.zeros((layers, len(CLASSES)), dtype=int)
    count[:, 2], count[:, 8] = np.linspace(40, 0, layers), np.linspace(0, 30, layers)
    count[:, 5] = 4 if gated else 0
    count[:, 6] = neurons - count.sum(axis=1)
    control = np.zeros(count.shape, "float32")
    control[:, 6], control[:, 2] = neurons - 1, 1
    code = np.stack([np.repeat(np.arange(len(CLASSES)), row) for row in count]).astype("int8")
    cosines = rng.normal(0, 0.3, (3, layers, neurons)).clip(-1, 1).astype("float32")
    band = np.tile(np.array([-0.25, 0.25], "float32"), (layers, 3, 1))
    if not gated:
        cosines[1:], band[:, 1:] = np.nan, np.nan
    return NeuronClasses(
        request={},
        gated=gated,
        threshold=0.5,
        n_shuffles=20,
        isotropic=0.14,
        count=count,
        control_count=control,
        code=code,
        linout=cosines[0],
        gatelin=cosines[1],
        gateout=cosines[2],
        band=band,
    )


def neuron_match(
    pieces: tuple[str, ...] = VOCAB, models: tuple[str, str] = ("one", "two")
) -> NeuronMatch:
    """Three quarters the same, against nearly none by chance."""
    rng, shape = _rng(5), (2, 6, 50)
    same = rng.random(shape) < 0.75
    low = np.full(shape[:2], 0.01, "float32")
    return NeuronMatch(
        request={},
        pieces=pieces,
        piece_ids=np.arange(len(pieces)),
        models=models,
        weights=("out", "in"),
        n_vocabulary=4_096,
        n_unlike=3,
        k=4,
        same_share=same.mean(-1).astype("float32"),
        control_same_share=low,
        mean_cosine=np.full(shape[:2], 0.98, "float32"),
        control_mean_cosine=low,
        mean_jaccard=np.full(shape[:2], 0.7, "float32"),
        control_mean_jaccard=low,
        same=same,
        cosine=np.full(shape, 0.98, "float32"),
        distance=rng.random(shape).astype("float32"),
        jaccard=rng.random(shape).astype("float32"),
        changed_weight=np.array([0, 1]),
        changed_layer=np.array([2, 3]),
        changed_neuron=np.array([7, 40]),
        changed_ids=rng.integers(0, len(pieces), (2, 2, 4)),
    )


def every() -> tuple:
    """One result of each kind, in the forms whose figures differ."""
    return (
        neuron_tokens(),
        neuron_map(),
        neuron_card(),
        neuron_card(gated=False),
        neuron_search(),
        neuron_search(clear=False),
        neuron_classes(),
        neuron_classes(gated=False),
        neuron_match(),
    )
