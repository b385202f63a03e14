r"""Make a text of the node fit to be shown: no secret, no control character, and short.

What has the form of a secret goes, also where it may be harmless: access keys, the values of
passwords, tokens and Authorization headers, whatever stands before an ``@`` in an address, and long
words in which letters and digits mix. Resource names (ARNs) stay.
"""

from __future__ import annotations

import re
from typing import Final

HIDDEN: Final = "[hidden]"
LIMIT: Final = 200

_SECRET: Final = re.compile(
    r"""
    (?P<arn> \barn:aws[\w-]{0,20}:[\w.:/=,*-]{1,300} )
  | (?P<before> ://)[^\s"'<>]{1,2000}@                              # user:password@ of a URL
  | (?<![^\s"'=(]) [^\s/@"'=(]{1,200}:[^\s/@"']{1,200}@            # the same without a scheme
  | (?P<key> \b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{8,} )
  | (?P<header> [\w-]{0,40}Authorization["']?\s{0,3}[:=]\s{0,3}["']? ) [^"']{1,4000}   # to the end
  | (?P<name> (?:Signature(?==) | X-Amz-(?:Signature|Credential|Security-Token)
        | [\w-]{0,40}(?:Password|Passwd|Passphrase|Secret|SecretAccessKey|AccessKey
        | Token|TokenValue|PrivateKey|Credential)) ["']?\s{0,3}[:=]\s{0,3}["']? )
        [^\s"'&;]{1,4000}
  | [A-Za-z0-9+/=_-]{36,}                                          # judged by _hide
    """,
    re.VERBOSE | re.IGNORECASE,
)
_DIGIT: Final = re.compile("[0-9]")
_PARTED: Final = re.compile("[-_/]")


def redact(text: str, limit: int = LIMIT) -> str:
    r"""Return the text without secrets, in printable characters, cut to a length.

    >>> redact("proxyconnect http://ann:pw@squid:3128: AKIAIOSFODNN7EXAMPLE\x1b[2J")
    'proxyconnect http://[hidden]@squid:3128: [hidden] [2J'
    >>> redact("Password=hunter2, Authorization: Bearer abc.def")
    'Password=[hidden] Authorization: [hidden]'
    """
    whole = text[: limit * 20]
    seen = "".join(char if char.isprintable() else " " for char in whole)
    clean = " ".join(_SECRET.sub(_hide, seen).split())
    return clean if len(clean) <= limit else f"{clean[: limit - 3]}..."


def _hide(match: re.Match[str]) -> str:
    if match["arn"]:
        return match[0]
    if match["before"]:
        return f"{match['before']}{HIDDEN}@"
    if match["header"]:
        return f"{match['header']}{HIDDEN}"
    if match["name"]:
        return f"{match['name']}{HIDDEN}"
    if match[0].endswith("@"):
        return f"{HIDDEN}@"
    return HIDDEN if match["key"] or _is_random(match[0]) else match[0]


def _is_random(word: str) -> bool:
    """Tell whether a long word may be a key: request ids and paths in small letters are not."""
    is_mixed = word not in {word.lower(), word.upper()} or not _PARTED.search(word)
    return is_mixed and _DIGIT.search(word) is not None
