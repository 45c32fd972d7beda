"""Embeddings: offline ones that see likeness, remote ones over a real HTTP server, and t-SNE with a fixed seed."""

from __future__ import annotations

import gzip
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from fedkit.analysis.client_texts import Texts
from fedkit.analysis.embedding import CharacterTfidf, RemoteEmbedder, pair_texts, tsne
from fedkit.common.errors import FedkitError

KEY = "sk-test-do-not-write-me-down"


@pytest.fixture
def server():
    """An embeddings server: the vector of a text is (its length, 1); answers come in reverse order.

    `faults` are status codes given before it answers; `answered` are the inputs that it answered.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert self.path == "/v1/embeddings" and self.headers["Authorization"] == f"Bearer {KEY}"
            assert not [name for name in self.headers if name.lower().startswith("openai")]
            if state.instead:
                status, headers, content = state.instead
                self.send_response(status)
                for name, value in {"Content-Length": str(len(content)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)
                return
            if state.faults:
                self.send_response(state.faults.pop(0))
                self.send_header("retry-after-ms", "1")
                self.end_headers()
                return
            state.answered.append(body["input"])
            data = [
                {"object": "embedding", "index": i, "embedding": [float(len(text)), 1.0]}
                for i, text in enumerate(body["input"])
            ]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            answer = {"object": "list", "model": body["model"], "data": data[::-1], "usage": usage}
            text = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *args):
            pass

    state = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    state.faults, state.answered, state.instead = [], [], None
    threading.Thread(target=state.serve_forever, daemon=True).start()
    yield state
    state.shutdown()
    state.server_close()


@pytest.fixture
def remote(server, tmp_path, monkeypatch):
    monkeypatch.setenv("FEDKIT_EMBEDDER_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")  # which no other server hears
    monkeypatch.setenv("OPENAI_ORG_ID", "org-of-mine")
    url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    return lambda **options: RemoteEmbedder("ada", cache=tmp_path / "vectors.sqlite", base_url=url, batch=2, **options)


def unit(texts):
    rows = np.array([[len(text), 1.0] for text in texts])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_remote_vectors_in_order_and_each_text_asked_once(server, remote, tmp_path):
    texts = ["a", "bbbb", "a", "cc", "dddddd"]
    assert np.allclose(remote().embed(texts), unit(texts), atol=1e-6)
    assert sorted(len(batch) for batch in server.answered) == [2, 2]  # four different texts, two at a time
    again = remote().embed(["dddddd", "new", "a"])
    assert np.allclose(again, unit(["dddddd", "new", "a"]), atol=1e-6) and server.answered[2:] == [["new"]]
    assert KEY.encode() not in (tmp_path / "vectors.sqlite").read_bytes()


def test_a_server_that_stumbles_is_asked_again(server, remote):
    server.faults = [429, 500]
    assert np.allclose(remote().embed(["a"]), unit(["a"]), atol=1e-6)
    assert not server.faults and server.answered == [["a"]]


def test_what_came_before_a_fault_is_kept(server, remote):
    remote().embed(["a", "bb"])
    server.faults = [401]
    with pytest.raises(FedkitError, match="gave no embeddings by ada .*401.*what was embedded is kept") as caught:
        remote(retries=0).embed(["a", "bb", "ccc"])
    assert KEY not in str(caught.value)
    remote().embed(["a", "bb", "ccc"])
    assert server.answered == [["a", "bb"], ["ccc"]]


def test_a_missing_key_and_a_broken_cache_are_named(remote, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(FedkitError, match="set the environment variable OPENAI_API_KEY"):
        RemoteEmbedder("ada", cache=tmp_path / "vectors.sqlite").embed(["a"])
    (tmp_path / "vectors.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(FedkitError, match="vectors.sqlite: no usable cache"):
        remote().embed(["a"])


def test_an_embeddings_server_is_not_trusted(server, remote, tmp_path):
    """It sends us to no other host, floods nothing, and its address is a place and nothing else."""
    bomb = gzip.compress(b" " * (100 * 2**20))
    place = "http://127.0.0.2:9/v1/embeddings"
    for status, headers, content, words in (
        (307, {"Location": f"{place}?key={KEY}"}, b"", f"status 307 and points to {place}, where nothing is sent"),
        (200, {"Content-Encoding": "gzip"}, bomb, "its answer is larger than 64 MiB"),
        (400, {}, json.dumps({"error": {"message": f"\x1b[2J{KEY}"}}).encode(), "Error code: 400"),
    ):
        server.instead = (status, headers, content)
        with pytest.raises(FedkitError, match=re.escape(words)) as caught:
            remote().embed(["a"])
        assert KEY not in str(caught.value) and str(caught.value).isprintable()
    for url in ("", "http://[::1", "http://host/v1#key=sesame", "http://user:sesame@host/v1"):
        with pytest.raises(FedkitError, match="the address of the embeddings' server") as caught:
            RemoteEmbedder("ada", cache=tmp_path / "vectors.sqlite", base_url=url)
        assert "sesame" not in str(caught.value)
    with pytest.raises(FedkitError, match="FEDKIT_EMBEDDER_KEY would travel unencrypted to http://host/v1"):
        RemoteEmbedder("ada", cache=tmp_path / "vectors.sqlite", base_url="http://host/v1").embed(["a"])


def test_offline_vectors_are_unit_and_see_likeness():
    texts = ["the capital of France", "the capital of Spain", "3 plus 4 is 7", "5 plus 6 is 11"]
    vectors = CharacterTfidf().embed(texts)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    near = vectors @ vectors.T
    assert near[0, 1] > near[0, 2] and near[2, 3] > near[1, 3]
    assert np.array_equal(vectors, CharacterTfidf().embed(texts))


def test_cosines_are_those_of_the_whole_decomposition_whatever_the_seed():
    """The 20 leading directions of 300 short texts by LAPACK; a randomised SVD is off by 0.1 and more in cosines."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    rng = np.random.default_rng(0)
    syllables = "ba be bi bo da de di do ka ke ki ko la le li lo ma me mi mo".split()
    words = ["".join(rng.choice(syllables, 3)) for _ in range(120)]
    texts = [" ".join(rng.choice(words, rng.integers(2, 6))) for _ in range(300)]
    grams = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True).fit_transform(texts).toarray()
    left, values, _ = np.linalg.svd(grams, full_matrices=False)
    whole = left[:, :20] * values[:20]
    whole /= np.linalg.norm(whole, axis=1, keepdims=True)
    for seed in (0, 1, 2):
        vectors = CharacterTfidf(dimensions=20, seed=seed).embed(texts)
        assert np.abs(vectors @ vectors.T - whole @ whole.T).max() < 1e-5


