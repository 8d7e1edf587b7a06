"""Embeddings keep the laws of a layer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nas_search.core.errors import InputError
from nas_search.gradients import Parameters, StackedParameters, Way, per_sample_backward
from nas_search.gradients.ways import way_of
from nas_search.layers.embedding import TableGradient
from nas_search.testing.gradients import MatrixSink, gradients_by_loop
from nas_search.testing.layers import LayerCase, LayerConformance


class TestEmbedding(LayerConformance):
    rule = "embedding"

    def cases(self) -> list[LayerCase]:
        return [
            LayerCase(nn.Embedding(7, 3), (5,), tokens=7),
            LayerCase(nn.Embedding(3, 2, padding_idx=1), (4,), tokens=3),
            LayerCase(nn.Embedding(5, 2, padding_idx=-1), (2, 3), tokens=5),
        ]


class Tied(nn.Module):
    """Tokens are looked up in the table that the logits are made with."""

    def __init__(self, as_module: bool) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3)
        self.head = nn.Linear(3, 5, bias=False)
        self.as_module = as_module
        if as_module:
            self.head.weight = self.table.weight
        else:
            del self.head

    def forward(self, tokens: Tensor) -> Tensor:
        x = torch.tanh(self.table(tokens)).mean(1)
        return self.head(x) if self.as_module else F.linear(x, self.table.weight)


def tokens() -> tuple[Tensor, Tensor]:
    return torch.tensor([[0, 1, 1, 4], [2, 2, 2, 2], [4, 3, 0, 1]]), torch.tensor([0, 4, 2])


@pytest.mark.parametrize("parameters", ["weights", "all"])
@pytest.mark.parametrize("as_module", [True, False])
def test_a_table_that_is_a_weight_elsewhere_counts_with_both_uses(
    as_module: bool, parameters: Parameters
) -> None:
    torch.manual_seed(0)
    network = Tied(as_module).double()
    sink = MatrixSink()
    per_sample_backward(network, *tokens(), [sink], parameters=parameters)
    expected = gradients_by_loop(network, *tokens(), "eval")
    assert sink.rows.keys() == expected.keys() == {"table.weight"}
    torch.testing.assert_close(sink.rows["table.weight"], expected["table.weight"])

    if parameters == "weights" and not as_module:
        return  # sums over a batch know weights by their modules alone
    stacked = StackedParameters(network, parameters)
    with stacked.in_place("eval", tokens()[0]):
        found = stacked.gradients(F.cross_entropy(network(tokens()[0]), tokens()[1]))
    assert [use.parameter for use in found] == ["table.weight"]
    (gradient,) = found.values()
    torch.testing.assert_close(gradient.flatten(), expected["table.weight"].mean(0))


@pytest.mark.parametrize("way", ["rules", "calls", "one_by_one"])
def test_a_table_is_no_weight(way: Way) -> None:
    network = nn.Sequential(nn.Embedding(5, 3), nn.Flatten(), nn.Linear(12, 5)).double()
    sink = MatrixSink()
    per_sample_backward(network, *tokens(), [sink], way=way)
    assert sink.rows.keys() == {"2.weight"}


@pytest.mark.filterwarnings("ignore:Sequential. its per-sample gradients are computed by one")
def test_a_table_that_does_more_than_look_up_takes_the_general_way() -> None:
    torch.manual_seed(0)
    table = nn.Embedding(5, 3, max_norm=0.5)
    network = nn.Sequential(table, nn.Flatten(), nn.Linear(12, 5)).double()
    before = table.weight.detach().clone()
    ids = torch.tensor([[0, 1], [2, 3], [4, 0]]).repeat(1, 2)
    assert way_of(network, ids, "eval") == "one_by_one"
    per_sample_backward(network, ids, tokens()[1], [MatrixSink()], parameters="all")
    assert torch.equal(table.weight, before)


def test_a_table_whose_gradients_depend_on_the_batch_is_refused() -> None:
    layers = nn.Embedding(5, 3, scale_grad_by_freq=True), nn.Flatten(), nn.Linear(12, 5)
    with pytest.raises(InputError, match="^'0' weighs gradients by how often a token occurs"):
        per_sample_backward(nn.Sequential(*layers).double(), *tokens(), [MatrixSink()])


@pytest.mark.parametrize("way", ["rules", "one_by_one"])
def test_sparse_gradients_are_those_of_the_dense_table(way: Way) -> None:
    torch.manual_seed(0)
    layers = nn.Embedding(5, 3, sparse=True), nn.Flatten(), nn.Linear(12, 5)
    network = nn.Sequential(*layers).double()
    assert way_of(network, tokens()[0], "eval") == "rules"
    sink = MatrixSink()
    per_sample_backward(network, *tokens(), [sink], parameters="all", way=way)
    for name, rows in gradients_by_loop(network, *tokens(), "eval").items():
        torch.testing.assert_close(sink.rows[name], rows)


def test_gram_matrices_take_the_rows_that_were_picked_alone() -> None:
    gradient = TableGradient(tokens()[0], torch.randn(3, 4, 2, dtype=torch.float64), 10**12)
    rows = replace(gradient, rows=5).matrix()
    torch.testing.assert_close(gradient.grams(1), (rows @ rows.T)[None])
