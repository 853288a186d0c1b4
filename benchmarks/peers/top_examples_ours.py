"""One pass of statistics over a corpus, and what it stands on. Run by benchmarks.top_examples."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.peers.worker import Arrays, serve
from core.analyses.neuron_gallery import Gallery, gallery, n_batch_tokens
from core.analyses.runs import Silent
from core.analyses.scale import neuron_sites
from core.corpus.chunks import contexts
from core.engine.forward import run
from core.engine.rows import rows
from core.home import EMBEDDED, home
from core.models import pool
from core.models.library import transformers
from core.spec.request import ModelRef
from core.spec.site import Site

N_CONTEXTS = 256
K = 20


def main(threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    os.environ["EIDOSCOPE_HOME"] = tempfile.mkdtemp(prefix="eidoscope-bench-")
    serve(_calls(), _shown, {"torch": torch.__version__, "transformers": transformers.__version__})


def _calls() -> dict[str, Callable[[], Any]]:
    loaded = pool.get(ModelRef("embedded"), device="cpu")
    plain = transformers.AutoModelForCausalLM.from_pretrained(
        EMBEDDED / "embedded", dtype=torch.float32, local_files_only=True
    ).eval()
    sites = neuron_sites(loaded)
    made = contexts(loaded, n_contexts=N_CONTEXTS)
    numbers = made.batches(n_batch_tokens(loaded, len(sites)))
    batches = [rows(loaded, [made.windows[i].ids for i in each]) for each in numbers]
    last = [Site(loaded.n_layers - 1, "resid_post")]

    def forward() -> None:
        for each in batches:
            plain(input_ids=each.ids, attention_mask=each.mask(), use_cache=False)

    def reading(read: list[Site]) -> None:
        for each in batches:
            run(loaded, each, read=read, logits="none")

    def ours() -> Gallery:
        loaded.memo.pop("galleries", None)
        shutil.rmtree(home() / "galleries", ignore_errors=True)
        return gallery(loaded, Silent(), n_contexts=N_CONTEXTS, k=K)

    def kept() -> Arrays:
        """Every activation is kept, then sorted: the obvious way."""
        peaks, values = [], []
        for each, own in zip(batches, numbers, strict=True):
            seen = run(loaded, each, read=sites, logits="none").values
            whole = torch.stack([seen[site] for site in sites], dim=2)
            keep = torch.from_numpy(made.keep_mask(own, each.ids.shape[1]))
            values.append(whole[keep])
            hole = torch.where(keep, 0.0, -torch.inf)[..., None, None]
            peaks.append((whole + hole).amax(1))
        every, best = torch.cat(values), torch.cat(peaks).sort(dim=0, descending=True).values[:K]
        quantile = every.abs().kthvalue(max(1, round(0.999 * len(every))), dim=0).values
        return {
            "mean": every.mean(0).numpy(),
            "smallest": every.amin(0).numpy(),
            "best": best.numpy(),
            "p999": quantile.numpy(),
        }

    return {
        "forward": forward,
        "stream": lambda: reading(last),
        "neurons": lambda: reading(sites),
        "ours": ours,
        "kept": kept,
    }


def _shown(result: Any) -> Arrays:
    if isinstance(result, dict):
        return {name: result[name] for name in ("mean", "smallest", "best")}
    states = result.states
    best = [state.lists["high"].value[:, :K].T for state in states]
    return {
        "mean": np.stack([(s.total / s.n_tokens).float().numpy() for s in states]),
        "smallest": np.stack([state.smallest.numpy() for state in states]),
        "best": torch.stack(best, dim=1).numpy(),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
