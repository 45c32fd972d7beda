"""Two-letter codes (ISO 639-1) of languages as Chatbot Arena and WildChat name them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

UNKNOWN = "und"  # ISO 639-2, "undetermined": a source that does not say, or a language without a two-letter code

_NAMES = """
Afrikaans af, Albanian sq, Amharic am, Arabic ar, Armenian hy, Azerbaijani az, Basque eu, Belarusian be, Bengali bn,
Bosnian bs, Breton br, Bulgarian bg, Burmese my, Catalan ca, Chinese zh, Corsican co, Croatian hr, Czech cs, Danish da,
Dutch nl, English en, Esperanto eo, Estonian et, Faroese fo, Finnish fi, French fr, Galician gl, Georgian ka, German de,
Greek el, Guarani gn, Gujarati gu, Haitian Creole ht, Hausa ha, Hebrew he, Hindi hi, Hungarian hu, Icelandic is,
Igbo ig, Indonesian id, Interlingua ia, Interlingue ie, Irish ga, Italian it, Japanese ja, Javanese jv, Kannada kn,
Kazakh kk, Khmer km, Kinyarwanda rw, Korean ko, Kurdish ku, Kyrgyz ky, Lao lo, Latin la, Latvian lv, Lithuanian lt,
Luxembourgish lb, Macedonian mk, Malagasy mg, Malay ms, Malayalam ml, Maltese mt, Manx gv, Maori mi, Marathi mr,
Mongolian mn, Nepali ne, Norwegian no, Nyanja ny, Occitan oc, Oromo om, Pashto ps, Persian fa, Polish pl,
Portuguese pt, Punjabi pa, Quechua qu, Romanian ro, Romansh rm, Russian ru, Samoan sm, Sanskrit sa, Scottish Gaelic gd,
Serbian sr, Shona sn, Sindhi sd, Sinhala si, Slovak sk, Slovenian sl, Somali so, Sotho st, Southern Sotho st,
Spanish es, Sundanese su, Swahili sw, Swedish sv, Tagalog tl, Tajik tg, Tamil ta, Tatar tt, Telugu te, Thai th,
Tibetan bo, Tigrinya ti, Tsonga ts, Tswana tn, Turkish tr, Turkmen tk, Ukrainian uk, Urdu ur, Uyghur ug, Uzbek uz,
Vietnamese vi, Volapuk vo, Welsh cy, Western Frisian fy, Wolof wo, Xhosa xh, Yiddish yi, Yoruba yo, Zulu zu,
Norwegian Bokmal nb, Norwegian Nynorsk nn, Farsi fa, Filipino tl, Simplified Chinese zh, Traditional Chinese zh,
Modern Greek el, Standard Arabic ar, Bangla bn, Kirghiz ky, Slovene sl, Panjabi pa, Bihari bh
"""
CODES: Mapping[str, str] = MappingProxyType(
    {name.lower(): code for name, _, code in (entry.strip().rpartition(" ") for entry in _NAMES.split(","))}
)
_KNOWN = frozenset(CODES.values())


def language_code(name: Any) -> str:
    """The two-letter code of a language's English name or of its own code, letter case ignored; else `und`."""
    if not isinstance(name, str):
        return UNKNOWN
    plain = " ".join(name.replace("_", " ").split()).lower()
    return plain if plain in _KNOWN else CODES.get(plain, UNKNOWN)
