"""Texts, labels and noise that tests of depth ask about."""

from typing import Any

import numpy as np

from core import api
from core.models.loaded import Loaded
from core.results.depth import Depth

FRAMES = ("Lily saw a {}", "Tom had a big {}", "One day there was a {}", "She liked the {}")
_ANIMALS = """
dog cat horse cow pig sheep goat lion tiger bear wolf fox deer rabbit mouse rat monkey elephant
whale dolphin camel bull kitten puppy donkey squirrel bat seal ape lamb calf zebra giraffe panda
kangaroo bird eagle duck chicken turkey
"""
ANIMALS = tuple(_ANIMALS.split())
_FOODS = """
apple orange banana grape lemon peach cherry pear mango melon plum lime berry strawberry
pineapple coconut olive fig potato tomato onion carrot bean corn cabbage pepper garlic lettuce
pumpkin mushroom pea spinach bread cheese soup pizza pasta rice cake pie
"""
FOODS = tuple(_FOODS.split())


def framed() -> tuple[list[str], list[int], list[str]]:
    """Texts, labels (1 for animals) and the word as group."""
    words = [*ANIMALS, *FOODS]
    texts = [frame.format(word) for frame in FRAMES for word in words]
    labels = ([1] * len(ANIMALS) + [0] * len(FOODS)) * len(FRAMES)
    return texts, labels, words * len(FRAMES)


def ask(m: Loaded, **options: Any) -> Depth:
    found = api.run("depth", m, **options)
    assert isinstance(found, Depth)
    return found


def lines(n: int) -> list[str]:
    """n different texts that hold the same words."""
    names = ("cat", "dog", "mat", "sun", "red", "big", "ran", "sat", "hat", "pig")
    return [" ".join(names[int(digit)] for digit in f"{number:04d}") for number in range(n)]


def noise(n: int, d: int = 20, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, d))


def halves(n: int) -> np.ndarray:
    return np.random.default_rng(7).permutation(n) % 2
