"""Massive values in queries and keys, and a disruption of the channel that holds them."""

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.analyses.runs import Progress
from core.analyses.task_answers import IN_CONTEXT, StandInFor, task_answers, task_names
from core.corpus.packs import pack
from core.corpus.reference import reference_chunks
from core.engine import attention
from core.engine.forward import run
from core.engine.head_probe import Positions, positions
from core.engine.loss import next_token_losses
from core.engine.rows import Rows, rows
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.results.massive_values import CONDITIONS, MassiveValues
from core.spec.errors import Error
from core.spec.site import Site

FACTOR = 5.0
N_CASES = 16
MOST_TEXTS = 8
PARTS = ("q", "k", "v")


def massive_values(
    loaded: Loaded,
    progress: Progress,
    *,
    texts: Sequence[str] = (),
    tasks: Sequence[str] | None = None,
    factor: float = FACTOR,
    n_cases: int = N_CASES,
    seed: int = 0,
) -> MassiveValues:
    """Sizes of every channel of queries, keys and values, and what goes with the largest one.

    After Jin et al., "Massive Values in Self-Attention Modules are the Key to Contextual Knowledge
    Understanding" (2025). On the reference text, or `texts`. `tasks` are packs: those whose answer
    stands in the prompt should suffer more than facts; () for none. Raises `Error` where a family
    keeps its queries and keys to itself.
    """
    _refuse(loaded, factor, n_cases)
    batch = _texts(loaded, texts)
    sums = _Sums(loaded, seed)
    stack, n_layers = loaded.prompt_stack, len(loaded.stacks[loaded.prompt_stack].blocks)
    last = Site(n_layers - 1, "resid_post", stack=stack)
    for number, text in enumerate(batch):
        progress.step(0.4 * number / len(batch), "sizes of queries and keys")
        with attention.listening(sums.hear):
            run(loaded, text, read=[last], logits="none", check=progress.check)
    sizes, turned, where, notes = sums.sizes(), sums.turned(), *_positions(loaded)
    pairs = {part: _pairs(sizes[part], where) for part in ("q", "k")}
    speed = _speed(where, n_layers)
    names = task_names(loaded, tasks)
    log_p, right, loss = _disrupted(loaded, progress, sums, names, batch, n_cases, seed)
    return MassiveValues(
        request={},
        factor=float(factor),
        n_texts=len(batch),
        n_tokens=sum(text.ids.shape[1] for text in batch),
        notes=notes,
        tasks=tuple(names),
        in_context=tuple(IN_CONTEXT.get(name, True) for name in names),
        n_cases=tuple(min(n_cases, len(pack(loaded, name).cases)) for name in names),
        **sizes,
        pair_q=pairs["q"],
        pair_k=pairs["k"],
        speed=speed,
        **{f"n_{part}": massive(sizes[part], factor).sum((1, 2)) for part in PARTS},
        **{f"random_{part}": massive(turned[part], factor).sum((1, 2)) for part in ("q", "k")},
        **{f"slow_{part}": _slow(pairs[part], speed, factor) for part in ("q", "k")},
        log_p=log_p,
        right=right,
        loss=loss,
        stack=stack,
    )


def massive(sizes: np.ndarray, factor: float) -> np.ndarray:
    """Which exceed `factor` times the mean of their head, bool, over the last axis."""
    if not sizes.shape[-1]:
        return np.zeros(sizes.shape, bool)
    found: np.ndarray = sizes > factor * sizes.mean(-1, keepdims=True)
    return found


def _refuse(loaded: Loaded, factor: Any, n_cases: Any) -> None:
    if loaded.pattern_source != "interface":
        raise Error(
            f"{loaded.family} does not hand out its queries and keys, so their sizes cannot be read"
        )
    if not isinstance(factor, int | float) or not 1 < factor < 1_000:
        raise Error(f"factor says how many times the mean is massive, above 1, not {factor!r:.40}")
    if not isinstance(n_cases, int) or isinstance(n_cases, bool) or not 1 <= n_cases <= 1_000:
        raise Error(f"n_cases must be a whole number from 1 to 1,000, not {n_cases!r:.40}")


def _texts(loaded: Loaded, texts: Sequence[str]) -> list[Rows]:
    if isinstance(texts, str):
        raise Error("texts is a list of texts")
    ids = [encode(loaded, text) for text in texts] or reference_chunks(loaded)[:MOST_TEXTS]
    return [rows(loaded, [each]) for each in ids if len(each) > 1] or [rows(loaded, ids[:1])]


