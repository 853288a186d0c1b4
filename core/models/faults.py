"""What the model library raises, as one sentence for a person."""

import logging
import re
from pathlib import Path
from types import TracebackType

from core.spec.errors import Cancelled, Error

log = logging.getLogger("eidoscope")
_PATH = re.compile(r"(?<![\w.])/[\w.\-]+(/[\w.\-]*)+")
_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc")


class Plainly:
    """`with Plainly("llama", folder):` turns any fault inside into an `Error`.

    The library and the packages below it raise whatever they like, plain `Exception` and
    faults of Rust code included; the cause goes to the log, the sentence to the person.
    """

    def __init__(self, name: str, *folders: Path, doing: str = "loading") -> None:
        self.name, self.folders, self.doing = name, folders, doing

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, _: TracebackType | None
    ) -> None:
        if fault is None or isinstance(fault, Error | Cancelled):
            return
        # A fault in Rust code arrives as a PanicException, which is no Exception.
        if not isinstance(fault, Exception) and type(fault).__name__ != "PanicException":
            return
        log.info("%s %s failed", self.doing, self.name, exc_info=fault)
        raise Error(self._sentence(fault)) from fault

    def _sentence(self, fault: BaseException) -> str:
        text = str(fault)
        if isinstance(fault, MemoryError) or any(sign in text.lower() for sign in _MEMORY):
            return f"the memory ran out while {self.doing} {self.name}; choose a smaller model"
        for folder in self.folders:
            text = text.replace(f"{folder}/", "").replace(str(folder), "its folder")
        lines = [line.strip() for line in _PATH.sub("…", text).splitlines() if line.strip()]
        # A first line such as "Validation error for field 'x':" leads to the reason.
        detail = next((line for line in lines if not line.endswith(":")), "")
        if len(detail) > 200:
            detail = detail[:199] + "…"
        kind = type(fault).__name__
        return (
            f"{self.doing} {self.name} failed: {detail or 'no reason given'} ({kind}); "
            "its files are damaged or of a kind that is not supported"
        )
