"""``python -m tinygrad_edu.cli``, the same as the installed command ``tinygrad-edu``."""

import sys

from tinygrad_edu.cli import main

sys.exit(main())
