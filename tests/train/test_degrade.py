"""What spoils a film: as often and as strongly as the recipe says."""

import pytest

pytest.importorskip("torch")

import torch
from torch import Tensor

from firstread.train.degrade import degrade
from firstread.train.strengths import Augment


def films(n: int = 400, size: int = 32) -> Tensor:
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(5)) * 0.6 + 0.2


def spoilt(how: Augment, given: Tensor, seed: int = 0) -> Tensor:
    return degrade(given, how, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("how", "share"),
    [
        (Augment(blur=2.0), 0.5),
        (Augment(sharpen=1.0), 0.5),
        (Augment(noise=0.1), 0.5),
        (Augment(speckle=0.1), 0.5),
        (Augment(impulse=0.2), 0.5),
        (Augment(pixelate=0.5), 0.25),
        (Augment(jpeg=10), 0.25),
    ],
    ids=str,
)
def test_strikes_the_share_it_says(how: Augment, share: float) -> None:
    given = films()
    changed = (spoilt(how, given) - given).abs().amax(dim=(1, 2, 3)) > 1e-4
    assert abs(float(changed.float().mean()) - share) < 0.1


def test_blur_keeps_the_mean_and_sharpening_undoes_softness() -> None:
    given = films()
    blurred, sharp = spoilt(Augment(blur=2.0), given), spoilt(Augment(sharpen=1.0), given)
    for out in (blurred, sharp):
        torch.testing.assert_close(
            out.mean(dim=(1, 2, 3)), given.mean(dim=(1, 2, 3)), atol=0.02, rtol=0
        )
    assert float(blurred.std()) < float(given.std()) < float(sharp.std())


def test_coarse_pixels_are_fewer() -> None:
    given = films(40)
    out = spoilt(Augment(pixelate=0.3), given)
    changed = (out - given).abs().amax(dim=(1, 2, 3)) > 1e-4
    for film in out[changed]:
        # Nearest neighbour repeats rows; noise never does.
        assert bool((film[0].diff(dim=0).abs().amax(dim=1) == 0).any())


def test_salt_and_pepper_alike() -> None:
    out = spoilt(Augment(impulse=0.4), films())
    salt, pepper = float((out == 1).float().mean()), float((out == 0).float().mean())
    assert salt == pytest.approx(pepper, rel=0.1)
    assert salt == pytest.approx(0.05, rel=0.25)  # half of the films, 0.2 on average, halved


def test_the_films_given_are_left_as_they_were() -> None:
    given = films(20)
    before = given.clone()
    spoilt(Augment(blur=1.0, sharpen=1.0, noise=0.1, pixelate=0.4, impulse=0.1, jpeg=10), given)
    assert torch.equal(given, before)
