import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from walrus_sui.imports import leave_unfilled, without


def test_pysui_is_imported_only_when_a_client_is_built() -> None:
    program = (
        "import sys, walrus_sui.client, walrus_sui.follower, walrus_sui.faucet, walrus_sui.abi.staking\n"
        "assert 'pysui' not in sys.modules and 'grpclib' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package whose `__init__` loads much, and a light subpackage that imports itself by its full name."""
    name = f"heavy{tmp_path.name.replace('-', '_')}"
    files = {
        "__init__.py": f"import {name}.all\nVALUE = 7\n",
        "all.py": "",
        "light/__init__.py": f"import {name}.light.part as part\nfrom {name} import light\n",
        "light/part.py": "",
    }
    for path, text in files.items():
        (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    return name


def test_a_subpackage_is_had_without_its_package_which_fills_itself_when_it_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = package(tmp_path, monkeypatch)
    leave_unfilled(name)
    light = importlib.import_module(f"{name}.light")
    assert light.part.__name__ == f"{name}.light.part"
    assert f"{name}.all" not in sys.modules
    heavy = importlib.import_module(name)
    assert heavy.light is light
    assert not hasattr(heavy, "__version__")
    assert f"{name}.all" not in sys.modules
    assert heavy.VALUE == 7
    assert f"{name}.all" in sys.modules
    assert heavy.light is light
    with pytest.raises(AttributeError, match="no attribute 'OTHER'"):
        _ = heavy.OTHER


def test_a_package_that_is_loaded_or_absent_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = package(tmp_path, monkeypatch)
    loaded = importlib.import_module(name)
    leave_unfilled(name)
    assert importlib.import_module(name) is loaded
    leave_unfilled("no_such_package")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("no_such_package")


def test_an_optional_module_is_absent_for_as_long_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = package(tmp_path, monkeypatch)
    with without(f"{name}.all"), pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
    known = importlib.import_module(f"{name}.all")
    with without(f"{name}.all"):
        assert importlib.import_module(f"{name}.all") is known
    assert sys.modules[f"{name}.all"] is known
