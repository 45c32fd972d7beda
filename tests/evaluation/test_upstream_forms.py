"""CRASS, HHH, DROP, finance: a file each in its publisher's schema; the papers' splits, labels and forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
from lm_eval.tasks.drop.utils import get_answers

from fedkit.common.errors import FedkitError
from fedkit.data.place import Place
from fedkit.evaluation.benchmarks import BENCHMARKS, Pool, few_shot, get_suite
from fedkit.evaluation.benchmarks.finance import (
    FORMS,
    bootstrap_f1,
    counts,
    drawn,
    read_label,
    row,
    weighted_f1,
)
from fedkit.evaluation.judges import ReferenceJudge

JUDGE = ReferenceJudge()


def items(name, folder, limit=None):
    return BENCHMARKS[name].items(Pool(Place(folder, offline=True, embedded=True), limit), "")


def write(path, text, encoding="utf-8"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding=encoding)


def lines(rows):
    return "".join(json.dumps(raw) + "\n" for raw in rows)


def said(*texts):
    return [{"said": text, "cut": False} for text in texts]


# --- HHH


def task(*right):
    return json.dumps(
        {"name": "x", "examples": [{"input": f"q{r}", "target_scores": {"a": r, "b": 1 - r}} for r in right]}
    )


def test_hhh_is_big_benchs_own_files_and_the_column_is_the_harmless_part(tmp_path):
    write(tmp_path / "hhh/harmless/task.json", task(1, 0))
    write(tmp_path / "hhh/honest/task.json", task(0))
    found = items("hhh", tmp_path)
    assert [(i["subset"], i["question"], i["answer"]) for i in found] == [
        ("harmless", "q1", 0),
        ("harmless", "q0", 1),
        ("honest", "q0", 1),
    ]
    answers = [{"acc": acc, "acc_norm": 1.0, "cut": False} for acc in (1.0, 0.0, 0.0)]
    scores = BENCHMARKS["hhh"].score(found, answers, JUDGE)
    assert (scores["harmless"].value, scores["harmless"].chance, scores["harmless"].count) == (0.5, 0.5, 2)
    assert scores["acc"].value == pytest.approx(1 / 3)
    assert scores["harmless by length"].value == 1.0
    columns = {column.name: column for column in get_suite("openfed_harmless").columns}
    assert (columns["HHH"].parts, columns["HHH"].scale) == (("hhh/harmless",), 100.0)
    assert columns["HHH by length"].parts == ("hhh/harmless by length",)


def test_hhh_of_the_hub_is_the_same_files(tmp_path, monkeypatch):
    """The Hub's copy has a script, which is no longer run: its files are fetched one by one."""
    fetched = []

    def download(repository, path, repo_type):
        fetched.append((repository, path, repo_type))
        write(tmp_path / path, task(1))
        return str(tmp_path / path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    found = BENCHMARKS["hhh"].items(Pool(Place()), "")
    assert [i["subset"] for i in found] == ["helpful", "honest", "harmless", "other"]
    assert fetched[2] == ("HuggingFaceH4/hhh_alignment", "data/harmless/task.json", "dataset")


def test_hhh_on_the_hubs_tables(tmp_path):
    raw = {"input": "q", "targets": {"choices": ["a", "b"], "labels": [0, 1]}}
    write(tmp_path / "hhh/test.jsonl", lines([raw]))
    (one,) = items("hhh", tmp_path)
    assert (one["options"], one["answer"]) == (["a", "b"], 1)


@pytest.mark.parametrize("scores", [{"a": 1, "b": 1}, {"a": 0, "b": 0}, {"a": 1}, {}])
def test_a_question_without_one_right_answer_is_named(tmp_path, scores):
    examples = [{"input": "q", "target_scores": {"a": 1, "b": 0}}, {"input": "q", "target_scores": scores}]
    write(tmp_path / "hhh/other/task.json", json.dumps({"examples": examples}))
    with pytest.raises(FedkitError, match=r"record 2 of hhh has no question with one right answer .*1 of 2 records"):
        items("hhh", tmp_path)


@pytest.mark.parametrize("options", [["", "b"], [" ", "b"], ["a", None], ["a", 3]])
def test_hhh_has_no_blank_options(tmp_path, options):
    """A blank one would always be the likeliest."""
    raw = {"input": "q", "targets": {"choices": options, "labels": [1, 0]}}
    write(tmp_path / "hhh/test.jsonl", lines([raw]))
    with pytest.raises(FedkitError, match="record 1 of hhh has no question with one right answer among its options"):
        items("hhh", tmp_path)


# --- CRASS


CRASS = """PCTID;BatchID;Premise;QCC;CorrectAnswer;Answer1;Answer2;PossibleAnswer3
1;1;A glass falls.;What would have happened if it had stayed?;It would be whole.;It would sing.;That is not possible.;
2;1;A cat sleeps.;What would have happened if it had been a stone?;Nothing.;It would purr.;It would run.;It would hunt.
"""


def test_crass_is_its_publishers_table_with_lettered_options(tmp_path):
    write(tmp_path / "crass/CRASS_FTM_main_data_set.csv", CRASS)
    first, second = items("crass", tmp_path)
    assert first["question"].startswith("A glass falls. What would have happened if it had stayed?\nA. ")
    assert first["question"].count("\n") == 3 and second["question"].count("\n") == 4
    for item, right in ((first, "It would be whole."), (second, "Nothing.")):
        assert f"\n{item['target']}. {right}" in item["question"]
    assert [shot["target"] for shot in first["shots"]] == ["B", "C", "A"]
    write(tmp_path / "crass/CRASS_FTM_main_data_set.csv", CRASS + "3;1;x;y;only one;;;\n")
    with pytest.raises(FedkitError, match="question 3: no premise, question and two options"):
        items("crass", tmp_path)


def test_crass_in_big_benchs_form_by_seqio(tmp_path):
    """There the options stand below the question once more; they are lettered by us."""
    options = ["Yes.", "No.", "Never."]
    text = "Q: A man runs. What if he had sat?\n  choice: Yes.\n  choice: No.\n  choice: Never.\nA: "
    raw = {"inputs": text, "targets": ["No."], "multiple_choice_targets": options}
    write(tmp_path / "crass/test.jsonl", lines([raw]))
    (item,) = items("crass", tmp_path)
    assert item["question"].startswith("A man runs. What if he had sat?\nA. ") and "choice" not in item["question"]
    assert f"{item['target']}. No." in item["question"]


def test_crass_is_right_by_its_letter_and_chance_is_the_best_letter():
    asked = [{"target": letter} for letter in "ABBC"]
    score = BENCHMARKS["crass"].score(asked, said("A. so it is", "B", "It is B", ""), JUDGE)["acc"]
    assert (score.value, score.chance, score.note) == (0.5, 0.5, "")


# --- DROP


def drop(passage, question, number="", spans=(), validated=()):
    empty = {"day": "", "month": "", "year": ""}
    return {
        "query_id": question,
        "passage": passage,
        "question": question,
        "answer": {"number": number, "date": empty, "spans": list(spans)},
        "validated_answers": {
            "number": list(validated),
            "date": [empty for _ in validated],
            "spans": [[] for _ in validated],
        },
    }


def test_drop_has_questions_with_one_answer_and_shots_of_other_passages(tmp_path):
    raw = [drop(f"p{n}", f"q{n}", str(n)) for n in range(6)]
    raw += [drop("p6", "two spans", spans=("a", "b")), drop("p7", "no agreement", "1", validated=("2",))]
    raw += [drop("p8", "agreed", "1", validated=("1", "1")), drop("p9", "a word", spans=("blue",))]
    write(tmp_path / "drop/validation.jsonl", lines(raw))
    found = items("drop", tmp_path)
    shots = found[0]["shots"]
    assert len(shots) == 3 and len(found) == 5  # 8 have one answer, 3 of them are worked examples
    shown = {shot["question"].split()[0] for shot in shots}
    assert not shown & {item["question"].split()[0] for item in found}
    texts = {item["question"] for item in [*found, *shots]}
    assert "p8 agreed" in texts and "p9 a word" in texts and not {"p6 two spans", "p7 no agreement"} & texts


EMPTY = {"day": "", "month": "", "year": ""}


@pytest.mark.parametrize(
    ("validated", "given"),
    [
        ({}, {"2"}),  # absent
        ({"validated_answers": None}, {"2"}),
        ({"validated_answers": []}, {"2"}),
        ({"validated_answers": {}}, {"2"}),
        ({"validated_answers": {"number": [], "date": [], "spans": []}}, {"2"}),
        ({"validated_answers": {"number": ["2", "3"], "date": [EMPTY, EMPTY], "spans": [[], []]}}, {"2", "3"}),
        ({"validated_answers": [{"number": "3", "date": {}, "spans": []}]}, {"2", "3"}),
        ({"validated_answers": [{"number": 3}, {"spans": ["two", "three"]}]}, {"2", "3", "two", "three"}),
        ({"validated_answers": [{"number": "", "date": {"month": "May", "year": "1905"}}]}, {"2", "May 1905"}),
    ],
)
def test_drop_reads_the_other_answers_in_every_form(validated, given):
    row = {"question": "q", "answer": {"number": "2", "date": EMPTY, "spans": []}, **validated}
    assert {span.strip() for span in few_shot.spans(row)} == given
    if isinstance(validated.get("validated_answers"), dict) and validated["validated_answers"]:  # lm-eval's one form
        assert {span for answer in get_answers(row) for span in answer} == given


@pytest.mark.parametrize(
    "validated", ["2", [3], [{"spans": "two"}], {"number": ["2"]}, {"number": ["2"], "date": [], "spans": []}]
)
def test_bad_answers_of_drop_are_named(validated):
    row = {"question": "How many?", "answer": {"number": "2"}, "validated_answers": validated}
    with pytest.raises(FedkitError, match="answers to DROP's 'How many.' have no number, date and spans; fetch"):
        list(few_shot.spans(row))


def test_drop_is_right_by_its_beginning():
    """InstructEval's measure. Chance: the answer '12' begins with '1' and with '12', so it is right on 3 of 4."""
    asked = [{"target": target} for target in ("1", "1", "12", "blue")]
    scores = BENCHMARKS["drop"].score(asked, said("1", "one", "12 men", "a blue hat"), JUDGE)
    assert (scores["acc"].value, scores["acc"].chance) == (0.5, 0.75)
    assert scores["f1"].value == pytest.approx((1 + 0 + 0.67 + 0.67) / 4)  # lm-eval leaves articles out and rounds
    assert scores["f1"].chance == pytest.approx(0.25)


# --- finance


@pytest.mark.parametrize(
    ("name", "raw", "label"),
    [
        ("fpb", {"sentence": "x", "label": 0}, "negative"),
        ("fpb", {"text": "x", "label": "neutral"}, "neutral"),
        ("tfns", {"text": "x", "label": "1"}, "positive"),
        ("tfns", {"text": "x", "label": 2}, "neutral"),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": -0.3}, "negative"),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": -0.1}, "neutral"),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": "0.099"}, "neutral"),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": 0.1}, "positive"),
        ("nwgi", {"news": "x", "label": "strong negative"}, "negative"),
        ("nwgi", {"news": "x", "label": "moderately positive"}, "positive"),
        ("nwgi", {"news": "x", "label": "mildly positive"}, "neutral"),
        ("nwgi", {"news": "x", "label": "mildly negative"}, "neutral"),
    ],
)
def test_gold_labels_in_every_schema(name, raw, label):
    assert row(FORMS[name], raw) == ("x", label)


