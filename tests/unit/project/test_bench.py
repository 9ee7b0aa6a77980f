"""The benchmarks run and tell the truth: another blob id fails the official encoder's, a peer that cannot be had is named."""

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from walrus_codec import redstuff

ROOT = Path(__file__).resolve().parents[3]
NAME = "codec.encode.rs2.wasm"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """Modules of the bench by name, with a small blob, an empty folder of tools and a folder for programs on PATH."""
    monkeypatch.syspath_prepend(ROOT / "bench")
    official, rows = (importlib.import_module(name) for name in ("official", "codec_rows"))
    official._outcome.cache_clear()
    monkeypatch.setattr(official, "TOOLS", tmp_path / "tools")
    monkeypatch.setattr(rows, "SIZE", 10_000)
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return importlib.import_module


def program(tmp_path: Path, name: str, script: str) -> None:
    path = tmp_path / "programs" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def node(tmp_path: Path, version: str, answer: str = "") -> None:
    encoder = f"while read -r line; do echo {answer}; done" if answer else "exit 3"
    program(tmp_path, "node", f'if [ "$1" = --version ]; then echo {version}; else {encoder}; fi')


def npm(tmp_path: Path, script: str = "mkdir node_modules && echo {} > node_modules/.package-lock.json") -> None:
    program(tmp_path, "npm", script)


def run(tmp_path: Path, bench: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> tuple[int, Path]:
    out = tmp_path / "results.json"
    monkeypatch.setattr("sys.argv", ["run.py", "--only", NAME, "--rounds", "1", "--out", str(out)])
    return bench("run").main(), out


def our_blob_id(bench: Callable[[str], ModuleType]) -> str:
    rows = bench("codec_rows")
    return redstuff.encode(rows.blob(), rows.RS2).blob_id.hex()


def test_both_encoders_are_measured_when_they_make_the_same_blob_id(tmp_path, bench, monkeypatch, capsys) -> None:
    node(tmp_path, "v20.1.0", our_blob_id(bench))
    npm(tmp_path)
    code, out = run(tmp_path, bench, monkeypatch)
    assert code == 0
    (row,) = json.loads(out.read_text())
    assert row["name"] == NAME
    assert row["n_cores"] == 1
    assert row["ratio"] == pytest.approx(row["value"] / row["bound"], rel=0.01)
    assert re.search(rf"{NAME} .* MB/s .*≥ 3", capsys.readouterr().out)


@pytest.mark.parametrize("answer", ["00" * 32, ""], ids=["another blob id", "breaks off"])
def test_a_peer_that_encodes_something_else_fails_the_run(tmp_path, bench, monkeypatch, capsys, answer) -> None:
    node(tmp_path, "v20.1.0", answer)
    npm(tmp_path)
    code, out = run(tmp_path, bench, monkeypatch)
    assert code == 1
    assert not out.exists()
    assert (
        f"FAILED: the official encoder answers {answer!r}, our blob id is {our_blob_id(bench)}"
        in capsys.readouterr().err
    )


def test_without_npm_s_registry_the_row_is_missing_with_the_reason(tmp_path, bench, monkeypatch, capsys) -> None:
    node(tmp_path, "v20.1.0")
    npm(tmp_path, "echo npm error code ECONNREFUSED >&2; echo npm error https://host.example/ >&2; exit 1")
    code, out = run(tmp_path, bench, monkeypatch)
    assert code == 0
    (row,) = json.loads(out.read_text())
    reason = "not measured: npm ci failed with ECONNREFUSED; it needs its package registry"
    assert (row["value"], row["bound"], row["ratio"], row["note"]) == (None, None, None, reason)
    shown = capsys.readouterr()
    assert reason in shown.out
    assert "https://host.example/" in shown.err


@pytest.mark.parametrize("version", ["v19.9.0", "v8.0.0", "none of ours"])
def test_an_old_node_is_replaced_by_the_wheel_of_the_lock(tmp_path, bench, monkeypatch, version) -> None:
    node(tmp_path, version)
    npm(tmp_path)
    program(tmp_path, "python", 'echo "$@" > "$0.said"; exit 1')
    monkeypatch.setattr("sys.executable", str(tmp_path / "programs" / "python"))
    code, out = run(tmp_path, bench, monkeypatch)
    assert code == 0
    assert "not measured: pip install failed" in out.read_text()
    said = (tmp_path / "programs" / "python.said").read_text()
    assert "--require-hashes" in said
    assert said.endswith("requirements-bench.lock\n")


def test_the_official_encoder_is_pinned_by_its_hash_and_the_lock_names_no_host() -> None:
    text = (ROOT / "bench" / "wasm" / "package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    declared = json.loads((ROOT / "bench" / "wasm" / "package.json").read_text())["dependencies"]
    assert packages.pop("")["dependencies"] == declared
    for path, package in packages.items():
        assert package["integrity"].startswith("sha512-"), path
        assert package["version"] == declared.get(path.removeprefix("node_modules/"), package["version"])
    assert set(declared) <= {path.removeprefix("node_modules/") for path in packages}


def test_the_operator_of_the_benchmark_is_made_as_the_real_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")
    chart = (ROOT / "charts" / "walrus-operator" / "templates" / "deployment.yaml").read_text()
    for name, value in importlib.import_module("operator_rows").ENVIRONMENT.items():
        assert re.search(rf'- name: {name}\n +value: "{value}"\n', chart), name
    out = tmp_path / "results.json"
    command = [sys.executable, "bench/run.py", "--only", "reconcile.idle.100", "--rounds", "1", "--out", str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text())
    assert row["value"] > 0
    assert row["target"] == 1


def test_the_table_says_what_was_missed_and_what_could_not_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "bench")
    table = importlib.import_module("table")
    row = {"name": "a", "value": 49.4, "bound": 100.0, "unit": "MB/s", "ratio": 0.494, "target": 0.5, "n_cores": 2}
    assert table.cells(row) == ("a", "49.4", "100", "MB/s", "0.49", "≥ 0.5, missed", "2")
    assert table.cells(row | {"ratio": 0.496})[5] == "≥ 0.5", "as it is shown"
    assert table.cells(row | {"value": None, "ratio": None}) == ("a", "-", "-", "-", "-", "≥ 0.5", "-")
    page = f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n"
    assert table.with_table(page, "new") == f"before\n{table.BEGIN}\n\nnew\n\n{table.END}\nafter\n"
    with pytest.raises(ValueError, match="lacks the comments"):
        table.with_table("before\nafter\n", "new")
