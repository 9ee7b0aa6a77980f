"""The slow twin of the codec: RedStuff in plain Python, written from the definitions and sharing no code with it.

Both one-dimensional codes are given as what they are, a matrix over a field: codeword symbol j = sum of source symbol i
times entry (j, i), at each element of the symbols by itself. Nothing here is fast, and nothing is clever.

* `Cauchy`: GF(2^8) with polynomial 0x11D, an element per byte. Rows 0..k−1 are the identity, row j ≥ k has 1/(i xor j).
* `Leopard`: GF(2^16) with polynomial 0x1002D, numbers naming elements through the Cantor basis. Each half of a
  64-byte block holds the low or the high bytes of 32 elements; a tail is halved in the same way. Recovery symbols are
  values of the interpolation polynomial, in one of two forms, chosen by the next powers of two of k and n − k.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from typing import Protocol

# --- fields -----------------------------------------------------------------------------------------------------------


def multiply_polynomials(a: int, b: int, modulus: int) -> int:
    """Product of two polynomials over GF(2), given as bit strings, modulo a third."""
    product, top = 0, 1 << (modulus.bit_length() - 1)
    while b:
        if b & 1:
            product ^= a
        a <<= 1
        if a & top:
            a ^= modulus
        b >>= 1
    return product


@cache
def bytes_product_table() -> list[bytes]:
    """table[a][b] = a·b in GF(2^8)."""
    return [bytes(multiply_polynomials(a, b, 0x11D) for b in range(256)) for a in range(256)]


def multiply_bytes(a: int, b: int) -> int:
    return bytes_product_table()[a][b]


def inverse_byte(a: int) -> int:
    return bytes_product_table()[a].index(1)


CANTOR = [
    *(0x0001, 0xACCA, 0x3C0E, 0x163E, 0xC582, 0xED2E, 0x914C, 0x4012),
    *(0x6C98, 0x10D8, 0x6A72, 0xB900, 0xFDB8, 0xFB34, 0xFF38, 0x991E),
]


@cache
def word_tables() -> tuple[list[int], list[int]]:
    """Logarithm of each non-zero number and its reverse; numbers name elements of GF(2^16) by Cantor coordinates."""
    standard_of = [0]
    for element in CANTOR:
        standard_of += [element ^ other for other in standard_of]
    number_of = {standard: number for number, standard in enumerate(standard_of)}
    exponent, logarithm, power = [0] * 65535, [0] * 65536, 1
    for e in range(65535):
        exponent[e] = number_of[power]
        logarithm[number_of[power]] = e
        power = multiply_polynomials(power, 2, 0x1002D)
    return logarithm, exponent


def multiply_words(a: int, b: int) -> int:
    if a == 0 or b == 0:
        return 0
    logarithm, exponent = word_tables()
    return exponent[(logarithm[a] + logarithm[b]) % 65535]


def divide_words(a: int, b: int) -> int:
    if a == 0:
        return 0
    logarithm, exponent = word_tables()
    return exponent[(logarithm[a] - logarithm[b]) % 65535]


# --- codes ------------------------------------------------------------------------------------------------------------


class Code(Protocol):
    encoding_type: int

    def expand(self, source: Sequence[bytes], n: int) -> list[bytes]: ...

    def solve(self, known: dict[int, bytes], k: int, n: int) -> list[bytes]: ...


def eliminate(
    rows: list[list[int]],
    values: list[list[int]],
    multiply: Callable[[int, int], int],
    inverse: Callable[[int], int],
) -> list[list[int]]:
    """Solves rows · x = values by Gauss, an element of each value at a time; any k symbols are independent."""
    k = len(rows)
    for pivot in range(k):
        found = next(row for row in range(pivot, k) if rows[row][pivot])
        rows[pivot], rows[found] = rows[found], rows[pivot]
        values[pivot], values[found] = values[found], values[pivot]
        factor = inverse(rows[pivot][pivot])
        rows[pivot] = [multiply(factor, entry) for entry in rows[pivot]]
        values[pivot] = [multiply(factor, entry) for entry in values[pivot]]
        for row in range(k):
            if row != pivot and (factor := rows[row][pivot]):
                rows[row] = [a ^ multiply(factor, b) for a, b in zip(rows[row], rows[pivot], strict=True)]
                values[row] = [a ^ multiply(factor, b) for a, b in zip(values[row], values[pivot], strict=True)]
    return values


def unit(k: int, at: int) -> list[int]:
    return [int(i == at) for i in range(k)]


class Cauchy:
    encoding_type = 128

    def expand(self, source: Sequence[bytes], n: int) -> list[bytes]:
        table, k, size = bytes_product_table(), len(source), len(source[0])
        word = [bytes(symbol) for symbol in source]
        for j in range(k, n):
            total = [0] * size
            for i, symbol in enumerate(source):
                row = table[inverse_byte(i ^ j)]
                for at in range(size):
                    total[at] ^= row[symbol[at]]
            word.append(bytes(total))
        return word

    def solve(self, known: dict[int, bytes], k: int, n: int) -> list[bytes]:
        """The k source symbols of the word that has these k symbols at these positions."""
        rows = [unit(k, j) if j < k else [inverse_byte(i ^ j) for i in range(k)] for j in known]
        found = eliminate(rows, [list(symbol) for symbol in known.values()], multiply_bytes, inverse_byte)
        return [bytes(symbol) for symbol in found]


class Leopard:
    encoding_type = 1

    def expand(self, source: Sequence[bytes], n: int) -> list[bytes]:
        k, size = len(source), len(source[0])
        elements = [to_words(symbol) for symbol in source]
        word = [bytes(symbol) for symbol in source]
        for coefficients in leopard_matrix(k, n - k):
            total = [0] * (size // 2)
            for factor, symbol in zip(coefficients, elements, strict=True):
                for at, element in enumerate(symbol):
                    total[at] ^= multiply_words(factor, element)
            word.append(from_words(total))
        return word

    def solve(self, known: dict[int, bytes], k: int, n: int) -> list[bytes]:
        matrix = leopard_matrix(k, n - k)
        rows = [unit(k, j) if j < k else list(matrix[j - k]) for j in known]
        values = [to_words(symbol) for symbol in known.values()]
        return [from_words(found) for found in eliminate(rows, values, multiply_words, lambda a: divide_words(1, a))]


@cache
def leopard_matrix(k: int, r: int) -> list[list[int]]:
    """Row m: the factors of the k source symbols in recovery symbol m."""
    k_power, r_power = next_power(k), next_power(r)
    high = k_power > r_power or (k_power == r_power and k <= r)
    if high:
        return [[lagrange(m, r_power, r_power + i) for i in range(k)] for m in range(r)]
    return [[lagrange(i, k_power, k_power + m) for i in range(k)] for m in range(r)]


def lagrange(index: int, points: int, at: int) -> int:
    """Value at `at` of the polynomial that is 1 in `index` and 0 in the other points of 0..points−1."""
    value = 1
    for point in range(points):
        if point != index:
            value = multiply_words(value, divide_words(at ^ point, index ^ point))
    return value


def next_power(value: int) -> int:
    power = 1
    while power < value:
        power *= 2
    return power


def to_words(symbol: bytes) -> list[int]:
    words = []
    for start in range(0, len(symbol), 64):
        block = symbol[start : start + 64]
        half = len(block) // 2
        words += [low | high << 8 for low, high in zip(block[:half], block[half:], strict=True)]
    return words


def from_words(words: Sequence[int]) -> bytes:
    out = b""
    for start in range(0, len(words), 32):
        block = words[start : start + 32]
        out += bytes(word & 255 for word in block) + bytes(word >> 8 for word in block)
    return out


# --- RedStuff ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DumbBlob:
    blob_id: bytes
    root: bytes
    hashes: list[tuple[bytes, bytes]]  # pair order: root of row i, root of column n − 1 − i
    primary: list[bytes]  # by row
    secondary: list[bytes]  # by column


def encode(data: bytes, n: int, code: Code) -> DumbBlob:
    f = (n - 1) // 3
    k1, k2 = n - 2 * f, n - f
    s = 1
    while k1 * k2 * s < len(data) or s % 2:
        s += 1
    padded = data.ljust(k1 * k2 * s, b"\0")
    rows = []
    for r in range(k1):
        source = [padded[(r * k2 + c) * s : (r * k2 + c + 1) * s] for c in range(k2)]
        rows.append(code.expand(source, n))
    columns = [code.expand([row[c] for row in rows], n) for c in range(n)]
    primary_roots = [merkle_root([columns[c][r] for c in range(n)]) for r in range(n)]
    secondary_roots = [merkle_root(column) for column in columns]
    hashes = [(primary_roots[i], secondary_roots[n - 1 - i]) for i in range(n)]
    root = merkle_root([a + b for a, b in hashes])
    head = bytes([code.encoding_type]) + len(data).to_bytes(8, "little")
    return DumbBlob(
        blob_id=digest(head + root),
        root=root,
        hashes=hashes,
        primary=[b"".join(columns[c][r] for c in range(k2)) for r in range(n)],
        secondary=[b"".join(columns[c][:k1]) for c in range(n)],
    )


def digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=32).digest()


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    level = [digest(b"\0" + leaf) for leaf in leaves]
    while len(level) > 1:
        if len(level) % 2:
            level.append(bytes(32))
        level = [digest(b"\1" + level[i] + level[i + 1]) for i in range(0, len(level), 2)]
    return level[0] if level else bytes(32)
