"""Is the direction that reads a concept best also the one that moves what the model writes?"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses import probe_scores as scores
from core.analyses.judges import Judge, best_probes, by_words
from core.analyses.neutral import side_effects
from core.analyses.normalised_effect import effect
from core.analyses.probe_asked import Sides, sides
from core.analyses.probe_trained import METHODS, trained, unit
from core.analyses.runs import Progress, prompt_rows
from core.analyses.states import states
from core.engine.generate import continuation, generate
from core.models.loaded import Loaded
from core.results.detect_guide import DetectGuide
from core.spec.concept import MAX_TEXT, Concept
from core.spec.errors import Error
from core.spec.interventions import Add, Intervention
from core.spec.site import Site

ALPHAS = (-0.5, -0.25, 0.25, 0.5)
PROMPTS = (
    "Once upon a time there was",
    "Yesterday Tom walked. Then",
    "One day",
    "The story was about",
    "In the morning",
    "There once lived",
    "It was late when",
    "Then came",
)
N_LAYERS, N_RANDOM, NEW_TOKENS = 5, 4, 16
MOST_TEXTS = 200  # of a side, for the judge
SHUFFLES = 1_000


def detect_guide(
    loaded: Loaded,
    progress: Progress,
    *,
    labelled: Any = "",
    concept: Any = "",
    texts: Sequence[str] = (),
    labels: Sequence[Any] = (),
    groups: Sequence[Any] | None = None,
    words: Sequence[str] | str = (),
    positive: str = "",
    position: str = "",
    layers: Sequence[int] | None = None,
    alphas: Sequence[float] = ALPHAS,
    prompts: Sequence[str] = PROMPTS,
    judged: Sequence[str] = (),
    C: float = 1.0,
    folds: int = 5,
    seed: int = 0,
    too_long: str = "cut",
) -> DetectGuide:
    """Detection (held-out AUC) against guidance (perplexity-normalised effect) of four probes.

    labelled, concept, texts with labels and groups, positive, position: as in `probe_family`
    layers   whose outputs are read and pushed; five spread over the depth
    alphas   strengths as fractions of the mean length of the stream there, without 0
    judged   words that say that a text has the concept; without them a probe of another layer

    After von Rütte et al. 2024, "A Language Model's Guide Through Latent Space": the stream is
    pushed at every token and brought back to its length, texts are continued greedily, perplexity
    is that of a neutral text under the push. Control: random directions of the same length.
    """
    if loaded.kind != "decoder" or loaded.head is None:
        raise Error(f"{loaded.name} continues no text, so it cannot be guided; take a decoder")
    strengths = _strengths(alphas, prompts)
    chosen = _layers(loaded, layers)
    one = sides(
        loaded, labelled=labelled, concept=concept, texts=texts, labels=labels, groups=groups,
        words=words, positive=positive, position=position, too_long=too_long, folds=folds,
        seed=seed,
    )  # fmt: skip
    seen = states(
        loaded, progress, one.read.ids, positions=(one.read.position,), layers=chosen,
        share=(0.0, 0.1),
    )  # fmt: skip
    judges, who = _judges(loaded, progress, one, judged, seed)
    work = _Work(loaded, progress, one, strengths, [str(text) for text in prompts], C, seed)
    rows = []
    for number, layer in enumerate(chosen):
        progress.step(0.15 + 0.85 * number / len(chosen), f"texts guided at layer {layer}")
        judge = judges[-1] if judges[0].layer == layer else judges[0]
        rows.append(work.layer(layer, seen.vectors[0, number], float(seen.norm[number]), judge))
    return _result(one, work, chosen, seen.norm.numpy(), who, rows)


def _strengths(alphas: Sequence[float], prompts: Sequence[str]) -> np.ndarray:
    try:
        found = np.array(sorted({float(alpha) for alpha in alphas} - {0.0}))
    except (TypeError, ValueError):
        raise Error("alphas= is a list of numbers, fractions of the mean length") from None
    if not 2 <= len(found) <= 12 or not np.abs(found).max() <= 100:
        raise Error("alphas= are 2 to 12 strengths other than 0, at most 100 mean lengths")
    if isinstance(prompts, str) or not 1 <= len(prompts) <= 16:
        raise Error("prompts= is a list of 1 to 16 beginnings of texts")
    return found


def _layers(loaded: Loaded, layers: Sequence[int] | None) -> list[int]:
    n = loaded.n_layers
    if layers is None:
        most = min(n, N_LAYERS)
        return sorted({round(i * (n - 1) / max(1, most - 1)) for i in range(most)})
    chosen = sorted(set(layers))
    if not chosen or not all(type(one) is int and 0 <= one < n for one in chosen):
        raise Error(f"layers= names layers 0 to {n - 1}, at least one")
    return chosen


def _judges(
    loaded: Loaded, progress: Progress, one: Sides, judged: Sequence[str], seed: int
) -> tuple[Sequence[Judge], str]:
    """Who judges, the first choice and its stand-in, and in words who that is."""
    if judged:
        given = [judged] if isinstance(judged, str) else list(judged)
        return [by_words(given)], "one of the words " + ", ".join(given)
    halves = []
    for number in (1, 0):
        own = {
            text[:MAX_TEXT]: None
            for text, label in zip(one.given.texts, one.label, strict=True)
            if label == number
        }
        halves.append(own)
    both = set(halves[0]) & set(halves[1])
    ups, downs = (tuple(t for t in half if t not in both)[:MOST_TEXTS] for half in halves)
    if min(len(ups), len(downs)) < 2:
        raise Error("nothing can be judged: the same texts stand in both classes; give judged=")
    found = best_probes(loaded, progress, Concept(one.given.name[:100], ups, downs), seed)
    return found, f"a probe on mean states of {loaded.name}"


@dataclass
class _Work:
    """Reads, pushes and measures one layer after another."""

    loaded: Loaded
    progress: Progress
    one: Sides
    alphas: np.ndarray
    prompts: list[str]
    c: float
    seed: int

    def layer(self, layer: int, x: Tensor, norm: float, judge: Judge) -> dict[str, Any]:
        """Every measure of one layer; directions: the probes', then random ones."""
        aucs, directions = self._read(x)
        rng = np.random.default_rng((self.seed, 41, layer))
        random = rng.normal(size=(N_RANDOM, x.shape[1]))
        random /= np.linalg.norm(random, axis=1, keepdims=True)
        every = np.concatenate([directions, random])
        site = Site(layer, "resid_post")
        pushes: list[list[Intervention]] = [
            [Add(site, tuple((norm * v).tolist()), float(alpha), keep_norm=True)]
            for v in every
            for alpha in self.alphas
        ]
        _, loss = side_effects(self.loaded, self.progress, [], pushes)
        written = self._written([[], *pushes])
        rates = np.array([judge(each).mean() for each in written])
        base, rate = float(rates[0]), rates[1:].reshape(len(every), -1)
        ratio = np.exp(np.clip(loss, None, 20)).reshape(rate.shape)
        fits = [
            effect(self.alphas, r, np.maximum(q, 1e-6), base)
            for r, q in zip(rate, ratio, strict=True)
        ]
        n = len(directions)
        return {
            "auc": aucs,
            "random_auc": self._random_auc(x, random),
            "direction": directions,
            "rate": rate[:n],
            "ratio": ratio[:n],
            "pnes": np.array([one.pnes for one in fits[:n]]),
            "towards": np.array([np.sign(one.height) for one in fits[:n]]),
            "control_rate": rate[n:],
            "control_ratio": ratio[n:],
            "control_pnes": np.array([one.pnes for one in fits[n:]]),
            "base": np.array(base),
            "judge_layer": np.array(judge.layer),
            "judge_separation": np.array(judge.separation),
            "texts": [each[0] for each in written[1 : 1 + n * len(self.alphas)]],
            "plain": written[0][0],
        }

    def _read(self, x: Tensor) -> tuple[np.ndarray, np.ndarray]:
        """AUC [method] on held-out texts and direction [method, d] of all, at length 1."""
        one, aucs, found = self.one, [], []
        train = np.append(
            one.fold[:, None] != np.arange(one.n_folds), np.ones((len(x), 1), dtype=bool), axis=1
        )
        labels = np.repeat(one.label[:, None], one.n_folds + 1, axis=1)
        for method in METHODS:
            fits = trained(
                x, labels, train, method, self.c, seed=self.seed, check=self.progress.check
            )
            margin = fits.margin(x).cpu().numpy()[np.arange(len(x)), one.fold]
            aucs.append(self._auc(margin))
            found.append(unit(fits.weight[:, -1:])[:, 0].cpu().numpy())
        return np.array(aucs), np.stack(found)

    def _random_auc(self, x: Tensor, random: np.ndarray) -> np.ndarray:
        along = (x.double() @ torch.from_numpy(random.T)).numpy()
        each = [self._auc(values) for values in along.T]
        return np.maximum(each, 1 - np.array(each))

    def _auc(self, margin: np.ndarray) -> float:
        return float(np.nanmean(scores.auc(margin[:, None], self.one.label, self.one.fold)))

    def _written(self, pushes: list[list[Intervention]]) -> list[list[str]]:
        """Continuations [push][prompt]."""
        found: list[list[str]] = [[] for _ in pushes]
        for text in self.prompts:
            prompt, ids = prompt_rows(self.loaded, text)
            new = generate(
                self.loaded, prompt, pushes, max_new_tokens=NEW_TOKENS, check=self.progress.check
            )
            for own, tokens in zip(found, new.ids, strict=True):
                own.append(continuation(self.loaded, ids, tokens))
        return found


