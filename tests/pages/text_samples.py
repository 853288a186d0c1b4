"""Made-up results about neurons on texts, plain and hostile. No model has said any of it."""

import numpy as np

from core.results.base import Result
from core.results.neuron_activity import NeuronActivity
from core.results.neuron_examples import NeuronExamples
from core.results.neuron_fires import NeuronFires
from core.results.neuron_plane import QUADRANTS, NeuronPlane
from core.results.neuron_texts import NeuronTexts
from tests.pages.samples import VOCAB


def _rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def neuron_examples(
    pieces: tuple[str, ...] = VOCAB, layers: tuple[int, ...] = (0, 1, 2, 3), neurons: int = 700
) -> NeuronExamples:
    """Many neurons, a few of them about one token."""
    rng, shape = _rng(0), (len(layers), neurons)

    def number(high: float) -> np.ndarray:
        return (rng.random(shape) * high).astype("float32")

    share = number(1.0)
    share[0, 3] = np.nan
    return NeuronExamples(
        request={},
        corpus="built-in",
        n_tokens=67_972,
        n_contexts=2_048,
        n_documents=2_039,
        cut=True,
        window=128,
        sites=(),
        layers=layers,
        gallery="0123",
        resumed=0,
        n_listed=20,
        random_share=(0.15, 0.3),
        pieces=pieces,
        density=number(0.3),
        density_negative=number(0.3),
        largest=number(9.0),
        smallest=-number(9.0),
        p999=number(8.0),
        mean=number(0.1),
        std=number(0.5),
        context=rng.integers(0, 2_048, shape).astype("int32"),
        position=rng.integers(1, 30, shape).astype("int32"),
        context_negative=rng.integers(0, 2_048, shape).astype("int32"),
        position_negative=rng.integers(1, 30, shape).astype("int32"),
        top_piece=rng.integers(-1, len(pieces), shape).astype("int32"),
        top_share=share,
        top_piece_negative=rng.integers(-1, len(pieces), shape).astype("int32"),
        top_share_negative=share[::-1],
    )


def neuron_texts(pieces: tuple[str, ...] = VOCAB, dead: bool = False) -> NeuronTexts:
    """Four contexts in four groups; `dead`: a neuron that is never above zero."""
    rng, length = _rng(1), 9
    group = ("top", "bottom", "+3", "sample")
    texts = tuple(tuple(pieces[i] for i in rng.integers(0, len(pieces), length)) for _ in group)
    activation = rng.normal(0, 1, (4, length)).astype("float32")
    activation[1, 6:] = np.nan
    top = 0.0 if dead else 4.5
    shares = np.array([[0.7, 0.15, 0.1, 0.03, 0.02], [0.9, 0.1, 0, 0, 0]])
    return NeuronTexts(
        request={},
        site="L3.neuron[17]",
        corpus="built-in",
        n_tokens=67_972,
        n_contexts=2_048,
        sites=(),
        group=group,
        tokens=texts,
        special=((True, *([False] * (length - 1))),) * 4,
        largest=top,
        smallest=-1.5,
        p999=3.1,
        mean=0.02,
        density=0.0 if dead else 0.031,
        density_negative=0.2,
        top_piece="" if dead else pieces[2],
        top_share=float("nan") if dead else 0.9,
        n_listed=20,
        random_share=(0.15, 0.3),
        activation=activation,
        context=np.arange(4),
        document=np.arange(4),
        position=np.full(4, 3),
        peak=activation[:, 3],
        edges=np.linspace(-1.5, top, 61),
        counts=np.where(np.arange(60) % 7 == 0, 0, 1_000 / (1 + np.arange(60))),
        band_share=shares,
        band_sum=shares[:, ::-1],
    )


