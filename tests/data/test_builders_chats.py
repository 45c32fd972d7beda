"""Fed-ChatbotIT, Fed-ChatbotPA and Fed-WildChat: every rule with its count, older schemas by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chat_tools import CHATBOT, CHATS, MINI, WILDCHAT, chat, few, talk, vote, write
from data_tools import build, excluded, questions

from fedkit.common.errors import FedkitError
from fedkit.data.datasets.chatbot import NO_TURN_FIELD, TURN_DIFFERS
from fedkit.data.datasets.registry import DATASETS, SOURCES, get_dataset
from fedkit.data.datasets.released import PROMPT
from fedkit.data.datasets.wildchat import IN_TURNS, OLDER
from fedkit.data.rules import CODES, OPENING, UNANSWERED, exchanges, language_code
from fedkit.profiles import get_profile

SMOKE, PAPER = get_profile("smoke"), get_profile("paper")


def arena(tmp_path: Path, rows: list, name: str, **params):
    return build(name, few(), data_dir=write(tmp_path, "arena/train.jsonl", rows), **{"minimum": 1, **params})


def wild(tmp_path: Path, rows: list, name: str = "fed_wildchat", **params):
    return build(name, few(), data_dir=write(tmp_path, "WildChat/train.jsonl", rows), **{"minimum": 1, **params})


# --- Chatbot Arena


def test_the_winner_is_chosen_and_the_first_exchange_taken(tmp_path):
    rows = [
        vote("ann", 0),
        vote("ann", 1, "model_b", language="unknown"),
        vote("bob", 2, conversation_a=talk("q2", "a2", "more", " "), turn=2, language="Portuguese"),
        vote("bob", 3, conversation_a=talk(" q3", "a3", "left alone")),  # a last question that nobody answered
    ]
    pairs = arena(tmp_path, rows, "fed_chatbot_pa")
    assert pairs.dataset.records("ann") == [
        {"instruction": "q0", "chosen": "a0", "rejected": "b0", "language": "en"},
        {"instruction": "q1", "chosen": "b1", "rejected": "a1", "language": "und"},
    ]
    assert pairs.dataset.records("bob") == [
        {"instruction": "q2", "chosen": "a2", "rejected": "b2", "language": "pt"},
        {"instruction": " q3", "chosen": "a3", "rejected": "b3", "language": "en"},
    ]
    assert pairs.drops.notes == {UNANSWERED: 1} == pairs.dataset.info["read_as"]
    answers = arena(tmp_path, rows, "fed_chatbot_it")
    assert answers.dataset.clients == pairs.dataset.clients
    assert answers.dataset.table.to_pylist() == [
        {"instruction": row["instruction"], "response": row["chosen"], "language": row["language"]}
        for row in pairs.dataset.table.to_pylist()
    ]


@pytest.mark.parametrize("name", CHATBOT)
def test_every_rule_of_the_votes_with_its_count(tmp_path, name):
    rows = [
        *(vote("big", i) for i in range(5)),
        *(vote("small", i) for i in range(2)),
        vote("tied", 9, "tie"),
        vote("big", 9, "tie (bothbad)", conversation_a=[]),  # a tie first, without a turn second
        vote("big", 9, "model_c"),
        "vote",
        vote("big", 9, conversation_b=None),
        vote(None, 9),
        vote(7, 9),
        vote("big", 9, conversation_a="q and a"),
        vote("big", 9, conversation_a=[]),
        vote("big", 9, conversation_b=[*talk("q9", "b9"), "bye"]),
        vote("big", 9, conversation_b=[{"role": "user", "content": None}]),
        vote("big", 9, conversation_a=talk("q9", "a9")[::-1]),
        vote("big", 9, conversation_a=[talk("q9")[0], talk("q9")[0]]),
        vote("big", 9, conversation_b=talk("q9")),
        vote("big", 9, conversation_b=talk("q8", "b9")),
        vote("big", 9, conversation_a=talk("", "a"), conversation_b=talk(" ", "b")),
        vote("big", 9, conversation_a=talk("q9", "\n")),
        vote("big", 9, conversation_b=talk("q9", "")),
        vote(" ", 9),
        vote("big", 9, conversation_b=talk("q9", "\ud800")),
        vote("big", 3, conversation_a=talk(" q3\n", "a"), conversation_b=talk("q3", "b")),  # held out, as is the other
    ]
    built = arena(tmp_path, rows, name, minimum=3, excluded=["q3"])
    assert built.drops.rows == [
        ("not a record", 1, 0),
        ("missing 'judge'", 1, 0),
        ("missing 'conversation_b'", 1, 0),
        ("wrong type of 'judge'", 1, 0),
        ("wrong type of 'conversation_a'", 1, 0),
        ("tie", 2, 1),
        ("winner is neither model nor a tie", 1, 0),
        ("no turn in 'conversation_a'", 1, 0),
        ("turns not user and assistant in turn in 'conversation_a'", 2, 0),
        ("a turn that is no message in 'conversation_b'", 2, 0),
        ("no answer in 'conversation_b'", 1, 0),
        ("two different instructions", 1, 0),
        ("empty 'instruction'", 1, 0),
        ("empty 'chosen'", 1, 0),
        ("empty 'rejected'", 1, 0),
        ("broken text in 'rejected'", 1, 0),
        ("empty 'judge'", 1, 0),
        ("held out as a test question", 2, 0),
        ("judge with fewer than 3", 2, 1),
    ]
    assert built.dataset.clients == ("big",) and built.dataset.n_records == 4
    frame = built.drops.frame()
    for column in ("records", "clients"):
        assert frame[column].iloc[0] == frame[column].iloc[1:].sum()


def test_an_arena_record_without_turn_is_read_and_noted(tmp_path):
    old = vote("ann", 0)
    del old["turn"]
    built = arena(tmp_path, [old, vote("ann", 1, turn=4), vote("ann", 2)], "fed_chatbot_it")
    assert built.dataset.n_records == 3 and built.drops.notes == {NO_TURN_FIELD: 1, TURN_DIFFERS: 1}


@pytest.mark.parametrize(("name", "drift"), [("arena", NO_TURN_FIELD), ("wildchat", OLDER)])
def test_the_embedded_worlds_older_schemas_give_the_same_dataset(tmp_path, name, drift):
    from tools.world.arena import arena_records
    from tools.world.wildchat import wildchat_records

    make, dataset = (arena_records, "fed_chatbot_pa") if name == "arena" else (wildchat_records, "fed_wildchat")
    made = []
    for old in (False, True):
        folder = tmp_path / str(old)
        write(folder, f"{name}/train.jsonl", list(make(400, seed=3, drift=old)))
        made.append(build(dataset, few(SMOKE), data_dir=folder, minimum=2))
    new, old = made
    assert new.dataset.fingerprint == old.dataset.fingerprint
    assert not new.drops.notes and list(old.drops.notes) == [drift] and old.drops.notes[drift] >= old.drops.kept


# --- WildChat


def test_first_exchanges_and_whole_conversations(tmp_path):
    rows = [
        chat("ip1", "q0", "a0"),
        chat("ip1", "q1", "a1", "q2", "a2", language="Chinese"),
        chat("ip2", "q3", "a3", "q4", "a4", "q5"),
        chat("ip2", "q6", "a6", "q7"),  # the second question was never answered
    ]
    single = wild(tmp_path, rows).dataset
    assert single.records("ip1") == [
        {"instruction": "q0", "response": "a0", "language": "en"},
        {"instruction": "q1", "response": "a1", "language": "zh"},
    ]
    assert [row["instruction"] for row in single.records("ip2")] == ["q3", "q6"]
    multi = wild(tmp_path, rows, "fed_wildchat_multi")
    turns = [{"role": "user", "content": "q1"}, {"role": "assistant", "content": "a1"}]
    turns += [{"role": "user", "content": "q2"}, {"role": "assistant", "content": "a2"}]
    assert multi.dataset.records("ip1") == [{"conversation": turns, "language": "zh"}]
    assert [turn["content"] for turn in multi.dataset.records("ip2")[0]["conversation"]] == ["q3", "a3", "q4", "a4"]
    assert multi.drops.rows == [("one exchange alone", 2, 0)] and multi.drops.notes == {UNANSWERED: 2}


@pytest.mark.parametrize("name", WILDCHAT)
def test_every_rule_of_the_conversations_with_its_count(tmp_path, name):
    two = ("q", "a", "q", "a")
    rows = [
        *(chat("big", f"q{i}", *two[1:]) for i in range(4)),
        chat("small", *two),
        3,
        chat("big", conversation=None),
        chat("big", conversation={"role": "user"}),
        chat(None, *two),
        chat(7, *two),
        chat(" ", *two),
        chat("\udfff", *two),
        chat("big", conversation=[]),
        chat("big", conversation=[["user", "q"]]),
        chat("big", conversation=talk(*two)[1:]),
        chat("big", "q"),
        chat("big", "", "a", "q", "a"),
        chat("big", "q", " ", "q", "a"),
        chat("big", "q", "\ud800", "q", "a"),
        chat("big", " q2 ", "a", "q", "a"),
    ]
    built = wild(tmp_path, rows, name, minimum=2, excluded=["q2"])
    own = {
        "fed_wildchat": [
            ("empty 'instruction'", 1, 0),
            ("empty 'response'", 1, 0),
            ("broken text in 'response'", 1, 0),
        ],
        "fed_wildchat_multi": [("empty turn", 2, 0), ("broken text in a turn", 1, 0)],
    }[name]
    assert built.drops.rows == [
        ("not a record", 1, 0),
        ("missing 'conversation'", 1, 0),
        ("wrong type of 'conversation'", 1, 0),
        ("missing 'hashed_ip'", 1, 0),
        ("wrong type of 'hashed_ip'", 1, 0),
        ("empty 'hashed_ip'", 1, 0),
        ("broken text in 'hashed_ip'", 1, 1),
        ("no turn", 1, 0),
        ("a turn that is no message", 1, 0),
        ("turns not user and assistant in turn", 1, 0),
        ("no answer", 1, 0),
        *own,
        ("held out as a test question", 2, 0),
        ("user with fewer than 2", 1, 1),
    ]
    assert built.dataset.clients == ("big",) and built.dataset.n_records == 3


def test_older_wildchat_and_addresses_in_the_turns(tmp_path):
    old = chat("ip1")
    del old["conversation_hash"]
    old["conversation_id"] = "c"
    inner = chat(None)
    inner["conversation"][0]["hashed_ip"] = "ip1"
    built = wild(tmp_path, [old, inner, chat("ip1")])
    assert built.dataset.clients == ("ip1",) and built.dataset.n_records == 3
    assert built.drops.notes == {OLDER: 1, IN_TURNS: 1} == built.dataset.info["read_as"]


def test_the_first_wildchat_names_no_users(tmp_path):
    rows = [{key: value for key, value in chat(None).items() if key != "hashed_ip"}] * 3
    with pytest.raises(FedkitError, match="all 3 were dropped: 3 missing 'hashed_ip'"):
        wild(tmp_path, rows)


# --- all four


COUNTS = {"fed_chatbot_it": 237, "fed_chatbot_pa": 747, "fed_wildchat": 100, "fed_wildchat_multi": 50}


@pytest.mark.parametrize("name", CHATS)
def test_the_embedded_world_leaves_the_papers_clients(name):
    built = build(name, MINI, **excluded(name, MINI))
    counts = built.counts().set_index("what")
    assert counts.loc["clients"].tolist() == [COUNTS[name]] * 2
    assert built.dataset.sizes.min() >= MINI.dataset(name).minimum
    assert built.drops.read == built.drops.kept + built.drops.dropped
    if name in CHATBOT:  # as many votes as the paper's, at the paper's own minimum
        assert MINI.dataset(name).minimum == PAPER.dataset(name).minimum
        assert counts.loc["samples", "ours"] == pytest.approx(counts.loc["samples", "paper"], rel=0.01)
    asked = {q.instruction for q in questions(name, MINI)}
    rows = built.dataset.table.to_pylist()
    assert not asked & {row.get("instruction") or row["conversation"][0]["content"] for row in rows}


def test_the_published_counts_are_those_of_the_papers_table():
    table = pytest.importorskip("fedkit.report.paper").TABLES["table1_datasets"]
    for name, title in zip(CHATS[:3], ("Fed-ChatbotIT", "Fed-ChatbotPA", "Fed-WildChat"), strict=True):
        paper = DATASETS[name].paper
        assert {what: paper[what] for what in ("clients", "samples")} == {
            what: table.value(title, what) for what in ("clients", "samples")
        }


@pytest.mark.parametrize("name", CHATS)
@pytest.mark.parametrize("partition", ["iid", "dirichlet"])
def test_controls_share_out_the_very_same_records(name, partition):
    own, control = (build(name, SMOKE, partition=p).dataset for p in (None, partition))
    sort = [sorted(json.dumps(row) for row in dataset.table.to_pylist()) for dataset in (own, control)]
    assert sort[0] == sort[1] and len(control) == len(own) and control.fingerprint != own.fingerprint


def test_it_and_pa_agree():
    """The judges of IT are those of PA with at least 10 votes, and their answers are PA's chosen ones."""
    answers, pairs = build("fed_chatbot_it", SMOKE).dataset, build("fed_chatbot_pa", SMOKE).dataset
    assert set(answers.clients) == {c for c, n in zip(pairs.clients, pairs.sizes, strict=True) if n >= 10}
    for judge in answers.clients[:5]:
        assert [r["response"] for r in answers.records(judge)] == [r["chosen"] for r in pairs.records(judge)]


