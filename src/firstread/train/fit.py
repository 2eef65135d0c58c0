"""Drive one fit with Lightning: schedule, averaging, early stopping, checkpoints, logs."""

from __future__ import annotations

import contextlib
import logging
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import lightning.pytorch as pl
import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
    WeightAveraging,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import SIGTERMException
from torch import Tensor

from firstread.errors import RecipeError
from firstread.film.files import csv_text, write_atomic
from firstread.model.net import FilmNet
from firstread.train.batches import Batches, epoch_order
from firstread.train.checkpoint import SafeCheckpointIO
from firstread.train.module import FilmFit
from firstread.train.recipe import Recipe

Precision = Literal["32-true", "bf16-mixed"]


class _WriteHistory(Callback):
    """metrics.csv, whole after every epoch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        write_history(self.path, module.history)


def write_history(path: Path, history: list[dict[str, float]]) -> None:
    """One row an epoch as CSV."""
    header = list(history[0]) if history else ["epoch"]
    write_atomic(path, csv_text(header, ([f"{row[k]:.6g}" for k in header] for row in history)))


def fit(
    net: FilmNet,
    recipe: Recipe,
    films: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]],
    labels: tuple[npt.NDArray[np.int8], npt.NDArray[np.int8]],
    out: Path,
    device: str = "cpu",
    callbacks: tuple[Any, ...] = (),
    lungs: npt.NDArray[np.uint8] | None = None,
    teachers: tuple[FilmNet, ...] = (),
    say: Callable[[str], None] = lambda text: None,
    precision: Precision | None = None,
) -> FilmFit:
    """Fit `net` in place and return the module with its history.

    `films`: train and val, pixels (n, s, s) uint8 or features (n, c, h, w). `lungs`: masks
    (n, g, g) of the train films, for a recipe that wants lungs. `teachers`: networks in eval mode,
    for a recipe that has some. `precision`: None for what `precision_for` says. A checkpoint found
    below `out` is resumed; the result is that of a run never stopped.
    """
    precision = precision or precision_for(recipe, device)
    train_films, val_films = films
    train_labels, val_labels = labels

    def batches(epoch: int) -> Batches:
        order = epoch_order(train_labels, recipe.balance, recipe.batch_size, recipe.seed, epoch)
        return Batches(train_films, train_labels, order, recipe.batch_size, lungs)

    module = FilmFit(net, recipe, recipe.epochs * len(batches(0)), batches, teachers)
    val = Batches(val_films, val_labels, np.arange(len(val_labels)), 64)

    folder = out / "checkpoints"
    keep = ModelCheckpoint(folder, filename="last", save_top_k=1, enable_version_counter=False)
    extra: list[Any] = [_WriteHistory(out / "metrics.csv"), *callbacks]
    if recipe.ema:
        extra.append(WeightAveraging(use_buffers=True, avg_fn=averaged(recipe.ema)))
    if recipe.patience:
        best = ModelCheckpoint(
            folder, "best", monitor="val_auc", mode="max", enable_version_counter=False
        )
        extra += [best, EarlyStopping("val_auc", mode="max", patience=recipe.patience)]
    # Behind `best`: killed between the two, a run repeats the epoch and loses no best one.
    extra.append(keep)
    last = folder / "last.ckpt"
    saved = SafeCheckpointIO().load_checkpoint(last) if last.is_file() else None
    if saved is not None:
        say(f"resumed after epoch {len(saved['history'])}")
    if saved is not None and _had_ended(saved["history"], recipe):
        # Killed between the last epoch and the bundle. Lightning would not put the averaged
        # weights in place, and after an early stop it would train an epoch too many.
        module.load_state_dict(saved["state_dict"])
        module.history = list(saved["history"])
    else:
        _drive(module, val, recipe, out, device, precision, extra, last if saved else None)
    if recipe.patience:
        state = SafeCheckpointIO().load_checkpoint(folder / "best.ckpt")["state_dict"]
        module.load_state_dict(state)
    net.eval()
    return module


def averaged(decay: float) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """How averaged weights follow those of a step, `n` steps having gone into them.

    An exponential moving average whose decay begins low, min(decay, (1 + n) / (10 + n)), as
    TensorFlow's has it (`ExponentialMovingAverage`, num_updates): else the weights before the first
    step would be most of what a short training keeps, 0.99^100 being more than a third.
    """

    def update(kept: Tensor, now: Tensor, n: Tensor) -> Tensor:
        share = ((1.0 + n) / (10.0 + n)).clamp(max=decay)  # stays where the weights are
        return share * kept + (1.0 - share) * now

    return update


def _had_ended(history: list[dict[str, float]], recipe: Recipe) -> bool:
    """Whether a fit with this history had run its epochs or out of patience."""
    aucs = [row["val_auc"] for row in history]
    waited = len(aucs) - 1 - aucs.index(max(aucs))
    return len(aucs) >= recipe.epochs or (recipe.patience > 0 and waited >= recipe.patience)


def _drive(
    module: FilmFit,
    val: Batches,
    recipe: Recipe,
    out: Path,
    device: str,
    precision: Precision,
    callbacks: list[Any],
    resume: Path | None,
) -> None:
    """Let Lightning run the epochs that are left. Ctrl-C and SIGTERM end as `KeyboardInterrupt`."""
    interrupt = signal.getsignal(signal.SIGINT)
    bar = sys.stdout is not None and sys.stdout.isatty()
    with _hush():
        trainer = pl.Trainer(
            accelerator=device,
            devices=1,
            max_epochs=recipe.epochs,
            precision=precision,
            callbacks=callbacks,
            logger=TensorBoardLogger(out, name="tensorboard", version=""),
            plugins=[SafeCheckpointIO()],
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            enable_progress_bar=bar,
            enable_model_summary=False,
            use_distributed_sampler=False,
            log_every_n_steps=10,
        )
        try:
            trainer.fit(module, None, val, ckpt_path=None if resume is None else str(resume))
        except BaseException as e:
            if bar:
                print(flush=True)  # what is said of it shall not hang on to the bar
            # Lightning makes an exit without a word of either, and leaves Ctrl-C ignored.
            pressed = isinstance(e, SystemExit) and isinstance(e.__context__, KeyboardInterrupt)
            if not (pressed or isinstance(e, SIGTERMException)):
                raise
            if interrupt is not None:
                signal.signal(signal.SIGINT, interrupt)
            raise KeyboardInterrupt from None


@contextlib.contextmanager
def _hush() -> Iterator[None]:
    """Lightning advertises and gives advice on data loaders we do not use."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="lightning")
            warnings.filterwarnings("ignore", message=".*isinstance.*LeafSpec.*")
            yield
    finally:
        logger.setLevel(level)


def precision_for(recipe: Recipe, device: str) -> Precision:
    """Lightning's name of the precision a recipe comes to on this machine."""
    if recipe.precision != "bf16-if-fast":
        return "bf16-mixed" if recipe.precision == "bf16-mixed" else "32-true"
    fast = {
        "cpu": torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported(),
        "cuda": torch.cuda.is_available() and torch.cuda.is_bf16_supported(False),
        "mps": False,
    }
    return "bf16-mixed" if fast[device] else "32-true"


def device_for(wanted: str | None) -> str:
    """The device asked for, else the best there is. Raises `RecipeError` if it is not there."""
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if wanted is None:
        return next(d for d in ("cuda", "mps", "cpu") if there[d])
    if not there[wanted]:
        raise RecipeError(f"no {wanted} device is seen here; use --device cpu")
    return wanted
