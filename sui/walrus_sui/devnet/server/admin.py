"""The admin interface: time and faults, for those who hold the token.

It is off unless the devnet was given a token. Requests carry it as ``Authorization: Bearer TOKEN``:

    POST   /v1/admin/advance  {"ms": 1000} or {"epochs": 3, "patience_s": 60}    moves a manual clock
    GET    /v1/admin/faults                                                      how the fault knobs stand
    PUT    /v1/admin/faults   {"latency_ms": 200, ...}                           sets all of them
    DELETE /v1/admin/faults                                                      turns all of them off

Answers are JSON; a refusal is ``{"error": sentence}`` with 401 (no or another token), 403 (the interface is off), 409
(time cannot pass so), 422 (the body names a wrong field) or 503 (the devnet stops).
"""

import hmac
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from walrus_sui.devnet.server.fault_knobs import OFF, FaultInterceptor, Knobs
from walrus_sui.devnet.timelapse import MAX_ADVANCE_MS, MAX_EPOCHS, Timelapse, TimelapseError
from walrus_sui.devnet.writing import EngineStopped

PREFIX: Final = "/v1/admin"


class AdvanceRequest(BaseModel):
    """How far time is to pass: milliseconds, or epochs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    ms: int | None = Field(default=None, ge=0, le=MAX_ADVANCE_MS)
    epochs: int | None = Field(default=None, ge=1, le=MAX_EPOCHS)
    patience_s: float = Field(default=60, gt=0, le=3600)

    @model_validator(mode="after")
    def _one_of_both(self) -> "AdvanceRequest":
        if (self.ms is None) == (self.epochs is None):
            raise ValueError("give either ms or epochs")
        return self


class Admin:
    """Serves the admin routes.

    Args:
        token: None keeps the interface off.
        faults: the knobs.
        timelapse: None when the clock is real.
    """

    def __init__(self, token: str | None, faults: FaultInterceptor, timelapse: Timelapse | None) -> None:
        self._token = token
        self._faults = faults
        self._timelapse = timelapse

    def add_routes(self, app: web.Application) -> None:
        """Adds the routes to an application."""
        app.router.add_post(f"{PREFIX}/advance", self._guarded(self._advance))
        app.router.add_get(f"{PREFIX}/faults", self._guarded(self._show_faults))
        app.router.add_put(f"{PREFIX}/faults", self._guarded(self._set_faults))
        app.router.add_delete(f"{PREFIX}/faults", self._guarded(self._clear_faults))

    def _guarded(
        self, handler: Callable[[web.Request], Awaitable[dict[str, Any]]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def run(request: web.Request) -> web.Response:
            if self._token is None:
                return _refusal(403, "the admin interface is off: start the devnet with admin_token_file")
            given = request.headers.get("Authorization", "").encode()
            if not hmac.compare_digest(given, f"Bearer {self._token}".encode()):
                return _refusal(401, "send the devnet's admin token: Authorization: Bearer TOKEN")
            try:
                return web.json_response(await handler(request))
            except TimelapseError as error:
                return _refusal(409, str(error))
            except ValidationError as error:
                return _refusal(422, _problems(error))
            except json.JSONDecodeError as error:
                return _refusal(422, f"the body is no JSON: {error}")
            except EngineStopped as error:
                return _refusal(503, str(error))

        return run

    async def _advance(self, request: web.Request) -> dict[str, Any]:
        wanted = AdvanceRequest.model_validate(json.loads(await request.read()))
        if self._timelapse is None:
            raise TimelapseError("the clock is real time: start the devnet with `clock: manual`")
        if wanted.epochs is None:
            return asdict(await self._timelapse.advance_ms(wanted.ms or 0))
        return asdict(await self._timelapse.advance_epochs(wanted.epochs, patience_s=wanted.patience_s))

    async def _show_faults(self, _: web.Request) -> dict[str, Any]:
        return self._faults.knobs.model_dump()

    async def _set_faults(self, request: web.Request) -> dict[str, Any]:
        self._faults.turn(Knobs.model_validate(json.loads(await request.read())))
        return self._faults.knobs.model_dump()

    async def _clear_faults(self, _: web.Request) -> dict[str, Any]:
        self._faults.turn(OFF)
        return self._faults.knobs.model_dump()


def _problems(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    return "; ".join(f"{'.'.join(map(str, item['loc'])) or 'body'}: {item['msg']}" for item in found)


def _refusal(status: int, text: str) -> web.Response:
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return web.json_response({"error": text}, status=status, headers=headers)
