"""The components of a control plane: how each is started, and when the whole is ready.

Only the API server can be reached, on 127.0.0.1 at a free port: etcd listens on sockets in the folder, the
others on nothing. kwok stands in for the kubelets; stages*.yaml say what it does.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from access import make_access
from api import Client
from processes import Processes

HERE = Path(__file__).resolve().parent
NODES = ("node-1", "node-2", "node-3")
START_SECONDS = 120.0  # far more than it takes, for a machine under load

# Relative to the folder in which etcd and the API server run: a socket's path has at most 107 characters.
_CLIENTS = "unix://localhost:1"
_PEERS = "unix://localhost:2"


@dataclass(frozen=True, slots=True)
class Plane:
    """A running control plane, as its users need it; `tools` is the folder of programs, `pids` by name."""

    folder: Path
    url: str
    ca: Path
    token: str
    kubeconfig: Path
    audit_log: Path | None
    tools: Path
    pids: dict[str, int]

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(asdict(self), default=str)


class Starter:
    """Starts the components of one control plane, whose everything is in `folder`."""

    def __init__(self, folder: Path, *, tools: Path, processes: Processes, audit_log: Path | None) -> None:
        self._folder = folder
        self._tools = tools
        self._processes = processes
        self._audit_log = audit_log
        self._deadline = time.monotonic() + START_SECONDS
        # Bound and never listening: holds the port for the API server, which shares it (SO_REUSEPORT), for as
        # long as this object lives. Nobody can take it in between.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._port.bind(("127.0.0.1", 0))

    def start(self) -> Plane:
        """Returns when Pods can run. Raises AccessError, ProcessError, StopError."""
        port: int = self._port.getsockname()[1]
        url = f"https://127.0.0.1:{port}"
        access = make_access(self._folder)
        key = access.service_account_key
        certificates = self._folder / "certificates"
        ca = certificates / "apiserver.crt"
        client = Client(url, ca=ca, token=access.tokens["simulated-nodes"])

        def kubeconfig(file: str, user: str) -> Path:
            return access.kubeconfig(self._folder / file, url=url, ca=ca, user=user)

        self._run(
            "etcd",
            "--name=local",
            f"--data-dir={self._folder / 'etcd'}",
            f"--listen-client-urls={_CLIENTS}",
            f"--advertise-client-urls={_CLIENTS}",
            f"--listen-peer-urls={_PEERS}",
            f"--initial-advertise-peer-urls={_PEERS}",
            f"--initial-cluster=local={_PEERS}",
            "--unsafe-no-fsync",  # nothing here has to survive a power cut
            "--log-level=warn",
        )
        # Both start at once: the API server tries again until etcd answers.
        self._run(
            "kube-apiserver",
            f"--etcd-servers={_CLIENTS}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            "--permit-port-sharing",
            f"--cert-dir={certificates}",
            f"--token-auth-file={access.token_file}",
            "--authorization-mode=RBAC",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.0.0.0/16",
            "--endpoint-reconciler-type=none",
            "--allow-privileged",
            *self._audit_flags(),
        )
        self._until(lambda: client.answers("/readyz"), "kube-apiserver")
        eager = ("--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000")
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig('controller-manager.kubeconfig', 'system:kube-controller-manager')}",
            "--use-service-account-credentials",
            f"--service-account-private-key-file={key}",
            f"--root-ca-file={ca}",
            *eager,
        )
        self._run(
            "kube-scheduler",
            f"--kubeconfig={kubeconfig('scheduler.kubeconfig', 'system:kube-scheduler')}",
            *eager,
        )
        self._run(
            "kwok",
            f"--kubeconfig={kubeconfig('nodes.kubeconfig', 'simulated-nodes')}",
            *(f"--config={stages}" for stages in sorted(HERE.glob("stages*.yaml"))),
            "--manage-all-nodes",
            "--node-ip=127.0.0.1",
            "--node-lease-duration-seconds=40",  # without a Lease a Node is declared lost after a minute
            "--cidr=10.64.0.0/12",
        )
        self._until(lambda: all(client.make_node(name) for name in NODES), "kube-apiserver")
        self._until(lambda: client.ready_nodes() == len(NODES), "kwok")
        # A namespace refuses Pods until its service account is there.
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self._until(lambda: client.answers(account), "kube-controller-manager")
        return Plane(
            folder=self._folder,
            url=url,
            ca=ca,
            token=access.tokens["admin"],
            kubeconfig=kubeconfig("kubeconfig", "admin"),
            audit_log=self._audit_log,
            tools=self._tools,
            pids=self._processes.pids(),
        )

    def _audit_flags(self) -> list[str]:
        if self._audit_log is None:
            return []
        return [
            f"--audit-policy-file={HERE / 'audit.yaml'}",
            f"--audit-log-path={self._audit_log}",
            "--audit-log-maxsize=0",  # one file: a rotated one would break a count
        ]

    def _run(self, name: str, *arguments: str) -> None:
        # HOME: nothing of the person's is read or written.
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(self._folder)}
        self._processes.start(name, [self._tools / name, *arguments], folder=self._folder, environment=environment)

    def _until(self, reached: Callable[[], bool], name: str) -> None:
        """Wait for what the component `name` does."""
        while not reached():
            if time.monotonic() > self._deadline:
                raise self._processes.error(name, f"is not ready after {START_SECONDS:.0f} s")
            self._processes.wait(0.05)