# --- releases


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("fed_chatbot_it", "Fed-ChatbotIT/chatbotIT_237c_6k.json.json"),
        ("fed_wildchat", "Fed-WildChat/single_turn/wildchat_100c_53k.json"),
    ],
)
def test_a_released_file_of_answers(tmp_path, name, path):
    release = {f"user{i}": [{"instruction": f"q{i}{j}", "response": "a"} for j in range(3)] for i in range(4)}
    release["user0"].append({"instruction": "q", "response": ""})
    built = build(name, few(), data_dir=write(tmp_path, path, release), minimum=3)
    assert built.located.source.name == name and built.dataset.clients == ("user0", "user1", "user2", "user3")
    assert built.drops.rows == [("empty 'response'", 1, 0)] and built.dataset.n_records == 12
    assert set(built.dataset.table["language"].to_pylist()) == {"und"}
    write(tmp_path, "arena/train.jsonl" if name in CHATBOT else "wildchat/train.jsonl", [])
    with pytest.raises(FedkitError, match="it is empty"):  # raw records come first
        build(name, few(), data_dir=tmp_path)


def test_a_released_file_of_pairs(tmp_path):
    pair = {"chosen": "good", "rejected": "bad"}
    release = {"ann": [{"instruction": "q", **pair}, {"prompt": "p", **pair}, pair, {"instruction": "q", "chosen": ""}]}
    built = build(
        "fed_chatbot_pa", few(), data_dir=write(tmp_path, "Fed-ChatbotPA/chatbotPA_747c_10k.json", release), minimum=1
    )
    assert [row["instruction"] for row in built.dataset.records("ann")] == ["q", "p"]
    assert built.drops.rows == [("missing 'rejected'", 1, 0), ("missing 'instruction'", 1, 0)]
    assert built.drops.notes == {PROMPT: 1}


