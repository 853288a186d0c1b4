"""Circles and lines on planted states and real ones: order, chance, and what cannot be split."""

import numpy as np
import pytest

from core import api
from core.analyses import circles
from core.analyses.circle import circle
from core.analyses.clouds import components
from core.analyses.head_nulls import untrained
from core.analyses.runs import Silent
from core.figures import circle as drawing
from core.figures.theme import Look
from core.results.circle import Circle
from core.spec.concept_set import of_words
from core.spec.errors import Error

N = 4_096
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@pytest.fixture(scope="module")
def model():
    return api.load("embedded")


@pytest.fixture(scope="module")
def fresh(model):
    return untrained(model, 0)[0]


def turned(cloud: np.ndarray) -> np.ndarray:
    centred = cloud - cloud.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2].T


def clouds() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, N)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    length, first = 3 * np.abs(rng.normal(size=N)), rng.random(N) < 0.5
    return {
        "gaussian": rng.normal(size=(N, 2)),
        "leaning": rng.normal(size=(N, 2)) @ np.array([[1, 0.8], [0, 0.6]]),
        "rays": np.stack([length * first, length * ~first], axis=1),
        "circle": ring,
        "noisy circle": ring + 0.15 * rng.normal(size=(N, 2)),
    }


def test_a_circle_cannot_be_split_a_gaussian_can_and_two_rays_are_a_mixture():
    shared = {name: circles.separability(turned(cloud)) for name, cloud in clouds().items()}
    strip = {name: circles.mixture(turned(cloud)) for name, cloud in clouds().items()}
    assert shared["circle"] > 1.2
    assert shared["gaussian"] < 0.03
    assert shared["leaning"] < 0.03
    assert shared["noisy circle"] == pytest.approx(0.51, abs=0.06)
    assert strip["rays"] > 0.5
    assert strip["gaussian"] == pytest.approx(0.099, abs=0.01)
    assert strip["circle"] == pytest.approx(0.233, abs=0.02)


def test_the_indices_are_the_same_after_any_rotation():
    cloud = turned(clouds()["noisy circle"])
    for angle in (0.3, 1.0, 2.2):
        c, s = np.cos(angle), np.sin(angle)
        other = cloud @ np.array([[c, -s], [s, c]])
        assert circles.separability(other) == pytest.approx(circles.separability(cloud), abs=0.03)
        assert circles.mixture(other) == pytest.approx(circles.mixture(cloud), abs=0.01)


def test_one_stray_point_does_not_make_a_gaussian_inseparable():
    cloud = np.concatenate([clouds()["gaussian"], [[500.0, 500.0]]])
    assert circles.separability(cloud) < 0.03


def planted(n: int, noise: float, width: int = 64, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    plane = np.linalg.qr(rng.normal(size=(width, 2)))[0].T
    return circles.on_circle(np.arange(n), n) @ plane * 3 + noise * rng.normal(size=(n, width))


@pytest.mark.parametrize("n", [7, 12])
def test_a_planted_circle_is_found_held_out_and_another_order_is_not(n):
    means, targets = planted(n, 0.05), circles.on_circle(np.arange(n), n)
    hat = circles.hats(means, 5, intercept=False)
    order, every = circles.orders(n, 0, cyclic=True)
    own = circles.angular_error(hat @ targets, targets)
    other = circles.permuted_errors(hat, targets, order, circles.angular_error)
    assert own < 0.2
    assert other.mean() > 1.0
    assert other.mean() == pytest.approx(np.pi / 2, abs=0.1)
    assert circles.share_of_orders(-own, -other, every) <= (1 / 360 if n == 7 else 0.001)


def test_held_out_predictions_equal_leaving_out_by_hand():
    means, targets = planted(7, 0.5), circles.on_circle(np.arange(7), 7)
    said = circles.hats(means, 3, intercept=False) @ targets
    for left in range(7):
        rest = [c for c in range(7) if c != left]
        middle = means[rest].mean(axis=0)
        axes = components(means[rest] - middle, 3)
        weights = np.linalg.lstsq((means[rest] - middle) @ axes.T, targets[rest], rcond=None)[0]
        assert np.allclose(said[left], (means[left] - middle) @ axes.T @ weights, atol=1e-8)


def test_held_out_errors_do_not_depend_on_a_rotation_or_on_where_the_cycle_begins():
    means, targets = planted(7, 0.6), circles.on_circle(np.arange(7), 7)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(64, 64)))[0]

    def error(cloud: np.ndarray) -> float:
        hat = circles.hats(cloud, 4, intercept=False)
        return float(circles.angular_error(hat @ targets, targets))

    assert error(means @ turn + 5) == pytest.approx(error(means), abs=1e-8)
    assert error(np.roll(means, 3, axis=0)) == pytest.approx(error(means), abs=1e-8)
    assert error(means[::-1]) == pytest.approx(error(means), abs=1e-8)


