"""Train the lung net: from films and drawn masks to lungs.onnx and its record.

RUN/ holds split.csv, run.json, metrics.csv, checkpoint.safetensors (the last epoch's, so that
the same command resumes it) and net/ with the finished net. A plain loop: there is one network,
one loss and one schedule, and nothing to choose on the validation part, which is only reported.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from firstread.cohort.cache import cached_films
from firstread.cohort.hashes import file_sha256
from firstread.cohort.split import save_split, split_of
from firstread.cohort.table import Cohort
from firstread.errors import NoFilms, RunError
from firstread.evaluate.lungs import judge_lungs
from firstread.evaluate.masks import find_masks, load_mask
from firstread.film.ahead import of_each
from firstread.film.files import write_atomic
from firstread.film.lungs import FORMAT, ONNX_FILE, RECORD_FILE, SIDE, LungFinder, seal
from firstread.film.preprocess import Preprocess
from firstread.model.unet import WIDTHS, WORK, LungNet
from firstread.progress import Progress, Show, unseen
from firstread.train.alone import alone
from firstread.train.checkpoint import SafeCheckpointIO
from firstread.train.export import lungs_to_onnx
from firstread.train.fit import write_history
from firstread.train.lungs_augment import lung_augment
from firstread.train.record import now, taken_up

Mask = npt.NDArray[np.bool_]
Say = Callable[[str], None]

NOT_STATED = "not stated"


@dataclass(frozen=True)
class LungPlan:
    """How the net is trained. `films`: drawn anew each epoch, of all there are; `lr`: the peak.

    An epoch is short, since masks are alike and the augmentation is what teaches.
    """

    epochs: int = 60
    films: int = 2432
    batch_size: int = 16
    lr: float = 4e-3
    weight_decay: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class LungJob:
    """What to train on. `masks`: a folder that mirrors the films, or None for the CSV's column.

    `licence` and `source` of the masks and `net_licence`, that under which the net may be passed
    on, go into its record as they are given.
    """

    films: Cohort
    out: Path
    masks: Path | None = None
    split: Path | None = None
    plan: LungPlan = LungPlan()
    licence: str = NOT_STATED
    source: str = NOT_STATED
    net_licence: str = NOT_STATED


@dataclass(frozen=True)
class _Part:
    films: Cohort
    pixels: npt.NDArray[np.uint8]
    masks: list[Mask]
    failed: tuple[tuple[str, str], ...]


def train_lungs(job: LungJob, say: Say = lambda text: None, show: Show = unseen) -> dict[str, Any]:
    """Train the net on the train part, judge it on the val part; run.json's content.

    Raises `RunError` if the folder is another run's, and the errors of the parts.
    """
    torch.set_num_threads(1)  # maps are small: a second thread mostly waits
    split = split_of(job.films, job.split, job.out, show("hashing"))
    found = find_masks(split, job.masks)
    drawn = [i for i, path in enumerate(found) if path is not None]
    say(f"{len(drawn)} of {len(split)} films have a lung mask")
    # In the films' order, unlike a set's: masks that changed places are other masks.
    known = of_each(_mask_hash, found, show("hashing masks"))
    hashes = "\n".join(known)
    masks_sha256 = hashlib.sha256(hashes.encode()).hexdigest()
    paths = {row.file: path for row, path in zip(split.rows, found, strict=True) if path}
    with alone(job.out, "training"):
        return _train(job, split, paths, masks_sha256, say, show)


def _train(
    job: LungJob,
    split: Cohort,
    paths: dict[str, Path],
    masks_sha256: str,
    say: Say,
    show: Show,
) -> dict[str, Any]:
    """Train in a folder that nobody else writes to. `paths`: the mask of each film that has one."""
    state = _open_run(job, split, masks_sha256)
    if state["finished"]:
        say(f"{job.out} is finished already; delete it to train anew")
        return state
    if not (job.out / "split.csv").exists():
        save_split(split, job.out / "split.csv")
    train, val = (
        _part(split.part(name), paths, say, show(f"decoding the {name} part"))
        for name in ("train", "val")
    )
    state["failed_films"] = [list(pair) for pair in (*train.failed, *val.failed)]

    torch.manual_seed(job.plan.seed)
    net = LungNet()
    history = _fit(net, train, job, say)
    seconds = sum(row["seconds"] for row in history)
    state |= {"train_seconds": round(seconds, 1), "masks": len(paths)}
    graph = lungs_to_onnx(net)
    record = {
        "format": FORMAT,
        "name": f"lungs-{WORK}-seed{job.plan.seed}",
        "created": now(),
        "version": metadata.version("firstread"),
        "licence": job.net_licence,
        "arch": {"name": "unet", "side": WORK, "widths": list(WIDTHS)},
        "onnx": {"file": ONNX_FILE, "sha256": hashlib.sha256(graph).hexdigest()},
        "data": {
            "films": len(train.films),
            "patients": len(set(train.films.patients)),
            "sha256": state["data_sha256"],
            "masks_sha256": masks_sha256,
            "masks_licence": job.licence,
            "masks_source": job.source,
        },
        "training": {key: state[key] for key in ("plan", "versions", "train_seconds")},
    }
    folder = job.out / "net"
    write_atomic(folder / ONNX_FILE, graph)
    write_atomic(folder / RECORD_FILE, seal(record))
    say(f"judging it on {len(val.films)} held-out films")
    judged = judge_lungs(val.films, val.pixels, val.masks, LungFinder(folder), show("judging"))
    state |= {"val": judged, "finished": True, "ended": now()}
    write_atomic(job.out / "run.json", json.dumps(state, indent=2) + "\n")
    return state


def _mask_hash(path: Path | None) -> str:
    return "" if path is None else file_sha256(path)


def lung_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """Cross-entropy plus one minus soft Dice, logits and masks (n, s, s); a scalar.

    Dice (Milletari et al. 2016, arXiv:1606.04797) is taken a film and ignores how much of the
    film is no lung; cross-entropy keeps gradients alive while both are far apart.
    """
    p = torch.sigmoid(logits)
    overlap = (p * masks).sum(dim=(1, 2))
    total = p.sum(dim=(1, 2)) + masks.sum(dim=(1, 2))
    soft_dice = (2 * overlap + 1) / (total + 1)
    return F.binary_cross_entropy_with_logits(logits, masks) + (1 - soft_dice).mean()


def _fit(net: LungNet, train: _Part, job: LungJob, say: Say) -> list[dict[str, float]]:
    """Run the epochs that are left; the history of all."""
    plan, path = job.plan, job.out / "checkpoint.safetensors"
    net.train()
    for p in net.parameters():
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=plan.lr, weight_decay=plan.weight_decay)
    steps = max(1, min(plan.films, len(train.films)) // plan.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=plan.lr, total_steps=max(10, steps * plan.epochs + 1), pct_start=0.2
    )
    history: list[dict[str, float]] = []
    if path.is_file():
        saved = SafeCheckpointIO().load_checkpoint(path)
        if (began := saved.get("films", len(train.films))) != len(train.films):
            raise RunError(  # the schedule counts the steps of the films that were
                f"{job.out}: training began with {began} films that could be decoded, and now "
                f"{len(train.films)} can be; bring these back, or delete the folder to train anew"
            )
        net.load_state_dict(saved["net"])
        optimiser.load_state_dict(saved["optimiser"])
        schedule.load_state_dict(saved["schedule"])
        history = saved["history"]
        say(f"resumed after epoch {len(history)}")
    masks = np.stack(train.masks)
    for epoch in range(len(history), plan.epochs):
        started, losses = time.perf_counter(), []
        order = np.random.default_rng([plan.seed, epoch]).permutation(len(train.films))
        for step in range(steps):
            chosen = np.sort(order[step * plan.batch_size : (step + 1) * plan.batch_size])
            rng = torch.Generator().manual_seed((plan.seed << 31) + (epoch << 20) + step)
            films, wanted = lung_augment(
                torch.from_numpy(train.pixels[chosen]), torch.from_numpy(masks[chosen]), WORK, rng
            )
            loss = lung_loss(net(films.contiguous(memory_format=torch.channels_last)), wanted)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        row = {"epoch": epoch + 1, "loss": float(np.mean(losses))}
        history.append({**row, "seconds": time.perf_counter() - started})
        say(f"epoch {epoch + 1} of {plan.epochs}: loss {row['loss']:.4f}")
        state = {
            "net": net.state_dict(),
            "optimiser": optimiser.state_dict(),
            "schedule": {k: v for k, v in schedule.state_dict().items() if _plain(v)},
            "history": history,
            "films": len(train.films),
        }
        SafeCheckpointIO().save_checkpoint(state, path)
        write_history(job.out / "metrics.csv", history)
    return history


def _plain(value: object) -> bool:
    """Whether a checkpoint can hold it; the rest of a schedule is made anew."""
    return isinstance(value, (int, float, str, bool, list))


def _part(films: Cohort, masks: dict[str, Path], say: Say, progress: Progress) -> _Part:
    # The whole part, as a classifier's training decodes it: the cache is shared.
    cached = cached_films(films, Preprocess(SIDE), progress=progress)
    for file, why in cached.failed:
        say(f"left out {file}: {why}")
    kept = [i for i, row in enumerate(cached.films.rows) if row.file in masks]
    if not kept:
        raise NoFilms("a part of the split has no lung mask; give --masks the folder of them")
    some = cached.films.subset(kept)
    drawn = [load_mask(masks[row.file], SIDE) for row in some.rows]
    return _Part(some, np.asarray(cached.pixels[kept]), drawn, cached.failed)


def _open_run(job: LungJob, split: Cohort, masks_sha256: str) -> dict[str, Any]:
    """run.json of this run: made now, or taken up again if it is the same run."""
    shares = "\n".join(f"{r.part} {h}" for r, h in zip(split.rows, split.hashes, strict=True))
    plan = json.dumps({**asdict(job.plan), "widths": WIDTHS}, sort_keys=True)
    identity = hashlib.sha256(f"{plan}\n{masks_sha256}\n{shares}".encode()).hexdigest()
    state = taken_up(job.out, identity, "plan, films or masks")
    if state is not None:
        return state
    state = {
        "identity": identity,
        "finished": False,
        "plan": asdict(job.plan),
        "started": now(),
        "data_sha256": split.data_hash(),
        "masks_sha256": masks_sha256,
        "films": {p: len(split.part(p)) for p in ("train", "val")},
        "patients": {p: len(set(split.part(p).patients)) for p in ("train", "val")},
        "versions": {n: metadata.version(n) for n in ("firstread", "torch", "numpy", "onnx")},
    }
    write_atomic(job.out / "run.json", json.dumps(state, indent=2) + "\n")
    return state