def test_a_released_file_of_conversations(tmp_path):
    """Turns are `from` and `value`; as upstream's training code does, an opening turn of the model is left out."""

    def said(*texts, first="human"):
        roles = ("human", "gpt") if first == "human" else ("gpt", "human")
        return {"conversations": [{"from": roles[i % 2], "value": text} for i, text in enumerate(texts)]}

    release = {"ip": [said("q", "a", "r", "b"), said("hi", "q", "a", first="gpt"), said("q", "a", "r"), said("q")]}
    release["ip"] += [{"conversations": None}, {"conversations": [{"from": "system", "value": "x"}]}, said("q", "")]
    built = build(
        "fed_wildchat_multi",
        few(),
        data_dir=write(tmp_path, "Fed-WildChat/multi_turn/wildchat_50c.json", release),
        minimum=1,
    )
    spoken = [[turn["content"] for turn in row["conversation"]] for row in built.dataset.records("ip")]
    assert spoken == [["q", "a", "r", "b"], ["q", "a"], ["q", "a"]]
    assert built.drops.notes == {OPENING: 1, UNANSWERED: 1}
    assert built.drops.rows == [
        ("missing 'conversation'", 1, 0),
        ("turns not user and assistant in turn", 1, 0),
        ("no answer", 1, 0),
        ("empty turn", 1, 0),
    ]


