"""Checkpoint by layer by size: a planted concept appears where and when it was planted."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from core import answers, api
from core.figures import depth_emergence as drawing
from core.figures.theme import Look
from core.models import checkpoints
from core.models import pool as models
from core.models.loaded import Loaded
from core.results.depth_emergence import DepthEmergence
from core.spec.errors import Error
from core.spec.request import ModelRef, ask
from tests.core.depth_case import lines
from tests.core.feature_models import carrying

module = import_module("core.analyses.depth_emergence")
N = 120
LABELS = np.arange(N) % 2
ASKED: dict[str, Any] = {"texts": lines(N), "labels": LABELS.tolist()}


def run(m: Loaded, **options: Any) -> DepthEmergence:
    found = api.run("depth_emergence", m, **options)
    assert isinstance(found, DepthEmergence)
    return found


@pytest.fixture
def family(llama: Loaded, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loaded]:
    """Models by name whose states are noise, but for (name, layer) given with a strength."""

    def make(planted: dict[tuple[str, int], float], rows: dict[str, int], seed: int = 0) -> Loaded:
        def states(m: Loaded, *_: Any) -> torch.Tensor:
            rng = np.random.default_rng((seed, sum(map(ord, m.name))))
            found = rng.normal(size=(rows.get(m.name, 4), N, 10))
            for (name, layer), strength in planted.items():
                if name == m.name:
                    found[layer, :, 0] += strength * LABELS
            return torch.tensor(found).float()

        def opened(ref: ModelRef, device: str, progress: Any) -> Loaded:
            other = carrying(llama)
            other.name = Path(ref.name).name
            return other

        monkeypatch.setattr(module, "vectors", states)
        monkeypatch.setattr(models, "apart", opened)
        monkeypatch.setattr(checkpoints, "beside_ref", lambda ref: [])
        whole = carrying(llama)
        whole.name = "whole"
        return whole

    return make


def test_a_concept_appears_at_its_checkpoint_and_layer_and_earlier_in_a_larger_model(
    family: Callable[..., Loaded],
) -> None:
    planted = {("step-200", 3): 4.0, ("whole", 2): 4.0, ("whole", 3): 4.0, ("large", 1): 4.0}
    m = family(planted, {"large": 7})
    found = run(m, checkpoints=["step-000", "step-100", "step-200"], sizes=["large"], **ASKED)
    assert found.checkpoints == ("step-000", "step-100", "step-200", "whole", "large")
    assert found.models == ("whole", "large")
    assert found.first(0) == (2, 3)
    assert found.first(1) == (4, 1)
    assert not found.shown[:2].any()
    np.testing.assert_array_equal(found.steps, [0, 100, 200, np.nan, np.nan])
    assert np.isnan(found.auc[0, 4:]).all()
    assert found.n_layers.tolist() == [3, 3, 3, 3, 6]
    assert "in whole at step-200, behind layer 2" in drawing.title(found)
    assert not found.returned.any()


def test_what_is_lost_and_comes_back_is_marked(family: Callable[..., Loaded]) -> None:
    m = family({("step-1", 2): 4.0, ("step-3", 2): 4.0, ("whole", 2): 4.0}, {})
    found = run(m, checkpoints=["step-1", "step-2", "step-3"], **ASKED)
    assert np.argwhere(found.returned).tolist() == [[2, 2], [3, 2]]
    assert "2 cells show it again" in drawing.caption(found)


def test_the_best_of_many_cells_of_noise_appears_nowhere(family: Callable[..., Loaded]) -> None:
    shown = 0
    for seed in range(6):
        m = family({}, {}, seed)
        found = run(m, checkpoints=[f"step-{n}" for n in range(5)], **ASKED)
        assert np.nanmax(found.auc) > 0.55
        shown += found.first(0) is not None
    assert shown <= 1


def test_the_small_model_learns_number_early_and_verdicts_late_and_nothing_at_step_0() -> None:
    m = api.load("embedded-small", device="cpu")
    some = ["step-000000", "step-000400", "step-014000"]
    early = run(m, labelled="plural", checkpoints=some)
    late = run(m, labelled="review with not", checkpoints=some)
    assert early.first(0) is not None
    assert late.first(0) is not None
    assert early.first(0)[0] == 1  # type: ignore[index]
    assert late.first(0)[0] == 2  # type: ignore[index]
    for found in (early, late):
        assert not found.shown[0].any()
        assert np.abs(found.auc[0] - 0.5).max() < 0.15
    assert not run(m, labelled="random labels", checkpoints=some).shown.any()


def test_every_model_that_is_read_is_part_of_the_question() -> None:
    asked = ask("depth_emergence", ModelRef("embedded-small"), sizes=["embedded"])
    names = [Path(ref.name).name for ref in checkpoints.asked(asked)]
    assert len(names) == 9
    assert names[-1] == "embedded"
    alone = ask("depth_emergence", ModelRef("embedded"), checkpoints=[])
    assert checkpoints.asked(alone) == []
    other = ask("depth_emergence", ModelRef("embedded"), sizes=["embedded-small"])
    assert len(checkpoints.asked(other)) == 9  # with its eight checkpoints
    engine = answers.backend()
    assert answers._stamp(engine, alone) != answers._stamp(engine, other)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"checkpoints": "step-1"}, "a list of names"),
        ({"sizes": "embedded"}, "a list of names"),
        ({"sizes": [3]}, "a name or a folder"),
        ({"checkpoints": ["x"] * 64}, "at most 64"),
        ({"checkpoints": [], "labels": [1] * N}, "one class"),
        ({"checkpoints": [], "shuffles": 0}, "a number from 1"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(
    llama: Loaded, options: dict[str, Any], said: str
) -> None:
    with pytest.raises(Error, match=said):
        run(llama, **{**ASKED, **options})


@pytest.mark.parametrize("look", [Look(), Look(dark=True, titled=False)])
def test_maps_curves_and_sizes_stand_side_by_side(
    family: Callable[..., Loaded], look: Look
) -> None:
    m = family({("whole", 2): 4.0}, {"<b>large</b>": 6})
    found = run(m, checkpoints=["step-0", "step-1"], sizes=["x/<b>large<b>"], shuffles=19, **ASKED)
    fig = drawing.figure(found, look)
    maps = [trace for trace in fig.data if trace.type == "heatmap"]
    assert [np.array(one.z).shape for one in maps] == [(4, 3), (4, 1)]
    assert "<b>large" not in fig.to_json()
    training = drawing.figure(found, look, view="training")
    assert "shuffled labels, best layer, 90 %" in {trace.name for trace in training.data}
    sizes = drawing.figure(found, look, view="sizes")
    assert max(float(np.max(trace.x)) for trace in sizes.data) == 1.0
    assert "labels shuffled 19 times" in drawing.caption(found)
    assert len(found.to_frame()) == 4 * 4
    with pytest.raises(Error, match="the figure can show"):
        drawing.figure(found, look, view="pie")
