"""A real sshd on 127.0.0.1 that serves git repositories as a git host does: by keys, for git alone. Stdlib only."""

import os
import pwd
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

#: What runs for every key: git alone, below the one folder, and writing only where the key may.
_GATE = r"""#!/bin/sh
# $1 is the folder of the repositories, $2 says whether the key may write.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
refuse() { echo "ERROR: $1" >&2; exit 1; }
case $SSH_ORIGINAL_COMMAND in
"git-upload-pack '"*"'") verb=upload-pack ;;
"git-receive-pack '"*"'") verb=receive-pack ;;
*) refuse "Only git is served here." ;;
esac
path=${SSH_ORIGINAL_COMMAND#*\'}
path=${path%\'}
case /$path/ in */../*) refuse "Repository not found." ;; esac
[ -d "$1/$path" ] || refuse "Repository not found."
[ $verb = upload-pack ] || [ "$2" = write ] || refuse "The key has been marked as read only."
exec git $verb "$1/$path"
"""


class Sshd:
    """An sshd of this user's own, while the context lasts; it also ends when this process does.

    It serves the bare repositories below `repositories`; `url("shop.git")` is the URL of one. No key is allowed at
    first. `user` is who to log in as, `log` a file with what sshd says.
    """

    host = "127.0.0.1"

    def __init__(self, repositories: Path) -> None:
        self.repositories = repositories.absolute()
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._allowed: dict[str, bool] = {}

    def __enter__(self) -> Self:
        self._folder = Path(tempfile.mkdtemp(prefix="trimtab-sshd-"))
        self.log = self._folder / "log"
        gate = self._folder / "gate"
        gate.write_text(_GATE)
        gate.chmod(0o755)
        try:
            self._make_host_key()
            self._write_keys()
            self._start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, repository: str) -> str:
        """The ssh URL of a repository, named relative to the folder that is served."""
        return f"ssh://{self.user}@{self.host}:{self.port}/{repository}"

    @property
    def known_hosts(self) -> str:
        """The line of known_hosts that makes this server trusted."""
        kind, key, *_ = (self._folder / "host.pub").read_text().split()
        return f"[{self.host}]:{self.port} {kind} {key}\n"

    def allow(self, public_line: str, *, write: bool = False) -> None:
        """Let a key in, as a deploy key: to read, and to write only where that is said."""
        self._allowed[public_line.strip()] = write
        self._write_keys()

    def revoke(self, public_line: str) -> None:
        """Take a key off; it is refused from the next connection on."""
        del self._allowed[public_line.strip()]
        self._write_keys()

    def change_host_key(self) -> None:
        """Give the server another host key, as after a new installation; it stays on its port."""
        self._stop()
        self._make_host_key()
        self._start()

    def _make_host_key(self) -> None:
        for name in ("host", "host.pub"):
            (self._folder / name).unlink(missing_ok=True)
        key = self._folder / "host"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key], check=True)

    def _write_keys(self) -> None:
        lines = []
        for key, write in self._allowed.items():
            gate = shlex.join([str(self._folder / "gate"), str(self.repositories), "write" if write else "read"])
            lines.append(f'restrict,command="{gate}" {key}\n')
        new = self._folder / "authorized_keys.new"
        new.write_text("".join(lines))
        new.rename(self._folder / "authorized_keys")

    def _start(self) -> None:
        program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
        if program is None:
            raise RuntimeError("sshd is not installed: apt-get install openssh-server")
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where it locks itself up; only root's has to
        for _ in range(1 if self.port else 10):
            # Between choosing a free port and using it, somebody else may have taken it.
            port = self.port or _free_port()
            self._process = self._run(program, port)
            if self._listens(port):
                self.port = port
                return
            self._stop()
        raise RuntimeError(f"sshd did not start:\n{self.log.read_text()}")

    def _run(self, program: str, port: int) -> subprocess.Popen[bytes]:
        config = self._folder / "config"
        config.write_text(
            f"""\
Port {port}
ListenAddress {self.host}
HostKey {self._folder}/host
AuthorizedKeysFile {self._folder}/authorized_keys
PidFile none
UsePAM no
StrictModes no
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
AllowUsers {self.user}
AcceptEnv GIT_PROTOCOL
MaxStartups 200
LogLevel VERBOSE
"""
        )
        # It is ended with this process, whatever happens to that.
        leash = ["setpriv", "--pdeathsig", "TERM"] if shutil.which("setpriv") else []
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [*leash, program, "-D", "-e", "-f", config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def _listens(self, port: int) -> bool:
        """Wait until it answers; False when it has ended instead."""
        assert self._process is not None
        while self._process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex((self.host, port)) == 0 and probe.recv(4) == b"SSH-":
                    return True
            time.sleep(0.01)
        return False

    def _stop(self) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((Sshd.host, 0))
        return int(probe.getsockname()[1])