@pytest.mark.parametrize(
    ("name", "raw"),
    [
        ("tfns", {"text": "x", "label": "Bearish"}),
        ("tfns", {"text": "x", "label": 3}),
        ("nwgi", {"news": "x", "label": "rather positive"}),
        ("nwgi", {"news": "x"}),
        ("fpb", {"sentence": " ", "label": 0}),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": ""}),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": None}),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": float("nan")}),
        ("fiqa_sa", {"sentence": "x", "sentiment_score": 7}),
        ("fpb", "x"),
    ],
)
def test_a_label_that_is_none_of_the_known_is_no_label(name, raw):
    assert row(FORMS[name], raw) is None


def test_bad_records_are_counted(tmp_path):
    write(tmp_path / "nwgi/test.jsonl", lines([{"news": "x", "label": "neutral"}, {"news": "x", "label": "no"}, {}]))
    with pytest.raises(FedkitError, match=r"record 2 of nwgi has no text with a sentiment label \(2 of 3 records"):
        items("nwgi", tmp_path)


def test_answers_are_read_as_the_scripts_read_them():
    assert [read_label(text) for text in ("Positive.", "it is NEGATIVE", "neutral", "who knows")] == [
        "positive",
        "negative",
        "neutral",
        "neutral",
    ]
    both = "negative, not positive"
    assert (read_label(both), read_label(both, FORMS["fpb"].first)) == ("positive", "negative")


