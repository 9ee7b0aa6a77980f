"""The gRPC face of the admin port: translates `walrus.admin.v1`, and refusals to statuses with ErrorInfo.

Every call has an end: those that wait end half a second before their caller's deadline, so that the answer still arrives;
those that do not wait get ten seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any

import grpc.aio
from google.protobuf.duration_pb2 import Duration

from walrus_client import grpc_errors
from walrus_client.reasons import Reason, RequestRefused
from walrus_node.errors import DiskError
from walrus_node.rpc.admin.model import State
from walrus_node.rpc.admin.rules import checked_seconds
from walrus_node.rpc.admin.service import AdminService
from walrus_node.rpc.door.rules import OpenCalls
from walrus_node.rpc.translating import info_to_pb
from walrus_proto.admin.v1 import admin_pb2 as pb
from walrus_proto.admin.v1 import admin_pb2_grpc

_log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 3600.0
_DEFAULT_WAIT_S = 30.0
_DEFAULT_HOLD_S = 600.0
_LONGEST_HOLD_S = 86_400.0
_LONGEST_GRACE_S = 60.0
_SPARE_S = 0.5
_QUICK_S = 10.0

_Context = grpc.aio.ServicerContext[Any, Any]


class NodeAdminServicer(admin_pb2_grpc.NodeAdminServicer):
    """Implements `walrus.admin.v1.NodeAdmin`."""

    def __init__(self, service: AdminService) -> None:
        self._service = service

    async def GetState(self, request: pb.GetStateRequest, context: _Context) -> pb.GetStateResponse:  # noqa: ARG002
        """All that the node knows about itself."""
        async with _refusing(context, _QUICK_S):
            return _state_to_pb(await self._service.state())

    async def Drain(self, request: pb.DrainRequest, context: _Context) -> pb.DrainResponse:
        """Prepares a restart."""
        async with _refusing(context):
            wait_s = _wait_s(request, context)
            hold_s = checked_seconds(
                "hold", _seconds(request, "hold"), default=_DEFAULT_HOLD_S, least=1, most=_LONGEST_HOLD_S
            )
            drained = await self._service.drain(timeout_s=wait_s, hold_s=hold_s)
            return pb.DrainResponse(
                quiet=drained.open_calls.quiet and not drained.resumed,
                open_calls=_open_calls_to_pb(drained.open_calls),
                resumed=drained.resumed,
            )

    async def Resume(self, request: pb.ResumeRequest, context: _Context) -> pb.ResumeResponse:  # noqa: ARG002
        """Takes everything again."""
        async with _refusing(context, _QUICK_S):
            return pb.ResumeResponse(was_draining=self._service.resume())

    async def Fence(self, request: pb.FenceRequest, context: _Context) -> pb.FenceResponse:
        """Shuts the node off."""
        async with _refusing(context, _QUICK_S):
            grace_s = checked_seconds("grace", _seconds(request, "grace"), default=0.0, least=0, most=_LONGEST_GRACE_S)
            fenced = await self._service.fence(request.why, grace_s=grace_s)
            return pb.FenceResponse(was_fenced=fenced.was_fenced, open_calls=_open_calls_to_pb(fenced.open_calls))

    async def Unfence(self, request: pb.UnfenceRequest, context: _Context) -> pb.UnfenceResponse:  # noqa: ARG002
        """Lets people in again."""
        async with _refusing(context, _QUICK_S):
            return pb.UnfenceResponse(was_fenced=await self._service.unfence())

    async def SetFaults(self, request: pb.SetFaultsRequest, context: _Context) -> pb.SetFaultsResponse:
        """Makes a node deviate that was started for that."""
        async with _refusing(context, _QUICK_S):
            await self._service.set_faults(list(request.lines))
            return pb.SetFaultsResponse()

    async def RunOnce(self, request: pb.RunOnceRequest, context: _Context) -> pb.RunOnceResponse:
        """Has a loop make a pass."""
        async with _refusing(context):
            passed = await self._service.run_once(request.loop, timeout_s=_wait_s(request, context))
            return pb.RunOnceResponse(finished=passed.finished, failure=passed.failure)

    async def Compact(self, request: pb.CompactRequest, context: _Context) -> pb.CompactResponse:  # noqa: ARG002
        """Has the database give back space."""
        async with _refusing(context):
            found = await self._service.compact()
            return pb.CompactResponse(bytes_before=found.before, bytes_after=found.after)


@contextlib.asynccontextmanager
async def _refusing(context: _Context, limit_s: float | None = None) -> AsyncIterator[None]:
    """Turns refusals into statuses, and what nobody expected into INTERNAL_ERROR with a log line.

    Args:
        context: the call.
        limit_s: longest time for it; None leaves that to what it says itself.
    """
    try:
        async with asyncio.timeout(limit_s):
            yield
    except RequestRefused as refusal:
        await grpc_errors.abort(context, refusal)
    except DiskError as error:
        await grpc_errors.abort(context, RequestRefused(Reason.UNAVAILABLE, f"the disk fails: {error}"))
    except TimeoutError:
        longer = "too long" if limit_s is None else f"longer than {limit_s:g} s"
        await grpc_errors.abort(context, RequestRefused(Reason.UNAVAILABLE, f"it took {longer}"))
    except Exception:
        _log.exception("a request of the admin port failed")
        fault = RequestRefused(Reason.INTERNAL_ERROR, "this node could not do it; its log says why")
        await grpc_errors.abort(context, fault)


def _seconds(request: Any, name: str) -> float | None:
    """A duration of a request; None when it is absent."""
    if not request.HasField(name):
        return None
    duration: Duration = getattr(request, name)
    return duration.seconds + duration.nanos / 1e9


def _wait_s(request: pb.DrainRequest | pb.RunOnceRequest, context: _Context) -> float:
    """How long to wait: as asked, and so that the answer comes before the caller's deadline."""
    wanted = checked_seconds(
        "timeout", _seconds(request, "timeout"), default=_DEFAULT_WAIT_S, least=0, most=_LONGEST_WAIT_S
    )
    left: float | None = context.time_remaining()
    return wanted if left is None else max(0.0, min(wanted, left - _SPARE_S))


def _open_calls_to_pb(calls: OpenCalls) -> pb.OpenCalls:
    return pb.OpenCalls(**asdict(calls))


def _state_to_pb(state: State) -> pb.GetStateResponse:
    answer = pb.GetStateResponse(
        info=info_to_pb(state.info),
        ready=not state.not_ready,
        not_ready=state.not_ready,
        open_calls=_open_calls_to_pb(state.open_calls),
        faults_enabled=state.faults is not None,
        faults=state.faults or (),
        loops=state.loops,
    )
    if state.drain is not None:
        quiet = state.open_calls.quiet
        answer.drain.CopyFrom(pb.DrainState(since_ms=state.drain.since_ms, until_ms=state.drain.until_ms, quiet=quiet))
    if state.fence is not None:
        answer.fence.CopyFrom(pb.FenceState(since_ms=state.fence.since_ms, why=state.fence.why))
    return answer
