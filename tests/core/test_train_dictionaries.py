"""Training finds planted atoms, is what it says it is, and goes on as if it had never stopped."""

import pytest
import torch

from core.dictionaries.train.adam import Adam, clip
from core.dictionaries.train.base import Losses
from core.dictionaries.train.jumprelu import WIDTH, _Fires, _Jump
from core.dictionaries.train.picked import Picked, read, write
from core.dictionaries.train.recipe import ARCHITECTURES, Recipe
from core.dictionaries.train.trainer import TRAINEES, Trainer
from core.spec.errors import Error
from tests.core.planted_atoms import SITE, Atoms, begun, scale_of, trained, unexplained

SMALL = Atoms(d=12, n=20, active=2.0)
# Mean cosine of atoms with their nearest row, reached on SMALL in 400 steps; untrained 0.6.
BARS = {
    "topk": 0.95,
    "batchtopk": 0.9,
    "matryoshka": 0.85,
    "jumprelu": 0.89,
    "gated": 0.74,
    "relu": 0.85,
}


def small(architecture: str, **more: int | float) -> Recipe:
    return Recipe(architecture, 24, 2, **{"steps": 400, "batch": 256, "rate": 5e-3, **more})


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_architecture_finds_planted_atoms(architecture: str) -> None:
    recipe = small(architecture)
    made, x = trained(SMALL, recipe), SMALL.batch(2_000, 10**7)
    untrained = begun(SMALL, recipe).dictionary(made.site, "untrained", scale_of(SMALL))
    assert SMALL.found(made).mean() > BARS[architecture]
    assert SMALL.found(made).mean() > SMALL.found(untrained).mean() + 0.15
    assert 1.0 < len(made.codes(x).value) / len(x) < 3.0
    assert unexplained(made, x) < 0.6


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_topk_finds_nine_of_ten_atoms_of_sixty_four(seed: int) -> None:
    atoms = Atoms(seed=seed)
    found = atoms.found(trained(atoms, Recipe("topk", 64, 3, 2_000, 1_024, 3e-3, seed=seed)))
    assert found.mean() >= 0.97
    assert (found >= 0.95).float().mean() >= 0.9


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_stopped_run_goes_on_to_the_same_bits(architecture: str) -> None:
    recipe, scale = small(architecture, steps=30), scale_of(SMALL)
    whole, first = begun(SMALL, recipe), begun(SMALL, recipe)
    for step in range(30):
        whole.update(SMALL.batch(256, step) * scale)
    for step in range(13):
        first.update(SMALL.batch(256, step) * scale)
    second = begun(SMALL, recipe)
    second.resume(first.tensors())
    for step in range(second.step, 30):
        second.update(SMALL.batch(256, step) * scale)
    for name, value in whole.tensors().items():
        assert torch.equal(value, second.tensors()[name]), name


def test_another_seed_is_another_dictionary_and_another_checkpoint_is_refused() -> None:
    recipe = small("topk", steps=3)
    first, other = begun(SMALL, recipe), begun(SMALL, small("topk", steps=3, seed=1))
    assert not torch.equal(first.trainee.weights["W_dec"], other.trainee.weights["W_dec"])
    with pytest.raises(ValueError, match="another recipe"):
        Trainer(Recipe("gated", 24, 2, 3), torch.zeros(12)).resume(first.tensors())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_scale_is_folded_back_exactly(architecture: str) -> None:
    trainer, scale = begun(SMALL, small(architecture, steps=20)), scale_of(SMALL)
    for step in range(20):
        trainer.update(SMALL.batch(256, step) * scale)
    x = SMALL.batch(50, 99)
    of_scaled = trainer.dictionary(SITE, "scaled")
    of_raw = trainer.dictionary(SITE, "raw", scale)
    torch.testing.assert_close(of_raw.encode(x) * scale, of_scaled.encode(x * scale))
    torch.testing.assert_close(of_raw.reconstructed(x) * scale, of_scaled.reconstructed(x * scale))
    torch.testing.assert_close(of_raw.lengths, torch.ones(24))


