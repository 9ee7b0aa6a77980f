"""Runs the benchmarks, prints a table and writes `bench/results.json` and with it the table of docs/performance.md.

    python bench/run.py                     everything
    python bench/run.py --only 'codec.*'    rows whose names match

With `--only`, rows of an earlier run that were not measured again are kept in the file. A row whose peer cannot be had on
this machine is written without numbers, and its note says why. When a peer computes something else than we do, the run
ends at once with exit code 1, and nothing is written.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

import challenge_rows
import codec_rows
import devnet_rows
import network_rows
import operator_rows
import raw_rows
import table
from harness import Benchmark, MissingError, Shared, missing_row

BENCHMARKS = [
    *raw_rows.BENCHMARKS,
    *codec_rows.BENCHMARKS,
    *network_rows.BENCHMARKS,
    *challenge_rows.BENCHMARKS,
    *devnet_rows.BENCHMARKS,
    *operator_rows.BENCHMARKS,
]


def main() -> int:
    options = parse_arguments()
    chosen = [benchmark for benchmark in BENCHMARKS if fnmatch.fnmatch(benchmark.name, options.only)]
    if not chosen:
        print(f"no benchmark matches {options.only!r}; there are:", *(b.name for b in BENCHMARKS), sep="\n  ")
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was started is ended
    try:
        return measure(chosen, options)
    finally:
        Shared.close_all()


def measure(chosen: list[Benchmark], options: argparse.Namespace) -> int:
    """Runs these, writes and shows what came out."""
    results: dict[str, dict[str, Any]] = {}
    if options.only != "*" and options.out.exists():
        results = {row["name"]: row for row in json.loads(options.out.read_text())}
    for number, benchmark in enumerate(chosen, start=1):
        print(f"[{number}/{len(chosen)}] {benchmark.name}", file=sys.stderr, flush=True)
        start = time.monotonic()
        try:
            results[benchmark.name] = benchmark.run(options.rounds).as_json() | {"target": benchmark.target}
        except MissingError as reason:
            missing = missing_row(benchmark.name, str(reason))
            results[benchmark.name] = missing.as_json() | {"target": benchmark.target}
            print(f"    not measured: {reason}", file=sys.stderr)
        except AssertionError as difference:
            print(f"    FAILED: {difference}", file=sys.stderr)
            return 1
        print(f"    {time.monotonic() - start:.0f} s", file=sys.stderr)
    order = [benchmark.name for benchmark in BENCHMARKS]
    rows = sorted(results.values(), key=lambda row: order.index(row["name"]) if row["name"] in order else len(order))
    options.out.write_text(json.dumps(rows, indent=2, ensure_ascii=False) + "\n")
    if options.out == table.RESULTS:
        table.main([])
    show(chosen, results)
    print(f"written to {options.out}", file=sys.stderr)
    return 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="*", metavar="PATTERN", help="names to run, with * and ?")
    parser.add_argument(
        "--rounds", default=7, type=int, help="rounds of each row, of which the best or the median counts"
    )
    parser.add_argument("--out", default=table.RESULTS, type=Path, help="file to write")
    return parser.parse_args()


def show(chosen: list[Benchmark], results: dict[str, dict[str, Any]]) -> None:
    """A table of the numbers, and below it what each row was measured against."""
    shown = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("name", "value", "bound", "unit", "ratio", "target", "cores"):
        shown.add_column(title, justify="left" if title in {"name", "unit", "target"} else "right", no_wrap=True)
    for benchmark in chosen:
        shown.add_row(*table.cells(results[benchmark.name]))
    Console(width=None if sys.stdout.isatty() else 120).print(shown)
    print("ratio: value to bound (or peer), both from this run; docs/performance.md explains each bound.")
    for benchmark in chosen:
        print(f"\n{benchmark.name}\n    {results[benchmark.name]['note']}")


if __name__ == "__main__":
    sys.exit(main())
