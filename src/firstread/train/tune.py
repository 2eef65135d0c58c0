"""Search for a better recipe with Optuna: seeded, resumable, poor trials stopped early.

Every trial is a run of `firstread.train.run` in a folder of its own, and the study is a
SQLite file beside them, so a kill costs at most the epoch at hand: the trial that was
running is asked for again with the same values and resumes from its checkpoint. The sampler
is seeded anew for every trial by its number; a search that was stopped and taken up again
therefore visits the same points as one that was not.

TPE: Bergstra et al. 2011, "Algorithms for hyper-parameter optimization". Trials whose best
validation AUC lies below the median of the earlier ones at the same epoch are stopped.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import optuna
from lightning.pytorch.callbacks import Callback
from optuna.trial import Trial, TrialState

from firstread.cohort.split import save_split, split_of
from firstread.cohort.table import Cohort
from firstread.errors import OutputError, RunError, Shortage
from firstread.plural import count
from firstread.progress import Show, unseen
from firstread.train.alone import alone
from firstread.train.beginning import first_weights
from firstread.train.record import told_of
from firstread.train.run import Job, train
from firstread.train.search_page import write_search
from firstread.train.space import point_of, recipe_at, space_of
from firstread.train.teachers import teacher_recipes

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
FOLDER, FAILED_FILMS = "folder", "failed_films"
RANDOM_TRIALS, UNPRUNED_TRIALS = 8, 5
"""How many trials are drawn at random before TPE takes over, and run to their end before
the median of their curves may stop another."""


@dataclass(frozen=True)
class Search:
    """What to search around, on what films: `job`, whose `out` holds the whole search.
    `trials`: finished ones wanted, all in all."""

    job: Job
    trials: int


def tune(
    search: Search, say: Callable[[str], None] = lambda text: None, show: Show = unseen
) -> dict[str, Any]:
    """Run trials until `search.trials` are finished; returns the content of trials.json.

    DIR/ then holds study.db, split.csv, teachers/ if the recipe has some, trial-000/ (the recipe
    itself), trial-001/ ..., trials.csv, trials.json, best.toml, search.png and search.html; all
    but study.db are written anew after every trial, whole or not at all. Of the trials only the
    best keeps its bundle. Raises `RunError` if the folder holds another search or is in use.
    """
    split = split_of(search.job.films, search.job.split, search.job.out, show("hashing"))
    identity = _identity(search, split)  # of what is refused before nothing is left
    with alone(search.job.out, "search"), _study(search, split, identity) as study:
        for trial in study.get_trials(states=(TrialState.RUNNING,)):
            _ask_again(study, trial.number)
        result = None
        try:
            while _finished(study) < search.trials:
                _one(study, search, split, say, show)
                result = _write(study, search)
                _tidy(search.job.out, result)
        except KeyboardInterrupt:
            kept = count(_finished(study), "finished trial is", "finished trials are")
            say(f"{kept} kept; the same command goes on")
            raise
        if result is None:
            done = count(_finished(study), "trial is", "trials are")
            say(f"{done} finished already; give a larger --trials")
            result = _write(study, search)
            _tidy(search.job.out, result)
        return result


@contextlib.contextmanager
def _study(search: Search, split: Cohort, identity: str) -> Iterator[optuna.Study]:
    """The study in DIR/study.db, made now or taken up again if it is the same search."""
    from sqlalchemy.exc import SQLAlchemyError
    from sqlalchemy.pool import NullPool

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path = search.job.out / "study.db"
    if not path.exists() and any(not p.name.startswith(".") for p in search.job.out.iterdir()):
        raise RunError(f"{search.job.out}: not empty and no search of ours; give another --out")
    try:
        # No pool: connections are closed after use, and none is left open at the end.
        storage = optuna.storages.RDBStorage(
            f"sqlite:///{path.resolve()}", engine_kwargs={"poolclass": NullPool}
        )
        study = optuna.create_study(
            storage=storage,
            study_name="firstread",
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(
                n_startup_trials=UNPRUNED_TRIALS,
                # The first epochs of a one-cycle schedule say little.
                n_warmup_steps=max(1, search.job.recipe.epochs // 3),
            ),
        )
    except (SQLAlchemyError, optuna.exceptions.OptunaError) as e:
        raise RunError(
            f"{path}: cannot be used ({type(e).__name__}); delete the folder to search anew"
        ) from None
    try:
        if study.user_attrs.setdefault("identity", identity) != identity:
            raise RunError(
                f"{search.job.out}: holds another search (recipe, weights or films differ); "
                "give another --out or delete it"
            )
        study.set_user_attr("identity", identity)
        save_split(split, search.job.out / "split.csv")  # one that lost lines is mended
        if not study.get_trials():
            study.enqueue_trial(dict(point_of(search.job.recipe)))
        yield study
    finally:
        storage.remove_session()


def _identity(search: Search, split: Cohort) -> str:
    weights = first_weights(search.job.recipe, search.job.weights).sha256
    recipe = json.dumps(search.job.recipe.to_dict(), sort_keys=True)
    # By their content, as a run knows them: what is named the same may teach otherwise by now.
    taught = [teacher.to_dict() for teacher in teacher_recipes(search.job.recipe)]
    if taught:
        recipe += "\nteachers " + json.dumps(taught, sort_keys=True)
    return hashlib.sha256(
        f"{recipe}\n{weights}\n{told_of(split, search.job.recipe.frame)}".encode()
    ).hexdigest()


def _finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=FINISHED))


def _ask_again(study: optuna.Study, number: int) -> None:
    """A trial that was stopped from outside: the same values and folder come first."""
    trial = study.get_trials(deepcopy=False)[number]
    # Values are written one by one: those that a kill came before are known by what was asked for.
    asked = trial.system_attrs.get("fixed_params", {})
    study.tell(number, state=TrialState.FAIL)
    study.enqueue_trial({**asked, **trial.params}, user_attrs=trial.user_attrs)


def _one(
    study: optuna.Study, search: Search, split: Cohort, say: Callable[[str], None], show: Show
) -> None:
    """Ask for a trial, run it on `split` and tell the study what came of it."""
    used = {t.user_attrs[FOLDER] for t in study.get_trials() if FOLDER in t.user_attrs}
    study.sampler = optuna.samplers.TPESampler(
        seed=(search.job.recipe.seed * 100_003 + len(used)) % 2**32, n_startup_trials=RANDOM_TRIALS
    )
    trial = study.ask(dict(space_of(search.job.recipe)))
    if FOLDER not in trial.user_attrs:
        trial.set_user_attr(FOLDER, f"trial-{len(used):03d}")
    name = trial.user_attrs[FOLDER]
    say(f"{name} of {search.trials}: " + _words(trial.params))
    job = replace(
        search.job,
        recipe=recipe_at(search.job.recipe, trial.params),
        films=split,
        name=f"{search.job.name}-{name}",
        out=search.job.out / name,
        split=search.job.out / "split.csv",
        teachers=search.job.out / "teachers",  # nothing that is searched for changes them
        gate=False,  # nobody reads films with a trial, and it costs as much as some trainings
    )
    try:
        state = train(job, say, callbacks=(_Report(trial),), show=show)
    except optuna.TrialPruned as e:
        study.tell(trial, state=TrialState.PRUNED)
        say(f"{name}: {e}")
        return
    except (OSError, OutputError, MemoryError, Shortage):
        _ask_again(study, trial.number)  # the place is at fault, not the trial: the disk is full
        raise
    except Exception:
        # An error of this trial's own must not come back with every resume.
        study.tell(trial, state=TrialState.FAIL)
        raise
    trial.set_user_attr(FAILED_FILMS, state["failed_films"])
    _report_rest(trial, history_of(job.out))
    study.tell(trial, state["val_auc"])
    say(f"{name}: validation AUC {state['val_auc']:.4f}, best so far {study.best_value:.4f}")


def _words(params: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.3g}" for name, value in params.items())


class _Report(Callback):
    """Tells the study the validation AUC after every epoch and stops a trial it gives up."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.reported = 0

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Report; also the epochs from before a kill."""
        _report_rest(self.trial, module.history[self.reported :])
        self.reported = len(module.history)
        row = module.history[-1]
        if not math.isfinite(row["train_loss"] + row["val_loss"]):
            raise optuna.TrialPruned(f"stopped after epoch {len(module.history)}: it diverged")
        if trainer.current_epoch + 1 < trainer.max_epochs and self.trial.should_prune():
            raise optuna.TrialPruned(
                f"stopped after epoch {len(module.history)}: validation AUC {row['val_auc']:.4f}, "
                "below the median of the trials before"
            )


def _report_rest(trial: Trial, history: list[dict[str, float]]) -> None:
    known = trial.study.get_trials(deepcopy=False)[trial.number].intermediate_values
    for row in history:
        if int(row["epoch"]) not in known:
            trial.report(row["val_auc"], int(row["epoch"]))


def history_of(run: Path) -> list[dict[str, float]]:
    """metrics.csv of a run as numbers; empty where no epoch was finished."""
    path = run / "metrics.csv"
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as f:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(f)]


def _write(study: optuna.Study, search: Search) -> dict[str, Any]:
    """Everything that tells of the search, from the study and the trials' folders."""
    trials = []
    for trial in study.get_trials(deepcopy=False, states=FINISHED):
        name = trial.user_attrs[FOLDER]
        history = history_of(search.job.out / name)
        complete = trial.state == TrialState.COMPLETE
        trials.append(
            {
                "number": int(name.removeprefix("trial-")),
                "folder": name,
                "state": "complete" if complete else "pruned",
                "val_auc": trial.value if complete else None,
                "last_val_auc": history[-1]["val_auc"] if history else None,
                "epochs": len(history),
                "seconds": round(sum(row["seconds"] for row in history), 3),
                "params": trial.params,
                "failed_films": trial.user_attrs.get(FAILED_FILMS, []),
            }
        )
    trials.sort(key=lambda t: t["number"])
    return write_search(search.job.out, search.job.name, search.job.recipe, trials)


def _tidy(out: Path, result: dict[str, Any]) -> None:
    """Drop what is heavy: checkpoints of finished trials, bundles of all but the best. Teachers
    stay, since the next trial asks them."""
    best = result["best"]["folder"] if result["best"] else None
    for trial in result["trials"]:
        folder = out / trial["folder"]
        heavy = [folder / "checkpoints"]
        if trial["folder"] != best:
            heavy.append(folder / "bundle")
        for gone in heavy:
            shutil.rmtree(gone, ignore_errors=True)