def test_sparse_products_have_the_gradients_of_dense_ones() -> None:
    torch.manual_seed(0)
    z, readers, bias = torch.randn(7, 5), torch.randn(9, 5), torch.randn(9)
    rows = torch.randn(9, 5)
    leaves = [one.double().requires_grad_() for one in (z, readers, bias, rows)]
    pre = leaves[0] @ leaves[1].T + leaves[2]
    mask = torch.zeros(7, 9, dtype=torch.bool).scatter(1, pre.topk(3).indices, True)
    weights = torch.randn(7, 5).double()
    dense = (((pre * mask).relu() @ leaves[3]) * weights).sum()
    token, feature = mask.nonzero(as_tuple=True)
    picked = Picked(token, feature, 7, 9)
    values = read(*leaves[:3], pre.detach(), picked).relu()
    sparse = (write(values, leaves[3], picked) * weights).sum()
    torch.testing.assert_close(sparse, dense)
    wanted = torch.autograd.grad(dense, leaves)
    for one, other in zip(torch.autograd.grad(sparse, leaves), wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_adam_and_clipping_are_those_of_torch() -> None:
    torch.manual_seed(0)
    own, theirs = torch.randn(5, 3).requires_grad_(), None
    theirs = own.detach().clone().requires_grad_()
    adam, optimizer = Adam({"w": own}), torch.optim.Adam([theirs], lr=0.01)
    for step in range(5):
        for weight in (own, theirs):
            weight.grad = None
            (weight.sin() * (step + 1)).sum().backward()
        clip({"w": own}, 1.0)
        torch.nn.utils.clip_grad_norm_([theirs], 1.0)
        adam.update(0.01)
        optimizer.step()
    torch.testing.assert_close(own, theirs)


def test_auxk_moves_silent_latents_and_nothing_else() -> None:
    trainer = begun(SMALL, small("topk"))
    x, own = SMALL.batch(256, 0) * scale_of(SMALL), trainer.trainee
    own.memory["silent"][5:9] = 1_000
    z = (x - own.weights["b_dec"]).detach()
    left = own.revived(z, z)  # type: ignore[attr-defined]
    left.backward()
    moved = own.weights["W_dec"].grad.abs().sum(-1) > 0
    assert moved[5:9].any()
    assert not moved[:5].any()
    assert not moved[9:].any()
    assert own.weights["b_dec"].grad is None
    assert trainer.dead == 4


@pytest.mark.parametrize("architecture", ["jumprelu", "gated", "relu"])
def test_silent_latents_begin_anew_where_the_reconstruction_is_bad(architecture: str) -> None:
    recipe = small(architecture, steps=400)
    trainer, scale = begun(SMALL, recipe), scale_of(SMALL)
    for step in range(recipe.dead_after):
        trainer.update(SMALL.batch(256, step) * scale)
    own = trainer.trainee
    own.weights["b_enc"].data[5:9] = -100.0
    own.memory["silent"][5:9] = 1_000
    trainer.adam.mean["W_dec"][5:9] = 7.0
    before = {name: value.clone() for name, value in own.weights.items()}
    found = trainer.update(SMALL.batch(256, recipe.dead_after) * scale)
    assert found.reborn is not None
    assert {5, 6, 7, 8} <= set(found.reborn.tolist())
    assert trainer.dead == 0
    assert (own.weights["b_enc"][5:9] == 0).all()
    assert (trainer.adam.mean["W_dec"][5:9] == 0).all()
    torch.testing.assert_close(own.weights["W_dec"].norm(dim=-1), torch.ones(24))
    near = torch.nn.functional.cosine_similarity(
        own.weights["W_dec"][5:9], before["W_dec"][5:9], dim=-1
    )
    assert near.abs().max() < 0.99
    later = [trainer.update(SMALL.batch(256, step) * scale).fired for step in range(30, 60)]
    assert torch.stack(later).any(0)[5:9].any()


def test_as_many_as_k_fire_when_jumprelu_begins() -> None:
    recipe = Recipe("jumprelu", 512, 8, 10)
    x = torch.randn(2_000, 64, generator=torch.Generator().manual_seed(0))
    found = Trainer(recipe, torch.zeros(64)).trainee.losses(x, 0)
    assert 6 < found.active < 10


def test_a_price_stops_where_k_latents_cost_the_whole_variance() -> None:
    trainer = begun(SMALL, small("jumprelu"))
    for _ in range(700):
        trainer.trainee.after(Losses(torch.zeros(()), torch.zeros(()), 20.0, torch.ones(24) > 0))
    assert float(trainer.trainee.memory["price"]) == pytest.approx(0.5)


def test_a_jump_has_the_estimated_slopes_of_the_paper() -> None:
    near, far = 0.2 * WIDTH, 0.6 * WIDTH
    pre = torch.tensor([[1 + near, 1 + far, 4 - near]]).requires_grad_()
    threshold = torch.tensor([1.0, 1.0, 4.0]).requires_grad_()
    _Jump.apply(pre, threshold).sum().backward()
    torch.testing.assert_close(pre.grad, torch.tensor([[1.0, 1.0, 0.0]]))
    torch.testing.assert_close(threshold.grad, torch.tensor([-1.0, 0.0, -4.0]) / WIDTH)
    threshold.grad = None
    _Fires.apply(pre, threshold).sum().backward()
    torch.testing.assert_close(threshold.grad, torch.tensor([-1.0, 0.0, -1.0]) / WIDTH)


def test_batchtopk_keeps_k_on_average_and_learns_its_threshold() -> None:
    trainer = begun(SMALL, small("batchtopk", steps=10))
    for step in range(10):
        found = trainer.update(SMALL.batch(256, step) * scale_of(SMALL))
        assert found.active <= 2.0
        assert (trainer.trainee.memory["threshold"] >= 0) == (step >= 5)


def test_the_rate_warms_up_stays_and_falls() -> None:
    recipe = Recipe("topk", 16_384, 32, 10_000)
    assert recipe.top_rate == pytest.approx(2e-4)
    assert Recipe("topk", 65_536, 32, 10).top_rate == pytest.approx(1e-4)
    assert Recipe("topk", 64, 3, 10).top_rate == pytest.approx(2e-3)
    rates = [recipe.rate_at(step) for step in (0, 499, 5_000, 7_999, 9_000)]
    assert rates == pytest.approx([4e-7, 2e-4, 2e-4, 2e-4, 1e-4])
    assert (recipe.warm_up, recipe.dead_after) == (500, 100)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"architecture": "magic"}, "no architecture 'magic'; there are topk, batchtopk"),
        ({"k": 25}, "k=25 of 24 features cannot be active"),
        ({"n_features": 1}, "n_features must be a whole number"),
        ({"steps": 0}, "steps must be a whole number"),
        ({"rate": float("nan")}, "rate must be a number"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_in_a_sentence(change: dict, words: str) -> None:
    fields = {"architecture": "topk", "n_features": 24, "k": 2, "steps": 10, **change}
    with pytest.raises(Error, match=words):
        Recipe(**fields)


def test_every_architecture_has_its_trainee() -> None:
    assert set(TRAINEES) == set(ARCHITECTURES)
