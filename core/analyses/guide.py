"""Guidance: add a concept's direction at several layers and strengths, and judge the texts."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from core.analyses.contrast import METHODS, held_out_auc, unit
from core.analyses.given import asked_concept, items
from core.analyses.judges import Judge, best_probes, by_words
from core.analyses.runs import LOGITS_AT_ONCE, Progress, log_probabilities, prompt_rows
from core.engine.forward import run
from core.engine.generate import MAX_NEW_TOKENS, continuation, generate
from core.engine.rows import rows
from core.models.loaded import Loaded
from core.results.guide import GuideResult
from core.spec.concept import Concept
from core.spec.errors import Error
from core.spec.interventions import Add, Control, Intervention
from core.spec.site import Site

ALPHAS = (-0.5, -0.25, -0.1, 0.0, 0.1, 0.25, 0.5)
N_LAYERS = 6
N_CONTROLS = 2
PROMPTS = (
    "Once upon a time there was",
    "Yesterday Tom walked. Then",
    "One day",
    "The story was about",
)
MOST_CELLS = 400


def guide(
    loaded: Loaded,
    progress: Progress,
    *,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    method: str = "difference",
    position: str = "last",
    layers: Sequence[int] | None = None,
    alphas: Sequence[float] = ALPHAS,
    prompts: Sequence[str] = PROMPTS,
    words: Sequence[str] = (),
    other: Loaded | None = None,
    new_tokens: int = 24,
    seed: int = 0,
) -> GuideResult:
    """Layer x strength map of a guidance score that asks for the concept and for fluent text.

    x + alpha * mean|x| * v at every token of `L{l}.resid_post`; the judge is a list of `words`,
    or a probe on mean states of a layer that is not the guided one, or of a second model (other=).
    Score: harmonic mean of max(0, (s - s0) / (1 - s0)) and min(1, PPL_0 / PPL); after "A Language
    Model's Guide Through Latent Space" (von Rütte et al. 2024), whose exact form is not known.
    Control: random directions of equal length. Greedy; all cells of a layer are rows of one batch.
    """
    if loaded.kind != "decoder" or loaded.head is None:
        raise Error(f"{loaded.name} continues no text, so it cannot be guided; take a decoder")
    if method not in METHODS:
        raise Error(f"no method {method[:40]!r} for guiding; there are {', '.join(METHODS)}")
    if not 1 <= new_tokens <= MAX_NEW_TOKENS:
        raise Error(f"new_tokens must lie between 1 and {MAX_NEW_TOKENS}, got {new_tokens}")
    chosen = _layers(loaded, layers)
    strengths = _strengths(alphas, chosen, prompts)
    meant = asked_concept(concept, positive, negative, pairs)
    given = items(loaded, progress, concept=meant, position=position)
    judges, who = _judges(other or loaded, progress, meant, words, seed)
    sweep = _Sweep(loaded, progress, [str(text) for text in prompts], strengths, new_tokens, seed)
    sweep.begin()
    cells = []
    for number, layer in enumerate(chosen):
        vector = unit(METHODS[method](given.sides(layer)))
        judge = judges[0] if other or judges[0].layer != layer else judges[-1]
        sweep.share = 0.1 + 0.9 * number / len(chosen)
        found = sweep.layer(layer, vector * float(given.norm[layer]), judge)
        sides = given.sides(layer)
        found["separation"] = held_out_auc(sides, METHODS[method], np.random.default_rng(seed))
        found["natural"] = float(
            (sides.positive @ vector).mean() - (sides.negative @ vector).mean()
        )
        found["direction"] = vector.astype(np.float32)
        cells.append(found)
    return _result(given, method, who, sweep, chosen, cells)


def _judges(
    reader: Loaded, progress: Progress, concept: Concept | None, words: Sequence[str], seed: int
) -> tuple[Sequence[Judge], str]:
    """Who judges, the first choice and its stand-in, and in words who that is."""
    if words:
        return [by_words(words)], "one of the words " + ", ".join(words)
    assert concept is not None
    probes = best_probes(reader, progress, concept, seed)
    return probes, f"a probe on mean states of {reader.name}"


def _layers(loaded: Loaded, layers: Sequence[int] | None) -> list[int]:
    """The layers asked for, or six spread over the depth."""
    n = loaded.n_layers
    if layers is None:
        return sorted({round(i * (n - 1) / (min(n, N_LAYERS) - 1 or 1)) for i in range(N_LAYERS)})[
            :n
        ]
    chosen = sorted(set(layers))
    if not chosen or not all(isinstance(one, int) and 0 <= one < n for one in chosen):
        raise Error(f"layers= names layers 0 to {n - 1}, at least one")
    return chosen


def _strengths(alphas: Sequence[float], layers: list[int], prompts: Sequence[str]) -> list[float]:
    try:
        found = sorted({float(alpha) for alpha in alphas} | {0.0})
    except (TypeError, ValueError):
        raise Error("alphas= is a list of numbers, fractions of the mean length") from None
    if not all(abs(alpha) <= 100 for alpha in found):
        raise Error("alphas= are fractions of the mean length of the stream, at most 100")
    if not prompts or len(found) * len(layers) * len(prompts) > MOST_CELLS:
        raise Error(
            f"{len(layers)} layers x {len(found)} strengths x {len(prompts)} prompts; between 1 "
            f"and {MOST_CELLS} texts are written"
        )
    return found


@dataclass
class _Texts:
    """Continuations of every prompt, with their tokens and how surprising they are."""

    texts: list[str] = field(default_factory=list)
    ids: list[tuple[int, ...]] = field(default_factory=list)
    nll: float = 0.0
    n: int = 0

    @property
    def perplexity(self) -> float:
        return float(np.exp(self.nll / self.n)) if self.n else float("inf")

    @property
    def distinct(self) -> float:
        """Share of different pairs of neighbouring tokens, mean over the texts that have any."""
        shares = [len(set(pairwise(ids))) / (len(ids) - 1) for ids in self.ids if len(ids) > 1]
        return float(np.mean(shares)) if shares else 0.0


@dataclass
class _Sweep:
    """Writes and measures the texts of one layer after another."""

    loaded: Loaded
    progress: Progress
    prompts: list[str]
    alphas: list[float]
    new_tokens: int
    seed: int
    share: float = 0.0
    clean: _Texts = field(default_factory=_Texts)

    def begin(self) -> None:
        """The unguided texts, once."""
        self.clean = self._written([[]])[0]

    def layer(self, layer: int, vector: np.ndarray, judge: Judge) -> dict[str, Any]:
        """Every measure of one layer; `vector` has the mean length of the stream."""
        guided = [alpha for alpha in self.alphas if alpha]
        rows: list[list[Intervention]] = []
        for alpha in guided:
            add = Add(Site(layer, "resid_post"), tuple(vector.tolist()), alpha)
            rows.append([add])
            rows += [[Control(add, self.seed * 100 + number)] for number in range(N_CONTROLS)]
        self.progress.step(self.share, f"texts guided at layer {layer}")
        written = self._written(rows)
        base = float(judge(self.clean.texts).mean())
        step = 1 + N_CONTROLS
        own = {alpha: written[number * step] for number, alpha in enumerate(guided)}
        others = {
            alpha: written[number * step + 1 : (number + 1) * step]
            for number, alpha in enumerate(guided)
        }
        return self._measured(layer, base, own, others, judge)

    def _measured(
        self,
        layer: int,
        base: float,
        own: dict[float, _Texts],
        others: dict[float, list[_Texts]],
        judge: Judge,
    ) -> dict[str, Any]:
        found: dict[str, list[Any]] = {}
        for alpha in self.alphas:
            mine = own.get(alpha, self.clean)
            controls = others.get(alpha, [self.clean])
            cell = self._cell(alpha, base, mine, judge)
            cells = [self._cell(alpha, base, each, judge) for each in controls]
            cell |= {
                f"control_{name}": float(np.mean([each[name] for each in cells]))
                for name in ("success", "fluency", "score")
            }
            cell |= {"texts": tuple(mine.texts), "control_texts": tuple(controls[0].texts)}
            for name, value in cell.items():
                found.setdefault(name, []).append(value)
        where = {"judge_layer": judge.layer, "judge_separation": judge.separation}
        return {**found, **where, "base": base, "layer": layer}

    def _cell(self, alpha: float, base: float, written: _Texts, judge: Judge) -> dict[str, Any]:
        success = float(judge(written.texts).mean())
        room, gain = (1 - base, success - base) if alpha >= 0 else (base, base - success)
        effect = max(0.0, gain / room) if alpha and room > 1e-9 else 0.0
        fluency = min(1.0, self.clean.perplexity / written.perplexity)
        both = effect + fluency
        return {
            "success": success,
            "effect": effect,
            "fluency": fluency,
            "score": 2 * effect * fluency / both if both else 0.0,
            "distinct": written.distinct,
        }

    def _written(self, changes: list[list[Intervention]]) -> list[_Texts]:
        """Every prompt continued under every list of changes, as rows of one batch a prompt."""
        found = [_Texts() for _ in changes]
        for text in self.prompts:
            prompt, ids = prompt_rows(self.loaded, text)
            new = generate(
                self.loaded, prompt, changes, max_new_tokens=self.new_tokens,
                check=self.progress.check,
            )  # fmt: skip
            nll = self._surprise(ids, new.ids)
            for each, tokens, loss in zip(found, new.ids, nll, strict=True):
                each.texts.append(continuation(self.loaded, ids, tokens))
                each.ids.append(tokens)
                each.nll += loss
                each.n += len(tokens)
        return found

    def _surprise(self, prompt: list[int], news: Sequence[Sequence[int]]) -> list[float]:
        """Summed negative log-probability of each continuation under the unguided model."""
        found = [0.0] * len(news)
        longest = max(map(len, news))
        if not longest:
            return found
        most = max(1, LOGITS_AT_ONCE // (longest * self.loaded.d_vocab))
        numbers = [number for number, new in enumerate(news) if len(new)]
        for start in range(0, len(numbers), most):
            part = numbers[start : start + most]
            width = max(len(news[number]) for number in part)
            asked = list(range(len(prompt) - 1, len(prompt) - 1 + width))
            batch = rows(self.loaded, [[*prompt, *news[number]] for number in part])
            seen = run(self.loaded, batch, logits=asked, check=self.progress.check)
            assert seen.logits is not None
            log_p = log_probabilities(seen.logits)
            for row, number in enumerate(part):
                wanted = torch.tensor(news[number], device=log_p.device)
                own = log_p[row, : len(wanted)].gather(1, wanted[:, None])
                found[number] = -float(own.sum())
        return found


def _result(
    given: Any, method: str, who: str, sweep: _Sweep, chosen: list[int], cells: list[dict[str, Any]]
) -> GuideResult:
    def stacked(name: str) -> np.ndarray:
        return np.array([cell[name] for cell in cells])

    norm = given.norm[chosen].astype(np.float32)
    numbers = (
        *("success", "effect", "fluency", "score", "distinct", "separation", "direction", "base"),
        *("control_success", "control_fluency", "control_score", "judge_layer", "judge_separation"),
    )
    return GuideResult(
        request={},
        concept=given.name,
        method=method,
        judge=who,
        prompts=tuple(sweep.prompts),
        new_tokens=sweep.new_tokens,
        n_controls=N_CONTROLS,
        seed=sweep.seed,
        texts=tuple(tuple(cell["texts"]) for cell in cells),
        control_texts=tuple(tuple(cell["control_texts"]) for cell in cells),
        layer=np.array(chosen),
        alpha=np.array(sweep.alphas),
        mean_norm=norm,
        natural=stacked("natural") / norm,
        base_perplexity=np.array([sweep.clean.perplexity]),
        **{name: stacked(name) for name in numbers},
    )
