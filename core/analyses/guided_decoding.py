"""Top-k concept-guided decoding with frames, beside guidance by random concepts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from core.analyses.clouds import unit as unit_rows
from core.analyses.runs import Progress, log_probabilities
from core.analyses.word_frames import Vectors, Words, concept_words, procrustes, rank, vectors
from core.concept_sets import asked
from core.engine.candidates import Candidates
from core.engine.generate import continuation
from core.engine.rows import rows as new_rows
from core.models.loaded import Loaded
from core.models.tokens import MAX_TOKENS, encode, end_ids, pieces
from core.results.guided_decoding import GuidedDecoding
from core.spec.errors import Error

K = (1, 2, 3)
READ = ("whitened", "raw")
N_RANDOM = 3
MOST_K, MOST_STEPS = 10, 64


def guided_decoding(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "categories",
    concept: str = "",
    against: str = "",
    text: str = "Once upon a time there was",
    k: Sequence[int] = K,
    steps: int = 24,
    read: str = "whitened",
    inner: str = "causal",
    unit: bool = True,
    most_tokens: int = 3,
    seed: int = 0,
) -> GuidedDecoding:
    """A text continued k ways: at each step the candidate is kept that the concept reads best.

    concepts  a set of word lists; concept: the one that guides, by name ("": the first);
              against: B, then A - B guides
    k         candidates a step, one text each; 1 is greedy
    read      states a probe reads: "whitened" C^(1/2) times the state behind the final norm, or
              "raw", that state itself as in the paper's code
    inner, unit, most_tokens  of the frames, as in `frames`; with unit= states have length 1 too

    Control: frames of random tokens guide with the largest k, measured with the concept. Texts
    stop at an end token. After Valois et al. 2024 (frame representation hypothesis).
    """
    given = asked(concepts)
    sizes = _checked(k, steps, read)
    ids = encode(loaded, text)
    progress.step(0.0, "whitening")
    basis = vectors(loaded, inner, unit, most_tokens, progress.check)
    found, dropped, _ = concept_words(loaded, given, basis)
    names = [concept or found[0].name, *([against] if against else [])]
    sides = [_named(found, name) for name in names]
    rng = np.random.default_rng(seed)
    guide = _guide([side.frames for side in sides])
    runs = [_Run("concept", size, guide, list(ids)) for size in sizes]
    for number in range(N_RANDOM):
        strange = _guide([basis.random(side.ids, rng) for side in sides])
        runs.append(_Run(f"random {number + 1}", sizes[-1], strange, list(ids)))
    decoder = _Decoder(loaded, progress, basis, read, guide, len(ids))
    decoder.write(runs, steps)
    return _result(
        loaded, runs, ids, steps,
        concept=sides[0].name, other=sides[1].name if against else "", read=read, inner=inner,
        unit=basis.unit, prompt=text, most_tokens=most_tokens, seed=seed,
        words=tuple(dict.fromkeys(word for side in sides for word in side.words)),
        dropped=tuple(one for one in dropped if one[0] in names),
    )  # fmt: skip


def _checked(k: Sequence[int], steps: int, read: str) -> list[int]:
    sizes: list[int] = sorted({k} if isinstance(k, int) else set(k))
    if not sizes or not all(
        isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= MOST_K for one in sizes
    ):
        raise Error(f"k= are numbers of candidates between 1 and {MOST_K}")
    if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= MOST_STEPS:
        raise Error(f"steps= lies between 1 and {MOST_STEPS}")
    if read not in READ:
        raise Error(f"read= is one of {', '.join(READ)}, not {str(read)[:20]!r}")
    return sizes


def _named(found: Sequence[Words], name: str) -> Words:
    for one in found:
        if one.name == name:
            return one
    some = ", ".join(one.name for one in found[:8])
    raise Error(f"no concept {name[:40]!r} that can be read; there are {some}")


def _guide(sides: Sequence[np.ndarray]) -> np.ndarray:
    """The frame [d, column] of a concept, or of A - B."""
    means = [procrustes(side.sum(axis=0)) for side in sides]
    return means[0] if len(means) == 1 else procrustes(means[0] - means[1])


@dataclass
class _Run:
    """One text that is being written, and what was seen on the way."""

    name: str
    k: int
    guide: np.ndarray
    ids: list[int]
    states: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))  # [token, d]
    logits: torch.Tensor = field(default_factory=lambda: torch.zeros(0))
    ranks: list[int] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    own: list[float] = field(default_factory=list)
    surprises: list[float] = field(default_factory=list)
    stopped: str = ""
    row: int = 0  # of the batch that was run last


class _Decoder:
    """All texts move one token at a time; the candidates of all of them are rows of one batch."""

    def __init__(
        self,
        loaded: Loaded,
        progress: Progress,
        basis: Vectors,
        read: str,
        concept: np.ndarray,
        n_prompt: int,
    ) -> None:
        self.loaded, self.progress, self.basis, self.read = loaded, progress, basis, read
        self.concept, self.n_prompt = concept, n_prompt
        self.width = concept.shape[1]
        self.ends = end_ids(loaded)

    def write(self, runs: Sequence[_Run], steps: int) -> None:
        """Continue every run by up to `steps` tokens."""
        prompt = new_rows(self.loaded, [runs[0].ids])
        tried = Candidates(self.loaded, prompt, self.progress.check)
        states = self._read(tried.prompt_states)
        for one in runs:
            one.states, one.logits = states, tried.prompt_logits
        room = (self.loaded.n_ctx or MAX_TOKENS) - self.n_prompt
        for step in range(min(steps, room)):
            going = [one for one in runs if not one.stopped]
            if not going:
                break
            self.progress.step(0.1 + 0.9 * step / steps, f"token {step + 1} of {steps}")
            self._step(going, tried)
        for one in runs:
            one.stopped = one.stopped or ("length" if room >= steps else "context")

    def _step(self, runs: Sequence[_Run], tried: Candidates) -> None:
        options = [torch.topk(one.logits, min(one.k, len(one.logits))).indices for one in runs]
        parents = np.repeat([one.row for one in runs], [len(option) for option in options])
        tokens = torch.cat(options).tolist()
        states, logits = tried.feed(parents.tolist(), tokens)
        new = self._read(states)
        at = 0
        for one, option in zip(runs, options, strict=True):
            own = range(at, at + len(option))
            at = own.stop
            texts = [np.concatenate([one.states, new[row : row + 1]]) for row in own]
            values = [self._probe(text, one.guide) for text in texts]
            best = int(np.argmax(values))
            one.row = own[best]
            if tokens[one.row] in self.ends:
                one.stopped = "end token"
                continue
            one.surprises.append(-float(log_probabilities(one.logits)[tokens[one.row]]))
            one.ids.append(tokens[one.row])
            one.ranks.append(best)
            one.states, one.logits = texts[best], logits[one.row]
            n_new = len(one.ids) - self.n_prompt
            one.own.append(values[best] / n_new)
            one.probes.append(self._probe(one.states, self.concept) / n_new)

    def _read(self, states: torch.Tensor) -> np.ndarray:
        """States [token, d] as the probe reads them, of states behind the final norm."""
        found: np.ndarray = states.double().numpy()
        if self.read == "whitened":
            found = found @ self.basis.found.white.root
        return unit_rows(found) if self.basis.unit else found

    def _probe(self, states: np.ndarray, frame: np.ndarray) -> float:
        """Summed correlation with a frame over the windows that hold a new token.

        Windows begin at every state; behind the last one stand columns of zeros.
        """
        first = max(0, self.n_prompt - self.width + 1)
        part = np.concatenate([states[first:], np.zeros((self.width - 1, states.shape[1]))])
        along = part @ frame  # [token, column]
        n = len(states) - first
        traces = sum(along[column : column + n, column] for column in range(self.width))
        sizes = np.minimum(self.width, n - np.arange(n))
        return float((traces / np.sqrt(sizes * max(1, int(rank(frame))))).sum())


def _result(
    loaded: Loaded, runs: Sequence[_Run], ids: Sequence[int], steps: int, **labels: Any
) -> GuidedDecoding:
    def padded(rows: Sequence[Sequence[float]], empty: float) -> np.ndarray:
        return np.array([[*row, *[empty] * (steps - len(row))] for row in rows])

    new = [one.ids[len(ids) :] for one in runs]
    return GuidedDecoding(
        request={},
        guides=tuple(one.name for one in runs),
        texts=tuple(continuation(loaded, ids, part) for part in new),
        tokens=tuple(pieces(loaded, part) for part in new),
        stopped=tuple(one.stopped for one in runs),
        k=np.array([one.k for one in runs]),
        probe=padded([one.probes for one in runs], np.nan).astype(np.float32),
        own_probe=padded([one.own for one in runs], np.nan).astype(np.float32),
        rank=padded([one.ranks for one in runs], -1).astype(np.int64),
        surprise=np.array(
            [np.mean(one.surprises) if one.surprises else np.nan for one in runs], np.float32
        ),
        **labels,
    )