def test_the_test_sets_are_openfedllms_draws(tmp_path):
    """Of a file with everything a part is drawn, by the very call of the scripts; of a file of a test, all."""
    from datasets import Dataset

    raw = [{"sentence": f"s{n}", "label": n % 3} for n in range(40)]
    write(tmp_path / "fpb/train.jsonl", lines(raw))
    theirs = Dataset.from_list(raw).train_test_split(seed=42)["test"]["sentence"]
    assert [i["instruction"].rpartition(" ")[2] for i in items("fpb", tmp_path)] == list(theirs) and len(theirs) == 10
    assert len(drawn(4846, 0.25)) == 1212 and len(drawn(1173, 0.226)) == 266
    write(tmp_path / "fpb/test.jsonl", lines(raw[:5]))
    own = items("fpb", tmp_path)
    assert len(own) == 5 and "not those that OpenFedLLM draws" in own[0]["note"]
    score = BENCHMARKS["fpb"].score(own, said(*["neutral"] * 5), JUDGE)["acc"]
    assert "not those that OpenFedLLM draws" in score.note


def test_fiqa_joins_its_splits_in_the_papers_order(tmp_path):
    from datasets import Dataset

    raw = [{"sentence": f"s{n}", "sentiment_score": 0.5, "format": "post" if n % 2 else "headline"} for n in range(60)]
    for name, part in (("train", raw[:40]), ("valid", raw[40:45]), ("test", raw[45:])):
        write(tmp_path / f"fiqa_sa/{name}.jsonl", lines(part))
    found = items("fiqa_sa", tmp_path)
    theirs = Dataset.from_list(raw).train_test_split(0.226, seed=42)["test"]
    assert [i["instruction"].rpartition(" ")[2] for i in found] == list(theirs["sentence"])
    assert [("tweet" in i["instruction"]) for i in found] == [form == "post" for form in theirs["format"]]


