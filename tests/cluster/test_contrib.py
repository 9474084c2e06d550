"""The files of contrib/cluster: what they name is there, and the programs that read them take them."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

from posthouse.config import load
from posthouse.doors import ROLES
from tests.cluster.balancer import haproxy

ROOT: Final = Path(__file__).resolve().parents[2]
CONTRIB: Final = ROOT / "contrib" / "cluster"
KEYS: Final = {
    *("image", "build", "command", "environment", "hostname", "depends_on"),
    *("volumes", "ports", "restart"),
}


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((CONTRIB / "compose.yaml").read_text())
    return found


def nodes() -> dict[str, dict[str, Any]]:
    """The services that are this program."""
    return {name: service for name, service in compose()["services"].items() if "build" in service}


def roles(service: dict[str, Any]) -> set[str]:
    command, option, names = shlex.split(service["command"])
    assert (command, option) == ("serve", "--roles")
    return set(names.split(","))


def test_every_service_says_only_what_compose_knows() -> None:
    for name, service in compose()["services"].items():
        assert set(service) <= KEYS, name
        assert {"image", "build"} & set(service), name


def test_the_nodes_together_have_every_role() -> None:
    served = [roles(service) for service in nodes().values()]
    assert set().union(*served) == ROLES - {"lmtp"}, "LMTP is for a mail host before us: there is none"
    for role in set().union(*served):
        assert sum(role in some for some in served) == 2, f"{role} must outlive a node"


def test_files_services_and_volumes_that_are_named_are_there() -> None:
    whole = compose()
    for name, service in whole["services"].items():
        assert set(service.get("depends_on", ())) <= set(whole["services"]), name
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            there = (CONTRIB / source).is_file() if source.startswith(".") else source in whole["volumes"]
            assert there, f"{name}: {source}"
        build = service.get("build")
        if build is not None:
            context = (CONTRIB / build["context"]).resolve()
            assert (context / build["dockerfile"]).is_file()
            assert (context / "pyproject.toml").is_file()


def test_the_nodes_configuration_is_one() -> None:
    config = load(CONTRIB / "node.toml", {"HOSTNAME": "mx1.example.test"})
    assert config.hostname == "mx1.example.test"
    services = compose()["services"]
    assert config.store.url == "postgresql://posthouse:secret@db/posthouse"
    assert services["db"]["environment"] == {
        "POSTGRES_USER": "posthouse",
        "POSTGRES_PASSWORD": "secret",
        "POSTGRES_DB": "posthouse",
    }
    assert config.store.blobs.endswith("endpoint=http://s3:8333")
    (identity,) = yaml.safe_load((CONTRIB / "s3.json").read_text())["identities"]
    keys = identity["credentials"][0]
    assert config.store.blobs.startswith(f"s3://{keys['accessKey']}:{keys['secretKey']}@")


def test_the_balancer_takes_its_file_and_serves_what_is_published() -> None:
    file = CONTRIB / "haproxy.cfg"
    done = subprocess.run([haproxy(), "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = file.read_text()
    bound = {line.split(":")[1] for line in map(str.strip, text.splitlines()) if line.startswith("bind")}
    published = {port.split(":")[1] for port in compose()["services"]["balancer"]["ports"]}
    assert published == bound
    named = {line.split()[1] for line in map(str.strip, text.splitlines()) if line.startswith("server ")}
    assert named <= set(nodes())
    assert not [name for name, service in nodes().items() if "ports" in service], (
        "behind `proxies` a connection that comes without the PROXY header is refused"
    )


def test_the_database_pair_s_file_can_be_read() -> None:
    found = yaml.safe_load((CONTRIB / "patroni.yml").read_text())
    assert found["bootstrap"]["dcs"]["synchronous_mode"] is True, "a 250 outlives the primary"


def test_the_databases_let_each_other_and_the_nodes_in() -> None:
    """What initdb writes lets in nobody from another machine: there would never be a standby."""
    settings = yaml.safe_load((CONTRIB / "patroni.yml").read_text())["postgresql"]
    rules = [line.split() for line in settings["pg_hba"]]
    assert ["replication", settings["authentication"]["replication"]["username"]] in [r[1:3] for r in rules]
    assert {"10.0.0.0/24", "127.0.0.1/32"} <= {rule[3] for rule in rules if len(rule) == 5}
    assert {rule[-1] for rule in rules} == {"peer", "scram-sha-256"}, "nobody comes in without a password"