@dataclass
class _Sums:
    """Sums of squares over tokens [head, channel], by layer and part, as they are and turned."""

    loaded: Loaded
    seed: int
    n: int = 0
    squares: dict[tuple[int, str], Tensor] = field(default_factory=dict)
    turned_squares: dict[tuple[int, str], Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.layer_of = attention.layers_of(self.loaded.stacks[self.loaded.prompt_stack].blocks)
        self.rotations: dict[int, Tensor] = {}

    def hear(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        _: Tensor | None,
        options: dict[str, Any],
    ) -> None:
        layer = self.layer_of.get(id(module))
        if layer is None:
            return
        self.n += query.shape[2] if layer == 0 else 0
        for part, values in zip(PARTS, (query, key, options["value"]), strict=True):
            each = values[0].float()  # [head, token, channel]
            for sums, seen in (
                (self.squares, each),
                (self.turned_squares, each @ self._rotation(each.shape[-1]).to(each.device)),
            ):
                added = seen.square().sum(1).cpu()
                sums[layer, part] = sums[layer, part] + added if (layer, part) in sums else added

    def _rotation(self, size: int) -> Tensor:
        """A random rotation of so many channels, the same for every head."""
        if size not in self.rotations:
            generator = torch.Generator().manual_seed(self.seed)
            self.rotations[size] = torch.linalg.qr(torch.randn(size, size, generator=generator))[0]
        return self.rotations[size]

    def sizes(self) -> dict[str, np.ndarray]:
        return self._roots(self.squares)

    def turned(self) -> dict[str, np.ndarray]:
        return self._roots(self.turned_squares)

    def _roots(self, sums: dict[tuple[int, str], Tensor]) -> dict[str, np.ndarray]:
        layers = sorted({layer for layer, _ in sums})
        return {
            part: torch.stack([sums[layer, part] for layer in layers]).div(self.n).sqrt().numpy()
            for part in PARTS
        }


def _positions(loaded: Loaded) -> tuple[tuple[Positions, ...], tuple[str, ...]]:
    """How scores depend on positions by layer, () with the reason where that is not known."""
    try:
        found = positions(loaded, loaded.prompt_stack)
    except Error as reason:
        return (), (f"pairs of channels are not told apart: {reason}",)
    if all(each.cos is None for each in found):
        return (), (f"{loaded.family} does not turn queries and keys by position",)
    return found, ()


def _pairs(sizes: np.ndarray, where: Sequence[Positions]) -> np.ndarray:
    """[layer, head, pair]: length of both coordinates; NaN in layers without rotation."""
    n = max((len(each.cos[0]) for each in where if each.cos is not None), default=0)
    found = np.full((*sizes.shape[:2], n), np.nan, np.float32)
    for layer, each in enumerate(where):
        if each.cos is not None:
            own = sizes[layer][:, : 2 * len(each.cos[0])]
            shape = (len(own), -1, 2) if each.neighbours else (len(own), 2, -1)
            squares = np.square(own).reshape(shape)
            found[layer] = np.sqrt(squares.sum(-1 if each.neighbours else 1))
    return found


def _speed(where: Sequence[Positions], n_layers: int) -> np.ndarray:
    n = max((len(each.cos[0]) for each in where if each.cos is not None), default=0)
    found = np.full((n_layers, n), np.nan, np.float32)
    for layer, each in enumerate(where):
        if each.cos is not None and each.sin is not None and len(each.cos) > 1:
            found[layer] = torch.atan2(each.sin[1], each.cos[1]).abs().cpu().numpy()
    return found


def _slow(pairs: np.ndarray, speed: np.ndarray, factor: float) -> np.ndarray:
    """[layer] share of massive pairs in the slower half; NaN where there are none."""
    found = np.full(len(speed), np.nan)
    for layer, own in enumerate(speed):
        if not len(own) or np.isnan(own).all():
            continue
        here = massive(pairs[layer], factor)
        slow = np.argsort(np.argsort(own, kind="stable"), kind="stable") < len(own) / 2
        if here.any():
            found[layer] = here[:, slow].sum() / here.sum()
    return found


def _disrupted(
    loaded: Loaded,
    progress: Progress,
    sums: _Sums,
    names: Sequence[str],
    batch: Sequence[Rows],
    n_cases: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(log p, share right [condition, task], loss of the texts [condition])."""
    shape = (len(CONDITIONS), len(names))
    log_p, right, loss = np.zeros(shape), np.zeros(shape), np.zeros(len(CONDITIONS))
    foretells = loaded.kind == "decoder" and loaded.head is not None
    for number, condition in enumerate(CONDITIONS if foretells else ()):
        progress.step(0.4 + 0.6 * number / len(CONDITIONS), f"tasks: {condition}")
        stand_in = _channel_out(sums, condition, seed) if number else None
        log_p[number], right[number] = task_answers(
            loaded, progress, names, n_cases, _always(stand_in)
        )
        loss[number] = _loss(loaded, progress, batch, stand_in)
    return log_p, right, loss if foretells else np.zeros(0)


def _always(stand_in: attention.StandIn | None) -> StandInFor:
    return lambda _: stand_in


def _loss(
    loaded: Loaded, progress: Progress, batch: Sequence[Rows], stand_in: attention.StandIn | None
) -> float:
    total, n = 0.0, 0
    for text in batch:
        with attention.standing_in(stand_in) if stand_in else nullcontext():
            logits = run(loaded, text, check=progress.check).logits
        assert logits is not None
        total += float(next_token_losses(logits, text).sum())
        n += text.ids.shape[1] - 1
    return total / max(n, 1)


def _channel_out(sums: _Sums, condition: str, seed: int) -> attention.StandIn:
    """One channel of every head's queries and keys replaced by its mean over the tokens."""
    generator = torch.Generator().manual_seed(seed)
    chosen: dict[tuple[int, str], Tensor] = {}
    for at, sizes in sorted(sums.squares.items()):
        match condition:
            case "largest channel":
                chosen[at] = sizes.argmax(-1)
            case "smallest channel":
                chosen[at] = sizes.argmin(-1)
            case _:
                chosen[at] = torch.randint(sizes.shape[-1], (len(sizes),), generator=generator)

    def without(values: Tensor, channel: Tensor) -> Tensor:
        index = channel.to(values.device)[None, :, None, None].expand(*values.shape[:3], 1)
        mean = values.mean(2, keepdim=True).expand_as(values)
        return values.scatter(-1, index, mean.gather(-1, index))

    def stand_in(
        go_on: attention.Attend,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        options: dict[str, Any],
    ) -> tuple[Tensor, Tensor | None]:
        layer = sums.layer_of.get(id(module))
        if layer is not None:
            query = without(query, chosen[layer, "q"])
            key = without(key, chosen[layer, "k"])
        return go_on(module, query, key, value, mask, **options)

    return stand_in
