"""What commands print: results to standard output, everything else to standard error; exit codes.

0  done
1  failed
2  wrong usage, or a request that the network can never serve (too large, malformed)
3  not found
4  not available just now: unreachable, too few nodes, no money, busy; try again
5  some of several files were stored, others were not
130  interrupted by Ctrl-C; a second Ctrl-C ends a transfer by the signal itself
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from enum import StrEnum
from types import FrameType
from typing import Any, NoReturn

import typer
import yaml

from walrus_client.cli.gateway_api import ApiError
from walrus_client.errors import ClientError

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_UNAVAILABLE = 4
EXIT_SOME = 5
EXIT_INTERRUPTED = 130


EXIT_CODES = (
    "Exit codes: 0 done, 1 failed, 2 wrong usage or a request that can never be served, 3 not found, "
    "4 not available just now, 5 some of several files were stored, others were not, 130 interrupted."
)


class CommandError(Exception):
    """A command cannot go on.

    Args:
        message: What is wrong and what to do.
        code: Exit code of the program, if it is the program that ends.
    """

    def __init__(self, message: str, code: int = EXIT_FAILED) -> None:
        super().__init__(message)
        self.code = code


class Output(StrEnum):
    """Form of a result."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


def show(document: Any, text: str, output: Output) -> None:
    """Prints a result in the wanted form."""
    match output:
        case Output.TEXT:
            typer.echo(text)
        case Output.JSON:
            typer.echo(json.dumps(document, indent=2))
        case Output.YAML:
            typer.echo(yaml.safe_dump(document, sort_keys=False).rstrip())


def note(message: str) -> None:
    """Tells the user something that is no result."""
    typer.echo(message, err=True)


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Ends the program with a message."""
    coloured = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    typer.secho(f"error: {message}", err=True, fg=typer.colors.RED if coloured else None)
    raise typer.Exit(code)


def exit_code(code: int | None) -> int:
    """The exit code for an HTTP status; None means that there was no answer."""
    if code is None or code in {429, 503, 504}:
        return EXIT_UNAVAILABLE
    if code == 404:
        return EXIT_NOT_FOUND
    return EXIT_USAGE if code in {400, 405, 413, 416} else EXIT_FAILED


@contextlib.contextmanager
def errors_explained(interrupted: Callable[[], str] = lambda: "interrupted") -> Iterator[None]:
    """Turns expected errors into a line and an exit code.

    Args:
        interrupted: What to say when Ctrl-C ends the block.
    """
    try:
        yield
    except ApiError as error:
        fail(str(error), exit_code(error.code))
    except CommandError as error:
        fail(str(error), error.code)
    except ClientError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(interrupted(), EXIT_INTERRUPTED)


@contextlib.contextmanager
def second_interrupt_ends() -> Iterator[None]:
    """For blocks that have nothing to clean up: the first Ctrl-C is a `KeyboardInterrupt`, a second one ends the process."""
    if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # somebody else decides
        return

    def first(number: int, frame: FrameType | None) -> NoReturn:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.default_int_handler(number, frame)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, first)
    yield
