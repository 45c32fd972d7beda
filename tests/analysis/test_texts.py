"""Records as texts by client: each kind of dataset, draws of records and of clients."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from fedkit.analysis.texts import drawn_clients, of_clients, texts
from fedkit.common.errors import FedkitError
from fedkit.data.federated import FederatedDataset


def federation(columns, sizes):
    ends = np.cumsum([0, *sizes])
    parts = {f"c{i}": np.arange(ends[i], ends[i + 1]) for i in range(len(sizes))}
    return FederatedDataset.from_partition(pa.table(columns), parts, name="toy")


def pairs(sizes):
    n = sum(sizes)
    return federation({"instruction": [f"q{i}" for i in range(n)], "response": [f"a{i}" for i in range(n)]}, sizes)


def test_instruction_and_response_by_owner():
    found = texts(pairs([2, 3]))
    assert found.instruction == ["q0", "q1", "q2", "q3", "q4"] and found.response[-1] == "a4"
    assert found.owner.tolist() == [0, 0, 1, 1, 1] and found.sizes.tolist() == [2, 3]
    assert found.language == ["und"] * 5 and found.rejected is None and len(found) == 5


def test_the_chosen_answer_is_the_response_of_a_preference_pair():
    columns = {"instruction": ["q"], "chosen": ["good"], "rejected": ["bad"], "language": ["en"]}
    found = texts(federation(columns, [1]))
    assert (found.response, found.rejected, found.language) == (["good"], ["bad"], ["en"])


def test_a_conversation_is_all_that_each_role_said():
    turns = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]
    talk = [{"role": role, "content": content} for role, content in turns]
    found = texts(federation({"conversation": [talk]}, [1]))
    assert (found.instruction, found.response) == (["a\nc"], ["b\nd"])


def test_other_columns_are_named():
    with pytest.raises(FedkitError, match="toy has the columns prompt; texts need instruction and response"):
        texts(federation({"prompt": ["x"]}, [1]))


def test_a_draw_of_records_takes_some_of_each_client_in_order():
    dataset = pairs([5, 2, 40])
    found = texts(dataset, per_client=4, seed=3)
    assert found.sizes.tolist() == [4, 2, 4]
    assert (np.diff(found.rows) > 0).all()
    assert found.instruction == [f"q{row}" for row in found.rows]
    assert found.rows.tolist() == texts(dataset, per_client=4, seed=3).rows.tolist()
    assert found.rows.tolist() != texts(dataset, per_client=4, seed=4).rows.tolist()


def test_a_draw_of_clients_and_their_records():
    whole = texts(pairs([5, 1, 3, 4]))
    places = drawn_clients(whole, 2, seed=1, at_least=3)
    assert len(places) == 2 and set(places.tolist()) <= {0, 2, 3}
    part = of_clients(whole, places)
    assert part.clients == tuple(whole.clients[i] for i in places)
    assert part.sizes.tolist() == whole.sizes[places].tolist()
    assert part.instruction == [f"q{row}" for row in part.rows]
    assert drawn_clients(whole, 9).tolist() == [0, 1, 2, 3]
    with pytest.raises(FedkitError, match="no client of toy has 6 records"):
        drawn_clients(whole, 1, at_least=6)
