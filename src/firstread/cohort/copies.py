"""Films of one content: copies under other names, and one film under both labels."""

from __future__ import annotations

from collections import defaultdict

from firstread.cohort.table import Cohort
from firstread.errors import DataError
from firstread.plural import count
from firstread.progress import Progress


def without_copies(cohort: Cohort, progress: Progress | None = None) -> tuple[Cohort, list[str]]:
    """The films, each content once, and sentences on what was left out.

    A copy tells nothing that its film has not told; of copies the first stays. `progress` is
    called with (done, all) where the films have yet to be hashed. Raises `DataError` where a film
    has both labels.
    """
    of: dict[str, list[int]] = defaultdict(list)
    for i, name in enumerate(cohort.read_readable_hashes(progress)):
        of[name or f"unread {i}"].append(i)
    for same in of.values():
        if len({cohort.rows[i].label for i in same}) > 1:
            files = " and ".join(cohort.rows[i].file for i in same[:2])
            raise DataError(
                f"one film has both labels: {files}; give it the right one (`firstread data "
                "check` lists all such films)"
            )
    kept = sorted(same[0] for same in of.values())
    left_out = len(cohort) - len(kept)
    if not left_out:
        return cohort, []
    told = f"of {len(cohort)} films"
    copies = count(left_out, f"{told} is a copy of another", f"{told} are copies of others")
    return cohort.subset(kept), [f"{copies} among them and left out"]


def copies_warning(cohort: Cohort) -> list[str]:
    """What to say of copies where each counts as a film of its own; [] if there are none."""
    try:
        kept, said = without_copies(cohort)
    except DataError as e:
        return [str(e)]
    if not said:
        return []
    told = f"of {len(cohort)} films"
    more = len(cohort) - len(kept)
    return [
        count(more, f"{told} is a copy of another", f"{told} are copies of others")
        + " among them: the intervals take copies for films of their own where they are under "
        "another patient, and are too narrow"
    ]
