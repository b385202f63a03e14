"""Which requests go through which proxy, and the head of an HTTP reply."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodecheck.host.proxy import choose, is_exempt
from nodecheck.host.reply_head import parse_head
from nodecheck.model.errors import ProbeError

HOST = "ssm.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    ("no_proxy", "is_direct"),
    [
        ("", False),
        ("*", True),
        (HOST, True),
        (HOST.upper(), True),
        (f"{HOST}:443", True),
        (f"{HOST}:8443", False),
        ("amazonaws.com", True),
        (".amazonaws.com", True),
        ("*.amazonaws.com", True),
        ("other.com, amazonaws.com", True),
        ("other.com amazonaws.com", True),
        ("onaws.com", False),
        ("169.254.169.254,localhost", False),
        ("10.0.0.0/8", False),
        (",,", False),
        (".", False),
    ],
)
def test_no_proxy(no_proxy: str, *, is_direct: bool) -> None:
    assert is_exempt(no_proxy, HOST, 443) is is_direct


def test_no_proxy_with_ipv6() -> None:
    assert is_exempt("[fd00::1]:443", "fd00::1", 443)
    assert is_exempt("fd00::1", "fd00::1", 443)
    assert not is_exempt("fd00::2", "fd00::1", 443)


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_proxy_with_user_and_password(name: str) -> None:
    found = choose({name: "http://us%40er:p%3Aw@proxy.example:3128/"}, HOST, 443)
    assert found is not None
    assert (found.host, found.port) == ("proxy.example", 3128)
    assert found.authorization == "Basic dXNAZXI6cDp3"


def test_the_lower_case_name_wins() -> None:
    found = choose({"HTTPS_PROXY": "a", "https_proxy": "b"}, HOST, 443)
    assert found is not None
    assert found.host == "b"


@pytest.mark.parametrize(
    "value", ["socks5://p:1", "https://p", "http://", "http://a:x", "http://[::1"]
)
def test_proxies_that_are_not_understood(value: str) -> None:
    with pytest.raises(ProbeError) as caught:
        choose({"HTTPS_PROXY": value.replace("//", "//user:secret@")}, HOST, 443)
    assert caught.value.reason == "bad-proxy"
    assert "secret" not in str(caught.value)


def test_headers_are_lower_case_and_repeated_ones_joined() -> None:
    head = parse_head(b"HTTP/1.1 404 Not\r\nDATE: a\r\ndate: b\r\nX: 1\r\n\r\n", "x")
    assert (head.status, head.headers) == (404, {"date": "a, b", "x": "1"})


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n\r\n",
        b"SSH-2.0\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 999 x\r\n\r\n",
        b"HTTP/1.1 2000\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: empty\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\na : b\r\n\r\n",
    ],
)
def test_what_is_not_http_is_refused(data: bytes) -> None:
    with pytest.raises(ProbeError) as caught:
        parse_head(data, "x")
    assert caught.value.reason == "bad-reply"


@given(st.binary(max_size=300))
def test_the_reader_of_heads_never_crashes(data: bytes) -> None:
    try:
        parse_head(b"HTTP/1.1 200 OK\r\n" + data, "x")
    except ProbeError:
        return