def _result(
    one: Sides, work: _Work, chosen: list[int], norm: np.ndarray, who: str,
    rows: list[dict[str, Any]],
) -> DetectGuide:  # fmt: skip
    found: dict[str, Any] = {
        name: np.stack([row[name] for row in rows], axis=-1)
        for name in rows[0]
        if name not in ("texts", "plain", "direction")
    }
    direction = np.stack([row["direction"] for row in rows], axis=1)  # [method, layer, d]
    for name in ("rate", "ratio", "control_rate", "control_ratio"):
        found[name] = np.swapaxes(found[name], 1, 2)  # [method, layer, strength]
    auc, pnes = found["auc"].ravel(), found["pnes"].ravel()
    rng = np.random.default_rng((work.seed, 42))
    rho = _rank(auc, pnes)
    mixed = np.array([_rank(rng.permutation(auc), pnes) for _ in range(SHUFFLES)])
    n = len(work.alphas)
    return DetectGuide(
        request={},
        **one.facts(),
        judge=who,
        c=float(work.c),
        seed=work.seed,
        methods=METHODS,
        prompts=tuple(work.prompts),
        new_tokens=NEW_TOKENS,
        n_random=N_RANDOM,
        n_shuffles=SHUFFLES,
        notes=one.notes,
        plain=rows[0]["plain"],
        texts=tuple(
            tuple(tuple(row["texts"][m * n : (m + 1) * n]) for row in rows)
            for m in range(len(METHODS))
        ),
        layer=np.array(chosen),
        alpha=work.alphas,
        mean_norm=norm,
        direction=direction.astype(np.float32),
        rho=np.array([rho]),
        rho_p=np.array([(1 + (np.abs(mixed) >= abs(rho) - 1e-12).sum()) / (1 + SHUFFLES)]),
        **found,
    )


def _rank(one: np.ndarray, other: np.ndarray) -> float:
    """Spearman's rank correlation; 0 where one of them does not vary."""
    from scipy.stats import rankdata

    a, b = rankdata(one), rankdata(other)
    if a.std() == 0 or b.std() == 0:
        return 0.0
    return float(np.corrcoef(a, b)[0, 1])
