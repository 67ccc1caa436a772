"""What people and machines can see of a running service: logs, metrics, readiness."""

import os

# With either variable, prometheus_client keeps its numbers in files of that folder instead of this
# process, and decides so when it is imported.
IGNORED_VARIABLES = tuple(
    name
    for name in ("PROMETHEUS_MULTIPROC_DIR", "prometheus_multiproc_dir")
    if os.environ.pop(name, None) is not None
)
"""Variables that were set in the environment and have no effect."""
