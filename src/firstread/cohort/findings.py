"""From an audit's numbers to a verdict: each finding with its severity and what to do.

- "leak": evaluation would be fooled (a patient or a film on both sides);
- "warning": something is probably wrong or will flatter a model;
- "note": worth knowing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from firstread.plural import count

SEVERITIES = ("leak", "warning", "note")
SPLIT_ANEW = "split with `firstread data split`, which keeps a patient together"

LONERS = 100
"""Films from which on it is told that each is another patient's: ids of films look like this."""


@dataclass(frozen=True)
class Finding:
    """One thing to know. `severity`: leak, warning or note; `do`: what to do about it."""

    severity: str
    code: str
    text: str
    do: str


def judge(report: dict[str, Any]) -> list[Finding]:
    """The findings of an audit's report, the gravest first."""
    parts = (
        _sides,
        _split,
        _files,
        _folders,
        _passed_over,
        _duplicates,
        _names,
        _ages,
        _metadata,
        _balance,
    )
    found = [finding for part in parts for finding in part(report)]
    return sorted(found, key=lambda f: SEVERITIES.index(f.severity))


def _sides(report: dict[str, Any]) -> Iterator[Finding]:
    for cross in report["between"]:
        what = [
            text
            for n, text in (
                (cross["patients"], count(cross["patients"], "patient")),
                (cross["exact"], count(cross["exact"], "identical film")),
                (cross["near"], count(cross["near"], "near-identical film")),
            )
            if n
        ]
        a, b = cross["between"]
        if not what:
            continue
        severity = "leak" if cross["judged"] else "note"
        text = f"{', '.join(what)} on both sides of {a} and {b} ({cross['of']})"
        do = SPLIT_ANEW if cross["judged"] else "judge by the split, not by these folders"
        if cross["judged"] and cross["near"]:
            do += "; give copies under two names one patient, in a CSV with a column `patient`"
        yield Finding(severity, "both-sides", text, do)


def _split(report: dict[str, Any]) -> Iterator[Finding]:
    check = report["split_check"]
    if check is None:
        return
    if n := len(check["missing"]):
        text = f"{count(n, 'film')} of the split not found here (first: {check['missing'][0]})"
        yield Finding("warning", "split-missing", text, "split this folder anew")
    if n := len(check["changed"]):
        text = f"{count(n, 'film')} changed since the split (first: {check['changed'][0]})"
        yield Finding("warning", "split-changed", text, "split this folder anew")
    if n := check["unassigned"]:
        text = f"{count(n, 'film')} left out by the split"
        yield Finding(
            "note", "split-left-out", text, "nothing, if they are the val and test folders"
        )


def _files(report: dict[str, Any]) -> Iterator[Finding]:
    if n := len(report["unreadable"]):
        first = report["unreadable"][0]
        text = f"{count(n, 'film')} unreadable (first: {first['file']}: {first['reason']})"
        yield Finding("warning", "unreadable", text, "copy these files again, or delete them")
    if n := len(report["doubtful"]):
        first = report["doubtful"][0]
        text = f"{count(n, 'picture')} plainly no film (first: {first['file']}: {first['reason']})"
        yield Finding("warning", "no-film", text, "look at them and delete what is no chest film")


def _folders(report: dict[str, Any]) -> Iterator[Finding]:
    for near in report["misnamed_folders"]:
        text = f"folder {near['folder']} looks like a misspelt {near['should_be']}"
        yield Finding("warning", "folder-name", text, f"rename it to {near['should_be']}")
    if report["layout_problem"] and not report["misnamed_folders"]:
        do = "name the folder that holds NORMAL and PNEUMONIA, or train, val and test above them"
        yield Finding("warning", "layout", report["layout_problem"], do)
    if n := len(report["outside"]):
        text = f"{count(n, 'film')} outside the class folders (first: {report['outside'][0]})"
        do = "move them into NORMAL or PNEUMONIA, or delete a second copy; they are not used"
        yield Finding("warning", "outside", text, do)
    if n := report["counts"]["class"].get("unlabelled", 0):
        text = f"{count(n, 'film')} without a label"
        yield Finding("note", "unlabelled", text, "label them before training or evaluation")
    val = report["counts"]["part"].get("val", 0)
    if report["split"] is None and 0 < val < 100 and report["counts"]["part"].get("train", 0) > val:
        text = (
            f"the val folder holds {count(val, 'film')}: too few to choose a model or threshold by"
        )
        do = "validate on a part of train: `firstread data split DIR --out split.csv`"
        yield Finding("note", "small-val", text, do)


def _passed_over(report: dict[str, Any]) -> Iterator[Finding]:
    passed_over = report["passed_over"]
    if passed_over is None:
        return
    if lost := passed_over["lost"]:
        text = f"{count(len(lost), 'film')} linked to nothing (first: {lost[0]})"
        yield Finding("warning", "lost", text, "fetch what the links lead to; they are not used")
    if links := passed_over["links"]:
        text = f"{count(len(links), 'linked folder')} not followed (first: {links[0]})"
        do = "put the films themselves there, or give a CSV that names them"
        yield Finding("warning", "links", text, do)
    if endings := passed_over["endings"]:
        named = ", ".join(f"{n:,} {ending}" for ending, n in endings.items())
        text = f"{count(sum(endings.values()), 'file')} passed over for the ending: {named}"
        do = "unpack them, or save them as PNG, TIFF or JPEG, if they are films"
        yield Finding("warning", "endings", text, do)


