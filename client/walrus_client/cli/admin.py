"""`walrusctl admin state|drain|fence|unfence|run|compact`: asks and steers one storage node through its admin port."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from walrus_client.cli import local
from walrus_client.cli.output import (
    EXIT_CODES,
    EXIT_FAILED,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    CommandError,
    Output,
    errors_explained,
    note,
    show,
)

if TYPE_CHECKING:
    from walrus_client.cli.admin_api import AdminApi
    from walrus_proto.admin.v1 import admin_pb2 as pb

_QUICK_S = 20.0

_NodeOption = Annotated[
    str,
    typer.Option(
        "--node",
        envvar="WALRUS_ADMIN_NODE",
        help="HOST:PORT of its admin port; 9186 without a port. Or the name of a node of the local network, such as local-0.",
    ),
]
_TokenOption = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="WALRUS_ADMIN_TOKEN_FILE",
        help="File whose first line is a token it knows. Not needed for the local network.",
    ),
]
_KeyOption = Annotated[
    str | None,
    typer.Option(
        "--server-key", envvar="WALRUS_ADMIN_SERVER_KEY", help="Its network key on chain, in hex; else any is believed."
    ),
]
_OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")]
_TimeoutOption = Annotated[float, typer.Option(min=0, max=3600, help="Seconds to wait for that.")]


def commands() -> typer.Typer:
    """The `admin` group."""
    app = typer.Typer(
        no_args_is_help=True, help="Ask and steer one storage node through its admin port.", epilog=EXIT_CODES
    )

    @app.command()
    def state(
        *,
        node: _NodeOption,
        token_file: _TokenOption = None,
        server_key: _KeyOption = None,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Show all that the node knows about itself. Exit code 1 while it is not ready."""
        answer = _ask(node, token_file, server_key, "GetState", {}, timeout_s=_QUICK_S)
        show(_document(answer), "\n".join(_state_lines(answer)), output)
        if not answer.ready:
            raise typer.Exit(EXIT_FAILED)

    @app.command()
    def drain(
        *,
        node: _NodeOption,
        token_file: _TokenOption = None,
        server_key: _KeyOption = None,
        timeout: _TimeoutOption = 30.0,
        hold: Annotated[
            float, typer.Option(min=1, max=86_400, help="Seconds after which it takes everything again by itself.")
        ] = 600.0,
        resume: Annotated[bool, typer.Option("--resume", help="Take a drain back.")] = False,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Prepare a restart: nothing new begins, reads go on. Exit code 4 when something is still under way at the end."""
        if resume:
            resumed = _ask(node, token_file, server_key, "Resume", {}, timeout_s=_QUICK_S)
            text = "the node takes everything again" if resumed.was_draining else "the node did not drain"
            show(_document(resumed), text, output)
            return
        fields = {"timeout": timeout, "hold": hold}
        answer = _ask(node, token_file, server_key, "Drain", fields, timeout_s=timeout + _QUICK_S)
        if answer.quiet:
            text = "nothing is under way: the node may be restarted"
        elif answer.resumed:
            text = "somebody has taken the drain back"
        else:
            text = f"still under way: {_calls_text(answer.open_calls)}"
        show(_document(answer), text, output)
        if not answer.quiet:
            raise typer.Exit(EXIT_UNAVAILABLE)

    @app.command()
    def fence(
        why: Annotated[str, typer.Argument(help="Why, for those who look at the node later.")],
        *,
        node: _NodeOption,
        token_file: _TokenOption = None,
        server_key: _KeyOption = None,
        grace: Annotated[float, typer.Option(min=0, max=60, help="Seconds that open calls may go on.")] = 0.0,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Turn away every caller of the node's public port until it is unfenced, also after restarts."""
        answer = _ask(node, token_file, server_key, "Fence", {"why": why, "grace": grace}, timeout_s=_QUICK_S)
        was = "the node was fenced already; the reason is a new one" if answer.was_fenced else "the node is fenced"
        show(_document(answer), f"{was}; open were: {_calls_text(answer.open_calls)}", output)

    @app.command()
    def unfence(
        *,
        node: _NodeOption,
        token_file: _TokenOption = None,
        server_key: _KeyOption = None,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Let callers in again."""
        answer = _ask(node, token_file, server_key, "Unfence", {}, timeout_s=_QUICK_S)
        text = "the node takes calls again" if answer.was_fenced else "the node was not fenced"
        show(_document(answer), text, output)

    @app.command()
    def run(
        loop: Annotated[str, typer.Argument(help="Its name; `admin state` lists them.")],
        *,
        node: _NodeOption,
        token_file: _TokenOption = None,
        server_key: _KeyOption = None,
        timeout: _TimeoutOption = 30.0,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Have one of the node's loops make a pass now. Exit code 4 when it is still under way, 1 when it has failed."""
        fields = {"loop": loop, "timeout": timeout}
        answer = _ask(node, token_file, server_key, "RunOnce", fields, timeout_s=timeout + _QUICK_S)
        text = "done" if answer.finished else "still under way, or waiting for the pass before"
        show(_document(answer), f"failed: {answer.failure}" if answer.failure else text, output)
        if answer.failure:
            raise typer.Exit(EXIT_FAILED)
        if not answer.finished:
            raise typer.Exit(EXIT_UNAVAILABLE)

    @app.command()
    def compact(
        *,
        node: _NodeOption,
        token_file: _TokenOption = None,
        server_key: _KeyOption = None,
        timeout: _TimeoutOption = 3600.0,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Have the node's database give back what deleted data take; it goes on when you leave."""
        answer = _ask(node, token_file, server_key, "Compact", {}, timeout_s=timeout)
        show(_document(answer), f"{answer.bytes_before:,} bytes before, {answer.bytes_after:,} after", output)

    return app


def _ask(
    node: str, token_file: Path | None, server_key: str | None, method: str, fields: dict[str, Any], *, timeout_s: float
) -> Any:
    """One call; ends the program with a sentence when it is refused."""
    from walrus_client.cli import admin_api  # noqa: PLC0415 - gRPC takes a while to import
    from walrus_proto.admin.v1 import admin_pb2  # noqa: PLC0415

    made = {name: admin_api.seconds(value) if isinstance(value, float) else value for name, value in fields.items()}
    request = getattr(admin_pb2, f"{method}Request")(**made)
    with errors_explained():
        if token_file is None:
            node, token_file, server_key = _local(node)
        key = admin_api.read_key(server_key) if server_key is not None else None
        api = admin_api.AdminApi(node, admin_api.read_token(token_file), key)
        answer = asyncio.run(api.call(method, request, timeout_s=timeout_s))
    if key is None:
        _warn(api)
    return answer


def _local(name: str) -> tuple[str, Path, str]:
    """Address, file of tokens and key of a node of the local network."""
    from walrus_client.local import LocalNetwork, configs  # noqa: PLC0415 - the chain client: only here
    from walrus_sui.errors import KeyFileError  # noqa: PLC0415
    from walrus_sui.keys import NetworkKey  # noqa: PLC0415

    network = LocalNetwork(local.default_folder())
    state = network.state()
    names = () if state is None else state.parameters.node_names
    if state is None or name not in names:
        raise CommandError(f"give --token-file; {name} is no node of the local network", EXIT_USAGE)
    port = state.ports.nodes[names.index(name)].admin
    if port is None:
        raise CommandError(
            "this local network is of a release whose nodes have no admin port; make it anew", EXIT_USAGE
        )
    folder = network.layout.node(name)
    try:
        key = NetworkKey.load(configs.node_keys(folder)["network"]).public_key
    except KeyFileError as error:
        raise CommandError(str(error)) from error
    return f"127.0.0.1:{port}", configs.admin_tokens(folder), key.hex()


def _warn(api: AdminApi) -> None:
    note(
        f"nobody has compared the key of {api.address}; if it is the right one, give --server-key {api.shown_key.hex()}"
    )


def _document(answer: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    return MessageToDict(answer, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def _state_lines(state: pb.GetStateResponse) -> Iterator[str]:
    info = state.info
    yield f"node      {info.name or '-'} 0x{info.node_id.hex()}"
    yield f"release   {info.version}, up {info.uptime_seconds} s"
    yield f"ready     {'yes' if state.ready else 'no: ' + '; '.join(state.not_ready)}"
    yield f"epoch     {info.epoch}, {info.status}, {len(info.shards)} of {info.n_shards} shards"
    yield f"stored    {info.blobs_stored} blobs, {info.slivers_stored} slivers, {info.storage.bytes_stored:,} bytes"
    yield f"disk      {info.storage.condition}, {info.storage.disk_free:,} bytes free"
    yield f"open      {_calls_text(state.open_calls)}"
    if state.HasField("drain"):
        yield f"drain     {'nothing is under way' if state.drain.quiet else 'waits for what is under way'}"
    if state.HasField("fence"):
        yield f"fence     {state.fence.why}"
    if state.faults_enabled:
        yield f"faults    {'; '.join(state.faults) or 'none'}"
    yield f"loops     {', '.join(state.loops)}"


def _calls_text(calls: pb.OpenCalls) -> str:
    kinds = {
        "stores": calls.stores,
        "transfers": calls.transfers,
        "challenges": calls.challenges,
        "own challenges": calls.own_challenges,
        "reads": calls.reads,
    }
    return ", ".join(f"{count} {kind}" for kind, count in kinds.items() if count) or "nothing"
