"""Put what a run made into assets/models: model folders, card, concepts, manifest."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import torch

from core.corpus.world.catalogue import catalogue
from tools.embedded import networks
from tools.embedded.settings import LARGEST_SHIPPED_MB, PLANS, SHIPPED, work_folder

MANIFEST = SHIPPED / "MANIFEST.json"


def export(name: str, final: bool) -> dict:
    """Write the model folder: final weights, or the running mean of an unfinished run."""
    run = work_folder() / name
    state = torch.load(run / "state.pt", map_location="cpu", weights_only=True)
    model = networks.build(PLANS[name])
    weights = state["model"]
    if not final:
        weights = dict(weights)
        for (parameter, _), value in zip(model.named_parameters(), state["average"], strict=True):
            weights[parameter] = value
        tied = next(parameter for parameter in weights if "embed" in parameter)
        for parameter in weights:
            if parameter.endswith(("lm_head.weight", "embed_out.weight")):
                weights[parameter] = weights[tied]
    networks.save(model, SHIPPED / name, work_folder() / "tokenizer", weights)
    return {key: state[key] for key in ("step", "tokens", "seconds", "history")}


def run_summary(name: str) -> dict:
    """What the stored state says about the run, and notes.md if someone wrote one beside it."""
    state = torch.load(work_folder() / name / "state.pt", map_location="cpu", weights_only=True)
    kept = {key: state[key] for key in ("step", "tokens", "seconds", "resumed", "circuits_end")}
    notes = work_folder() / name / "notes.md"
    return kept | {"notes": notes.read_text(encoding="utf-8") if notes.exists() else ""}


def final(name: str) -> None:
    """The finished weights, and for the model with checkpoints to ship, those."""
    if not (work_folder() / name / "done").exists():
        raise RuntimeError(f"the run of {name} has not finished; `early` ships what there is")
    export(name, final=True)
    if PLANS[name].ship_checkpoints:
        for folder in sorted((work_folder() / name / "checkpoints").iterdir()):
            shutil.copytree(
                folder, SHIPPED / name / "checkpoints" / folder.name, dirs_exist_ok=True
            )


def write_concepts() -> None:
    text = json.dumps(catalogue(), ensure_ascii=False, separators=(",", ":"))
    (SHIPPED / "embedded" / "concepts.json").write_text(text + "\n", encoding="utf-8")


def early_card(name: str, state: dict) -> None:
    last = state["history"][-1] if state["history"] else {}
    (SHIPPED / name / "CARD.md").write_text(
        f"# {name}: an early checkpoint\n\nTraining is not finished: {state['tokens']:,} tokens, "
        f"{state['step']:,} steps (running mean of the weights). Last measurement: "
        f"{json.dumps(last)}.\n\nFor building upon only; the finished weights replace this folder. "
        "Weights: Apache-2.0.\n",
        encoding="utf-8",
    )


def shipped_files() -> list[Path]:
    return sorted(path for path in SHIPPED.rglob("*") if path.is_file() and path != MANIFEST)


def write_manifest() -> int:
    """SHA-256 and size of every shipped file; refuses more than the allowed total. Returns the
    bytes.
    """
    files = {
        str(path.relative_to(SHIPPED)): {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in shipped_files()
    }
    total = sum(one["bytes"] for one in files.values())
    if total > LARGEST_SHIPPED_MB * 1_000_000:
        raise ValueError(
            f"shipped models hold {total / 1e6:.1f} MB, allowed are {LARGEST_SHIPPED_MB}"
        )
    MANIFEST.write_text(json.dumps({"total_bytes": total, "files": files}, indent=1) + "\n")
    return total


def early(name: str) -> None:
    """Ship what there is now, marked as an early checkpoint."""
    early_card(name, export(name, final=False))
    write_concepts()
    print(f"{name}: early checkpoint written, {write_manifest() / 1e6:.1f} MB shipped in all")
