"""Context sharding: the loss when heads see only some blocks of the text."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from core.analyses.runs import LOGITS_AT_ONCE, TOKENS_AT_ONCE, Progress
from core.analyses.task_answers import IN_CONTEXT, task_answers, task_names
from core.corpus.packs import beginning, pack, plain_ids
from core.corpus.reference import paragraphs
from core.engine import attention
from core.engine.forward import run
from core.engine.loss import next_token_losses, refuse_without_next_tokens
from core.engine.rows import repeated, rows
from core.models.loaded import Loaded
from core.models.tokens import encode
from core.results.sharding import Sharding
from core.spec.errors import Error
from kernels.sharded_attention import Rule, sharded_attention, shards

N_TEXTS = 4
WINDOW = 256
BLOCKS = 32  # of a window, unless a size is given
LOCAL, STRIDE = 4, 8
N_CASES = 12
LEAST = 16  # tokens of a window
# (layer, share kept [row, head, query])
Hear = Callable[[int, Tensor], None]


def sharding(
    loaded: Loaded,
    progress: Progress,
    *,
    texts: Sequence[str] = (),
    tasks: Sequence[str] | None = None,
    block: int = 0,
    local: int = LOCAL,
    stride: int = STRIDE,
    offset: int = 0,
    n_texts: int = N_TEXTS,
    n_cases: int = N_CASES,
    seed: int = 0,
) -> Sharding:
    """Loss with every head on its shard, and with one head at a time: how far it needs to see.

    A shard is the `local` blocks up to the query's own and every `stride`-th of those before,
    shifted from head to head; `block` tokens each (0: a 32nd of the text). Texts are cut to equal
    windows of at most 256 tokens of the reference text, or of `texts`. Raises `Error` where a
    family's attention cannot be stood in for.
    """
    refuse_without_next_tokens(loaded, "context sharding")
    _refuse(loaded, block, local, stride, offset, n_texts, n_cases)
    windows = _windows(loaded, texts, n_texts)
    n = len(windows[0])
    size = block or max(1, n // BLOCKS)
    blocks = -(-n // size)
    table = shards(blocks, loaded.n_heads, local, stride, offset)
    random = random_like(table, seed)
    base = _losses(loaded, progress, windows)
    heard = _Heard()
    _losses(loaded, progress, windows[:1], _stand_in(loaded, table[None], size, hear=heard))
    sweep = _sweep(loaded, progress, windows, size, blocks, stride, offset, seed)
    need, error, control = _one_by_one(loaded, progress, windows, base, table, random, size)
    names = task_names(loaded, tasks)
    log_p, right = _tasks(loaded, progress, names, n_cases, (block, local, stride, offset, seed))
    return Sharding(
        request={},
        block=size,
        blocks=blocks,
        local=local,
        stride=stride,
        offset=offset,
        n_texts=len(windows),
        n_tokens=sum(len(each) - 1 for each in windows),
        tasks=tuple(names),
        in_context=tuple(IN_CONTEXT.get(name, True) for name in names),
        n_cases=tuple(min(n_cases, len(pack(loaded, name).cases)) for name in names),
        need=need,
        error=error,
        control=control,
        hidden=torch.stack(heard.shares()).numpy(),
        loss=float(base.mean()),
        log_p=log_p,
        right=right,
        **sweep,
    )


def random_like(table: Tensor, seed: int) -> Tensor:
    """As many blocks visible from each block of each head, the ones before its own at random."""
    generator = torch.Generator().manual_seed(seed)
    n = table.shape[-1]
    earlier = torch.ones(n, n, dtype=torch.bool).tril(-1)
    order = torch.rand(table.shape, generator=generator).masked_fill(~earlier, -1)
    rank = order.argsort(-1, descending=True).argsort(-1)
    wanted = (table & earlier).sum(-1, keepdim=True)
    return (rank < wanted) & earlier | torch.eye(n, dtype=torch.bool)


def _refuse(
    loaded: Loaded, block: Any, local: Any, stride: Any, offset: Any, n_texts: Any, n_cases: Any
) -> None:
    if loaded.pattern_source != "interface":
        raise Error(
            f"the attention of {loaded.family} cannot be stood in for, so no part of the text can "
            "be hidden from one head"
        )
    given = {"block": (block, 0), "local": (local, 1), "stride": (stride, 1), "offset": (offset, 0)}
    given |= {"n_texts": (n_texts, 1), "n_cases": (n_cases, 1)}
    for name, (value, least) in given.items():
        whole = isinstance(value, int) and not isinstance(value, bool)
        if not whole or not least <= value <= 4_096:
            raise Error(f"{name} must be a whole number from {least} to 4,096, not {value!r:.40}")


def _windows(loaded: Loaded, texts: Sequence[str], n_texts: int) -> list[list[int]]:
    """Windows of equal length: from all texts in turn, or from the reference text."""
    if isinstance(texts, str):
        raise Error("texts is a list of texts")
    front = list(beginning(loaded))
    for text in texts:
        encode(loaded, text)  # refuses what is no prompt
    ids = [token for text in texts or paragraphs() for token in plain_ids(loaded, f"{text}\n")]
    limit = min(WINDOW, loaded.n_ctx or WINDOW) - len(front)
    size = min(limit, len(ids))
    if size < LEAST:
        raise Error(f"sharding needs a text of {LEAST} tokens or more, this one has {size}")
    starts = range(0, len(ids) - size + 1, size)
    return [[*front, *ids[start : start + size]] for start in starts[:n_texts]]


class _Heard:
    """Mean share of attention hidden from each head, by layer."""

    def __init__(self) -> None:
        self.kept: dict[int, Tensor] = {}

    def __call__(self, layer: int, kept: Tensor) -> None:
        self.kept[layer] = 1 - kept.mean((0, 2)).cpu()

    def shares(self) -> list[Tensor]:
        return [self.kept[layer] for layer in sorted(self.kept)]


def _stand_in(
    loaded: Loaded,
    visible: Tensor,
    size: int,
    layer: int | None = None,
    hear: Hear | None = None,
) -> attention.StandIn:
    """Attention of one or all layers with visible blocks [row or 1, head, block, block] only."""
    layer_of = attention.layers_of(loaded.stacks[""].blocks)

    def stand_in(
        go_on: attention.Attend,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        options: dict[str, Any],
    ) -> tuple[Tensor, Tensor | None]:
        here = layer_of.get(id(module))
        if here is None or layer not in (None, here):
            return go_on(module, query, key, value, mask, **options)
        scaling = options.get("scaling")
        rule = Rule(
            query.shape[-1] ** -0.5 if scaling is None else float(scaling),
            options.get("softcap"),
            mask,
            options.get("position_bias"),
        )
        found = sharded_attention(query, key, value, visible, size, rule, share=hear is not None)
        if hear is not None and found.kept is not None:
            hear(here, found.kept)
        return found.z, None

    return stand_in


def _losses(
    loaded: Loaded,
    progress: Progress,
    windows: Sequence[Sequence[int]],
    stand_in: attention.StandIn | None = None,
) -> np.ndarray:
    """Mean loss of each window."""
    found = []
    for ids in windows:
        text = rows(loaded, [ids])
        if stand_in is None:
            logits = run(loaded, text, check=progress.check).logits
        else:
            with attention.standing_in(stand_in):
                logits = run(loaded, text, check=progress.check).logits
        assert logits is not None
        found.append(float(next_token_losses(logits, text).mean()))
    return np.array(found)


def _sweep(
    loaded: Loaded,
    progress: Progress,
    windows: Sequence[Sequence[int]],
    size: int,
    blocks: int,
    stride: int,
    offset: int,
    seed: int,
) -> dict[str, np.ndarray]:
    """Every head sharded, with 1, 2, 4 .. all blocks local; beside as many at random."""
    locals_ = sorted({min(2**power, blocks) for power in range(blocks.bit_length() + 1)})
    found: dict[str, list[float]] = {"sweep": [], "sweep_random": [], "sweep_seen": []}
    causal = torch.ones(blocks, blocks, dtype=torch.bool).tril().sum()
    for number, local in enumerate(locals_):
        progress.step(0.2 * number / len(locals_), f"every head sharded, {local} blocks local")
        table = shards(blocks, loaded.n_heads, local, stride, offset)
        for name, visible in (("sweep", table), ("sweep_random", random_like(table, seed))):
            stand_in = _stand_in(loaded, visible[None], size)
            found[name].append(float(_losses(loaded, progress, windows, stand_in).mean()))
        found["sweep_seen"].append(float(table.float().mean(0).sum() / causal))
    return {name: np.array(values) for name, values in found.items()} | {
        "sweep_local": np.array(locals_)
    }


def _one_by_one(
    loaded: Loaded,
    progress: Progress,
    windows: Sequence[Sequence[int]],
    base: np.ndarray,
    table: Tensor,
    random: Tensor,
    size: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(need, its standard error, control) [layer, head]: one head of one layer at a time."""
    n, heads, layers = len(windows[0]), loaded.n_heads, loaded.n_layers
    every = torch.ones_like(table)
    visible = every.repeat(2 * heads, 1, 1, 1)
    for head in range(heads):
        visible[head, head] = table[head]
        visible[heads + head, head] = random[head]
    together = max(1, min(TOKENS_AT_ONCE // n, LOGITS_AT_ONCE // (n * loaded.d_vocab)))
    lost = np.zeros((len(windows), layers, 2 * heads))
    for layer in range(layers):
        progress.step(0.2 + 0.6 * layer / layers, f"one head at a time, layer {layer}")
        for number, ids in enumerate(windows):
            for start in range(0, 2 * heads, together):
                part = visible[start : start + together]
                text = repeated(rows(loaded, [ids]), len(part))
                with attention.standing_in(_stand_in(loaded, part, size, layer)):
                    logits = run(loaded, text, check=progress.check).logits
                assert logits is not None
                loss = next_token_losses(logits, text).mean(1).cpu().numpy()
                lost[number, layer, start : start + together] = loss - base[number]
    need, control = lost[..., :heads], lost[..., heads:].mean(0)
    error = need.std(0, ddof=1) / len(windows) ** 0.5 if len(windows) > 1 else need[0] * np.nan
    return need.mean(0), error, control


def _tasks(
    loaded: Loaded,
    progress: Progress,
    names: Sequence[str],
    n_cases: int,
    settings: tuple[int, int, int, int, int],
) -> tuple[np.ndarray, np.ndarray]:
    """(log p, share right) [condition, task]: as it is, every head sharded, random blocks."""
    block, local, stride, offset, seed = settings

    def sharded(n: int, random: bool = False) -> attention.StandIn:
        size = block or max(1, n // BLOCKS)
        table = shards(-(-n // size), loaded.n_heads, local, stride, offset)
        table = random_like(table, seed) if random else table
        return _stand_in(loaded, table[None], size)

    progress.step(0.85, "tasks with every head sharded")
    found = [
        task_answers(loaded, progress, names, n_cases),
        task_answers(loaded, progress, names, n_cases, sharded),
        task_answers(loaded, progress, names, n_cases, lambda n: sharded(n, random=True)),
    ]
    log_p, right = (np.stack(parts) for parts in zip(*found, strict=True))
    return log_p, right
