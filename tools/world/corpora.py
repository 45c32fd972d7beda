"""What the embedded world holds: each raw source's generator, the sizes that the package ships, its upstream file."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from fedkit.common.errors import FedkitError
from fedkit.mini.records import FOLDER, SIZE

from . import arena, aya, benchmarks, close_ended, code, finance, instructions, maths, medical, pairs, wildchat
from . import word_problems as words

LIMIT = 5 * 2**20  # bytes of all frozen files


@dataclass(frozen=True)
class Corpus:
    """A generator of records, its file in a data folder, and the sizes that are frozen, the whole corpus' first.

    No size: the generator has one. A size is listed where a profile asks for it and it is not the beginning of the
    first. `training`: what `--n` is about where no names are given.
    """

    generate: Callable[..., Iterable[dict[str, Any]]]
    file: str
    sizes: tuple[int, ...] = ()
    training: bool = False

    def records(self, n: int | None = None, seed: int = 0) -> list[dict[str, Any]]:
        """`n` records (of Aya's questions, in each language), or the first size's."""
        size = n or (self.sizes[0] if self.sizes else None)
        return list(self.generate(size, seed=seed) if size else self.generate(seed=seed))


def _trained(generate: Callable[..., Any], file: str, *sizes: int) -> Corpus:
    return Corpus(generate, file, sizes or (2000,), training=True)


CORPORA: Mapping[str, Corpus] = MappingProxyType(
    {
        "aya": _trained(aya.aya_records, "aya_dataset/train.jsonl", 4000, 1200),
        "aya_test": Corpus(aya.aya_questions, "fedllm_bench/aya_test.json", (20,)),
        "arena": _trained(arena.arena_records, "chatbot_arena_conversations/train.jsonl", 15_000, 1500),
        "chatbot_test": Corpus(arena.chatbot_questions, "fedllm_bench/chatbot_test.json", (50, 4)),
        "wildchat": _trained(wildchat.wildchat_records, "WildChat-1M/train.jsonl", 6000, 600),
        "wildchat_test": Corpus(wildchat.wildchat_questions, "fedllm_bench/wildchat_test.json", (50, 4)),
        "gsm8k": _trained(words.gsm8k_records, "gsm8k/train.jsonl", 1000),
        "gsm8k_test": Corpus(words.gsm8k_test, "gsm8k/test.jsonl", (100,)),
        "alpaca": _trained(instructions.alpaca_records, "alpaca/alpaca_data.json"),
        "alpaca_test": Corpus(instructions.alpaca_test, "alpaca/test.jsonl", (100,)),
        "alpaca_gpt4": _trained(instructions.alpaca_gpt4_records, "alpaca_gpt4/alpaca_gpt4_data.json"),
        "alpaca_gpt4_test": Corpus(instructions.alpaca_gpt4_test, "alpaca_gpt4/test.jsonl", (100,)),
        "code_alpaca": _trained(code.code_alpaca_records, "code_alpaca/code_alpaca_20k.json"),
        "code_alpaca_test": Corpus(code.code_alpaca_test, "code_alpaca/test.jsonl", (100,)),
        "mathinstruct": _trained(maths.mathinstruct_records, "mathinstruct/MathInstruct.json"),
        "mathinstruct_test": Corpus(maths.mathinstruct_test, "mathinstruct/test.jsonl", (100,)),
        "fingpt": _trained(finance.fingpt_records, "fingpt/train.jsonl"),
        "fingpt_test": Corpus(finance.fingpt_test, "fingpt/test.jsonl", (200,)),
        "medical": _trained(medical.medical_records, "medical/train.jsonl"),
        "medical_test": Corpus(medical.medical_test, "medical/test.jsonl", (50,)),
        "ultrafeedback": _trained(pairs.ultrafeedback_records, "ultrafeedback/train.jsonl"),
        "ultrafeedback_test": Corpus(pairs.ultrafeedback_test, "ultrafeedback/test.jsonl", (100,)),
        "hh_rlhf": _trained(pairs.hh_records, "hh_rlhf/harmless-base/train.jsonl"),
        "hh_rlhf_test": Corpus(pairs.hh_test, "hh_rlhf/harmless-base/test.jsonl", (200,)),
        "mt_bench": Corpus(benchmarks.mt_bench_questions, "mt_bench/question.jsonl"),
        "vicuna_bench": Corpus(benchmarks.vicuna_questions, "vicuna_bench/question.jsonl"),
        "advbench": Corpus(benchmarks.advbench_requests, "advbench/harmful_behaviors.csv"),
        "human_eval": Corpus(benchmarks.human_eval_problems, "human_eval/HumanEval.jsonl"),
        "mmlu_dev": Corpus(close_ended.mmlu_dev, "mmlu/dev/{subject}_dev.csv"),
        "mmlu": Corpus(close_ended.mmlu_questions, "mmlu/test/{subject}_test.csv"),
        "bbh": Corpus(close_ended.bbh_examples, "bbh/{task}.json"),
        "drop": Corpus(close_ended.drop_questions, "drop/validation.jsonl"),
        "crass": Corpus(close_ended.crass_questions, "crass/test.jsonl"),
        "hhh": Corpus(close_ended.hhh_pairs, "hhh/test.jsonl"),
        "fpb": Corpus(close_ended.fpb, "fpb/test.jsonl"),
        "fiqa_sa": Corpus(close_ended.fiqa_sa, "fiqa_sa/test.jsonl"),
        "tfns_benchmark": Corpus(close_ended.tfns, "tfns/validation.jsonl"),
        "nwgi": Corpus(close_ended.nwgi, "nwgi/test.jsonl"),
    }
)


def frozen() -> dict[str, tuple[str, int | None]]:
    """Every file of the package's records: its name, the corpus and the size."""
    return {
        f"{name}{f'-{size}' if i else ''}.parquet": (name, size)
        for name, corpus in CORPORA.items()
        for i, size in enumerate(corpus.sizes or (None,))
    }


def freeze(folder: Path = FOLDER, only: Sequence[str] = (), seed: int = 0) -> int:
    """Write every frozen file and remove others, or write those of `only`; the bytes of all in the folder.

    `FedkitError` where Parquet would change a record.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = only or tuple(frozen())
    for old in set(folder.iterdir()) - {folder / file for file in wanted} if not only else ():
        old.unlink()
    for file in wanted:
        name, size = frozen()[file]
        table = pa.Table.from_pylist(CORPORA[name].records(size, seed))
        if size is not None:
            table = table.replace_schema_metadata({SIZE: str(size)})
        # Pages of a whole column: the world says much the same in many records, and zstd finds it as far as it sees.
        pq.write_table(
            table, folder / file, compression="zstd", compression_level=22, use_dictionary=False, data_page_size=2**24
        )
    if stale := check(folder, only, seed):
        raise FedkitError(f"Parquet does not give back what was generated for {', '.join(stale)}; mend the generator")
    return sum(path.stat().st_size for path in folder.iterdir())


def check(folder: Path = FOLDER, only: Sequence[str] = (), seed: int = 0) -> list[str]:
    """The frozen files that are missing, too many, or differ from what is generated now, in a value, type or order.

    only: of these files.
    """
    stale = [] if only else sorted(path.name for path in folder.iterdir() if path.name not in frozen())
    for file in only or frozen():
        name, size = frozen()[file]
        path = folder / file
        kept = pq.read_table(path).to_pylist() if path.is_file() else None
        if kept is None or _exact(kept) != _exact(CORPORA[name].records(size, seed)):
            stale.append(file)
    return stale


def _exact(records: list[dict[str, Any]]) -> str:
    """Records as JSON, which tells 1 from 1.0 and True, null from an absent field, and one order from another."""
    return json.dumps(records)


def write(out: Path, names: Iterable[str] = (), n: int | None = None, seed: int = 0) -> list[Path]:
    """A data folder in the upstream file names; the files. `n`: records of each training corpus, or of those named.

    `FedkitError` for a corpus of one size that is named with `n`, and where `out` cannot be written.
    """
    wanted = tuple(dict.fromkeys(names)) or tuple(CORPORA)
    if n is not None and names and (fixed := [name for name in wanted if not CORPORA[name].sizes]):
        raise FedkitError(f"{', '.join(fixed)}: of one size only; leave out --n or the name")
    files = []
    try:
        for name in wanted:
            corpus = CORPORA[name]
            for file, text in _files(corpus, corpus.records(n if names or corpus.training else None, seed)):
                path = out / file
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
                files.append(path)
    except OSError as error:
        raise FedkitError(f"{out} cannot be written ({error.strerror}); give a writable --out") from error
    return files


def _files(corpus: Corpus, records: list[dict[str, Any]]) -> Iterable[tuple[str, str]]:
    """The upstream files of a corpus, under the data folder, and their texts."""
    if "{" not in corpus.file:
        yield corpus.file, _text(corpus.file, records)
        return
    parts: dict[str, list[dict[str, Any]]] = defaultdict(list)  # by what the file's name says: a subject or a task
    field = corpus.file.partition("{")[2].partition("}")[0]
    for record in records:
        parts[record[field]].append(record)
    for part, own in parts.items():
        file = corpus.file.format(**{field: part})
        yield file, _text(file, own) if field == "subject" else json.dumps({"examples": own}, ensure_ascii=False)


def _text(file: str, records: list[dict[str, Any]]) -> str:
    if file.endswith(".jsonl"):
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    if file.endswith("aya_test.json"):  # FedLLM-Bench's own: {language: [questions]}
        languages: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for record in records:
            languages[record["language"]].append(record)
        return json.dumps(languages, ensure_ascii=False)
    if file.endswith(".json"):
        return json.dumps(records, ensure_ascii=False)
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    if "choices" in records[0]:  # MMLU's own files have no header
        rows.writerows([r["question"], *r["choices"], "ABCD"[r["answer"]]] for r in records)
    else:
        rows.writerows([list(records[0]), *(record.values() for record in records)])
    return text.getvalue()
