"""Labels cover exactly the answer: for every template, language and truncation, and as the trainer hands them on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
from core_tools import SHORT

from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset
from fedkit.training.encoding import IGNORED, encode
from fedkit.training.prompts import ALPACA_PREAMBLE, TEMPLATES, encode_prompt, get_template

# Eight languages of Fed-Aya, and a neighbour that has no form of its own.
RECORDS = {
    "en": {"instruction": "Name a city.", "response": "Rome."},
    "ar": {"instruction": "ما هي عاصمة مصر؟", "response": "القاهرة."},
    "es": {"instruction": "¿Capital de España?", "response": "Madrid, señor."},
    "fr": {"instruction": "Écris un mot.", "response": "Été"},
    "pt": {"instruction": "Diga não.", "response": "Não!"},
    "ru": {"instruction": "Назови город.", "response": "Москва — город."},
    "te": {"instruction": "రాజధాని?", "response": "ఢిల్లీ."},
    "zh": {"instruction": "首都?", "response": "北京 是\n首都。"},
    "de": {"instruction": "Nenne drei Städte.", "response": "Köln, Ulm, Jena"},
}
for _code, _record in RECORDS.items():
    _record["language"] = _code


def _byte_of_character():
    """The inverse of byte-level BPE's alphabet: printable Latin-1 stands for itself, the rest from U+0100 on."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [b for b in range(256) if b not in plain]
    return {chr(b): b for b in plain} | {chr(256 + i): b for i, b in enumerate(rest)}


BYTE = _byte_of_character()


def to_bytes(tokenizer, ids):
    """What ids stand for, byte by byte, so that a token that ends inside a character compares exactly."""
    return b"".join(
        token.encode() if token in tokenizer.all_special_tokens else bytes(BYTE[c] for c in token)
        for token in tokenizer.convert_ids_to_tokens(ids)
    )


@pytest.fixture(scope="module", params=["bos", "no bos", "embedded"])
def tokenizer(request, tiny_folder):
    from transformers import AutoTokenizer

    folder = tiny_folder
    if request.param == "embedded":
        from fedkit import mini

        try:
            folder = mini.model_path()
        except FedkitError as error:
            pytest.skip(f"the embedded model is not built: {error}")
    made = AutoTokenizer.from_pretrained(folder)
    if request.param == "no bos":
        made.bos_token = None
    return made


def check_mask(tokenizer, row, prompt, answer, max_length):
    """Prompt and answer are given as text: the row must spell them, and the labels the answer alone."""
    begin = tokenizer.bos_token or ""
    ids, labels = np.array(row["input_ids"]), np.array(row["labels"])
    assert len(ids) == len(labels) <= max_length
    inside = labels != IGNORED
    start = int(np.argmax(inside))
    assert inside[start:].all() and not inside[:start].any() and start > 0
    assert (labels[start:] == ids[start:]).all()
    assert to_bytes(tokenizer, ids[:start].tolist()) == (begin + prompt).encode()
    spelled, whole = to_bytes(tokenizer, ids[start:].tolist()), (answer + tokenizer.eos_token).encode()
    if len(ids) < max_length:
        assert spelled == whole
        assert tokenizer.decode(labels[inside]) == answer + tokenizer.eos_token
    else:
        assert whole.startswith(spelled)


@pytest.mark.parametrize("language", RECORDS)
@pytest.mark.parametrize("name", TEMPLATES)
def test_labels_are_the_answer_at_every_truncation(tokenizer, name, language):
    template, record = get_template(name), RECORDS[language]
    prompt = template.prompt(record["instruction"], language)
    head = len(encode_prompt(tokenizer, prompt))
    full = head + len(tokenizer(record["response"], add_special_tokens=False)["input_ids"]) + 1
    for max_length in range(1, full + 2):
        if max_length <= head:
            with pytest.raises(FedkitError, match=f"max_length {max_length} leaves no answer token"):
                encode(tokenizer, template, [record], max_length)
            continue
        encoded = encode(tokenizer, template, [record], max_length)
        assert len(encoded) == 1 and encoded.skipped == 0
        row = encoded[0]
        check_mask(tokenizer, row, prompt, record["response"], max_length)
        assert len(row["input_ids"]) == min(full, max_length)


def test_the_remedy_in_the_message_is_enough_and_no_less_is(tokenizer):
    with pytest.raises(FedkitError, match="max_length 3 leaves no answer token in any of 2 records") as caught:
        encode(tokenizer, get_template("alpaca"), [RECORDS["en"], RECORDS["fr"]], 3)
    needed = int(str(caught.value).split("to at least ")[1].split()[0])
    assert len(encode(tokenizer, get_template("alpaca"), [RECORDS["en"], RECORDS["fr"]], needed)) >= 1
    with pytest.raises(FedkitError):
        encode(tokenizer, get_template("alpaca"), [RECORDS["en"], RECORDS["fr"]], needed - 1)


