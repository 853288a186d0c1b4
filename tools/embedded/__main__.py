"""`python -m tools.embedded <step>`: make the embedded models, step by step or all at once.

EIDOSCOPE_TRAIN is the folder for runs, EIDOSCOPE_CORPUS the one that holds tinystories-9mb/.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
from dataclasses import replace

from tools.embedded.settings import DICTIONARY_LAYERS, PLANS, SHIPPED, work_folder


def machine() -> str:
    """The processor or GPU that ran the training, for the card."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    cores = f"{platform.machine()}, {os.cpu_count()} cores, shared with other work"
    return f"one thread of a CPU ({cores})"


def tokenizer(_: argparse.Namespace) -> None:
    from tools.embedded.tokenizer import pieces_report, train_tokenizer

    train_tokenizer(work_folder() / "tokenizer")
    print(pieces_report(work_folder() / "tokenizer"))


def train(options: argparse.Namespace) -> None:
    from tools.embedded.train import train as run

    for name in options.models:
        plan = PLANS[name]
        run(replace(plan, minutes=options.minutes or plan.minutes))


def export(options: argparse.Namespace) -> None:
    from tools.embedded import release

    for name in options.models:
        release.final(name)
    release.write_concepts()


def dictionaries(options: argparse.Namespace) -> None:
    from tools.embedded import dictionaries as saes

    for name in options.models:
        layers = tuple(options.layers or DICTIONARY_LAYERS[name])
        for one in saes.train(SHIPPED / name, layers, options.steps).values():
            folder = SHIPPED / name / "sae" / f"topk-L{one.layer - 1}"
            saes.save(one, folder, name, options.steps * saes.BATCH)


def labels(options: argparse.Namespace) -> None:
    from tools.embedded import dictionaries as saes
    from tools.embedded import labelling
    from tools.embedded.reading import Reader

    for name in options.models:
        reader = Reader.open(SHIPPED / name)
        labelled = labelling.labelled_documents(reader)
        for folder in sorted((SHIPPED / name / "sae").iterdir()):
            labelling.write(folder, reader, saes.load(folder), labelled)


def gallery(options: argparse.Namespace) -> None:
    from tools.embedded.galleries import write

    for name in options.models:
        write(SHIPPED / name)


def tune(_: argparse.Namespace) -> None:
    from tools.embedded.tuned import tune as run

    run(SHIPPED / "embedded", SHIPPED / "embedded-tuned")


def history(options: argparse.Namespace) -> None:
    from tools.embedded import history as formation

    for name in options.models:
        formation.write(name, SHIPPED / name, work_folder() / name)


def demonstrations(_: argparse.Namespace) -> None:
    from tools.embedded import demonstrations as shown
    from tools.embedded.reading import Reader

    shown.write(Reader.open(SHIPPED / "embedded"))


def checks(_: argparse.Namespace) -> None:
    from tools.embedded.checks import write

    write()


def accept(options: argparse.Namespace) -> None:
    """Measure, write the cards, and fail loudly if the main model misses a must-goal."""
    from tools.embedded import card, release
    from tools.embedded.acceptance import measure, table

    missed = []
    for name in options.models:
        rows = measure(SHIPPED / name)
        print(table(rows))
        card.write(name, SHIPPED / name, rows, release.run_summary(name), machine())
        missed += [
            f"{name} row {row.number}: {text}" for row in rows for text in row.missed(row.must)
        ]
    if (SHIPPED / "embedded-tuned" / "changes.json").exists():
        card.write_tuned(SHIPPED / "embedded-tuned")
    manifest(options)
    if missed:
        print("must-goals missed:\n" + "\n".join(missed), file=sys.stderr)
        options.failed = True


def cards(options: argparse.Namespace) -> None:
    """Write the cards anew from the stored measurements."""
    from tools.embedded import card, release

    for name in options.models:
        folder = SHIPPED / name
        rows = card.stored_rows(folder)
        card.write(name, folder, rows, release.run_summary(name), machine())
    card.write_tuned(SHIPPED / "embedded-tuned")
    manifest(options)


def manifest(_: argparse.Namespace) -> None:
    from tools.embedded.release import write_manifest

    print(f"{write_manifest() / 1e6:.1f} MB shipped")


def early(options: argparse.Namespace) -> None:
    from tools.embedded import release

    for name in options.models:
        release.early(name)


STEPS = {
    "tokenizer": tokenizer,
    "train": train,
    "export": export,
    "dictionaries": dictionaries,
    "labels": labels,
    "gallery": gallery,
    "tune": tune,
    "history": history,
    "demonstrations": demonstrations,
    "checks": checks,
    "accept": accept,
}
OTHERS = {"manifest": manifest, "cards": cards, "early": early}  # not part of `all`


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.embedded", description=__doc__)
    parser.add_argument("step", choices=(*STEPS, *OTHERS, "all"))
    parser.add_argument(
        "--model", dest="models", choices=tuple(PLANS), action="append", help="default: all of them"
    )
    parser.add_argument(
        "--minutes", type=float, help="wall-clock budget of a training run instead of the plan's"
    )
    parser.add_argument("--steps", type=int, default=5000, help="training steps of a dictionary")
    parser.add_argument(
        "--layers", type=int, action="append", help="train dictionaries after these blocks only"
    )
    options = parser.parse_args()
    options.models, options.failed = options.models or list(PLANS), False
    for step in STEPS if options.step == "all" else (options.step,):
        (STEPS | OTHERS)[step](options)
    return 1 if options.failed else 0


if __name__ == "__main__":
    sys.exit(main())
