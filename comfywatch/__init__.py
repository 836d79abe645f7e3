"""Drop a ComfyUI workflow into a folder; get the pictures back in that folder."""

import time

__version__ = "0.1.0"
BEGAN_NS = time.time_ns()
"""When this process began, as far as its first line of ours can tell; on the clock of file times."""