# --- parts


@pytest.mark.parametrize(
    ("name", "code"),
    [("English", "en"), ("PORTUGUESE", "pt"), ("haitian_creole", "ht"), ("ja", "ja"), ("unknown", "und"), ("", "und")]
    + [("Scots", "und"), (None, "und"), (7, "und"), ("und", "und"), (" Chinese ", "zh"), ("xx", "und")],
)
def test_language_codes(name, code):
    assert language_code(name) == code


def test_language_table_is_well_formed():
    assert all(len(code) == 2 and code.isalpha() for code in CODES.values()) and len(CODES) > 100


def test_exchanges_says_what_it_left_out():
    noted: list[str] = []
    assert exchanges(talk("a", "b", "c"), noted.append) == [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b"},
    ]
    assert noted == [UNANSWERED]
    assert isinstance(exchanges(talk("a", "b")[::-1], noted.append), str)
    assert exchanges(talk("x", "a", "b")[1:], noted.append, opening=True) == "no answer"


def test_sources_are_declared():
    names = {name: [source.name for source in dataset.sources] for name, dataset in DATASETS.items()}
    assert names["fed_chatbot_it"] == ["arena", "fed_chatbot_it", "chatbot_test"]
    assert names["fed_aya"] == ["aya", "fed_aya", "aya_test", "aya_heldout"]
    assert names["hh_rlhf"] == ["hh_rlhf", "hh_rlhf_harmless", "hh_rlhf_helpful", "hh_rlhf_test"]
    assert names["domains"] == ["alpaca", "mathinstruct", "code_alpaca", "fingpt"]
    assert names["gsm8k"] == ["gsm8k", "gsm8k_test"] and set().union(*names.values()) == set(SOURCES)
    with pytest.raises(FedkitError, match="unknown dataset 'nothing'; known: .*fed_aya"):
        get_dataset("nothing")
