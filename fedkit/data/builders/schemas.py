"""The columns of federated datasets by task; all text is UTF-8, `language` two-letter or `und`."""

from __future__ import annotations

import pyarrow as pa

from .conversations import TURN

_LANGUAGE = ("language", pa.string())

ANSWERED = pa.schema([("instruction", pa.string()), ("response", pa.string()), _LANGUAGE])
PAIRED = pa.schema([("instruction", pa.string()), ("chosen", pa.string()), ("rejected", pa.string()), _LANGUAGE])
TALKED = pa.schema([("conversation", pa.list_(TURN)), _LANGUAGE])
