"""Moving the circle of a name: planted states, the embedded model's calendar, and its controls."""

import numpy as np
import pytest

from core import api
from core.analyses import circles
from core.analyses.circle_patch import circle_patch, replacements
from core.analyses.head_nulls import untrained
from core.analyses.runs import Silent
from core.corpus.cyclic_tasks import TASKS, CyclicTask, cyclic_task
from core.corpus.world.tasks import tasks
from core.figures import circle_patch as drawing
from core.figures.theme import Look
from core.results.circle_patch import TASK_NAMES, CirclePatch
from core.spec.errors import Error


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def months(model) -> CirclePatch:
    return circle_patch(model, Silent(), task="embedded: months", n_pairs=40)


def column(found: CirclePatch, name: str) -> np.ndarray:
    return found.difference[:, found.conditions.index(name)]


def test_tasks_ask_what_the_embedded_models_learned_and_answer_rightly():
    planted = {one.name: one.prompts for one in tasks()}
    for cycle in ("day", "month", "hour"):
        one = TASKS[f"embedded: {cycle}s"]
        made = {
            (one.prompt(a, b), one.names[one.answer(a, b)])
            for a in range(len(one.names))
            for b in range(len(one.steps))
        }
        assert made == {*planted[f"{cycle} steps"], *planted[f"{cycle} steps, held out"]}
    assert TASKS["weekdays"].prompt(6, 1).endswith("Two days from Sunday is")
    assert TASKS["weekdays"].answer(6, 1) == 1


def planted(p: int = 7, q: int = 4, d: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """States with a circle in two directions, a step in a third, and nothing else."""
    rng = np.random.default_rng(0)
    basis = np.linalg.qr(rng.normal(size=(d, 3)))[0].T
    ring = circles.on_circle(np.arange(p), p) @ basis[:2] * 3
    state = ring[:, None] + np.arange(q)[:, None] * basis[2] + 5
    return state.reshape(p * q, d), basis


def test_the_moved_circle_lands_on_the_new_names_place_and_everything_else_on_the_mean():
    state, basis = planted()
    pairs = np.array([[0, 3], [9, 6], [27, 2]])
    put = replacements(state, pairs, 4, (1,), 2, 0)
    wanted = circles.on_circle(pairs[:, 1], 7) * 3
    middle = state.mean(axis=0)
    assert np.allclose((put["circle"] - middle) @ basis[:2].T, wanted, atol=1e-6)
    assert np.allclose((put["circle"] - middle) @ basis[2], 0, atol=1e-6)
    assert np.allclose(put["whole state"], state[pairs[:, 1] * 4 + pairs[:, 0] % 4])
    assert np.allclose(put["mean"], middle)
    for name in ("circle", "random plane"):
        assert np.allclose(np.linalg.norm(put[name] - middle, axis=1), 3, atol=1e-6)


def test_moving_the_circle_of_a_month_turns_the_answer_round_and_a_random_plane_does_not(months):
    assert months.able
    assert months.accuracy == 1
    assert column(months, "clean")[0] > 10
    assert column(months, "circle")[0] < -10
    assert column(months, "whole state")[0] < column(months, "circle")[0]
    assert abs(column(months, "random plane")[0]) < 3
    assert months.answered[0, months.conditions.index("circle")] > 0.7
    assert months.answered[0, months.conditions.index("random plane")] < 0.3
    assert months.best == 0


def test_answers_come_to_lie_on_a_circle_at_the_last_token(months):
    assert np.isnan(months.answer_error[0])
    assert (months.answer_error[1:] < 0.1).all()
    assert (months.answer_low[1:] > 0.8).all()


def test_days_turn_round_only_half_by_one_circle_and_wholly_by_two(model):
    one = circle_patch(model, Silent(), task="embedded: days", n_pairs=40)
    both = circle_patch(model, Silent(), task="embedded: days", n_pairs=40, turns=(1, 3))
    whole = column(one, "whole state")[0]
    assert column(one, "circle")[0] - whole > 1
    assert abs(column(both, "circle")[0] - column(both, "whole state")[0]) < 1


def test_a_model_that_cannot_do_the_task_is_said_to_be_unable(model):
    found = circle_patch(model, Silent(), task="weekdays", n_pairs=16)
    assert not found.able
    assert "cannot do weekdays" in drawing.title(found)


def test_fresh_weights_cannot_add(model):
    fresh = untrained(model, 0)[0]
    found = circle_patch(fresh, Silent(), task="embedded: days", n_pairs=16)
    assert not found.able
    assert (found.error > 0.9).all()
    assert (found.answered < 0.5).all()


def test_tasks_of_ones_own_are_tables(model):
    own = {
        "names": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
        "steps": [("The day after", 1), ("The day before", -1)],
        "template": "{step} {name} is",
    }
    found = circle_patch(model, Silent(), task=own, n_pairs=20)
    assert found.task == "own task"
    assert found.accuracy_among > 0.9


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ("years", "there are weekdays"),
        ({"names": ["a"] * 7, "steps": [("x", 1)], "template": "{step} {name}"}, "different names"),
        ({"names": list("abcdefg"), "steps": [], "template": "{step} {name}"}, "1 to 60 steps"),
        ({"names": list("abcdefg"), "steps": [("x", 1)], "template": "{name}"}, "once each"),
        ({"names": list("abcdefg")}, "a task of a cycle is"),
        (7, "a task of a cycle is"),
    ],
)
def test_tasks_that_cannot_be_asked_are_a_sentence(task, said):
    with pytest.raises(Error, match=said):
        cyclic_task(task)


@pytest.mark.parametrize(
    ("options", "said"),
    [({"turns": (4,)}, "turns= are"), ({"k": 1}, "k= is"), ({"n_pairs": 2}, "n_pairs is"),
     ({"turns": (1, 2, 3)}, "k= is")],
)  # fmt: skip
def test_options_out_of_range_are_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        circle_patch(model, Silent(), task="embedded: days", **options)


@pytest.mark.parametrize("family", ["bert", "t5"])
def test_a_model_that_continues_no_text_is_refused(tiny, family):
    with pytest.raises(Error, match="does not continue"):
        circle_patch(api.load(tiny(family)), Silent())


def test_names_that_share_their_first_token_are_a_sentence(tiny):
    with pytest.raises(Error, match="different tokens"):
        circle_patch(api.load(tiny("gpt2")), Silent(), n_pairs=8)


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_titled_axes(months, view, dark):
    fig = drawing.figure(months, Look(dark=dark), view=view)
    assert fig.layout.title.text
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text
    assert drawing.figure(months, Look(dark=dark), show="answered").layout.yaxis.title.text


def test_the_words_say_accuracy_control_and_sample(months):
    said = drawing.title(months) + drawing.caption(months)
    assert "right for 100%" in said
    assert "random plane" in said
    assert "40 changes" in said
    assert isinstance(TASKS["months"], CyclicTask)
    assert tuple(TASKS) == TASK_NAMES
