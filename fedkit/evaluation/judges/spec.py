"""Which model judges, on which server, and how patiently it is asked: plain data, without the key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from ...common.errors import FedkitError
from ...common.http import OPENAI, address, is_loopback

OPENAI_KEY = "OPENAI_API_KEY"


@dataclass(frozen=True)
class JudgeSpec:
    """Which model judges, where, and how patiently it is asked. The key is no part of it.

    `key_variable`: the environment variable that holds the key. None: OPENAI_API_KEY for api.openai.com, and no key
    for any other server, which has no business with it.
    """

    model: str
    base_url: str = OPENAI  # a place alone: no user, password, query or fragment
    key_variable: str | None = None
    temperature: float = 0.0  # MT-Bench; FedLLM-Bench's Ref score uses 0.2
    options: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({"max_tokens": 2048}))
    concurrency: int = 8  # requests at a time
    attempts: int = 8  # requests for one item before it is given up
    timeout: float = 120.0  # seconds for one reply, from its first to its last byte
    backoff: float = 1.0  # seconds before the second attempt; doubled for each further one, times 0.5 to 1.5
    longest_backoff: float = 60.0
    longest_wait: float = 600.0  # a server that asks for a longer pause stops the run
    patience: int = 5  # items given up before the run stops
    # US dollars for a million tokens read and written, by model
    prices: Mapping[str, tuple[float, float]] = field(default_factory=lambda: MappingProxyType({}))

    def __post_init__(self) -> None:
        address(self.base_url, "the judge (base_url)")
        for name in ("concurrency", "attempts", "patience", "timeout"):
            if getattr(self, name) <= 0:
                raise FedkitError(f"JudgeSpec.{name} is {getattr(self, name)}; give a positive number")

    @property
    def loopback(self) -> bool:
        """Whether the server is on this machine."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    @property
    def origin(self) -> str:
        """The place as kept replies and ratings know it: a server on this machine is the same on another port."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://loopback{parts.path}" if self.loopback else self.place

    @property
    def key_name(self) -> str:
        """The environment variable that holds the key; empty for a server that gets none."""
        if self.key_variable is not None:
            return self.key_variable
        return OPENAI_KEY if urlsplit(self.base_url).hostname == urlsplit(OPENAI).hostname else ""

    @property
    def place(self) -> str:
        """The base_url as messages show it."""
        return self.base_url.rstrip("/")

    @property
    def sampling(self) -> dict[str, Any]:
        """What is sent beside model and messages."""
        return {**self.options, "temperature": self.temperature}
