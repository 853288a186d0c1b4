"""One pass over a corpus for all features of a dictionary, kept as a gallery.

The model runs to the dictionary's site, tokens are encoded once, and the codes are reduced batch
by batch. SAEDashboard makes a pass for every group of features; here all of them share one.
"""

import logging
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from core.analyses.feature_pass import Build
from core.analyses.feature_rows import opened_dictionary
from core.analyses.neuron_gallery import refuse_positions
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW, Contexts, contexts
from core.corpus.readers import Corpus
from core.dictionaries.findings import SHIPPED_GALLERY
from core.dictionaries.sparse import SparseDict
from core.galleries import layout, tally
from core.galleries.layout import Manifest
from core.galleries.reading import FeatureGallery, read
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Intervention, to_plain

log = logging.getLogger("eidoscope")

N_CONTEXTS = 2_048
MAX_CODES_TOKENS = 2_000_000
HELD = 4  # galleries kept with a model

Grown = Callable[[FeatureGallery], None]


def opened(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    interventions: Sequence[Intervention] = (),
    seed: int = 0,
    with_codes: bool = True,
    grown: Grown | None = None,
) -> FeatureGallery:
    """What every feature of a dictionary responds to in a corpus.

    Opened from $EIDOSCOPE_HOME/galleries where it was made before; made now otherwise. Without
    `with_codes` the small gallery that ships beside a dictionary will do. `grown` is called with
    what there is now and then while it is made. Activations of every token are kept for corpora of
    up to 2 million tokens. Raises `Error` in a sentence.
    """
    asked = _Asked(opened_dictionary(loaded, dictionary), corpus, field, window, n_contexts, seed)
    refuse_positions(interventions)
    changes = tuple(to_plain(change) for change in interventions)
    if not with_codes and not changes:
        shipped = _shipped(loaded, asked)
        if shipped is not None:
            return shipped
    made = contexts(loaded, corpus, field=field, window=window, n_contexts=n_contexts)
    manifest = _manifest(loaded, asked, made, changes)
    folder = layout.root() / manifest.key

    def found() -> FeatureGallery:
        gallery = _stored(folder)
        if gallery is None:
            _make(loaded, progress, asked.dictionary, made, manifest, interventions, grown)
            gallery = read(folder)
        return gallery

    return _held(loaded, manifest.key, found)


def growing(key: str) -> FeatureGallery | None:
    """The gallery of that key as far as another process has made it; None where none does."""
    folder = layout.part_of(layout.root() / key)
    return read(folder) if (folder / layout.MANIFEST).is_file() else None


@dataclass(frozen=True)
class _Asked:
    """What a gallery is asked of."""

    dictionary: SparseDict
    corpus: Corpus
    field: str
    window: int
    n_contexts: int
    seed: int


def _shipped(loaded: Loaded, asked: _Asked) -> FeatureGallery | None:
    """The gallery beside the dictionary, when it is of this model, dictionary and question."""
    folder = Path(asked.dictionary.about.path or "/nowhere") / SHIPPED_GALLERY
    if not (folder / layout.MANIFEST).is_file():
        return None
    held: dict[str, FeatureGallery] = loaded.memo.setdefault("feature_galleries", {})
    try:
        found = layout.read_manifest(folder)
        same = (
            found.model_fingerprint == loaded.fingerprint
            and found.dictionary_fingerprint == layout.dictionary_fingerprint(asked.dictionary)
            and (found.corpus, found.field) == (asked.corpus, asked.field)
            and (found.asked_window, found.asked_contexts, found.seed)
            == (asked.window, asked.n_contexts, asked.seed)
        )
        if not same:
            return None
        whole = held.get(found.key)
        if whole is None or not whole.folder.is_dir():
            whole = _stored(layout.root() / found.key)
        if whole is not None:  # the same one, made in full
            return _held(loaded, found.key, lambda: whole)
        return held_at(loaded, folder)
    except Error as fault:
        log.warning("a shipped gallery is left alone: %s", fault)
        return None


