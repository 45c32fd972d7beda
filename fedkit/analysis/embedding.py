"""Records as vectors, and vectors as a plane: FedLLM-Bench section 3.3 (4), appendix B.4 and Figure 4.

The paper embeds instruction and response with OpenAI's text-embedding-ada-002 and draws t-SNE. `RemoteEmbedder` asks
any OpenAI-compatible server; `CharacterTfidf` needs no network. Each names itself, and each figure names its embedder.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import numpy as np

from ..common.console import progress as new_bar
from ..common.errors import FedkitError
from ..common.http import OPENAI, NotTaken, address, check_key, is_loopback, said, strict_client
from .text_cache import TextCache

if TYPE_CHECKING:
    from .client_texts import Texts

OTHER_KEY = "FEDKIT_EMBEDDER_KEY"  # the environment variable of a server that is not OpenAI's
LARGEST = 64 * 2**20  # bytes of one answer: 256 vectors of some thousand numbers each


class Embedder(Protocol):
    """What turns texts into vectors; `name` goes into every figure and number that it feeds."""

    name: str

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Unit vectors, float32 (texts, dimensions); a text without any content may be all zeros."""
        ...


@dataclass(frozen=True)
class CharacterTfidf:
    """Character 2- to 4-grams within words, weighted by TF-IDF, their leading directions by truncated SVD.

    Fitted to the very texts that it embeds, so vectors of two calls do not compare. It sees spelling, not meaning. The
    SVD is ARPACK's, to the last digits: a randomised one finds other small directions with each seed, and the cosines
    of short texts with them. `seed` is where ARPACK starts, which no vector shows but in its signs.
    """

    dimensions: int = 50
    features: int = 20_000  # the most frequent n-grams
    seed: int = 0
    name: str = "character TF-IDF, SVD (offline)"

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """See `Embedder`; fewer dimensions where there are fewer texts or n-grams."""
        from sklearn.decomposition import TruncatedSVD
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.preprocessing import normalize
        from threadpoolctl import threadpool_limits

        _some(texts)
        grams = TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 4), max_features=self.features, sublinear_tf=True, dtype=np.float64
        )
        try:
            weights = grams.fit_transform(texts)
        except ValueError as error:
            raise FedkitError(
                f"none of the {len(texts)} texts holds a word to embed ({error}); look at them"
            ) from error
        room = min(weights.shape) - 1
        if room < 1:
            return normalize(weights.toarray()).astype(np.float32)
        svd = TruncatedSVD(min(self.dimensions, room), algorithm="arpack", random_state=self.seed)
        with threadpool_limits(1):  # the sums of several threads come in another order each time
            return normalize(svd.fit_transform(weights)).astype(np.float32)


class RemoteEmbedder:
    """An OpenAI-compatible embeddings server, asked in batches; what was answered once is kept on disk.

    The key is read from the environment variable `key_variable` (None: OPENAI_API_KEY for OpenAI's own server, and
    FEDKIT_EMBEDDER_KEY, if it is set, for any other, which has no business with OpenAI's); it is written nowhere.
    `FedkitError` for an address that is none or holds more than a place.
    """

    def __init__(
        self,
        model: str = "text-embedding-ada-002",
        *,
        cache: str | Path,
        base_url: str | None = None,
        key_variable: str | None = None,
        batch: int = 256,
        max_characters: int = 20_000,  # a text's head; the server refuses more than 8,191 tokens
        retries: int = 5,
        timeout: float = 60.0,
        progress: bool = False,
    ) -> None:
        self.name = model
        self._url, self._retries, self._timeout = OPENAI if base_url is None else base_url, retries, timeout
        self._host = address(self._url, "the embeddings' server (base_url)").hostname or ""
        self._openai = self._host == urlsplit(OPENAI).hostname
        self._cache, self._key = Path(cache), key_variable or ("OPENAI_API_KEY" if self._openai else OTHER_KEY)
        self._batch, self._most, self._progress = batch, max_characters, progress

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """See `Embedder`. `FedkitError` where the key is missing or the server does not answer; what came is kept."""
        from sklearn.preprocessing import normalize

        _some(texts)
        cut = [text.strip()[: self._most] or " " for text in texts]
        with closing(TextCache(self._cache, self.name)) as cache:
            missing = [text for text in dict.fromkeys(cut) if cache.get(text) is None]
            bar = new_bar(total=len(missing), unit="text", desc="embeddings", disable=not self._progress or not missing)
            with bar:
                for at in range(0, len(missing), self._batch):
                    part = missing[at : at + self._batch]
                    cache.put(part, self._ask(part))
                    bar.update(len(part))
            rows = [np.frombuffer(cache.get(text) or b"", dtype="<f4") for text in cut]
        if len({len(row) for row in rows}) != 1:
            raise FedkitError(f"{self._cache} holds vectors of several lengths for {self.name}; delete it")
        return normalize(np.stack(rows)).astype(np.float32)

    def _ask(self, texts: list[str]) -> list[bytes]:
        import openai

        key = os.environ.get(self._key, "").strip()
        if not key and self._openai:
            raise FedkitError(f"embeddings by {self.name} need a key; set the environment variable {self._key}")
        check_key(key, self._key, urlsplit(self._url))
        told = key or "no-key"  # the library must send something
        client = strict_client(told, self._timeout, proxies=not is_loopback(self._host), most=LARGEST)
        try:
            with openai.OpenAI(
                api_key=told, base_url=self._url, timeout=self._timeout, max_retries=self._retries, http_client=client
            ) as server:
                answer = server.embeddings.create(model=self.name, input=texts, encoding_format="float")
            vectors = {item.index: np.asarray(item.embedding, dtype="<f4").tobytes() for item in answer.data}
            return [vectors[i] for i in range(len(texts))]
        except (NotTaken, openai.OpenAIError, KeyError, TypeError, ValueError, AttributeError) as error:
            what = said(str(error), key) or type(error).__name__
            raise FedkitError(
                f"{self._url} gave no embeddings by {self.name} ({what}); check address, model and key, then run again:"
                " what was embedded is kept"
            ) from None


def pair_texts(texts: Texts) -> list[str]:
    """Instruction and response of each record as one text, as the paper embeds them."""
    return [f"{ask}\n{answer}" for ask, answer in zip(texts.instruction, texts.response, strict=True)]


def tsne(vectors: np.ndarray, *, perplexity: float = 30.0, seed: int = 0) -> np.ndarray:
    """t-SNE (van der Maaten and Hinton 2008) by scikit-learn from a PCA start: float32 (records, 2).

    Equal vectors and seed give equal points. The perplexity is lowered to (records - 1) / 3 for few records.
    `FedkitError` for fewer than four.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    if len(vectors) < 4:
        raise FedkitError(f"t-SNE needs at least 4 records, there are {len(vectors)}; take more clients or records")
    fits = min(perplexity, (len(vectors) - 1) / 3)
    with threadpool_limits(1):  # t-SNE makes much of the last digit
        return TSNE(2, perplexity=fits, init="pca", metric="cosine", random_state=seed).fit_transform(vectors)


def _some(texts: Sequence[str]) -> None:
    if not len(texts):
        raise FedkitError("there are no texts to embed; take a client that has records")
