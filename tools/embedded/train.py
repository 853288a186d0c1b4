"""Train one model by its plan: wall-clock budget, three phases, resumable, the same entry on a CPU
and a GPU.

A file called PAUSE in the work folder makes the loop sleep until the file is gone; paused time is
not counted.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional
from transformers import PreTrainedModel

from tools.embedded import networks
from tools.embedded.head_scores import copy_gain, patterns, random_repeats, repeat_scores
from tools.embedded.mix import IGNORED, Mix, held_out_rows
from tools.embedded.settings import Plan, work_folder

SAVE_SECONDS = 180
LOOK_EVERY = 50  # steps between looks at the clock for saving, at the pause file and at the log
MEASURES = 20  # entries of history.json over a whole run
PHASES = {  # shares of generated, prose and repeated rows; longest repeated piece
    "circuits": ((0.45, 0.20, 0.35), 25),
    "world": ((0.68, 0.28, 0.04), 48),
    "decay": ((0.71, 0.27, 0.02), 48),
}
CHECKPOINT_STEPS = (0, 64, 160, 400, 1000, 2500, 6000, 14000, 30000, 60000)
GPU_ROWS = 64  # rows per step on a GPU, where steps are cheap and rows nearly free
AVERAGE = 0.95  # of the running mean of the weights, taken every tenth step


class Run:
    """The state of one training run, on disk in `folder`."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.rows = GPU_ROWS if self.device == "cuda" else plan.rows
        self.model = networks.build(plan).to(self.device)
        matrices = [p for n, p in self.model.named_parameters() if p.ndim == 2 and "embed" not in n]
        others = [
            p for n, p in self.model.named_parameters() if not (p.ndim == 2 and "embed" not in n)
        ]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}],
            lr=plan.rate,
            betas=(0.9, 0.98),
            fused=True,
        )
        self.average = [p.detach().clone() for p in self.model.parameters()]
        self.mix = Mix(work_folder() / "tokenizer", plan.seed)
        self.step, self.tokens, self.seconds, self.resumed = 0, 0, 0.0, 0
        self.circuits_end: float | None = None  # progress at which phase A was left
        self.history: list[dict] = []
        self.resume()

    def resume(self) -> None:
        path = self.folder / "state.pt"
        if not path.exists():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average = [value.to(self.device) for value in state["average"]]
        for name in ("step", "tokens", "seconds", "circuits_end", "history"):
            setattr(self, name, state[name])
        self.resumed = state["resumed"] + 1
        self.mix.seek(self.plan.seed + 1000 * self.resumed)

    def save(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        state = {
            name: getattr(self, name)
            for name in (
                "step",
                "tokens",
                "seconds",
                "circuits_end",
                "history",
                "resumed",
                "average",
            )
        }
        state |= {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict()}
        torch.save(state, self.folder / "state.tmp")
        os.replace(self.folder / "state.tmp", self.folder / "state.pt")
        (self.folder / "history.json").write_text(json.dumps(self.history, indent=1))

    @property
    def progress(self) -> float:
        """0 to 1, by the clock or by the tokens, whichever is further."""
        return min(
            1.0, max(self.seconds / (60 * self.plan.minutes), self.tokens / self.plan.most_tokens)
        )

    @property
    def phase(self) -> str:
        if self.circuits_end is None:
            return "circuits"
        return "world" if self.progress < self.plan.circuits + self.plan.world else "decay"

    def rate(self) -> float:
        decay = 1 - self.plan.circuits - self.plan.world
        return self.plan.rate * min(
            1.0, (self.step + 1) / self.plan.warm_up, (1 - self.progress) / decay + 1e-3
        )


def loss_function(model: PreTrainedModel, device: str) -> Callable[[Tensor, Tensor], Tensor]:
    """(ids, targets) -> mean loss, compiled.

    On one CPU core (6 layers, width 192, 4 rows): 5.6 thousand tokens per second with fused
    attention, 7.3 with plain attention compiled.
    """
    if device == "cpu":
        model.set_attn_implementation("eager")

    def loss(ids: Tensor, targets: Tensor) -> Tensor:
        with torch.autocast(device, torch.bfloat16):
            logits = model(ids, use_cache=False).logits
        return functional.cross_entropy(
            logits.float().flatten(0, 1), targets.flatten(), ignore_index=IGNORED
        )

    return torch.compile(loss, dynamic=False)


def one_step(run: Run, forward: Callable[[Tensor, Tensor], Tensor]) -> float:
    shares, longest = PHASES[run.phase]
    ids, targets = run.mix.batch(run.rows, shares, longest)
    ids, targets = ids.to(run.device), targets.to(run.device)
    for group in run.optimizer.param_groups:
        group["lr"] = run.rate()
    loss = forward(ids, targets)
    if not torch.isfinite(loss):
        raise FloatingPointError(f"{run.plan.name}: loss is {loss.item()} at step {run.step}")
    loss.backward()
    torch.nn.utils.clip_grad_norm_(run.model.parameters(), 1.0)
    run.optimizer.step()
    run.optimizer.zero_grad(set_to_none=True)
    run.step += 1
    run.tokens += ids.numel()
    if run.step % 10 == 0:
        torch._foreach_lerp_(run.average, [p.detach() for p in run.model.parameters()], 1 - AVERAGE)
    return loss.item()


@torch.no_grad()
def measure(run: Run, rows: dict[str, Tensor]) -> dict:
    """Losses on held-out text and the two head scores: the early warning of a run."""
    run.model.eval()
    entry = {
        "step": run.step,
        "tokens": run.tokens,
        "minutes": round(run.seconds / 60, 2),
        "phase": run.phase,
    }
    for name, some in rows.items():
        ids = some.to(run.device)
        logits = run.model(ids[:, :-1]).logits.float()
        entry[f"{name}_loss"] = round(
            functional.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten()).item(), 4
        )
    length = 40
    ids = random_repeats(8, length, seed=0).to(run.device)
    previous, induction = repeat_scores(patterns(run.model, ids), length)
    entry |= {
        "previous_token": round(previous.max().item(), 4),
        "induction": round(induction.max().item(), 4),
        "copy_gain": round(copy_gain(run.model, ids, length), 4),
    }
    run.model.train()
    return entry


