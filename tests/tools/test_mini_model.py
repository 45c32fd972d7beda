"""The embedded model: what it read, that it loads and is as good as its card says, and that the build repeats."""

from __future__ import annotations

import json
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from fedkit.common.errors import FedkitError
from fedkit.mini import model_path
from fedkit.training.prompts import TEMPLATES
from tools.world import build, lexicon, plain, tasks, users

LIMIT = 6 * 2**20  # bytes of package data


def test_plain_text_states_facts_and_asks_nothing() -> None:
    documents = list(plain.plain_documents(4000, seed=3))
    assert documents == list(plain.plain_documents(4000, seed=3)) != list(plain.plain_documents(4000, seed=4))
    text = "\n".join(documents)
    for mark in ("?", "？", "؟", "###"):
        assert mark not in text
    asked = {users.question(f, code, i) for f in tasks.all_facts() for code in lexicon.LANGUAGES for i in range(4)}
    assert not any(line in asked for document in documents for line in document.split("\n"))


def test_plain_text_holds_every_fact() -> None:
    text = "\n".join(plain.plain_documents(8000, languages=["fr"]))
    assert all(users.reference(fact, "fr") in text for fact in tasks.all_facts())


def test_core_languages_come_more_often() -> None:
    documents = list(plain.plain_documents(3000))
    is_telugu = sum(any("\u0c00" <= c <= "\u0c7f" for c in d) for d in documents)
    is_korean = sum(any("\uac00" <= c <= "\ud7af" for c in d) for d in documents)
    assert 4 < is_telugu / is_korean < 9  # drawn 6 : 1


def test_package_data_is_small() -> None:
    folder = model_path().parent
    data = [p for p in folder.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")]
    assert sum(p.stat().st_size for p in data) <= LIMIT


@pytest.fixture(scope="module")
def shipped():
    transformers = pytest.importorskip("transformers")
    path = model_path()
    model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype="float32")
    return model.eval(), transformers.AutoTokenizer.from_pretrained(path)


def test_shipped_model_is_as_its_card_says(shipped) -> None:
    from tools.world import pretrain

    model, tokenizer = shipped
    info = json.loads((model_path() / "build.json").read_text(encoding="utf-8"))
    assert info["spec"] == pretrain.as_dict(pretrain.BuildSpec())  # the shipped model is made by this code's defaults
    assert sum(p.numel() for p in model.parameters()) == info["parameters"] <= 2_500_000
    loss = pretrain.held_out_loss(model, tokenizer, pretrain.BuildSpec())
    assert loss == pytest.approx(info["held_out_loss"], rel=0.005)
    card = (model_path() / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert f"{info['held_out_loss']:.4f}" in card and f"{info['parameters']:,}" in card


def test_tokenizer(shipped) -> None:
    _, tokenizer = shipped
    assert tokenizer.convert_ids_to_tokens([tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id]) \
        == ["<s>", "</s>", "<pad>"]  # fmt: skip
    for fact in islice(tasks.all_facts(), 0, None, 7):
        for code in lexicon.LANGUAGES:
            text = users.reference(fact, code)
            ids = tokenizer(text)["input_ids"]
            assert ids[0] == tokenizer.bos_token_id and Counter(ids)[tokenizer.bos_token_id] == 1
            assert tokenizer.decode(ids, skip_special_tokens=True) == text
            # a prompt ends in a line break, so prompt and answer apart give the tokens of both together
            prompt = TEMPLATES["alpaca"].prompt(users.question(fact, code, 0), code)
            apart = tokenizer(prompt)["input_ids"] + tokenizer(text, add_special_tokens=False)["input_ids"]
            assert apart == tokenizer(prompt + text)["input_ids"]
    assert all(len(tokenizer(TEMPLATES["alpaca"].prompt("", code))["input_ids"]) <= 40 for code in lexicon.CORE)


def test_build_twice_gives_equal_weights(tmp_path: Path) -> None:
    from tools.world.pretrain import BuildSpec

    tiny = BuildSpec(vocabulary=400, tokenizer_documents=100, hidden=16, intermediate=24, layers=1, heads=2, batch=4,
                     window=16, warmup=2, held_out_windows=8)  # fmt: skip
    first = build.build(tmp_path / "a", steps=3, spec=tiny)
    second = build.build(tmp_path / "b", steps=3, spec=tiny)
    assert first["held_out_loss"] == second["held_out_loss"] and first["spec"]["steps"] == 3
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert "of no other" in (tmp_path / "a" / "MODEL_CARD.md").read_text(encoding="utf-8")
    build.build(tmp_path / "a", steps=1, spec=tiny)  # an existing folder is replaced
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b"]


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FedkitError, match="--out"):
        build.build(tmp_path / "file" / "model", steps=1)


def test_muon_orthogonalizes() -> None:
    torch = pytest.importorskip("torch")
    from tools.world.muon import Muon, orthogonalized

    given = torch.randn(3, 12, 20, generator=torch.Generator().manual_seed(0))
    for matrices in (given, given.mT):
        singular = torch.linalg.svdvals(orthogonalized(matrices))
        assert ((singular > 0.6) & (singular < 1.3)).all()
    weight = torch.zeros(20, 12, requires_grad=True)
    weight.grad = given[0].mT.clone()
    Muon([weight]).step(0.1)
    # the first step goes against the gradient, orthogonalized, and scaled by sqrt(rows / columns)
    assert torch.allclose(weight, -0.1 * (20 / 12) ** 0.5 * orthogonalized(given[:1].mT)[0], atol=1e-5)
    assert weight.grad is None
