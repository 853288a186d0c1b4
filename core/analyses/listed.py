"""One analysis as the tables list it: what it answers, the function, the version of its method.

Raise the version when the numbers change: stored answers of the old one are then not used.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from core.results.base import Result
from core.spec.errors import Error


@dataclass(frozen=True, slots=True)
class Analysis:
    """`run(loaded, progress, **options)`; options are the function's keyword arguments."""

    run: Callable[..., Result]
    about: str
    version: int = 1
    lasting: bool = True  # False: the answer is about this process and no other may find it

    def check(self, name: str, options: set[str]) -> None:
        """Raise `Error` for an option this analysis does not have, or one that is missing."""
        known = {
            key: value
            for key, value in inspect.signature(self.run).parameters.items()
            if value.kind is inspect.Parameter.KEYWORD_ONLY
        }
        strange = sorted(options - set(known))
        if strange:
            raise Error(f"{name} has no option {strange[0]!r}; it has {', '.join(known)}")
        empty = inspect.Parameter.empty
        missing = [key for key, value in known.items() if value.default is empty]
        missing = [key for key in missing if key not in options]
        if missing:
            raise Error(f"{name} needs {', '.join(f'{key}=' for key in missing)}")
