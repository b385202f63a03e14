r"""Find secrets in text by their form, and tell rule and line only: no value leaves this module.

A rule matches what cannot well be anything else; a name such as ``password`` counts only with a
value that is written out beside it, not with a reference to one (``$NAME``, ``$(...)``,
``{{...}}``, ``%NAME%``, ``<...>``). Quotes may be escaped, since scripts stand in JSON documents.

Sources of the forms: unique id prefixes and the lengths of access keys (IAM User Guide, "IAM
identifiers" and "Managing access keys"); RFC 7468 (PEM); GitHub, "About authentication to GitHub"
(token prefixes); Slack, "Token types"; RFC 7519 section 3 (JWT).
"""

from __future__ import annotations

import re
from itertools import islice
from typing import TYPE_CHECKING, Final

from nodecheck.records import dataclass

if TYPE_CHECKING:
    from collections.abc import Iterator

AWS_SECRET: Final = "aws-secret-key"  # noqa: S105 - the name of a rule
PASSWORD: Final = "password-parameter"  # noqa: S105 - as above
_EXAMPLE: Final = "EXAMPLE"
"""AWS's documentation uses AKIAIOSFODNN7EXAMPLE with a secret that ends in EXAMPLEKEY."""

_SIXTEEN: Final = r"[A-Z2-7]{16}"
_FORTY: Final = r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])"
_MOST_VALUE: Final = 200
MOST_MATCHES: Final = 100
"""Of one rule in one text: the hundredth says nothing new."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One match: which rule, and in which line, counted from 1; ``is_example`` is AWS's own."""

    rule: str
    line: int
    is_example: bool = False


_RULES: Final = (
    (
        AWS_SECRET,
        # An access key id is no secret; with 40 characters of base64 close behind it is a pair.
        re.compile(rf"(?<![A-Z0-9])(?:AKIA|ASIA){_SIXTEEN}(?![A-Z0-9])[^\x00]{{1,200}}?({_FORTY})"),
    ),
    (
        AWS_SECRET,
        re.compile(
            rf"secret_?access_?key[\"'\\]{{0,4}}[\s:=\[\\\"']{{1,12}}({_FORTY})", re.IGNORECASE
        ),
    ),
    (
        "private-key",
        re.compile(
            r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"
            r"(?:\s|\\[nrt]|[A-Z][\w-]{1,30}: [^\n\\]{1,100}){0,20}([A-Za-z0-9+/=]{40})"
        ),
    ),
    ("github-token", re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255})\b")),
    (
        "slack-token",
        re.compile(
            r"\b(xox[abeoprs]-[0-9A-Za-z-]{10,250}"
            r"|hooks\.slack\.com/services/T\w{6,20}/B\w{6,20}/\w{16,40})"
        ),
    ),
    (
        "jwt",
        re.compile(r"\b(eyJ[\w-]{10,4000}\.eyJ[\w-]{10,8000}\.[\w-]{16,2000})", re.ASCII),
    ),
    (
        "url-password",
        re.compile(
            r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$]{1,100}:([^\s/@\"'<>{}$%*]{3,200})@"
        ),
    ),
)
_NAMED: Final = re.compile(
    r"(?:passw(?:or)?d|passphrase|client_?secret|secret_?key|api_?key|auth_?token|access_?token)"
    r"(?:\\{0,3}[\"'])?\s{0,3}"
    # After a colon a sentence may follow: there a value counts in quotes only.
    r"(?::\s{0,3}\[?\s{0,3}(?:\\{0,3}[\"'])|=\s{0,3}\[?(?:\\{0,3}[\"'])?|[ ](?=[^\s=:]*[0-9]))"
    rf"([^\s\"'\\,;&|()\]}}]{{6,{_MOST_VALUE}}}+)(?!\()",
    re.IGNORECASE,
)
_OPTION: Final = re.compile(r"--?[\w-]{0,30}$")
_REFERENCE: Final = re.compile(
    r"[$%{<`*\[#@]|&|(?:null|none|true|false|undefined|changeme|example|redacted|hidden)\b"
    r"|arn:|ssm:|file:|fileb:|/|(.)\1*$",
    re.IGNORECASE,
)
"""What a value that is none begins with: a reference, a placeholder, a path, one repeated sign."""


def scan(text: str) -> tuple[Sighting, ...]:
    r"""Return what the rules see, in the order of lines.

    >>> scan("a\nexport DB_PASSWORD='correcthorse'\n")
    (Sighting(rule='password-parameter', line=2, is_example=False),)
    >>> scan("PASSWORD=$(aws ssm get-parameter --with-decryption --name /db)")
    ()
    """
    found = [
        Sighting(rule, _line(text, match.start(1)), _EXAMPLE in match[0])
        for rule, pattern in _RULES
        for match in islice(pattern.finditer(text), MOST_MATCHES)
        if rule != AWS_SECRET or _is_random(match[1])
    ]
    passwords = islice(_passwords(text), MOST_MATCHES)
    found += [Sighting(PASSWORD, _line(text, at)) for at in passwords]
    return tuple(sorted(set(found), key=lambda item: (item.line, item.rule)))


def _passwords(text: str) -> Iterator[int]:
    for match in _NAMED.finditer(text):
        is_separated = text[match.start() : match.start(1)].rstrip("\"'\\[ ").endswith((":", "="))
        is_option = _OPTION.search(text, max(0, match.start() - 40), match.start())
        if (is_separated or is_option) and not _REFERENCE.match(match[1]):
            yield match.start(1)


def _is_random(word: str) -> bool:
    """Tell a secret from 40 digits of a digest or a path: it has both cases and digits."""
    kinds = (str.isupper, str.islower, str.isdigit)
    return all(any(kind(char) for char in word) for kind in kinds) and word.count("/") <= 6  # noqa: PLR2004


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1
