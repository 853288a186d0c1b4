"""Every published format, read and held against its own rule written out in numpy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from core.dictionaries.formats import FORMATS, opened, recognised
from core.dictionaries.hook_names import hook
from core.spec.errors import Error
from tests.core.written_cases import CASES, given, written
from tests.core.written_formats import WEIGHTS, N, Written, numbers, saelens

NAMES = tuple(CASES)


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Written]:
    return written(tmp_path_factory.mktemp("formats"))


def x() -> np.ndarray:
    return given(N)


def test_every_format_of_the_table_is_written(there: dict[str, Written]) -> None:
    used = {recognised(each.path).name for each in there.values()}
    assert used == {each.name for each in FORMATS}


@pytest.mark.parametrize("name", NAMES)
def test_codes_and_reconstruction_are_those_of_the_formats_own_rule(
    name: str, there: dict[str, Written]
) -> None:
    one = there[name]
    d = opened(one.path, "mine", **one.said)
    codes, rebuilt = one.rule(x())
    np.testing.assert_allclose(d.encode(torch.tensor(x())), codes, atol=1e-6)
    assert 0.02 < (codes > 0).mean() < 0.9
    if d.center:  # what was taken off is not given back; the centred stream is what is rebuilt
        assert abs(rebuilt.mean()) < 1
    np.testing.assert_allclose(d.reconstructed(torch.tensor(x())), rebuilt, atol=2e-6)
    assert str(d.site) == one.site
    assert str(d.out_site) == (one.out_site or one.site)
    assert d.name == "mine"
    assert len(d.about.fingerprint) == 64


@pytest.mark.parametrize("name", ["openai TopK", "saelens flat"])
def test_what_transformer_lens_processed_is_centred(name: str, there: dict[str, Written]) -> None:
    assert opened(there[name].path).center
    assert not opened(there[name].path, center=False).center
    assert not opened(there["saelens standard"].path).center


def test_a_path_with_an_average_l0_declares_it(there: dict[str, Written]) -> None:
    assert opened(there["gemma scope"].path).about.declared_l0 == 7
    assert opened(there["sparsify"].path).about.declared_l0 == 4


def test_a_file_that_is_part_of_a_folder_stands_for_it(there: dict[str, Written]) -> None:
    whole = opened(there["gemma scope"].path)
    assert opened(there["gemma scope"].path / "params.npz").about == whole.about
    scope = there["llama scope"].path
    assert opened(scope / "checkpoints" / "final.safetensors").about == opened(scope).about


def test_the_fingerprint_is_of_bytes_and_reading(there: dict[str, Written], tmp_path: Path) -> None:
    path = there["saelens standard"].path
    plain = opened(path).about.fingerprint
    assert opened(path, "other").about.fingerprint == plain
    assert opened(path, subtract=False).about.fingerprint != plain
    again = saelens(tmp_path, "standard", numbers(0))
    assert opened(again).about.fingerprint == plain
    (again / "cfg.json").write_text((again / "cfg.json").read_text() + " ")
    assert opened(again).about.fingerprint != plain


def test_what_is_said_wins_over_the_files(there: dict[str, Written]) -> None:
    path = there["saelens topk"].path
    d = opened(path, site="L3.mlp_out", subtract=False, scale=0.5, k=2, center=True)
    assert (str(d.site), d.b_in, d.norm.scale, d.act.k) == ("L3.mlp_out", None, 0.5, 2)
    assert d.center
    with pytest.raises(Error, match="no reading 'sites'; it has site"):
        opened(path, sites="L1.resid_post")
    with pytest.raises(Error, match="no norm 'l2'"):
        opened(path, norm="l2")
    with pytest.raises(Error, match="a whole site"):
        opened(path, site="L1.head[3]")
    with pytest.raises(Error, match="not square"):
        opened(path, transpose=True)


def test_a_missing_scale_is_said(tmp_path: Path) -> None:
    path = saelens(
        tmp_path, "standard", numbers(1), normalize_activations="expected_average_only_in"
    )
    assert "the factor is not in the folder" in " ".join(opened(path).about.notes)
    assert opened(path, scale=0.5).about.notes == ()


@pytest.mark.parametrize(
    ("name", "place", "heads"),
    [
        ("blocks.5.hook_resid_mid", "L5.resid_mid", False),
        ("blocks.0.attn.hook_z", "L0.head", True),
        ("blocks.7.mlp.hook_post", "L7.neuron", False),
        ("blocks.7.mlp.hook_pre", "L7.up", False),
        ("blocks.2.ln2.hook_normalized", "L2.mlp_in", False),
        ("blocks.2.hook_mlp_in", "L2.mlp_in", False),
        ("hook_embed", "L0.resid_pre", False),
        ("L5.cross_out", "L5.cross_out", False),
        ("model.layers.3.output", "L3.resid_post", False),
        ("model.layers.3.self_attn.o_proj.input", "L3.head", True),
        ("gpt_neox.layers.4.mlp", "L4.mlp_out", False),
        ("transformer.h.2", "L2.resid_post", False),
        ("layers.9.self_attn", "L9.attn_out", False),
        ("embed_tokens", "L0.resid_pre", False),
        ("resid_out_layer3", "L3.resid_post", False),
        ("attn_out_layer3", "L3.attn_out", False),
    ],
)
def test_hook_points_of_every_library_are_sites(name: str, place: str, heads: bool) -> None:
    found = hook(name)
    assert (str(found.site), found.heads) == (place, heads)


@pytest.mark.parametrize("name", ["blocks.5.hook_q", "blocks.5.none", "layers.x.mlp", "", "a" * 99])
def test_an_unknown_hook_point_says_what_to_do(name: str) -> None:
    with pytest.raises(Error, match=r"say where the dictionary reads, as in site='L5\.resid_post'"):
        hook(name)


def test_what_a_folder_lacks_is_said_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Error, match="there is no folder or file"):
        opened(tmp_path / "nothing")
    with pytest.raises(Error, match=r"\(nothing\)\. Known are SAELens: cfg\.json \+ sae_weights"):
        opened(tmp_path)
    (tmp_path / "cfg.json").write_text("{}")
    with pytest.raises(Error, match=r"no format is known by what is there \('cfg\.json'\)"):
        opened(tmp_path)


Damage = Callable[[Path], None]


def _edit(**changes: object) -> Damage:
    import json

    def damage(folder: Path) -> None:
        config = json.loads((folder / "cfg.json").read_text())
        (folder / "cfg.json").write_text(json.dumps(config | changes))

    return damage


def _weights(**changes: torch.Tensor) -> Damage:
    from safetensors.torch import load_file, save_file

    def damage(folder: Path) -> None:
        found = load_file(folder / "sae_weights.safetensors") | changes
        kept = {name: value for name, value in found.items() if value.numel()}
        save_file(kept, folder / "sae_weights.safetensors")

    return damage


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (_edit(architecture="temporal"), "names the architecture 'temporal'; those read are"),
        (_edit(architecture="topk"), "k should be a whole number"),
        (_edit(metadata={"hook_name": "blocks.1.hook_q"}), "is no hook point that is known here"),
        (_edit(metadata={}), "the files do not say where it reads"),
        (_edit(metadata={"hook_name": "blocks.1.attn.hook_z", "hook_head_index": 2}), "alone"),
        (_edit(normalize_activations="covariance_whitening"), "normalised by 'covariance"),
        (_weights(W_dec=torch.zeros(0)), "has no tensor W_dec; it holds W_enc, b_dec, b_enc"),
        (_weights(b_enc=torch.full((24,), float("nan"))), "tensor 'b_enc' holds a value that is"),
        (_weights(W_dec=torch.full((24, 8), float("inf"))), "tensor 'W_dec' holds a value that is"),
        (
            _weights(W_dec=torch.ones(23, 8)),
            r"the decoder is \[23, 8\] where the encoder \[8, 24\]",
        ),
        (_weights(b_enc=torch.ones(7)), r"the encoder's bias is \[7\] where"),
        (_weights(W_enc=torch.ones(8)), r"W_enc is \[8\], expected 2 axes"),
        (_weights(W_dec=torch.ones(24, 6), b_dec=torch.ones(6)), "the bias taken off first"),
        (lambda folder: (folder / "cfg.json").write_text("[1"), "cfg.json is not JSON"),
    ],
)
def test_what_is_wrong_with_a_folder_is_said(damage: Damage, sentence: str, tmp_path: Path) -> None:
    folder = saelens(tmp_path, "standard", numbers(3))
    damage(folder)
    with pytest.raises(Error, match=sentence):
        opened(folder)


def test_dead_weights_in_half_precision_are_held_in_float32(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = saelens(tmp_path, "standard", numbers(3))
    found = load_file(folder / "sae_weights.safetensors")
    save_file({k: v.bfloat16() for k, v in found.items()}, folder / "sae_weights.safetensors")
    d = opened(folder)
    assert {d.W_enc.dtype, d.W_dec.dtype, d.b_out.dtype} == {torch.float32}
    assert set(WEIGHTS) <= set(found)
