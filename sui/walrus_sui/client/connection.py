"""What pysui does not offer for a connection: its configuration in memory, TLS with a private root, an end without manners.

pysui wants files under HOME and hard-codes public roots; grpclib wakes those who wait on a lost connection by cancelling
them, and closes one politely, which to a dead peer takes minutes.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Coroutine
from pathlib import Path
from typing import Any

import grpclib.client
from grpclib.exceptions import StreamTerminatedError

from walrus_sui.client.pysui_library import (
    GroupProtocol,
    NetworkType,
    Profile,
    ProfileGroup,
    PysuiConfigModel,
    PysuiConfiguration,
)


async def next_or_none(frames: AsyncGenerator[Any]) -> Any:
    """The next frame of a stream; None at its end."""
    return await anext(frames, None)


async def apart(call: Coroutine[Any, Any, Any]) -> Any:
    """Wait for a call of grpclib that runs in a task of its own.

    grpclib wakes whoever waits on a lost connection by cancelling its task, and never takes that request back. In our
    own task it would stay pending: until Python 3.11.3 the next `asyncio.timeout` that expires then raises
    `CancelledError`, which ends the task for good.
    """
    task = asyncio.get_running_loop().create_task(call)
    try:
        await asyncio.wait({task})
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    if task.cancelled():
        raise StreamTerminatedError("the connection was closed")
    return task.result()


def drop(channel: grpclib.client.Channel) -> None:
    """Close a channel and its socket at once: a polite end of TLS, or a flush to a dead peer, could take minutes."""
    connection = getattr(channel._protocol, "connection", None)  # noqa: SLF001
    transport = getattr(connection, "_transport", None)
    channel.close()
    if transport is not None:
        transport.abort()


def configuration_in_memory(host: str, port: int) -> PysuiConfiguration:
    """Make pysui's configuration without its file, folder or HOME; holds no keys."""
    profile = Profile("node", f"http://{host}:{port}", None, None, NetworkType.LOCAL)
    group = ProfileGroup("walrus", "node", "", [], [], [], [profile], GroupProtocol.GRPC)
    config = PysuiConfiguration.__new__(PysuiConfiguration)
    config._model = PysuiConfigModel(version="1.2.0", sui_binary="", group_active="walrus", groups=[group])  # noqa: SLF001
    config._config_root = Path("/nonexistent")  # noqa: SLF001
    config._config_file = config._config_root / "PysuiConfig.json"  # noqa: SLF001
    return config


def tls_context(ca_pem: str | None) -> ssl.SSLContext:
    """TLS for HTTP/2, with this root only; None means the system's."""
    context = ssl.create_default_context(cadata=ca_pem)
    context.set_alpn_protocols(["h2"])
    return context
