"""Writes the reference pages of configuration, commands, error reasons, ports and metrics from the code itself.

python scripts/reference.py            writes docs/reference/*.md
python scripts/reference.py --check    fails when one is stale

It stands outside of the packages because it looks at all of them, which no package may. The pages of the custom
resources come from `walrus_operator.api.generate`, which needs nothing but the models.
"""

from __future__ import annotations

import argparse
import sys

from reference_pages.commands import commands_page
from reference_pages.configuration import configuration_page
from reference_pages.errors import errors_page
from reference_pages.tables import DOCS
from reference_pages.telemetry import telemetry_page


def pages() -> dict[str, str]:
    """Content by file name."""
    made = {
        "configuration.md": configuration_page(),
        "commands.md": commands_page(),
        "errors.md": errors_page(),
        "telemetry.md": telemetry_page(),
    }
    return {name: "\n".join(lines) + "\n" for name, lines in made.items()}


def main() -> int:
    """Writes or checks."""
    arguments = argparse.ArgumentParser(description="Reference pages from the code.")
    arguments.add_argument("--check", action="store_true", help="fail when a page is stale")
    check = arguments.parse_args().check
    stale = {
        name: text
        for name, text in pages().items()
        if not (DOCS / name).exists() or (DOCS / name).read_text(encoding="utf-8") != text
    }
    for name, text in stale.items():
        if check:
            print(f"docs/reference/{name} is stale: run `make reference`", file=sys.stderr)
        else:
            (DOCS / name).write_text(text, encoding="utf-8")
            print(f"wrote docs/reference/{name}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
