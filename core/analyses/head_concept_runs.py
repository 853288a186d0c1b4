"""What heads do on texts with and without a concept: runs in batches, bounded in memory."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from core.analyses.head_concept import Aim
from core.analyses.runs import TOKENS_AT_ONCE, Progress
from core.analyses.states import encoded, token_weights
from core.engine.forward import run
from core.engine.head_attribution import written_along
from core.engine.head_sets import fixed, replaced, tiled
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.spec.interventions import Change
from core.spec.site import Component, Site

N_CONTROLS = 2
NUMBERS_AT_ONCE = 64_000_000  # of what one run reads


class Texts:
    """The texts that heads are looked at on, run in batches."""

    def __init__(
        self,
        loaded: Loaded,
        progress: Progress,
        texts: Sequence[str],
        member: np.ndarray,
        position: str,
        change: Sequence[Change],
        aim: Aim,
    ) -> None:
        self.loaded, self.progress, self.aim = loaded, progress, aim
        self.ids, self.member, self.position = encoded(loaded, texts), member, position
        self.change, self.stack = list(change), loaded.prompt_stack
        self.layers = range(aim.layer + 1)
        self.vector = aim.vector.to(loaded.device)
        self.mean = torch.zeros(len(self.layers), loaded.n_heads, loaded.d_head)

    def site(self, layer: int, part: Component) -> Site:
        return Site(layer, part, stack=self.stack)

    def batches(self, numbers_of_a_token: int, copies: int = 1) -> Iterator[list[int]]:
        """Numbers of texts of like length that run together in bounded memory."""
        most = min(TOKENS_AT_ONCE, NUMBERS_AT_ONCE // numbers_of_a_token) // copies
        batch: list[int] = []
        for number in sorted(range(len(self.ids)), key=lambda n: len(self.ids[n])):
            if batch and (len(batch) + 1) * len(self.ids[number]) > most:
                yield batch
                batch = []
            batch.append(number)
        if batch:
            yield batch

    def weights(self, numbers: Sequence[int]) -> Tensor:
        """[row, token] how much each token counts, each row summing to 1."""
        ids = [self.ids[number] for number in numbers]
        return token_weights(self.loaded, ids, (self.position,)).of[0].to(self.loaded.device)

    def projected(self, reads: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """What heads write along directions [read, text, layer, head]; all else along the first.

        start, whole [text]; attention, mlp [text, layer]. Takes the mean of every head on the way.
        """
        loaded, n, layers = self.loaded, len(self.ids), len(self.layers)
        found = torch.zeros(len(reads), n, layers, loaded.n_heads)
        shape = {"start": (n,), "whole": (n,), "attention": (n, layers), "mlp": (n, layers)}
        rest = {name: torch.zeros(size) for name, size in shape.items()}
        parts: tuple[Component, ...] = ("head", "attn_out", "mlp_out")
        sites = [self.site(layer, part) for part in parts for layer in self.layers]
        first, last = self.site(0, "resid_pre"), self.site(self.aim.layer, "resid_post")
        count = 0
        for numbers in self.batches(4 * layers * loaded.d_model):
            self.progress.step(0.2 + 0.2 * count / n, "what heads write")
            batch = rows(loaded, [self.ids[number] for number in numbers])
            seen = self._run(batch, [*sites, first, last])
            weight = self.weights(numbers)
            real = torch.arange(weight.shape[1])[None] < torch.tensor(batch.lengths)[:, None]
            for layer in self.layers:
                z = seen[self.site(layer, "head")].float()
                self.mean[layer] += z[real.to(z.device)].sum(dim=0).cpu()
                with loaded.busy():
                    along = written_along(loaded, layer, reads, z, self.stack)
                found[:, numbers, layer] = torch.einsum("dbth,bt->dbh", along, weight).cpu()
                for name, part in (("attention", "attn_out"), ("mlp", "mlp_out")):
                    rest[name][numbers, layer] = self._one(seen[self.site(layer, part)], weight)  # type: ignore[arg-type]
            rest["start"][numbers] = self._one(seen[first], weight)
            rest["whole"][numbers] = self._one(seen[last], weight)
            count += len(numbers)
        self.mean /= sum(map(len, self.ids))
        return found, rest

    def _run(self, batch: Rows, read: Sequence[Site]) -> dict[Site, Tensor]:
        change = [self.change] if self.change else ()
        check = self.progress.check
        return run(self.loaded, batch, read=read, change=change, logits="none", check=check).values

    def _one(self, values: Tensor, weight: Tensor) -> Tensor:
        return torch.einsum("btd,d,bt->b", values.float(), self.vector, weight).cpu()

    def ablated(self, heads: Sequence[tuple[int, int]], to: str) -> tuple[Tensor, Tensor]:
        """Projections [head, text] with each head at its mean, or 0; mean over the controls."""
        whole = torch.zeros(1 + N_CONTROLS, len(heads), len(self.ids))
        groups = self._by_layer(heads)
        for done, (layer, places) in enumerate(groups):
            self.progress.step(0.5 + 0.5 * done / len(groups), f"heads of layer {layer} ablated")
            mean = self.mean[layer].to(self.loaded.device)
            put = fixed(mean if to == "mean" else torch.zeros_like(mean))
            own = [heads[place][1] for place in places]
            for run_number in range(1 + N_CONTROLS):
                seed = None if run_number == 0 else run_number
                for numbers in self.batches(2 * self.loaded.d_model, copies=len(own)):
                    value = self._changed(layer, own, put, numbers, seed)
                    whole[run_number, torch.tensor(places)[:, None], numbers] = value
        return whole[0], whole[1:].mean(dim=0)

    def _by_layer(self, heads: Sequence[tuple[int, int]]) -> list[tuple[int, list[int]]]:
        """(layer, numbers of its heads), few enough at once that their copies of a text fit."""
        longest = max(map(len, self.ids))
        size = max(1, TOKENS_AT_ONCE // longest)
        found = []
        for layer in self.layers:
            places = [place for place, head in enumerate(heads) if head[0] == layer]
            found += [(layer, places[at : at + size]) for at in range(0, len(places), size)]
        return found

    def _changed(
        self,
        layer: int,
        heads: list[int],
        put: Callable[[Tensor], Tensor],
        numbers: list[int],
        disguise: int | None,
    ) -> Tensor:
        """Projections [head, row] of some texts, each head of a layer replaced in turn."""
        batch = rows(self.loaded, [self.ids[number] for number in numbers])
        many, last = tiled(batch, len(heads)), self.site(self.aim.layer, "resid_post")
        with replaced(self.loaded, layer, heads, put, batch.n, disguise=disguise, stack=self.stack):
            seen = self._run(many, [last])[last]
        weight = self.weights(numbers).repeat(len(heads), 1)
        return self._one(seen, weight).reshape(len(heads), batch.n)

    def looked(self) -> tuple[np.ndarray, np.ndarray]:
        """Attention to tokens of the concept [layer, head], uniform attention's [layer]; NaN at 0.

        A token is one of the concept when the stream in front of the layer lies beyond the middle
        between the sides, along the direction behind the layer before.
        """
        loaded, layers = self.loaded, len(self.layers)
        mass = torch.full((layers, loaded.n_heads), torch.nan)
        uniform = torch.full((layers,), torch.nan)
        longest = max(map(len, self.ids))
        for layer in self.layers[1:]:
            self.progress.step(0.4 + 0.1 * layer / layers, "what heads look at")
            sums, share, n = torch.zeros(loaded.n_heads), 0.0, 0
            pattern, stream = self.site(layer, "pattern"), self.site(layer, "resid_pre")
            for numbers in self.batches(loaded.n_heads * longest + loaded.d_model):
                inside = [number for number in numbers if self.member[number]]
                if not inside:
                    continue
                batch = rows(loaded, [self.ids[number] for number in inside])
                seen = self._run(batch, [pattern, stream])
                own = seen[stream].float() @ self.aim.vectors[layer - 1].to(loaded.device)
                target = (own > self.aim.middles[layer - 1].to(own)).float()  # [row, key]
                visible = self._visible(batch.lengths, target.shape[1]).to(target)
                weight = self.weights(inside)
                sums += torch.einsum("bhqk,bk,bq->h", seen[pattern].float(), target, weight).cpu()
                chance = torch.einsum("bqk,bk->bq", visible, target) / visible.sum(-1).clamp_min(1)
                share += float((chance * weight).sum())
                n += len(inside)
            mass[layer], uniform[layer] = sums / max(1, n), share / max(1, n)
        return mass.numpy(), uniform.numpy()

    def _visible(self, lengths: Sequence[int], width: int) -> Tensor:
        """[row, query, key] 1 where a query may look, windows aside."""
        places = torch.arange(width)
        real = places[None] < torch.tensor(lengths)[:, None]
        causal = self.loaded.kind == "decoder"
        seen = places[None, :] <= places[:, None] if causal else torch.ones(width, width) > 0
        return (seen[None] & real[:, None, :]).float()
