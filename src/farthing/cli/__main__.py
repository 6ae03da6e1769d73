"""`python -m farthing.cli`: for what starts modules, as torchrun does."""

import sys

from farthing.cli import main

sys.exit(main())
