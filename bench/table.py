"""Writes the rows of `bench/results.json` as the table of docs/performance.md.

    python bench/table.py            writes it anew
    python bench/table.py --check    exit code 1 when the page shows other numbers than the file

The page keeps the table between two comments; everything else in it is written by hand.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).with_name("results.json")
PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
BEGIN, END = "<!-- table: written by bench/table.py -->", "<!-- end of table -->"


def short(number: float) -> str:
    """Three digits at least, no more than the measurement is worth."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def verdict(row: Mapping[str, Any]) -> str:
    """The target of a row, and whether it was missed; the ratio counts as it is shown."""
    if row["target"] is None:
        return ""
    missed = row["ratio"] is not None and round(row["ratio"], 2) < row["target"]
    return f"≥ {row['target']:.3g}{', missed' if missed else ''}"


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Name, value, bound, unit, ratio, target and cores, as shown; `-` for what could not be measured."""
    if row["value"] is None:
        return (row["name"], "-", "-", "-", "-", verdict(row), "-")
    bound, ratio = ("", "") if row["ratio"] is None else (short(row["bound"]), f"{row['ratio']:.2f}")
    return (row["name"], short(row["value"]), bound, row["unit"], ratio, verdict(row), str(row["n_cores"]))


def markdown(rows: Iterable[Mapping[str, Any]]) -> str:
    """The table."""
    lines = ["| row | value | bound | unit | ratio | target | cores |", "|---|--:|--:|---|--:|--:|--:|"]
    for row in rows:
        name, *numbers = cells(row)
        lines.append(" | ".join([f"| `{name}`", *numbers]) + " |")
    return "\n".join(lines)


def with_table(page: str, table: str) -> str:
    """The page with this table in the place of its own."""
    before, begin, rest = page.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"docs/performance.md lacks the comments {BEGIN!r} and {END!r} around its table")
    return f"{before}{BEGIN}\n\n{table}\n\n{END}{after}"


def main(arguments: Sequence[str]) -> int:
    """Writes the page, or compares it."""
    page = PAGE.read_text(encoding="utf-8")
    wanted = with_table(page, markdown(json.loads(RESULTS.read_text(encoding="utf-8"))))
    if "--check" in arguments:
        return int(page != wanted)
    PAGE.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
