"""The plane of gate and up value of one neuron, with the texts at its four ends."""

from dataclasses import dataclass

import numpy as np

from core.analyses.neuron_gallery import n_batch_tokens
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.engine.forward import run
from core.engine.neuron_rows import has_gate
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.models.tokens import pieces
from core.results.neuron_plane import QUADRANTS, NeuronPlane
from core.spec.site import Site

N_CONTEXTS = 512
N_BINS = 48
N_EXTREMES = 6  # of each quadrant
MARGIN = 0.001  # of the tokens, left out at each end of an axis
BEFORE, BEHIND = 8, 4  # tokens of a stretch of text
N_SHUFFLES = 20


@dataclass
class _Seen:
    """One number per token that counts: where it stands, gate (or the only input), up, product."""

    context: np.ndarray
    position: np.ndarray
    gate: np.ndarray
    up: np.ndarray
    activation: np.ndarray


def neuron_plane(
    loaded: Loaded,
    progress: Progress,
    *,
    layer: int,
    neuron: int,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> NeuronPlane:
    """Where the tokens of a corpus lie for one neuron: gate pre-activation against up value.

    A gated neuron is act(gate) x up, so it can be strong in four ways; mass in one quadrant speaks
    for one meaning, in several for several. A neuron without a gate has its pre-activation only.
    Control: gate and up value of different tokens (20 shuffles).
    """
    stack = loaded.prompt_stack
    site = Site(layer, "neuron", neuron, stack=stack)
    loaded.check(site)
    gated = has_gate(loaded, stack)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    seen = _read(loaded, progress, made, site, gated)
    quadrants = QUADRANTS if gated else ("+", "-")
    number = _quadrant(seen.gate, seen.up, gated)
    counts, gate_edges, up_edges = _plane(seen, gated)
    extremes = _extremes(made, seen, number, len(quadrants))
    stretches = [_stretch(made, seen, i) for i in extremes]
    config = loaded.config
    named = getattr(config, "hidden_act", None) or getattr(config, "activation_function", None)
    varies = gated and bool(seen.gate.std() > 0) and bool(seen.up.std() > 0)
    return NeuronPlane(
        request={},
        site=str(site),
        corpus=made.name,
        gated=gated,
        nonlinearity=named if isinstance(named, str) else "",
        n_tokens=len(seen.gate),
        n_contexts=len(made),
        n_outside=len(seen.gate) - int(counts.sum()),
        correlation=float(np.corrcoef(seen.gate, seen.up)[0, 1]) if varies else float("nan"),
        quadrants=quadrants,
        extreme_quadrant=tuple(quadrants[number[i]] for i in extremes),
        extreme_tokens=tuple(pieces(loaded, ids) for ids, _ in stretches),
        extreme_at=tuple(at for _, at in stretches),
        gate_edges=gate_edges,
        up_edges=up_edges,
        counts=counts,
        share=np.bincount(number, minlength=len(quadrants)) / len(number),
        strength=_strength(number, np.abs(seen.activation), len(quadrants)),
        random_strength=_shuffled(seen, gated, len(quadrants), seed),
        extreme_gate=seen.gate[extremes],
        extreme_up=seen.up[extremes],
        extreme_activation=seen.activation[extremes],
    )


def _read(loaded: Loaded, progress: Progress, made: Contexts, site: Site, gated: bool) -> _Seen:
    """The neuron's inputs and its value at every token that counts."""
    parts = [Site(site.layer, part, site.unit, stack=site.stack) for part in ("gate", "up")]
    asked = [*(parts if gated else parts[1:]), site]
    batches = made.batches(n_batch_tokens(loaded, 1))
    found: list[list[np.ndarray]] = []
    for number, batch in enumerate(batches):
        note = f"reading {made.name}, part {number + 1} of {len(batches)}"
        progress.step(number / len(batches), note)
        given = rows(loaded, [made.windows[i].ids for i in batch])
        seen = run(loaded, given, read=asked, logits="none", check=progress.check)
        keep = made.keep_mask(batch, given.ids.shape[1])
        row, position = np.nonzero(keep)
        values = [seen.values[one].float().cpu().numpy()[keep] for one in asked]
        gate = values[0]
        up = values[1] if gated else np.full_like(gate, np.nan)
        found.append([np.array(batch)[row], position, gate, up, values[-1]])
    return _Seen(*(np.concatenate(column) for column in zip(*found, strict=True)))


def _quadrant(gate: np.ndarray, up: np.ndarray, gated: bool) -> np.ndarray:
    """[token] number of the quadrant; zero counts as positive."""
    return (gate < 0) * 2 + (up < 0) if gated else (gate < 0) * 1


def _plane(seen: _Seen, gated: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(counts [row, column], gate edges, up edges) over 99.8 % of each axis."""
    gate_edges = _edges(seen.gate)
    if not gated:
        counts, _ = np.histogram(seen.gate, gate_edges)
        return counts[None], gate_edges, np.array([0.0, 1.0])
    up_edges = _edges(seen.up)
    counts, _, _ = np.histogram2d(seen.up, seen.gate, (up_edges, gate_edges))
    return counts.astype(np.int64), gate_edges, up_edges


def _edges(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, [MARGIN, 1 - MARGIN])
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, N_BINS + 1)


def _strength(number: np.ndarray, size: np.ndarray, n: int) -> np.ndarray:
    total = np.bincount(number, weights=size, minlength=n)
    return total / max(total.sum(), 1e-30)


def _shuffled(seen: _Seen, gated: bool, n: int, seed: int) -> np.ndarray:
    """The quadrants' strength when gate and up value come from different tokens.

    The activated gate of a token is its activation over its up value. Without a gate there is
    nothing to shuffle: the shares of tokens of each sign stand there instead.
    """
    if not gated:
        return np.bincount(_quadrant(seen.gate, seen.up, gated), minlength=n) / len(seen.gate)
    opened = np.divide(seen.activation, seen.up, out=np.zeros_like(seen.up), where=seen.up != 0)
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(N_SHUFFLES):
        up = generator.permutation(seen.up)
        found.append(_strength(_quadrant(seen.gate, up, gated), np.abs(opened * up), n))
    return np.mean(found, axis=0)


def _extremes(made: Contexts, seen: _Seen, number: np.ndarray, n: int) -> list[int]:
    """The strongest tokens of each quadrant, those that repeat the same words left out."""
    size = np.abs(seen.activation)
    found: list[int] = []
    for quadrant in range(n):
        inside = np.flatnonzero(number == quadrant)
        chosen: list[int] = []
        met = set()
        for i in inside[np.argsort(-size[inside], kind="stable")]:
            ids = made.windows[seen.context[i]].ids
            words = ids[max(0, seen.position[i] - BEFORE + 1) : seen.position[i] + 1]
            if words not in met:
                met.add(words)
                chosen.append(int(i))
            if len(chosen) == N_EXTREMES:
                break
        found += chosen
    return found


def _stretch(made: Contexts, seen: _Seen, i: int) -> tuple[tuple[int, ...], int]:
    """(ids around the token, its place among them)."""
    ids, at = made.windows[seen.context[i]].ids, int(seen.position[i])
    start = max(0, at - BEFORE)
    return ids[start : at + BEHIND + 1], at - start
