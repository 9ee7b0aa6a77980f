"""The chain as it was some checkpoints ago, for readers whose index lags.

The live state is taken back change by change: first what no checkpoint has sealed yet, then checkpoint by checkpoint.
"""

from collections.abc import Callable, Iterable

from walrus_codec.types import ObjectId
from walrus_sui.devnet.ledger.checkpoints import Executed
from walrus_sui.devnet.ledger.objects import Object
from walrus_sui.devnet.ledger.state import State


def before(state: State, newest_first: Iterable[Executed], version: Callable[[ObjectId, int], Object | None]) -> State:
    """The objects as they were before some transactions.

    Args:
        state: as it is after them; stays as it is.
        newest_first: the transactions, the last one first.
        version: finds a past version of an object.
    """
    was: dict[ObjectId, int | None] = {}
    for executed in newest_first:
        for change in executed.effects.changed_objects:
            was[change.object_id] = None if change.before is None else change.before.version
    kept = (obj for obj in state if obj.object_id not in was)
    found = (version(object_id, number) for object_id, number in was.items() if number is not None)
    return State([*kept, *(obj for obj in found if obj is not None)])