def _duplicates(report: dict[str, Any]) -> Iterator[Finding]:
    for kind, word in (("exact", "identical"), ("near", "near-identical")):
        twins = report["duplicates"][kind]
        n = twins["groups"]
        if not n:
            continue
        extra = twins["films"] - n
        text = f"{count(n, 'group')} of {word} films ({count(extra, 'copy', 'copies')} too many)"
        yield Finding(
            "note", f"{kind}-duplicates", text, "nothing, as long as they stay in one part"
        )
        if m := twins["across_classes"]:
            text = f"{count(m, 'group')} of {word} films under two labels"
            yield Finding("warning", f"{kind}-two-labels", text, "one label is wrong: look at them")
        if m := twins["across_patients"]:
            text = f"{count(m, 'group')} of {word} films under two patients"
            do = "the patient numbers are not to be trusted there; keep the group in one part"
            yield Finding("warning", f"{kind}-two-patients", text, do)


def _names(report: dict[str, Any]) -> Iterator[Finding]:
    unknown = report["patients"]["unknown"]["films"]
    if unknown:
        whole = f"{count(unknown, 'film')} of {report['films']:,}"
        text = f"the patient of {whole} is not known: neither named nor in a table"
        files = report["patients"]["unknown"]["files"]
        text += f" (first: {files[0]})"
        do = "patients on both sides cannot be seen there; give a CSV with a column `patient`"
        yield Finding("warning", "patients-unknown", text, do)

    elif report["patients"]["patients"] == report["films"] >= LONERS:
        text = f"no patient has two of the {report['films']:,} films"
        do = "if the ids are those of films, as RSNA's patientId, give a column `patient`"
        yield Finding("note", "one-film-each", text, do)

    if crowd := report["patients"]["crowded"]:
        text = f"one PatientID stands in {crowd[0]:,} of the {crowd[1]:,} films that tell one"
        do = "if that is no person (ANON, 0), give a CSV with a column `patient`"
        yield Finding("warning", "one-id", text, do)


def _ages(report: dict[str, Any]) -> Iterator[Finding]:
    if text := report["ages_unused"]:
        do = "give every film of training an age, so that the model knows whom it is for"
        yield Finding("note", "ages-unused", text, do)


def _metadata(report: dict[str, Any]) -> Iterator[Finding]:
    for leak in report["metadata"]:
        if leak["warning"]:
            by = f", higher in {leak['higher_in']}" if leak["higher_in"] else ""
            text = f"{leak['name']} alone tells the classes apart: AUC {leak['auc']:.2f}{by}"
            do = "hold it against the model: report this baseline beside it, jitter it in training"
            yield Finding("warning", "metadata", text, do)
    columns = {k: why for k, why in report["not_judged"].items() if k.startswith("column ")}
    if columns:
        named = ", ".join(f"{k.removeprefix('column ')} ({why})" for k, why in columns.items())
        text = f"{count(len(columns), 'column')} not judged: {named}"
        do = "look whether they tell the classes apart; give numbers, or few different words"
        yield Finding("note", "not-judged", text, do)
    yield from _one_class_only(report["pictures"])
    constant = [leak["name"] for leak in report["metadata"] if leak["constant"]]
    if constant:
        text = f"the same in all films, so harmless here: {', '.join(constant)}"
        do = "remember that films read later may differ in it"
        yield Finding("note", "constant", text, do)


def _one_class_only(pictures: dict[str, Any]) -> Iterator[Finding]:
    """A colour mode or format that only one class has: its AUC is low where it is rare, yet it
    gives those films away. Told where chance would do it less than once in a hundred."""
    if not {"NORMAL", "PNEUMONIA"} <= set(pictures):
        return
    for mine, other in (("NORMAL", "PNEUMONIA"), ("PNEUMONIA", "NORMAL")):
        share = pictures[mine]["films"] / (pictures[mine]["films"] + pictures[other]["films"])
        for what in ("mode", "format"):
            for value, n in pictures[mine][what].items():
                if value not in pictures[other][what] and share**n < 0.01:
                    text = f"all {count(n, 'film')} of {what} {value} are {mine}"
                    do = "make sure the model never sees it: firstread reads every film as grey"
                    yield Finding("warning", "one-class-only", text, do)


def _balance(report: dict[str, Any]) -> Iterator[Finding]:
    classes = report["counts"]["class"]
    normal, ill = classes.get("NORMAL", 0), classes.get("PNEUMONIA", 0)
    if normal and ill and max(normal, ill) > 2 * min(normal, ill):
        text = f"the classes are uneven: {normal:,} NORMAL, {ill:,} PNEUMONIA"
        yield Finding("note", "balance", text, "balance them in training; read accuracy with care")
    elif (not normal) != (not ill):
        missing = "PNEUMONIA" if normal else "NORMAL"
        text = f"no {missing} film"
        yield Finding("warning", "one-class", text, f"add a folder {missing}; both are needed")
