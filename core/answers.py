"""From a question to its answer: the stored one where there is one, else a fresh one.

The key of an answer holds the fingerprint of the weights, which only the worker can know.
So what the worker found out is noted, and a question asked again is answered from the
store without the worker, as long as the model's files are the ones it was noted for.
"""

import logging
import threading
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Protocol, cast

from core.queue import Progress
from core.spec.errors import Error
from core.spec.request import ModelRef, Request
from core.store import store

if TYPE_CHECKING:
    from core.results.base import Result

log = logging.getLogger("eidoscope")

MAX_NOTES = 20_000


class Backend(Protocol):
    """What answers questions; `core.analyses`, or a stand-in in tests."""

    def fetch(self, model: ModelRef, progress: Progress) -> None:
        """Bring the model's files here. A download may take long; `progress` shows and stops it."""

    def answer(self, request: Request, progress: Progress) -> "Result":
        """Compute. May take minutes; `progress` stops it."""

    def salt(self, request: Request) -> str:
        """Fingerprint of the weights and version of the method. Slow the first time."""

    def stamp(self, model: ModelRef) -> str:
        """Changes when the model's files do. Cheap: sizes and times."""


def backend() -> Backend:
    from core import analyses  # brings torch

    return cast(Backend, analyses)


class Notes:
    """Question -> (stamp of the model's files, key of the stored answer)."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._notes: OrderedDict[str, tuple[str, str]] = OrderedDict()

    def get(self, key: str) -> tuple[str, str] | None:
        with self._lock:
            return self._notes.get(key)

    def add(self, key: str, stamp: str, answer_key: str) -> None:
        with self._lock:
            self._notes[key] = (stamp, answer_key)
            if len(self._notes) > MAX_NOTES:
                self._notes.popitem(last=False)


_notes = Notes()


def known(request: Request) -> "Result | None":
    """The answer if it is stored and was given before in this process; never computes."""
    note = _notes.get(request.key())
    if note is None:
        return None  # and torch is not imported to find out more
    stamp, answer_key = note
    try:
        same = _stamp(backend(), request) == stamp and _kept(request)
    except (Error, OSError):  # the worker will say what is wrong with the model
        return None
    return store().get(answer_key) if same else None


def _stamp(engine: Backend, request: Request) -> str:
    """Changes when the files of a model of the question do, of a dictionary or of its corpus."""
    from core.dictionaries.names import stamp as of_dictionaries  # looks at folders of models
    from core.models.checkpoints import asked

    stamps = [engine.stamp(model) for model in (*request.models, *asked(request))]
    stamps.append(of_dictionaries(request))
    if isinstance(request.option("corpus"), str):
        from core.corpus.readers import stamp  # comes with torch, as the backend does

        stamps.append(stamp(request.option("corpus")))
    return "\n".join(stamps)


def _kept(request: Request) -> bool:
    """Is what the question left behind still there?"""
    from core.dictionaries.names import kept  # as in `_stamp`

    return kept(request)


def answer(request: Request, progress: Progress) -> "Result":
    """The answer, stored or computed now. In the worker only."""
    engine = backend()
    for model in request.models:
        engine.fetch(model, progress)
    # The stamp before the salt: if the files change between the two, the note is for a stamp
    # that no longer holds, and is not believed.
    stamp = _stamp(engine, request)
    answer_key = request.key(engine.salt(request))
    progress.check()
    found = store().get(answer_key) if _kept(request) else None
    if found is None:
        found = engine.answer(request, progress)
        if _stamp(engine, request) != stamp:
            log.warning("the files of %r changed meanwhile; not kept", request.models)
            return found
        store().remember(answer_key, found)
        progress.afterwards.append(partial(store().keep, answer_key, found))
    _notes.add(request.key(), stamp, answer_key)
    return found
