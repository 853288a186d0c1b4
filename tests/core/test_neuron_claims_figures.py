"""Figures of claims and groups: the numbers of the result, controls named, text harmless."""

import json
import re
from typing import Any

import numpy as np
import pytest

from core.figures import concept_neuron, explain_test, table
from core.figures.theme import Look
from core.results.base import Result
from core.results.packed import pack, unpack
from core.spec.errors import Error
from tests.core.standins import key_of, same
from tests.core.test_figures import strings
from tests.pages import claim_samples as samples
from tests.pages.samples import HOSTILE

LOOKS = (Look(), Look(dark=True), Look(titled=False))
VIEWS = {
    "explain_test": ("score", "strings"),
    "concept_neuron": (),
    "task_spot": ("dose", "layers"),
    "shared_neurons": ("overlap", "silent", "layers"),
    "core_neurons": ("loss", "stability"),
    "domain_neurons": ("entropy", "silent", "layers"),
}


def drawn(result: Result, look: Look = LOOKS[0]) -> list[Any]:
    """Every view as the browser receives it."""
    views: list[dict[str, object]] = [{"view": view} for view in VIEWS[result.name]] or [{}]
    return [json.loads(table.figure(result, look, **chosen).to_json()) for chosen in views]


@pytest.mark.parametrize("look", LOOKS, ids=("light", "dark", "untitled"))
@pytest.mark.parametrize("result", samples.every(), ids=lambda r: r.name)
def test_every_view_names_its_axes_and_reaches_the_browser(result: Result, look: Look) -> None:
    for fig in drawn(result, look):
        axes = {name: axis for name, axis in fig["layout"].items() if re.match(r"[xy]axis", name)}
        named = [axis["title"]["text"] for axis in axes.values() if axis["title"].get("text")]
        assert len(named) >= (1 if result.name == "explain_test" else 2)
        assert ("text" in fig["layout"].get("title", {})) == look.titled
        assert all("bdata" in t["x"] for t in fig["data"] if t["type"] != "heatmap")


@pytest.mark.parametrize("result", samples.hostile(HOSTILE), ids=lambda r: r.name)
def test_no_name_becomes_markup(result: Result) -> None:
    own = re.compile(r"</?b>|<br>|<extra>\w*</extra>")
    for fig in drawn(result):
        for text in strings(fig):
            assert "<" not in own.sub("", text), text
            assert "$" not in text
            assert "\u202e" not in text
            assert "\x00" not in text


@pytest.mark.parametrize("result", samples.every(), ids=lambda r: r.name)
def test_the_caption_names_the_control_and_the_sample(result: Result) -> None:
    caption = table.caption(result)
    assert "control" in caption
    assert re.search(r"\d+ (reference )?(token|text|layer|string)", caption)


@pytest.mark.parametrize("result", samples.every(), ids=lambda r: r.name)
def test_answers_are_kept_and_read_back(result: Result) -> None:
    assert same(unpack(key_of(1), pack(key_of(1), result)), result)
    assert len(result.to_frame()) > 0


def test_an_explanation_that_fails_is_drawn_in_the_warning_colour() -> None:
    good, weak = samples.explain_test(), samples.explain_test(weak=True)
    assert not explain_test.failed(good)
    assert explain_test.failed(weak)
    colours = [
        {t.marker.color for t in explain_test.figure(one, Look()).data if t.name == "this neuron"}
        for one in (good, weak)
    ]
    assert colours[0] != colours[1]


def test_without_pairs_nothing_is_said_about_causes() -> None:
    untested = samples.explain_test(pairs=0)
    assert "was not tested" in table.title(untested)
    fig = explain_test.figure(untested, Look())
    assert any("not tested" in note.text for note in fig.layout.annotations)
    assert not [t for t in fig.data if t.xaxis == "x2"]


def test_strings_stand_in_the_order_of_their_values() -> None:
    result = samples.explain_test()
    fig = explain_test.figure(result, Look(), view="strings")
    means = [t for t in fig.data if t.name.endswith("mean")]
    x, y = np.concatenate([t.x for t in means]), np.concatenate([t.y for t in means])
    assert (np.diff(x[np.argsort(y)]) <= 0).all()


def test_the_title_names_the_candidate_that_passed_or_says_that_none_did() -> None:
    assert table.title(samples.concept_neuron()).startswith("L2.neuron[7] carries")
    none = samples.concept_neuron(specific=False)
    assert table.title(none).startswith("None of 2 candidates")
    rows = concept_neuron.figure(samples.concept_neuron(), Look()).layout.yaxis.ticktext
    assert rows[0] == "L2.neuron[7] (specific)"


@pytest.mark.parametrize("name", [name for name, views in VIEWS.items() if views])
def test_a_view_that_does_not_exist_is_refused(name: str) -> None:
    result = next(one for one in samples.every() if one.name == name)
    with pytest.raises(Error, match="drawn as"):
        table.figure(result, Look(), view="magic")
