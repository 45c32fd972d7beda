"""The connection to an OpenAI-compatible server: one request, and what to do without an option that it refuses."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from ...common.errors import FedkitError
from ...common.http import OPENAI, NotTaken, TooLarge, blot, check_key, said, strict_client
from .answer import REFUSED, TOO_LARGE, Answer, Failure, Refusal, Reply, read
from .spec import OPENAI_KEY, JudgeSpec

_NO_KEY = "no-key"  # local servers ask for none, but the client library must send something
_RENAMED = {"max_tokens": "max_completion_tokens"}  # OpenAI's newer models know the second alone


class Chat:
    """A connection to one server. It alone holds the key, which no text that leaves it contains."""

    def __init__(self, spec: JudgeSpec) -> None:
        from openai import OpenAI

        name, address = spec.key_name, urlsplit(spec.base_url)
        key = os.environ.get(name, "").strip() if name else ""
        if not key and address.hostname == urlsplit(OPENAI).hostname:
            raise FedkitError(f"the judge {spec.model!r} at {spec.place} needs a key; set {name or OPENAI_KEY}")
        check_key(key, name, address)
        self._spec = spec
        self._key = key
        self._options = spec.sampling  # what is sent; another mapping takes its place where the server refuses one
        self._taken = set[str]()  # options with which a reply came
        self._lock = threading.Lock()
        # Attempts are counted and spaced by the judge, for all threads together, so the library makes one.
        self._client = OpenAI(
            api_key=key or _NO_KEY,
            base_url=spec.base_url,
            timeout=spec.timeout,
            max_retries=0,
            http_client=strict_client(key or _NO_KEY, spec.timeout, proxies=not spec.loopback),
        )

    def __repr__(self) -> str:
        return f"Chat({self._spec.model!r} at {self._spec.place})"

    def __reduce__(self) -> Any:
        raise TypeError("a connection holds a key and is not pickled")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, messages: list[dict[str, str]]) -> Reply | Refusal | Failure:
        """One request; never raises for what a server or a network does. All texts are without the key."""
        options = self._options
        end = self._send(messages, options)
        if isinstance(end, Reply):
            self._taken.update(options)
            lacking = set(self._spec.sampling) - set(options) - {old for old, new in _RENAMED.items() if new in options}
            text, finish = blot(end.text, self._key), said(end.finish, self._key, 40)
            return replace(end, text=text, finish=finish, without=tuple(sorted(lacking)))
        if isinstance(end, Failure) and end.option in self._taken:  # so the words are about the item, or quote it
            end = Refusal(REFUSED, end.said, False, "refused a request", end.remedy)
        elif isinstance(end, Failure) and end.option:
            self._leave_out(end.option)
        remedy = end.remedy.format(
            key=f"set {self._spec.key_name}" if self._spec.key_name else "JudgeSpec.key_variable"
        )
        return replace(end, said=said(end.said, self._key), remedy=remedy)

    def _send(self, messages: list[dict[str, str]], options: dict[str, Any]) -> Reply | Refusal | Failure:
        import openai

        try:
            raw = self._client.chat.completions.with_raw_response.create(
                model=self._spec.model,
                messages=messages,
                extra_body=options,
            )
            answer = Answer(raw.http_response.status_code, raw.headers, raw.content)
        except TooLarge as error:
            return Refusal(
                TOO_LARGE, str(error), False, "gave no reply", "see that it is a server of OpenAI's interface"
            )
        except NotTaken as error:
            return Failure("gave no reply", str(error), "give the address that answers itself", final=True)
        except openai.APIStatusError as error:
            answer = Answer(error.status_code, error.response.headers, error.response.content)
        except openai.APITimeoutError:
            return Failure("time-out")
        except openai.APIConnectionError:
            return Failure("connection")
        except (openai.APIError, ValueError):
            return Failure("malformed reply")
        return read(answer, options)

    def _leave_out(self, option: str) -> None:
        """Send no more what the server refuses, or send it under its newer name."""
        with self._lock:
            if option not in self._options:
                return  # another thread was told first
            kept = {name: value for name, value in self._options.items() if name != option}
            newer = _RENAMED.get(option)
            if newer and newer not in self._spec.sampling:
                kept[newer] = self._options[option]
            self._options = kept

    def sentence(self, end: Refusal | Failure) -> str:
        """Why the server's answer ends the run, and what to do."""
        words = f" ({end.said})" if end.said else ""
        what = end.verb if isinstance(end, Refusal) else end.why
        return f"the judge {self._spec.model!r} at {self._spec.place} {what}{words}; {end.remedy}"
