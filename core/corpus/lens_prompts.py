"""Prompts with known answers, for the lens over many prompts: the world's tasks, translations."""

from dataclasses import dataclass
from random import Random

from core.corpus.world.tasks import tasks
from core.corpus.world.words import TRANSLATIONS
from core.spec.errors import Error
from core.spec.lens_tasks import LENS_TASKS

MOST = 200  # prompts of one task
DEMONSTRATIONS = 4


@dataclass(frozen=True)
class Prompts:
    """texts and the word each should go on with; tracked: (name, one word a prompt), and what it
    all is, in a sentence."""

    texts: tuple[str, ...]
    answers: tuple[str, ...]
    tracked: tuple[tuple[str, tuple[str, ...]], ...] = ()
    about: str = ""


def task_names() -> tuple[str, ...]:
    return tuple(LENS_TASKS)


def prompts(name: str) -> Prompts:
    """The prompts of a task. Raises `Error` naming those there are."""
    if name == "translation":
        return _translation()
    for task in tasks():
        if task.name == name:
            texts, answers = zip(*_spread(task.prompts), strict=True)
            tracked = _languages() if name == "French word" else ()
            return Prompts(texts, answers, tracked, f"task {name} of the concept world")
    raise Error(f"no task {name[:40]!r} for the lens; there are {', '.join(task_names())}")


def _spread(rows: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """At most so many, from all over the list."""
    n = min(MOST, len(rows))
    return [rows[place * len(rows) // n] for place in range(n)]


def _words(language: int) -> tuple[str, ...]:
    return tuple(row[language].split(" ")[-1].split("'")[-1] for row in TRANSLATIONS)


def _languages() -> tuple[tuple[str, tuple[str, ...]], ...]:
    return tuple((name, _words(n)) for n, name in enumerate(("English", "French", "Spanish")))


def _translation() -> Prompts:
    """Four French words with their Spanish ones, and a fifth without: "Do Llamas Work in English?"

    (Wendler et al. 2024), with the words of the concept world.
    """
    rng, french, spanish = Random("lens: translation"), _words(1), _words(2)
    texts = []
    for asked in range(len(french)):
        rest = [number for number in range(len(french)) if number != asked]
        shown = rng.sample(rest, DEMONSTRATIONS)
        lines = [f'Français: "{french[n]}" - Español: "{spanish[n]}"' for n in shown]
        texts.append("\n".join([*lines, f'Français: "{french[asked]}" - Español: "']))
    about = "French words to be put into Spanish, after four that are"
    return Prompts(tuple(texts), spanish, _languages(), about)
