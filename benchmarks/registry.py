"""The benchmarks, one line each."""

from collections.abc import Callable

from benchmarks import forward, interaction, top_examples
from benchmarks.report import Report

BENCHMARKS: dict[str, Callable[..., Report]] = {
    "forward": forward.run,
    "interaction": interaction.run,
    "top_examples": top_examples.run,
}
