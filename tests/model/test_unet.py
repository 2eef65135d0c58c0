"""The lung net's shapes and size."""

import torch

from firstread.model.unet import LungNet, LungReading


def test_shapes_and_size() -> None:
    net = LungNet().eval()
    assert net(torch.rand(2, 1, 112, 112)).shape == (2, 112, 112)
    film = torch.randint(0, 256, (2, 224, 224), dtype=torch.uint8)
    found = LungReading(net)(film)
    assert found.shape == (2, 224, 224)
    assert 0 <= found.min() <= found.max() <= 1
    assert 4 * sum(p.numel() for p in net.parameters()) < 2_000_000


def test_exposure_changes_little() -> None:
    net = LungNet().eval()
    film = torch.rand(1, 1, 112, 112)
    a, b = net(film), net(film * 0.5 + 0.25)
    assert (a - b).abs().mean() < 0.2 * a.std() + 0.05
