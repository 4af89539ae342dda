"""The main job, by accounts that may do no more than their role."""

import csv
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from oda.admin.rights import ROLES
from oda.cluster.layout import load_layout
from oda.cluster.local import LocalCluster
from oda.cluster.software import install
from oda.isolated import isolated
from oda.paths import BIN, ROOT
from oda.security import tls_problem
from oda.settings import StormSecurity
from oda.storm.sparse import ENVIRONMENT
from receivers import Hook
from secured.servers import Servers, as_user
from ssh import sshd
from support import ENV, HANG_SECONDS, HEARS_CTRL_C, Cluster, free_port, wait_until


@pytest.fixture(scope="module")
def job(roles: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """With Storm, a config.json that has an environment for each role. Nimbus is behind an sshd."""
    folder = tmp_path_factory.mktemp("job")
    config = isolated(roles.config, "local", roles.folder, **{"kafka__partitions": 2})
    document = json.loads(config.read_text())
    local = document["envs"]["local"]
    local["options"]["topology.workers"] = 2
    for role in ROLES:
        options = as_user(local["options"], roles.ca, f"oda-{role}", roles.password(role))
        document["envs"][role] = local | {"options": options}
    layout = load_layout(roles.config, "local")
    with sshd(folder, layout.nimbus.ports["nimbus"]) as ssh, pytest.MonkeyPatch.context() as patch:
        patch.setitem(ENVIRONMENT, "PATH", f"{ssh.bin}:{ENVIRONMENT['PATH']}")
        topology = document["envs"]["topology"]
        topology |= {"use_ssh_for_nimbus": True, "user": ssh.user, "ssh_port": ssh.port}
        # A supervisor's workers have what is in its environment.
        del topology["options"]["oda.cassandra.security.password_file"]
        topology["options"]["oda.cassandra.security.password_env"] = "ODA_TEST_PASSWORD"
        for environment in (os.environ, ENV):
            patch.setitem(environment, "ODA_TEST_PASSWORD", roles.password("topology").read_text().strip())
        config.write_text(json.dumps(document))
        roles.make(config)
        LocalCluster(layout, install(lambda *_: None)).up(lambda *_: None)
        yield config
        assert f"Accepted publickey for {ssh.user}" in ssh.log.read_text()


def test_the_main_job_by_accounts_that_may_do_no_more_than_their_role(job: Path, tmp_path: Path) -> None:
    administrator, topology, collector, reader, auditor = (Cluster(job, env) for env in ("local", *ROLES))
    (tmp_path / "rules.yaml").write_text("rules: [{series: '*', incident: {quiet: 1m}}]")
    administrator.oda("rules", "apply", tmp_path / "rules.yaml")
    with Hook() as hook, notifying(reader, tmp_path, hook), topology.topology():
        collector.oda("collect", "walk", "--series", 5, "--rate", 500, "--count", 4000, "--spikes", 200)
        auditor.verify()
        wait_until(lambda: hook.told, "nobody was told of an incident")
        with started(reader, "watch", "--from-beginning", stdout=subprocess.PIPE, text=True) as watch:
            wait_until(lambda: "ANOMALY" in watch.stdout.readline(), "no anomaly is shown")
        exported = reader.oda("export", "anomalies", "-", "--since", "2000-01-01T00:00:00Z").stdout
        found = next(csv.DictReader(exported.splitlines()))
        assert "equal to the last bit" in reader.oda("why", found["series"], found["time"]).stdout
        port = free_port()
        with started(reader, "serve", "--port", port, "--topology", reader.settings.kafka.group):
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/ready"), "the page is not ready")
            pipeline = requests.get(f"http://127.0.0.1:{port}/api/pipeline", timeout=HANG_SECONDS)
            assert '"ACTIVE"' in pipeline.text
        storm_keeps_out_who_has_no_certificate_for_it(topology)


def test_sparse_run_by_the_topologys_account(job: Path) -> None:
    with Cluster(job, "topology").in_one_process():
        Cluster(job, "collector").oda("collect", "walk", "--series", 2, "--rate", 500, "--count", 1000)
        Cluster(job, "auditor").verify()


def storm_keeps_out_who_has_no_certificate_for_it(topology: Cluster) -> None:
    """People come to the UI and the logs; only servers come to ZooKeeper, and workers to workers."""
    layout = load_layout(topology.config, "local")
    person = topology.settings.storm.security
    stranger = StormSecurity(ca=person.ca)
    certificate = layout.certificates / "server.pem"
    server = StormSecurity(ca=person.ca, certificate=str(certificate), key=str(certificate.with_suffix(".key")))
    of = {kind: [*places[0].ports.values()] for kind, places in layout.places.items()}
    _supervisor, *workers = of["supervisor"]
    outside, inside = [*of["ui"], *of["logviewer"]], [of["zookeeper"][0], *workers]
    for ports, welcome, others in ((outside, person, (stranger, server)), (inside, server, (stranger, person))):
        for address in (("127.0.0.1", port) for port in ports):
            assert tls_problem([address], welcome) is None
            assert all(tls_problem([address], other) for other in others), address


@contextmanager
def started(cluster: Cluster, *arguments: object, **more: object) -> Iterator[subprocess.Popen]:
    """A command that goes on until it is ended."""
    command = [BIN / "oda", "--config", cluster.config, "--env", cluster.env, *map(str, arguments)]
    with subprocess.Popen(command, cwd=ROOT, env=ENV, preexec_fn=HEARS_CTRL_C, **more) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(HANG_SECONDS)


@contextmanager
def notifying(reader: Cluster, folder: Path, hook: Hook) -> Iterator[None]:
    """Tells a receiver what happens from now on."""
    file = folder / "notify.yaml"
    file.write_text(
        json.dumps({"receivers": [{"name": "ops", "webhook": {"url": hook.url}}], "routes": [{"to": ["ops"]}]})
    )
    with started(reader, "notify", "run", file):
        wait_until(lambda: "never started" not in reader.oda("notify", "status", file, check=False).stdout, "not known")
        yield


def answers(url: str) -> bool:
    try:
        return requests.get(url, timeout=HANG_SECONDS).status_code == 200
    except requests.ConnectionError:
        return False
