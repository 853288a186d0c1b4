"""Dictionaries SAELens wrote, read here; dictionaries written here, read by SAELens.

`tests/data/dictionaries/saelens` holds what version 6.54.12 wrote and answered, made by
`python -m benchmarks.peers.dictionaries_saelens make` in its own environment. The last test runs
SAELens itself where that environment exists.
"""

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.peers.environments import FOLDER, ROOT
from core.dictionaries.fold import (
    with_unit_rows,
    without_input_bias,
    without_pre_scale,
    without_scale,
)
from core.dictionaries.formats import opened
from core.dictionaries.save import save
from core.dictionaries.sparse import Norm, SparseDict
from core.spec.errors import Error
from tests.core.small_dictionaries import KINDS, NORMS, drawn

STORED = ROOT / "tests" / "data" / "dictionaries" / "saelens"
CASES = sorted(path.name for path in STORED.iterdir())
PYTHON = FOLDER / "sae-lens" / "bin" / "python"
D = 8


def x(n: int = 12, d: int = D) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(5))


def in_saelens_units(d: SparseDict, codes: torch.Tensor) -> torch.Tensor:
    """SAELens gives what a latent writes where the decoder's length decides who wins."""
    return codes * d.lengths if d.pre_scale else codes


def test_every_architecture_of_saelens_is_stored() -> None:
    assert set(CASES) >= {"standard", "gated", "jumprelu", "topk", "heads", "skip_transcoder"}


@pytest.mark.parametrize("case", CASES)
def test_what_saelens_wrote_encodes_and_decodes_as_saelens_says(case: str) -> None:
    d = opened(STORED / case)
    with np.load(STORED / case / "expected.npz") as stored:
        given, codes, rebuilt = (stored[name] for name in ("x", "codes", "rebuilt"))
    found = in_saelens_units(d, d.encode(torch.tensor(given)))
    np.testing.assert_allclose(found, codes, atol=1e-5)
    np.testing.assert_allclose(d.reconstructed(torch.tensor(given)), rebuilt, atol=1e-5)
    assert (codes > 0).sum() > 12
    assert str(d.site) == {"heads": "L1.head"}.get(
        case, "L1.mlp_in" if d.transcoder else "L1.resid_post"
    )
    assert (d.about.format, d.about.model, d.about.context) == ("SAELens", "small", 64)


def exportable() -> dict[str, SparseDict]:
    """A dictionary for everything the layout can say, some of it by folding."""
    found = {kind: drawn(D, kind, d_out=D) for kind in KINDS if kind != "groupmax"}
    found |= {f"norm-{norm.kind}": drawn(D, "relu", norm=norm, d_out=D) for norm in NORMS}
    found["scaled topk"] = drawn(D, "topk", norm=Norm("scale", 3.0), d_out=D, pre_scale=True)
    found["centred"] = drawn(D, "relu", center=True, d_out=D)
    found["heads"] = drawn(D, "relu", at="L1.head", d_out=D)
    for kind in ("relu", "jumprelu"):
        found[f"pre-scaled {kind}"] = drawn(D, kind, pre_scale=True, d_out=D)
        found[f"transcoder {kind}"] = drawn(D, kind, at="L1.mlp_in", out="L1.mlp_out", d_out=6)
    skip = torch.randn(D, 6, generator=torch.Generator().manual_seed(1))
    found["skip"] = replace(found["transcoder relu"], W_skip=skip)
    for kind in ("relu", "gated", "topk"):
        apart = drawn(D, kind, d_out=D)
        found[f"two biases {kind}"] = replace(apart, b_in=torch.full((D,), 0.3))
    found["scaled gated"] = replace(found["two biases gated"], norm=Norm("scale", 0.5))
    return found


@pytest.mark.parametrize("name", exportable())
def test_what_is_written_comes_back_with_the_same_activations(name: str, tmp_path: Path) -> None:
    d = exportable()[name]
    back = save(d, tmp_path / "written")
    torch.testing.assert_close(back.encode(x()), d.encode(x()), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(back.reconstructed(x()), d.reconstructed(x()), rtol=1e-4, atol=1e-5)
    assert (back.site, back.out_site, back.center, back.heads) == (
        (d.site, d.out_site, d.center, d.heads)
    )
    assert back.about.fingerprint != d.about.fingerprint


def test_densities_are_written_as_saelens_reads_them_and_declare_the_l0(tmp_path: Path) -> None:
    density = np.linspace(0, 0.5, 24)
    back = save(drawn(D, "relu", d_out=D), tmp_path / "written", density=density)
    assert back.about.declared_l0 == pytest.approx(density.sum(), rel=1e-4)


def test_what_the_layout_cannot_say_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(Error, match="one winner in each group"):
        save(drawn(D, "groupmax", d_out=D), tmp_path / "a")
    with pytest.raises(Error, match="no topk transcoder"):
        save(drawn(D, "topk", at="L1.mlp_in", out="L1.mlp_out", d_out=6), tmp_path / "b")
    save(drawn(D, "relu", d_out=D), tmp_path / "c")
    with pytest.raises(Error, match="exists already"):
        save(drawn(D, "relu", d_out=D), tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c"]


@pytest.mark.parametrize("kind", KINDS)
def test_folding_changes_the_weights_and_not_the_meaning(kind: str) -> None:
    d = replace(drawn(D, kind, norm=Norm("scale", 0.4), d_out=D), b_in=torch.full((D,), 0.2))
    for folded in (without_scale(d), without_input_bias(d)):
        torch.testing.assert_close(folded.encode(x()), d.encode(x()), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            folded.reconstructed(x()), d.reconstructed(x()), rtol=1e-4, atol=1e-5
        )


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_length_one_give_activations_in_written_lengths(kind: str) -> None:
    plain = drawn(D, kind, d_out=D)
    if kind in ("topk", "groupmax"):
        with pytest.raises(Error, match="compete by their activations"):
            with_unit_rows(plain)
    d = replace(plain, pre_scale=True)
    folded = with_unit_rows(d)
    torch.testing.assert_close(folded.lengths, torch.ones(24))
    torch.testing.assert_close(folded.encode(x()), d.encode(x()) * d.lengths, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        folded.reconstructed(x()), d.reconstructed(x()), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(without_pre_scale(d).encode(x()), d.encode(x()))


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="SAELens has no environment here")
def test_saelens_itself_says_the_same_of_what_is_written_here(tmp_path: Path) -> None:
    wanted = {name: d for name, d in exportable().items() if name != "centred"}
    for name, d in wanted.items():
        save(d, tmp_path / name)
        np.save(tmp_path / name / "x.npy", x().numpy())
    command = [str(PYTHON), "-m", "benchmarks.peers.dictionaries_saelens", "open", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300)
    for name, d in wanted.items():
        with np.load(tmp_path / name / "found.npz") as found:
            codes, rebuilt = found["codes"], found["rebuilt"]
        written = opened(tmp_path / name)
        ours = in_saelens_units(written, d.encode(x()))
        np.testing.assert_allclose(codes, ours, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(rebuilt, d.reconstructed(x()), atol=1e-5, err_msg=name)
