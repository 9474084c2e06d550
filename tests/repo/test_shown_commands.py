"""What the documents tell an administrator to type exists, and the units of contrib/systemd fit docs/install.md."""

from __future__ import annotations

import configparser
import re
import shlex
from pathlib import Path

import click

from posthouse.cli import COMMANDS, main

ROOT = Path(__file__).resolve().parents[2]
PAGES = [*ROOT.glob("README*.md"), *(ROOT / "docs").glob("*.md")]
UNITS = ROOT / "contrib" / "systemd"
BLOCK = re.compile(r"^```(?:sh)?\n(.*?)^```", re.MULTILINE | re.DOTALL)
CALL = re.compile(r"(?:runuser -u \S+ -- )?(?:\S*/)?posthouse ((?:[a-z]|-c ).*)")
SPAN = re.compile(r"`((?:\S*/)?posthouse [^`\n]+)`")


def shown() -> list[tuple[str, str]]:
    """(page, command line) for each line of a code block, or piece of code, that calls `posthouse`."""
    found = []
    for page in PAGES:
        text = page.read_text()
        lines = [line for block in BLOCK.findall(text) for line in block.splitlines()]
        for line in [*lines, *SPAN.findall(BLOCK.sub("", text))]:
            call = CALL.match(line.partition("   #")[0])
            if call is not None:
                found.append((page.name, call[1].strip()))
    return found


def problem(line: str) -> str:
    """What is wrong with a command line; nothing: it could be typed."""
    words = [word for word in shlex.split(line, comments=True) if word not in {"…", "|"}]
    while words and words[0] == "-c":
        words = words[2:]
    command: click.Command = main
    while words and isinstance(command, click.Group):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"no command {words[0]}"
        command, words = found, words[1:]
    known = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    options = {
        option.partition("=")[0] for word in words for option in word.split("|") if option.startswith("--")
    }
    return f"no option {', '.join(sorted(options - known))}" if options - known else ""


def test_every_command_that_is_shown_exists() -> None:
    lines = shown()
    assert len(lines) > 100
    assert {words.split()[0] for _, words in lines} >= set(COMMANDS) - {"certificate"}
    assert [f"{page}: {line}: {said}" for page, line in lines if (said := problem(line))] == []


def unit(name: str) -> configparser.ConfigParser:
    read = configparser.ConfigParser(interpolation=None)
    read.optionxform = str  # type: ignore[assignment,method-assign]  # systemd tells capitals
    read.read_string((UNITS / name).read_text())
    return read


def test_the_units_are_those_of_the_page() -> None:
    page = (ROOT / "docs" / "install.md").read_text()
    server, backup = unit("posthouse.service")["Service"], unit("posthouse-backup.service")["Service"]
    for service in (server, backup):
        program, _, configuration, *words = service["ExecStart"].split()
        assert f"install -d -o {service['User']} " in page
        assert program in page
        assert f"--dir {Path(configuration).parent}" in page
        assert problem(" ".join(words)) == ""
    folder = backup["ExecStart"].split()[-1]
    writable = {path.lstrip("-") for path in server["ReadWritePaths"].split()}
    assert writable == {"/srv/posthouse", folder}, "the server itself writes backups"
    assert f"backup {folder}\n" in page
