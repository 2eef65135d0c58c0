"""The reader: films in, opinions out, with onnxruntime on the CPU and without torch.

Each film is a run of its own, on one thread, and several threads each take a film from
bytes to opinion. Pillow and onnxruntime both let go of Python's lock, so decoding one film
overlaps the network on another; and since no film ever shares a run with its neighbours,
an opinion cannot depend on what else was in the batch, not in the last bit. Batching would
not be faster either: a MobileNetV2 at 192 px took 4.6 ms a film alone and 6.5 ms in runs
of eight, on one thread of the machine it was first measured on.
"""

from __future__ import annotations

import contextlib
import math
from collections import deque
from collections.abc import Callable, Generator, Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, SupportsFloat

from firstread.errors import FirstreadError, Shortage
from firstread.film import Film, Preprocess, decode, preprocess
from firstread.film.age import OLDEST, age_of
from firstread.film.decode import Before
from firstread.film.lungs import LEAST_SIDE, SIDE, Grey, doubt, lung_mask, shipped
from firstread.film.photo import looks_photographed
from firstread.film.preprocess import seen_box
from firstread.film.quality import plainly_no_film, quality_notes
from firstread.film.shortage import shortage
from firstread.film.turns import Turn
from firstread.read.bundle import Bundle
from firstread.read.engine import AUTO, INPUT, OUTPUTS, Opened, default_threads, open_bundle
from firstread.read.gate import (
    MIRRORED,
    NO_GATE,
    TURNED,
    Verdict,
    judge,
    told_doubt,
    told_mirrored,
    told_otherwise,
)
from firstread.read.gate import OUTPUT as GATE
from firstread.read.opinion import Opinion, decide, rejected
from firstread.read.regions import regions

if TYPE_CHECKING:
    from concurrent.futures import Future


class Named(Protocol):
    """A film with a name of its own, wherever its bytes are: in a zip, in a table's row.

    May also have `true_size`, (width, height) in pixels before it was stored squashed, and `age`,
    the patient's in years or None, as somebody has told it.
    """

    @property
    def name(self) -> str:
        """What the opinion calls the film."""

    def read_bytes(self) -> bytes:
        """The bytes of the file. May raise a `FirstreadError`."""


Readable = str | Path | bytes | bytearray | memoryview | Named
_BYTES = bytes | bytearray | memoryview


