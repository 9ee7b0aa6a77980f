"""Module `walrus::auth`: proof of who asks, made and used within one transaction; and who may ask, as a value."""

from walrus_sui.abi import ptb
from walrus_sui.abi.contract import Contract
from walrus_sui.abi.ptb import Argument, Program, Result
from walrus_sui.types import Authorized

MODULE = "auth"


def authenticate_sender(program: Program, contract: Contract) -> Result:
    """Add `authenticate_sender`; returns an Authenticated."""
    return contract.call(program, MODULE, "authenticate_sender")


def authenticate_with_object(program: Program, contract: Contract, proof: Argument, object_type: str) -> Result:
    """Add `authenticate_with_object` with an object of the sender; returns an Authenticated."""
    return contract.call(program, MODULE, "authenticate_with_object", proof, types=(object_type,))


def authorized(program: Program, contract: Contract, who: Authorized) -> Result:
    """Add `authorized_address` or `authorized_object`; returns an Authorized."""
    function = "authorized_object" if who.is_object else "authorized_address"
    return contract.call(program, MODULE, function, ptb.address(who.id))
