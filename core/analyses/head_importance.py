"""How much a corpus needs each head: all heads in a few passes back, some checked exactly."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.runs import LOGITS_AT_ONCE, TOKENS_AT_ONCE, Progress, divergence
from core.corpus.chunks import Contexts, contexts
from core.corpus.readers import Corpus
from core.engine.forward import run
from core.engine.gradients import head_gradients
from core.engine.head_sets import Replace, disguises, donated, fixed, replaced
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.results.head_importance import HeadImportance
from core.spec.errors import Error
from core.spec.site import Site

N_CONTROLS = 2
KINDS = ("mean", "zero", "resample")
MAX_SAMPLES, MAX_EXACT = 64, 10_000


def head_importance(
    loaded: Loaded,
    progress: Progress,
    *,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = 128,
    n_contexts: int = 128,
    to: str = "mean",
    exact: int = 10,
    samples: int = 4,
    seed: int = 0,
) -> HeadImportance:
    """Increase of the loss when each head is ablated, for all heads in 1 + `samples` passes back.

    With g the gradient of the text's loss in a head's output z, g' that of labels drawn from the
    model's own predictions and d what the ablation changes: sum g.d / n plus half of the mean over
    draws of sum over texts (sum over the text g'.d)^2 / n, n tokens in all. The `exact` largest
    and as many random other heads are then truly ablated.
    """
    refuse_without_next_tokens(loaded, "the importance of heads")
    _refuse(to, exact, samples)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    if to == "resample" and len(made) < 2:
        raise Error("to='resample' takes the heads of another text; give two texts or more")
    work = _Work(loaded, progress, _batches(loaded, made), to, seed)
    estimate = work.estimate(samples)
    whole = estimate["first"] + estimate["second"]
    layer, head, top = _chosen(whole, exact, seed)
    checked = work.exactly(layer, head)
    values = whole[layer, head]
    return HeadImportance(
        request={},
        corpus=made.name,
        to=to,
        n_texts=len(made),
        n_tokens=work.n_tokens,
        n_samples=samples,
        n_controls=N_CONTROLS,
        loss=work.loss,
        estimate=whole,
        layer=layer,
        head=head,
        top=top,
        spearman=_agreement(_ranks(values), _ranks(checked["exact"])),
        pearson=_agreement(values, checked["exact"]),
        **estimate,
        **checked,
    )


def _refuse(to: str, exact: int, samples: int) -> None:
    if to not in KINDS:
        raise Error(f"heads are ablated to {', '.join(KINDS)}, not to {to[:20]!r}")
    for name, value, least, most in (
        ("exact", exact, 0, MAX_EXACT),
        ("samples", samples, 1, MAX_SAMPLES),
    ):
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= most:
            raise Error(
                f"{name} must be a whole number from {least} to {most:,}, not {value!r:.20}"
            )


def _batches(loaded: Loaded, made: Contexts) -> list[Rows]:
    """Texts of two tokens or more, in batches whose logits and gradients fit."""
    tokens = min(TOKENS_AT_ONCE // 2, max(1, LOGITS_AT_ONCE // (4 * loaded.d_vocab)))
    kept = [[n for n in part if len(made.windows[n].ids) > 1] for part in made.batches(tokens)]
    return [rows(loaded, [made.windows[n].ids for n in part]) for part in kept if part]


@dataclass
class _Work:
    """The texts in batches, and how heads are ablated on them."""

    loaded: Loaded
    progress: Progress
    batches: list[Rows]
    to: str
    seed: int

    def __post_init__(self) -> None:
        self.n_tokens = sum(length - 1 for batch in self.batches for length in batch.lengths)
        if self.to == "resample":  # a batch of one text would be its own donor
            self.batches = _joined(self.loaded, self.batches)
        self.loss = float("nan")
        shape = (self.loaded.n_layers, self.loaded.n_heads, self.loaded.d_head)
        self.value = torch.zeros(shape, device=self.loaded.device)
        if self.to == "mean":
            self.value = self._mean(shape)

    def _mean(self, shape: tuple[int, ...]) -> Tensor:
        """Mean output of every head over all real tokens, [layer, head, d_head]."""
        total, count = torch.zeros(shape, dtype=torch.float64), 0
        sites = [Site(layer, "head") for layer in range(self.loaded.n_layers)]
        for number, batch in enumerate(self.batches):
            self.progress.step(0.1 * number / len(self.batches), "means of all heads")
            seen = run(self.loaded, batch, read=sites, logits="none", check=self.progress.check)
            real = _real(batch)
            for layer, site in enumerate(sites):
                total[layer] += torch.einsum("rthe,rt->he", seen.values[site].float(), real).cpu()
            count += int(real.sum())
        return (total / count).float().to(self.loaded.device)

    def replace(self, layer: int, batch: Rows) -> Replace:
        return donated(batch) if self.to == "resample" else fixed(self.value[layer])

    def estimate(self, samples: int) -> dict[str, Any]:
        """first, second and control [layer, head], nats per token."""
        layers, heads = self.loaded.n_layers, self.loaded.n_heads
        sums = torch.zeros(2, 1 + N_CONTROLS, layers, heads, dtype=torch.float64)
        drawn = torch.Generator(self.loaded.device).manual_seed(self.seed)
        lost = 0.0
        for number, batch in enumerate(self.batches):
            self.progress.step(0.1 + 0.4 * number / len(self.batches), "gradients of all heads")
            found = head_gradients(self.loaded, batch, _scores(batch, samples, drawn))
            lost += found[2]
            for layer in range(layers):
                gradients = torch.stack([one[layer] for one in found[1]]).float()
                sums[:, :, layer] += self._orders(layer, batch, found[0][layer].float(), gradients)
        self.loss = lost / self.n_tokens
        first, second = (sums / self.n_tokens).numpy()
        control = (first + second)[1:].mean(axis=0)
        return {"first": first[0], "second": second[0], "control": control}

    def _orders(self, layer: int, batch: Rows, z: Tensor, gradients: Tensor) -> Tensor:
        """Sums over one batch, [order, own and controls, head].

        z [row, token, head, d_head]; gradients [score, row, token, head, d_head].
        """
        shift = (self.replace(layer, batch)(z) - z) * _real(batch)[..., None, None]
        found = [torch.einsum("srthe,rthe->srh", gradients, shift)]
        for control in range(N_CONTROLS):
            moves = disguises(self.loaded, layer, self.seed * 100 + control)
            slopes = [
                torch.einsum("srte,rte->sr", gradients[:, :, :, other], move(shift[:, :, head]))
                for head, (other, move) in enumerate(moves)
            ]
            found.append(torch.stack(slopes, dim=-1))
        each = torch.stack(found)  # [own and controls, score, row, head]
        first = each[:, 0].sum(dim=1)
        second = each[:, 1:].square().sum(dim=2).mean(dim=1) / 2
        return torch.stack([first, second]).double().cpu()

    def exactly(self, layer: np.ndarray, head: np.ndarray) -> dict[str, Any]:
        """What truly ablating each of these heads does, [checked] each."""
        lost: list[Tensor] = []
        apart = torch.zeros(len(layer), dtype=torch.float64)
        moved = torch.zeros(len(layer), dtype=torch.float64)
        for number, batch in enumerate(self.batches if len(layer) else ()):
            log_p = self._log_p(batch)
            own = _losses(log_p, batch)
            rows_here = torch.zeros(len(layer), batch.n)
            for at, (one, two) in enumerate(zip(layer.tolist(), head.tolist(), strict=True)):
                share = (number + at / len(layer)) / len(self.batches)
                self.progress.step(0.5 + 0.5 * share, f"L{one}.head[{two}] ablated")
                after = self._log_p(batch, one, two)
                rows_here[at] = _losses(after, batch) - own
                apart[at] += float((divergence(log_p, after) * _real(batch)[:, 1:]).sum())
                control = self._log_p(batch, one, two, disguise=self.seed * 100)
                moved[at] += float((_losses(control, batch) - own).sum())
            lost.append(rows_here)
        each = torch.cat(lost or [torch.zeros(0, 1)], dim=1).double()  # [checked, text]
        n_texts = each.shape[1]
        error = each.std(dim=1) * n_texts**0.5 if n_texts > 1 else each[:, 0] * torch.nan
        return {
            "exact": (each.sum(dim=1) / self.n_tokens).numpy(),
            "exact_error": (error / self.n_tokens).numpy(),
            "exact_kl": (apart / self.n_tokens).numpy(),
            "exact_control": (moved / self.n_tokens).numpy(),
        }

    def _log_p(
        self, batch: Rows, layer: int = 0, head: int | None = None, disguise: int | None = None
    ) -> Tensor:
        """Log-probabilities [row, token - 1, d_vocab] of what follows, with a head ablated."""
        heads = [] if head is None else [head]
        if head is None:
            logits = run(self.loaded, batch, check=self.progress.check).logits
        else:
            put = self.replace(layer, batch)
            with replaced(self.loaded, layer, heads, put, batch.n, disguise=disguise):
                logits = run(self.loaded, batch, check=self.progress.check).logits
        assert logits is not None
        return torch.log_softmax(logits[:, :-1].float(), dim=-1)


def _joined(loaded: Loaded, batches: list[Rows]) -> list[Rows]:
    """The same texts, a batch of a single one joined to the batch before it (or behind)."""
    texts = [
        [batch.ids[row, :length].tolist() for row, length in enumerate(batch.lengths)]
        for batch in batches
    ]
    found: list[list[list[int]]] = []
    for part in texts:
        if found and (len(part) == 1 or len(found[-1]) == 1):
            found[-1] += part
        else:
            found.append(part)
    return [rows(loaded, part) for part in found]


def _real(batch: Rows) -> Tensor:
    """[row, token] 1.0 where there is a token, 0.0 where padding."""
    places = torch.arange(batch.ids.shape[1], device=batch.ids.device)
    return (places[None] < torch.tensor(batch.lengths, device=places.device)[:, None]).float()


def _scores(batch: Rows, samples: int, drawn: torch.Generator) -> Any:
    """The text's loss, then the losses of labels drawn from the predictions themselves."""

    def scores(logits: Tensor) -> tuple[list[Tensor], float]:
        losses = next_token_losses(logits, batch)
        log_p = torch.log_softmax(logits[:, :-1].float(), dim=-1)
        real = _real(batch)[:, 1:]
        found = [losses.sum()]
        for _ in range(samples):
            chances = log_p.detach().exp().flatten(0, 1)
            labels = torch.multinomial(chances, 1, generator=drawn).reshape(*real.shape, 1)
            found.append(-(log_p.gather(2, labels)[..., 0] * real).sum())
        return found, float(losses.detach().sum())

    return scores


def _losses(log_p: Tensor, batch: Rows) -> Tensor:
    """Loss of each row [row], summed over its real tokens. log_p [row, token - 1, d_vocab]."""
    wanted = batch.ids[:, 1:, None].to(log_p.device)
    return -(log_p.gather(2, wanted)[..., 0] * _real(batch)[:, 1:]).sum(dim=1).cpu()


def _chosen(whole: np.ndarray, exact: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(layer, head, among the largest) of the heads to be checked."""
    order = np.argsort(-np.abs(whole).ravel(), kind="stable")
    largest, rest = order[:exact], order[exact:]
    others = np.random.default_rng(seed).permutation(rest)[:exact]
    flat = np.concatenate([largest, others]).astype(int)
    layer, head = np.unravel_index(flat, whole.shape)
    return layer, head, np.arange(len(flat)) < len(largest)


def _ranks(values: np.ndarray) -> np.ndarray:
    from scipy.stats import rankdata  # slow to import

    found: np.ndarray = rankdata(values)
    return found


def _agreement(one: np.ndarray, other: np.ndarray) -> float:
    """Pearson correlation; NaN for fewer than three values or none that differ."""
    if len(one) < 3 or not np.std(one) > 0 or not np.std(other) > 0:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])
