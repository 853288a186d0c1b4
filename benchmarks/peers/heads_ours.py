"""Scores of all heads in one forward, and what it stands on. Run by benchmarks.head_stats."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks.peers import heads_shape as shape
from benchmarks.peers.worker import Arrays, serve
from core import api
from core.analyses.head_kinds import target_kinds
from core.analyses.head_tally import REACH, Tally, groups
from core.analyses.head_texts import HeadTexts
from core.engine.head_stats import collect
from core.engine.rows import Rows
from core.models.library import transformers
from core.models.loaded import Loaded
from core.results.heads import Heads
from kernels.head_stats import targets

BATCH = 2  # rows of one forward


def main(folder: str, threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    loaded = api.load(folder, device="cpu")
    kind = transformers.AutoModelForCausalLM
    plain = kind.from_pretrained(folder, local_files_only=True).eval()
    ids = torch.from_numpy(shape.ids())
    calls: dict[str, Callable[[], Any]] = {
        "forward": lambda: plain(ids, use_cache=False),
        "ours": lambda: scored(loaded, ids, "all"),
        "ours_alone": lambda: scored(loaded, ids, "none"),
        "kept": lambda: kept(plain_eager(folder), ids),
        "agree": agree,
        "all_forward": lambda: timed(lambda rows: plain(rows, use_cache=False)),
        "all_ours": lambda: timed(lambda rows: scored(loaded, rows, "all")),
        "long_forward": lambda: grown(lambda rows: plain(rows, use_cache=False)),
        "long_ours": lambda: grown(lambda rows: scored(loaded, rows, "all")),
        "long_kept": lambda: grown(lambda rows: kept(plain_eager(folder), rows)),
    }
    serve(calls, _shown, {"torch": torch.__version__, "transformers": transformers.__version__})


_eager: dict[str, Any] = {}


def plain_eager(folder: str) -> Any:
    """The model with the attention that can hand out its patterns."""
    if folder not in _eager:
        kind = transformers.AutoModelForCausalLM
        made = kind.from_pretrained(folder, local_files_only=True, attn_implementation="eager")
        _eager[folder] = made.eval()
    return _eager[folder]


def scored(loaded: Loaded, ids: torch.Tensor, logits: str) -> Tally:
    """Every score of every head, in batches of `BATCH` rows."""
    layers = len(loaded.stacks[""].blocks)
    tally = Tally((layers, loaded.n_heads), True, {}, 0)
    for part in torch.split(ids, BATCH):
        batch = Rows(part, (part.shape[1],) * len(part))
        kinds = target_kinds(loaded, batch, HeadTexts("", (), part.shape[1] // 2, 0))
        aims, group = targets(kinds, batch.lengths), groups(batch, True)
        tally.begin(batch, aims, group)
        collect(loaded, batch, aims, group, tally.add, reach=REACH, logits=logits)  # type: ignore[arg-type]
    return tally


def kept(model: Any, ids: torch.Tensor) -> dict[str, torch.Tensor]:
    """Every pattern kept, then three maps laid over each: the obvious way, three scores alone."""
    patterns = model(ids, use_cache=False, output_attentions=True).attentions
    same = ids[:, :, None] == ids[:, None]
    before = torch.zeros_like(same).diagonal_scatter(
        torch.ones(len(ids), ids.shape[1] - 1, dtype=torch.bool), -1, 1, 2
    )
    equal = same.tril(-1)
    after = torch.nn.functional.pad(equal, (1, 0))[..., :-1]
    maps = dict(zip(shape.KINDS, (before, equal, after), strict=True))
    found = {}
    for name, wanted in maps.items():
        n = (wanted.any(-1)).sum()
        sums = [torch.einsum("rhqk,rqk->h", each, wanted.float()) for each in patterns]
        found[name] = torch.stack(sums) / n
    return found


def agree() -> Arrays:
    """Our numbers of TransformerLens' kind on the shipped model's text."""
    result = api.run("heads", api.load("embedded", device="cpu"), text=shape.TEXT, nulls=False)
    assert isinstance(result, Heads)
    return {f"tl/{kind}": result.transformer_lens[kind] for kind in shape.KINDS}


def timed(call: Callable[[torch.Tensor], Any]) -> Arrays:
    """Processor seconds of all 64 rows, once."""
    ids = torch.from_numpy(shape.ids(shape.N_ALL))
    before = time.process_time()
    for part in torch.split(ids, BATCH):
        call(part)
    return {"cpu_s": np.array(time.process_time() - before)}


def grown(call: Callable[[torch.Tensor], Any], ids: torch.Tensor | None = None) -> Arrays:
    """By how many MB the process grew over a long text, after a short one; processor seconds."""
    ids = torch.from_numpy(shape.ids(1, shape.LONG)) if ids is None else ids
    call(ids[:, :16])
    own, done, highest = psutil.Process(), threading.Event(), [0]
    before = own.memory_info().rss

    def watch() -> None:
        while not done.wait(0.001):
            highest[0] = max(highest[0], own.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.process_time()
    call(ids)
    spent = time.process_time() - start
    done.set()
    watcher.join()
    return {"grown_mb": np.array((highest[0] - before) / 1e6), "cpu_s": np.array(spent)}


def _shown(result: Any) -> Arrays:
    if isinstance(result, Tally):
        scores = result.scores("score")
        return {kind: scores[kind] for kind in shape.KINDS}
    return {name: np.asarray(value) for name, value in result.items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
