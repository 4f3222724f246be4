"""`python -m netspec` is the command `netspec`."""

from __future__ import annotations

import sys

from netspec.cli import main

sys.exit(main())
