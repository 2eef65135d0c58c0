"""Where a map's cells look: by what moves them, and what the map is drawn with."""

import pytest

pytest.importorskip("torch")

import torch
from torch import nn

from firstread.model.build import build_net
from firstread.model.cells import Cells, cells_of
from firstread.model.net import FilmNet, Head
from firstread.model.weights import RECORDS, SCRATCH, WeightRecord, Weights

TORCHVISION = RECORDS["mobilenet_v2"]
TENSORFLOW = WeightRecord("t", "mobilenet_v2", "", "", padding="same")


def network(arch: str, size: int, record: WeightRecord = SCRATCH) -> FilmNet:
    return build_net(arch, size, 0.0, Weights(record, {})).eval()


def moved_by(net: FilmNet, size: int, cell: int) -> float:
    """The middle of the pixels that move a cell, each by how much, where all layers only add."""
    for layer in net.trunk.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1.0 / layer.weight[0].numel())
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    film = torch.full((1, 1, size, size), 1e-4, requires_grad=True)  # far below where ReLU6 ends
    net.trunk(film.expand(1, 3, size, size))[0, :, :, cell].sum().backward()
    assert film.grad is not None
    weight = film.grad[0, 0].abs().sum(dim=0)
    return float((weight * (torch.arange(size) + 0.5)).sum() / weight.sum())


@pytest.mark.parametrize("size", [640, 656])  # halved five times; odd before the last time
@pytest.mark.parametrize("record", [TENSORFLOW, TORCHVISION])
def test_a_cell_looks_where_pixels_move_it(size: int, record: WeightRecord) -> None:
    net = network("mobilenet_v2", size, record)
    cells = cells_of(net, size)
    middle = len(cells.centres) // 2  # what it looks at lies on the film
    assert moved_by(net, size, middle) == pytest.approx(cells.centres[middle], abs=0.1)


def test_how_far_tensorflows_padding_moves_a_map() -> None:
    net = network("mobilenet_v2", 192, TENSORFLOW)
    assert cells_of(net, 192).centres == tuple(31.5 + 32 * i for i in range(6))
    assert cells_of(net, 208).centres == tuple(15.5 + 32 * i for i in range(7))
    assert not cells_of(net, 208).aligned


@pytest.mark.parametrize(("arch", "size"), [("vgg19", 64), ("cnn", 64)])
def test_networks_that_pool_look_straight_ahead(arch: str, size: int) -> None:
    assert cells_of(network(arch, size), size).aligned


def test_a_network_in_training_is_left_in_training() -> None:
    net = network("resnet10", 28).train()
    before = {k: v.clone() for k, v in net.state_dict().items()}
    cells_of(net, 28)
    assert net.training
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())


def test_what_a_cell_looks_at_of_a_grid() -> None:
    shares = Cells((2.0, 6.0), 8).shares(8)
    torch.testing.assert_close(
        shares, torch.tensor([[0.25] * 4 + [0.0] * 4, [0.0] * 4 + [0.25] * 4])
    )
    over_the_edge = Cells((4.0, 8.0), 8).shares(8)[1]
    torch.testing.assert_close(over_the_edge, torch.tensor([0.0] * 6 + [0.5] * 2))
    assert Cells((4.0,), 8).shares(4).tolist() == [[0.25] * 4]


def test_drawn_where_it_looks_and_nothing_is_lost() -> None:
    cells = Cells((31.5, 63.5, 95.5, 127.5, 159.5, 191.5), 192)
    spread = cells.spread(12)
    torch.testing.assert_close(spread.sum(dim=0), torch.ones(6))
    parts = (torch.arange(12) + 0.5) * 16
    inner = (spread * parts.unsqueeze(1)).sum(dim=0)[:5]
    torch.testing.assert_close(inner, torch.tensor(cells.centres[:5]))
    assert spread[:, 5].argmax() == 11


def test_any_trunk_may_be_asked() -> None:
    trunk = nn.Sequential(nn.Conv2d(1, 2, 4, stride=4), nn.ReLU(), nn.Conv2d(2, 2, 3, padding=1))
    net = FilmNet(trunk, Head(2, 0, pool=True, hidden=(), dropout=0.0), (0.5,), (0.25,))
    assert cells_of(net, 16) == Cells((2.0, 6.0, 10.0, 14.0), 16)
