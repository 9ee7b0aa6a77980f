"""Runs commands of walrusctl against a gateway over fakes."""

import asyncio
import contextlib
from collections.abc import Iterator

import typer
from typer.testing import CliRunner, Result

from walrus_client.cli import register


class Cli:
    """Runs commands against a gateway."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.opened = 0
        self.app = typer.Typer()
        register(self.app, self._gateway)

    @contextlib.contextmanager
    def _gateway(self) -> Iterator[str]:
        self.opened += 1
        yield self.url

    def now(self, *arguments: str) -> Result:
        return CliRunner().invoke(self.app, list(arguments))

    async def run(self, *arguments: str) -> Result:
        return await asyncio.to_thread(self.now, *arguments)
