"""A real sshd on loopback, which lets one in by a key of the test, and a real ssh that finds its way there."""

import getpass
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from debian import unpacked
from oda.cluster.elasticsearch import NOBODY
from support import HANG_SECONDS, free_port, wait_until

_SERVER = """
ListenAddress 127.0.0.1:{port}
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
KbdInteractiveAuthentication no
"""

_CLIENT = """
IdentityFile {folder}/person
IdentitiesOnly yes
UserKnownHostsFile {folder}/known_hosts
StrictHostKeyChecking yes
BatchMode yes
"""


@dataclass(frozen=True)
class Sshd:
    """One that runs: where, whom it lets in, a folder with the `ssh` that knows it, and what it says."""

    port: int
    user: str
    bin: Path
    log: Path


@contextmanager
def sshd(folder: Path, nimbus_port: int) -> Iterator[Sshd]:
    """Its key is for a way to nimbus, and nothing else."""
    server, client, library = (unpacked(f) for f in ("openssh-server", "openssh-client", "libwrap0"))
    running = Sshd(free_port(), "nobody" if os.geteuid() == 0 else getpass.getuser(), folder / "bin", folder / "log")
    for name in ("host", "person"):
        keygen = [client / "usr/bin/ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name]
        subprocess.run(keygen, check=True)
    (folder / "sshd_config").write_text(_SERVER.format(port=running.port, folder=folder))
    only = f'restrict,port-forwarding,permitopen="localhost:{nimbus_port}"'
    (folder / "authorized_keys").write_text(f"{only} {(folder / 'person.pub').read_text()}")
    (folder / "ssh_config").write_text(_CLIENT.format(folder=folder))
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{running.port} {(folder / 'host.pub').read_text()}")
    running.bin.mkdir()
    # ssh looks for its files where the list of users says that one lives, whatever HOME is.
    (running.bin / "ssh").write_text(f'#!/bin/sh\nexec "{client}/usr/bin/ssh" -F "{folder}/ssh_config" "$@"\n')
    (running.bin / "ssh").chmod(0o755)
    # One that root starts wants an account that comes with the package.
    command = [
        *(NOBODY if os.geteuid() == 0 else []),
        server / "usr/sbin/sshd",
        "-D",
        "-e",
        "-f",
        folder / "sshd_config",
    ]
    environment = os.environ | {"LD_LIBRARY_PATH": f"{library}/usr/lib/{os.uname().machine}-linux-gnu"}
    with running.log.open("wb") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        try:
            wait_until(lambda: "listening" in running.log.read_text(), running.log.read_text)
            yield running
        finally:
            process.terminate()
            process.wait(HANG_SECONDS)
