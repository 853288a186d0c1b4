"""A virtual environment for each peer, made when it is first needed.

The newest libraries of the field exclude each other, so each has its own under
`.bench-venvs/`. torch is installed first and pinned, so that a machine without an NVIDIA card
keeps the CPU build it already knows where to find.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".bench-venvs"
BASE = ("torch==2.13.0", "transformers==5.23.0", "numpy==2.4.6")
PEERS = {
    "transformer-lens": ("transformer-lens==4.3.0",),
    "nnsight": ("nnsight==0.8.1",),
    # Also what tests/core/test_saelens.py compares with.
    "sae-lens": ("sae-lens==6.54.12",),
    "sae-dashboard": (
        *("sae-lens==6.54.12", "matplotlib==3.9.4", "typer==0.12.5"),
        *("marshmallow==4.4.0", "typing-inspect==0.9.0"),
    ),
}
# Installed beside what they ask for: their own pins exclude the torch and transformers above.
ALONE = {
    "sae-dashboard": (
        *("sae-dashboard==0.8.0", "dataclasses-json==0.6.7"),
        *("eindex-callum==0.1.2", "decode-clt==0.0.1"),
    ),
}


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment; "ours" is the one that runs now."""
    if peer == "ours":
        return Path(sys.executable)
    folder = FOLDER / peer
    done = folder / ".installed"
    python = folder / "bin" / "python"
    if not done.exists():
        print(f"installing {peer} into {folder.relative_to(ROOT)}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*install, "torch==2.13.0"], check=True)
        subprocess.run([*install, *BASE, *PEERS[peer]], check=True)
        if peer in ALONE:
            subprocess.run([*install, "--no-deps", *ALONE[peer]], check=True)
        done.touch()
    return python
