"""Read DER: definite lengths in their one spelling, nothing beyond the end, one level at a time.

Source: ITU-T X.690 sections 8.1 and 10.1.
"""

from __future__ import annotations

from typing import Final

from nodecheck.records import dataclass
from nodecheck.trust.packets import Reader, TrustError

SEQUENCE: Final = 0x30
SET: Final = 0x31
OBJECT: Final = 0x06
OCTETS: Final = 0x04

_ITEMS_LIMIT: Final = 1000
_OBJECT_LIMIT_BYTES: Final = 64


@dataclass(frozen=True, slots=True)
class Item:
    """One value: its tag, its content, and all its bytes."""

    tag: int
    content: bytes
    encoded: bytes

    def items(self, tag: int = SEQUENCE) -> tuple[Item, ...]:
        """Return the values inside a value of this tag."""
        return read_items(self.expect(tag))

    def expect(self, tag: int) -> bytes:
        """Return the content of a value that must have this tag."""
        if self.tag != tag:
            msg = f"value of tag {self.tag:#04x}, expected {tag:#04x}"
            raise TrustError(msg)
        return self.content

    def object_id(self) -> str:
        """Return an object identifier, dotted."""
        return dotted(self.expect(OBJECT))


def read_one(data: bytes) -> Item:
    """Return the one value that these bytes are.

    Raises:
        TrustError: they are none, or more.
    """
    items = read_items(data)
    if len(items) != 1:
        msg = f"{len(items)} values, expected one"
        raise TrustError(msg)
    return items[0]


def read_items(data: bytes) -> tuple[Item, ...]:
    """Return the values that follow one another.

    Raises:
        TrustError: a length is indefinite, misspelt or beyond the end, or there are too many.
    """
    reader = Reader(data)
    items: list[Item] = []
    while reader.left:
        if len(items) == _ITEMS_LIMIT:
            msg = f"more than {_ITEMS_LIMIT} values"
            raise TrustError(msg)
        start = len(data) - reader.left
        tag = reader.number(1)
        if tag & 0x1F == 0x1F:  # noqa: PLR2004 - X.690 section 8.1.2.4
            msg = "tag of several bytes"
            raise TrustError(msg)
        content = reader.take(_length(reader))
        items.append(Item(tag, content, data[start : len(data) - reader.left]))
    return tuple(items)


def _length(reader: Reader) -> int:
    first = reader.number(1)
    if first < 0x80:  # noqa: PLR2004 - X.690 section 8.1.3.4
        return first
    value = reader.number(first & 0x7F)
    if first == 0x80 or value < 0x80 or value.bit_length() <= 8 * ((first & 0x7F) - 1):  # noqa: PLR2004
        msg = "length that is indefinite or longer than it need be"
        raise TrustError(msg)
    return value


def dotted(content: bytes) -> str:
    """Return an object identifier from its bytes.

    >>> dotted(bytes.fromhex("2b0601040182370201 04".replace(" ", "")))
    '1.3.6.1.4.1.311.2.1.4'

    Raises:
        TrustError: it is cut, or longer than any in use.
    """
    if not content or len(content) > _OBJECT_LIMIT_BYTES or content[-1] & 0x80:
        msg = "damaged object identifier"
        raise TrustError(msg)
    numbers, value = list[int](), 0
    for byte in content:
        value = value << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(value)
            value = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))
