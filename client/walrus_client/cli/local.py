"""`walrusctl local up|down|status`: a whole network as processes of this machine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from walrus_client.challenges.policy import Mode
from walrus_client.cli.output import (
    EXIT_CODES,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    Output,
    errors_explained,
    fail,
    note,
    show,
)

if TYPE_CHECKING:
    from rich.console import Group

    from walrus_client.local import LocalNetwork, LocalState

_REFRESH_S = 0.25


def default_folder() -> Path:
    """Where a local network lies unless told otherwise."""
    base = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    return Path(base).expanduser() / "walrus" / "local"


_DirOption = Annotated[Path | None, typer.Option("--dir", help="Where it lies. Default: ~/.local/state/walrus/local.")]
_OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")]


def commands() -> typer.Typer:
    """The `local` group."""
    app = typer.Typer(
        no_args_is_help=True, help="A whole network on this machine, without Kubernetes.", epilog=EXIT_CODES
    )

    @app.command()
    def up(
        *,
        nodes: Annotated[int, typer.Option(min=1, max=100, help="Storage nodes.")] = 4,
        shards: Annotated[int, typer.Option(min=4, help="Shards; 1 more than a multiple of 3.")] = 100,
        encoding: Annotated[str, typer.Option(help="isal (fast), or rs2 (official blob ids).")] = "isal",
        epoch_duration: Annotated[str, typer.Option(help="Length of an epoch, at least 30s.")] = "10m",
        challenges: Annotated[
            Mode, typer.Option(help="Availability challenges, from epoch 3 on. May change between starts.")
        ] = Mode.VOTE,
        dir_: _DirOption = None,
        detach: Annotated[bool, typer.Option("--detach", help="Return when it is ready, leave it running.")] = False,
        timeout: Annotated[float, typer.Option(min=1, help="Seconds until it must be ready.")] = 180.0,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Bring a network up; a second time, with the data it has. Ctrl-C takes it down again."""
        from walrus_client.local import LocalNetwork, Parameters, check  # noqa: PLC0415 - the chain client: only here

        parameters = Parameters(
            nodes=nodes,
            n_shards=shards,
            encoding=encoding,
            epoch_duration=epoch_duration,
            challenges=challenges.value,
        )
        try:
            check(parameters)
        except ValueError as error:
            fail(str(error), EXIT_USAGE)
        network = LocalNetwork(dir_ or default_folder(), timeout_s=timeout)
        with errors_explained(), _taken_down_unless(network, keep=detach):
            state = asyncio.run(_bring_up(network, parameters))
            show(_summary(network, state), _summary_text(network, state), output)
            if not detach:
                note("Ctrl-C takes it down.")
                _until_interrupted(network, state)

    @app.command()
    def down(
        *,
        dir_: _DirOption = None,
        purge: Annotated[bool, typer.Option("--purge", help="Remove its data too.")] = False,
    ) -> None:
        """Take the network down; its data stay unless purged. Nothing that runs is no error."""
        from walrus_client.local import LocalNetwork  # noqa: PLC0415

        network = LocalNetwork(dir_ or default_folder())
        with errors_explained():
            killed = network.take_down(purge=purge)
        for name in killed:
            note(f"{name} did not stop in time and was killed")
        note(f"the network in {network.layout.root} is {'removed' if purge else 'down'}")

    @app.command()
    def status(*, dir_: _DirOption = None, output: _OutputOption = Output.TEXT) -> None:
        """Tell what runs; exit code 4 when something that should run does not."""
        from walrus_client.local import LocalNetwork  # noqa: PLC0415

        network = LocalNetwork(dir_ or default_folder())
        with errors_explained():
            state = network.state()
            if state is None:
                fail(f"there is no network in {network.layout.root}; start one with `walrusctl local up`", 3)
            document = _summary(network, state)
            document["epoch"] = asyncio.run(network.epoch(state))
        lines = [f"{name}: {'running' if alive else 'stopped'}" for name, alive in document["processes"].items()]
        epoch = "unknown" if document["epoch"] is None else document["epoch"]
        show(document, "\n".join([*lines, f"epoch: {epoch}", f"gateway: {document['gateway']}"]), output)
        if not all(document["processes"].values()):
            raise typer.Exit(EXIT_UNAVAILABLE)

    return app


