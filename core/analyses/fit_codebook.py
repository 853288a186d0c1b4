"""A codebook of a site without changing the model, beside TopK and PCA on the same tokens."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from core import home
from core.analyses.dictionary_exam import LOSS_CONTEXTS, Exam, pca
from core.analyses.runs import Progress
from core.analyses.site_stream import SiteStream, held_out
from core.analyses.train_dictionary import N_CONTEXTS, asked_site
from core.corpus.chunks import WINDOW, contexts
from core.corpus.readers import Corpus
from core.dictionaries import names, shelf
from core.dictionaries.save import save
from core.dictionaries.sparse import About, SparseDict
from core.dictionaries.train.codes import Codes
from core.dictionaries.train.recipe import Recipe
from core.dictionaries.train.saved import FOLDER, refuse_name
from core.dictionaries.train.trainer import Trainer
from core.models.loaded import Loaded
from core.results.fit_codebook import KINDS, FitCodebook
from core.spec.errors import Error
from core.spec.site import HEADS, Site
from kernels.feature_topk import Activation

MOST_TOKENS = 100_000  # that are held while fitting
BATCH = 1_024


def fit_codebook(
    loaded: Loaded,
    progress: Progress,
    *,
    site: str,
    name: str,
    n_codes: int = 0,
    k: int = 8,
    rounds: int = 10,
    topk_steps: int = 500,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    seed: int = 0,
) -> FitCodebook:
    """Unit codes by residual k-means, kept as a dictionary in $EIDOSCOPE_HOME/dictionaries/<name>.

    A token takes k codes one after another, each with the value of its product (matching pursuit).
    n_codes     0: eight times the width of the site
    topk_steps  of 1,024 tokens, for the TopK dictionary it is held against, which is not kept
    """
    place = asked_site(loaded, site)
    refuse_name(name)
    folder = _free_folder(loaded, name)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    windows, held, division = held_out(made)
    stream = SiteStream(loaded, made, windows, place, BATCH, seed)
    progress.step(0.0, f"reading {made.name}")
    width = stream.prepare(progress)
    n = n_codes or 8 * width
    _check(n, k, rounds, topk_steps)
    x = _tokens(stream, progress, n)
    codes, left = _fitted(progress, Codes(x - x.mean(0), n, k, seed), rounds)
    book = _dictionary(loaded, name, place, codes, x.mean(0), k)
    save(book, folder)
    shelf.add(loaded, folder, name)
    rivals = _rivals(stream, progress, book, Recipe("topk", n, k, topk_steps, BATCH, seed=seed))
    exam = Exam(loaded, stream, held)
    return FitCodebook(
        request={},
        dictionary=name,
        site=str(place),
        n_codes=n,
        k=k,
        seed=seed,
        corpus=made.name,
        division=division,
        n_train_tokens=len(x),
        n_held_tokens=len(exam.values(progress)),
        n_loss_contexts=0 if exam.missing else min(LOSS_CONTEXTS, len(exam.windows)),
        loss_missing=exam.missing,
        topk_steps=topk_steps,
        left=left,
        **_judged(exam, progress, (book, *rivals)),
    )


def _check(n: int, k: int, rounds: int, steps: int) -> None:
    limits = {
        "n_codes": (n, 1_048_576),
        "k": (k, n),
        "rounds": (rounds, 1_000),
        "topk_steps": (steps, 100_000),
    }
    for what, (value, most) in limits.items():
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
            raise Error(f"{what} must be a whole number from 1 to {most:,}, not {str(value)[:20]}")


def _free_folder(loaded: Loaded, name: str) -> Path:
    """Where it will lie. Raises `Error` when the name or the folder is taken."""
    folder = home.home() / FOLDER / name
    entry = shelf.listed(loaded).get(name)
    if entry and entry.added and not names.files(entry.path):
        shelf.remove(loaded, name)
        entry = None
    if entry or folder.exists():
        raise Error(f"there is a dictionary {name!r} already; take another name=")
    return folder


def _tokens(stream: SiteStream, progress: Progress, n_codes: int) -> Tensor:
    """Raw values of up to 100,000 tokens, [token, d], each once, shuffled. Raises `Error`."""
    n = max(1, min(MOST_TOKENS, stream.n_tokens) // BATCH)
    if n * BATCH < n_codes:
        raise Error(
            f"{stream.made.name} gives {n * BATCH:,} tokens, fewer than {n_codes:,} codes; take "
            "fewer"
        )
    return torch.cat([stream.batch(progress, step) for step in range(n)]) / stream.scale


def _fitted(progress: Progress, made: Codes, rounds: int) -> tuple[Tensor, np.ndarray]:
    """The codes after so many rounds, and what each round left."""
    left = []
    for number in range(rounds):
        progress.step(0.1 + 0.4 * number / rounds, f"round {number + 1} of {rounds}")
        left.append(made.round())
    return made.codes, np.array(left)


def _dictionary(
    loaded: Loaded, name: str, place: Site, codes: Tensor, mean: Tensor, k: int
) -> SparseDict:
    return SparseDict(
        name=name,
        site=place,
        out_site=place,
        W_enc=codes.T.contiguous(),
        b_enc=codes.new_zeros(len(codes)),
        W_dec=codes,
        b_in=mean,
        b_out=mean,
        act=Activation("pursuit", k=k),
        heads=place.component in HEADS,
        about=About(model=loaded.name, architecture="pursuit of codes"),
    )


def _rivals(
    stream: SiteStream, progress: Progress, book: SparseDict, recipe: Recipe
) -> tuple[SparseDict, SparseDict, SparseDict]:
    """TopK, PCA and random codes."""
    trainer = Trainer(recipe, stream.mean)
    for step in range(recipe.steps):
        progress.step(0.5 + 0.4 * step / recipe.steps, f"TopK beside it, step {step:,}")
        trainer.update(stream.batch(progress, step))
    topk = trainer.dictionary(book.site, "TopK", stream.scale)
    components = pca(book.site, stream.sample(), recipe.k, stream.scale, book.heads)
    generator = torch.Generator().manual_seed(recipe.seed + 1)
    drawn = torch.randn(book.W_dec.shape, generator=generator).to(book.W_dec.device)
    rows = normalize(drawn, dim=-1)
    return topk, components, replace(book, W_enc=rows.T.contiguous(), W_dec=rows)


def _judged(exam: Exam, progress: Progress, books: tuple[SparseDict, ...]) -> dict[str, Any]:
    """The final figures on held-out tokens, by field of the result."""
    x, clean = exam.values(progress), exam.loss(progress, None, live=False)
    rows = []
    for number, one in enumerate(books):
        progress.step(0.9 + 0.02 * number, f"judging: {KINDS[number]}")
        fit = exam.fit(one, x)
        unused = float((~fit.fired).float().mean())
        rows.append((fit.fvu, fit.l0, unused, exam.loss(progress, one, live=False) - clean))
    columns = np.array(rows).T
    found = dict(zip(("fvu", "l0", "unused", "delta_ce"), columns, strict=True))
    return {**found, "ce_clean": clean}
