"""`python -m firstread`: the same as `firstread`, where the command is not on the path."""

import sys

from firstread.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
