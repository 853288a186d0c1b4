"""The methods, one module each, the table that lists them, and the door for requests."""

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from core.analyses.runs import Progress
from core.analyses.table import ANALYSES, analysis
from core.corpus import readers
from core.dictionaries import names
from core.dictionaries.shelf import Shelf
from core.engine.device import fitting_threads
from core.models import checkpoints, door, pool, sources
from core.results.base import Result
from core.spec.request import ModelRef, Request, model_ref

__all__ = ["ANALYSES", "analysis", "answer", "fetch", "salt", "stamp"]


_THIS_PROCESS = secrets.token_hex(8)


def fetch(model: ModelRef, progress: Progress) -> None:
    """Bring the model's files here: nothing for a folder, a download for a new hub id."""
    sources.resolve(model, progress)


def answer(request: Request, progress: Progress) -> Result:
    """Compute the answer to a request. Runs in the worker."""
    method = analysis(request.analysis)
    options = options_of(request)
    method.check(request.analysis, set(options))
    loaded = pool.get(request.model, progress=progress)
    if "other" in options:
        options["other"] = pool.get(model_ref(options["other"]), progress=progress)
    _look(loaded.dictionaries)
    if "other" in options:
        _look(options["other"].dictionaries)
    progress.check()
    with fitting_threads(loaded):
        result = method.run(loaded, progress, **options)
    return replace(result, request=request.plain())


def _look(dictionaries: Mapping[str, Any]) -> None:
    """The answer is kept under the fingerprints of now, so the dictionaries must be those."""
    if isinstance(dictionaries, Shelf):
        dictionaries.look()


def options_of(request: Request) -> dict[str, Any]:
    """The keyword arguments a request stands for: one prompt is `text`, several are `texts`."""
    options = dict(request.options)
    if len(request.prompts) == 1:
        options["text"] = request.prompts[0]
    elif request.prompts:
        options["texts"] = request.prompts
    if request.interventions:
        options["interventions"] = request.interventions
    return options


def salt(request: Request) -> str:
    """What else an answer depends on: weights, dictionaries, version of the method, its corpus."""
    method = analysis(request.analysis)
    models = (*request.models, *checkpoints.asked(request))
    weights = "+".join(door.fingerprint(sources.resolve(model)) for model in models)
    here = "" if method.lasting else _THIS_PROCESS
    text = readers.stamp(request.option("corpus"))
    plain = f"{weights}:{request.analysis}:{method.version}:{here}:{text}"
    of_dictionaries = names.salt(request)
    return f"{plain}:{of_dictionaries}" if of_dictionaries else plain


def stamp(model: ModelRef) -> str:
    """Changes when the model's files change. Cheap: sizes and times, no contents."""
    return door.stamp(sources.resolve(model))
