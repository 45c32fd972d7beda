"""A judge behind the OpenAI API: many items at a time, each asked until it has a reply, each reply kept on disk.

Attempts are counted and spaced here and not by the openai library, which would wait at most 8 seconds between two
(so that an outage of a minute ended a table), give up where a server asks for more than 120 seconds, ask on where an
account has no quota left, not ask again after half a document, and pause one thread while the others go on asking.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ...common.errors import FedkitError, unknown
from .answer import Failure, Refusal, Reply
from .cache import JudgeCache, cache_key
from .chat import Chat
from .judge import Judge, JudgeItem, ref_item
from .prompts import JudgePrompt, load_prompts
from .report import NAMED, Judgement, JudgeReport, Rating, parse_rating
from .spec import JudgeSpec

STRANGE = 3  # answers that are no reply of the interface before it is taken for another server


class OpenAIJudge(Judge):
    """Rates answers by a model behind an OpenAI-compatible server.

    spec: model, server and patience; cache: a file of replies (None: memory alone); prompts: a file in MT-Bench's
    format or a mapping (None: fedkit's own words). `name` is the model's. A reply without one rating from 1 to 10 is
    kept, counted in `report.unparsed` by reason, named in `report.unrated` and never scored; so is an item that the
    server refuses while it replies to others (too long, filtered). `FedkitError` in one sentence where the server
    refuses for good, or where items have no reply after all attempts: what came is kept, and the same call goes on
    from there.
    """

    def __init__(
        self,
        spec: JudgeSpec,
        *,
        cache: str | Path | JudgeCache | None = None,
        prompts: str | Path | Mapping[str, JudgePrompt] | None = None,
        progress: bool = False,
    ) -> None:
        self.spec, self.name = spec, spec.model
        self.cache = cache if isinstance(cache, JudgeCache) else JudgeCache(cache)
        self.prompts = prompts if isinstance(prompts, Mapping) else load_prompts(prompts)
        self.report = JudgeReport(price=spec.prices.get(spec.model))
        self._reports = [self.report]  # and those of `counting`
        self._progress = progress
        self._chat: Chat | None = None
        self._lock = threading.Lock()
        self._replied = False  # to any item: the server knows the model and our options
        self._resume = 0.0  # on the monotonic clock: a server that asks one thread to wait is left alone by all
        self._random = random.Random()  # the pauses of two processes must not keep step

    def __repr__(self) -> str:
        return f"OpenAIJudge({self.spec.model!r} at {self.spec.place})"

    @property
    def identity(self) -> list[Any]:  # type: ignore[override]
        """Model, server, sampling and prompts."""
        prompts = {name: asdict(prompt) for name, prompt in self.prompts.items()}
        return [self.spec.model, self.spec.origin, dict(self.spec.sampling), prompts]

    def rate(self, question: str, answer: str, reference: str) -> float | None:
        """A rating from 1 to 10 by the prompt `ref`, or by `single-v1` where there is no reference."""
        return self.judge_all([ref_item(question, answer, reference)])[0].rating

    def check(self) -> None:
        """`FedkitError` where the judge cannot be asked at all, e.g. for want of a key; sends nothing."""
        self._chat = self._chat or Chat(self.spec)

    def keep_in(self, path: str | Path) -> None:
        """Keep replies in a file from now on, those that memory holds too; nothing changes where there is a file."""
        if self.cache.path is None:
            cache = JudgeCache(path)
            self.cache.copy_into(cache)
            self.cache = cache

    @contextmanager
    def counting(self) -> Iterator[JudgeReport]:
        """A report of what is asked inside the `with` block alone; replies got before it count as kept."""
        own = JudgeReport(price=self.report.price)
        self._reports.append(own)
        try:
            yield own
        finally:
            self._reports = [report for report in self._reports if report is not own]

    def rate_all(self, items: Sequence[JudgeItem]) -> list[float | None]:
        return [judgement.rating for judgement in self.judge_all(items)]

    def judge_all(self, items: Sequence[JudgeItem]) -> list[Judgement]:
        """One judgement an item, in order; equal items are asked once."""
        chats = [self._messages(item) for item in items]
        keys = [cache_key(self.spec.origin, self.spec.model, messages, self.spec.sampling) for messages in chats]
        wanted = {key: messages for key, messages in zip(keys, chats, strict=True) if self.cache.get(key) is None}
        if wanted:
            names = dict(zip(keys, (item.id for item in items), strict=True))
            self._replied |= any("refused" not in (self.cache.get(key) or {"refused": ""}) for key in keys)
            self._ask_all(wanted, names)
        judgements = []
        for item, key in zip(items, keys, strict=True):
            record = self.cache.get(key)
            assert record is not None  # _ask_all raises where one is missing
            refused = record.get("refused")
            rating = Rating(None, refused) if refused else parse_rating(record["reply"], record["finish"])
            judgement = Judgement(item.id, rating.value, rating.why, record["reply"], key not in wanted)
            for report in self._reports:
                report.spend(key, record["prompt_tokens"], record["completion_tokens"], kept=True)
                report.add(judgement, record["without"])
            judgements.append(judgement)
        return judgements

    def _messages(self, item: JudgeItem) -> list[dict[str, str]]:
        if item.prompt not in self.prompts:
            raise unknown("judge's prompt", item.prompt, self.prompts)
        return self.prompts[item.prompt].messages(item)

    def _ask_all(self, wanted: Mapping[str, list[dict[str, str]]], names: Mapping[str, str]) -> None:
        """Ask for every missing reply; raises once, after the threads are done. `names`: of the items, by key."""
        from tqdm import tqdm

        self.check()
        stop, faults, doubtful = threading.Event(), dict[str, Failure](), dict[str, Refusal]()
        bar = tqdm(total=len(wanted), desc=self.name, mininterval=1.0, disable=not self._progress)
        pool = ThreadPoolExecutor(min(self.spec.concurrency, len(wanted)), thread_name_prefix="judge")

        def one(key: str, messages: list[dict[str, str]]) -> None:
            end = self._until_answered(messages, stop)
            if isinstance(end, Reply):
                self._replied = True
                self.cache.put(key, self._record(end))
                self._tell(lambda report: report.spend(key, end.prompt_tokens, end.completion_tokens))
                bar.update()
            elif isinstance(end, Refusal) and end.sure:
                self.cache.put(key, self._record_of(end))
                bar.update()
            elif end is not None:
                with self._lock:
                    (doubtful if isinstance(end, Refusal) else faults)[key] = end
                    if isinstance(end, Refusal):
                        hopeless = not self._replied and len(doubtful) >= self.spec.patience
                    else:
                        hopeless = end.final or len(faults) >= self.spec.patience
                    if hopeless:
                        stop.set()

        try:
            futures = [pool.submit(one, key, messages) for key, messages in wanted.items()]
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:  # a key of the keyboard, a full disk: the requests under way end, no further one begins
            stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            bar.close()
        for future in futures:
            if not future.cancelled():
                future.result()
        if self._replied:  # so the items were the reason, and neither the model's name nor an option
            for key in list(doubtful):
                self.cache.put(key, self._record_of(doubtful.pop(key)))
        if faults or doubtful:
            missing = sum(self.cache.get(key) is None for key in wanted)
            kept = f"{len(wanted) - missing} of {len(wanted)} replies are kept, and the same call asks for the rest"
            raise FedkitError(f"{self._sentence(faults, doubtful, names)} ({kept})")

    def _record(self, reply: Reply) -> dict[str, Any]:
        return {
            "model": self.spec.model,
            "temperature": None if "temperature" in reply.without else self.spec.temperature,
            "without": list(reply.without),
            "reply": reply.text,
            "finish": reply.finish,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        }

    def _record_of(self, refusal: Refusal) -> dict[str, Any]:
        return self._record(Reply(refusal.said, "", 0, 0)) | {"refused": refusal.why}

    def _sentence(
        self, faults: Mapping[str, Failure], doubtful: Mapping[str, Refusal], names: Mapping[str, str]
    ) -> str:
        """Why the run stops, and at which item."""
        assert self._chat is not None
        ends = [(names[key], end) for key, end in (*faults.items(), *doubtful.items())]
        for name, end in ends:
            if isinstance(end, Refusal) or end.final:
                return self._chat.sentence(end) + (f"; asked about item {name}" if name else "")
        shown = ", ".join([name for name, _ in ends if name][:NAMED])
        which = f"{len(ends)} items{f' ({shown})' if shown else ''}"
        return (
            f"the judge {self.spec.model!r} at {self.spec.place} gave no reply in {self.spec.attempts} attempts to "
            f"{which}, last: {ends[-1][1].why}; see that it runs and try again"
        )

    def _until_answered(
        self, messages: list[dict[str, str]], stop: threading.Event
    ) -> Reply | Refusal | Failure | None:
        """Attempts with growing pauses; None where the run was stopped meanwhile."""
        assert self._chat is not None
        attempt = strange = 0
        while True:
            while (left := self._resume - time.monotonic()) > 0 and not stop.wait(left):
                pass
            if stop.is_set():
                return None
            self._tell(lambda report: setattr(report, "requests", report.requests + 1))
            end = self._chat.ask(messages)
            if not isinstance(end, Failure) or end.final:
                return end
            attempt, strange = attempt + (not end.option), strange + end.strange
            if end.strange and (strange == STRANGE or attempt == self.spec.attempts):
                return replace(end, why=f"gave a {end.why}", final=True)
            if attempt == self.spec.attempts:
                return end
            self._tell(lambda report, why=end.why: report.retries.update((why,)))
            if not end.option and (fault := self._pause(attempt, end, stop)) is not None:
                return fault

    def _tell(self, note: Callable[[JudgeReport], object]) -> None:
        """Note something in every report; threads do so one after another."""
        with self._lock:
            for report in self._reports:
                note(report)

    def _pause(self, attempt: int, failure: Failure, stop: threading.Event) -> Failure | None:
        """Wait before attempt number `attempt` (from 1); a failure where the server asks for more than we give."""
        if failure.wait is not None and failure.wait > self.spec.longest_wait:
            longest = f"more than JudgeSpec.longest_wait ({self.spec.longest_wait:g})"
            return Failure(f"asks to wait {failure.wait:.0f} seconds, {longest}", remedy="try again later", final=True)
        if failure.wait is not None:
            with self._lock:
                self._resume = max(self._resume, time.monotonic() + failure.wait)
        pause = min(self.spec.longest_backoff, self.spec.backoff * 2.0 ** (attempt - 1))
        stop.wait(pause * (0.5 + self._random.random()))
        return None

    def close(self) -> None:
        """Close the connections and the cache's file."""
        if self._chat is not None:
            self._chat.close()
        self.cache.close()
