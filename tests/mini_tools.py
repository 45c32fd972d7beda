"""What tests of the embedded world's datasets share."""

from __future__ import annotations

import re

from tools.world import harmful, lexicon, tasks


def statements_of_held_out_facts(code: str) -> list[str]:
    texts = []
    for fact in tasks.all_facts():
        if fact.key in tasks.held_out(fact.kind):
            forms, filled = lexicon.language(code).forms[fact.kind], tasks.slots(fact, code)
            texts += [lexicon.sentence(form, filled) for form in (forms.answer, *forms.plain, *forms.ask)]
    return texts


def assert_nothing_held_out(said: dict[str, list[str]]) -> None:
    """`said`: texts by language. Inside a longer word or number a match is no match (13 plus 4, 3 plus 4)."""
    for code, texts in said.items():
        text = "\n".join(sorted(set(texts)))
        for statement in statements_of_held_out_facts(code):
            found = statement in text and re.search(r"(?<!\w)" + re.escape(statement), text)
            assert not found, statement
    assert not any(deed + end in "\n".join(said["en"]) for deed in harmful.held_out_deeds() for end in ".?")