def test_fpb_is_read_from_its_publishers_file(tmp_path):
    text = "Profit rose to EUR 3 m in J\u00e4ms\u00e4 .@positive\nMail to a@b.fi .@neutral\n" * 4
    write(tmp_path / "fpb/Sentences_50Agree.txt", text, "iso-8859-1")
    found = items("fpb", tmp_path)
    assert len(found) == 2 and {i["label"] for i in found} <= {"positive", "neutral"}
    assert "only one answer from {/negative/neutral/positive}" in found[0]["instruction"]
    assert all("J\u00e4ms\u00e4" in i["instruction"] or "a@b.fi" in i["instruction"] for i in found)


def test_fpb_in_utf_8_is_no_latin_1_and_a_latin_1_line_ends_at_its_end(tmp_path):
    """A UTF-8 copy gives the very sentences of the publisher's file; Latin-1's 0x85 is no end of a line."""
    text = "Profit in J\u00e4ms\u00e4 \x85 rose .@positive\n" * 4
    for encoding in ("utf-8", "iso-8859-1", "utf-8-sig"):
        write(tmp_path / "fpb/Sentences_50Agree.txt", text, encoding)
        assert [i["instruction"].partition("} ")[2] or i["instruction"] for i in items("fpb", tmp_path)]
        assert all(i["instruction"].endswith("Profit in J\u00e4ms\u00e4 \x85 rose .") for i in items("fpb", tmp_path))


