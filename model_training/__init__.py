"""Offline: from a researcher's recordings, or from none, to an artefact that the service answers with."""

import os

# Read by torch at its first allocation: batches on huge pages. With small ones half of a training step is page faults.
os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
