"""Keeps what programs print on the cluster as text in docs/recorded, without what differs from run to run.

`pytest tests/e2e --record` writes the files; a unit test compares their shape with what the code prints today.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "recorded"

_SAME_EVERY_TIME = (
    # Each replacement is as wide as what it replaces wherever something stands behind it, so that columns stay.
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z"), "2026-01-01T00:00:00Z"),
    (re.compile(r"(walrus-on-kubernetes:[0-9.]+)-[0-9a-f]{12}\b"), r"\1"),
    (
        re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"),
        "0" * 8 + "-0000-0000-0000-" + "0" * 12,
    ),
    (re.compile(r"(?m)^(Target +)[0-9a-f]{10}$"), r"\g<1>0123456789"),
    (re.compile(r"(approved-rollout=)[0-9a-f]{10}\b"), r"\g<1>0123456789"),
    (re.compile(r"(?m)^(Chain +devnet )[0-9A-Za-z]+"), r"\g<1>4c78adac"),
    (re.compile(r"(?m)(  )(?:\d+[dhms]){1,2}$"), r"\g<1>5m"),
)


def normalised(text: str) -> str:
    """The text without times, ages, digests and identifiers of this very run."""
    text = "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"
    for pattern, instead in _SAME_EVERY_TIME:
        text = pattern.sub(instead, text)
    return text


def write(name: str, command: tuple[str, ...], text: str, *, folder: Path = FOLDER) -> None:
    """Writes one file: the command as a user would type it, and what it printed."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.txt").write_text(f"$ {shlex.join(command)}\n{normalised(text)}", encoding="utf-8")
