"""`python -m tpo_core.cli`, as launchers of several processes take it."""

import sys

from tpo_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
