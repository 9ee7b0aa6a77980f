"""Every program says which release it is."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest


@pytest.mark.parametrize("program", ["walrus-node", "walrus-gateway", "walrus-devnet", "walrus-operator", "walrusctl"])
def test_every_program_prints_the_release(program: str) -> None:
    found = subprocess.run(
        [Path(sys.executable).parent / program, "--version"], capture_output=True, text=True, timeout=60, check=True
    )
    assert found.stdout == f"{version('walrus-on-kubernetes')}\n"