class Reader:
    """Reads films with one bundle.

    `bundle`: a loaded or an opened `Bundle`, a bundle folder, or None for the one that is shipped.
    `threads`: films read at a time by `read_many`; None takes the CPUs at hand, at most 8.
    `lungs`: find the lungs too, and say where in them the evidence lies; heat then always comes
    along.
    `engine`: what runs the graph, of `firstread.read.engine.ENGINES`, or "auto" for the fastest
    that reads alike; an opened bundle has its own.
    May be pickled: what comes out has opened the bundle of the same folder again.
    Raises `BundleError` where the bundle is missing, changed or no graph of ours,
    `MissingExtra` where the engine is not installed, `EngineError` for one of another name, and
    `TypeError` or `ValueError` for threads that are no number of 1 or more.
    """

    def __init__(
        self,
        bundle: Bundle | Path | str | Opened | None = None,
        threads: int | None = None,
        lungs: bool = False,
        engine: str = AUTO,
    ):
        if isinstance(threads, bool) or not isinstance(threads, Integral | None):
            raise TypeError("threads must be a whole number of 1 or more, or None")
        self.threads = default_threads() if threads is None else int(threads)
        if self.threads < 1:
            raise ValueError("threads must be 1 or more")
        if not isinstance(bundle, Opened):
            bundle = open_bundle(bundle, engine, self.threads)
        self.bundle, self.engine = bundle.bundle, bundle.engine
        self.session = bundle.session
        self._lungs = shipped() if lungs else None

    def __reduce__(self) -> tuple[type[Reader], tuple[Path, int, bool, str]]:
        lungs = self._lungs is not None
        return type(self), (self.bundle.path.absolute(), self.threads, lungs, self.engine)

    def read(
        self, source: Readable, heat: bool = True, age: SupportsFloat | None = None
    ) -> Opinion:
        """The opinion on one film: a path, the bytes of a file (then `file` is ""), or a `Named`.

        A film that cannot be read is an opinion too: "rejected", with the reason and without
        a probability. Nothing is raised for it. With `heat` the model's map comes along.
        Raises `Shortage` where memory or the like ran out, which is not the film's fault.
        `age`: the patient's in years, before what the source and then the file tell; None or NaN
        where not known. Raises `TypeError` for a source of another kind, `TypeError` or
        `ValueError` for an age that is none.
        """
        file, heat = _name(source), heat or self._lungs is not None
        age = _years(age if age is not None else getattr(source, "age", None))
        try:
            with Turn() as turn:
                film = _decoded(source, self.bundle.card.preprocess.first, turn)
                return self._judge(file, film, heat, age, lambda: _decoded(source, SIDE, turn))
        except Shortage as e:
            raise Shortage(f"{file}: {e}" if file else str(e)) from None
        except FirstreadError as e:
            return self._rejected(file, str(e))
        except Exception as e:  # whatever is wrong with one film, the next must get its turn
            if short := shortage(e):
                raise Shortage(f"{file}: {short}" if file else str(short)) from None
            reason = f"the film could not be read ({type(e).__name__}); export it again"
            return self._rejected(file, reason)

    def read_many(
        self, sources: Iterable[Readable], heat: bool = False, age: SupportsFloat | None = None
    ) -> Generator[Opinion, None, None]:
        """Opinions in the order of `sources`, while later films are already being read.

        Never raises for a bad film (see `read`; an age that is none, or one film in place of
        several, raises at once). What `sources` raises, and `Shortage`, comes after the opinions on
        the films before. Memory is bounded: at most twice `threads` films are ahead of the caller,
        however many there are. Closing the generator, or an interrupt, drops the films not yet
        begun and waits for those under way.
        """
        if isinstance(sources, str | Path | _BYTES):  # of which the parts are no films
            raise TypeError("give a list of films; one film is for read()")
        return self._many(sources, heat, _years(age))

    def _many(
        self, sources: Iterable[Readable], heat: bool, age: float | None
    ) -> Generator[Opinion, None, None]:
        from concurrent.futures import ThreadPoolExecutor

        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="firstread")
        ahead: deque[Future[Opinion]] = deque()
        coming, broken = iter(sources), None
        try:
            while True:
                try:
                    source = next(coming)
                except StopIteration:
                    break
                except Exception as e:  # the opinions on films before it are as good as ever
                    broken = e
                    break
                ahead.append(pool.submit(self.read, source, heat, age))
                if len(ahead) >= 2 * self.threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
            if broken is not None:
                raise broken
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _judge(
        self, file: str, film: Film, heat: bool, age: float | None, larger: Callable[[], Film]
    ) -> Opinion:
        card = self.bundle.card
        pixels = preprocess(film, card.preprocess)
        wanted = [OUTPUTS[0], *([OUTPUTS[1]] if heat else []), *([GATE] if card.gate else [])]
        found = dict(zip(wanted, self.session.run(wanted, {INPUT: pixels[None]}), strict=True))
        logit = float(found["logit"][0])
        probability = card.probability(logit)
        if not math.isfinite(logit):  # one that has overflowed would be sure: 0 or 1
            return self._rejected(file, "the model gave no number for this film")
        lungs = self._lungs.mask(pixels) if self._lungs is not None else None
        unsure = told_doubt(film.tags)
        doubted = None if lungs is None else (unsure if unsure == TURNED else doubt(lungs))
        if doubted is not None:
            lungs = None
        plain = plainly_no_film(film)
        verdict = Verdict(plain or told_otherwise(film.tags), unsure)
        if verdict.reject is None and card.gate is not None:
            seen = judge(
                card.gate, found[GATE][0], lambda: doubt(lung_mask(self._whole(pixels, larger)))
            )
            verdict = Verdict(seen.reject, seen.refer or unsure)
        age = age if age is not None else age_of(film.tags)
        decision, reasons = decide(probability, verdict, self.bundle, age)
        # Of what is plainly none it needs no saying.
        photo = [] if plain is not None else [looks_photographed(film)]
        mirrored = told_mirrored(film.tags)
        return Opinion(
            file=file,
            probability=probability,
            logit=logit,
            threshold=card.threshold,
            decision=decision,
            reasons=reasons,
            bundle=self.bundle.name,
            bundle_sha256=self.bundle.sha256[:12],
            notices=card.notices,
            notes=(
                *quality_notes(film),
                *filter(None, photo),
                *((MIRRORED,) if mirrored else ()),
                *(() if card.gate else (NO_GATE,)),
            ),
            heat=found["map"][0] if heat else None,
            pixels=pixels,
            aspect=film.pixels.shape[1] / film.pixels.shape[0],
            seen=seen_box(film, card.preprocess),
            lungs=lungs,
            regions=None if lungs is None else regions(found["map"][0], lungs, mirrored),
            regions_doubt=doubted,
            engine=self.engine,
            mirrored=mirrored,
        )

    def _whole(self, pixels: Grey, larger: Callable[[], Film]) -> Grey:
        """What the gate's lungs are looked for on: all of the film, and no less than they can be
        found on. A model may see the middle of a film, which lungs fill, or next to no pixels; the
        film is then decoded once `larger`, since its own pixels are those that it learnt from."""
        how = self.bundle.card.preprocess
        seen = how.frame == "squash" and how.size >= LEAST_SIDE
        return pixels if seen else preprocess(larger(), Preprocess(SIDE))

    def _rejected(self, file: str, reason: str) -> Opinion:
        return rejected(file, reason, self.bundle, self.engine)


def _name(source: Readable) -> str:
    if isinstance(source, str | Path):
        return str(source)
    if isinstance(source, _BYTES):
        return ""
    name = getattr(source, "name", None)
    if not isinstance(name, str) or not callable(getattr(source, "read_bytes", None)):
        raise TypeError(
            f"{type(source).__name__} is no film's file; give a path, the bytes of a file, or an "
            "object with a name and read_bytes()"
        )
    return name


def _years(age: SupportsFloat | None) -> float | None:
    """An age as years; None where it is not known."""
    if age is None:
        return None
    if isinstance(age, bool) or not isinstance(age, Real):  # True is no year
        raise TypeError("age must be a number of years, or None")
    try:
        years = float(age)
    except OverflowError:  # a whole number beyond every float
        years = math.inf
    if math.isnan(years):
        return None
    if not 0 <= years <= OLDEST:
        raise ValueError(f"age must be years, from 0 to {OLDEST}")
    return years


def _decoded(source: Readable, size: int, before: Before) -> Film:
    if isinstance(source, str | Path):
        with contextlib.suppress(OSError, ValueError):  # `decode` says it better
            before(Path(source).stat().st_size // 2)
    if isinstance(source, _BYTES):
        source = bytes(source)
    if isinstance(source, str | Path | bytes):  # a Path has a name as well
        return decode(source, reduce_to=size, before=before)
    film = decode(source.read_bytes(), reduce_to=size, before=before)
    return film.taken_at(getattr(source, "true_size", None))
