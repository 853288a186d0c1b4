"""A gallery of 65,536 features that no model made: what opening and sorting one costs."""

from pathlib import Path

import numpy as np
import torch

from core.dictionaries.sparse import SparseDict
from core.galleries import layout, table, tally, writing
from core.galleries.reading import read
from core.galleries.tally import Place
from core.galleries.text import GalleryText
from core.spec.site import Site
from kernels.feature_topk import Activation, codes

FEATURES, CONTEXTS, WINDOW, ACTIVE, WORDS = 65_536, 512, 128, 50, 20_000
AT_ONCE = 64  # contexts


def wide_gallery(folder: Path) -> Path:
    """Random codes, some features much more often than others, counted as a pass would."""
    generator = torch.Generator().manual_seed(0)
    text = _text()
    place = Site(0, "resid_post")
    own = SparseDict(
        name="wide",
        site=place,
        out_site=place,
        W_enc=torch.randn(16, FEATURES, generator=generator),
        b_enc=torch.zeros(FEATURES),
        W_dec=torch.randn(FEATURES, 16, generator=generator),
        b_out=torch.zeros(16),
        act=Activation("topk", k=ACTIVE),
    )
    running = tally.new(FEATURES, 16, WINDOW)
    rate = torch.rand(FEATURES, generator=generator) ** 4
    for start in range(0, CONTEXTS, AT_ONCE):
        n = AT_ONCE * WINDOW
        feature = torch.multinomial(rate, n * ACTIVE, replacement=True, generator=generator)
        pair = torch.unique(torch.arange(n).repeat_interleave(ACTIVE) * FEATURES + feature)
        value = torch.rand(len(pair), generator=generator) * 10
        found = codes(pair // FEATURES, pair % FEATURES, value, n, FEATURES)
        context = torch.arange(start, start + AT_ONCE).repeat_interleave(WINDOW)
        position = torch.arange(WINDOW).repeat(AT_ONCE)
        tally.add(running, found, Place(context, position, context % 2))
    writing.write_text_files(folder, text)
    writing.write_numbers(folder, running, text, own)
    layout.write_text(folder / layout.MANIFEST, _manifest().text())
    table.write(read(folder))
    return folder


def _text() -> GalleryText:
    draw = np.random.default_rng(0)
    ids = draw.integers(0, WORDS, CONTEXTS * WINDOW).astype(np.int32)
    ids[:WORDS] = np.arange(WORDS)
    return GalleryText(
        ids,
        start=np.arange(0, len(ids) + 1, WINDOW),
        keep=np.ones(len(ids), dtype=bool),
        document=np.arange(CONTEXTS, dtype=np.int32),
        half=(np.arange(CONTEXTS) % 2).astype(np.uint8),
        piece_ids=np.arange(WORDS),
        pieces=tuple(f" w{number}" for number in range(WORDS)),
    )


def _manifest() -> layout.Manifest:
    return layout.Manifest(
        version=layout.VERSION,
        key="wide",
        model="none",
        model_fingerprint="",
        dtype="float32",
        dictionary="wide",
        dictionary_fingerprint="",
        format="",
        site="L0.resid_post",
        out_site="L0.resid_post",
        n_features=FEATURES,
        corpus="random",
        field="text",
        corpus_fingerprint="",
        asked_window=WINDOW,
        asked_contexts=CONTEXTS,
        window=WINDOW,
        n_contexts=CONTEXTS,
        n_tokens=CONTEXTS * WINDOW,
        n_documents=CONTEXTS,
        cut=False,
        changes=(),
        seed=0,
        mask="",
        codes=False,
        codes_note="",
        n_clamped=0,
        share=1.0,
    )
