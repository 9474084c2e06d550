"""Hatchling's build hook: the wheel carries the built webmail, so that its user needs no Node."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PagesHook(BuildHookInterface[Any]):
    """Builds the pages before a wheel is made of them. An editable install leaves that to `make`."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """As hatchling calls it: `version` is `standard` or `editable`."""
        root = Path(self.root)
        static = root / "posthouse" / "web" / "static"
        if version != "standard":
            return
        if (root / "webmail" / "package.json").exists():
            subprocess.run([sys.executable, str(root / "scripts" / "build-webmail.py")], check=True)
        if not (static / "index.html").exists():
            raise RuntimeError("the webmail is not built: run scripts/build-webmail.py first")
        build_data["artifacts"].append("posthouse/web/static/**")
