"""Where films come from: each public set as a record, with what is known of it.

A `Source` names the set, its licence and whom to cite; a `Way` is one place to get it from.
What is known is kept apart from what is not: `counts` are films a folder, as published and
counted again by several public users; `archive_bytes` was reported alike by two of them and
is only ever a hint. No publisher gives a checksum, so there is none here.

Sets that need an account, an agreement or a request are `manual`: we say how, and fetch
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Counts = Mapping[str, int]
"""Films a folder, e.g. {"train/NORMAL": 1349}."""


@dataclass(frozen=True)
class Way:
    """One place a set can be had from.

    `page`: for a browser. `archive`: the file's name there. `url`: its direct address, or
    `handle`: its name on Kaggle. `counts`: films a folder. `archive_bytes`: reported size of
    the archive, 0 where not known.
    """

    name: str
    page: str
    archive: str
    counts: Counts
    url: str = ""
    handle: str = ""
    archive_bytes: int = 0


@dataclass(frozen=True)
class Source:
    """A public set of films.

    `parts` and `labels` are the folders that hold films, `part/label/film` (or `label/film`
    where `parts` is empty); the value of `labels` is 1 for pneumonia, 0 for normal.
    `manual`: how to get it by hand, one step a line; empty if `ways` can be fetched.
    """

    name: str
    title: str
    licence: str
    citation: str
    note: str = ""
    parts: tuple[str, ...] = ()
    labels: Mapping[str, int] = field(default_factory=dict)
    ways: tuple[Way, ...] = ()
    manual: tuple[str, ...] = ()

    def way_of(self, counts: Counts) -> Way | None:
        """The way whose archive holds just these films a folder, if any."""
        return next((w for w in self.ways if dict(w.counts) == dict(counts)), None)


GUANGZHOU = Source(
    name="chest-xray-pneumonia",
    title="Guangzhou paediatric chest X-rays: normal, bacterial and viral pneumonia",
    licence="CC BY 4.0, https://creativecommons.org/licenses/by/4.0/",
    citation=(
        "Kermany D, Zhang K, Goldbaum M (2018): Labeled Optical Coherence Tomography (OCT) and "
        "Chest X-Ray Images for Classification. Mendeley Data, V2, doi:10.17632/rscbjbr9sj.2. "
        "Paper: Kermany DS et al., Cell 172(5):1122-1131, 2018."
    ),
    note="children of one to five years, one hospital; the test folder is another batch",
    parts=("train", "val", "test"),
    labels={"NORMAL": 0, "PNEUMONIA": 1},
    ways=(
        # Version 3 of the same record (ZhangLabData.zip, 8.4 GB with the eye scans) names the
        # films otherwise and its counts are not verified: it is not offered.
        Way(
            name="mendeley",
            page="https://data.mendeley.com/datasets/rscbjbr9sj/2",
            archive="ChestXRay2017.zip",
            url=(
                "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files/"
                "f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded"
            ),
            counts={
                "train/NORMAL": 1349,
                "train/PNEUMONIA": 3883,
                "test/NORMAL": 234,
                "test/PNEUMONIA": 390,
            },
            archive_bytes=1_235_512_464,
        ),
        # The same films; 16 of train moved to a val folder, and all of them packed twice.
        Way(
            name="kaggle",
            page="https://www.kaggle.com/datasets/paultimothymooney/chest-xray-pneumonia",
            archive="chest-xray-pneumonia.zip",
            handle="paultimothymooney/chest-xray-pneumonia",
            counts={
                "train/NORMAL": 1341,
                "train/PNEUMONIA": 3875,
                "val/NORMAL": 8,
                "val/PNEUMONIA": 8,
                "test/NORMAL": 234,
                "test/PNEUMONIA": 390,
            },
        ),
    ),
)

NIH = Source(
    name="nih-chestxray14",
    title="NIH ChestX-ray14: 112,120 films of 30,805 adults and children, 14 findings",
    licence="free use if the NIH Clinical Center is named, its page linked, the paper cited",
    citation=(
        "Wang X, Peng Y, Lu L, Lu Z, Bagheri M, Summers RM: ChestX-ray8: Hospital-scale Chest "
        "X-ray Database and Benchmarks on Weakly-Supervised Classification and Localization of "
        "Common Thorax Diseases. IEEE CVPR 2017, 3462-3471."
    ),
    note="labels mined from reports; pneumonia films often bear other findings",
    manual=(
        "open https://nihcc.app.box.com/v/ChestXray-NIHCC in a browser",
        "download the archives below images/ (about 45 GB) and the table Data_Entry_2017",
        "unpack them into one folder",
        "write films.csv beside them with the columns file, label, patient, age: label PNEUMONIA "
        "where Finding Labels holds Pneumonia, NORMAL where it is No Finding, leave the others "
        "out; patient is Patient ID, age is Patient Age",
        "run: firstread data check films.csv",
    ),
)

RSNA = Source(
    name="rsna-pneumonia",
    title="RSNA Pneumonia Detection Challenge (2018): NIH films read anew by radiologists, DICOM",
    licence="RSNA terms of use: research, education and other use with attribution",
    citation=(
        "Shih G, Wu CC, Halabi SS et al.: Augmenting the National Institutes of Health Chest "
        "Radiograph Dataset with Expert Annotations of Possible Pneumonia. Radiology: Artificial "
        "Intelligence 1(1):e180041, 2019."
    ),
    note="films come from NIH ChestX-ray14: never train on one and test on the other",
    manual=(
        "open https://www.rsna.org/education/ai-resources-and-training/ai-image-challenge/"
        "rsna-pneumonia-detection-challenge-2018 in a browser and accept the terms",
        "download the training images, stage_2_detailed_class_info.csv and "
        "pneumonia-challenge-dataset-mappings_2018.json",
        "unpack them into one folder",
        "write films.csv beside them with the columns file, label, patient, a row a film where the "
        "table has one a box: PNEUMONIA where the class is Lung Opacity, NORMAL where it is "
        "Normal, leave the others out; patient is what stands before the _ in the mapping's "
        "img_id: patientId, and PatientID in the files, is each film's own",
        "run: firstread data check films.csv",
    ),
)

SOURCES: dict[str, Source] = {s.name: s for s in (GUANGZHOU, NIH, RSNA)}
"""Every known set by its name."""
