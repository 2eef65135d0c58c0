"""The peer: the origin's pipeline in Keras, as its notebooks have it.

Films are decoded from file in every epoch by Keras' own `ImageDataGenerator`
(`flow_from_directory`, its defaults: Pillow, full decode, nearest resize), at 128 px,
batches of 32, in fp32 unless told otherwise. Two models: the small binary CNN, with random
rotation, zoom, shift and flip; and VGG19 with a frozen base and random weights, without.

Runs in an environment of its own (see README.md); every sub-command prints one JSON line.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

STARTED = time.perf_counter()

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["KERAS_BACKEND"] = "tensorflow"

SIZE = 128
BATCH = 32
CLASSES = ["NORMAL", "PNEUMONIA"]
# The same kinds and ranges as firstread's recipe `cnn`: there, crops of 64 to 100 % of the
# area are what zoom (sides of 0.8 to 1) and shift (a tenth either way) are here.
AUGMENT: dict[str, Any] = {
    "rotation_range": 30,
    "zoom_range": [0.8, 1.0],
    "width_shift_range": 0.1,
    "height_shift_range": 0.1,
    "horizontal_flip": True,
}


def lay_out(films: Path, split: Path, to: Path) -> None:
    """The split as the folders `flow_from_directory` wants: part/CLASS/film, as links."""
    with split.open(newline="", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            folder = to / row["part"] / CLASSES[int(row["label"])]
            folder.mkdir(parents=True, exist_ok=True)
            link = folder / row["file"].replace("/", "__")
            link.symlink_to((films / row["file"]).resolve())


def flow(folder: Path, grey: bool, seed: int, augment: dict[str, Any], shuffle: bool) -> Any:
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    return ImageDataGenerator(rescale=1 / 255, **augment).flow_from_directory(
        str(folder),
        target_size=(SIZE, SIZE),
        color_mode="grayscale" if grey else "rgb",
        classes=CLASSES,
        class_mode="binary",
        batch_size=BATCH,
        shuffle=shuffle,
        seed=seed,
    )


def cnn() -> Any:
    """The origin's binary CNN; the same as firstread.model.cnn."""
    from keras import Sequential, layers

    stack: list[Any] = [layers.Input((SIZE, SIZE, 1))]
    for width in (32, 64, 128, 128):
        stack += [
            layers.Conv2D(width, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
        ]
    stack += [layers.Flatten(), layers.Dense(128, activation="relu"), layers.Dropout(0.5)]
    return Sequential([*stack, layers.Dense(1, activation="sigmoid", dtype="float32")])


def vgg19() -> Any:
    """VGG19 with a frozen base; the same head as firstread.model.vgg19."""
    from keras import Sequential, layers
    from keras.applications import VGG19

    base = VGG19(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3))
    base.trainable = False
    return Sequential(
        [
            base,
            layers.GlobalAveragePooling2D(),
            layers.Dense(256, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(1, activation="sigmoid", dtype="float32"),
        ]
    )


def train(args: argparse.Namespace, arch: str) -> dict[str, Any]:
    import keras

    keras.utils.set_random_seed(args.seed)
    keras.mixed_precision.set_global_policy(args.precision)
    model = cnn() if arch == "cnn" else vgg19()
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    grey = arch == "cnn"
    with tempfile.TemporaryDirectory() as tmp:
        lay_out(args.films, args.split, Path(tmp))
        change = AUGMENT if arch == "cnn" else {}
        films = flow(Path(tmp, "train"), grey, args.seed, change, shuffle=True)
        val = flow(Path(tmp, "val"), grey, args.seed, {}, shuffle=False)
        begun = time.perf_counter()
        history = model.fit(films, validation_data=val, epochs=args.epochs, verbose=0)
        fit_s = time.perf_counter() - begun
    if args.out:
        model.save(args.out)
    return {
        "arch": arch,
        "precision": args.precision,
        "epochs": args.epochs,
        "films": films.n,
        "val_films": val.n,
        "fit_s": round(fit_s, 2),
        "loss": round(history.history["loss"][-1], 4),
        "val_accuracy": round(history.history["val_accuracy"][-1], 4),
    }


def read_folder(args: argparse.Namespace) -> dict[str, Any]:
    """A saved model over a folder of films, probabilities to a CSV."""
    import keras

    model = keras.models.load_model(args.model)
    from tensorflow.keras.preprocessing.image import ImageDataGenerator

    films = ImageDataGenerator(rescale=1 / 255).flow_from_directory(
        str(args.films),
        target_size=(SIZE, SIZE),
        color_mode="grayscale" if model.input_shape[-1] == 1 else "rgb",
        class_mode=None,
        batch_size=BATCH,
        shuffle=False,
    )
    probabilities = model.predict(films, verbose=0)[:, 0]
    with args.out.open("w", newline="", encoding="utf-8") as f:
        writer = csv.writer(f)
        writer.writerow(("file", "probability"))
        writer.writerows(zip(films.filenames, map(float, probabilities), strict=True))
    return {"films": len(probabilities)}


def cold(args: argparse.Namespace) -> dict[str, Any]:
    """The first opinion of a fresh process: load the model, read one film."""
    import keras

    model = keras.models.load_model(args.model)
    film = _pixels(args.films, model)
    return {"probability": float(model.predict(film[None], verbose=0)[0, 0])}


def score(args: argparse.Namespace) -> dict[str, Any]:
    """Accuracy at 0.5 over a CSV of file (absolute) and label; not timed."""
    import keras
    import numpy as np

    model = keras.models.load_model(args.model)
    with args.films.open(newline="", encoding="utf-8") as f:
        rows = list(csv.DictReader(f))
    right = 0
    for start in range(0, len(rows), 256):
        part = rows[start : start + 256]
        batch = np.stack([_pixels(Path(r["file"]), model) for r in part])
        said = model.predict(batch, verbose=0)[:, 0] >= 0.5
        right += int((said == np.array([int(r["label"]) for r in part])).sum())
    return {"films": len(rows), "accuracy": right / len(rows)}


def _pixels(path: Path, model: Any) -> Any:
    from keras.utils import img_to_array, load_img

    mode = "grayscale" if model.input_shape[-1] == 1 else "rgb"
    return img_to_array(load_img(path, color_mode=mode, target_size=(SIZE, SIZE))) / 255


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    verbs = parser.add_subparsers(dest="task", required=True)
    for name in ("train-cnn", "train-vgg19"):
        p = verbs.add_parser(name)
        p.add_argument("--films", type=Path, required=True, help="folder with NORMAL/, PNEUMONIA/")
        p.add_argument("--split", type=Path, required=True, help="CSV: file, label, part")
        p.add_argument("--epochs", type=int, default=10)
        p.add_argument("--seed", type=int, default=0)
        p.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
        p.add_argument("--out", type=Path, help="save the model here (.keras)")
    for name, what in (("read-folder", "folder"), ("cold", "one film"), ("score", "CSV")):
        p = verbs.add_parser(name)
        p.add_argument("--films", type=Path, required=True, help=what)
        p.add_argument("--model", type=Path, required=True, help="a saved .keras model")
        if name == "read-folder":
            p.add_argument("--out", type=Path, required=True, help="CSV to write")
    args = parser.parse_args()
    does = {
        "train-cnn": lambda a: train(a, "cnn"),
        "train-vgg19": lambda a: train(a, "vgg19"),
        "read-folder": read_folder,
        "cold": cold,
        "score": score,
    }
    out = sys.stdout
    sys.stdout = sys.stderr  # Keras prints there; stdout is for the one line
    result = does[args.task](args)
    wall = round(time.perf_counter() - STARTED, 2)
    print(json.dumps({"task": args.task, **result, "wall_s": wall}), file=out)


if __name__ == "__main__":
    main()
