"""`python -m al_agent.cli` is `al-agent`."""

import sys

from . import main

sys.exit(main())
