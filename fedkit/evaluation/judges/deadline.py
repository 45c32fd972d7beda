"""An HTTP client whose replies have an end: httpx bounds each read alone, so a server that drips is heard for ever."""

from __future__ import annotations

import importlib
import time
from collections.abc import Iterator
from typing import Any


def client_with_deadline(seconds: float, *, proxies: bool) -> Any:
    """A client of the openai library that gives a reply `seconds` to arrive, or raises `httpx.ReadTimeout`.

    proxies: heed HTTP_PROXY and its like, which must not come between us and a server on this machine.
    """
    import openai

    # httpx or its successor httpx2, whichever this release of openai is built on.
    httpx = importlib.import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])

    class Watched(httpx.SyncByteStream):
        def __init__(self, stream: Any, end: float, request: Any) -> None:
            self._stream, self._end, self._request = stream, end, request

        def __iter__(self) -> Iterator[bytes]:
            for block in self._stream:
                if time.monotonic() > self._end:
                    raise httpx.ReadTimeout(f"no whole reply in {seconds:g} seconds", request=self._request)
                yield block

        def close(self) -> None:
            self._stream.close()

    class Client(openai.DefaultHttpxClient):
        def send(self, request: Any, *, stream: bool = False, **options: Any) -> Any:
            end = time.monotonic() + seconds
            response = super().send(request, stream=True, **options)
            response.stream = Watched(response.stream, end, request)
            if not stream:
                try:
                    response.read()
                except BaseException:
                    response.close()
                    raise
            return response

    return Client(timeout=seconds, trust_env=proxies)
