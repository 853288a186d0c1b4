"""Train a sparse dictionary on the spot: watched while it learns, kept when it is stopped."""

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from core.analyses.dictionary_exam import LIVE_CONTEXTS, LOSS_CONTEXTS, Exam, pca
from core.analyses.runs import Progress
from core.analyses.site_stream import SiteStream, held_out
from core.corpus.chunks import WINDOW, contexts
from core.corpus.readers import Corpus
from core.dictionaries import names, shelf
from core.dictionaries.save import config_of
from core.dictionaries.sparse import SparseDict
from core.dictionaries.train.recipe import Recipe
from core.dictionaries.train.saved import Saved
from core.dictionaries.train.trainer import Trainer
from core.models.loaded import Loaded
from core.results.train_dictionary import KINDS, TrainDictionary
from core.spec.errors import Cancelled, Error
from core.spec.site import PATTERNS, Site
from core.spec.site import site as parsed
from kernels.feature_topk import Activation

VERSION = 2
N_CONTEXTS = 4_096
EXPANSION, LEAST_K, MOST_K = 8, 8, 32
MAX_EVERY, POINTS = 500, 40
CHECKPOINT_SECONDS = 15.0
RAN_AWAY = 1e6  # FVU of a batch
COLUMNS = ("step", "fvu", "l0", "dead", "delta_ce")


