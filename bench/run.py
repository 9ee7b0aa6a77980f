"""Runs the benchmarks, prints a table and writes `bench/results.json`.

    python bench/run.py                     everything
    python bench/run.py --only 'codec.*'    rows whose names match

With `--only`, rows of an earlier run that were not measured again are kept in the file.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import codec_rows

BENCHMARKS = [*codec_rows.BENCHMARKS]

RESULTS = Path(__file__).with_name("results.json")


def main() -> int:
    options = parse_arguments()
    chosen = [benchmark for benchmark in BENCHMARKS if fnmatch.fnmatch(benchmark.name, options.only)]
    if not chosen:
        print(f"no benchmark matches {options.only!r}; there are:", *(b.name for b in BENCHMARKS), sep="\n  ")
        return 2
    results: dict[str, dict[str, Any]] = {}
    if options.only != "*" and options.out.exists():
        results = {row["name"]: row for row in json.loads(options.out.read_text())}
    for number, benchmark in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {benchmark.name}", file=sys.stderr, flush=True)
        results[benchmark.name] = benchmark.run(options.rounds).as_json()
    order = [benchmark.name for benchmark in BENCHMARKS]
    rows = sorted(results.values(), key=lambda row: order.index(row["name"]) if row["name"] in order else len(order))
    options.out.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    show([row for row in rows if row["name"] in {benchmark.name for benchmark in chosen}])
    print(f"written to {options.out}", file=sys.stderr)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names to run, with * and ?")
    parser.add_argument("--rounds", default=7, type=int, help="rounds of which the best counts")
    parser.add_argument("--out", default=RESULTS, type=Path, help="file to write")
    return parser.parse_args()


def show(rows: list[dict[str, Any]]) -> None:
    table = Table()
    for title in ("name", "value", "bound", "unit", "ratio", "cores", "note"):
        table.add_column(title, justify="right" if title in {"value", "bound", "ratio", "cores"} else "left")
    for row in rows:
        numbers = (f"{row['value']:g}", f"{row['bound']:g}")
        table.add_row(row["name"], *numbers, row["unit"], f"{row['ratio']:.2f}", str(row["n_cores"]), row["note"])
    Console(width=None if sys.stdout.isatty() else 200).print(table)


if __name__ == "__main__":
    sys.exit(main())
