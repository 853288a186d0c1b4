"""Dose and response against planted units, and its numbers against the engine asked directly."""

import copy

import numpy as np
import pytest
import torch

from core import api
from core.analyses.dose import best_of
from core.analyses.neutral import neutral_rows
from core.analyses.strength import strength, with_strength
from core.engine.readout import reading_matrix
from core.models import loaded as loading
from core.models.loaded import Loaded
from core.models.tokens import pieces

TEXT = "Once upon a time, there was a little girl named Lily. She loved to play outside."
TOKEN = 300


@pytest.fixture
def planted(stories: Loaded) -> Loaded:
    """A copy in which L4.neuron[7] writes one chosen token and nothing else."""
    m = copy.copy(stories)
    m.module, m.memo = copy.deepcopy(stories.module), {}
    m.stacks = {"": loading._stack(m.module, "", m.row, m.config)}
    m.head = m.module.get_output_embeddings()
    column = reading_matrix(m)[TOKEN] - reading_matrix(m).mean(0)
    weight = m.stacks[""].blocks[4].neurons.weight  # type: ignore[union-attr]
    with torch.no_grad():
        weight[:, 7] = column / column.norm()  # type: ignore[index]
    return m


def test_a_planted_neuron_is_usable_and_its_random_controls_stay_flat(planted: Loaded) -> None:
    clamp = api.Clamp("L4.neuron[7]", 1.0)
    result = api.run("dose", planted, text=TEXT, interventions=[clamp])
    rising = result.probability[np.flatnonzero(result.stop == 0)[0] :]
    assert result.target[0] == pieces(planted, [TOKEN])[0]
    assert (np.diff(rising) > -1e-4).all()
    assert "raises" in result.state
    assert len(result.best) == 1
    assert result.control_high.max() < rising.max() / 2
    assert result.n_controls == 20


def test_a_unit_that_writes_nothing_has_no_usable_strength(planted: Loaded) -> None:
    with torch.no_grad():
        planted.stacks[""].blocks[4].neurons.weight[:, 9] = 0  # type: ignore[union-attr, index]
    clamp = api.Clamp("L4.neuron[9]", 1.0)
    result = api.run("dose", planted, text=TEXT, interventions=[clamp])
    assert set(result.state) == {"no effect"}
    assert (result.band, result.best) == ((), ())


def test_side_effects_are_loss_and_kl_of_a_neutral_text_asked_directly(stories: Loaded) -> None:
    clamp = api.Clamp("L4.neuron[5]", 1.0)
    result = api.run("dose", stories, text=TEXT, interventions=[clamp], unit=6.4, stops=[-1.0, 2.0])
    ids = neutral_rows(stories).ids[0]
    assert len(ids) == result.n_neutral

    def log_p(*changes: object) -> torch.Tensor:
        from core.engine.forward import run

        logits = run(stories, neutral_rows(stories), change=[list(changes)]).logits  # type: ignore[arg-type]
        assert logits is not None
        return torch.log_softmax(logits[0].double(), -1)

    before, after = log_p(), log_p(api.Clamp("L4.neuron[5]", 12.8))
    wanted = (before - after)[torch.arange(len(ids) - 1), ids[1:]].mean()
    kl = (before.exp() * (before - after)).sum(-1).mean()
    assert result.neutral_loss[1] == pytest.approx(float(wanted), rel=1e-3)
    assert result.neutral_kl[1] == pytest.approx(float(kl), rel=1e-3)


def test_a_strength_is_broken_where_the_neutral_text_is_lost(stories: Loaded) -> None:
    wide = api.Add("L2.resid_post", np.linspace(-1, 1, 64), 1.0)
    result = api.run("dose", stories, text=TEXT, interventions=[wide], stops=[0.0, 1.0, 60.0])
    assert result.state[-1] == "broken"
    assert result.neutral_loss[-1] > result.loss_limit > result.neutral_loss[0]


def test_best_is_the_usable_stop_of_the_best_compromise() -> None:
    stops = np.array([0.0, 1.0, 2.0, 3.0])
    state = ("no effect", "raises", "raises", "broken")
    p, loss = np.array([0.1, 0.3, 0.6, 0.9]), np.array([0.0, 0.0, 0.1, 2.0])
    assert best_of(stops, p, 0.1, loss, state) == (2.0,)
    assert best_of(stops, p, 0.1, np.array([0.0, 0.0, 3.0, 4.0]), state) == (1.0,)
    assert best_of(stops, p, 0.1, loss, ("no effect",) * 4) == ()


D = [float(x) for x in np.linspace(-1, 1, 64)]


@pytest.mark.parametrize(
    "change",
    [
        api.Clamp("L2.head[3]", 1.0),
        api.Clamp("L2.up[3]", 1.0),
        api.Clamp("L2.gate[3]", 1.0),
        api.Scale("L2.head[3]", 2.0),
        api.Limit("L2.neuron[3]", high=0.0),
        api.Limit("L2.neuron[3]", low=0.5),
        api.Limit("L2.resid_post", low=-1.0, high=1.0, direction=D),
        api.Add("L2.resid_post", D, 1.0, keep_norm=True),
        api.Project("L2.resid_post", D, center=0.5),
        api.Clamp("L2.neuron[3]@500", 1.0),
        api.Clamp("L2.neuron[3]", 1.0, where="generated"),
        api.Clamp("L2.neuron[3]", 1.0, where="2-4"),
    ],
    ids=str,
)
def test_every_kind_with_a_strength_can_be_swept(change, stories: Loaded) -> None:  # type: ignore[no-untyped-def]
    result = api.run("dose", stories, text=TEXT, interventions=[change])
    assert len(result.state) == len(result.stop) == len(result.probability)
    assert result.kl.max() > 0
    assert result.unit > 0
    assert np.isfinite(result.neutral_loss).all()
    step = (strength(change) - result.origin) / result.unit
    assert result.current == pytest.approx(step)


def test_the_unit_of_a_neuron_is_its_99_9th_percentile(stories: Loaded) -> None:
    result = api.run("dose", stories, text=TEXT, interventions=[api.Clamp("L4.neuron[5]", 1.0)])
    size = api.run("scale", stories, at="L4.neuron[5]")
    assert result.unit == pytest.approx(size.p999, rel=1e-4)
    assert result.natural == pytest.approx((size.low / size.p999, size.high / size.p999), rel=1e-4)
    assert size.p999 < size.unit


def test_one_step_along_a_direction_is_how_far_the_stream_varies_there(stories: Loaded) -> None:
    add = api.Add("L2.resid_post", D, 1.0)
    result = api.run("dose", stories, text=TEXT, interventions=[add])
    size = api.run("scale", stories, at="L2.resid_post", direction=D)
    assert result.unit * np.linalg.norm(D) == pytest.approx(size.p999, rel=1e-4)
    assert result.stream_share == pytest.approx(size.p999 / size.stream, rel=1e-4)
    assert size.low < size.mean < size.high


def test_a_cap_takes_a_floor_above_it_along() -> None:
    limit = api.Limit("L2.neuron[3]", low=1.0, high=2.0)
    assert with_strength(limit, 0.5) == api.Limit("L2.neuron[3]", low=0.5, high=0.5)
    assert with_strength(limit, 1.5) == api.Limit("L2.neuron[3]", low=1.0, high=1.5)
