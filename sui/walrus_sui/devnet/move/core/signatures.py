"""Function signatures, written as in Move.

``(staking: &mut Staking, to_stake: Coin<WAL>, node_id: ID, ctx: &mut TxContext): StakedWal`` is read once, at import,
into tags: names are looked up among the structs that the module declares or uses. The result is what calls are checked
against and what ``GetFunction`` serves.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from walrus_sui.devnet.move.core import tags
from walrus_sui.devnet.move.core.packages import SUI
from walrus_sui.devnet.move.core.structs import parse_abilities
from walrus_sui.devnet.move.core.tags import TypeTag
from walrus_sui.devnet.move.core.types import Abilities

TX_CONTEXT = tags.struct(SUI, "tx_context", "TxContext")
_TOKEN = re.compile(r"\s*(&\s*mut\b|&|[A-Za-z_][A-Za-z0-9_]*|[<>(),:+])")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter or result.

    Attributes:
        name: as in Move; empty for results.
        reference: ``""``, ``"&"`` or ``"&mut"``.
        tag: its type; type parameters are ``$0``, ``$1``...
    """

    name: str
    reference: str
    tag: TypeTag


@dataclass(frozen=True, slots=True)
class Signature:
    """A function's type.

    Attributes:
        type_parameters: abilities that each type argument must have.
        parameters: all of them, the ``TxContext`` included.
        returns: results, without names.
    """

    type_parameters: tuple[Abilities, ...]
    parameters: tuple[Parameter, ...]
    returns: tuple[Parameter, ...]

    @property
    def arguments(self) -> tuple[Parameter, ...]:
        """Parameters that a caller fills: without the ``TxContext``."""
        return tuple(parameter for parameter in self.parameters if parameter.tag != TX_CONTEXT)


def type_parameter(index: int) -> TypeTag:
    """Stands for the index-th type argument."""
    return TypeTag(f"${index}")


def substitute(tag: TypeTag, arguments: tuple[TypeTag, ...]) -> TypeTag:
    """The type with type parameters replaced."""
    if tag.name.startswith("$"):
        return arguments[int(tag.name[1:])]
    return replace(tag, params=tuple(substitute(param, arguments) for param in tag.params)) if tag.params else tag


def parse_signature(text: str, lookup: Callable[[str], tuple[str, str, str]]) -> Signature:
    """Reads a signature.

    Args:
        text: optional type parameters, parameters in parentheses, optional results after a colon.
        lookup: gives address, module and name of a struct that is named without them.

    Raises:
        ValueError: the text is malformed.
        KeyError: a name that the module does not know.
    """
    parser = _Parser(text, lookup)
    type_parameters = parser.type_parameters()
    parameters = parser.parameters()
    returns = parser.returns()
    return Signature(type_parameters, parameters, returns)


class _Parser:
    def __init__(self, text: str, lookup: Callable[[str], tuple[str, str, str]]) -> None:
        self._tokens: list[str] = []
        at = 0
        while at < len(text.rstrip()):
            match = _TOKEN.match(text, at)
            if match is None:
                raise ValueError(f"signature {text!r} is malformed at {at}")
            self._tokens.append(
                "&mut" if match.group(1).startswith("&") and "mut" in match.group(1) else match.group(1)
            )
            at = match.end()
        self._lookup = lookup
        self._names: list[str] = []

    def _peek(self) -> str:
        return self._tokens[0] if self._tokens else ""

    def _next(self, expected: str = "") -> str:
        token = self._tokens.pop(0) if self._tokens else ""
        if not token or (expected and token != expected):
            raise ValueError(f"signature: {expected or 'more'} expected, not {token!r}")
        return token

    def _listed(self, close: str, item: Callable[[], None]) -> None:
        while self._peek() != close:
            item()
            if self._peek() != close:
                self._next(",")
        self._next(close)

    def type_parameters(self) -> tuple[Abilities, ...]:
        found: list[Abilities] = []

        def item() -> None:
            self._names.append(self._next())
            abilities: list[str] = []
            if self._peek() == ":":
                self._next(":")
                abilities.append(self._next())
                while self._peek() == "+":
                    self._next("+")
                    abilities.append(self._next())
            found.append(parse_abilities(",".join(abilities)))

        if self._peek() == "<":
            self._next("<")
            self._listed(">", item)
        return tuple(found)

    def parameters(self) -> tuple[Parameter, ...]:
        found: list[Parameter] = []

        def item() -> None:
            name = self._next()
            self._next(":")
            reference = self._next() if self._peek().startswith("&") else ""
            found.append(Parameter(name, reference, self._type()))

        self._next("(")
        self._listed(")", item)
        return tuple(found)

    def returns(self) -> tuple[Parameter, ...]:
        found: list[Parameter] = []

        def item() -> None:
            reference = self._next() if self._peek().startswith("&") else ""
            found.append(Parameter("", reference, self._type()))

        if self._tokens:
            self._next(":")
            if self._peek() == "(":
                self._next("(")
                self._listed(")", item)
            else:
                item()
        if self._tokens:
            raise ValueError(f"signature: {self._peek()!r} after its end")
        return tuple(found)

    def _type(self) -> TypeTag:
        name = self._next()
        if name in self._names:
            return type_parameter(self._names.index(name))
        params: list[TypeTag] = []
        if self._peek() == "<":
            self._next("<")
            self._listed(">", lambda: params.append(self._type()))
        if name == "vector":
            return tags.vector(params[0])
        if re.fullmatch(r"u(8|16|32|64|128|256)|bool|address", name):
            return TypeTag(name)
        owner, module, struct_name = self._lookup(name)
        return TypeTag(struct_name, tuple(params), owner, module)
