"""A contrast pushed by so many nats, on paper and in the running model, beside random pushes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.analyses.clouds import unit
from core.analyses.push_lines import N_CONTROLS, Lines
from core.analyses.pushed_contexts import (
    Found,
    behind_norm,
    followed_by,
    measured,
    own_texts,
    states_of,
)
from core.analyses.runs import Progress, batches
from core.analyses.states import reference_norm
from core.analyses.stream_vectors import from_stream, to_stream
from core.analyses.word_contrasts import (
    Kept,
    kept,
    on_output,
    pair_set,
)
from core.corpus.chunks import contexts as windows_of
from core.corpus.readers import Corpus
from core.engine.frozen import norm_scales
from core.engine.rows import rows as new_rows
from core.models.loaded import Loaded
from core.models.tokens import encode, pieces
from core.models.words import in_text
from core.results.concept_push import ConceptPush
from core.results.direction import short
from core.spec.concept_set import ConceptSet
from core.spec.errors import Error
from core.spec.interventions import Add, Control, Intervention
from core.spec.site import Site

STEPS = (0.0, 1.0, 2.0, 4.0, 8.0)
PROMPTS = ("Once upon a time there was a", "The word is", "Long live the", "They talk about the")
TOP = 10
RUN_NATS = 2.0
LEAST_REACHED = 0.1  # of a nat, through the final norm; where less arrives the push grows no more
MOST_STEPS, MOST_PROMPTS, MOST_NATS = 12, 12, 100


def concept_push(
    loaded: Loaded,
    progress: Progress,
    *,
    concepts: Any = "contrasts",
    concept: str = "",
    against: str = "",
    prompts: Sequence[str] = PROMPTS,
    steps: Sequence[float] = STEPS,
    layer: int | None = None,
    run_nats: float = RUN_NATS,
    texts: Sequence[str] = (),
    sides: Sequence[Any] = (),
    corpus: Corpus = "built-in",
    n_contexts: int = 128,
    seed: int = 0,
) -> ConceptPush:
    """What a contrast reads in contexts, and what moving along it does to next tokens.

    concepts  a set of pairs; concept, against: the contrast pushed and the one it is drawn against,
              by name ("": the first two that can be read)
    prompts   texts whose next token is looked at; steps: pushes in nats of the contrast's own pairs
    layer     the block whose output is pushed in the run; None: the last one. The linear answer is
              always that of the state behind the final norm
    run_nats  the push behind the run's map of effects
    texts     contexts of one's own with the side= each lies on (two sides), measured as well

    After Park, Choe and Veitch 2023: l' = l + alpha g, alpha = t / mean_i (g(y1_i) - g(y0_i)) . g.
    Control of every push: a random direction of equal length, on paper in whitened coordinates, in
    the run in the stream.
    """
    given = pair_set(concepts)
    wanted = _asked(loaded, prompts, steps, layer, run_nats)
    progress.step(0.0, "whitening")
    place = on_output(loaded, given.items, progress.check)
    own = kept(given, place)
    chosen = _named(own, concept, 0), _named(own, against, 1)
    rng = np.random.default_rng(seed)
    windows = windows_of(loaded, corpus, n_contexts=n_contexts)
    ids = [in_text(loaded, word)[0] for word in place.words]
    found = followed_by(loaded, progress, windows, own.contrasts, place, ids, rng)
    if len(texts):
        own_texts(loaded, progress, texts, sides, found)
    arrays = measured(found, own.contrasts, place, rng)
    lines = Lines(place, own.contrasts, ids)
    arrays |= lines.effects(rng)
    pushes = _Pushes(loaded, progress, lines, wanted, seed)
    arrays |= pushes.maps()
    arrays |= pushes.steps_of(chosen[0], rng)
    arrays |= lines.vocabulary(loaded, chosen, rng)
    norm, _ = reference_norm(loaded, progress)
    arrays["mean_norm"] = norm[[wanted.site.layer]].numpy()
    return _result(loaded, given, own, found, wanted, chosen, arrays, windows.name, seed)


@dataclass(frozen=True)
class _Asked:
    """What is pushed, where and how far."""

    prompts: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]
    steps: tuple[float, ...]
    site: Site
    run_nats: float


def _asked(
    loaded: Loaded,
    prompts: Sequence[str],
    steps: Sequence[float],
    layer: int | None,
    run_nats: float,
) -> _Asked:
    """The question in checked form. Raises `Error` with a sentence."""
    if isinstance(prompts, str):
        prompts = (prompts,)
    if not 1 <= len(prompts) <= MOST_PROMPTS:
        raise Error(f"{len(prompts)} prompts; between 1 and {MOST_PROMPTS} are continued")
    try:
        found = tuple(sorted({float(step) for step in steps} | {0.0}))
        nats = float(run_nats)
    except (TypeError, ValueError):
        raise Error("steps= and run_nats= are numbers of nats") from None
    if len(found) > MOST_STEPS or not all(abs(step) <= MOST_NATS for step in (*found, nats)):
        raise Error(f"at most {MOST_STEPS} steps, each at most {MOST_NATS} nats")
    if not nats:
        raise Error("run_nats= is how far the run is pushed; 0 would push nothing")
    last = loaded.n_layers - 1
    if layer is not None and (isinstance(layer, bool) or layer not in range(last + 1)):
        raise Error(f"layer= is the block whose output is pushed, 0 to {last}, or None")
    site = Site(last if layer is None else layer, "resid_post")
    ids = tuple(tuple(encode(loaded, text)) for text in prompts)
    return _Asked(tuple(prompts), ids, found, site, nats)


def _named(own: Kept, name: str, number: int) -> int:
    if not name:
        return min(number, len(own.names) - 1)
    if name in own.names:
        return own.names.index(name)
    why = dict(own.left_out).get(name)
    if why:
        raise Error(f"{name[:40]!r} cannot be pushed: {why}")
    raise Error(f"no contrast {name[:40]!r}; there are {', '.join(own.names[:8])}")


class _Pushes:
    """The prompts under pushes: linear answers and runs of the model."""

    def __init__(
        self, loaded: Loaded, progress: Progress, lines: Lines, asked: _Asked, seed: int
    ) -> None:
        self.loaded, self.progress, self.lines, self.asked = loaded, progress, lines, asked
        self.seed = seed
        before = states_of(loaded, asked.ids, progress)
        norm = loaded.stacks[""].norm
        self.scale = np.ones(len(before))
        if norm is not None:
            with loaded.busy():
                self.scale = (
                    norm_scales(loaded, norm, before.to(loaded.device)).double().cpu().numpy()
                )
        self.state = behind_norm(loaded, before)
        stream = to_stream(loaded, lines.shift)
        # What a LayerNorm cannot write is made up for, so that a nat stays a nat of the own pairs.
        reached = (from_stream(loaded, stream) * lines.raw).sum(axis=1)
        stream = stream / np.maximum(reached, LEAST_REACHED)[:, None]
        self.length = np.linalg.norm(stream, axis=1)  # [concept] a nat, per unit of scale
        self.vector = unit(stream)
        nothing: list[list[Intervention]] = [[]]
        clean = self._run([nothing for _ in asked.ids])
        self.clean = np.stack([part[0] for part in clean])

    def maps(self) -> dict[str, np.ndarray]:
        """run_effect and run_control [prompt, pushed, measured], nats a nat."""
        n = len(self.vector)
        rows: list[list[list[Intervention]]] = []
        for scale in self.scale:
            adds = [self._add(which, self.asked.run_nats, scale) for which in range(n)]
            control = [Control(add, self.seed * 1_000 + at) for at, add in enumerate(adds)]
            both: list[Intervention] = [*adds, *control]
            rows.append([[one] for one in both])
        before = self.lines.log_odds(self.clean)
        found = []
        for prompt, logits in enumerate(self._run(rows, self.lines.log_odds)):
            self.progress.step(0.6 + 0.2 * prompt / len(rows), "pushes in the running model")
            found.append((logits - before[prompt]) / self.asked.run_nats)
        moved = np.stack(found)
        return {
            "run_effect": moved[:, :n],
            "run_control": moved[:, n:],
            "vector": self.vector,
            "coefficient": self.length * self.scale.mean(),
        }

    def steps_of(self, which: int, rng: np.random.Generator) -> dict[str, Any]:
        """Top tokens of every prompt at every step: linear, in a run, and along random ones."""
        steps, lines = self.asked.steps, self.lines
        random = unit(rng.normal(size=(1, len(lines.place.white.root))))
        strange = random / lines.gain[which] @ lines.place.white.inverse
        added = lines.token_shift(np.concatenate([lines.shift[[which]], strange]))
        rows = [[[self._add(which, t, scale)] if t else [] for t in steps] for scale in self.scale]
        runs = self._run(rows)
        known = added.shape[1]
        kinds: dict[str, list[np.ndarray]] = {"": [], "run_": [], "control_": []}
        for prompt, run_logits in enumerate(runs):
            self.progress.step(0.8 + 0.1 * prompt / len(steps), "top tokens by step")
            clean = self.clean[prompt][:known]
            at = np.array(steps)[:, None]
            kinds[""].append(clean + at * added[0])
            kinds["run_"].append(run_logits[:, :known])
            kinds["control_"].append(clean + at * added[1])
        found: dict[str, Any] = {}
        for kind, logits in kinds.items():
            tops = [self._top(part) for part in logits]
            found[f"{kind}top"] = tuple(words for words, _ in tops)
            found[f"{kind}probability"] = np.stack([shares for _, shares in tops])
        return found

    def _add(self, which: int, nats: float, scale: float) -> Add:
        strength = float(nats * self.length[which] * scale)
        return Add(self.asked.site, tuple(short(self.vector[which])), strength)

    def _run(
        self, rows: Sequence[Sequence[Sequence[Intervention]]], reduce: Any = None
    ) -> list[np.ndarray]:
        """Logits at the end of each prompt, [change, d_vocab], or what `reduce` makes of them."""
        found = []
        for ids, changes in zip(self.asked.ids, rows, strict=True):
            prompt = new_rows(self.loaded, [list(ids)])
            parts = []
            for logits in batches(
                self.loaded, prompt, changes, logits="last", check=self.progress.check
            ):
                numbers = logits[:, -1].double().cpu().numpy()
                parts.append(numbers if reduce is None else reduce(numbers))
            found.append(np.concatenate(parts))
        return found

    def _top(self, logits: np.ndarray) -> tuple[tuple[tuple[str, ...], ...], np.ndarray]:
        """Tokens and probabilities [step, k] of logits [step, d_vocab]."""
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        share = shifted / shifted.sum(axis=1, keepdims=True)
        k = min(TOP, share.shape[1])
        order = np.argsort(-share, axis=1, kind="stable")[:, :k]
        words = tuple(pieces(self.loaded, row.tolist()) for row in order)
        return words, np.take_along_axis(share, order, axis=1)


def _result(
    loaded: Loaded,
    given: ConceptSet,
    own: Kept,
    found: Found,
    asked: _Asked,
    chosen: tuple[int, int],
    arrays: dict[str, Any],
    corpus: str,
    seed: int,
) -> ConceptPush:
    notes = []
    cap = loaded.row.logit_cap and getattr(loaded.config, loaded.row.logit_cap, None)
    if cap:
        notes.append(
            f"the model caps its logits at {cap:g}: nats are those in front of the cap, the run "
            "shows what is left of them"
        )
    whole = ("context_group", "context_side", "n_contexts")
    rest: dict[str, Any] = {
        name: value.astype(np.float32)
        if isinstance(value, np.ndarray) and name not in whole
        else value
        for name, value in arrays.items()
    }
    return ConceptPush(
        request={},
        concept_set=given.name,
        concepts=own.names,
        concept=chosen[0],
        other=chosen[1],
        site=str(asked.site),
        pairs=own.pairs,
        dropped=own.dropped,
        left_out=own.left_out,
        prompts=asked.prompts,
        groups=tuple(found.names),
        sides=tuple(found.sides),
        notes=tuple(notes),
        corpus=corpus,
        n_controls=N_CONTROLS,
        run_nats=asked.run_nats,
        seed=seed,
        n_pairs=own.n_pairs,
        steps=np.array(asked.steps),
        **rest,
    )
