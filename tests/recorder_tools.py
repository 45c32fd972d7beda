"""What `recorder.py` writes down of fedkit: all that calls it, so what changes with its interface."""

from __future__ import annotations

import hashlib
import json
import math
import multiprocessing
import os
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import fedkit

VOLATILE = ("peak_memory_mb", "gpu_peak_memory_mb", "commit", "versions", "device", "threads")  # of a manifest
SFT, DPO = "fed_chatbot_it", "fed_chatbot_pa"
UNDER = {"dp_fedavg": "user_level", "dp_paper": "published"}  # our names of FedAvg under a privacy mechanism
NOISED = "dp_fedavg clip=0.5 noise=0.3"
VARIANTS = (
    "local; fedavg; fedprox; scaffold; ffa_lora; fedavgm form=hsu; fedavgm form=systems; fedadagrad form=reddi; "
    "fedadagrad form=systems beta1=0.5; fedyogi form=reddi; fedyogi form=systems; fedadam form=reddi; "
    f"fedadam form=systems; dp_paper sigma=0.01; {NOISED}; {NOISED} adapt=0.2; {NOISED} sampling=fixed"
).split("; ")
FAULTS = ("too many", "server error", "overloaded", "hang", "close", "half a document", "another document")
REFUSALS = ("wrong key", "key told", "no such model", "bad request", "no quota", "too many for an hour")
FORMS = "[[{}]]; So: [[{}]].\n; [{}]; [[ {} ]]; [[{}]] and [[4]]; Grade {}; [[{}/10]]; [[{}]".split("; ")
REPLIES = [form.format(number) for form in FORMS for number in ("1", "10", "7.5", "0", "11", "-3", "4")]
REPLIES += "; none; [[]]; [[six]]; [[7,5]]; [[7.]]; [[.5]]; [[+7]]; [[1e1]]; [[07]]; [[٧]]; [[[7]]]; [7, 8]".split("; ")
REPLIES += "[[7]] [[7.0]]; [1] says [2]; [[7]] but see [3]; [[10.0]]; [[9.99999]]".split("; ")
_ROWS = (
    ("Name three animals.", "A cat, a dog and a bird.", "en"),
    ("¿Cuál es la capital de España?", "Madrid.", "es"),
    ("写一句话。", "今天天气很好。", "zh"),
)
RECORDS = [dict(zip(("instruction", "response", "language"), row, strict=True)) for row in _ROWS]
PAIRS = [{**r, "chosen": r["response"], "rejected": f"No. {r['instruction']}"} for r in RECORDS]


