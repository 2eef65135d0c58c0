"""Evidence outside of the lungs costs; a film without enough lung costs nothing."""

import pytest

pytest.importorskip("torch")

import torch

from firstread.train.focus import evidence_outside


def test_the_share_outside_whatever_its_sign() -> None:
    lungs = torch.zeros(2, 1, 8, 8)
    lungs[:, :, :, :4] = 1  # the left half
    evidence = torch.zeros(2, 2, 2)
    evidence[0, 0, 0], evidence[0, 0, 1] = 3.0, -1.0
    evidence[1, 1, 0] = -5.0
    assert float(evidence_outside(evidence, lungs)) == pytest.approx((0.25 + 0.0) / 2, abs=1e-4)


def test_a_film_without_lung_is_not_judged() -> None:
    lungs = torch.zeros(2, 1, 8, 8)
    lungs[0] = 1
    assert float(evidence_outside(torch.ones(2, 2, 2), lungs)) == 0.0
    assert float(evidence_outside(torch.ones(1, 2, 2), lungs[1:])) == 0.0


def test_it_can_be_learnt() -> None:
    lungs = torch.zeros(1, 1, 8, 8)
    lungs[:, :, 2:6, 2:6] = 1
    evidence = torch.ones(1, 4, 4, requires_grad=True)
    evidence_outside(evidence, lungs).backward()
    assert evidence.grad is not None
    assert float(evidence.grad[0, 0, 0]) > 0 > float(evidence.grad[0, 1, 1])
