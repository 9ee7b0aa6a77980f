"""The blob routes: PUT stores, GET and HEAD read, and the status of a blob as the nodes tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aiohttp import web
from opentelemetry.metrics import Observation

from walrus_client.budget import ByteBudget
from walrus_client.gateway import query
from walrus_client.gateway.answers import store_answer
from walrus_client.gateway.body import Admission, Pace, check_declared, receive, send
from walrus_client.gateway.config import GatewayConfig
from walrus_client.gateway.draining import RequestsUnderWay
from walrus_client.gateway.envelope import GatewayError, GatewayReason, error_response
from walrus_client.gateway.ranges import ByteRange, matches, parse_range, same_as, span
from walrus_client.gateway.services import Services
from walrus_client.gateway.storing import PaidStores
from walrus_client.read import BlobStream, ConsistencyCheck, range_footprint, read_footprint
from walrus_client.store import BeforePaying, StoreOptions, StoreResult
from walrus_codec import blob_id as blob_ids
from walrus_codec.errors import BlobIdError
from walrus_codec.metadata import BlobMetadata
from walrus_codec.types import BlobId
from walrus_sui.telemetry import meter, names

CACHE_CONTROL = "public, max-age=86400, stale-while-revalidate=3600"


class BlobRoutes:
    """Handlers of `/v1/blobs`.

    Args:
        config: Limits.
        services: Gives the services, or raises `GatewayError` while there are none.
        under_way: Counts stores that go on without a client.
    """

    def __init__(self, config: GatewayConfig, services: Callable[[], Services], under_way: RequestsUnderWay) -> None:
        self._config = config
        self._services = services
        self._stores = PaidStores(under_way)
        self._memory = ByteBudget(config.limits.memory)
        self._pace = Pace(config.limits.body_stall_s, config.limits.slowest_bytes_per_s)
        meter().create_observable_up_down_counter(
            names.CLIENT_BYTES_IN_FLIGHT,
            callbacks=[lambda _options: [Observation(self._memory.used)]],
            unit="By",
            description="Memory that blobs in flight hold.",
        )

    def add_to(self, app: web.Application) -> None:
        """Adds the routes."""
        app.on_cleanup.append(self._close)
        router = app.router
        router.add_put("/v1/blobs", self.put, expect_handler=self._expect)
        router.add_get("/v1/blobs/{blob_id}", self.get, allow_head=True)
        router.add_get("/v1/blobs/{blob_id}/byte-range", self.byte_range)
        router.add_get("/v1/blobs/{blob_id}/status", self.status)

    async def put(self, request: web.Request) -> web.StreamResponse:
        """PUT /v1/blobs: stores the body."""
        services = self._services().for_storing()
        options = query.parse_store(
            list(request.query.items()),
            default_encoding=services.network.encoding_type,
            max_epochs_ahead=services.network.max_epochs_ahead,
        )
        result = await self._stores.run(
            options, lambda before_paying: self._store(request, services, options, before_paying)
        )
        return web.json_response(store_answer(result), headers={"Cache-Control": "no-store"})

    async def _store(
        self, request: web.Request, services: Services, options: StoreOptions, before_paying: BeforePaying
    ) -> StoreResult:
        params = services.params_of(options.encoding or services.network.encoding_type)
        async with Admission(self._memory, wait_s=self._config.limits.admission_wait_s) as admission:
            segment = await receive(
                request,
                limit=self._limit(services),
                params=params,
                admission=admission,
                pace=self._pace,
                make=services.compute.segment,
            )
            with segment:
                return await services.store.store(segment, options, before_paying=before_paying)

    async def _close(self, _app: web.Application) -> None:
        await self._stores.close()

    async def get(self, request: web.Request) -> web.StreamResponse:
        """GET and HEAD /v1/blobs/{blob_id}: the blob, or a part of it."""
        blob_id = _blob_id(request)
        check = query.parse_read(list(request.query.items()))
        reader = self._services().reader
        metadata = await reader.metadata(blob_id)
        size = metadata.unencoded_length
        headers = _headers(request, blob_id)
        if matches(request.headers.get("If-None-Match"), headers["ETag"]):
            return web.Response(status=304, headers=headers)
        if request.method == "HEAD":
            # The length is set by hand: a HEAD has no body to count. Range has a meaning for GET only.
            return web.Response(headers={**headers, "Content-Length": str(size)})
        wanted = request.headers.get("Range")
        if not same_as(request.headers.get("If-Range"), headers["ETag"]):
            wanted = None  # the asker has parts of something else, and wants all of this
        part = parse_range(wanted, size)
        ranged = {**headers, "Content-Range": part.content_range(size)} if part is not None else headers
        async with Admission(self._memory, wait_s=self._config.limits.admission_wait_s) as admission:
            if part is not None and check is not ConsistencyCheck.STRICT:
                return await self._send(request, 206, ranged, await self._part(blob_id, metadata, part, admission))
            await admission.grow(read_footprint(metadata))
            only = None if part is None else part.slice
            blob = await reader.stream(blob_id, check=check, metadata=metadata, part=only)
            return await self._send(request, 200 if part is None else 206, ranged, blob)

    async def byte_range(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/blobs/{blob_id}/byte-range: a part of a blob, by start and length."""
        blob_id = _blob_id(request)
        start, length = query.parse_span(list(request.query.items()))
        metadata = await self._services().reader.metadata(blob_id)
        part = span(start, length, metadata.unencoded_length)
        headers = _headers(request, blob_id)
        # The entity is this part, not the blob; the path and its parameters name it.
        del headers["ETag"], headers["Accept-Ranges"]
        async with Admission(self._memory, wait_s=self._config.limits.admission_wait_s) as admission:
            return await self._send(request, 200, headers, await self._part(blob_id, metadata, part, admission))

    async def status(self, request: web.Request) -> web.StreamResponse:
        """GET /v1/blobs/{blob_id}/status: what a quorum of the nodes knows, in the nodes' official shape."""
        query.parse_nothing(list(request.query.items()))
        status = await self._services().reader.status(_blob_id(request))
        document = {"success": {"code": 200, "data": status.to_json()}}
        return web.json_response(document, headers={"Cache-Control": "no-store"})

    async def _part(self, blob_id: BlobId, metadata: BlobMetadata, part: ByteRange, admission: Admission) -> BlobStream:
        """Reads a part with the memory that it takes; only when a sliver is missing with that of the whole blob."""
        await admission.grow(range_footprint(metadata, part.slice))

        async def for_all_of_it() -> None:
            await admission.grow(read_footprint(metadata))

        reader = self._services().reader
        return await reader.stream_range(blob_id, metadata, part.slice, before_whole=for_all_of_it)

    async def _send(
        self, request: web.Request, status: int, headers: Mapping[str, str], blob: BlobStream
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={**headers, "Content-Length": str(blob.length)})
        await send(request, response, blob, self._pace)
        return response

    def _limit(self, services: Services) -> int:
        largest = services.params.max_blob_size
        return min(largest, self._config.max_body_size or largest)

    async def _expect(self, request: web.Request) -> web.StreamResponse | None:
        """Answers `Expect: 100-continue`: a body that is too large is refused before it is sent."""
        try:
            check_declared(request, self._limit(self._services().for_storing()))
        except GatewayError as error:
            return error_response(error)
        if request.version >= (1, 1) and request.headers.get("Expect", "").lower() == "100-continue":
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            # The bytes belong to the interim answer, not to the body that the writer counts.
            request.writer.output_size = 0
        return None


def _blob_id(request: web.Request) -> BlobId:
    text = request.match_info["blob_id"]
    try:
        return blob_ids.parse(text)
    except BlobIdError as error:
        raise GatewayError(GatewayReason.MALFORMED_REQUEST, str(error)) from error


def _headers(request: web.Request, blob_id: BlobId) -> dict[str, str]:
    return {
        "ETag": f'"{blob_ids.to_text(blob_id)}"',
        "Cache-Control": CACHE_CONTROL,
        "Accept-Ranges": "bytes",
        "X-Content-Type-Options": "nosniff",
        "Content-Type": _content_type(request),
        # The type follows the asker: a shared cache must not hand one asker's to another.
        "Vary": "Accept, Content-Type",
    }


def _content_type(request: web.Request) -> str:
    """The type that the asker names, because a blob has none: one type in `Accept`, else its own `Content-Type`."""
    accepted = request.headers.get("Accept", "")
    if accepted and not {"*", ","} & set(accepted):
        return accepted
    return request.headers.get("Content-Type", "application/octet-stream")
