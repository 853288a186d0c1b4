"""One category looked at closely: its words in the planes and solids of its vectors."""

from typing import Any

import numpy as np

from core.analyses.category_panels import Focus, Members, learned_rows, planes, solids
from core.analyses.category_rows import Rows
from core.analyses.category_vectors import Tree, vector

MOST_DRAWN = 1_500  # grey tokens of a plane


def close(rows: Rows, own: Members, tree: Tree, one: Focus, how: str, seed: int) -> dict[str, Any]:
    """The planes and solids around one category, by vectors of 70 % of the words of each leaf."""
    rng = np.random.default_rng((seed, 19))
    learned = learned_rows(own, tree, rng)
    first = np.stack([vector(rows.cloud[mine[learned[mine]]], how) for mine in own.rows])
    grey = rng.choice(len(rows.others), min(MOST_DRAWN, len(rows.others)), replace=False)
    group = np.full(len(rows.cloud), -2)
    layers = (one.toward, one.parent, one.sibling, *one.corners[1:], one.category)
    for category in layers:  # the narrowest last, so that a word is drawn as what it is
        if category >= 0:
            group[own.rows[category]] = category
    shown = np.flatnonzero(group >= 0)
    points = np.concatenate([rows.prepare.white(rows.others[grey]), rows.cloud[shown]])
    corners = first[list(one.corners)] if one.corners else np.zeros((0, first.shape[1]))
    corner = np.full((4, first.shape[1]), np.nan)
    corner[: len(corners)] = corners
    flat, deep = planes(first, one), solids(first, one)
    ends = (one.category, one.parent, one.sibling, one.toward)
    arrows = np.stack([first[c] if c >= 0 else np.full(first.shape[1], np.nan) for c in ends])
    above = first[one.parent] if one.parent >= 0 else np.full(first.shape[1], np.nan)
    return {
        "focus": one.category,
        "focus_parent": one.parent,
        "sibling": one.sibling,
        "toward": one.toward,
        "corners": one.corners,
        "points": (
            *(rows.labels[number] for number in grey),
            *(rows.words[rows.word[row]] for row in shown),
        ),
        "point_group": np.concatenate([np.full(len(grey), -1), group[shown]]),
        "point_held": np.concatenate([np.ones(len(grey), bool), ~learned[shown]]),
        "plane": np.einsum("kad,pd->kpa", flat, points).astype(np.float32),
        "plane_arrow": np.einsum("kad,pd->kpa", flat, arrows),
        "solid": np.einsum("kad,pd->kpa", deep, points).astype(np.float32),
        "solid_corner": np.einsum("kad,pd->kpa", deep, corner),
        "solid_parent": deep @ above,
    }
