"""One request to an OpenAI-compatible server, and what its failures mean: try again, or stop and say why."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ...common.errors import FedkitError
from .spec import OPENAI, OPENAI_KEY, JudgeSpec

_NO_KEY = "no-key"  # local servers ask for none, but the client library must send something
_SHORTEST_KEY = 8  # a shorter one is no secret, and to blot it out would blot out words


@dataclass(frozen=True)
class Reply:
    """A judge's text and the tokens that it cost; None where the server does not count."""

    text: str
    finish: str
    prompt_tokens: int | None
    completion_tokens: int | None


@dataclass(frozen=True)
class Failure:
    """Why a request gave no reply. `wait`: the pause that the server asks for; `final`: no use to try again."""

    why: str
    wait: float | None = None
    final: bool = False


# What to do about a status that another attempt would not mend.
_REMEDIES: Mapping[int, str] = MappingProxyType(
    {
        400: "look at the model's name and at JudgeSpec.options, which the server may not know",
        401: "the key is missing or wrong: {variable}",
        403: "the key has no right to this model: use another key or model",
        404: "there is no such model or address: look at model and base_url (it often ends in /v1)",
        422: "look at JudgeSpec.options, which the server may not know",
    }
)
_AGAIN = frozenset((408, 409, 425, 429))  # and every status from 500
_SPENT = "insufficient_quota"  # OpenAI's code for an account without money: a 429 that waiting does not mend


class Chat:
    """A connection to one server. It alone holds the key, which no text that leaves it contains."""

    def __init__(self, spec: JudgeSpec) -> None:
        from openai import OpenAI

        name, address = spec.key_name, urlsplit(spec.base_url)
        key = os.environ.get(name, "").strip() if name else ""
        if not key and address.hostname == urlsplit(OPENAI).hostname:
            raise FedkitError(f"the judge {spec.model!r} at {spec.place} needs a key; set {name or OPENAI_KEY}")
        if key and address.scheme != "https" and not spec.loopback:
            raise FedkitError(
                f"the key in {name} would travel unencrypted to {spec.place}; give an address with https, or "
                "JudgeSpec(key_variable=None) for a server without a key"
            )
        self._spec = spec
        self._key = key
        # Attempts are counted and spaced here, for all threads together, so the library makes one.
        self._client = OpenAI(
            api_key=key or _NO_KEY,
            base_url=spec.base_url,
            timeout=spec.timeout,
            max_retries=0,
            http_client=client_with_deadline(spec.timeout, proxies=not spec.loopback),
        )

    def __repr__(self) -> str:
        return f"Chat({self._spec.model!r} at {self._spec.place})"

    def __reduce__(self) -> Any:
        raise TypeError("a connection holds a key and is not pickled")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def clean(self, text: str) -> str:
        """The text without the key, should a server have echoed it."""
        return text.replace(self._key, "[key]") if len(self._key) >= _SHORTEST_KEY else text

    def ask(self, messages: list[dict[str, str]]) -> Reply | Failure:
        """One request; never raises for what a server or a network does."""
        import openai

        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model=self._spec.model, messages=messages, **self._spec.sampling
            )
            return self._read(raw.content)
        except openai.APIStatusError as error:
            return self._status(error)
        except openai.APITimeoutError:
            return Failure("time-out")
        except openai.APIConnectionError:
            return Failure("connection")
        except (openai.APIError, ValueError):
            return Failure("malformed reply")

    def _read(self, content: bytes) -> Reply | Failure:
        try:
            body = json.loads(content)
            choice = body["choices"][0]
            text = choice["message"]["content"] or ""  # null: a filter took it; that is a reply without a rating
            if not isinstance(text, str):
                return Failure("malformed reply")
            usage = body.get("usage") or {}
            tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
            return Failure("malformed reply")
        read, written = (count if isinstance(count, int) and count >= 0 else None for count in tokens)
        return Reply(self.clean(text), str(choice.get("finish_reason")), read, written)

    def _status(self, error: Any) -> Failure:
        code, spent = error.status_code, getattr(error, "code", None) == _SPENT
        if (code in _AGAIN or code >= 500) and not spent:
            return Failure(f"status {code}", wait=retry_after(error.response.headers))
        remedy = "the account has no quota left: add to it or use another key" if spent else _REMEDIES.get(code)
        name = self._spec.key_name
        variable = f"set {name}" if name else "name its variable in JudgeSpec.key_variable"
        remedy = (remedy or "look at the server's own log").format(variable=variable)
        body = error.body if isinstance(error.body, Mapping) else {}
        said = self.clean(" ".join(str(body.get("message") or "").split()))[:200]
        told = f" ({said})" if said else ""
        return Failure(
            f"the judge {self._spec.model!r} at {self._spec.place} refused with status {code}{told}; {remedy}",
            final=True,
        )


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
    except (ValueError, TypeError):
        return None


def client_with_deadline(seconds: float, *, proxies: bool) -> Any:
    """A client of the openai library that gives a reply `seconds` to arrive, or raises `httpx.ReadTimeout`.

    httpx bounds each read alone, so a server that drips would be heard for ever.

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
