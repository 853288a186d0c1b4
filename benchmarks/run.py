"""Run benchmarks by name: `python -m benchmarks.run [name ...] [--repeats N] [--threads 1 2]`.

Raw samples go to benchmarks/results/<name>.json, the tables to the screen and into
benchmarks/README.md.
"""

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from benchmarks import machine
from benchmarks.registry import BENCHMARKS
from benchmarks.report import RESULTS, Report, table

README = Path(__file__).parent / "README.md"
MIN_REPEATS = 7


def main(arguments: Sequence[str] | None = None) -> None:
    asked = _parser().parse_args(arguments)
    unknown = set(asked.names) - set(BENCHMARKS)
    if unknown:
        raise SystemExit(f"no benchmark {', '.join(unknown)}; there are {', '.join(BENCHMARKS)}")
    if asked.repeats < MIN_REPEATS:
        raise SystemExit(f"a minimum over {asked.repeats} repeats says little; use 7 or more")
    busy = machine.busy_cores()
    if busy > machine.BUSY_LIMIT:
        print(
            f"{busy:.1f} cores are busy with other work, so "
            + ("wall times are upper bounds." if asked.allow_load else "wall times are refused.")
        )
    for name in asked.names or BENCHMARKS:
        report = BENCHMARKS[name](
            repeats=asked.repeats, threads=asked.threads, allow_load=asked.allow_load
        )
        print(f"\n## {name}\n\n{table(report)}\n\nraw samples: {report.save()}")
    README.write_text(with_tables(README.read_text(encoding="utf-8")), encoding="utf-8")


def with_tables(text: str) -> str:
    """The README with every block `<!-- table: name -->` filled from the stored samples."""

    def fill(block: re.Match[str]) -> str:
        path = RESULTS / f"{block[1]}.json"
        body = table(Report.open(path)) if path.exists() else "not measured yet"
        return f"<!-- table: {block[1]} -->\n{body}\n<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->.*?<!-- end -->", fill, text, flags=re.DOTALL)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="benchmarks.run", description=(__doc__ or "").strip())
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(BENCHMARKS))
    parser.add_argument("--repeats", type=int, default=9, help="turns after the warm-up, 7 or more")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--allow-load",
        action="store_true",
        help="keep wall times although the machine is busy; they are upper bounds then",
    )
    return parser


if __name__ == "__main__":
    main()
