"""Promises about the repository itself: containers are no packages, locks are whole, documents point at what is there."""

from __future__ import annotations

import operator
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
CONTAINERS = ("proto", "codec", "sui", "client", "node", "operator")
DOCUMENTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")] + sorted(
    ROOT.glob("docs/**/*.md")
)


def tracked(*patterns: str) -> list[Path]:
    listed = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in listed.stdout.splitlines()]


def test_the_folder_named_operator_does_not_shadow_the_standard_library() -> None:
    assert operator.itemgetter(0)([7]) == 7


@pytest.mark.parametrize("container", CONTAINERS)
def test_a_container_holds_one_package_and_is_none(container: str) -> None:
    assert list((ROOT / container).glob("*.py")) == []
    packages = [path.name for path in (ROOT / container).iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert packages == [f"walrus_{container}"]


def test_no_module_is_longer_than_can_be_read_in_one_go() -> None:
    modules = tracked(*(f"{folder}/*.py" for folder in (*CONTAINERS, "bench", "scripts")))
    ours = {path for path in modules if path.exists() and not path.name.endswith(("_pb2.py", "_pb2_grpc.py"))}
    sizes = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in ours}
    assert {f"{path} has {size} lines: split it by concept" for path, size in sizes.items() if size > 350} == set()
    assert len(sizes) > 300


@pytest.mark.parametrize("lock", [path.name for path in sorted(ROOT.glob("requirements*.lock"))])
def test_a_lock_pins_every_package_with_hashes_and_names_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    blocks = re.split(r"\n(?=[a-z0-9])", text.strip())
    assert blocks
    for block in blocks:
        assert re.match(r"[A-Za-z0-9._\[\]-]+==", block), block.splitlines()[0]
        assert "--hash=sha256:" in block, block.splitlines()[0]


def test_the_locks_hold_what_the_project_declares() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = [re.match(r"[A-Za-z0-9._-]+", entry) for entry in project["project"]["dependencies"]]
    locked = (ROOT / "requirements.lock").read_text()
    for name in names:
        assert name is not None
        assert f"\n{name[0].lower()}==" in f"\n{locked}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_links_only_to_what_is_there(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text()):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_make_target_that_a_document_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", makefile, re.MULTILINE))
    for document in DOCUMENTS:
        for named in re.findall(r"(?:^|`)make ([a-z][a-z -]*?)(?:\s{2,}|`|$|\s#)", document.read_text(), re.MULTILINE):
            assert set(named.split()) <= targets, f"{document.name}: make {named}"


def test_modules_stay_readable() -> None:
    """One concept per module: at 400 lines we ask, at 600 we split."""
    generated = re.compile(r"_pb2(_grpc)?\.pyi?$")
    for path in tracked(*(f"{container}/**/*.py" for container in CONTAINERS)):
        if not generated.search(path.name):
            assert len(path.read_text().splitlines()) <= 600, path
