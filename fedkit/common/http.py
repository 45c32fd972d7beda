"""Asking a server that need not be trusted: where it is, how long it may speak and how much, and what it is told.

It hears the key that was meant for it and nothing else of this machine; it sends us nowhere but to itself.
"""

from __future__ import annotations

import importlib
import ipaddress
import re
import time
import zlib
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import SplitResult, urlsplit

from .errors import FedkitError

OPENAI = "https://api.openai.com/v1"
LARGEST = 4 * 2**20  # bytes of one answer, unpacked
_HOPS = 3  # redirects within a server
_HEADERS = frozenset(
    ("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent")
)
_OF_TRANSPORT = frozenset(("content-encoding", "content-length", "transfer-encoding"))
_PACKED = frozenset(("gzip", "x-gzip", "deflate"))
_HOST = re.compile(r"[a-z0-9]([a-z0-9._-]*[a-z0-9])?\.?", re.IGNORECASE)


class NotTaken(Exception):
    """An answer that is not read: it points elsewhere or is packed in a way that was not asked for. In words."""


class TooLarge(NotTaken):
    """An answer that goes on beyond the limit."""


def address(url: str, whose: str) -> SplitResult:
    """The parts of a server's web address; `FedkitError` for one that is none or holds more than a place.

    A user, a password, a query or a fragment would be written wherever the address is kept, and it may be secret.
    """
    if any(mark in url for mark in "@?#;"):
        raise FedkitError(
            f"the address of {whose} holds a user, a password, a query or a fragment (one of @ ? # ;), which would be "
            "written into notebooks; leave them out, and give the key through the environment"
        )
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and _is_host(parts.hostname or "") and parts.port != 0
    except ValueError:  # a port that is no number or too large, a bracket without its other
        right = False
    if not right or not url.isprintable() or " " in url:
        raise FedkitError(f"the address of {whose} is no web address: {url[:80]!r}; give e.g. {OPENAI}")
    return parts


def _is_host(host: str) -> bool:
    if ":" in host:
        ipaddress.IPv6Address(host)  # or a ValueError
        return True
    return _HOST.fullmatch(host if host.isascii() else host.encode("idna").decode()) is not None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its name or number."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def check_key(key: str, variable: str, parts: SplitResult) -> None:
    """`FedkitError` for a key that no header can hold, or that would travel unencrypted to another machine."""
    if not key.isascii() or not key.isprintable() or " " in key:
        raise FedkitError(f"the key in {variable} holds blanks, line ends or letters beyond ASCII; set it anew")
    if key and parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise FedkitError(
            f"the key in {variable} would travel unencrypted to {parts.geturl()}; give an address with https, or a "
            "server without a key"
        )


def blot(text: str, key: str) -> str:
    """A server's words without the key, should it have echoed it."""
    # A shorter one is no secret, and to blot it out would blot out words.
    return re.sub(re.escape(key), "[key]", text, flags=re.IGNORECASE) if len(key) >= 8 else text


def said(text: str, key: str, most: int = 200) -> str:
    """The beginning of a server's words on one line, without the key and without what steers a terminal."""
    plain = "".join(letter if letter.isprintable() else " " for letter in blot(text, key))
    return " ".join(plain.split())[:most]


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that a server asks to wait: `retry-after-ms`, else `Retry-After` (seconds or a date); None without."""
    try:
        if "retry-after-ms" in headers:
            return max(0.0, float(headers["retry-after-ms"]) / 1000.0)
        text = headers.get("retry-after")
        if text is None:
            return None
        try:
            return max(0.0, float(text))
        except ValueError:
            return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def strict_client(key: str, seconds: float, *, proxies: bool, most: int = LARGEST) -> Any:
    """An HTTP client for the openai library that trusts no server.

    An answer has `seconds` to arrive, from its first to its last byte, or `httpx.ReadTimeout` is raised (httpx bounds
    each read alone, so a server that drips would be heard for ever), and `most` bytes after unpacking. A redirect is
    followed only within the same scheme, host and port, and only as the same request (307, 308). A server that is not
    OpenAI's hears of the key and of nothing else that the library would tell it (organisation, project, headers of
    the environment). `NotTaken` where an answer is not read.

    proxies: heed HTTP_PROXY and its like, which must not come between us and a server on this machine.
    """
    import openai

    # httpx or its successor httpx2, whichever this release of openai is built on.
    httpx = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
    own = urlsplit(OPENAI).hostname

    class Client(openai.DefaultHttpxClient):
        def send(self, request: Any, **options: Any) -> Any:
            headers = {name: value for name, value in request.headers.items() if name in _HEADERS}
            headers = {
                "authorization": f"Bearer {key}",
                **(dict(request.headers) if request.url.host == own else headers),
            }
            headers["accept-encoding"] = "identity"
            sent = httpx.Request(request.method, request.url, headers=headers, stream=request.stream)
            sent.extensions = request.extensions  # the time-outs of each step
            end = time.monotonic() + seconds
            for _ in range(1 + _HOPS):
                response = super().send(sent, **{**options, "stream": True, "follow_redirects": False})
                if response.next_request is None:
                    break
                response.close()
                sent = _within(sent, response)
            else:
                raise NotTaken("it redirects in a circle")
            try:  # here and not by httpx, which unpacks without a limit
                content = b"".join(_unpacked(response.headers, _until(response, end), most))
            finally:
                response.close()
            left = [(name, value) for name, value in response.headers.items() if name not in _OF_TRANSPORT]
            return httpx.Response(response.status_code, headers=left, content=content, request=request)

    def _until(response: Any, end: float) -> Iterator[bytes]:
        for block in response.iter_raw():
            if time.monotonic() > end:
                raise httpx.ReadTimeout(f"no whole reply in {seconds:g} seconds", request=response.request)
            yield block

    return Client(timeout=seconds, trust_env=proxies, follow_redirects=False)


def _unpacked(headers: Mapping[str, str], blocks: Iterator[bytes], most: int) -> Iterator[bytes]:
    """The content of an answer; what is damaged ends early."""
    packing = headers.get("content-encoding", "identity").strip().lower()
    if packing not in _PACKED and packing != "identity":
        raise NotTaken(f"its answer is packed by {packing!r}, which was not asked for")
    limit = most
    opener = zlib.decompressobj(47) if packing in _PACKED else None  # 47: by the header, gzip or zlib
    for block in blocks:
        try:
            part = opener.decompress(block, most + 1) if opener else block
        except zlib.error:
            return
        most -= len(part)
        if most < 0:
            raise TooLarge(f"its answer is larger than {limit / 2**20:g} MiB")
        yield part
        if opener and opener.eof:
            return


def _within(request: Any, response: Any) -> Any:
    """The request that a redirect asks for; `NotTaken` where it is another request or leads elsewhere."""
    onward = response.next_request
    here, there = ((url.scheme, url.host, url.port) for url in (request.url, onward.url))
    if response.status_code not in (307, 308) or here != there:
        place = str(onward.url.copy_with(userinfo=b"", query=None, fragment=None))
        raise NotTaken(f"it answers with status {response.status_code} and points to {place}, where nothing is sent")
    return onward