def test_random_classes_fit_any_circle_in_sample_and_none_held_out():
    means = np.random.default_rng(3).normal(size=(7, 64))
    targets = circles.on_circle(np.arange(7), 7)
    hat = circles.hats(means, 5, intercept=False)
    assert circles.fitted(means, targets, 6).r2 > 0.999
    assert circles.angular_error(hat @ targets, targets) > 0.8


def test_the_order_test_finds_the_planted_plane_and_counts_every_order_of_seven():
    rng = np.random.default_rng(0)
    angle = 2 * np.pi * np.arange(7) / 7
    low = np.concatenate(
        [4 * rng.normal(size=(7, 1)), 2 * circles.on_circle(np.arange(7), 7)], axis=1
    )
    order, every = circles.orders(7, 0, cyclic=True)
    found, chosen = circles.turning(low, angle, order)
    assert circles.planes(3)[chosen] == (1, 2)
    assert found[0] == pytest.approx(1)
    assert every
    assert len(order) == 720
    assert circles.share_of_orders(found[0], found[1:], every) == pytest.approx(1 / 360)


def test_the_order_test_is_uniform_on_random_classes():
    order, every = circles.orders(7, 0, cyclic=True)
    angle = 2 * np.pi * np.arange(7) / 7
    drawn = [np.random.default_rng(seed).normal(size=(7, 5)) for seed in range(60)]
    found = [circles.turning(low, angle, order)[0] for low in drawn]
    p = np.array([circles.share_of_orders(one[0], one[1:], every) for one in found])
    assert 0.35 < p.mean() < 0.65
    assert (p <= 0.05).mean() < 0.15


def test_what_is_written_at_an_angle_is_read_back_as_that_angle():
    means, targets = planted(12, 0.02), circles.on_circle(np.arange(12), 12)
    one = circles.fitted(means, targets, 5)
    put = means.mean(axis=0) + targets @ one.writes
    assert np.linalg.norm(put - means) < 0.25 * np.linalg.norm(means - means.mean(axis=0))
    assert circles.roundness(targets) == pytest.approx(0)
    assert one.share > 0.9


def test_frequencies_say_how_often_the_classes_go_round():
    twice = circles.on_circle(3 * np.arange(7), 7) @ np.random.default_rng(0).normal(size=(2, 20))
    assert circles.frequencies(twice).argmax() == 2
    random = np.random.default_rng(0).normal(size=(12, 4_000))
    assert np.allclose(circles.frequencies(random), [2 / 11] * 5 + [1 / 11], atol=0.02)


def test_months_are_a_circle_in_the_embedded_model_and_not_in_fresh_weights(model, fresh):
    found = circle(model, Silent(), concepts="embedded: months")
    control = circle(fresh, Silent(), concepts="embedded: months")
    assert (found.error < 0.3).all()
    assert found.shown(3)
    assert (found.frequency[:, 0] > 0.5).all()
    assert (control.error > 1.0).all()
    assert (control.order_p > 0.05).all()
    assert not any(control.shown(row) for row in range(control.n_layers + 1))


def test_days_are_a_circle_of_two_frequencies_and_their_wrong_order_is_none(model):
    found = circle(model, Silent(), concepts="embedded: days")
    assert (found.error_p < 0.02).all()
    assert (found.frequency[:, [0, 2]].sum(axis=1) > 0.8).all()
    wrong = tuple(DAYS[place] for place in (0, 3, 1, 5, 2, 6, 4))
    other = circle(model, Silent(), concepts=wrong, kind="cycle")
    assert (other.error > 0.7).all()
    assert (other.error_p > 0.05).all()