def leave_circuits(run: Run, entry: dict) -> None:
    """Phase A ends when both heads are there, at the earliest at its share, at the latest at twice
    that.
    """
    share = run.plan.circuits
    ready = entry["previous_token"] > 0.9 and entry["induction"] > 0.3
    if run.circuits_end is None and run.progress >= (share if ready else 2 * share):
        run.circuits_end = run.progress


def train(plan: Plan) -> Run:
    """Run the plan to its end (or go on with a stopped run), leaving state, history and checkpoints
    on disk.
    """
    torch.set_num_threads(int(os.environ.get("EIDOSCOPE_THREADS", "1")))
    folder = work_folder() / plan.name
    folder.mkdir(parents=True, exist_ok=True)
    run = Run(plan, folder)
    rows = held_out_rows(work_folder() / "tokenizer", 16)
    forward = loss_function(run.model, run.device)
    run.model.train()
    clock = saved = time.monotonic()
    recent: list[float] = []
    measured = math.floor(run.progress * MEASURES) if run.history else -1
    while run.progress < 1:
        if run.step in CHECKPOINT_STEPS:
            store_checkpoint(run)
        recent.append(one_step(run, forward))
        now = time.monotonic()
        run.seconds, clock = run.seconds + now - clock, now
        if run.step % LOOK_EVERY:
            continue
        while (work_folder() / "PAUSE").exists():
            time.sleep(2)
            clock = time.monotonic()
        slot = math.floor(run.progress * MEASURES)
        early = run.circuits_end is None and run.step % (4 * LOOK_EVERY) == 0
        if slot > measured or early:
            measured = slot
            entry = measure(run, rows) | {"train_loss": round(sum(recent) / len(recent), 4)}
            run.history.append(entry)
            leave_circuits(run, entry)
            recent.clear()
            print(json.dumps(entry), flush=True)
        if now - saved > SAVE_SECONDS:
            run.save()
            saved = now
    run.history.append(measure(run, rows))
    run.save()
    networks.save(run.model.cpu(), folder / "final", work_folder() / "tokenizer")
    (folder / "done").write_text(json.dumps(run.history[-1]))
    return run


def store_checkpoint(run: Run) -> None:
    """A plain model folder, with training.json saying how far the run was."""
    folder = run.folder / "checkpoints" / f"step-{run.step:06d}"
    networks.save(run.model, folder, work_folder() / "tokenizer")
    (folder / "training.json").write_text(json.dumps({"step": run.step, "tokens": run.tokens}))
