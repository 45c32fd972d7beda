"""What a judge's server answered: a reply, the refusal of this very item, or a failure and what to do about it.

Servers that speak OpenAI's interface differ: in the form of a text (whole, in parts, as a stream of events), in where
an error stands (under a status, or in place of a reply under status 200) and in what they call it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from ...common.http import retry_after


@dataclass(frozen=True)
class Answer:
    """What came over the wire; the names of headers are in small letters."""

    status: int
    headers: Mapping[str, str]
    content: bytes


@dataclass(frozen=True)
class Reply:
    """A judge's text, why it ended and the tokens that it cost; None where the server does not count.

    `without`: options that were not sent since the server refuses them.
    """

    text: str
    finish: str
    prompt_tokens: int | None
    completion_tokens: int | None
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Refusal:
    """This item gets no reply, however often it is asked: `why`, as it is counted, and the server's words.

    `sure`: the item is the reason. Else the request's form may be, and only replies to other items tell; should there
    be none, `verb` and `remedy` are for the sentence that ends the run.
    """

    why: str
    said: str
    sure: bool = True
    verb: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a request gave no reply, and what to do: try again (`wait`: the pause that the server asks for), try at once
    without the option that it refuses (`option`), try few times (`strange`: a whole answer that is none of ours), or
    stop (`final`), with the server's words and the remedy."""

    why: str
    said: str = ""
    remedy: str = ""
    wait: float | None = None
    option: str = ""
    strange: bool = False
    final: bool = False


TOO_LONG, FILTERED, REFUSED = "too long for the judge", "content filter", "refused by the server"
TOO_LARGE, MALFORMED = "reply too large", "malformed reply"
_LONG = re.compile(
    "context_length|context length|context window|context size|context_size|(prompt|input) is too (long|large)"
    "|too many tokens|string_above_max_length|request too large"
)
_FILTER = re.compile(
    "content[_ ]?filter|content management policy|responsibleaipolicy|content_policy|usage polic|moderation"
    "|flagged|invalid_prompt"
)
_UNFIT = re.compile(
    "support|unrecognized|unknown|unexpected|permitted|allowed|extra|deprecated|only|cannot|invalid|must|default"
)
_AGAIN = frozenset((408, 409, 425, 429))  # and every status from 500
_UNNAMED = 0  # of an error in place of a reply that names no status
_ITEMS = frozenset((400, 413, 422, _UNNAMED))  # where the item may be the reason
_SPENT = "insufficient_quota"  # OpenAI's code for an account without money: a 429 that waiting does not mend
# What to do about a status that another attempt would not mend; {key}: what to do about the key.
_REMEDIES: Mapping[int, str] = MappingProxyType(
    {
        400: "look at the model's name and at JudgeSpec.options, which the server may not know",
        401: "the key is missing or wrong: {key}",
        402: "the account has no quota left: add to it or use another key",
        403: "the key has no right to this model: use another key or model",
        404: "there is no such model or address: look at model and base_url (it often ends in /v1)",
        422: "look at JudgeSpec.options, which the server may not know",
    }
)
_NO_API = "look at base_url: is /v1 missing?"


def read(answer: Answer, options: Mapping[str, Any]) -> Reply | Refusal | Failure:
    """What an answer to a request with `options` means. Its texts are the server's own, cleaned of nothing."""
    try:
        body = _body(answer)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        body = None
    error = _error_in(body)
    if 200 <= answer.status < 300 and not error:
        return _reply(body, answer.content)
    return _error(answer, body, error, options)


def _error_in(body: Any) -> Any:
    """The error that a document holds, in place of a choice or in it; None where there is none."""
    if not isinstance(body, Mapping) or body.get("error"):
        return body["error"] if isinstance(body, Mapping) else None
    choices = body.get("choices")
    first = choices[0] if isinstance(choices, list) and choices else None
    return first.get("error") if isinstance(first, Mapping) else None


