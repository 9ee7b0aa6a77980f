"""Lets only those call the admin port who have a token; the file with the tokens is read for each call.

It is small, and lies in memory where the tokens come from a Secret; so there is no moment at which an old token is still
taken, or a new one not yet. What cannot be read lets nobody in. Others can make the node say so in its log once a minute
each, and all together some 4096 times; they are counted always.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from walrus_client import grpc_errors
from walrus_client.reasons import Reason, RequestRefused
from walrus_node.challenges.seldom import Seldom
from walrus_node.rpc.admin import rules
from walrus_node.rpc.admission import client_of
from walrus_sui.telemetry import meter, names

_log = logging.getLogger(__name__)

_HEADER = "authorization"


class TokenFile:
    """The tokens of this moment.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._content: bytes | None = None
        self._digests: tuple[bytes, ...] = ()
        self._problem = ""

    def read(self) -> tuple[bytes, ...]:
        """Hashes of the tokens; none when the file holds none. Says in the log when that, or what is wrong, changes."""
        try:
            with self._path.open("rb") as file:
                content = file.read(rules.MOST_BYTES + 1)
            if content != self._content:
                self._digests, self._content = rules.digests(content), content
            problem = ""
        except (OSError, rules.TokensError) as error:
            self._digests, self._content = (), None
            problem = error.strerror or "it cannot be read" if isinstance(error, OSError) else str(error)
        if problem and problem != self._problem:
            facts = {"path": str(self._path), "why": problem}
            _log.error("nobody can use the admin port: its file of tokens is of no use", extra=facts)
        elif self._problem and not problem:
            _log.info("the admin port has tokens again", extra={"path": str(self._path)})
        self._problem = problem
        return self._digests


class TokenCheck(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Add it to a server as the first interceptor.

    Args:
        tokens: which are good.
        clock: seconds, of a clock that never goes back.
    """

    def __init__(self, tokens: TokenFile, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._tokens = tokens
        self._seldom = Seldom(clock)
        self._refused = meter().create_counter(
            names.NODE_ADMIN_REFUSED, description="Calls of the admin port without a token, or with a wrong one."
        )

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[grpc.RpcMethodHandler[Any, Any]]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Turns the call away before anything of it is read, also one of a method that does not exist."""
        refused = self.refusal(handler_call_details.invocation_metadata or ())
        if refused is None:
            return await continuation(handler_call_details)

        async def turn_away(_requests: Any, context: Any) -> None:
            self._refused.add(1)
            peer = client_of(context.peer())
            if self._seldom.may_say(peer):
                _log.warning(
                    "a caller of the admin port was turned away",
                    extra={"peer": peer, "method": str(handler_call_details.method), "why": refused.message},
                )
            await grpc_errors.abort(context, refused)

        return grpc.stream_stream_rpc_method_handler(turn_away)

    def refusal(self, metadata: Iterable[Any]) -> RequestRefused | None:
        """Why a call with this metadata is turned away; None when it is not."""
        known = self._tokens.read()
        headers = [value for key, value in metadata if key == _HEADER]
        token = rules.token_in(headers[0]) if len(headers) == 1 else None
        if token is None:
            return _unauthenticated("the call needs the metadata `authorization: Bearer TOKEN`, once")
        if not rules.is_known(token, known):
            return _unauthenticated("the token is not one that this node knows; look at its file of tokens")
        return None


def _unauthenticated(message: str) -> RequestRefused:
    return RequestRefused(Reason.TOKEN_REFUSED, message)