def neuron_fires(
    target: str = "the words Monday, Tuesday", pieces: tuple[str, ...] = VOCAB, found: bool = True
) -> NeuronFires:
    """A table of ten; `found` False: nothing beyond the control."""
    rng, k, shape = _rng(2), 10, (2, 300)
    f1 = np.sort(rng.random(k))[::-1] * (0.9 if found else 0.1)
    every = (rng.random(shape) * 0.1).astype("float32")
    return NeuronFires(
        request={},
        target=target,
        token="last",
        corpus="built-in",
        n_contexts=2_048,
        n_tokens=(34_000, 33_000),
        n_targets=(200, 190),
        targets=((pieces[0], 100), (pieces[1], 90)),
        always=(0.006, 0.012),
        layers=(0, 2),
        n_beyond=3 if found else 0,
        f1=every,
        auc=(0.3 + 4 * every).astype("float32"),
        direction=rng.choice(np.array([-1, 1], "int8"), shape),
        control_f1=np.full(20, 0.2) + rng.random(20) * 0.1,
        control_auc=np.full(20, 0.65),
        best_layer=rng.choice([0, 2], k),
        best_neuron=rng.integers(0, 300, k),
        threshold=rng.random(k).astype("float32"),
        precision=(f1 * 0.9).astype("float32"),
        recall=np.minimum(1, f1 * 1.1).astype("float32"),
        best_f1=f1.astype("float32"),
        best_auc=np.full(k, 0.95, "float32"),
        best_direction=rng.choice(np.array([-1, 1], "int8"), k),
    )


def neuron_plane(pieces: tuple[str, ...] = VOCAB, gated: bool = True) -> NeuronPlane:
    """Six extremes over a plane, or over a line where there is no gate."""
    rng, n = _rng(3), 6
    quadrants = QUADRANTS if gated else ("+", "-")
    share = np.full(len(quadrants), 1 / len(quadrants))
    rows = 12 if gated else 1
    texts = tuple(tuple(pieces[i] for i in rng.integers(0, len(pieces), 7)) for _ in range(n))
    return NeuronPlane(
        request={},
        site="L3.neuron[17]",
        corpus="built-in",
        gated=gated,
        nonlinearity="silu",
        n_tokens=17_000,
        n_contexts=512,
        n_outside=20,
        correlation=0.3 if gated else float("nan"),
        quadrants=quadrants,
        extreme_quadrant=tuple(quadrants[i % len(quadrants)] for i in range(n)),
        extreme_tokens=texts,
        extreme_at=(4,) * n,
        gate_edges=np.linspace(-3, 3, 13),
        up_edges=np.linspace(-2, 2, 13) if gated else np.array([0.0, 1.0]),
        counts=rng.integers(0, 900, (rows, 12)),
        share=share,
        strength=share,
        random_strength=share,
        extreme_gate=rng.normal(0, 3, n).astype("float32"),
        extreme_up=(rng.normal(0, 3, n) if gated else np.full(n, np.nan)).astype("float32"),
        extreme_activation=rng.normal(0, 3, n).astype("float32"),
    )


def neuron_activity(
    tokens: tuple[str, ...] = VOCAB, why_not: str = "", neurons: int = 700
) -> NeuronActivity:
    """Two layers on one text."""
    rng, shape = _rng(4), (2, neurons)

    def number() -> np.ndarray:
        return rng.normal(0, 1, shape).astype("float32")

    return NeuronActivity(
        request={},
        tokens=tokens,
        position=2,
        sites=(),
        answer="" if why_not else tokens[1],
        answer_probability=float("nan") if why_not else 0.4,
        why_not=why_not,
        n_random=0 if why_not else 32,
        activation=number(),
        peak=number(),
        peak_position=rng.integers(0, len(tokens), shape).astype("int32"),
        write=np.abs(number()),
        variance_share=np.full(shape, 1 / neurons, "float32"),
        direct=number() * (np.nan if why_not else 1),
        random_direct=np.full(2, 0.1, "float32"),
    )


def every() -> tuple[Result, ...]:
    """One result of each kind, and the shapes that are drawn otherwise."""
    return (
        neuron_examples(),
        neuron_examples(layers=(2, 5), neurons=56),
        neuron_texts(),
        neuron_texts(dead=True),
        neuron_fires(),
        neuron_fires(found=False),
        neuron_plane(),
        neuron_plane(gated=False),
        neuron_activity(),
        neuron_activity(why_not="this model has no head for predictions"),
    )


def hostile(pieces: tuple[str, ...]) -> tuple[Result, ...]:
    """The same with texts that would like to be more than text."""
    return (
        neuron_texts(pieces),
        neuron_fires(f"the pattern /{pieces[3]}/", pieces),
        neuron_plane(pieces),
        neuron_plane(pieces, gated=False),
        neuron_activity(pieces),
    )
