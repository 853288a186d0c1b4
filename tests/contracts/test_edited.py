"""Changes written into the weights answer as the changes themselves, in every decoder family."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.engine.forward import run
from core.engine.rows import text_rows
from core.models.build import build
from core.models.edited import edited, everywhere, save
from core.models.library import open_model
from core.models.loaded import Loaded
from core.spec.errors import Error
from core.spec.interventions import Ablate, Add, Change, Clamp, Erase, Project, Scale
from core.spec.request import ModelRef
from core.spec.site import Site
from tests.families.recipes import FAMILIES as RECIPES

TEXT = "the cat sat on the mat"
NOT = ("distilbert", "bert", "roberta", "t5", "t5_gated")
DECODERS = [name for name in RECIPES if name not in NOT]
POST_NORM = ("olmo2", "glm4", "gemma2", "gemma3_text", "gemma3")
Model = Callable[[str], Loaded]


def direction(m: Loaded, seed: int = 0) -> tuple[float, ...]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(torch.randn(m.d_model, generator=generator).tolist())


def logits(m: Loaded, changes: tuple[Change, ...] = ()) -> torch.Tensor:
    found = run(m, text_rows(m, TEXT), change=[changes] if changes else ()).logits
    assert found is not None
    return found


def same(m: Loaded, twin: Loaded, changes: tuple[Change, ...]) -> None:
    """Hooked and edited agree, and both differ from the plain model."""
    hooked, plain, own = logits(m, changes), logits(m), logits(twin)
    torch.testing.assert_close(own, hooked, atol=1e-4, rtol=1e-4)
    assert (hooked - plain).abs().max() > 1e-2


@pytest.mark.parametrize("name", DECODERS)
def test_a_direction_taken_out_of_the_weights_is_the_direction_projected_out_everywhere(
    name: str, model: Model
) -> None:
    m = model(name)
    changes = everywhere(m, direction(m))
    before = [value.clone() for value in m.module.parameters()]
    if name in POST_NORM:
        with pytest.raises(Error, match="a norm stands behind the matrix"):
            edited(m, changes)
    elif name == "mixtral":
        with pytest.raises(Error, match="one tensor that is not edited"):
            edited(m, changes)
    elif name == "bloom":
        # A norm follows its embedding: told by measuring, and refused there.
        assert (logits(edited(m, changes)) - logits(m, changes)).abs().max() > 1e-3
    else:
        same(m, edited(m, changes), changes)
    for value, old in zip(m.module.parameters(), before, strict=True):
        assert torch.equal(value, old)


@pytest.mark.parametrize("name", [name for name in DECODERS if name != "mixtral"])
def test_units_ablated_and_scaled_in_the_weights_are_the_changes_themselves(
    name: str, model: Model
) -> None:
    m = model(name)
    changes: tuple[Change, ...] = (
        Ablate(Site(1, "neuron", 3)),
        Scale(Site(0, "neuron", 5), 3.0),
        Scale(Site(1, "head", 1), -0.5),
        Ablate(Site(0, "head", 0)),
    )
    same(m, edited(m, changes), changes)


def test_the_whole_stream_is_orthogonal_to_a_direction_taken_out(model: Model) -> None:
    m = model("llama_tied")
    vector = direction(m)
    twin = edited(m, everywhere(m, vector))
    sites = [Site(0, "resid_pre"), *(Site(n, "resid_post") for n in range(m.n_layers))]
    seen = run(twin, text_rows(m, TEXT), read=sites, logits="none").values
    unit = torch.tensor(vector) / torch.tensor(vector).norm()
    for value in seen.values():
        assert (value @ unit).abs().max() < 1e-5 * value.norm(dim=-1).max()


def test_a_tied_unembedding_keeps_its_own_matrix(model: Model) -> None:
    m = model("llama_tied")
    assert m.head.weight is m.module.get_input_embeddings().weight  # type: ignore[union-attr, operator]
    twin = edited(m, everywhere(m, direction(m)))
    assert torch.equal(twin.head.weight, m.head.weight)  # type: ignore[union-attr, arg-type]
    assert not torch.equal(
        twin.module.get_input_embeddings().weight,  # type: ignore[operator]
        m.module.get_input_embeddings().weight,  # type: ignore[operator]
    )
    assert twin.module.config.tie_word_embeddings is False  # type: ignore[union-attr]
    assert m.module.config.tie_word_embeddings is True  # type: ignore[union-attr]


def test_weights_that_are_not_edited_are_shared(model: Model) -> None:
    m = model("llama")
    twin = edited(m, [Ablate(Site(1, "neuron", 3))])
    old, new = dict(m.module.named_parameters()), dict(twin.module.named_parameters())
    changed = {name for name in old if old[name] is not new[name]}
    assert changed == {"model.layers.1.mlp.down_proj.weight"}


@pytest.mark.parametrize("name", ["gpt2", "gpt_neox", "phi"])
def test_a_direction_is_added_where_a_bias_can_hold_it(name: str, model: Model) -> None:
    m = model(name)
    vector = direction(m)
    changes: tuple[Change, ...] = (
        Add(Site(1, "mlp_out"), vector, 0.7),
        Project(Site(0, "attn_out"), vector, center=1.5, share=0.5),
        Add(Site(0, "resid_pre"), vector, -0.3),
        Project(Site(0, "resid_pre"), vector, center=2.0),
    )
    same(m, edited(m, changes), changes)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (Clamp(Site(1, "neuron", 3), 2.0), "clamp has no form as weights"),
        (Ablate(Site(1, "neuron", 3), "mean"), "ablate has no form as weights"),
        (Ablate(Site(1, "neuron", 3, position=2)), "weights act at every token"),
        (Ablate(Site(1, "neuron", 3), where="prompt"), "weights act at every token"),
        (Project(Site(1, "resid_post"), (1.0,) * 36), "written by several matrices"),
        (Ablate(Site(0, "resid_pre")), "only a direction"),
        (Add(Site(1, "mlp_out"), (1.0,) * 36), "keeps no bias"),
        (Scale(Site(1, "mlp_out", 3), 2.0), "written by several matrices"),
        (Project(Site(1, "head", 0), (1.0,) * 8), "heads and neurons can be ablated"),
        (Erase(Site(1, "mlp_out"), ((1.0,),), ((1.0,),), (1.0,)), "erase has no form as weights"),
        (Ablate(Site(9, "neuron", 3)), "has layers 0 to 2"),
    ],
)
def test_what_weights_cannot_do_is_refused_in_a_sentence(
    change: Change, says: str, model: Model
) -> None:
    with pytest.raises(Error, match=says):
        edited(model("llama"), [change])


@pytest.mark.parametrize("name", ["bert", "t5"])
def test_only_decoders_are_edited(name: str, model: Model) -> None:
    with pytest.raises(Error, match="is no decoder"):
        edited(model(name), [Ablate(Site(0, "neuron", 1))])


def test_nothing_and_a_quantised_model_are_refused(model: Model) -> None:
    from dataclasses import replace
    from types import SimpleNamespace

    m = model("llama")
    with pytest.raises(Error, match="nothing to write"):
        edited(m, [])
    quantised = replace(m, config=SimpleNamespace(quantization_config={"bits": 4}))
    with pytest.raises(Error, match="is quantised"):
        edited(quantised, [Ablate(Site(0, "neuron", 1))])


SAVED = [n for n in DECODERS if n not in (*POST_NORM, "mixtral", "bloom")]


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_folder_is_loaded_by_the_own_door_and_answers_the_same(
    name: str, model: Model, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    m = model(name)
    changes = everywhere(m, direction(m))
    save(edited(m, changes), tmp_path / "new", tiny(name))
    ref = ModelRef(str(tmp_path / "new"))
    again = build(open_model(ref, device="cpu"), ref)
    same(m, again, changes)
    for file in (tmp_path / "new").iterdir():
        assert b"eidoscope" not in file.read_bytes()
