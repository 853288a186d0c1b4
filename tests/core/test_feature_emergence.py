"""A concept planted in one layer of the later checkpoints is found there, and nowhere before."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import answers, api, home
from core.analyses import emergence_units as module
from core.analyses.emergence_units import Sides
from core.analyses.feature_concept import halves, shuffled_labels
from core.analyses.runs import Silent
from core.analyses.states import encoded
from core.figures.feature_emergence import caption, figure, title
from core.figures.theme import Look
from core.models import checkpoints, sources
from core.models import pool as models
from core.models.loaded import Loaded
from core.results.feature_emergence import FeatureEmergence
from core.spec.errors import Error
from core.spec.request import ModelRef, ask
from tests.core.feature_models import carrying, dictionary

N = 40
WORDS = "cat went to a big house and saw them play with some red ball there"


def texts(seed: int, word: str) -> list[str]:
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(N):
        words = list(generator.choice(WORDS.split(), 5, replace=False))
        words.insert(int(generator.integers(1, 5)), word)
        found.append(" ".join(words))
    return found


UP, DOWN = texts(0, "now"), texts(1, "now")  # no word tells them apart
SIDES: dict[str, Any] = {"positive": UP, "negative": DOWN, "shuffles": 100}


def run(m: Loaded, **options: Any) -> FeatureEmergence:
    found = api.run("feature_emergence", m, **options)
    assert isinstance(found, FeatureEmergence)
    return found


def sides(n: int, seed: int = 0) -> Sides:
    member = np.arange(2 * n) < n
    return Sides(member, halves(member, False, seed), shuffled_labels(member, False, 200, seed))


def test_a_planted_unit_is_chosen_and_noise_stays_at_chance() -> None:
    generator = np.random.default_rng(0)
    values = generator.normal(size=(2 * N, 300))
    noise = module.judged(values, sides(N), "neurons")
    assert noise.auc < noise.chance
    assert noise.n_beyond == 0
    values[:N, 17] -= 3
    found = module.judged(values, sides(N), "neurons")
    assert (found.unit, found.n_units, found.n_beyond) == (17, 300, 1)
    assert found.auc > 0.95
    assert 0.6 < found.chance < 0.8


def test_a_direction_is_found_that_no_single_coordinate_has() -> None:
    generator = np.random.default_rng(1)
    values = generator.normal(size=(2 * N, 64))
    assert module.judged(values, sides(N), "directions").auc < 0.7
    values[:N] += 0.35
    found = module.judged(values, sides(N), "directions")
    assert found.auc > 0.9 > found.chance
    assert found.auc > module.judged(values, sides(N), "neurons").auc
    assert found.unit == -1


@pytest.fixture
def family(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    """Three checkpoints; in the last two, neuron 5 of L1 is a detector that is given the answer."""
    real = module.units

    def planted(m: Loaded, progress: Silent, *asked: Any) -> Iterator[Any]:
        for layer, book, values in real(m, progress, *asked):
            if layer == 1 and m.name in ("step-2", "whole"):
                values[:, 5] = 0
                values[: len(UP), 5] = 1
            yield layer, book, values

    def opened(ref: ModelRef, device: str, progress: Silent) -> Loaded:
        other = carrying(llama)
        other.name = Path(ref.name).name
        return other

    monkeypatch.setattr("core.analyses.feature_emergence.units", planted)
    monkeypatch.setattr(models, "apart", opened)
    whole = carrying(llama)
    whole.name = "whole"
    return whole


def test_a_concept_appears_where_and_when_it_was_planted(family: Loaded) -> None:
    found = run(family, checkpoints=["step-1", "step-2"], **SIDES)
    assert found.checkpoints == ("step-1", "step-2", "whole")
    assert found.first == (1, 1)
    np.testing.assert_array_equal(found.auc[1:, 1], 1.0)
    np.testing.assert_array_equal(found.unit[1:, 1], 5)
    assert found.auc[0, 1] < 1
    assert "first appears at L1 of step-2: held-out AUC 1" in api.figure(found).layout.title.text
    frame = found.to_frame()
    assert frame[frame.shown & (frame.layer == 1)].checkpoint.tolist() == ["step-2", "whole"]


def test_features_are_asked_where_there_are_dictionaries(gpt2: Loaded) -> None:
    made = dictionary(gpt2, "L1.resid_post", n=32)
    m = carrying(gpt2, made, dictionary(gpt2, "L0.mlp_out", name="elsewhere"))
    found = run(m, checkpoints=[], by="features", **SIDES)
    assert found.dictionaries[0][:2] == ("", "made")
    assert np.isnan(found.auc[0, 0])
    assert np.isfinite(found.auc[0, 1])
    with pytest.raises(Error, match="no checkpoint has a dictionary of its stream"):
        run(carrying(gpt2), checkpoints=[], by="features", **SIDES)


def test_pooled_neurons_are_those_of_each_text_alone(gpt2: Loaded) -> None:
    some = [*UP[:3], "a", "dog dog dog dog dog dog"]
    ids = encoded(gpt2, some)
    whole = {n: x for n, _, x in module.units(gpt2, Silent(), ids, "neurons", "max")}
    for number, text in enumerate(some):
        one = api.trace(gpt2, text, ["L1.neuron"])["L1.neuron"]
        wanted = one[1:].max(axis=0) if len(one) > 1 else one.max(axis=0)
        np.testing.assert_allclose(whole[1][number], wanted, atol=1e-5)


def test_the_checkpoints_beside_a_model_are_its_rows_and_part_of_the_question(
    tmp_path: Path,
) -> None:
    shipped = next(each for each in home.embedded() if each.name == "embedded-small")
    beside = checkpoints.beside(shipped.folder)
    assert [each.name for each in beside] == sorted(each.name for each in beside)
    assert len(beside) == 8
    named = checkpoints.refs(shipped.folder, ["step-000400", str(tmp_path)])
    assert sources.resolve(named[0]) == beside[3]
    assert named[1].name == str(tmp_path)
    question = ask("feature_emergence", ModelRef("embedded-small"), checkpoints=["step-000400"])
    assert checkpoints.asked(question) == named[:1]
    assert checkpoints.asked(ask("lens", ModelRef("embedded-small"))) == []
    stamp = answers._stamp(answers.backend(), question)
    assert stamp != answers._stamp(answers.backend(), ask("lens", ModelRef("embedded-small")))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"by": "heads"}, "a concept is looked for by neurons, directions, features"),
        ({"pool": "sum"}, "pooled by max, mean, last"),
        ({"least": 0.4}, "least must be an AUC above 0.5"),
        ({"checkpoints": "step-1"}, "a list of names or folders"),
        ({"checkpoints": [3]}, "a checkpoint is a name or a folder"),
        ({"positive": UP[:2]}, "at least 4 are needed"),
        ({"positive": (), "negative": ()}, "say which concept"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(
    gpt2: Loaded, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(Error, match=words):
        run(gpt2, **{**SIDES, "checkpoints": [], **options})


@pytest.mark.parametrize("look", [Look(), Look(dark=True, titled=False)])
def test_map_and_curves_say_what_they_rest_on(gpt2: Loaded, look: Look) -> None:
    found = run(gpt2, checkpoints=[], by="directions", **SIDES)
    assert found.first is None
    assert "no layer reaches" in title(found)
    assert "labels shuffled 100 times" in caption(found)
    assert figure(found, look, show="map").data[0].z.shape == (gpt2.n_layers, 1)
    lines = figure(found, look).data
    assert [trace.name for trace in lines] == ["best direction", "shuffled labels"]
