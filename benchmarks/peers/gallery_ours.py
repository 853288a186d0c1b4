"""The pass that makes a gallery, and what it stands on. Run by benchmarks.gallery."""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.peers import gallery_shape as shape
from benchmarks.peers.gallery_wide import wide_gallery
from benchmarks.peers.worker import Arrays, serve
from core.analyses import feature_gallery, feature_pass
from core.analyses.feature_gallery import opened
from core.analyses.runs import Silent
from core.corpus.chunks import Context, Contexts, contexts
from core.corpus.readers import Text
from core.dictionaries.sparse import SparseDict
from core.engine.forward import run
from core.engine.rows import Rows, rows
from core.galleries.layout import TABLE
from core.galleries.reading import FeatureGallery, read
from core.galleries.table import Query, chosen
from core.home import home
from core.models import pool
from core.models.library import transformers
from core.models.loaded import Loaded
from core.spec.request import ModelRef
from core.spec.site import Site
from kernels.feature_topk import Activation

N_CONTEXTS = 1_024  # of the embedded model, half of the default


def main(threads: str, folder: str) -> None:
    torch.set_num_threads(int(threads))
    torch.set_grad_enabled(False)
    os.environ["EIDOSCOPE_HOME"] = tempfile.mkdtemp(prefix="eidoscope-bench-")
    small = pool.get(ModelRef("embedded"), device="cpu")
    large = pool.get(ModelRef(folder), device="cpu")
    place = Site(shape.LAYER, "resid_post")
    stream = _stream(large, place)
    large.dictionaries = {
        "relu": _dictionary("relu", place, shape.relu(Path(folder), stream), Activation("relu")),
        "topk": _dictionary(
            "topk", place, shape.matrices(shape.TOPK), Activation("topk", k=shape.K)
        ),
    }
    text = _contexts()
    embedded = _Study(small, "topk-L2", contexts(small, n_contexts=N_CONTEXTS))
    relu, topk = _Study(large, "relu", text), _Study(large, "topk", text)
    wide = wide_gallery(Path(tempfile.mkdtemp(prefix="eidoscope-bench-")))
    calls: dict[str, Callable[[], Any]] = {
        "embedded encode": embedded.encode,
        "embedded batches": embedded.counted,
        "embedded gallery": embedded.gallery,
        "relu encode": relu.encode,
        "relu gallery": relu.gallery,
        "topk encode": topk.encode,
        "topk batches": topk.counted,
        "wide open": lambda: (opened_whole(wide), page(wide)),
        "wide page": lambda: page(wide),
    }
    serve(calls, _shown, {"torch": torch.__version__, "transformers": transformers.__version__})


def opened_whole(folder: Path) -> FeatureGallery:
    """With all statistics and lists in memory."""
    found = read(folder)
    assert len(found.density) == len(found.top.value)
    return found


def page(folder: Path) -> Any:
    """One page, sorted and filtered."""
    return chosen(folder / TABLE, Query(sort="density", densities=(1e-5, 0.1)), {})


def _stream(loaded: Loaded, place: Site) -> torch.Tensor:
    read = run(loaded, rows(loaded, shape.ids().tolist()), read=[place], logits="none")
    return read.values[place].flatten(0, 1)


def _dictionary(
    name: str, place: Site, made: dict[str, torch.Tensor], act: Activation
) -> SparseDict:
    return SparseDict(
        name=name,
        site=place,
        out_site=place,
        W_enc=made["W_enc"],
        b_enc=made["b_enc"],
        W_dec=made["W_dec"],
        b_out=made["b_dec"],
        act=act,
    )


def _contexts() -> Contexts:
    """The peer's tokens as contexts, all of which count."""
    windows = tuple(
        Context(tuple(row), (True,) * len(row), number, ())
        for number, row in enumerate(shape.ids().tolist())
    )
    texts = tuple(Text(str(number)) for number in range(len(windows)))
    return Contexts("random tokens", windows, texts, False, "random tokens")


class _Stopped(Exception):
    """In front of the end of a pass."""


def _stop(_: Any) -> None:
    raise _Stopped


@dataclass
class _Study:
    """One dictionary on one text."""

    loaded: Loaded
    dictionary: str
    made: Contexts

    def batches(self) -> list[tuple[Rows, torch.Tensor]]:
        found = []
        for numbers in self.made.batches(feature_pass.TOKENS_AT_ONCE["cpu"]):
            batch = rows(self.loaded, [self.made.windows[at].ids for at in numbers])
            keep = torch.from_numpy(self.made.keep_mask(numbers, batch.ids.shape[1]))
            found.append((batch, keep))
        return found

    def encode(self) -> None:
        """To the dictionary's site and no further, and the codes of every token."""
        own = self.loaded.dictionaries[self.dictionary]
        for batch, keep in self.batches():
            seen = run(self.loaded, batch, read=[own.site], logits="none")
            own.codes(seen.values[own.site][keep])

    def counted(self) -> None:
        """Every batch read and counted, the files of the end left out."""
        plain = feature_pass.Build.finish
        feature_pass.Build.finish = _stop  # type: ignore[method-assign]
        try:
            self.gallery()
        except _Stopped:
            pass
        finally:
            feature_pass.Build.finish = plain  # type: ignore[method-assign]

    def gallery(self) -> FeatureGallery:
        self.loaded.memo.pop("feature_galleries", None)
        shutil.rmtree(home() / "galleries", ignore_errors=True)
        feature_gallery.contexts = lambda *_, **__: self.made  # type: ignore[assignment]
        return opened(self.loaded, Silent(), dictionary=self.dictionary)


def _shown(result: FeatureGallery) -> Arrays:
    return {"density": result.density, "max": result.max.astype(np.float64)}


if __name__ == "__main__":
    main(*sys.argv[1:])