def plain(value: Any, digits: int | None = None) -> Any:
    """JSON data of anything, without what a clock gave; floats rounded to `digits`, NaN as text."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    elif hasattr(value, "columns"):  # a frame of pandas
        value = value.reset_index().to_dict("records")
    elif hasattr(value, "tolist"):  # of NumPy
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): plain(one, digits) for key, one in value.items() if key != "seconds"}
    if isinstance(value, list | tuple):
        return [plain(one, digits) for one in value]
    if isinstance(value, float):
        return str(value) if not math.isfinite(value) else value if digits is None else round(value, digits)
    return value if value is None or isinstance(value, str | int) else str(value)


def short_hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def content(value: Any, digits: int | None = None) -> dict[str, Any]:
    return {"count": len(value), "hash": short_hash(json.dumps(plain(value, digits), sort_keys=True).encode())}


def or_refusal(make: Callable[[], Any]) -> Any:
    """What a call gives, or the sentence with which fedkit refuses it."""
    try:
        return make()
    except fedkit.FedkitError as error:
        return {"refused": str(error)}


def record_datasets() -> dict[str, Any]:
    facts = {}
    for profile in ("smoke", "mini"):
        with TemporaryDirectory() as folder:
            kit = fedkit.Session(profile, results_dir=folder)
            facts |= {f"{profile} {name}": dataset_facts(kit, name) for name in fedkit.DATASETS}
            if profile == "smoke":
                splits = ("iid", "dirichlet", "quantity_skew", "by_language")
                facts |= {f"smoke fed_aya {s}": dataset_facts(kit, "fed_aya", partition=s) for s in splits}
    return facts


def dataset_facts(kit: Any, name: str, **how: Any) -> dict[str, Any]:
    built = kit.build(name, **how)
    data, drops = built.dataset, built.drops
    facts = {"fingerprint": data.fingerprint, "clients": len(data), "samples": data.n_records, "info": data.info}
    facts |= {"columns": data.table.column_names, "read": drops.read, "kept": drops.kept, "notes": drops.notes}
    facts |= {"rows": drops.rows, "drops": drops.frame(), "counts": built.counts(), "source": built.located.describe()}
    facts |= {"questions": or_refusal(lambda: content(plain(kit.questions(name))))}
    facts |= {"answered": or_refusal(lambda: content(plain(kit.questions(name, answered=True))))}
    facts |= {"tests": or_refusal(lambda: content(kit.test_records(name)[1]))}
    return plain({**facts, "summary": content(plain(data.summary(), 6))})


def marks(scores: Mapping[str, Any]) -> dict[str, Any]:
    """Scores by part, without the value of each item."""
    return {
        part: {name: one for name, one in asdict(score).items() if name != "values"} for part, score in scores.items()
    }


def planned(kit: Any, variant: str, dataset: Any, seed: int = 0, **more: Any) -> Any:
    algorithm, *words = variant.split()
    if algorithm == "local":
        return kit.plan_local(dataset, dataset.clients[0], seed=seed)
    params = {key: float(value) if value[0].isdigit() else value for key, value in (w.split("=") for w in words)}
    if algorithm in UNDER:
        mechanism = fedkit.privacy.MECHANISMS[UNDER[algorithm]](**params)
        return kit.plan("fedavg", dataset, seed=seed, privacy=mechanism, **more)
    return kit.plan(algorithm, dataset, seed=seed, **params, **more)


def train(kit: Any, config: Any, dataset: Any, on_client: Callable[[int, str], None] | None = None) -> Any:
    from fedkit.evaluation.handles import Handle
    from fedkit.training.simulation import run

    return run(config, dataset, kit.folder / "runs", loaded=Handle(config.model), progress=False, on_client=on_client)


def run_facts(run: Any) -> dict[str, Any]:
    digest = hashlib.sha256()
    for name, tensor in sorted(run.adapter.items()):
        digest.update(f"{name}{tuple(tensor.shape)}".encode() + tensor.float().contiguous().numpy().tobytes())
    manifest = {key: value for key, value in run.manifest.items() if key not in VOLATILE}
    config = {key: value for key, value in manifest["config"].items() if key not in ("code", "initial")}
    if mechanism := config.pop("privacy"):
        ours = {name: key for key, name in UNDER.items()}[mechanism.pop("name")]
        config |= {"algorithm": ours, "params": mechanism}
    text = json.dumps(plain({**manifest, "config": config})).replace(run.config.initial or "no other run", "<initial>")
    files = [path for path in sorted(run.folder.rglob("*")) if path.suffix in (".safetensors", ".npy")]
    kept = {str(path.relative_to(run.folder)): short_hash(path.read_bytes()) for path in files}
    facts = {"adapter": digest.hexdigest()[:16], "manifest": json.loads(text), "files": kept}
    return {**facts, "history": plain(run.history)}


def record_runs() -> dict[str, Any]:
    assert {v.split()[0] for v in VARIANTS} == {*fedkit.ALGORITHMS, *UNDER}
    with TemporaryDirectory() as folder:
        kit = fedkit.Session("smoke", results_dir=folder)
        data = {name: kit.build(name).dataset for name in (SFT, DPO, "gsm8k", "fed_wildchat_multi", "hh_rlhf")}
        cases = [(variant, name, seed) for variant in VARIANTS for name in (SFT, DPO) for seed in (0, 1)]
        cases += [("fedavg", name, 0) for name in data if name not in (SFT, DPO)]
        configs = {f"{v} {name} {seed}": planned(kit, v, data[name], seed) for v, name, seed in cases}
        first = train(kit, planned(kit, "fedavg", data[SFT]), data[SFT])
        for v, name in (("fedavg", SFT), ("ffa_lora", SFT), (NOISED, SFT), ("fedavg", DPO)):
            configs[f"{v} {name} after fedavg"] = planned(kit, v, data[name], start=first)
        return {key: run_facts(train(kit, config, data[config.dataset])) for key, config in configs.items()}


def record_resume() -> dict[str, Any]:
    """Runs whose process dies after its third committed client and that are resumed, beside unbroken ones."""
    facts, settings = {}, {"rounds": 4, "clients_per_round": 3}
    cases = [(v, SFT) for v in ("fedavg", "scaffold", "fedadam", NOISED)] + [("fedavg", DPO)]
    with TemporaryDirectory() as whole, TemporaryDirectory() as broken:
        kits = [fedkit.Session("smoke", results_dir=folder) for folder in (whole, broken)]
        for variant, name in cases:
            data, turns = kits[0].build(name).dataset, list[tuple[int, str]]()
            config = planned(kits[0], variant, data, settings=settings)

            def die(*turn: Any, seen: list[Any] = turns) -> None:
                seen.append(turn)
                if len(seen) == 3:
                    os._exit(9)

            child = multiprocessing.get_context("fork").Process(target=train, args=(kits[1], config, data, die))
            child.start()
            child.join()
            resumed = run_facts(train(kits[1], config, data, lambda *turn, seen=turns: seen.append(turn)))
            unbroken = run_facts(train(kits[0], config, data))
            ended = {"exit": child.exitcode, "resumed": turns, "equal": resumed == unbroken}
            facts[f"{variant} {name}"] = {**ended, **unbroken}
    return facts


def record_scores() -> dict[str, Any]:
    """Every suite and the Ref frames for the base and for a trained adapter, and losses on small fixed inputs."""
    facts: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        kit = fedkit.Session("smoke", results_dir=folder)
        data = {name: kit.build(name).dataset for name in (SFT, "fed_aya")}
        runs = {name: train(kit, planned(kit, "fedavg", one), one) for name, one in data.items()}
        for key, suite in fedkit.SUITES.items():
            if key == "ref":
                continue  # as frames below
            for who, model in (("base", suite.dataset or SFT), ("run", runs["fed_aya" if key == "fed_aya" else SFT])):
                row = kit.evaluate(model, suite)
                one = {"parts": marks(row.parts), "frame": row.frame(), "judge": row.judge, "foot": row.foot}
                one["items"] = {name: content(own, 6) for name, own in row.items.items()}
                one["answers"] = {name: content(own, 6) for name, own in row.answers.items()}
                facts[f"{key} {who}"] = plain(one, 6)
        for name, run in runs.items():
            for who, model in (("base", name), ("run", run)):
                row = kit.evaluate(model, "ref")
                frame = row.items_frame("ref")[["id", "language", "instruction", "answer", "reference", "score"]]
                spent = {"unrated": int(frame["score"].isna().sum()), "judging": row.foot}
                facts[f"ref {name} {who}"] = plain({"frame": frame, **frame.attrs, **spent}, 6)
        facts["losses base"] = plain(losses(kit, None), 6)
        facts["losses run"] = plain(losses(kit, runs[SFT].adapter), 6)
    return facts


def losses(kit: Any, state: Any) -> dict[str, Any]:
    from fedkit.analysis.client_texts import texts
    from fedkit.analysis.quality import answer_losses
    from fedkit.evaluation.attacks import candidate_losses
    from fedkit.evaluation.pairs import PairScorer, length_rules

    loaded = kit.loaded(SFT, adapter=state)
    both, own = (loaded.model, loaded.tokenizer), fedkit.adapter_state(loaded.model)
    asked = [record["instruction"] for record in RECORDS]
    secret = {"instruction": "What is the code?", "response": "The code is {}.", "template": "alpaca"}
    facts: dict[str, Any] = {
        "completion": fedkit.completion_loss(loaded, RECORDS, max_length=128, template="alpaca"),
        "cut": fedkit.completion_loss(loaded, RECORDS, max_length=64, template="vicuna_v1.1"),
        "candidates": candidate_losses(loaded, ["12", "345", "6789"], **secret),
        "greedy": fedkit.generate(*both, asked, max_new_tokens=12, batch_size=3),
        "sampled": fedkit.generate(*both, asked, max_new_tokens=12, batch_size=3, temperature=0.7, seed=3),
    }
    for name, which in ((SFT, "response"), (DPO, "response"), (DPO, "rejected")):
        some = texts(kit.build(name).dataset.select(range(3)), per_client=3)
        answers = answer_losses(loaded, some, which=which, max_length=128)
        facts[f"{name} {which}"] = {**asdict(answers), "ifd": answers.ifd, "undefined": answers.undefined()}
    scorer = PairScorer(loaded, fedkit.initial_state(loaded.model, 0), PAIRS, template="alpaca", max_length=128)
    rewards = scorer.rewards(own)
    facts["pairs"] = {**asdict(rewards), "margins": rewards.margins, **rewards.summary(), **length_rules(PAIRS)}
    return {**facts, "reference": scorer.reference, "logps": scorer.logps(own)}


def record_ratings() -> dict[str, Any]:
    """What a judge behind a faulty server is asked and says, and how replies are read."""
    from fedkit.evaluation.benchmarks.base import Pool
    from fedkit.evaluation.judges.report import parse_rating
    from tools.loopback_judge import LoopbackServer

    def reply(messages: Any) -> str:
        return random.Random(messages[-1]["content"]).choice(REPLIES)

    def fault(messages: Any, attempt: int) -> str | None:
        chance = random.Random(f"{attempt} {messages[-1]['content']}")
        return chance.choice(FAULTS) if chance.random() < 0.3 else None

    facts: dict[str, Any] = {"parse": {text: plain(parse_rating(text)) for text in REPLIES}}
    settings = {"timeout": 3.0, "backoff": 0.001, "attempts": 20, "concurrency": 16}
    with TemporaryDirectory() as folder, LoopbackServer(reply, fault, hang_seconds=10.0) as server:
        kit = fedkit.Session("smoke", results_dir=folder)
        pool = Pool(kit.place, None, lambda name: [asdict(question) for question in kit.questions(name)])
        for name in ("mt_bench", "vicuna", "ref"):
            cache, judged = Path(folder) / f"{name}.jsonl", list[Any]()
            judge = fedkit.JudgeChoice("paper", server.base_url, settings=settings).judge(name, cache)

            def rate_all(asked: Any, judge: Any = judge, judged: list[Any] = judged) -> list[float | None]:
                judged += [{"item": asdict(i), **asdict(j)} for i, j in zip(asked, judge.judge_all(asked), strict=True)]
                return [one["rating"] for one in judged[-len(asked) :]]

            judge.rate_all = rate_all
            items = fedkit.BENCHMARKS[name].items(pool, SFT)
            said = [[f"First {i}.", f"Then {i}."] if name == "mt_bench" else f"Answer {i}." for i in range(len(items))]
            scores = fedkit.BENCHMARKS[name].score(items, said, judge)
            kept = sorted((json.loads(line) for line in cache.read_text().splitlines()), key=lambda one: one["key"])
            report = {key: value for key, value in judge.report.data().items() if key not in ("requests", "retries")}
            facts[name] = plain({"scores": marks(scores), "judged": judged, "kept": kept, "report": report}, 6)
    for name in REFUSALS:
        with LoopbackServer(reply, lambda messages, attempt, name=name: name) as server:
            judge = fedkit.JudgeChoice("some-model", server.base_url).judge("ref")
            said = or_refusal(lambda judge=judge: judge.rate("Why?", "So.", "Because."))
            facts[name] = str(said).replace(server.base_url, "<server>")
    return facts
