"""Measure Brewtopia against other tools on the same data, and print a table."""

import argparse
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path

from benchmarks.measure import Figure, print_table, use_two_cores

BENCHMARKS = (
    "cleaning", "many_files", "large", "trends", "redshift_load", "exploring", "reports",
    "uploads",
)  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}")
    parser.add_argument("--real", action="store_true", help="on copies of the real files")
    parser.add_argument("--large", action="store_true", help="the ten-million-order file too")
    parser.add_argument("--scale", type=float, default=1.0, help="smaller data, to try it out")
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured")
    parser.add_argument("--folder", type=Path, help="where the data go for the while")
    given = parser.parse_args()
    if unknown := set(given.names) - set(BENCHMARKS):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    names = given.names or BENCHMARKS[:2]
    if given.large:
        names = [*dict.fromkeys([*names, "large"])]

    use_two_cores()
    figures: list[Figure] = []
    for name in names:
        folder = Path(tempfile.mkdtemp(prefix="brewtopia-benchmark-", dir=given.folder))
        try:
            module = import_module(f"benchmarks.{name}")
            figures += module.run(folder, real=given.real, scale=given.scale, rounds=given.rounds)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print_table(figures)
    sys.exit(any(figure.met is False for figure in figures))


if __name__ == "__main__":
    main()
