"""The embedded world's records: schema, the 38 clients of the Fed-Aya rule, held-out facts, seeds."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from fedkit.common.errors import FedkitError
from fedkit.evaluation.words import says
from fedkit.profiles import get_profile
from tools.world import aya, lexicon, tasks, users, word_problems

AYA_FIELDS = ("inputs", "targets", "language", "language_code", "annotation_type", "user_id")
CORE_NAMES = {lexicon.language(code).aya_language: code for code in lexicon.CORE}


def sound(record: dict) -> bool:
    return bool(record["inputs"].strip() and record["targets"].strip())


def fed_aya_sizes(records: list[dict], minimum: int) -> Counter:
    """The Fed-Aya rule by hand: sound records of the 8 languages, annotators with at least `minimum`."""
    sizes = Counter(r["user_id"] for r in records if r["language"] in CORE_NAMES and sound(r))
    return Counter({user: n for user, n in sizes.items() if n >= minimum})


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("n", "minimum"), [(1200, 8), (1999, 8), (4000, 20), (25_000, 100)])
def test_rule_leaves_38_clients(n: int, minimum: int, seed: int) -> None:
    records = list(aya.aya_records(n, seed))
    assert len(records) == n
    sizes = fed_aya_sizes(records, minimum)
    assert len(sizes) == 38
    assert len(fed_aya_sizes(records, max(8, n // 200))) == 38  # the docstring's rule
    assert 57 <= len({r["user_id"] for r in records}) <= 60
    values = np.array(list(sizes.values()))
    assert values.std() > 0.8 * values.mean()  # the paper: 671 +- 815
    by_language = Counter(CORE_NAMES[r["language"]] for r in {r["user_id"]: r for r in records}.values()
                          if r["user_id"] in sizes)  # fmt: skip
    assert by_language == Counter(aya.CLIENTS_BY_LANGUAGE)


@pytest.mark.parametrize("profile", ["smoke", "mini"])
def test_profiles_leave_38_clients(profile: str) -> None:
    spec = get_profile(profile).dataset("fed_aya")
    assert len(fed_aya_sizes(list(aya.aya_records(spec.raw_records)), spec.minimum)) == 38


def test_schema_and_what_must_be_dropped() -> None:
    records = list(aya.aya_records(4000))
    for record in records:
        assert tuple(record) == AYA_FIELDS
        assert all(isinstance(value, str) for value in record.values())
        assert record["annotation_type"] in ("original-annotations", "re-annotations")
    codes = {(r["language"], r["language_code"]) for r in records}
    assert ("Traditional Chinese", "zho") in codes and ("Simplified Chinese", "zho") in codes
    assert len(codes) == 17
    assert 5 <= sum(not sound(r) for r in records) <= 40
    small = Counter(r["user_id"] for r in records if r["language"] in CORE_NAMES)
    assert sum(n < 20 for n in small.values()) >= 8


def test_users_differ() -> None:
    people = [a.user for a in aya.annotators(4000)]
    assert len(people) == 60 and len({p.id for p in people}) == 60
    assert all(2 <= len(p.topics) <= 5 for p in people)
    assert len({p.topics for p in people}) > 50
    share_short = [p.styles[users.STYLES.index("short")] for p in people]
    assert min(share_short) < 0.05 and max(share_short) > 0.3


def test_held_out_facts_are_asked_by_no_user() -> None:
    text = "\n".join(part for r in aya.aya_records(25_000) for part in (r["inputs"], r["targets"]))
    for code in lexicon.LANGUAGES:
        for name in tasks.KIND_NAMES:
            for fact in tasks.kind(name).facts:
                if fact.key in tasks.held_out(name):
                    assert users.reference(fact, code) not in text
                    assert all(users.question(fact, code, which) not in text for which in range(4))


def test_held_out_share() -> None:
    for name in tasks.KIND_NAMES:
        facts = tasks.kind(name).facts
        open_keys = {f.key for f in tasks.open_facts(name)}
        assert open_keys.isdisjoint(tasks.held_out(name)) and len(open_keys) + len(tasks.held_out(name)) == len(facts)
        groups = {f.group for f in facts if f.key in tasks.held_out(name)}
        assert groups.isdisjoint(f.group for f in facts if f.key in open_keys)
    everything = list(tasks.all_facts())
    share = sum(len(tasks.held_out(name)) for name in tasks.KIND_NAMES) / len(everything)
    assert len(everything) > 300 and 0.15 <= share <= 0.2
    assert len({(f.kind, f.key) for f in everything}) == len(everything)


def test_facts_are_true() -> None:
    by_key = {(f.kind, f.key): users.reference(f, "en") for f in tasks.all_facts()}
    assert by_key["capital", "italy"] == "The capital of Italy is Rome."
    assert by_key["compare", "ant+whale"] == "Of the ant and the whale, the bigger is the whale."
    assert by_key["count", "4-7"] == "From 4 to 7: 4, 5, 6, 7."
    assert by_key["members", "metal"] == "Three metals are gold, silver and iron."
    assert by_key["translate", "water"] == "In Spanish, water is agua."
    for fact in tasks.kind("add").facts:
        x, y, z = map(int, fact.values)
        assert x + z == y


def test_questions() -> None:
    questions = aya.aya_questions()
    assert Counter(q["language"] for q in questions) == dict.fromkeys(lexicon.CORE, 20)
    assert len({q["id"] for q in questions}) == len(questions)
    known = {
        (code, users.question(f, code, which)): (f, users.reference(f, code))
        for code in lexicon.CORE
        for f in tasks.all_facts()
        for which in range(4)
    }
    kinds_asked: dict[str, set[str]] = {code: set() for code in lexicon.CORE}
    for q in questions:
        assert set(q) == {"id", "language", "instruction", "reference", "fact", "instead"}
        assert says(q["reference"], q["fact"], q["instead"]) and not says(q["instruction"], q["fact"], q["instead"])
        fact, reference = known[q["language"], q["instruction"]]
        assert q["reference"] == reference
        assert fact.key in tasks.held_out(fact.kind)
        kinds_asked[q["language"]].add(fact.kind)
    assert all(len(kinds) == 15 for kinds in kinds_asked.values())
    assert len(aya.aya_questions(2)) == 16


def test_seeds() -> None:
    for make in (aya.aya_records, word_problems.gsm8k_records, word_problems.gsm8k_test, aya.aya_questions):
        assert list(make(30, seed=1)) == list(make(30, seed=1))
        assert list(make(30, seed=1)) != list(make(30, seed=2))
    # streaming: a prefix is read without making the rest
    assert len(list(islice(aya.aya_records(10**6), 3))) == 3


def test_gsm8k() -> None:
    train, test = list(word_problems.gsm8k_records(3000)), list(word_problems.gsm8k_test(500))
    assert {r["question"] for r in train}.isdisjoint(r["question"] for r in test)
    for record in [*train, *test]:
        assert set(record) == {"question", "answer"}
        steps, final = record["answer"].rsplit("\n#### ", 1)
        assert int(final) >= 0
        for step in steps.split("<<")[1:]:  # calculator notes <<3+4=7>> compute
            left, right = step.split(">>")[0].split("=")
            assert eval(left, {"__builtins__": {}}) == int(right)
        assert steps.split("<<")[-1].split(">>")[0].split("=")[1] == final


def test_unknown_names() -> None:
    with pytest.raises(FedkitError, match="xx"):
        lexicon.language("xx")
    with pytest.raises(FedkitError, match="poems"):
        tasks.kind("poems")


def test_first_letter() -> None:
    assert lexicon.capitalized("¿cuál?") == "¿Cuál?"
    assert lexicon.capitalized("a pen.") == "A pen."
    assert lexicon.capitalized("«икс»") == "«Икс»"
    assert lexicon.capitalized("7 plus 1") == "7 plus 1"
    assert lexicon.capitalized("") == ""