def test_numbers_are_a_line_and_random_orders_of_them_miss_by_more(model, fresh):
    found = circle(model, Silent(), concepts="embedded: numbers")
    assert found.kind == "line"
    assert (found.error < found.error_low).all()
    assert found.order_p[0] < 0.01
    assert circle(fresh, Silent(), concepts="embedded: numbers").error.min() > 4.5


def test_a_word_that_cannot_be_read_leaves_its_place_empty(model):
    found = circle(model, Silent(), concepts=of_words("days", (*DAYS[:6], "\u4e00"), "cycle"))
    if found.dropped:
        assert found.number.tolist() == list(range(6))
        assert found.period == 7
    assert (found.error < 1.2).any()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"concepts": DAYS}, "needs words in order"),
        ({"concepts": DAYS[:3], "kind": "cycle"}, "has 3 words"),
        ({"concepts": "embedded: relations"}, "is a set of pairs"),
        ({"concepts": DAYS, "kind": "spiral"}, "'cycle' or 'line'"),
        ({"concepts": DAYS, "kind": "cycle", "k": 0}, "k= is"),
        ({"concepts": DAYS, "kind": "cycle", "period": 1}, "period= is"),
        ({"concepts": DAYS, "kind": "cycle", "prepare": "odd"}, "prepare= is"),
        ({"concepts": (*DAYS, "Monday"), "kind": "cycle"}, "stands twice"),
        ({"concepts": "no such set"}, "no set of concepts"),
    ],
)
def test_what_cannot_be_asked_is_a_sentence(model, options, said):
    with pytest.raises(Error, match=said):
        circle(model, Silent(), **options)


@pytest.mark.parametrize("family", ["bert", "t5", "gpt2", "gemma2"])
def test_circles_are_found_in_every_kind_of_model(tiny, family):
    found = circle(api.load(tiny(family)), Silent(), concepts=DAYS, kind="cycle")
    assert np.isfinite(found.error[1:]).all()
    assert np.isfinite(found.separability[1:]).all()
    assert drawing.title(found)


@pytest.fixture(scope="module")
def answers(model) -> dict[str, Circle]:
    return {
        "cycle": circle(model, Silent(), concepts="embedded: days"),
        "line": circle(model, Silent(), concepts="embedded: ordinals"),
    }


@pytest.mark.parametrize("view", drawing.VIEWS)
@pytest.mark.parametrize("kind", ["cycle", "line"])
@pytest.mark.parametrize("dark", [False, True])
def test_every_view_is_drawn_with_titled_axes(answers, view, kind, dark):
    if view == "frequencies" and kind == "line":
        with pytest.raises(Error, match="cycle"):
            drawing.figure(answers[kind], Look(), view=view)
        return
    fig = drawing.figure(answers[kind], Look(dark=dark), view=view, layer=2)
    assert fig.layout.title.text
    assert fig.layout.xaxis.title.text
    assert fig.layout.yaxis.title.text


def test_the_words_of_the_figure_say_chance_and_sample(answers):
    said = drawing.title(answers["cycle"]) + drawing.caption(answers["cycle"])
    assert "720 other orders (all)" in said
    assert "in other orders" in said
    assert "4 contexts" in said
    with pytest.raises(Error, match="can show"):
        drawing.figure(answers["cycle"], Look(), view="odd")


def test_hostile_words_are_text_in_the_figure(model):
    words = ("<b>one", "two$", "three&", "four", "five")
    fig = drawing.figure(circle(model, Silent(), concepts=words, kind="line"), Look())
    assert "<b>one" not in fig.to_json().replace("\\u003c", "<")


def test_an_answer_is_the_same_after_saving(answers, tmp_path):
    from core.api import open_result

    again = open_result(answers["cycle"].save(tmp_path / "answer"))
    assert again.words == DAYS
    assert np.array_equal(again.error, answers["cycle"].error)
    assert len(again.to_frame()) == 7
