import asyncio
import datetime as dt
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc
import grpc.aio
import pytest

from walrus_sui import tls
from walrus_sui.errors import CertificateError
from walrus_sui.keys import NetworkKey

NOW = dt.datetime.now(dt.UTC)
KEY = NetworkKey.generate()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A server whose connections are over when the test is."""
    talks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        talks.add(task)
        with suppress(OSError):
            await talk(reader, writer)
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
    await asyncio.wait_for(asyncio.gather(*talks), 5)


@asynccontextmanager
async def tls_server(key: NetworkKey, certificate: bytes, folder: Path) -> AsyncIterator[int]:
    (folder / "key.pem").write_bytes(key.to_pem())
    (folder / "cert.pem").write_bytes(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(talk, context) as port:
        yield port


def test_the_certificate_carries_the_network_key() -> None:
    pem = tls.make_certificate(KEY, "node-0.example", not_before=NOW)
    assert tls.public_key_of(pem) == KEY.public_key


def test_what_is_no_certificate_of_a_network_key_is_refused() -> None:
    with pytest.raises(CertificateError, match="not a PEM"):
        tls.public_key_of(b"nonsense")


async def test_a_certificate_is_fetched_without_trust(tmp_path: Path) -> None:
    pem = tls.make_certificate(KEY, "node-0.example", not_before=NOW)
    async with tls_server(KEY, pem, tmp_path) as port:
        fetched = await tls.fetch_certificate("127.0.0.1", port, 5)
    assert tls.public_key_of(fetched) == KEY.public_key
    assert ssl.PEM_cert_to_DER_cert(fetched.decode()) == ssl.PEM_cert_to_DER_cert(pem.decode())


async def test_nobody_there_and_silence_are_told_apart(unused_tcp_port: int) -> None:
    with pytest.raises(CertificateError, match="no certificate"):
        await tls.fetch_certificate("127.0.0.1", unused_tcp_port, 5)

    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(silent) as port:
        with pytest.raises(CertificateError, match=r"within 0\.2 s"):
            await tls.fetch_certificate("127.0.0.1", port, 0.2)


async def test_a_server_without_tls_shows_no_certificate() -> None:
    async def plain(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello, no TLS here\r\n" * 10)
        await writer.drain()

    async with serving(plain) as port:
        with pytest.raises(CertificateError, match="no certificate"):
            await tls.fetch_certificate("127.0.0.1", port, 5)


@pytest.mark.parametrize("host", ["node-0.example", "10.1.2.3"])
async def test_grpc_accepts_the_certificate_as_its_own_only_root(host: str) -> None:
    pem = tls.make_certificate(KEY, host, not_before=NOW)
    server = grpc.aio.server()
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(KEY.to_pem(), pem)]))
    await server.start()
    try:
        fetched = await tls.fetch_certificate("127.0.0.1", port, 5)
        options = [("grpc.ssl_target_name_override", host)]
        credentials = grpc.ssl_channel_credentials(root_certificates=fetched)
        async with grpc.aio.secure_channel(f"127.0.0.1:{port}", credentials, options=options) as channel:
            await asyncio.wait_for(channel.channel_ready(), 10)
    finally:
        await server.stop(0)
