"""Hand-made votes and conversations in the upstream schemas, and profiles that make do with few clients."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

from fedkit.profiles import get_profile

MINI = get_profile("mini")
CHATBOT, WILDCHAT = ("fed_chatbot_it", "fed_chatbot_pa"), ("fed_wildchat", "fed_wildchat_multi")
CHATS = (*CHATBOT, *WILDCHAT)


def talk(*texts: str) -> list[dict[str, str]]:
    return [{"content": text, "role": "assistant" if i % 2 else "user"} for i, text in enumerate(texts)]


def vote(judge: object, i: int = 0, winner: str = "model_a", **changes) -> dict:
    record = {"question_id": f"{i:032x}", "model_a": "m", "model_b": "n", "winner": winner, "judge": judge}
    record |= {"conversation_a": talk(f"q{i}", f"a{i}"), "conversation_b": talk(f"q{i}", f"b{i}"), "turn": 1}
    return {**record, "anony": True, "language": "English", "tstamp": 1.0, **changes}


def chat(user: object, *texts: str, **changes) -> dict:
    record = {"conversation_hash": "h", "model": "m", "timestamp": None, "conversation": talk(*(texts or ("q", "a")))}
    return {**record, "turn": 1, "language": "English", "toxic": False, "redacted": False, "hashed_ip": user, **changes}


def write(folder: Path, name: str, rows: list) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(row) + "\n" for row in rows]
    path.write_text("".join(lines) if name.endswith("l") else json.dumps(rows), encoding="utf-8")
    return folder


def few(profile=MINI, **spec):
    """The profile with rounds of one client for the chats, so that few clients are enough."""
    changed = dict(profile.datasets)
    for name in CHATS:
        own = profile.dataset(name)
        changed[name] = replace(own, train=replace(own.train, clients_per_round=1), **spec)
    return replace(profile, datasets=MappingProxyType(changed))
