"""A map of 5,000 states of width 768, ours and umap-learn's. Run by benchmarks.layer_map."""

import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch

from benchmarks.peers.worker import Arrays, serve
from core.analyses import layer_frames, layer_map
from core.analyses.item_states import ItemStates
from core.analyses.runs import Silent
from core.spec.concept_set import ConceptSet, Group

N, D, N_CLASSES, K = 5_000, 768, 30, 15
STUB: Any = SimpleNamespace(d_model=D, n_layers=0, prompt_stack="")


def main(threads: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    warnings.simplefilter("ignore")
    vars(layer_map)["item_states"] = _states
    cloud()
    serve(_calls(), lambda found: found, {"torch": torch.__version__})


@cache
def cloud() -> np.ndarray:
    """States [item, D] float32: 30 classes, a few shared directions, noise."""
    random = torch.Generator().manual_seed(0)
    centres = 0.6 * torch.randn(N_CLASSES, D, generator=random)
    shared = 0.3 * torch.randn(N, 12, generator=random) @ torch.randn(12, D, generator=random)
    noise = 0.5 * torch.randn(N, D, generator=random)
    found = centres[torch.from_numpy(_classes())] + shared + noise
    scaled: np.ndarray = ((found - found.mean(dim=0)) / found.std(dim=0)).numpy()
    return scaled


def _classes() -> np.ndarray:
    return np.arange(N) % N_CLASSES


def _set() -> ConceptSet:
    groups = (
        Group(f"class {one}", tuple(f"{at:04d}" for at in range(one, N, N_CLASSES)))
        for one in range(N_CLASSES)
    )
    return ConceptSet("planted", "categories", tuple(groups))


def _states(_: Any, __: Any, words: Any, *, contexts: Any = (), read: str = "last") -> ItemStates:
    """The states of the words without a model: what a map costs after they were read."""
    rows = torch.tensor([int(word) for word in words])
    apart = torch.from_numpy(cloud())[None, None, rows]
    return ItemStates(
        tuple(words), (), tuple(contexts), read, np.ones(N), np.ones(1), apart
    )  # fmt: skip


def _whole(mode: str) -> Arrays:
    """The answer of `layer_map` for one layer, every score and control of it."""
    found = layer_map.layer_map(STUB, Silent(), concepts=_set(), mode=mode, dims=2)
    order = np.argsort([int(word) for word in found.words])
    return {"places": found.places[0][order]}


def _layout() -> Arrays:
    near = layer_frames.neighbours(cloud(), K)
    return {"places": layer_frames.first_layout(near, cloud(), 2, 0, lambda _: None)}


def _umap() -> Arrays:
    import umap

    threads = torch.get_num_threads()
    places = umap.UMAP(n_neighbors=K, random_state=0).fit_transform(cloud())
    torch.set_num_threads(threads)  # umap-learn's libraries change it for the whole process
    return {"places": places}


def _since_start(call: Callable[[], Arrays]) -> Arrays:
    """Processor time of this process up to the end of the call, imports and all."""
    call()
    return {"cpu_s": np.array(time.process_time())}


def _calls() -> dict[str, Callable[[], Any]]:
    return {
        "ours": lambda: _whole("neighbours"),
        "classes": lambda: _whole("classes"),
        "layout": _layout,
        "umap": _umap,
        "first ours": lambda: _since_start(lambda: _whole("neighbours")),
        "first umap": lambda: _since_start(_umap),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