def train_dictionary(
    loaded: Loaded,
    progress: Progress,
    *,
    site: str,
    name: str,
    architecture: str = "topk",
    n_features: int = 0,
    k: int = 0,
    steps: int = 1_000,
    batch: int = 2_048,
    rate: float = 0.0,
    sparsity: float = 0.0,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    every: int = 0,
    seed: int = 0,
) -> TrainDictionary:
    """A dictionary of what a site holds over a corpus, in $EIDOSCOPE_HOME/dictionaries/<name>.

    n_features, k   0: eight times the width; a sixteenth of it, from 8 to 32
    rate, sparsity  0: see `core.dictionaries.train.recipe.Recipe`
    every           steps between points of the curves, 0: about 40 points

    Work that is cancelled leaves the dictionary as far as it came; the same question asked again
    goes on from there, to the same bits on a CPU.
    """
    place = asked_site(loaded, site)
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    windows, held, division = held_out(made)
    stream = SiteStream(loaded, made, windows, place, batch, seed)
    progress.step(0.0, f"reading {made.name}")
    d = stream.prepare(progress)
    recipe = Recipe(
        architecture,
        n_features or EXPANSION * d,
        k or max(LEAST_K, min(MOST_K, d // 16)),
        steps,
        batch,
        rate,
        sparsity,
        seed,
    )
    if stream.n_tokens < recipe.n_features:
        raise Error(
            f"{made.name} holds {stream.n_tokens:,} tokens to train on, fewer than the "
            f"{recipe.n_features:,} features; give a longer corpus or choose fewer features"
        )
    key = _key(loaded, place, recipe, made.fingerprint)
    training = _Training(loaded, progress, stream, recipe, Saved(name, key), held, division)
    training.every = every or max(1, min(MAX_EVERY, steps // POINTS))
    return training.result()


def asked_site(loaded: Loaded, text: str) -> Site:
    """A whole site that reads the prompt. Raises `Error`."""
    place = parsed(text)
    if place.component in PATTERNS or place != place.whole():
        raise Error(
            f"{place}: a dictionary is trained on all that a site holds; name it without unit and "
            "position, such as L2.resid_post"
        )
    loaded.check(place)
    if place.stack != loaded.prompt_stack:
        raise Error(
            f"{place}: the decoder of {loaded.name} sees no token of a text; name a site of its "
            f"encoder, such as enc.{place}"
        )
    return place


def _key(loaded: Loaded, place: Site, recipe: Recipe, corpus: str) -> str:
    dtype = str(next(loaded.module.parameters()).dtype)
    parts = [VERSION, loaded.fingerprint, dtype, str(place), asdict(recipe), corpus]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:40]


class _Training:
    """One run: what it needs, how far it is, what it has shown."""

    every = MAX_EVERY

    def __init__(
        self,
        loaded: Loaded,
        progress: Progress,
        stream: SiteStream,
        recipe: Recipe,
        saved: Saved,
        held: Sequence[int],
        division: str,
    ) -> None:
        self.loaded, self.progress, self.stream = loaded, progress, stream
        self.recipe, self.saved, self.division = recipe, saved, division
        self.exam = Exam(loaded, stream, held)
        self.rows: list[list[float]] = []
        self.resumed_at, self.seconds, self.trained = 0, 0.0, 0
        self.clean = float("nan")

    def result(self) -> TrainDictionary:
        """Train what is left to train, and judge."""
        state = self.saved.state()
        if state == "new" and self._taken():
            raise Error(
                f"{self.loaded.name} has a dictionary {self.saved.name!r} already; take another "
                "name="
            )
        if state == "finished":
            self._shelve()
            self.rows = [[row[name] for name in COLUMNS] for row in self.saved.log()]
            self.resumed_at = self.recipe.steps
            return self._judged(self._stored())
        self.trainer = Trainer(self.recipe, self.stream.mean)
        if state == "unfinished":
            self._resume()
        self._refuse_if_full()
        self.clean = self.exam.loss(self.progress, None, live=True)
        try:
            self._train()
        except Cancelled:
            self._save(finished=False)
            self._shelve()
            raise
        self._save(finished=True)
        self._shelve()
        return self._judged(self._dictionary())

    def _taken(self) -> bool:
        """Has another dictionary the name? One whose folder was removed gives it back."""
        entry = shelf.listed(self.loaded).get(self.saved.name)
        if entry and entry.added and not names.files(entry.path):
            shelf.remove(self.loaded, self.saved.name)
            return False
        return entry is not None

    def _train(self) -> None:
        written = time.monotonic()
        while self.trainer.step < self.recipe.steps:
            self.progress.step(0.9 * self.trainer.step / self.recipe.steps, self._note())
            x = self.stream.batch(self.progress, self.trainer.step)
            began = time.perf_counter()
            found = self.trainer.update(x)
            self.seconds += time.perf_counter() - began
            self.trained += len(x)
            at = self.trainer.step
            if at % self.every == 0 or at in (1, self.recipe.steps):
                self._look(float(found.unexplained))
            if time.monotonic() - written > CHECKPOINT_SECONDS:
                self._save(finished=False)
                written = time.monotonic()

    def _look(self, unexplained: float) -> None:
        """A point of the curves, shown at once."""
        if not unexplained < RAN_AWAY:
            raise Error(
                f"training of {self.saved.name!r} ran away at step {self.trainer.step:,}; choose a "
                f"smaller rate= than {self.recipe.top_rate:g}"
            )
        dictionary = self._dictionary()
        fit = self.exam.fit(dictionary, self.exam.values(self.progress, live=True))
        cost = self.exam.loss(self.progress, dictionary, live=True) - self.clean
        dead = self.trainer.dead / self.recipe.n_features
        self.rows.append([self.trainer.step, fit.fvu, fit.l0, dead, cost])
        self.progress.publish(self._result())

    def _note(self) -> str:
        at = self.trainer.step
        words = f"step {at:,} of {self.recipe.steps:,}, {at * self.recipe.batch:,} tokens"
        return words + (f", FVU {self.rows[-1][1]:.3f}" if self.rows else "")

    def _dictionary(self) -> SparseDict:
        site = self.stream.site
        return self.trainer.dictionary(site, self.saved.name, self.stream.scale)

    def _resume(self) -> None:
        kept = self.saved.checkpoint()
        curve = kept.pop("curve", torch.zeros(0, len(COLUMNS)))
        try:
            self.trainer.resume(kept)
        except (ValueError, KeyError):
            return  # nothing to go on from: it begins anew
        self.rows = curve.tolist()
        self.resumed_at = self.trainer.step

    def _save(self, *, finished: bool) -> None:
        if not self.trainer.step:
            return
        checkpoint: dict[str, Tensor] = {}
        if not finished:
            curve = torch.tensor(self.rows, dtype=torch.float64).reshape(-1, len(COLUMNS))
            checkpoint = {**self.trainer.tensors(), "curve": curve}
        record = {
            "steps": self.trainer.step,
            "trained_on": self.stream.made.name,
            "tokens": self.trainer.step * self.recipe.batch,
            "scale": self.stream.scale,
            "recipe": asdict(self.recipe),
        }
        dictionary = self._dictionary()
        log = [dict(zip(COLUMNS, row, strict=True)) for row in self.rows]
        self.saved.write(dictionary, self._config(dictionary), record, log, checkpoint)

    def _shelve(self) -> None:
        """Put it on the model's shelf under its name; one that was half done is put there anew."""
        if not self.saved.record():
            return  # stopped in front of the first step
        entry = shelf.listed(self.loaded).get(self.saved.name)
        if entry and entry.added and entry.path.resolve() == self.saved.folder.resolve():
            shelf.remove(self.loaded, self.saved.name)
        shelf.add(self.loaded, self.saved.folder, self.saved.name)

    def _config(self, dictionary: SparseDict) -> dict[str, Any]:
        window = max(len(one.ids) for one in self.stream.made.windows)
        config = config_of(dictionary)
        config["metadata"] |= {
            "model_name": self.loaded.name,
            "model_fingerprint": self.loaded.fingerprint,
            "site": str(self.stream.site),
            # Activations are those of the Hugging Face model, whose stream is not centred.
            "model_from_pretrained_kwargs": {"center_writing_weights": False},
            "context_size": window,
            "prepend_bos": not self.stream.made.windows[0].keep[0],
            "trained_as": self.recipe.architecture,
            "training_steps": self.trainer.step,
            "training_tokens": self.trainer.step * self.recipe.batch,
            "dataset_path": self.stream.made.name,
        }
        return config

    def _refuse_if_full(self) -> None:
        numbers = 2 * self.recipe.n_features * (len(self.stream.mean) + 3)
        self.saved.refuse_if_full(4 * numbers * 5)  # the dictionary, the checkpoint and its copy

    def _stored(self) -> SparseDict:
        """A dictionary that was finished before, as everybody opens it."""
        return self.saved.dictionary(self.stream.site, self.recipe.k)

    def _judged(self, dictionary: SparseDict) -> TrainDictionary:
        """The final figures, beside those of the controls."""
        exam, stream = self.exam, self.stream
        x = exam.values(self.progress)
        start = Trainer(self.recipe, stream.mean).dictionary(stream.site, "untrained", stream.scale)
        untrained = replace(start, act=Activation("topk", k=self.recipe.k))
        components = pca(stream.site, stream.sample(), self.recipe.k, stream.scale, start.heads)
        clean = exam.loss(self.progress, None, live=False)
        found: dict[str, list[float]] = {"fvu": [], "l0": [], "dead": [], "delta_ce": []}
        for place, one in enumerate((dictionary, untrained, components)):
            self.progress.step(0.9 + 0.03 * place, f"judging: {KINDS[place]}")
            fit = exam.fit(one, x)
            found["fvu"].append(fit.fvu)
            found["l0"].append(fit.l0)
            found["dead"].append(float((~fit.fired).float().mean()))
            found["delta_ce"].append(exam.loss(self.progress, one, live=False) - clean)
        mean = x.mean(0)
        ablated = [
            exam.loss(self.progress, value, live=False) - clean
            for value in (torch.zeros_like(mean), mean)
        ]
        final: dict[str, Any] = {f"final_{key}": np.array(each) for key, each in found.items()}
        return replace(self._result(), ce_clean=clean, ablated=np.array(ablated), **final)

    def _result(self) -> TrainDictionary:
        """The curves so far."""
        empty = np.full(len(KINDS), np.nan)
        curve = np.array(self.rows, dtype=float).reshape(-1, len(COLUMNS))
        live = not np.isnan(curve[:, 4]).all() or not self.exam.missing
        return TrainDictionary(
            request={},
            dictionary=self.saved.name,
            site=str(self.stream.site),
            architecture=self.recipe.architecture,
            n_features=self.recipe.n_features,
            k=self.recipe.k,
            batch=self.recipe.batch,
            rate=self.recipe.top_rate,
            seed=self.recipe.seed,
            corpus=self.stream.made.name,
            division=self.division,
            n_train_tokens=self.stream.n_tokens,
            n_held_tokens=len(self.exam.values(self.progress)),
            n_loss_contexts=min(LOSS_CONTEXTS, len(self.exam.windows)) if live else 0,
            loss_missing=self.exam.missing,
            steps=self.recipe.steps,
            reached=int(curve[-1, 0]) if len(curve) else 0,
            resumed_at=self.resumed_at,
            scale=self.stream.scale,
            tokens_per_second=self.trained / self.seconds if self.seconds else 0.0,
            notes=self._notes(),
            ce_clean=float("nan"),
            ablated=np.full(2, np.nan),
            final_fvu=empty,
            final_l0=empty,
            final_dead=empty,
            final_delta_ce=empty,
            **{name: curve[:, place] for place, name in enumerate(COLUMNS)},
        )

    def _notes(self) -> tuple[str, ...]:
        rounds = self.recipe.steps * self.recipe.batch / self.stream.n_tokens
        found = [f"curves on {LIVE_CONTEXTS} contexts"]
        if rounds > 1.5:
            found.append(f"every token was seen about {rounds:.0f} times")
        return tuple(found)
