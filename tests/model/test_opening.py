"""What is done to a film before the trunk sees it."""

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from firstread.model.cnn import cnn
from firstread.model.names import Opening
from firstread.model.opening import evened, grain_of, opened, smoothed


def test_a_smooth_network_hardly_sees_noise_and_keeps_the_mean() -> None:
    rng = torch.Generator().manual_seed(0)
    grey = torch.full((1, 1, 64, 64), 0.5)
    noise = torch.randn(1, 1, 64, 64, generator=rng) * 0.1
    out = smoothed(grey + noise, 1.0)
    assert out.shape == grey.shape
    assert float(out.std()) < 0.35 * float(noise.std())  # 1 / (2 sqrt(pi) sigma) = 0.28
    torch.testing.assert_close(smoothed(grey, 1.0), grey)


def test_a_standardised_network_is_blind_to_brightness_and_contrast() -> None:
    torch.manual_seed(0)
    net = cnn(32, 0.0).eval()
    film = torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        assert not torch.allclose(net(film), net(film * 0.5 + 0.2), atol=1e-3)
        net.opening = Opening(standardise=True)
        torch.testing.assert_close(net(film), net(film * 0.5 + 0.2), atol=2e-2, rtol=0)


def soft_films(n: int = 6, size: int = 96) -> Tensor:
    """Films (n, 1, size, size) of no fine detail, with a spread of 0.2."""
    rng = torch.Generator().manual_seed(0)
    films = smoothed(torch.rand(n, 1, size, size, generator=rng), 5.0)
    return (films - films.mean()) / films.std() * 0.2 + 0.5


def test_noise_is_measured_in_units_of_the_films_spread() -> None:
    rng = torch.Generator().manual_seed(1)
    noise = torch.randn(6, 1, 96, 96, generator=rng)
    for sigma in (0.01, 0.05):
        found = grain_of(soft_films() + sigma * noise, torch.full((6, 1, 1, 1), 0.2))
        torch.testing.assert_close(found, torch.full_like(found, sigma / 0.2), rtol=0.05, atol=0)


def test_a_film_is_smoothed_as_far_as_it_has_grain_and_no_further() -> None:
    rng = torch.Generator().manual_seed(1)
    films, noise = soft_films(), torch.randn(6, 1, 96, 96, generator=rng)
    torch.testing.assert_close(evened(films, 0.012), films)  # nothing to take away
    spread = torch.full((6, 1, 1, 1), 0.2)
    for sigma in (0.01, 0.03, 0.08):
        noisy = films + sigma * noise
        out = evened(noisy, 0.012)
        assert float((grain_of(out, spread) - 0.012).abs().max()) < 0.003
        assert float((out - films).std()) < 0.6 * float((noisy - films).std())


def test_each_film_is_smoothed_for_itself() -> None:
    rng = torch.Generator().manual_seed(1)
    films = soft_films(4)
    films[::2] += torch.randn(2, 1, 96, 96, generator=rng) * 0.05
    out = evened(films, 0.012)
    torch.testing.assert_close(out[1::2], films[1::2])
    torch.testing.assert_close(out[:1], evened(films[:1], 0.012))


def test_a_film_of_one_grey_stays_what_it_is() -> None:
    grey = torch.full((2, 1, 32, 32), 0.25)
    how = Opening(standardise=False, smooth=0.0, grain=0.012)
    torch.testing.assert_close(opened(grey, how), grey)


@pytest.mark.parametrize("noise", [0.05, 0.0])
def test_gradients_pass(noise: float) -> None:
    films = soft_films(2) + noise * torch.randn(2, 1, 96, 96)
    films[0] = 0.3  # one of a single grey
    films.requires_grad_()
    evened(films, 0.012).square().sum().backward()
    assert films.grad is not None
    assert bool(torch.isfinite(films.grad).all())


def test_bfloat16_does_not_reach_it() -> None:
    films = soft_films(2) + 0.03 * torch.randn(2, 1, 96, 96)
    how = Opening(grain=0.012)
    expected = opened(films, how)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(opened(films, how), expected, atol=1e-6, rtol=0)
    assert torch.equal(opened(films, Opening()), films)
