"""Figures about contrasts and frames: every view in both looks, text harmless, null drawn."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import api
from core.figures import table
from core.figures.theme import Look
from core.results.base import Result, read_parts
from core.results.table import result_class
from core.spec.errors import Error
from tests.core.planted_contrasts import learned
from tests.core.test_figures import strings
from tests.core.test_frames import KINDS
from tests.pages.samples import HOSTILE

SHOWN: dict[str, tuple[dict[str, Any], ...]] = {
    "concept_directions": (
        {}, {"metric": "causal"}, {"view": "projections"}, {"view": "densities"},
        {"view": "densities", "chosen": (1, 2)}, {"view": "scores"}, {"view": "spectrum"},
    ),
    "concept_push": (
        {}, {"view": "tokens"}, {"view": "tokens", "source": "run", "prompt": 1},
        {"view": "tokens", "source": "control"}, {"view": "arrows"}, {"view": "contexts"},
        {"view": "readings"}, {"view": "readings", "concept": 2, "group": 1},
        {"view": "vocabulary"}, {"view": "vocabulary", "concept": 2, "other": 3},
    ),
    "frames": ({}, {"view": "concepts"}, {"view": "combined"}),
    "guided_decoding": ({}, {"view": "trade-off"}),
}  # fmt: skip
LOOKS = (Look(), Look(dark=True, titled=False))


@pytest.fixture(scope="module")
def results() -> dict[str, Result]:
    m = api.load("embedded", device="cpu")
    return {
        "concept_directions": api.run("concept_directions", m, concepts=learned(), n_random=400),
        "concept_push": api.run(
            "concept_push", m, concepts=learned(), concept="gender", against="past",
            prompts=("The word is", "One day"), n_contexts=24,
        ),
        "frames": api.run("frames", m, concepts=KINDS, concept="metal", against="day"),
        "guided_decoding": api.run("guided_decoding", m, concepts=KINDS, steps=4),
    }  # fmt: skip


def hostile(result: Result) -> Result:
    """The same with every text of a model or a person replaced by one that could break a page."""
    kept = {"name", "request", "guides", "where", "site", "read", "inner", "stopped", "token_pair"}
    renamed = {name: HOSTILE[at % len(HOSTILE)] + str(at) for at, name in enumerate(_names(result))}
    changed = {
        key: _filled(value, renamed) for key, value in result.labels().items() if key not in kept
    }
    return replace(result, **changed)


def _names(result: Result) -> list[str]:
    found: dict[str, None] = {}

    def collect(value: Any) -> None:
        if isinstance(value, str):
            found[value] = None
        elif isinstance(value, tuple):
            for one in value:
                collect(one)

    for value in result.labels().values():
        collect(value)
    return list(found)


def _filled(value: Any, renamed: dict[str, str]) -> Any:
    if isinstance(value, str):
        return renamed[value]
    return tuple(_filled(one, renamed) for one in value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", SHOWN)
def test_no_text_becomes_markup_in_any_view(results: dict[str, Result], name: str) -> None:
    result = hostile(results[name])
    own = re.compile(r"</?b>|<br>|</?extra>")
    for chosen in SHOWN[name]:
        for look in LOOKS:
            sent = json.loads(table.figure(result, look, **chosen).to_json())
            for text in strings(sent):
                assert "<" not in own.sub("", text), (chosen, text)
                assert "$" not in text, (chosen, text)
                assert "\u202e" not in text
                assert "\x00" not in text
            axes = [sent["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
            assert all(axes) or chosen.get("view") == "densities", chosen
            assert ("text" in sent["layout"].get("title", {})) == look.titled
    table.caption(result), table.title(result)


@pytest.mark.parametrize("name", SHOWN)
def test_the_caption_names_the_control_and_the_sample(
    results: dict[str, Result], name: str
) -> None:
    caption = table.caption(results[name])
    assert "control" in caption
    assert "seed 0" in caption
    assert re.search(r"[\d,]+ (pair|word)", caption)
    with pytest.raises(Error, match="can be seen as"):
        table.figure(results[name], view="nothing of the kind")


@pytest.mark.parametrize("name", SHOWN)
def test_an_answer_is_the_same_after_it_was_saved(
    results: dict[str, Result], name: str, tmp_path: Path
) -> None:
    result = results[name]
    kind, arrays, labels = read_parts(result.save(tmp_path / "answer"))
    again = result_class(kind).build(arrays, labels)
    for key, array in result.arrays().items():
        np.testing.assert_array_equal(again.arrays()[key], array)
    assert again.labels() == result.labels() | {"request": again.labels()["request"]}
    assert len(again.to_frame()) == len(result.to_frame()) > 0
    json.loads(table.figure(again).to_json())


def test_cells_and_points_are_the_numbers_of_the_result(results: dict[str, Result]) -> None:
    directions: Any = results["concept_directions"]
    causal = table.figure(directions, metric="causal").data[0]
    np.testing.assert_array_equal(causal.z, np.abs(directions.cosine[0]))
    dots = table.figure(directions, view="projections").data[1]
    np.testing.assert_array_equal(dots.x, directions.projection[0])
    push: Any = results["concept_push"]
    paper, run, chance = (part.z for part in table.figure(push).data[:3])
    np.testing.assert_array_equal(paper, push.effect)
    np.testing.assert_array_equal(run, push.run_effect.mean(axis=0))
    np.testing.assert_array_equal(chance, push.run_control.mean(axis=0))
    frames: Any = results["frames"]
    np.testing.assert_array_equal(table.figure(frames).data[1].x, frames.own)


@pytest.mark.parametrize(
    ("name", "chosen", "said"),
    [
        ("concept_directions", {"metric": "x"}, "metric="),
        ("concept_directions", {"view": "densities", "chosen": (99,)}, "chosen="),
        ("concept_push", {"view": "tokens", "source": "x"}, "source="),
        ("concept_push", {"view": "tokens", "prompt": 9}, "prompts have"),
        ("concept_push", {"view": "arrows", "concept": 99}, "contrasts have"),
        ("concept_push", {"view": "readings", "group": 99}, "groups have"),
    ],
)
def test_what_is_not_there_cannot_be_drawn(results, name, chosen, said):
    with pytest.raises(Error, match=said):
        table.figure(results[name], **chosen)
