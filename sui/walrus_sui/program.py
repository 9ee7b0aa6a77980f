"""What the command lines of all programs have in common."""

from __future__ import annotations

from typing import Annotated

import typer

from walrus_sui.release import release


def _show(wanted: bool) -> None:  # noqa: FBT001  (typer's callback form)
    if wanted:
        typer.echo(release())
        raise typer.Exit


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_show, is_eager=True, help="Print the version and exit.")
]
"""For the callback of a program, as `_version: VersionOption = False`."""
