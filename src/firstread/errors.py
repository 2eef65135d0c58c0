"""What can go wrong, as a tree.

Every error a user can cause or meet has a name here, and its message is one line
that says what to do about it::

    FirstreadError
    ├── FilmError                one film; a batch goes on past it
    │   ├── UnreadableFilm       bytes that do not decode (truncated, not an image)
    │   └── FilmTooLarge         more pixels than we are willing to decode
    ├── DataError                a folder, table or split of films
    │   ├── FolderNotFound
    │   ├── NoFilms              nothing there that could be a film
    │   ├── ClassFolderError     NORMAL/ or PNEUMONIA/ is missing or misspelt
    │   ├── TableError           a CSV without the columns we need
    │   └── SplitError           a split that leaks or no longer fits its films
    ├── DownloadError            a data set that could not be fetched whole
    ├── WeightsError             weights that are missing, unknown or do not fit
    ├── RecipeError              a recipe with an unknown key or an impossible value
    ├── RunError                 a training run that is missing, unfinished or another's
    ├── BundleError              a bundle that is missing, incomplete or changed
    ├── OutputError              a place we cannot write to
    │   └── NotNow               or not yet: somebody else has it
    ├── Shortage                 no memory, open files or disk left: no film's fault, try again
    ├── EngineError              an engine that nobody knows
    └── MissingExtra             a verb that needs an extra which is not installed
"""


class FirstreadError(Exception):
    """Base of every error firstread raises on purpose; its text is one line for the user."""


class FilmError(FirstreadError):
    """One film could not be used."""


class UnreadableFilm(FilmError):
    """The bytes do not decode to a picture."""


class FilmTooLarge(FilmError):
    """The picture has more pixels than the decode limit."""


class DataError(FirstreadError):
    """A folder, table or split of films cannot be used."""


class FolderNotFound(DataError):
    """The named folder or file does not exist."""


class NoFilms(DataError):
    """No film was found where films were expected."""


class ClassFolderError(DataError):
    """A class folder is missing or misspelt."""


class TableError(DataError):
    """A CSV table lacks a column or holds a value we do not understand."""


class SplitError(DataError):
    """A split leaks patients or does not belong to the films at hand."""


class DownloadError(FirstreadError):
    """A data set could not be fetched whole."""


class WeightsError(FirstreadError):
    """Weights are missing, unknown or do not fit the architecture."""


class RecipeError(FirstreadError):
    """A recipe has an unknown key or an impossible value."""


class RunError(FirstreadError):
    """A training run is missing, unfinished or was made with another recipe."""


class BundleError(FirstreadError):
    """A bundle is missing, incomplete or has been changed."""


class OutputError(FirstreadError):
    """An output file or folder cannot be written."""


class NotNow(OutputError):
    """Another process has the place, or it is not there yet: the same may do later."""


class Shortage(FirstreadError):
    """Memory, open files or room on a disk ran out: no film's fault, and another time it may do."""


class EngineError(FirstreadError):
    """No engine has the name that was given."""


class MissingExtra(FirstreadError):
    """A verb needs an optional dependency that is not installed."""
