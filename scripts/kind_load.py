#!/usr/bin/env python3
"""Loads an image from Docker into nodes of a kind cluster, sending only the layers that a node lacks.

    scripts/kind_load.py IMAGE NODE...

`kind load docker-image` sends every layer to every node each time; with an image whose sources changed that is 470 MB
for 3 MB of news. The image is saved from Docker once; each node's containerd is asked what it holds; each gets an OCI
archive of manifest, configuration and the missing layers, which `ctr images import` accepts as long as the other
layers are in its store.
"""

import concurrent.futures
import dataclasses
import hashlib
import io
import json
import subprocess
import sys
import tarfile
import tempfile
from typing import IO

CTR = ("ctr", "--namespace", "k8s.io")
TIMEOUT_S = 300


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer inside the saved archive: `member` is its tar entry, `digest` the sha256 of its uncompressed tar."""

    member: tarfile.TarInfo
    digest: str


@dataclasses.dataclass(frozen=True)
class SavedImage:
    """What `docker save` says about one image: its configuration (JSON bytes) and its layers, lowest first."""

    config: bytes
    layers: tuple[Layer, ...]


def read_saved(archive: tarfile.TarFile) -> SavedImage:
    """Reads an archive of `docker save` with one image in it, of any Docker version."""
    (entry,) = json.loads(_read(archive, "manifest.json"))
    config = _read(archive, entry["Config"])
    layers = []
    for path, digest in zip(entry["Layers"], json.loads(config)["rootfs"]["diff_ids"], strict=True):
        member = archive.getmember(path)
        if member.issym():  # Docker 20.10 links a layer that occurs twice
            member = archive.getmember(member.linkname.removeprefix("../"))
        layers.append(Layer(member, digest))
    return SavedImage(config, tuple(layers))


def write_oci(target: IO[bytes], archive: tarfile.TarFile, image: SavedImage, *, name: str, present: set[str]) -> int:
    """Writes an OCI archive to `target` without the layers whose digests are in `present`; returns the bytes sent."""
    config_digest = _digest(image.config)
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("config.v1+json", config_digest, len(image.config)),
            "layers": [_descriptor("layer.v1.tar", layer.digest, layer.member.size) for layer in image.layers],
        }
    ).encode()
    top = _descriptor("manifest.v1+json", _digest(manifest), len(manifest))
    top["annotations"] = {"io.containerd.image.name": name}
    sent = 0
    with tarfile.open(fileobj=target, mode="w|") as out:
        _add(out, "oci-layout", b'{"imageLayoutVersion": "1.0.0"}')
        _add(out, "index.json", json.dumps({"schemaVersion": 2, "manifests": [top]}).encode())
        for blob in (manifest, image.config):
            _add(out, _blob_path(_digest(blob)), blob)
        for layer in {layer.digest: layer for layer in image.layers if layer.digest not in present}.values():
            info = tarfile.TarInfo(_blob_path(layer.digest))
            info.size = layer.member.size
            out.addfile(info, archive.extractfile(layer.member))
            sent += info.size
    return sent


def load(path: str, node: str, *, name: str) -> str:
    """Brings the image of the saved archive at `path` into one node; returns a sentence for the reader."""
    in_node = ("docker", "exec", "--interactive", node, *CTR)
    listing = subprocess.run(
        [*in_node, "content", "ls", "--quiet"], check=True, capture_output=True, text=True, timeout=TIMEOUT_S
    )
    with tarfile.open(path) as archive, tempfile.TemporaryFile() as delta:
        sent = write_oci(delta, archive, read_saved(archive), name=name, present=set(listing.stdout.split()))
        delta.seek(0)
        done = subprocess.run(
            [*in_node, "images", "import", "--snapshotter", "overlayfs", "-"],
            check=False,
            stdin=delta,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    if done.returncode != 0:
        raise SystemExit(f"{node} refused the image: {done.stderr.strip()}")
    return f"{node}: {sent / 1e6:.1f} MB"


def full_name(image: str) -> str:
    """The name under which containerd keeps an image: with the registry and folder that Docker leaves out."""
    first, slash, _ = image.partition("/")
    if not slash:
        return f"docker.io/library/{image}"
    return image if "." in first or ":" in first or first == "localhost" else f"docker.io/{image}"


def _read(archive: tarfile.TarFile, path: str) -> bytes:
    file = archive.extractfile(path)
    if file is None:
        raise SystemExit(f"docker save made an archive without {path}")
    return file.read()


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _descriptor(kind: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": digest, "size": size}


def _add(out: tarfile.TarFile, path: str, data: bytes) -> None:
    info = tarfile.TarInfo(path)
    info.size = len(data)
    out.addfile(info, io.BytesIO(data))


def main() -> None:
    """Loads `sys.argv[1]` into the nodes that follow it."""
    image, *nodes = sys.argv[1:]
    with tempfile.NamedTemporaryFile(suffix=".tar") as saved:
        subprocess.run(["docker", "save", "--output", saved.name, image], check=True, timeout=TIMEOUT_S)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for line in pool.map(lambda node: load(saved.name, node, name=full_name(image)), nodes):
                print(line)


if __name__ == "__main__":
    main()
