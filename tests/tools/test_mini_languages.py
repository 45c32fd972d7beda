"""Every language file has the keys of the English one, and every sentence the slots that its kind needs."""

from __future__ import annotations

import string

import pytest

from tools.world.lexicon import CORE, LANGUAGES, language, read_json, sentence
from tools.world.tasks import KIND_NAMES, all_facts, slots

ENGLISH = read_json("languages/en.json")
THREE_SLOTS = ("compare", "count", "add")
SAME_WORD_ALLOWED = ("member", "object")  # e.g. one word for two tools


def names(form: str) -> list[str]:
    return sorted(name for _, name, _, _ in string.Formatter().parse(form) if name)


@pytest.mark.parametrize("code", LANGUAGES)
def test_keys(code: str) -> None:
    raw = read_json(f"languages/{code}.json")
    assert list(raw) == list(ENGLISH)
    assert raw["code"] == code and raw["translate_to"] in CORE and raw["translate_to"] != code
    for part in ("openers", "closers"):
        assert len(raw[part]) == len(ENGLISH[part])
    assert list(raw["lexicon"]) == list(ENGLISH["lexicon"])
    for category, words in ENGLISH["lexicon"].items():
        own = raw["lexicon"][category]
        assert list(own) == list(words), category
        assert all(isinstance(w, str) and w == w.strip() and w for w in own.values()), category
        if category not in SAME_WORD_ALLOWED:
            assert len(set(own.values())) == len(own), category


@pytest.mark.parametrize("code", LANGUAGES)
def test_slots(code: str) -> None:
    assert tuple(language(code).forms) == KIND_NAMES
    for kind, forms in language(code).forms.items():
        asked, said = ({"x", "z"}, {"x", "y", "z"}) if kind in THREE_SLOTS else ({"x"}, {"x", "y"})
        assert len(forms.ask) == len(set(forms.ask)) == 4 and len(forms.plain) == 1
        for form in forms.ask:
            assert set(names(form)) == asked, form
        for form in (forms.answer, *forms.plain):
            assert set(names(form)) == said, form
        assert names(forms.short) == ["y"]
        assert set(names(forms.extra)) <= said


@pytest.mark.parametrize("code", LANGUAGES)
def test_sentences(code: str) -> None:
    for fact in all_facts():
        forms = language(code).forms[fact.kind]
        filled = slots(fact, code)
        for form in (*forms.ask, forms.short, forms.answer, forms.extra, *forms.plain):
            text = sentence(form, filled)
            assert "{" not in text and "  " not in text and text == text.strip()
        for slot in ("x", "y"):  # said as in the question, apart from the first letter: an answer can copy
            assert filled[slot].lower() in sentence(forms.answer, filled).lower()


def test_aya_names() -> None:
    assert {c: language(c).aya_language for c in CORE} == {
        "ar": "Standard Arabic",
        "en": "English",
        "es": "Spanish",
        "fr": "French",
        "pt": "Portuguese",
        "ru": "Russian",
        "te": "Telugu",
        "zh": "Simplified Chinese",
    }
    assert language("zht").aya_language == "Traditional Chinese"
    assert language("zh").aya_code == language("zht").aya_code == "zho"


def test_listing() -> None:
    assert language("en").listing(["a", "b", "c"]) == "a, b and c"
    assert language("en").listing(["a"]) == "a"
    assert language("zh").gap == "" and language("en").gap == " "
