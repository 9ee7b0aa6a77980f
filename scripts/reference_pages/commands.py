"""The page of commands and exit codes, as the command lines themselves declare them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import typer.main

from reference_pages.tables import NOTE, Rows, table
from walrus_client.cli import output
from walrus_client.gateway import main as gateway_main
from walrus_node import db as node_db
from walrus_node.errors import WalrusNodeError
from walrus_operator.ctl import main as ctl
from walrus_operator.runtime import main as operator_main
from walrus_sui.devnet import main as devnet_main


def _option_rows(command: Any) -> Iterator[tuple[str, ...]]:
    for parameter in command.params:
        if "--help" in parameter.opts or parameter.name in {"install_completion", "show_completion"}:
            continue
        named = parameter.param_type_name == "option"
        label = (
            ", ".join(f"`{text}`" for text in parameter.opts)
            if named
            else f"`{(parameter.metavar or parameter.name).upper()}`"
        )
        default = parameter.default
        shown = (
            "required"
            if parameter.required
            else f"`{default}`"
            if default not in (None, False, ()) and not callable(default)
            else ""
        )
        variable = f" Environment: `{parameter.envvar}`." if getattr(parameter, "envvar", None) else ""
        yield (label, shown, (parameter.help or "") + variable)


def _leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    children = getattr(command, "commands", None)
    if not children:
        yield path, command
        return
    if command.invoke_without_command:
        yield path, command
    for name in sorted(children):
        yield from _leaves(children[name], f"{path} {name}")


def _constants(module: Any) -> dict[str, int]:
    return {name: value for name, value in vars(module).items() if name.startswith("EXIT_") and isinstance(value, int)}


def _codes(module: Any, meanings: Mapping[str, str], *, more: Rows = ()) -> list[str]:
    """Exit codes of a program; its constants and the meanings here must be the same."""
    constants = _constants(module)
    if set(constants) != set(meanings):
        raise SystemExit(f"scripts/reference.py: {module.__name__} has {sorted(constants)}, not {sorted(meanings)}")
    rows = [
        ("0", "Done, or stopped in good order."),
        *((str(constants[name]), text) for name, text in meanings.items()),
    ]
    return table(("code", "meaning"), sorted({*rows, *more}, key=lambda row: int(row[0])))


def _node_codes() -> Iterator[tuple[str, str]]:
    for error in WalrusNodeError.__subclasses__():
        text = re.sub(r"\s+", " ", error.__doc__ or "")
        yield str(error.exit_code), text.strip()


def _command_sections(command: Any, path: str) -> Iterator[str]:
    for leaf, child in _leaves(command, path):
        text = re.sub(r"\s+", " ", child.help or "").strip()
        arguments = " ".join((p.metavar or p.name).upper() for p in child.params if p.param_type_name == "argument")
        yield from ("", f"### {leaf}", "", f"`{leaf}{' ' + arguments if arguments else ''} [OPTIONS]`", "", text, "")
        yield from table(("argument or option", "default", "meaning"), _option_rows(child))


def commands_page() -> list[str]:
    """Commands of walrusctl and of `walrus-node db`, and the exit codes of all programs."""
    root = typer.main.get_command(ctl.application())
    lines = [
        "# Commands and exit codes",
        "",
        NOTE,
        "",
        "## walrusctl",
        "",
        "Results go to standard output, everything else to standard error; progress bars appear on terminals only. Shell",
        "completion: `walrusctl --install-completion`.",
        "",
        *table(("option", "default", "meaning"), _option_rows(root)),
    ]
    lines += _command_sections(root, "walrusctl")
    unexpected = ("1", "An unexpected fault of the program; its log says more.")
    lines += [
        "",
        "### Exit codes of walrusctl",
        "",
        *_codes(
            output,
            {
                "EXIT_FAILED": "Failed. `network status`: the network is not Ready; `network plan`: a rollout is stuck.",
                "EXIT_USAGE": "Wrong usage, or a request that can never be served (too large, malformed).",
                "EXIT_NOT_FOUND": "Not found: no such blob, network or local network.",
                "EXIT_UNAVAILABLE": "Not available just now: unreachable, too few nodes, no money, busy. Try again. `local status`: something that should run does not.",
                "EXIT_SOME": "`blob store` of several files: some were stored, others were not. The same command stores the rest.",
                "EXIT_INTERRUPTED": "Interrupted by Ctrl-C; `blob store` says what was reached. A second Ctrl-C ends a transfer at once.",
            },
        ),
        "",
        "## walrus-node db",
        "",
        "Looks into the folder of a stopped node: [Operations](../operations.md#look-into-a-stopped-nodes-folder).",
        *_command_sections(typer.main.get_command(node_db.app), "walrus-node db"),
        "",
        "### Exit codes of walrus-node db",
        "",
        *_codes(
            node_db,
            {
                "EXIT_ROTTEN": "Something is rotten, unreadable or, for `export`, not stored; after `repair`: something that it cannot repair.",
                "EXIT_LACKING": "Nothing is rotten, but certified blobs lack something; the node recovers it at its next start.",
            },
            more=[
                unexpected,
                ("2", "Wrong usage, or there is no database."),
                ("3", "The database is in use or cannot be opened."),
            ],
        ),
        "",
        "## Exit codes of the other programs",
        "",
        "### walrus-node",
        "",
        *table(("code", "meaning"), sorted({("0", "Stopped in good order."), unexpected, *_node_codes()})),
        "",
        "### walrus-gateway",
        "",
        *_codes(
            gateway_main,
            {
                "EXIT_CONFIG": "Wrong usage, configuration or key. Correct what the message names.",
                "EXIT_PORT": "A port cannot be listened on.",
            },
            more=[unexpected],
        ),
        "",
        "### walrus-devnet",
        "",
        *_codes(
            devnet_main,
            {
                "EXIT_CONFIG": "Wrong usage or configuration, or a genesis that is not that of the stored chain.",
                "EXIT_DATA": "The data folder cannot be used.",
                "EXIT_PORT": "A port cannot be listened on.",
                "EXIT_DISK": "The disk failed while running.",
                "EXIT_FINDINGS": "`verify` found something wrong; it is told line by line.",
            },
            more=[unexpected],
        ),
        "",
        "### walrus-operator",
        "",
        *_codes(
            operator_main,
            {
                "EXIT_FAILED": "An unexpected fault of the program; its log says more.",
                "EXIT_LOST_LEASE": "The Lease was lost; the other replica goes on. Kubernetes starts this one again.",
                "EXIT_WATCHES_ENDED": "Watching the Kubernetes API ended. Kubernetes starts it again.",
            },
            more=[("2", "Wrong usage.")],
        ),
    ]
    return lines
