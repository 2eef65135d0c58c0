"""The Lightning module: what happens to one batch."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import lightning.pytorch as pl
import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.classification import binary_auroc

from firstread.model.build import keep_still
from firstread.model.net import FilmNet, channels_last
from firstread.train.augment import geometry, resampled, spoil
from firstread.train.batches import Batches
from firstread.train.blind import blinded, told_of
from firstread.train.focus import evidence_outside
from firstread.train.mix import certainty, hide_lungs, mixup, swap_surroundings
from firstread.train.recipe import Recipe
from firstread.train.sharpness import SharpnessAware
from firstread.train.style import StyleMixing
from firstread.train.teachers import opinion_of


class FilmFit(pl.LightningModule):
    """Fits a `FilmNet` to films by binary cross-entropy.

    `history` gathers one row an epoch: epoch, train and val loss and accuracy, val AUC, seconds.
    """

    def __init__(
        self,
        net: FilmNet,
        recipe: Recipe,
        steps: int,
        make_batches: Callable[[int], Batches],
        teachers: tuple[FilmNet, ...] = (),
    ) -> None:
        super().__init__()
        self.teachers = teachers  # in a tuple, so that they are no part of what is learnt or saved
        self.net = channels_last(net)
        self.recipe = recipe
        self.steps = steps
        self.make_batches = make_batches
        self.history: list[dict[str, float]] = []
        self._styles: StyleMixing | None = None
        self._started = 0.0
        self._seen: list[tuple[float, float, int]] = []
        self._val: list[tuple[Tensor, Tensor]] = []

    def train_dataloader(self) -> Batches:
        """Asked for anew every epoch, since the order depends on it."""
        return self.make_batches(self.current_epoch)

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Seed every step by its number: a resumed run must go on as if never stopped."""
        torch.manual_seed(self.recipe.seed * 1_000_003 + self.global_step)

    def on_fit_start(self) -> None:
        """Teachers go where the network is; styles are mixed from here on."""
        for teacher in self.teachers:
            teacher.to(self.device)
        if self.recipe.augment.style:
            self._styles = StyleMixing(self.net.trunk, self.recipe.augment.style)

    def on_fit_end(self) -> None:
        """What is exported mixes nothing."""
        if self._styles is not None:
            self._styles.remove()

    def on_train_epoch_start(self) -> None:
        """What is frozen must not update its batch statistics either."""
        keep_still(self.net)
        self._seen.clear()
        self._started = time.perf_counter()

    def _logits(self, films: Tensor) -> Tensor:
        """Films (n, 1, s, s) in [0, 1] or features (n, c, h, w) to logits (n,)."""
        if self.recipe.features_once:
            logit: Tensor = self.net.head(films.float())
            return logit
        out: Tensor = self.net(films.contiguous(memory_format=torch.channels_last))
        return out

    def _shown(self, films: Tensor) -> Tensor:
        """A batch as the network takes it: uint8 films (n, s, s) scaled, features as they are."""
        return films if self.recipe.features_once else films.unsqueeze(1).float() / 255.0

    def _varied(
        self, films: Tensor, labels: Tensor, lungs: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
        """The batch after every random change that the recipe asks for, its lungs moved along.

        Last the films as teachers see them: the same crops, not spoilt.
        """
        size, how = self.recipe.fit_size, self.recipe.augment
        if self.recipe.features_once or not (how.active or size != films.shape[-1]):
            return films, labels, lungs, films
        # Drawn on the CPU, so that every device sees the same films.
        rng = torch.Generator().manual_seed(self.recipe.seed * 999_983 + self.global_step)
        if how.swap:
            films = swap_surroundings(films, how, rng)
        if how.hide and lungs is not None:
            films, lungs = hide_lungs(films, lungs, how, rng)
        theta = geometry(len(films), how, rng)
        clean = resampled(films, theta, size)
        films = spoil(clean, how, rng)
        if lungs is not None:
            lungs = resampled(lungs, theta, lungs.shape[-1])
        if how.mixup:
            films, labels = mixup(films, labels, how, rng)
        return films, labels, lungs, clean

    def training_step(self, batch: tuple[Tensor, ...], batch_idx: int) -> Tensor:
        """Loss of one batch: films and labels, and the films' lungs where the recipe wants them."""
        lungs = batch[2].unsqueeze(1).float() if len(batch) == 3 else None
        shown = self._shown(batch[0])
        films, labels, lungs, clean = self._varied(shown, batch[1], lungs)
        stray: Tensor | float = 0.0
        if lungs is None or not self.recipe.focus:
            logits = self._logits(films).float()
        else:
            logits, evidence = self.net.explain(films.contiguous(memory_format=torch.channels_last))
            stray = evidence_outside(evidence, lungs)
        smooth = self.recipe.label_smoothing
        wanted = labels * (1 - smooth) + smooth / 2
        if self.teachers:
            share = self.recipe.distil
            wanted = (1 - share) * wanted + share * opinion_of(self.teachers, clean)
        if lungs is not None and self.recipe.lung_share:
            wanted = 0.5 + (wanted - 0.5) * certainty(lungs, self.recipe.lung_share)
        loss = F.binary_cross_entropy_with_logits(logits, wanted)
        loss = loss + self.recipe.focus * stray
        if self.recipe.blind:
            loss = loss + self.recipe.blind * told_of(batch[1], self._blindly(shown))
        right = float(((logits > 0) == (labels > 0.5)).float().mean())
        self._seen.append((float(loss.detach()), right, len(labels)))
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def _blindly(self, films: Tensor) -> Tensor:
        """Logits (n,) of films (n, 1, s, s) with their lungs painted over, as the finished network
        gives them: by batch statistics of whole films, which they are no part of."""
        rng = torch.Generator().manual_seed(self.recipe.seed * 999_979 + self.global_step)
        hidden = blinded(films, self.recipe.augment, self.recipe.fit_size, rng)
        self.net.eval()
        logits = self._logits(hidden).float()
        self.net.train()
        keep_still(self.net)
        return logits

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Gather logits; the numbers are computed over the whole part at once."""
        films, labels = batch
        self._val.append((self._logits(self._shown(films)).float().cpu(), labels.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Write one row of history."""
        logits, labels = (torch.cat(x) for x in zip(*self._val, strict=True))
        self._val.clear()
        # Ranks: torchmetrics would take the sigmoid, in which large logits are all 1.
        ranks = torch.unique(logits, return_inverse=True)[1] / len(logits)
        loss = float(F.binary_cross_entropy_with_logits(logits, labels))
        # Logits that are no numbers rank by their place, and films lie in the order of their
        # labels: an AUC of 1, which `patience` would keep in place of the best.
        auc = float(binary_auroc(ranks, labels.long())) if math.isfinite(loss) else 0.0
        accuracy = float(((logits > 0) == (labels > 0.5)).float().mean())
        self.log_dict({"val_auc": auc, "val_loss": loss, "val_accuracy": accuracy}, prog_bar=True)
        n = sum(s[2] for s in self._seen) or 1
        row = {
            "epoch": float(self.current_epoch),
            "train_loss": sum(s[0] * s[2] for s in self._seen) / n,
            "train_accuracy": sum(s[1] * s[2] for s in self._seen) / n,
            "val_loss": loss,
            "val_accuracy": accuracy,
            "val_auc": auc,
            "seconds": time.perf_counter() - self._started,
        }
        self.history = [r for r in self.history if r["epoch"] < row["epoch"]] + [row]

    def configure_optimizers(self) -> Any:
        """AdamW under a one-cycle schedule; no decay on biases and normalisation."""
        learning = [p for p in self.net.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": [p for p in learning if p.ndim > 1]},
            {"params": [p for p in learning if p.ndim <= 1], "weight_decay": 0.0},
        ]
        how: dict[str, Any] = {"lr": self.recipe.lr, "weight_decay": self.recipe.weight_decay}
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(groups, **how)
        if self.recipe.sharpness:
            optimizer = SharpnessAware(groups, radius=self.recipe.sharpness, **how)
        warmup = self.recipe.warmup
        if warmup * max(2, self.steps) == 1:
            warmup *= 0.99  # torch divides by the length of the warm-up less one step
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            # The last step is at next to nothing; a fit of one alone would learn nothing.
            optimizer,
            self.recipe.lr,
            total_steps=max(2, self.steps),
            pct_start=warmup,
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": "step"},
        }

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history with the weights."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the history up again."""
        self.history = list(checkpoint["history"])
