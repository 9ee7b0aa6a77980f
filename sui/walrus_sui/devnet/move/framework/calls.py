"""The functions of the Sui framework that a devnet offers to transactions: one list.

It has what programs that use Walrus call. Everything else of the framework is not there: `GetFunction` and a call of it
answer that the function does not exist. The list is what documentation and tests go by; the functions register
themselves in the modules of this package.
"""

from typing import Final

from walrus_sui.devnet.move.core.packages import STD, SUI

FRAMEWORK_CALLS: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    (STD, "ascii"): ("string",),
    (STD, "option"): (
        "none",
        "some",
        "is_none",
        "is_some",
        "borrow",
        "get_with_default",
        "destroy_none",
        "destroy_some",
        "destroy_with_default",
    ),
    (STD, "string"): ("utf8",),
    (SUI, "balance"): ("value", "zero", "join", "split", "withdraw_all", "destroy_zero"),
    (SUI, "clock"): ("timestamp_ms",),
    (SUI, "coin"): (
        "value",
        "balance",
        "zero",
        "join",
        "split",
        "divide_into_n",
        "destroy_zero",
        "into_balance",
        "from_balance",
        "take",
        "put",
    ),
    (SUI, "object"): ("id", "id_address", "id_from_address", "id_to_address"),
    (SUI, "package"): ("authorize_upgrade", "commit_upgrade"),
    (SUI, "pay"): (
        "keep",
        "split",
        "split_vec",
        "split_and_transfer",
        "divide_and_keep",
        "join",
        "join_vec",
        "join_vec_and_transfer",
    ),
    (SUI, "transfer"): ("public_transfer", "public_share_object", "public_freeze_object"),
    (SUI, "tx_context"): ("sender",),
    (SUI, "vec_map"): (
        "empty",
        "insert",
        "remove",
        "pop",
        "get",
        "try_get",
        "contains",
        "size",
        "is_empty",
        "from_keys_values",
        "destroy_empty",
    ),
}