def held_at(loaded: Loaded, folder: Path) -> FeatureGallery:
    """The gallery of that folder as it lies there, kept with the model. Raises `Error`."""
    own = folder.parent == layout.root()
    return _held(loaded, folder.name if own else f"shipped {folder}", lambda: read(folder))


def _held(loaded: Loaded, key: str, make: Callable[[], FeatureGallery]) -> FeatureGallery:
    """The gallery of that key, kept with the model once it is opened."""
    held: dict[str, FeatureGallery] = loaded.memo.setdefault("feature_galleries", {})
    if key not in held or not held[key].folder.is_dir():
        held[key] = make()
        while len(held) > HELD:
            del held[next(iter(held))]
    return held[key]


def _stored(folder: Path) -> FeatureGallery | None:
    """The finished gallery of a folder; one that is damaged or of another version is made again."""
    if not folder.is_dir():
        return None
    try:
        found = read(folder)
    except Error as fault:
        log.warning("a stored gallery is made again: %s", fault)
        return None
    with suppress(OSError):
        os.utime(folder)  # those used longest ago go first
    return None if found.partial else found


def _manifest(
    loaded: Loaded, asked: _Asked, made: Contexts, changes: tuple[dict[str, object], ...]
) -> Manifest:
    own = asked.dictionary
    dtype = str(next(loaded.module.parameters()).dtype).removeprefix("torch.")
    fingerprint = layout.dictionary_fingerprint(own)
    settings = [tally.N_TOP, tally.SPARE, tally.N_SAMPLE, tally.N_WEIGHTED, MAX_CODES_TOKENS]
    parts = (loaded.fingerprint, dtype, fingerprint, str(own.site), made.fingerprint, changes)
    n_tokens = made.n_tokens
    large = n_tokens > MAX_CODES_TOKENS
    causal = loaded.kind == "decoder"
    return Manifest(
        version=layout.VERSION,
        key=layout.key_of(*parts, asked.seed, settings),
        model=loaded.name,
        model_fingerprint=loaded.fingerprint,
        dtype=dtype,
        dictionary=own.name,
        dictionary_fingerprint=fingerprint,
        format=own.about.format,
        site=str(own.site),
        out_site=str(own.out_site),
        n_features=own.n_features,
        corpus=made.name,
        field=asked.field,
        corpus_fingerprint=made.fingerprint,
        asked_window=asked.window,
        asked_contexts=asked.n_contexts,
        window=max(len(window.ids) for window in made.windows),
        n_contexts=len(made),
        n_tokens=n_tokens,
        n_documents=len(made.documents),
        cut=made.cut,
        changes=changes,
        seed=asked.seed,
        mask="special tokens"
        + (" and the first token of a context" if causal else "")
        + " do not count",
        codes=not large,
        codes_note=f"the text has more than {MAX_CODES_TOKENS:,} tokens" if large else "",
        n_clamped=0,
        share=0.0,
    )


def _make(
    loaded: Loaded,
    progress: Progress,
    dictionary: SparseDict,
    made: Contexts,
    manifest: Manifest,
    interventions: Sequence[Intervention],
    grown: Grown | None,
) -> None:
    """The pass, from a checkpoint where there is one, into the gallery's own place."""
    folder = layout.root() / manifest.key
    with layout.making(folder, progress.check) as part:
        if _stored(folder) is not None:  # another process has made it meanwhile
            return
        build = Build(loaded, dictionary, made, manifest, part)
        for number in range(build.done, len(build.batches)):
            note = f"reading {made.name}, part {number + 1} of {len(build.batches)}"
            progress.step(number / len(build.batches), note)
            build.read(number, interventions, progress)
            if build.checkpoint_is_due() and number + 1 < len(build.batches):
                build.checkpoint()
                if grown is not None:
                    grown(read(part))
        progress.step(1.0, "writing the gallery")
        build.finish()
        layout.publish(part, folder)
