"""Write changes into the weights, prove the copy, and save it with a report."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from core.analyses.neutral import neutral_rows, side_effects
from core.analyses.runs import Progress, controls, prompt_rows
from core.engine.forward import run
from core.engine.generate import continuation, generate
from core.models import folders, sources
from core.models.build import build
from core.models.edited import edited as written
from core.models.edited import save
from core.models.library import open_model
from core.models.loaded import Loaded
from core.results.edited import EditedResult
from core.spec.errors import Error
from core.spec.interventions import Change, Control, as_python, listed, to_plain
from core.spec.request import ModelRef

PROMPTS = ("Once upon a time there was", "Yesterday Tom walked. Then", "The little dog")
NEW_TOKENS = 30
N_CONTROLS = 4
REPORTS = ("REPORT.md", "changes.json")
EXACT = 1e-4  # of the largest logit, in float32
ROUNDED = 4e-2  # in half precision, as for the checks at load


def edited(
    loaded: Loaded,
    progress: Progress,
    *,
    interventions: Sequence[Change],
    folder: str,
    prompts: Sequence[str] = PROMPTS,
    seed: int = 0,
) -> EditedResult:
    """A plain Hugging Face folder in which the changes are part of the weights.

    See `core.models.edited` for what can be written. The copy is held to the model under the
    changes before anything is saved (float32: 1e-4 of the largest logit), and again when the
    folder has been loaded through the program's own door; a folder that fails does not appear.
    """
    given = listed(interventions)
    changes = [change for change in given if not isinstance(change, Control)]
    if len(changes) < len(given):
        raise Error("a control is made anew for every text, so it has no form as weights")
    target = folders.target(folder)
    progress.step(0.05, "editing the weights")
    twin = written(loaded, changes)
    wanted = _logits(loaded, progress, changes)
    _prove(loaded, _logits(twin, progress), wanted, "the edited weights")
    progress.step(0.3, "what it does to neutral text")
    kl, loss = side_effects(loaded, progress, [], [changes, *controls(changes, N_CONTROLS, seed)])
    texts = [_texts(model, progress, prompts) for model in (loaded, twin)]
    with folders.appearing(target) as part:
        progress.step(0.6, "writing the folder")
        save(twin, part, sources.resolve(loaded.ref))
        again = _opened(part, loaded)
        found = _logits(again, progress)
        _prove(loaded, found, wanted, "the saved folder")
        result = EditedResult(
            request={},
            model=str(loaded.ref),
            folder=str(target),
            files=tuple(sorted({*REPORTS, *(path.name for path in part.iterdir())})),
            changes=tuple(_line(change) for change in changes),
            n_tokens=int(neutral_rows(loaded).ids.shape[1]),
            n_controls=N_CONTROLS,
            seed=seed,
            prompts=tuple(prompts),
            before=texts[0],
            after=texts[1],
            difference=np.array([float((found - wanted).abs().max())]),
            largest=np.array([float(wanted.abs().max())]),
            kl=np.array([kl[0], kl[1:].mean()]),
            loss_increase=np.array([loss[0], loss[1:].mean()]),
            bytes=np.array([sum(p.stat().st_size for p in part.glob("*.safetensors"))]),
        )
        _describe(part, loaded, changes, result)
    return result


def _logits(loaded: Loaded, progress: Progress, changes: Sequence[Change] = ()) -> Tensor:
    """Logits over the neutral text, float32 [token, d_vocab]."""
    seen = run(
        loaded,
        neutral_rows(loaded),
        change=[changes] if changes else (),
        check=progress.check,
    )
    if seen.logits is None:
        raise Error(f"{loaded.name} has no head for predictions; the edit could not be proved")
    return seen.logits[0].float().cpu()


def _prove(loaded: Loaded, found: Tensor, wanted: Tensor, what: str) -> None:
    largest = float(wanted.abs().max())
    apart = float((found - wanted).abs().max())
    exact = next(loaded.module.parameters()).dtype == torch.float32
    if not apart <= (EXACT if exact else ROUNDED) * max(1.0, largest):
        raise Error(
            f"{what} of {loaded.name} differ from the changes by {apart:.3g} logits (the largest "
            f"is {largest:.3g}), so nothing was written; a norm or a scale between the matrix and "
            "the stream does this, so use the changes themselves"
        )


def _opened(folder: Path, loaded: Loaded) -> Loaded:
    """The folder as anybody would load it, checks included."""
    ref = ModelRef(str(folder), dtype=str(next(loaded.module.parameters()).dtype)[6:])
    return build(open_model(ref, device=str(loaded.device), folder=folder), ref)


def _texts(loaded: Loaded, progress: Progress, prompts: Sequence[str]) -> tuple[str, ...]:
    found = []
    for text in prompts:
        prompt, ids = prompt_rows(loaded, text)
        new = generate(loaded, prompt, max_new_tokens=NEW_TOKENS, check=progress.check)
        found.append(continuation(loaded, ids, new.ids[0]))
    return tuple(found)


def _line(change: Change) -> str:
    """A change in one line, long directions cut."""
    line = as_python(change)
    return line if len(line) <= 160 else line[:150] + "…)"


def _describe(
    folder: Path, loaded: Loaded, changes: Sequence[Change], result: EditedResult
) -> None:
    """changes.json, from which the edit can be made again, and REPORT.md for people."""
    plain = {
        "kind": "eidoscope-edited-model",
        "version": 1,
        "model": [loaded.ref.name, loaded.ref.revision],
        "fingerprint": loaded.fingerprint,
        "changes": [to_plain(change) for change in changes],
    }
    (folder / REPORTS[1]).write_text(json.dumps(plain, indent=1), encoding="utf-8")
    (folder / REPORTS[0]).write_text(report(result), encoding="utf-8")


def report(result: EditedResult) -> str:
    """What was done and what it does, as Markdown; texts of the model stand in code blocks."""
    lines = [
        "# Edited model",
        "",
        f"Made from `{_code(result.model)}`. The changes are part of the weights; `changes.json` "
        "holds them in full. The licence is that of the original model.",
        "",
        f"- Largest difference from the original under the changes: {result.difference[0]:.3g} "
        f"logits (largest logit {result.largest[0]:.3g}; {result.n_tokens} tokens)",
        f"- KL(original ‖ edited) on neutral text: {result.kl[0]:.3g} nats per token; random "
        f"changes that move the stream as far: {result.kl[1]:.3g} (mean of {result.n_controls})",
        f"- Loss on neutral text: {result.loss_increase[0]:+.3g} nats per token; random changes: "
        f"{result.loss_increase[1]:+.3g}",
        "",
        f"## Changes ({len(result.changes)})",
        "",
        *(f"    {_code(line)}" for line in result.changes),
        "",
        "## Texts, greedy, before and after",
        "",
    ]
    for prompt, before, after in zip(result.prompts, result.before, result.after, strict=True):
        block = (f"prompt  {prompt}", f"before  {before}", f"after   {after}")
        lines += [*(f"    {_code(part)}" for part in block), ""]
    return "\n".join(lines)


def _code(text: str) -> str:
    """Text of any origin on one line of a code block."""
    return " ".join(text.split()).replace("`", "ʼ")
