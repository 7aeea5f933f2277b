"""Who may use a local control plane: keys, tokens and kubeconfigs, each made anew for one control plane.

Everything lies in that control plane's folder, which only its user can read.
"""

import json
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

#: Name → groups. The administrator is whoever gets the kubeconfig; the others are the components.
USERS = {
    "admin": "system:masters",
    "simulated-nodes": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
}


class AccessError(Exception):
    """No key can be made; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Access:
    """The paths of what was written, and each user's token."""

    service_account_key: Path
    token_file: Path
    tokens: dict[str, str]

    def kubeconfig(self, path: Path, *, url: str, ca: Path, user: str) -> Path:
        """Write a kubeconfig for this user (JSON is YAML) and return its path."""
        name = "trimtab-local"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": name,
            "clusters": [{"name": name, "cluster": {"server": url, "certificate-authority": str(ca)}}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": user}}],
            "users": [{"name": user, "user": {"token": self.tokens[user]}}],
        }
        return _write(path, json.dumps(content, indent=1) + "\n")


def make_access(folder: Path) -> Access:
    """Make the keys and tokens of a new control plane in `folder`. Raises AccessError."""
    tokens = {user: secrets.token_urlsafe(32) for user in USERS}
    lines = [f'{tokens[user]},{user},{user},"{groups}"' for user, groups in USERS.items()]
    return Access(
        service_account_key=_rsa_key(folder / "service-account.pem"),
        token_file=_write(folder / "tokens.csv", "\n".join(lines) + "\n"),
        tokens=tokens,
    )


def _write(path: Path, text: str) -> Path:
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def _rsa_key(path: Path) -> Path:
    """A private key in PEM, which signs the tokens of service accounts. The standard library makes none."""
    if shutil.which("openssl"):
        command = ["openssl", "genrsa", "-out", str(path), "2048"]
    elif shutil.which("ssh-keygen"):
        command = ["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "", "-f", str(path)]
    else:
        raise AccessError("neither openssl nor ssh-keygen is there to make a key; install openssl or openssh-client")
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AccessError(f"{' '.join(command)} failed: {(done.stderr or done.stdout).strip()}")
    return path
