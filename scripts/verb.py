"""How scripts that make a result end: it is written whole, or one line says what is missing."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from firstread.errors import FirstreadError
from firstread.film.files import write_atomic

Study = Callable[[argparse.Namespace], dict[str, Any]]


def written(study: Study, args: argparse.Namespace, show: Callable[[Any], Any]) -> int:
    """Write `study(args)` to `args.json`, print what `show` takes of it: 0, or 2 for an error."""
    try:
        result = study(args)
    except FirstreadError as e:
        print(f"{Path(sys.argv[0]).stem}: {e}", file=sys.stderr)
        return 2
    write_atomic(args.json, json.dumps(result, indent=1, allow_nan=False) + "\n")
    print(json.dumps(show(result), indent=1))
    return 0
