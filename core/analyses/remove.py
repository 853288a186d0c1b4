"""Find the direction a behaviour hangs on, take it out of the whole stream, and report."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from core.analyses.effects import last_log_p, predicts, split, text_divergence
from core.analyses.given import LEAST, against, asked_concept, word_ids
from core.analyses.neutral import side_effects
from core.analyses.runs import Progress, prompt_rows
from core.analyses.states import encoded, states, stream_sites
from core.corpus.reference import sentences
from core.engine.generate import continuation, generate
from core.models.edited import everywhere
from core.models.loaded import Loaded
from core.models.tokens import decode, known_ids, pieces
from core.results.remove import RemoveResult
from core.spec.errors import Error
from core.spec.interventions import Add, Change, Project

POSITIONS = ("last", "mean")
KL_LIMIT = 0.1  # nats per token on neutral text
LATE = 0.8  # share of the depth from which on a layer is no candidate
N_CONTROLS = 4
N_TOKENS = 8  # tokens watched when none are named
SIDE_EFFECTS = 20
NEW_TOKENS = 30
PROMPTS = ("Once upon a time there was", "Yesterday Tom walked. Then")


@dataclass(frozen=True)
class _Held:
    """What everything is measured on."""

    positive: list[list[int]]
    negative: list[list[int]]
    neutral: list[list[int]]
    watched: Tensor  # ids


def remove(
    loaded: Loaded,
    progress: Progress,
    *,
    concept: Any = "",
    positive: Sequence[str] = (),
    negative: Sequence[str] = (),
    pairs: Sequence[Sequence[str]] = (),
    tokens: Sequence[str] = (),
    positions: Sequence[str] = POSITIONS,
    prompts: Sequence[str] = PROMPTS,
    seed: int = 0,
) -> RemoveResult:
    """Directional ablation after "Refusal in LLMs is mediated by a single direction" (Arditi et
    al. 2024), for any behaviour that shows in the next token.

    Candidates: float64 difference of means at each of `positions` and each layer, from one half
    of the texts. Each is taken out at the embedding and at every attention and MLP output, all
    tokens; dropped if KL on neutral text exceeds 0.1 nats, if adding it once, raw, at its own layer
    does not raise the behaviour on negative texts, or if its layer lies in the last fifth; of
    the rest the one that lowers the behaviour most. `tokens`: what is watched; without them
    the tokens that tell the two sides apart most.
    """
    predicts(loaded)
    meant = asked_concept(concept, positive, negative, pairs)
    if meant is None:
        raise Error("removing needs a concept, or positive and negative texts, or pairs")
    downs, what = against(meant)
    sides = (f"positive texts of {meant.name}", what)
    ups, n = meant.positive, min(len(meant.positive), len(downs))
    if n < 2 * LEAST:
        raise Error(f"{meant.name}: removing needs at least {2 * LEAST} texts on each side")
    build_up, held_up = split(len(ups), 0.5, range(len(ups)), seed)
    same = meant.paired
    build_down, held_down = (
        (build_up, held_up) if same else split(len(downs), 0.5, range(len(downs)), seed)
    )
    ids_up, ids_down = encoded(loaded, ups), encoded(loaded, downs)
    progress.step(0.05, "candidates")
    built = [
        _chosen(states(loaded, progress, ids, positions=positions, share=(0.05, 0.1)).vectors, kept)
        for ids, kept in ((ids_up, build_up), (ids_down, build_down))
    ]
    raw = (built[0].double().mean(dim=2) - built[1].double().mean(dim=2)).float()
    neutral = encoded(loaded, [text for text in sentences() if text not in {*ups, *downs}])
    held_ids = [ids_up[i] for i in held_up], [ids_down[i] for i in held_down]
    watched, reason = _watched(loaded, progress, tokens, *held_ids)
    held = _Held(*held_ids, neutral, watched)
    return _Removal(loaded, progress, held, raw, tuple(positions), seed).result(
        meant.name, sides, reason, len(build_up), tuple(prompts)
    )


def _chosen(vectors: Tensor, kept: Sequence[int]) -> Tensor:
    return vectors[:, :, list(kept)]


def _watched(
    loaded: Loaded,
    progress: Progress,
    tokens: Sequence[str],
    positive: list[list[int]],
    negative: list[list[int]],
) -> tuple[Tensor, str]:
    """Ids of the tokens whose probability is the behaviour, and why these."""
    if tokens:
        ids = [word_ids(loaded, token)[0] for token in tokens]
        return torch.tensor(sorted(set(ids))), "tokens that were named; of longer words the first"
    up = last_log_p(loaded, progress, positive).exp().mean(dim=0)
    down = last_log_p(loaded, progress, negative).exp().mean(dim=0)
    gain = (up - down)[: known_ids(loaded)]
    found = gain.topk(min(N_TOKENS, len(gain))).indices
    return found, "tokens that follow the positive texts more often than the negative ones"


@dataclass
class _Removal:
    """The measurements of one question; `raw` [position, layer, d_model]."""

    loaded: Loaded
    progress: Progress
    held: _Held
    raw: Tensor
    positions: tuple[str, ...]
    seed: int

    def behaviour(self, texts: list[list[int]], change: Sequence[Change] = ()) -> float:
        """Mean log-odds of the watched tokens behind the texts, in nats."""
        log_p = last_log_p(self.loaded, self.progress, texts, change)
        p = log_p[:, self.held.watched].exp().sum(dim=-1).double().clamp(1e-12, 1 - 1e-12)
        return float((p.log() - (1 - p).log()).mean())

    def both(self, change: Sequence[Change] = ()) -> np.ndarray:
        """Behaviour on positive and on negative held-out texts, [2]."""
        return np.array(
            [self.behaviour(t, change) for t in (self.held.positive, self.held.negative)]
        )

    def candidates(self) -> dict[str, np.ndarray]:
        """Every candidate taken out, and added; [position, layer] each."""
        n_positions, n_layers = self.raw.shape[:2]
        found = {
            name: np.zeros((n_positions, n_layers)) for name in ("ablated", "added", "candidate_kl")
        }
        sites = stream_sites(self.loaded)
        for place in range(n_positions):
            for layer in range(n_layers):
                done = (place * n_layers + layer) / (n_positions * n_layers)
                self.progress.step(0.1 + 0.6 * done, f"candidate of layer {layer}")
                vector = self.raw[place, layer].tolist()
                if not any(vector):
                    continue
                out = everywhere(self.loaded, vector)
                found["ablated"][place, layer] = self.behaviour(self.held.positive, out)
                found["added"][place, layer] = self.behaviour(
                    self.held.negative, [Add(sites[layer], tuple(vector))]
                )
                kl, _ = side_effects(self.loaded, self.progress, [], [out])
                found["candidate_kl"][place, layer] = kl[0]
        return found

    def choose(self, found: dict[str, np.ndarray], base: float) -> tuple[np.ndarray, str]:
        """(candidates to choose from [position, layer], how the choice was made)."""
        n_layers = self.raw.shape[1]
        late = np.arange(n_layers) >= LATE * n_layers
        quiet = found["candidate_kl"] <= KL_LIMIT
        usable = quiet & (found["added"] > base) & ~late
        if usable.any():
            return usable, f"lowest behaviour among {int(usable.sum())} usable candidates"
        early = np.broadcast_to(~late, usable.shape)
        return early, "no candidate kept every rule; lowest behaviour among the early layers"

    def result(
        self,
        name: str,
        sides: tuple[str, ...],
        reason: str,
        n_build: int,
        prompts: tuple[str, ...],
    ) -> RemoveResult:
        before, found = self.both(), self.candidates()
        pool, why = self.choose(found, before[1])
        lowest = np.where(pool, found["ablated"], np.inf)
        place, layer = (int(i) for i in np.unravel_index(lowest.argmin(), lowest.shape))
        unit = functional.normalize(raw := self.raw[place, layer], dim=0)
        self.progress.step(0.72, "the chosen direction")
        forms = self._forms(unit)
        held, measured = self.held, self._measured(unit, forms, layer)
        texts = [
            self._texts(prompts, change) for change in ((), forms["removed"], forms["control"])
        ]
        side_kl, listed = self._side_effects(forms["removed"])
        return RemoveResult(
            request={},
            concept=name,
            sides=sides,
            tokens=pieces(self.loaded, held.watched.tolist()),
            token_reason=reason,
            positions=self.positions,
            chosen=(place, layer),
            why=why,
            kl_limit=KL_LIMIT,
            n_build=n_build,
            n_positive=len(held.positive),
            n_negative=len(held.negative),
            n_neutral=len(held.neutral),
            n_controls=N_CONTROLS,
            seed=self.seed,
            sites=tuple(str(change.site) for change in forms["removed"]),
            prompts=prompts,
            texts_before=texts[0],
            texts_removed=texts[1],
            texts_control=texts[2],
            side_effects=listed,
            direction=unit.numpy(),
            raw=raw.numpy(),
            usable=pool & ("usable" in why),
            before=before,
            side_kl=side_kl,
            **found,
            **measured,
        )

    def _forms(self, unit: Tensor) -> dict[str, tuple[Change, ...]]:
        """Taken out everywhere; taken to the negative mean at every input; at random."""
        center = self._mean_along(unit, self.held.negative)
        sites = stream_sites(self.loaded)
        affine = tuple(
            Project(site, tuple(unit.tolist()), center=float(center[layer]))
            for layer, site in enumerate(sites)
        )
        return {
            "removed": everywhere(self.loaded, unit.tolist()),
            "affine": affine,
            "control": self._random(0),
        }

    def _random(self, number: int) -> tuple[Change, ...]:
        generator = torch.Generator().manual_seed(self.seed * 100 + number)
        return everywhere(
            self.loaded, torch.randn(self.loaded.d_model, generator=generator).tolist()
        )

    def _mean_along(
        self, unit: Tensor, texts: list[list[int]], change: Sequence[Change] = ()
    ) -> Tensor:
        """Mean projection on the direction over all tokens of texts, [layer]."""
        seen = states(self.loaded, self.progress, texts, positions=("mean",), change=change,
                      share=None)  # fmt: skip
        return (seen.vectors[0] @ unit).mean(dim=1)

    def _measured(
        self, unit: Tensor, forms: dict[str, tuple[Change, ...]], layer: int
    ) -> dict[str, np.ndarray]:
        """Behaviour, neutral text, and projections before and after."""
        found: dict[str, np.ndarray] = {}
        for name in ("removed", "affine"):
            found[name] = self.both(forms[name])
        randoms = [self._random(number) for number in range(N_CONTROLS)]
        found["control"] = np.stack([self.both(change) for change in randoms])
        self.progress.step(0.85, "neutral text")
        kl, loss = side_effects(
            self.loaded, self.progress, [], [forms["removed"], forms["affine"], *randoms]
        )
        found["kl"] = np.array([kl[0], kl[1], kl[2:].mean()])
        found["loss_increase"] = np.array([loss[0], loss[1], loss[2:].mean()])
        for name, change in (("before", ()), *((n, forms[n]) for n in ("removed", "affine"))):
            curves, along = [], []
            for texts in (self.held.positive, self.held.negative):
                seen = states(self.loaded, self.progress, texts, positions=("last",),
                              change=change, share=None)  # fmt: skip
                values = seen.vectors[0] @ unit
                curves.append(values.mean(dim=1))
                along.append(values[layer])
            found[f"curve_{name}"] = torch.stack(curves).numpy()
            found[f"projection_{name}"] = torch.cat(along).numpy()
        return found

    def _texts(self, prompts: tuple[str, ...], change: Sequence[Change]) -> tuple[str, ...]:
        found = []
        for text in prompts:
            prompt, ids = prompt_rows(self.loaded, text)
            new = generate(self.loaded, prompt, [change], max_new_tokens=NEW_TOKENS,
                           check=self.progress.check)  # fmt: skip
            found.append(continuation(self.loaded, ids, new.ids[0]))
        return tuple(found)

    def _side_effects(
        self, change: Sequence[Change]
    ) -> tuple[np.ndarray, tuple[tuple[str, str, str, str], ...]]:
        """The neutral sentences that change most: where, and the first choice before and after."""
        self.progress.step(0.95, "side effects")
        texts = self.held.neutral
        if self.loaded.kind == "encoder-decoder":
            return np.zeros(0), ()
        kl, place = text_divergence(self.loaded, self.progress, texts, change)
        order = kl.argsort(descending=True)[:SIDE_EFFECTS].tolist()
        rows = []
        for index in order:
            at, first, second = place[index].tolist()
            token, before, after = pieces(self.loaded, [texts[index][at], first, second])
            rows.append((decode(self.loaded, texts[index]), token, before, after))
        return kl[order].numpy(), tuple(rows)
