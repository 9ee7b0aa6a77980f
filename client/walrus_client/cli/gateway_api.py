"""The gateway's HTTP API as the command line uses it: streaming both ways, errors as one exception.

Plain `http.client`: commands start fast, and a body that the gateway refuses early still gets its answer read.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

TIMEOUT_S = 600.0
CHUNK = 1 << 20


class ApiError(Exception):
    """The gateway said no, or could not be reached.

    Args:
        message: What happened and what to do.
        code: HTTP status, or the one that fits a request that cannot even be sent; None when there was no answer.
        reason: Name in the error envelope; empty when there is none.
    """

    def __init__(self, message: str, *, code: int | None = None, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class GatewayApi:
    """One gateway by its URL."""

    def __init__(self, url: str) -> None:
        parts = urllib.parse.urlsplit(url if "://" in url else f"http://{url}")
        wrong = ApiError(f"{url!r} is no gateway URL; give one such as http://127.0.0.1:31415", code=400)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise wrong
        try:
            self._host, self._port = parts.hostname, parts.port
        except ValueError:
            raise wrong from None
        self._secure = parts.scheme == "https"
        self._prefix = parts.path.rstrip("/")
        self._open: set[http.client.HTTPConnection] = set()
        self._hung_up = False
        self.url = url

    def store(self, body: Iterable[bytes], size: int | None, parameters: Mapping[str, str]) -> dict[str, Any]:
        """PUT /v1/blobs; returns the answer. A body of unknown size is sent in HTTP chunks."""
        query = urllib.parse.urlencode(parameters)
        headers = {"Content-Type": "application/octet-stream"}
        if size is not None:
            headers["Content-Length"] = str(size)
        with _exchange(self) as exchange:
            response = exchange.send("PUT", f"/v1/blobs?{query}", body=body, headers=headers)
            document = json.loads(_read_all(response))
            if not isinstance(document, dict):
                raise ApiError(f"{self.url} is no Walrus gateway: it answered {document!r}")
            return document

    def read(
        self,
        blob_id: str,
        sink: Callable[[bytes], object],
        *,
        started: Callable[[int], object],
        strict: bool = False,
    ) -> int:
        """GET /v1/blobs/{id}: hands the blob to `sink` in chunks; returns its size. `strict` has its encoding checked."""
        query = "?strict_consistency_check=true" if strict else ""
        with _exchange(self) as exchange:
            response = exchange.send("GET", f"/v1/blobs/{urllib.parse.quote(blob_id, safe='')}{query}")
            expected = int(response.headers.get("Content-Length", "0"))
            started(expected)
            received = 0
            for chunk in _chunks(response):
                sink(chunk)
                received += len(chunk)
            if received != expected:
                raise ApiError(f"the connection broke off after {received} of {expected} bytes; try again")
            return received

    def status(self, blob_id: str) -> Any:
        """GET /v1/blobs/{id}/status; returns the nodes' status document."""
        with _exchange(self) as exchange:
            response = exchange.send("GET", f"/v1/blobs/{urllib.parse.quote(blob_id, safe='')}/status")
            return json.loads(_read_all(response))["success"]["data"]

    def hang_up(self) -> None:
        """Ends the requests under way, whatever thread waits for them, and lets none follow; they fail as `ApiError`."""
        self._hung_up = True
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                if connection.sock is not None:
                    connection.sock.shutdown(socket.SHUT_RDWR)

    @contextlib.contextmanager
    def connection(self) -> Iterator[http.client.HTTPConnection]:
        """A new connection; closed at the end of the block."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        made = kind(self._host, self._port, timeout=TIMEOUT_S)
        self._open.add(made)
        try:
            made.connect()
            if self._hung_up:
                raise ConnectionAbortedError("interrupted")
            yield made
        finally:
            self._open.discard(made)
            made.close()

    def path(self, path: str) -> str:
        """The path on this gateway."""
        return self._prefix + path


@contextlib.contextmanager
def _exchange(api: GatewayApi) -> Iterator[_Exchange]:
    """One request and its answer; errors of the connection become `ApiError`."""
    try:
        with api.connection() as connection:
            yield _Exchange(api, connection)
    except (OSError, http.client.HTTPException) as error:
        raise ApiError(f"cannot talk to the gateway at {api.url}: {_words(error)}") from error
    except (ValueError, KeyError) as error:
        raise ApiError(f"{api.url} is no Walrus gateway: {error!r}") from error


class _Exchange:
    def __init__(self, api: GatewayApi, connection: http.client.HTTPConnection) -> None:
        self._api = api
        self._connection = connection

    def send(
        self, method: str, path: str, *, body: Iterable[bytes] | None = None, headers: Mapping[str, str] | None = None
    ) -> http.client.HTTPResponse:
        # A gateway that refuses a body before it has all of it closes the connection; its answer may be there all the same.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._connection.request(method, self._api.path(path), body=body, headers=dict(headers or {}))
        response = self._connection.getresponse()
        if response.status >= 400:
            raise _api_error(self._api.url, response.status, response.read(1 << 20))
        return response


def _words(error: Exception) -> str:
    """What an error says, fit for a terminal: a server of another protocol may have answered with anything."""
    text = str(error)
    return text if text and text.isprintable() else repr(error)


def _api_error(url: str, code: int, body: bytes) -> ApiError:
    try:
        error = json.loads(body)["error"]
        reason = next((entry["reason"] for entry in error["details"] if "reason" in entry), "")
        return ApiError(f"{reason or error['status']}: {error['message']}", code=code, reason=reason)
    except (ValueError, KeyError, TypeError):
        text = body.decode(errors="replace").strip()[:500]
        if code == 404:
            # A gateway names what it did not find: this is something else, and the blob may well exist.
            return ApiError(f"{url} is no Walrus gateway: it answered with HTTP 404: {text}", code=400)
        return ApiError(f"the gateway answered with HTTP {code}: {text}", code=code)


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while chunk := response.read(CHUNK):
        yield chunk


def _read_all(response: http.client.HTTPResponse) -> bytes:
    return response.read(16 << 20)
