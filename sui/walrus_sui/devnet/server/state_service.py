"""StateService: what addresses and objects own, balances, coins."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Final

from walrus_codec.types import ObjectId, SuiAddress
from walrus_proto.sui.rpc.v2 import object_pb2, state_service_pb2, state_service_pb2_grpc
from walrus_sui.devnet.engine import Engine
from walrus_sui.devnet.ledger import digests
from walrus_sui.devnet.ledger.records import SUI_TYPE, DynamicField, Object
from walrus_sui.devnet.server import calls, faults, masks, resolve
from walrus_sui.devnet.server.masks import Mask
from walrus_sui.devnet.server.paging import Listing, page_size
from walrus_sui.devnet.server.render import objects

_OWNED_MASK: Final = "object_id,version,object_type"
_FIELD_MASK: Final = "parent,field_id"
_U64_MAX: Final = 2**64 - 1
_Kind = state_service_pb2.DynamicField


class StateService(state_service_pb2_grpc.StateServiceServicer):
    """Answers from one engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @calls.read
    def ListOwnedObjects(
        self, request: state_service_pb2.ListOwnedObjectsRequest
    ) -> state_service_pb2.ListOwnedObjectsResponse:
        """Objects of an address, by type; coins of one type come richest first, as on a real node."""
        mask = masks.of(request, object_pb2.Object.DESCRIPTOR, default=_OWNED_MASK)
        owner = SuiAddress(resolve.required_address(request, "owner"))
        wanted = str(resolve.type_tag("object_type", request.object_type)) if request.object_type else None
        listing = Listing("owned", owner, wanted or "")
        start = listing.start(request.page_token)
        ordered = sorted((_owned_key(obj), obj) for obj in self.engine.reads.ledger.owned_objects(owner, wanted))
        as_json = self.engine.reads.ledger.as_json
        items = ((key, partial(objects.obj, obj, as_json, mask)) for key, obj in ordered if key > start)
        page, token = listing.page(items, size=_size(request))
        return state_service_pb2.ListOwnedObjectsResponse(objects=page, next_page_token=token)

    @calls.read
    def ListDynamicFields(
        self, request: state_service_pb2.ListDynamicFieldsRequest
    ) -> state_service_pb2.ListDynamicFieldsResponse:
        """Dynamic fields and dynamic object fields of an object, by field id."""
        mask = masks.of(request, state_service_pb2.DynamicField.DESCRIPTOR, default=_FIELD_MASK)
        parent = resolve.required_address(request, "parent")
        listing = Listing("fields", parent)
        start = listing.start(request.page_token)
        page, token = listing.page(
            self._fields(self.engine.reads.ledger.dynamic_fields(parent), start, mask), size=_size(request)
        )
        return state_service_pb2.ListDynamicFieldsResponse(dynamic_fields=page, next_page_token=token)

    @calls.read
    def GetBalance(self, request: state_service_pb2.GetBalanceRequest) -> state_service_pb2.GetBalanceResponse:
        """All coins of one type that an address has."""
        owner = SuiAddress(resolve.required_address(request, "owner"))
        coin_type = _coin_type(request.coin_type)
        total = self.engine.reads.ledger.balance(owner, coin_type)
        return state_service_pb2.GetBalanceResponse(balance=_balance(coin_type, total))

    @calls.read
    def ListBalances(self, request: state_service_pb2.ListBalancesRequest) -> state_service_pb2.ListBalancesResponse:
        """Balances of an address, by coin type."""
        owner = SuiAddress(resolve.required_address(request, "owner"))
        listing = Listing("balances", owner)
        start = listing.start(request.page_token)
        totals = sorted(self.engine.reads.ledger.balances(owner).items())
        items = (
            (coin_type.encode(), partial(_balance, coin_type, total))
            for coin_type, total in totals
            if coin_type.encode() > start
        )
        page, token = listing.page(items, size=_size(request))
        return state_service_pb2.ListBalancesResponse(balances=page, next_page_token=token)

    @calls.read
    def GetCoinInfo(self, request: state_service_pb2.GetCoinInfoRequest) -> state_service_pb2.GetCoinInfoResponse:
        """Name, decimals and supply of a coin."""
        coin_type = _coin_type(request.coin_type)
        info = self.engine.reads.ledger.coin_info(coin_type)
        if info is None:
            raise faults.not_found(f"Coin type {coin_type} not found")
        treasury = state_service_pb2.CoinTreasury(total_supply=info.total_supply)
        if info.treasury_id is not None:
            treasury.id = info.treasury_id
        if coin_type == SUI_TYPE:
            treasury.supply_state = state_service_pb2.CoinTreasury.FIXED
        return state_service_pb2.GetCoinInfoResponse(
            coin_type=coin_type,
            metadata=state_service_pb2.CoinMetadata(
                id=info.metadata_id,
                decimals=info.decimals,
                name=info.name,
                symbol=info.symbol,
                description=info.description,
                icon_url=info.icon_url,
            ),
            treasury=treasury,
        )

    def _fields(
        self, found: Iterable[DynamicField], start: bytes, mask: Mask
    ) -> Iterator[tuple[bytes, Callable[[], state_service_pb2.DynamicField]]]:
        for field in sorted(found, key=lambda item: item.field_id):
            key = digests.write_address(field.field_id)
            if key > start:
                yield key, partial(self._field, field, mask)

    def _field(self, field: DynamicField, mask: Mask) -> state_service_pb2.DynamicField:
        message = state_service_pb2.DynamicField(
            kind=_Kind.FIELD if field.child_id is None else _Kind.OBJECT,
            parent=field.parent,
            field_id=field.field_id,
            name=object_pb2.Bcs(name=field.name.type, value=field.name.bcs),
            value=object_pb2.Bcs(name=field.value.type, value=field.value.bcs),
            value_type=field.value_type,
            child_id=field.child_id,
        )
        if mask.has("field_object"):
            self._show(message.field_object, field.field_id, mask.sub("field_object"))
        if mask.has("child_object") and field.child_id is not None:
            self._show(message.child_object, field.child_id, mask.sub("child_object"))
        return mask.prune(message)

    def _show(self, into: object_pb2.Object, object_id: ObjectId, mask: Mask) -> None:
        found = self.engine.reads.object(object_id)
        if found is not None:
            into.CopyFrom(objects.obj(found, self.engine.reads.ledger.as_json, mask))


def _owned_key(obj: Object) -> bytes:
    """Order within a listing: type, then the larger balance, then the id."""
    inverted = _U64_MAX - (obj.coin_balance or 0)
    return obj.type.encode() + b"\x00" + inverted.to_bytes(8, "big") + digests.write_address(obj.object_id)


def _size(
    request: (
        state_service_pb2.ListOwnedObjectsRequest
        | state_service_pb2.ListDynamicFieldsRequest
        | state_service_pb2.ListBalancesRequest
    ),
) -> int:
    return page_size(request.page_size if request.HasField("page_size") else None)


def _coin_type(text: str) -> str:
    if not text:
        raise faults.missing("coin_type")
    return str(resolve.type_tag("coin_type", text))


def _balance(coin_type: str, total: int) -> state_service_pb2.Balance:
    return state_service_pb2.Balance(coin_type=coin_type, balance=total, coin_balance=total, address_balance=0)