@pytest.mark.parametrize(("texts", "message"), [([], "no texts"), (["", " "], "none of the 2 texts holds a word")])
def test_nothing_to_embed(texts, message):
    with pytest.raises(FedkitError, match=message):
        CharacterTfidf().embed(texts)


def test_one_text_alone_is_a_unit_vector():
    assert np.allclose(np.linalg.norm(CharacterTfidf().embed(["hello there"])), 1, atol=1e-6)


def test_tsne_is_the_same_for_a_seed_and_keeps_clusters_apart():
    rng = np.random.default_rng(0)
    centres = np.repeat(np.eye(3, 8), 20, axis=0)
    vectors = (centres + 0.05 * rng.normal(size=centres.shape)).astype(np.float32)
    points = tsne(vectors, perplexity=10, seed=1)
    assert points.shape == (60, 2) and np.array_equal(points, tsne(vectors, perplexity=10, seed=1))
    middle = points.reshape(3, 20, 2).mean(axis=1)
    within = np.linalg.norm(points.reshape(3, 20, 2) - middle[:, None], axis=2).max()
    between = min(np.linalg.norm(middle[a] - middle[b]) for a, b in ((0, 1), (0, 2), (1, 2)))
    assert between > within
    with pytest.raises(FedkitError, match="at least 4 records, there are 3"):
        tsne(vectors[:3])


def test_a_record_is_instruction_and_response():
    own = np.zeros(1, dtype=np.int64)
    assert pair_texts(Texts("x", ("c",), own, own, ["ask"], ["answer"], ["en"])) == ["ask\nanswer"]
