"""The reference pages say what the code does, and the README leads to all of them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
PAGES = ROOT / "docs" / "reference"


def test_the_pages_are_as_the_code_makes_them() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "reference.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr


def test_the_readme_leads_to_every_page() -> None:
    linked = set(re.findall(r"\(docs/reference/([a-z-]+\.md)\)", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert linked == {page.name for page in PAGES.iterdir()}


def test_no_row_lacks_its_meaning() -> None:
    for page in PAGES.glob("*.md"):
        for line in page.read_text(encoding="utf-8").splitlines():
            if line.startswith("| `") and page.name in {"configuration.md", "commands.md", "errors.md", "telemetry.md"}:
                assert re.search(r"\w[^|]* \|$", line), f"{page.name}: {line}"
