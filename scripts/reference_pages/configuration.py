"""The page of configuration: files of node, gateway and devnet, flags of the operator, as their models say."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from reference_pages.tables import NOTE, table
from walrus_client.gateway.config import GatewayConfig
from walrus_node.config import NodeConfig
from walrus_operator.runtime import config as operator_config
from walrus_sui.devnet.config import RunConfig
from walrus_sui.devnet.genesis_config import KEYS, GenesisConfig


def _kind(annotation: Any) -> str:
    plain = [part for part in get_args(annotation) if part is not type(None)]
    if str(annotation).startswith("typing.Literal"):
        return ", ".join(f"`{value}`" for value in get_args(annotation))
    if plain and len(plain) < len(get_args(annotation)):
        return _kind(plain[0])
    if hasattr(annotation, "__metadata__"):
        return _kind(get_args(annotation)[0])
    found = {int: "integer", float: "number", bool: "true or false", Path: "path", str: "text"}.get(annotation)
    return found or ("list of texts" if str(annotation).startswith("tuple[str") else str(annotation))


def _default(field: FieldInfo, required: str) -> str:
    if field.default is PydanticUndefined:
        return required
    if field.default is None:
        return "none"
    if field.default in ("", ()):
        return "empty"
    value = field.default
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _limits(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {getattr(entry, name)}"
        for entry in field.metadata
        for name, sign in signs.items()
        if hasattr(entry, name)
    ]
    return f" ({', '.join(found)})" if found else ""


def _section_in(annotation: Any) -> Any:
    """The section itself, of one that may be absent."""
    found = [part for part in get_args(annotation) if isinstance(part, type) and issubclass(part, BaseModel)]
    return found[0] if found else annotation


def keys_of(model: type[BaseModel], prefix: str = "", *, required: str = "required") -> Iterator[tuple[str, ...]]:
    """Rows key, type, default, meaning of all keys of a configuration model; `required` is what keys without default say."""
    for name, field in model.model_fields.items():
        annotation = _section_in(field.annotation)
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            absent = field.default is None
            yield from keys_of(
                annotation, f"{prefix}{name}.", required="required in this section" if absent else required
            )
        else:
            yield (
                f"`{prefix}{name}`",
                _kind(annotation) + _limits(field),
                _default(field, required),
                field.description or "",
            )


def _genesis_rows() -> Iterator[tuple[str, ...]]:
    made = GenesisConfig()

    def duration(milliseconds: int) -> str:
        return f"{milliseconds // 60_000}m" if milliseconds % 60_000 == 0 else f"{milliseconds // 1000}s"

    defaults = {
        "encoding": made.encoding_types[0].name.lower(),
        "epoch_duration": duration(made.epoch_duration_ms),
        "epoch_zero_duration": duration(made.epoch_zero_duration_ms),
        "exchange_rate": f"{{wal: {made.exchange_wal}, sui: {made.exchange_sui}}}",
    }
    for key, meaning in KEYS.items():
        default = defaults.get(key, getattr(made, key, None))
        yield (f"`{key}`", "empty" if default in ((), "") else f"`{default}`", meaning)


def configuration_page() -> list[str]:
    """Files of node, gateway and devnet, flags of the operator."""
    head = ("key", "type", "default", "meaning")
    lines = [
        "# Configuration",
        "",
        NOTE,
        "",
        "On Kubernetes the operator writes these files from the custom resources, and `walrusctl local up` writes them for",
        "a local network: you need this page when you run a process yourself, or want to know what is in a ConfigMap. All",
        "files are YAML. A key that is not listed is an error, and the message names every wrong place. `${NAME}` in a text",
        "of the node's or gateway's file is replaced by the environment variable of that name.",
    ]
    for title, command, model in (
        ("Storage node", "walrus-node run --config node.yaml", NodeConfig),
        ("Gateway", "walrus-gateway run --config gateway.yaml", GatewayConfig),
    ):
        lines += ["", f"## {title}", "", f"`{command}`", "", *table(head, keys_of(model))]
    lines += [
        "",
        "## Devnet",
        "",
        "`walrus-devnet run --config devnet.yaml --data FOLDER`",
        "",
        "How the process runs; may change between starts:",
        "",
        *table(head, keys_of(RunConfig)),
        "",
        "Genesis; fixed once the data folder exists:",
        "",
        *table(("key", "default", "meaning"), _genesis_rows()),
        "",
        "## Operator",
        "",
        "`walrus-operator run`; the chart sets what it needs (see its README).",
        "",
    ]
    run = operator_config.parser()._subparsers._group_actions[0].choices["run"]  # type: ignore[union-attr,index]  # noqa: SLF001
    flags = [action for action in run._actions if action.dest != "help"]  # noqa: SLF001  (argparse tells of itself nowhere else)
    rows = [
        (f"`{flag.option_strings[0]}`", f"`{flag.default}`" if flag.default else "none", flag.help or _choices(flag))
        for flag in flags
    ]
    lines += table(("flag", "default", "meaning"), rows)
    return lines


def _choices(flag: argparse.Action) -> str:
    return "one of " + ", ".join(f"`{choice}`" for choice in flag.choices or ())
