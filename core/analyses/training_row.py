"""What is measured of one checkpoint: losses, heads, concepts, a circuit, its neurons."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from core.analyses import head_texts
from core.analyses.contrast import Sides, difference, held_out_auc, shuffled
from core.analyses.head_kinds import target_kinds
from core.analyses.head_overlap import task_cases, task_effects
from core.analyses.head_tally import Tally, groups
from core.analyses.head_texts import HeadTexts
from core.analyses.runs import LOGITS_AT_ONCE, TOKENS_AT_ONCE, Progress
from core.analyses.states import encoded, states
from core.corpus.chunks import contexts
from core.engine.forward import run
from core.engine.head_stats import collect
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.neuron_rows import neuron_rows, weights_of
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.spec.concept import Concept
from core.spec.errors import Error
from kernels.head_stats import targets

KINDS = ("previous_token", "duplicate_token", "induction")
BY_PLACE = ("previous_token",)
WINDOW = 128  # tokens of the texts whose loss is taken
N_WINDOWS = 48
MOST_NEURONS = 512  # of a layer that are followed
MOST_NUMBERS = 16_000_000  # of the vectors of all of them
Found = dict[str, np.ndarray]


@dataclass(frozen=True)
class Asked:
    """What every checkpoint is asked, the same for all."""

    corpora: tuple[str, ...]
    concepts: tuple[Concept, ...]
    negatives: tuple[tuple[str, ...], ...]  # [concept]
    task: Any
    n_sequences: int
    n_cases: int
    to: str
    n_shuffles: int
    seed: int

    def plain(self) -> dict[str, Any]:
        """The question as JSON, for the name its answer is kept under."""
        items = [
            [one.positive, down] for one, down in zip(self.concepts, self.negatives, strict=True)
        ]
        return {
            "version": 1, "corpora": self.corpora, "items": items, "task": self.task,
            "numbers": [self.n_sequences, self.n_cases, self.n_shuffles, self.seed],
            "paired": [one.paired for one in self.concepts], "to": self.to,
        }  # fmt: skip


@dataclass
class _Share:
    """Progress of one checkpoint as a stretch of the whole bar."""

    progress: Progress
    name: str
    start: float
    end: float

    def at(self, part: float, note: str) -> None:
        share = self.start + part * (self.end - self.start)
        self.progress.step(share, f"{self.name}: {note}")


def measured(
    loaded: Loaded,
    progress: Progress,
    asked: Asked,
    name: str,
    share: tuple[float, float],
) -> tuple[Found, dict[str, str]]:
    """(arrays, why some are missing) of one checkpoint; see `core.results.training`."""
    bar = _Share(progress, name, *share)
    found: Found = {}
    why: dict[str, str] = {}
    bar.at(0.0, "loss on text")
    _try("loss", why, found, lambda: _losses(loaded, progress, asked))
    bar.at(0.1, "what every head looks at")
    _try("heads", why, found, lambda: _heads(loaded, progress, asked))
    bar.at(0.25, "concepts")
    found |= _concepts(loaded, bar, asked)
    _try("circuit", why, found, lambda: _circuit(loaded, bar, asked))
    bar.at(0.95, "neurons")
    _try("neurons", why, found, lambda: _neurons(loaded, asked.seed))
    return found, why


def _try(part: str, why: dict[str, str], found: Found, make: Any) -> None:
    """A part that the model can be asked, or the sentence why it cannot."""
    try:
        found |= make()
    except Error as fault:
        why[part] = str(fault)


def _losses(loaded: Loaded, progress: Progress, asked: Asked) -> Found:
    """Mean loss of a token on each text, and how many were foretold."""
    refuse_without_next_tokens(loaded, "loss over training")
    loss, n = [], []
    for corpus in asked.corpora:
        windows = contexts(loaded, corpus, window=WINDOW, n_contexts=N_WINDOWS).windows
        total, count = 0.0, 0
        for batch in _batches(loaded, [one.ids for one in windows if len(one.ids) > 1], True):
            logits = run(loaded, batch, check=progress.check).logits
            assert logits is not None
            total += float(next_token_losses(logits, batch).double().sum())
            count += sum(batch.lengths) - len(batch.lengths)
        loss.append(total / max(count, 1))
        n.append(count)
    return {"loss": np.array(loss), "n_tokens": np.array(n)}


def _batches(loaded: Loaded, ids: Sequence[Sequence[int]], logits: bool) -> list[Rows]:
    """Rows in the order given, as many as fit at once."""
    most = TOKENS_AT_ONCE
    if logits:
        most = min(most, LOGITS_AT_ONCE // 2 // loaded.d_vocab)
    size = max(1, most // max(map(len, ids), default=1))
    return [rows(loaded, ids[at : at + size]) for at in range(0, len(ids), size)]


def _heads(loaded: Loaded, progress: Progress, asked: Asked) -> Found:
    """Scores with controls by kind, [layer, head], and losses of both copies.

    `shuffled`: attention to the same places, the tokens of each text in random order.
    """
    texts = head_texts.repeated(loaded, asked.n_sequences, asked.seed)
    mixed = texts.shuffled(set(loaded.tokenizer.all_special_ids), asked.seed)
    shape = (len(loaded.stacks[loaded.prompt_stack].blocks), loaded.n_heads)
    causal = loaded.kind == "decoder"
    own, other = (Tally(shape, causal, {}, asked.seed) for _ in range(2))
    able = causal and loaded.head is not None
    lost = []
    for batch, moved in zip(
        _batches(loaded, texts.ids, able), _batches(loaded, mixed.ids, able), strict=True
    ):
        every = target_kinds(loaded, batch, texts)
        seed = asked.seed * 100_003 + own.batch
        aims = targets(
            {kind: every[kind] for kind in KINDS}, batch.lengths, causal=causal, seed=seed
        )
        group = groups(batch, causal)
        for tally, here, logits in ((own, batch, able), (other, moved, False)):
            tally.begin(here, aims, group)
            said = collect(
                loaded, here, aims, group, tally.add, reach=1,
                logits="all" if logits else "none", check=progress.check,
            )  # fmt: skip
            if said is not None:
                lost.append(next_token_losses(said, batch).double().cpu().numpy())
    scores, control, shifted = own.scores("score"), own.scores("control"), other.scores("score")
    found = {f"score/{kind}": scores[kind] for kind in KINDS}
    found |= {f"control/{kind}": control[kind] for kind in KINDS}
    found |= {f"shuffled/{kind}": shifted[kind] for kind in KINDS}
    found["n_queries"] = np.array([own.queries[kind] for kind in KINDS])
    found["copy_loss"] = _copies(np.concatenate(lost), texts) if lost else np.full(2, np.nan)
    return found


def _copies(lost: np.ndarray, texts: HeadTexts) -> np.ndarray:
    """Mean loss [2] of the tokens of the first copy and of the second; lost [row, next]."""
    begin, middle = max(texts.before, 1), texts.before + texts.copy
    first, second = lost[:, begin - 1 : middle - 1], lost[:, middle - 1 : middle + texts.copy - 1]
    return np.array([first.mean(), second.mean()])


def _concepts(loaded: Loaded, bar: _Share, asked: Asked) -> Found:
    """Held-out AUC of the difference of means [concept, state], and under shuffled labels.

    One shuffle of the labels is the same for all layers and checkpoints.
    """
    auc, control = [], []
    for number, (concept, negative) in enumerate(zip(asked.concepts, asked.negatives, strict=True)):
        bar.at(0.25 + 0.25 * number / len(asked.concepts), concept.name)
        ids = encoded(loaded, (*concept.positive, *negative))
        seen = states(loaded, bar.progress, ids, embedding=True, share=None)
        up, down = seen.vectors[0].double().split([len(concept.positive), len(negative)], dim=1)
        every = [
            Sides(one.numpy(), other.numpy(), concept.paired)
            for one, other in zip(up, down, strict=True)
        ]
        auc.append([held_out_auc(one, difference, _rng(asked, number)) for one in every])
        control.append([_shuffled(every, asked, number, each) for each in range(asked.n_shuffles)])
        bar.progress.check()
    n_states = len(loaded.stacks[loaded.prompt_stack].blocks) + 1
    return {
        "auc": np.array(auc).reshape(len(asked.concepts), n_states),
        "control_auc": np.array(control).reshape(len(asked.concepts), asked.n_shuffles, n_states),
    }


def _rng(asked: Asked, number: int) -> np.random.Generator:
    return np.random.default_rng((asked.seed, number))


def _shuffled(every: Sequence[Sides], asked: Asked, number: int, shuffle: int) -> list[float]:
    """AUC [state] of one shuffle."""
    found = []
    for one in every:
        rng = np.random.default_rng((asked.seed, number, shuffle))
        found.append(held_out_auc(shuffled(one, rng), difference, rng))
    return found


def _circuit(loaded: Loaded, bar: _Share, asked: Asked) -> Found:
    """What ablating every head costs the answers of a task, case by case."""
    refuse_without_next_tokens(loaded, "a circuit over training")
    task = task_cases(loaded, asked.task, asked.n_cases)
    room = 0.45 * (bar.end - bar.start)
    effect, answered, right = task_effects(
        loaded, bar.progress, task, asked.to, asked.seed, bar.start + room / 0.9, room
    )
    return {
        "effect": effect.numpy(),
        "answered": np.array(answered),
        "right": np.array(right),
    }


def _neurons(loaded: Loaded, seed: int) -> Found:
    """Directions of some neurons of every layer, [layer, neuron, number] in half precision.

    All vectors of a neuron, each at length 1, one after the other: the dot product of two neurons
    is the mean of their cosines.
    """
    stack = loaded.prompt_stack
    parts = weights_of(loaded, stack)
    layers = len(loaded.stacks[stack].blocks)
    room = MOST_NUMBERS // (layers * len(parts) * loaded.d_model)
    n = max(2, min(loaded.d_mlp, MOST_NEURONS, room))
    chosen = np.sort(np.random.default_rng(seed).permutation(loaded.d_mlp)[:n]).tolist()
    found = []
    with loaded.busy():
        for layer in range(layers):
            each = [neuron_rows(loaded, layer, part, stack, chosen) for part in parts]
            unit = [torch.nn.functional.normalize(one.float(), dim=1) for one in each]
            found.append(torch.cat(unit, dim=1).cpu().numpy() / len(parts) ** 0.5)
    return {"neurons": np.stack(found).astype(np.float16)}


def matched(one: np.ndarray, other: np.ndarray) -> dict[str, np.ndarray]:
    """Do the neurons of one row find themselves in another? [layer] each.

    kept: share whose most alike neuron there has their own number; cosine with that one; with the
    neuron behind it, which is what chance gives.
    """
    kept, cosine, control = [], [], []
    for here, there in zip(one, other, strict=True):
        alike = here.astype(np.float32) @ there.astype(np.float32).T
        kept.append((alike.argmax(axis=1) == np.arange(len(alike))).mean())
        cosine.append(np.diagonal(alike).mean())
        control.append(np.diagonal(np.roll(alike, -1, axis=1)).mean())
    return {"kept": np.array(kept), "cosine": np.array(cosine), "control": np.array(control)}


def shape(row: Mapping[str, np.ndarray]) -> tuple[tuple[int, ...], ...]:
    """What two rows have to share to stand under each other."""
    names = ("score/induction", "auc", "neurons")
    return tuple(row[name].shape if name in row else () for name in names)