@contextlib.contextmanager
def local_gateway(folder: Path | None = None) -> Iterator[str]:
    """URL of the local network's gateway; ends the program when none runs."""
    from walrus_client.local import LocalNetwork  # noqa: PLC0415

    network = LocalNetwork(folder or default_folder())
    with errors_explained():
        state = network.state()
    if state is None or not network.alive(state).get("gateway"):
        fail("no gateway is known: give --gateway URL, or start one with `walrusctl local up`", EXIT_UNAVAILABLE)
    yield state.gateway_url


@contextlib.contextmanager
def _taken_down_unless(network: LocalNetwork, *, keep: bool) -> Iterator[None]:
    """Stops what was started when bringing up fails or is interrupted, and everything at the end unless kept."""
    try:
        yield
    except BaseException:
        network.take_back()
        raise
    if not keep:
        note("taking the network down")
        network.take_down()


async def _bring_up(network: LocalNetwork, parameters: Any) -> LocalState:
    task = asyncio.ensure_future(network.bring_up(parameters))
    if sys.stderr.isatty():
        from rich.console import Console  # noqa: PLC0415
        from rich.live import Live  # noqa: PLC0415

        with Live(console=Console(stderr=True), auto_refresh=False, transient=True) as live:
            while not task.done():
                live.update(_view(network), refresh=True)
                await asyncio.wait([task], timeout=_REFRESH_S)
    else:
        said = ""
        while not task.done():
            now = f"{network.progress.step} {network.progress.waiting_for}".strip()
            if now != said:
                note(now)
                said = now
            await asyncio.wait([task], timeout=_REFRESH_S)
    return await task


def _view(network: LocalNetwork) -> Group:
    from rich.console import Group  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    progress = network.progress
    table = Table(show_header=False)
    for name, what in progress.components.items():
        table.add_row(name, what)
    if progress.epoch is not None:
        table.add_row("epoch", str(progress.epoch))
    return Group(f"{progress.step} {progress.waiting_for}".strip(), table)


def _until_interrupted(network: LocalNetwork, state: LocalState) -> None:
    """Waits for Ctrl-C or SIGTERM; says once when a process has ended."""
    stop = asyncio.Event()

    async def watch() -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        gone: set[str] = set()
        while not stop.is_set():
            for name, alive in network.alive(state).items():
                if not alive and name not in gone:
                    gone.add(name)
                    note(f"{name} has ended; see {network.layout.log(name)}")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1):
                    await stop.wait()

    asyncio.run(watch())


def _summary(network: LocalNetwork, state: LocalState) -> dict[str, Any]:
    return {
        "gateway": state.gateway_url,
        "networkConfig": state.network_config_url,
        "dir": str(network.layout.root),
        "nodes": state.parameters.nodes,
        "nShards": state.parameters.n_shards,
        "encoding": state.parameters.encoding,
        "processes": network.alive(state),
    }


def _summary_text(network: LocalNetwork, state: LocalState) -> str:
    parameters = state.parameters
    return "\n".join(
        [
            f"ready: {parameters.nodes} nodes, {parameters.n_shards} shards, {parameters.encoding}",
            f"gateway  {state.gateway_url}",
            f"logs     {network.layout.logs}",
            "next:",
            f"  walrusctl --gateway {state.gateway_url} blob store FILE",
            f"  curl -X PUT {state.gateway_url}/v1/blobs --data-binary @FILE",
            f"  walrusctl local status --dir {network.layout.root}",
            f"  walrusctl local down --dir {network.layout.root}",
        ]
    )
