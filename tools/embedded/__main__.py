"""`python -m tools.embedded <step>`: make the embedded models, step by step or all at once."""

from __future__ import annotations

import argparse
from dataclasses import replace

from tools.embedded.settings import PLANS, work_folder


def tokenizer(_: argparse.Namespace) -> None:
    from tools.embedded.tokenizer import pieces_report, train_tokenizer
    train_tokenizer(work_folder() / "tokenizer")
    print(pieces_report(work_folder() / "tokenizer"))


def train(options: argparse.Namespace) -> None:
    from tools.embedded.train import train
    plan = PLANS[options.model]
    train(replace(plan, minutes=options.minutes or plan.minutes))


def early(options: argparse.Namespace) -> None:
    from tools.embedded.release import early
    early(options.model)


STEPS = {"tokenizer": tokenizer, "train": train}
OTHERS = {"early": early}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.embedded", description=__doc__)
    parser.add_argument("step", choices=(*STEPS, *OTHERS, "all"))
    parser.add_argument("--model", choices=tuple(PLANS), default="embedded")
    parser.add_argument("--minutes", type=float, help="wall-clock budget instead of the plan's")
    options = parser.parse_args()
    for step in STEPS if options.step == "all" else (options.step,):
        (STEPS | OTHERS)[step](options)


if __name__ == "__main__":
    main()
