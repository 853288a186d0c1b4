"""The benchmarks, one line each."""

from collections.abc import Callable

from benchmarks import (
    depth,
    features,
    forward,
    gallery,
    head_stats,
    head_stats_long,
    interaction,
    layer_map,
    lens_topk,
    sharded_attention,
    top_examples,
)
from benchmarks.report import Report

BENCHMARKS: dict[str, Callable[..., Report]] = {
    "depth": depth.run,
    "features": features.run,
    "forward": forward.run,
    "gallery": gallery.run,
    "head_stats": head_stats.run,
    "head_stats_long": head_stats_long.run,
    "interaction": interaction.run,
    "layer_map": layer_map.run,
    "lens_topk": lens_topk.run,
    "sharded_attention": sharded_attention.run,
    "top_examples": top_examples.run,
}