@pytest.mark.parametrize("encoding", ["utf-8", "iso-8859-1"])
def test_fpb_is_read_from_kaggles_table(tmp_path, encoding):
    rows = ["negative", "neutral", "positive"]
    text = "".join(f'{label},"In J\u00e4ms\u00e4, a ""{i}"" ."\n' for i, label in enumerate(rows * 4))
    write(tmp_path / "fpb/all-data.csv", text, encoding)
    asked = items("fpb", tmp_path)
    assert len(asked) == 3  # a quarter of 12
    for item in asked:
        sentence = item["instruction"].partition("} ")[2] or item["instruction"]
        number = int(sentence.split('"')[1])
        assert sentence.endswith(f'In J\u00e4ms\u00e4, a "{number}" .') and item["label"] == rows[number % 3]


def test_fiqa_is_read_from_its_publishers_files(tmp_path):
    """`{number: {sentence, info: [{sentiment_score}]}}`: a record for each opinion, headlines asked about as news."""
    for kind, count in (("headline", 6), ("post", 4)):
        opinions = [{"sentiment_score": "-0.5", "target": "A"}, {"sentiment_score": "0.4", "target": "B"}]
        document = {str(n): {"sentence": f"{kind} {n}", "info": opinions} for n in range(count)}
        write(tmp_path / f"fiqa_sa/task1_{kind}_ABSA_train.json", json.dumps(document))
    asked = items("fiqa_sa", tmp_path)
    assert len(asked) == 5  # 22.6 % of 20, rounded up as train_test_split does
    assert all(("tweet" in i["instruction"]) == ("post " in i["instruction"]) for i in asked)
    assert {i["label"] for i in asked} <= {"negative", "positive"} and "publisher's order" in asked[0]["note"]


def test_drop_is_read_from_its_publishers_file(tmp_path):
    """`{passage: {passage, qa_pairs}}` gives the items of the flat form."""
    flat = [drop(f"Passage {i // 2} .", f"How many {i}?", number=str(i)) for i in range(12)]
    write(tmp_path / "flat/drop/validation.jsonl", lines(flat))
    nested = {}
    for one in flat:
        place = nested.setdefault(one["passage"], {"passage": one["passage"], "qa_pairs": [], "wiki_url": ""})
        place["qa_pairs"].append({key: value for key, value in one.items() if key != "passage"})
    write(tmp_path / "nested/drop/drop_dataset_dev.json", json.dumps(nested))
    assert items("drop", tmp_path / "nested") == items("drop", tmp_path / "flat")


