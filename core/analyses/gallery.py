"""How often every feature of a dictionary fires in a text, and how strongly."""

from collections.abc import Sequence

import numpy as np

from core.analyses.feature_gallery import N_CONTEXTS, opened
from core.analyses.runs import Progress
from core.corpus.chunks import WINDOW
from core.corpus.readers import Corpus
from core.galleries import layout
from core.galleries.reading import DENSE, RARE, FeatureGallery
from core.models.loaded import Loaded
from core.results.gallery import Gallery
from core.spec.interventions import Change

PER_FEATURE = (layout.STATS, layout.LISTS, layout.TABLE)  # files that grow with the features


def gallery(
    loaded: Loaded,
    progress: Progress,
    *,
    dictionary: str,
    corpus: Corpus = "built-in",
    field: str = "text",
    window: int = WINDOW,
    n_contexts: int = N_CONTEXTS,
    interventions: Sequence[Change] = (),
    seed: int = 0,
    codes: bool = False,
) -> Gallery:
    """Density, largest and mean activation of every feature, from one pass for all of them.

    One-pass statistics after SAEDashboard and sae_vis. What there is so far is published while the
    pass goes on; a pass that was stopped resumes; a finished one is reopened. `codes`: every
    activation is kept too, which the small galleries beside the shipped dictionaries do not do.
    Control: the same dictionary turned at random.
    """
    found = opened(
        loaded,
        progress,
        dictionary=dictionary,
        corpus=corpus,
        field=field,
        window=window,
        n_contexts=n_contexts,
        interventions=interventions,
        seed=seed,
        with_codes=codes,
        grown=lambda part: progress.publish(_result(part, interventions)),
    )
    return _result(found, interventions)


def _result(found: FeatureGallery, interventions: Sequence[Change]) -> Gallery:
    told = found.manifest
    n_random = int(found.stats["random_tokens"].sum())
    fired = found.stats["random_count"].astype(np.int64)
    with np.errstate(invalid="ignore", divide="ignore"):
        random_mean = np.where(fired > 0, found.stats["random_total"] / fired, np.nan)
    return Gallery(
        request={},
        dictionary=told.dictionary,
        format=told.format,
        site=told.site,
        out_site=told.out_site,
        corpus=told.corpus,
        n_tokens=found.n_tokens,
        n_contexts=told.n_contexts,
        n_documents=told.n_documents,
        window=told.window,
        cut=told.cut,
        mask=told.mask,
        sites=tuple(str(change.site) for change in interventions),
        gallery=told.key,
        folder=str(found.folder),
        share=told.share,
        codes=found.codes is not None,
        n_bytes_kept=layout.n_bytes(found.folder),
        bytes_per_feature=layout.n_bytes(found.folder, PER_FEATURE) / found.n_features,
        n_clamped=told.n_clamped,
        rare=RARE,
        dense=DENSE,
        n_random=n_random,
        density=found.density.astype(np.float32),
        max_activation=found.max,
        mean_activation=found.mean_active.astype(np.float32),
        count=found.count,
        contribution=found.contribution.astype(np.float32),
        half_density=found.half_density.astype(np.float32),
        lengths=found.lengths,
        cosine=found.stats["cosine"],
        random_density=(fired / max(1, n_random)).astype(np.float32),
        random_mean=random_mean.astype(np.float32),
    )
