"""Figures about features: the numbers of the result, controls named, text harmless."""

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from core import api
from core.figures import table
from core.figures.theme import Look
from core.models.loaded import Loaded
from core.results.base import Result, read_parts
from core.results.table import result_class
from core.spec.errors import Error
from tests.core.feature_models import carrying, dictionary
from tests.core.test_figures import strings
from tests.pages.samples import HOSTILE

TEXTS = tuple(f"{a} {b} dog {n}" for n, a in enumerate(("one", "red", "a")) for b in "abcdef")
CORPUS: dict[str, Any] = {"corpus": TEXTS, "window": 24}
SHOWN = {
    "feature_lens": ({}, {"show": "all"}),
    "feature_effect": ({}, {"show": "ablated"}, {"show": "direct"}),
    "feature_neighbours": ({}, {"show": "neurons"}, {"show": "heads"}),
    "feature_texts": ({}, {"show": "error"}, {"show": "heat"}),
    "feature_concept": ({}, {"show": "texts"}, {"show": "sparse"}),
    "feature_map": ({}, {"show": "density"}, {"show": "label", "selected": 2}),
    "feature_card": ({}, {"show": "log"}, {"show": "position"}),
    "feature_fires": ({},),
}
LOOKS = (Look(), Look(dark=True, titled=False))


@pytest.fixture(scope="module")
def results(gpt2: Loaded) -> dict[str, Result]:
    m = carrying(gpt2, dictionary(gpt2, "L1.head", n=32))

    def ask(name: str, **options: Any) -> Result:
        return api.run(name, m, dictionary="made", **options)

    return {
        "feature_lens": ask("feature_lens", feature=[3, 4], k=6),
        "feature_effect": ask("feature_effect", feature=3, k=6, n_texts=4, **CORPUS),
        "feature_neighbours": ask("feature_neighbours", feature=3, k=6, **CORPUS),
        "feature_texts": ask("feature_texts", text="one two dog", feature=3, k=6),
        "feature_concept": ask(
            "feature_concept", positive=TEXTS[:8], negative=TEXTS[8:], k=5, shuffles=20
        ),
        "feature_map": ask("feature_map", n_groups=4),
        "feature_card": ask("feature_card", feature=3, n_top=4, **CORPUS),
        "feature_fires": ask("feature_fires", pattern="(dog)", token="all", k=5, **CORPUS),
    }


def hostile(result: Result) -> Result:
    """The same with every text of a model or a person replaced by one that could break a page."""
    cycle = [HOSTILE[number % len(HOSTILE)] for number in range(10_000)]
    changed: dict[str, Any] = {}
    for name, value in result.labels().items():
        if name == "named":
            changed[name] = tuple((one, cycle[one]) for one in range(32))
        elif name == "pieces":
            changed[name] = tuple(cycle[: len(value)])
        elif name in ("tokens", "texts", "group_tokens", "says"):
            changed[name] = _filled(value, iter(cycle))
        elif name in ("target", "concept", "corpus", "label", "top_piece"):
            changed[name] = "".join(HOSTILE[1:9])
        elif name == "about":
            changed[name] = (HOSTILE[1], HOSTILE[3])
    return replace(result, **changed)


def _filled(value: Any, words: Any) -> Any:
    if isinstance(value, str):
        return next(words)
    return tuple(_filled(one, words) for one in value) if isinstance(value, tuple) else value


@pytest.mark.parametrize("name", SHOWN)
def test_no_text_becomes_markup_in_any_view(results: dict[str, Result], name: str) -> None:
    result = hostile(results[name])
    own = re.compile(r"</?b>|<br>|<extra>\w*</extra>")
    for chosen in SHOWN[name]:
        for look in LOOKS:
            sent = json.loads(table.figure(result, look, **chosen).to_json())
            for text in strings(sent):
                assert "<" not in own.sub("", text), text
                assert "$" not in text
                assert "\u202e" not in text
                assert "\x00" not in text
            axes = [sent["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")]
            assert all(axes)
            assert ("text" in sent["layout"].get("title", {})) == look.titled
    table.caption(result), table.title(result)


@pytest.mark.parametrize("name", SHOWN)
def test_the_caption_names_the_control_and_the_sample(
    results: dict[str, Result], name: str
) -> None:
    caption = table.caption(results[name])
    assert "control" in caption
    assert re.search(r"[\d,]+ (token|random direction|positive text|target|neighbours)", caption)
    with pytest.raises((Error, TypeError)):
        table.figure(results[name], show="nothing of the kind")


@pytest.mark.parametrize("name", SHOWN)
def test_an_answer_is_the_same_after_it_was_saved(
    results: dict[str, Result], name: str, tmp_path: Any
) -> None:
    result = results[name]
    kind, arrays, labels = read_parts(result.save(tmp_path / "answer"))
    again = result_class(kind).build(arrays, labels)
    for key, array in result.arrays().items():
        np.testing.assert_array_equal(again.arrays()[key], array)
    frame = again.to_frame()
    assert len(frame) == len(result.to_frame()) > 0


def test_bars_and_points_are_the_numbers_of_the_result(results: dict[str, Result]) -> None:
    lens: Any = results["feature_lens"]
    top, bottom = table.figure(lens, row=1, most=4).data
    np.testing.assert_array_equal(top.x, lens.top_z[1, :4])
    np.testing.assert_array_equal(bottom.x, lens.bottom_z[1, :4])
    near: Any = results["feature_neighbours"]
    by_rows, by_firing = table.figure(near).data
    np.testing.assert_array_equal(by_rows.x, near.decoder_cosine)
    np.testing.assert_array_equal(by_firing.y, np.nan_to_num(near.jaccard))
    texts: Any = results["feature_texts"]
    heat = table.figure(texts, show="heat").data[0]
    shown = texts.heat[:, 0]
    np.testing.assert_array_equal(np.nan_to_num(np.array(heat.z, float)), shown * (shown > 0))
    points = table.figure(results["feature_map"]).data[0]
    np.testing.assert_array_equal(points.customdata, results["feature_map"].feature)
    card: Any = results["feature_card"]
    np.testing.assert_array_equal(table.figure(card, show="position").data[0].y, card.by_position)
    fires: Any = results["feature_fires"]
    every, control, chosen, *_ = table.figure(fires).data
    np.testing.assert_array_equal(every.x, fires.recall)
    np.testing.assert_array_equal(chosen.x, fires.table_recall)
    assert control.line.dash == "dash"


def test_of_heads_the_neurons_and_shares_are_drawn_and_elsewhere_refused(
    results: dict[str, Result], gpt2: Loaded
) -> None:
    near: Any = results["feature_neighbours"]
    bars = table.figure(near, show="heads").data
    np.testing.assert_array_equal(bars[0].y, near.head_decoder)
    m = carrying(gpt2, dictionary(gpt2, "L1.resid_post", n=16))
    plain = api.run("feature_neighbours", m, dictionary="made", feature=0, firing=False)
    with pytest.raises(Error, match="does not lie on the heads"):
        table.figure(plain, show="heads")
    assert torch.tensor(plain.head_decoder).numel() == 0
    texts = api.run("feature_texts", m, dictionary="made", text="one two")
    with pytest.raises(Error, match="no feature was followed"):
        table.figure(texts, show="heat")
