"""`walrusctl devnet advance|faults`: time and faults of an embedded devnet, through its admin interface."""

from __future__ import annotations

import http.client
import json
import urllib.parse
from pathlib import Path
from typing import Annotated, Any

import typer

from walrus_client.cli import local
from walrus_client.cli.output import (
    EXIT_CODES,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    Output,
    errors_explained,
    exit_code,
    fail,
    show,
)

_EXTRA_S = 30.0
"""What an answer may take beyond the time that the devnet was given."""

_UrlOption = Annotated[
    str | None,
    typer.Option(
        "--devnet", envvar="WALRUS_DEVNET", help="URL of the devnet's faucet port; the local network's by default."
    ),
]
_TokenOption = Annotated[
    Path, typer.Option("--token-file", envvar="WALRUS_DEVNET_TOKEN_FILE", help="File with the devnet's admin token.")
]
_OutputOption = Annotated[Output, typer.Option("--output", "-o", help="Form of the result.")]


def commands() -> typer.Typer:
    """The `devnet` group."""
    app = typer.Typer(no_args_is_help=True, help="Move the time of a devnet, make it fail.", epilog=EXIT_CODES)

    @app.command()
    def advance(
        *,
        token_file: _TokenOption,
        devnet: _UrlOption = None,
        ms: Annotated[int | None, typer.Option(min=0, help="Milliseconds to move the clock on.")] = None,
        epochs: Annotated[int | None, typer.Option(min=1, help="Whole Walrus epochs to pass.")] = None,
        patience: Annotated[float, typer.Option(min=0.1, help="Seconds that the nodes may take in each epoch.")] = 60.0,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Move the clock of a devnet that runs with `clock: manual`."""
        if (ms is None) == (epochs is None):
            fail("give either --ms or --epochs", EXIT_USAGE)
        body = {"ms": ms} if epochs is None else {"epochs": epochs, "patience_s": patience}
        limit = _EXTRA_S + patience * 2 * (epochs or 0)
        answer = _ask(devnet, token_file, "POST", "/v1/admin/advance", body, timeout_s=limit)
        text = f"epoch {answer['epoch']}, clock {answer['now_ms']} ms, checkpoint {answer['checkpoint']}"
        show(answer, text, output)

    @app.command()
    def faults(
        *,
        token_file: _TokenOption,
        devnet: _UrlOption = None,
        set_: Annotated[
            str | None,
            typer.Option("--set", metavar="JSON", help='Knobs to turn, like {"latency_ms": 200}; the others go off.'),
        ] = None,
        clear: Annotated[bool, typer.Option("--clear", help="Turn all knobs off.")] = False,
        output: _OutputOption = Output.TEXT,
    ) -> None:
        """Show or turn the fault knobs of a devnet; see docs/reference/devnet.md for what each does."""
        if set_ is not None and clear:
            fail("give either --set or --clear", EXIT_USAGE)
        try:
            body = None if set_ is None else json.loads(set_)
        except json.JSONDecodeError as error:
            fail(f"--set is no JSON: {error}", EXIT_USAGE)
        method = "DELETE" if clear else "GET" if body is None else "PUT"
        answer = _ask(devnet, token_file, method, "/v1/admin/faults", body, timeout_s=_EXTRA_S)
        turned = {name: value for name, value in answer.items() if value not in (None, 0, False, [])}
        text = "\n".join(f"{name}: {json.dumps(value)}" for name, value in turned.items())
        show(answer, text or "all knobs are off", output)

    return app


def _ask(
    url: str | None, token_file: Path, method: str, path: str, body: dict[str, Any] | None, *, timeout_s: float
) -> dict[str, Any]:
    """One request to the admin interface; ends the program with a sentence when it is refused."""
    try:
        token = token_file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"cannot read the admin token: {error}", EXIT_USAGE)
    base = url or _local_devnet()
    parts = urllib.parse.urlsplit(base if "://" in base else f"http://{base}")
    try:
        host, port = parts.hostname, parts.port or 9123
    except ValueError:
        host, port = None, 0
    if parts.scheme != "http" or not host:
        fail(f"{base!r} is no devnet URL; give one such as http://127.0.0.1:9123", EXIT_USAGE)
    connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        status, text = response.status, response.read(1 << 20)
        answer: dict[str, Any] = json.loads(text)
        if status < 400:
            return answer
        # 409: the chain cannot do that now; 401 and 403 are the caller's to mend.
        code = EXIT_UNAVAILABLE if status == 409 else EXIT_USAGE if status in {401, 403, 422} else exit_code(status)
        fail(str(answer["error"]), code)
    except (OSError, http.client.HTTPException) as error:
        fail(f"cannot talk to the devnet at {base}: {str(error) or repr(error)}", EXIT_UNAVAILABLE)
    except (ValueError, KeyError) as error:
        fail(f"{base} is no devnet with an admin interface: {error!r}")
    finally:
        connection.close()


def _local_devnet() -> str:
    from walrus_client.local import LocalNetwork  # noqa: PLC0415 - the chain client: only here

    network = LocalNetwork(local.default_folder())
    with errors_explained():
        state = network.state()
    if state is None:
        fail("no devnet is known: give --devnet URL, or start one with `walrusctl local up`", EXIT_UNAVAILABLE)
    return state.network_config_url.removesuffix("/v1/network-config")