def test_records_without_room_are_counted_and_the_others_kept_in_order(tokenizer):
    template = get_template("vicuna_v1.1")
    lengths = [
        len(encode_prompt(tokenizer, template.prompt(r["instruction"], r["language"]))) for r in RECORDS.values()
    ]
    max_length = sorted(lengths)[len(lengths) // 2]  # prompts of exactly this length leave no room either
    kept = [r for r, n in zip(RECORDS.values(), lengths, strict=True) if n < max_length]
    encoded = encode(tokenizer, template, list(RECORDS.values()), max_length)
    assert 0 < len(kept) < len(RECORDS)
    assert (len(encoded), encoded.skipped) == (len(kept), len(RECORDS) - len(kept))
    for i, record in enumerate(kept):
        prompt = template.prompt(record["instruction"], record["language"])
        check_mask(tokenizer, encoded[i], prompt, record["response"], max_length)


def test_no_records_at_all(tokenizer):
    with pytest.raises(FedkitError, match="client x of toy: it has no records"):
        encode(tokenizer, get_template("alpaca"), [], 64, where="client x of toy")


def test_a_tokenizer_without_an_end_token(tiny_folder):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_folder)
    tokenizer.eos_token = None
    with pytest.raises(FedkitError, match="no end token"):
        encode(tokenizer, get_template("alpaca"), [RECORDS["en"]], 64)


def test_space_around_the_texts_is_not_learnt(tokenizer):
    padded = {"instruction": "  Name a city.\n", "response": "\n Rome. ", "language": "en"}
    template = get_template("alpaca")
    assert encode(tokenizer, template, [padded], 512)[0] == encode(tokenizer, template, [RECORDS["en"]], 512)[0]


def test_a_record_without_language_is_english(tokenizer):
    bare = {k: v for k, v in RECORDS["en"].items() if k != "language"}
    template = get_template("alpaca")
    rows = encode(tokenizer, template, [bare, {**bare, "language": None}], 512)
    assert rows[0] == rows[1] == encode(tokenizer, template, [RECORDS["en"]], 512)[0]


def test_templates_speak_the_language_of_the_instruction():
    alpaca, english = get_template("alpaca"), get_template("alpaca_english")
    texts = {code: alpaca.prompt("x", code) for code in RECORDS}
    assert len({texts[code] for code in ALPACA_PREAMBLE}) == len(ALPACA_PREAMBLE) == 8
    assert texts["de"] == texts["en"] == english.prompt("x", "ru")
    for code, text in texts.items():
        assert text.startswith(ALPACA_PREAMBLE.get(code, ALPACA_PREAMBLE["en"]))
        assert text.count("### ") == 2 and "\nx\n" in text and text.endswith(":\n")
    assert get_template("vicuna_v1.1").prompt("x").endswith("USER: x ASSISTANT: ")


def test_unknown_template():
    with pytest.raises(FedkitError, match="unknown template 'alpca'; known: alpaca, alpaca_english, vicuna_v1.1"):
        get_template("alpca")


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("cut", [False, True])
def test_the_model_is_handed_the_same_mask(name, cut, tiny_loaded, monkeypatch, frozen):
    """Nine records in batches of 4, 4 and 1 + 3 (the client starts over), as `compute_loss` gets them."""
    from fedkit.algorithms.base import Broadcast
    from fedkit.algorithms.fedavg import FedAvg
    from fedkit.training import sft as client_module
    from fedkit.training.models import initial_state

    tokenizer, template = tiny_loaded.tokenizer, get_template(name)
    records = {template.prompt(r["instruction"], code): r for code, r in RECORDS.items()}
    longest = max(len(encode_prompt(tokenizer, prompt)) for prompt in records)
    max_length = longest + 2 if cut else 1024
    table = pa.Table.from_pylist(list(RECORDS.values()))
    dataset = FederatedDataset.from_partition(table, {"a": np.arange(len(RECORDS))}, name="languages")
    train = dataclasses.replace(SHORT, local_steps=3, batch_size=4, max_length=max_length, template=name)
    batches = []

    def spy(self, model, inputs, *args, **kwargs):
        batches.append([inputs[name].clone() for name in ("input_ids", "attention_mask", "labels")])
        return real(self, model, inputs, *args, **kwargs)

    real = client_module._Trainer.compute_loss
    monkeypatch.setattr(client_module._Trainer, "compute_loss", spy)
    client = client_module.SFTClient(tiny_loaded, dataset, train, seed=0)
    client.train("a", Broadcast(initial_state(tiny_loaded.model, 0), {}, 1e-3, 0), FedAvg(), {})
    client.close()

    assert [len(ids) for ids, _, _ in batches] == [4, 4, 4]
    seen, truncated = set(), 0
    rows = [row for batch in batches for row in zip(*batch, strict=True)]
    for ids, attention, labels in rows:
        assert (labels[attention == 0] == IGNORED).all()
        row = {"input_ids": ids[attention == 1].tolist(), "labels": labels[attention == 1].tolist()}
        text = to_bytes(tokenizer, row["input_ids"]).decode(errors="replace").removeprefix("<s>")
        prompt = next(p for p in records if text.startswith(p))
        check_mask(tokenizer, row, prompt, records[prompt]["response"], max_length)
        seen.add(records[prompt]["language"])
        truncated += row["input_ids"][-1] != tokenizer.eos_token_id
    assert seen == set(RECORDS)
    assert (truncated > 0) == cut
