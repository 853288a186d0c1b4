"""Regular expressions from people: compiled and run by RE2, which cannot hang.

RE2 needs time linear in the text and refuses what would take much memory, so no pattern needs
a clock; the price is that it has no look-around and no back-references.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from core.spec.errors import Error

MOST_CHARACTERS = 200


def matching(pattern: str, texts: Sequence[str], *, ignore_case: bool = False) -> np.ndarray:
    """Places [n] int64 of the texts in which the pattern is found.

    Raises `Error` with a sentence for a pattern that is empty, too long or does not compile.
    Halves of character pairs count as "?".
    """
    if not pattern:
        raise Error("the pattern is empty; write it between two slashes, for example /ing$/")
    if len(pattern) > MOST_CHARACTERS:
        raise Error(
            f"the pattern has {len(pattern):,} characters; at most {MOST_CHARACTERS} are allowed"
        )
    pattern, *clean = (text.encode("utf-8", "replace").decode() for text in (pattern, *texts))
    try:
        found = pc.match_substring_regex(
            pa.array(clean, pa.string()), pattern, ignore_case=ignore_case
        )
    except pa.ArrowInvalid as fault:
        reason = str(fault).removeprefix("Invalid regular expression: ")[:120]
        raise Error(
            f"the pattern /{pattern[:60]}/ does not compile ({reason}); look-around and "
            "back-references do not exist here"
        ) from None
    return np.flatnonzero(found.to_numpy(zero_copy_only=False))
