"""Where the benchmarks find the load generator, keep results, and let servers work."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SHARED = Path(os.environ.get("POSTHOUSE_BENCH", ROOT.parent / "shared" / "bench"))
RESULTS = ROOT / "bench-results"
WORK = Path(os.environ.get("POSTHOUSE_BENCH_WORK", Path(tempfile.gettempdir()) / "posthouse-bench"))