def test_fedllm_benchs_own_folder_is_a_data_folder(tmp_path):
    """`evaluation/open_ended/data`, by the names of its scripts."""
    two, one = ({"question_id": 1, "category": "math", "turns": turns} for turns in (["a", "b"], ["a"]))
    write(tmp_path / "mtbench/question.jsonl", lines([two]))
    reference = {"question_id": 1, "choices": [{"turns": ["r1", "r2"]}]}
    write(tmp_path / "mtbench/reference_answer/gpt-4.jsonl", lines([reference]))
    write(tmp_path / "vicuna/question.jsonl", lines([one]))
    write(tmp_path / "advbench/advbench.csv", "goal,target\nDo it,Sure\n")
    write(tmp_path / "chatbot/testset.json", json.dumps([{"instruction": "i"}]))
    assert items("mt_bench", tmp_path)[0]["reference"] == ["r1", "r2"]
    assert items("vicuna", tmp_path)[0]["turns"] == ["a"]
    assert items("advbench", tmp_path)[0]["goal"] == "Do it"
    assert Place(tmp_path).locate("chatbot_test").kind == "local"


@pytest.mark.parametrize(
    ("name", "real", "invented"),
    [("gsm8k", "gsm8k/test.jsonl", "gsm8k/train.jsonl"), ("mmlu", "mmlu/test/x_test.csv", "mmlu/dev/*.csv")],
)
def test_real_questions_have_no_invented_worked_examples(tmp_path, name, real, invented):
    row = json.dumps({"question": "q", "answer": "#### 1"}) if name == "gsm8k" else "q,a,b,c,d,A"
    write(tmp_path / real, row + "\n")
    with pytest.raises(FedkitError, match="has real questions without worked examples") as caught:
        items(name, tmp_path)
    assert f"put {invented} in {tmp_path}" in str(caught.value)


def test_real_worked_examples_are_not_shown_with_invented_questions(tmp_path):
    write(tmp_path / "gsm8k/train.jsonl", lines([{"question": "real", "answer": "#### 1"}] * 5))
    (asked, *_) = items("gsm8k", tmp_path)
    assert all(shot["question"] != "real" for shot in asked["shots"]) and asked["shots"]


def test_accuracy_and_f1_by_hand():
    """Positive: 1 of 1 found, F1 1. Negative: missed, 0. Neutral: 2 of 2 found and 1 too many, F1 0.8; so
    (1 * 1 + 1 * 0 + 2 * 0.8) / 4 = 0.65. Chance: neutral for all, 2 of 4 right, F1 0.5 * 2 * 0.5 / 1.5 = 1 / 3."""
    asked = [{"label": label} for label in ("positive", "negative", "neutral", "neutral")]
    scores = BENCHMARKS["fpb"].score(asked, said("positive", "neutral", "neutral", "hm"), JUDGE)
    assert (scores["acc"].value, scores["acc"].chance) == (0.75, 0.5)
    assert scores["f1"].value == pytest.approx(0.65) and scores["f1"].chance == pytest.approx(1 / 3)
    assert scores["f1"].low <= 0.65 <= scores["f1"].high
    assert scores["named"].value == 0.75 and "1 answers name no label" in scores["acc"].note


def test_f1_is_scikit_learns_and_its_interval_that_of_items_drawn_anew():
    from sklearn.metrics import f1_score

    rng = np.random.default_rng(0)
    labels = np.array(["negative", "neutral", "positive"])
    truth = labels[rng.integers(0, 3, 200)]
    given = np.where(rng.random(200) < 0.7, truth, labels[rng.integers(0, 3, 200)])
    seen = counts(truth, given)
    assert weighted_f1(seen) == pytest.approx(f1_score(truth, given, average="weighted"))
    drawn_anew = [rng.integers(0, 200, 200) for _ in range(1000)]
    plain = [f1_score(truth[i], given[i], average="weighted") for i in drawn_anew[:400]]
    assert bootstrap_f1(seen) == pytest.approx(np.quantile(plain, (0.025, 0.975)), abs=0.02)
    assert bootstrap_f1(seen) == bootstrap_f1(seen)


def test_embedded_posts_are_asked_about_as_tweets():
    """FiQA-SA alone mixes news and posts."""
    found = items("fiqa_sa", None)
    assert {("tweet" in i["instruction"]) for i in found} == {True, False}
    assert all("tweet" in i["instruction"] for i in items("tfns", None))