def _body(answer: Answer) -> Any:
    """The JSON of an answer, that of a stream of events (SSE) joined; errors of any kind where it is neither."""
    content = answer.content.lstrip()
    if not content.startswith((b"data:", b"event:", b":")):
        return json.loads(content)
    parts, finish, usage = list[str](), None, None
    for line in content.decode().split("\n"):  # and not where a text has a line end of its own
        name, _, value = line.partition(":")
        if name != "data" or value.strip() == "[DONE]":
            continue
        event = json.loads(value)
        if event.get("error"):
            return event
        for choice in event["choices"][:1]:
            parts.append(_text((choice.get("delta") or choice.get("message") or {}).get("content")))
            finish = choice.get("finish_reason") or finish
        usage = event.get("usage") or usage
    if finish is None:
        raise ValueError("the stream broke off")
    return {"choices": [{"message": {"content": "".join(parts)}, "finish_reason": finish}], "usage": usage}


def _text(content: Any) -> str:
    """A message's content: a text, or a list of parts, of which the thinking ones are left out; "" for null."""
    if isinstance(content, list):
        return "".join(part if isinstance(part, str) else str(part.get("text") or "") for part in content)
    if not isinstance(content, str | None):
        raise TypeError(f"the content is a {type(content).__name__}")
    return content or ""  # null: a filter took it


def _reply(body: Any, content: bytes) -> Reply | Failure:
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text = _text(message["content"]) or _text(message.get("refusal"))
        usage = body.get("usage") or {}
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
    except (KeyError, IndexError, TypeError, AttributeError):
        half = body is None and content.lstrip()[:1] in (b"", b"{", b"[", b"d", b"e", b":")
        return Failure(MALFORMED, _words(body, None, content), _NO_API, strange=not half)
    read_, written = (n if isinstance(n, int) and not isinstance(n, bool) and n >= 0 else None for n in counts)
    return Reply(text, str(choice.get("finish_reason")), read_, written)


def _error(answer: Answer, body: Any, error: Any, options: Mapping[str, Any]) -> Refusal | Failure:
    """What an error means, by its status (or the one that it names itself, under status 200) and by its words."""
    well = 200 <= answer.status < 300
    fields = error if isinstance(error, Mapping) else body if isinstance(body, Mapping) else {}
    words = _words(body, error, answer.content)
    named = [str(fields.get(name) or "") for name in ("code", "type", "param")]
    status = answer.status if not well else int(named[0]) if re.fullmatch("[45][0-9][0-9]", named[0]) else _UNNAMED
    marks = " ".join((*named, json.dumps(fields.get("innererror")), words[:600])).lower()
    if status == 413 or (status in _ITEMS or status == 500) and _LONG.search(marks):
        return Refusal(TOO_LONG, words)
    if status == 429 and "request too large" in marks:  # than all that a minute allows
        return Refusal(TOO_LONG, words)
    if (status in _ITEMS or status == 403) and _FILTER.search(marks):
        return Refusal(FILTERED, words)
    spent = _SPENT in marks
    if (status in _AGAIN or status >= 500) and not spent:
        return Failure(f"status {status}", wait=retry_after(answer.headers))
    if status in _ITEMS and not spent:
        for option in options:
            if (
                named[2] == option
                or re.search(rf"(?<![a-z_]){re.escape(option)}(?![a-z_])", marks)
                and _UNFIT.search(marks)
            ):
                return Failure(f"{option} refused", words, _REMEDIES[400], option=option)
        if status == _UNNAMED:
            return Failure(MALFORMED, words, _NO_API, strange=True)
        return Refusal(REFUSED, words, False, f"refused with status {status}", _REMEDIES[status])
    remedy = _REMEDIES[402] if spent else _REMEDIES.get(status, "look at the server's own log")
    return Failure(f"refused with status {answer.status}", words, remedy, final=True)


def _words(body: Any, error: Any, content: bytes) -> str:
    """What an answer says: an error's message, else all of it without its tags."""
    for one in (error, body):
        if isinstance(one, str):
            return one
        for name in ("message", "detail", "msg") if isinstance(one, Mapping) else ():
            if one.get(name):
                return one[name] if isinstance(one[name], str) else json.dumps(one[name])
    return re.sub(r"<[^<>]*>", " ", content.decode(errors="replace"))
