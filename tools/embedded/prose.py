"""Real prose for the mix: the TinyStories sample, split once into training and held-out stories."""

from __future__ import annotations

import json
import lzma
from functools import cache

from tools.embedded.settings import HELD_OUT_STORIES, stories_file


@cache
def _stories() -> tuple[str, ...]:
    with lzma.open(stories_file(), "rt", encoding="utf-8") as lines:
        return tuple(json.loads(line)["text"].strip() for line in lines)


def held_out_stories() -> tuple[str, ...]:
    return _stories()[:HELD_OUT_STORIES]


def training_stories() -> tuple[str, ...]:
    return _stories()[HELD_OUT_STORIES:]
