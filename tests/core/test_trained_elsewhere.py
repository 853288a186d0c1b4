"""Dictionaries trained here open in SAELens itself and give the same codes there."""

import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from core import home
from core.dictionaries.save import config_of
from core.dictionaries.train.recipe import ARCHITECTURES, Recipe
from core.dictionaries.train.saved import Saved
from tests.core.planted_atoms import SITE, Atoms, begun, scale_of

PYTHON = home.ROOT / ".bench-venvs/sae-lens/bin/python"
READ = """
import sys, numpy as np, torch
from sae_lens import SAE
for folder in sys.argv[1:]:
    sae = SAE.load_from_disk(folder, device="cpu")
    x = torch.from_numpy(np.load(f"{folder}/x.npy"))
    with torch.no_grad():
        codes = sae.encode(x)
        np.savez(f"{folder}/there.npz", codes=codes.numpy(), rebuilt=sae.decode(codes).numpy())
"""


@pytest.mark.slow
@pytest.mark.skipif(not PYTHON.exists(), reason="the environment of SAELens is not installed")
def test_saelens_opens_every_architecture_and_gives_equal_codes() -> None:
    atoms, made = Atoms(d=12, n=20, active=2.0), {}
    x = atoms.batch(64, 1) + 0.3
    for architecture in ARCHITECTURES:
        trainer = begun(atoms, Recipe(architecture, 24, 2, 30, 256, 5e-3))
        for step in range(30):
            trainer.update(atoms.batch(256, step) * scale_of(atoms))
        made[architecture] = trainer.dictionary(SITE, architecture, scale_of(atoms))
        saved = Saved(architecture, "key")
        saved.write(made[architecture], config_of(made[architecture]), {}, [], {})
        np.save(saved.folder / "x.npy", x.numpy())
    folders = [str(home.home() / "dictionaries" / name) for name in ARCHITECTURES]
    done = subprocess.run(
        [str(PYTHON), "-c", READ, *folders],
        check=False,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    for name in ARCHITECTURES:
        there = np.load(Path(home.home()) / "dictionaries" / name / "there.npz")
        own = made[name].encode(x)
        torch.testing.assert_close(torch.from_numpy(there["codes"]), own, atol=1e-5, rtol=1e-5)
        rebuilt = made[name].reconstructed(x)
        torch.testing.assert_close(
            torch.from_numpy(there["rebuilt"]), rebuilt, atol=1e-5, rtol=1e-5
        )
