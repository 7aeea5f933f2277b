"""The story that people know, over real SSH, by a controller that runs exactly as deploy/ says: RBAC is on."""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import harness
import pytest
from control import Apps, Repository
from deployment import NAMESPACE, Installation
from pod import Pod
from sshd import Sshd
from waiting import until

from pipeline.source import sshkey

pytestmark = pytest.mark.slow

OLD, NEW = "1.13.12", "1.14.2"


def nginx(tag: str) -> dict[str, Any]:
    labels = {"app": "nginx"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "nginx", "image": f"nginx:{tag}"}]}}
    return {
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "nginx"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }  # fmt: skip


class Story:
    """A cluster, a repository behind an sshd, deploy/ applied with that repository, and its controller."""

    def __init__(self, plane: harness.ControlPlane, sshd: Sshd, repository: Repository, folder: Path) -> None:
        self.plane, self.sshd, self.repository, self.folder = plane, sshd, repository, folder
        self.apps = Apps(plane, NAMESPACE)
        self.commit = repository.commit(nginx(OLD))

    def install(self, *flags: str) -> Pod:
        """`kubectl apply -f deploy`, with flags beside the line that everybody edits; the Pod, not started."""
        Installation(self.plane, self.folder, f"--git-url={self.sshd.url('origin.git')}", *flags).apply()
        return Pod(self.plane.kubectl, self.folder / "pod", name="trimtab", namespace=NAMESPACE)

    def trimtab(self, *arguments: str, code: int = 0) -> harness.Result:
        """The command line, as a person with a kubeconfig types it."""
        done = harness.run_cli(*arguments, env=self.plane.env, cwd=self.folder, stdin=None, timeout=120)
        assert done.code == code, done
        return done

    def trust(self) -> None:
        """Make the server's host key known."""
        hosts = f"--from-literal=known_hosts={self.sshd.known_hosts}"
        self.plane.kubectl("create", "configmap", "trimtab-known-hosts", "-n", NAMESPACE, hosts)

    def identity(self) -> str:
        """The public key that is to be added as a deploy key."""
        return self.trimtab("identity").out.strip()

    def images(self) -> list[str]:
        """The images of the Pods that run."""
        pods = json.loads(self.plane.kubectl("get", "pods", "-n", "default", "-o", "json"))["items"]
        return sorted(
            status["image"]
            for pod in pods
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
            for status in pod["status"]["containerStatuses"]
        )

    def until_live(self, tag: str) -> None:
        until(lambda: self.images() == [f"nginx:{tag}"] * 2)

    def refused(self) -> list[str]:
        """What the API server did not let the controller's account do."""
        name = f"system:serviceaccount:{NAMESPACE}:trimtab"
        lines = map(json.loads, self.plane.audit_log.read_text().splitlines())
        own = [line for line in lines if line["user"]["username"] == name]
        assert own, "the controller acts as its service account"
        return [f"{line['verb']} {line['requestURI']}" for line in own if line["responseStatus"].get("code") == 403]


@pytest.fixture
def story(tools: Path, repository: Repository, tmp_path: Path) -> Iterator[Story]:
    """All of it on a control plane of its own: deploy/ has one namespace and one set of rights."""
    meeting = tmp_path / "plane"
    meeting.mkdir()
    with harness.shared_control_plane(meeting, tools) as plane, Sshd(repository.bare.parent) as sshd:
        yield Story(plane, sshd, repository, tmp_path)


@pytest.fixture
def running(story: Story) -> Iterator[Pod]:
    """Its controller, that polls each second, after the first sync."""
    pod = story.install("--git-poll-interval=1s")
    story.trust()
    with pod:
        story.apps.until_reason("default", "AuthenticationFailed")
        story.sshd.allow(story.identity())
        story.apps.until_ready("default", story.commit)
        yield pod
        assert not pod.ended, pod.text()
        assert "Traceback" not in pod.text()


def test_from_one_edited_line_to_a_push_that_is_live_by_doing_what_the_messages_say(story: Story) -> None:
    with story.install() as pod:
        message = story.apps.until_reason("default", "HostKeyUnknown")["message"]
        for command in re.findall(r"`([^`]*)`", message):
            subprocess.run(command, shell=True, check=True, cwd=story.folder, env=story.plane.env)
        message = story.apps.until_reason("default", "AuthenticationFailed")["message"]
        (command,) = re.findall(r"`trimtab ([^`]*)`", message)
        key = story.trimtab(*shlex.split(command)).out.strip()
        assert sshkey.fingerprint(key) in message
        assert "deploy key" in story.trimtab("sync", code=5).out
        story.sshd.allow(key)
        assert "1 created" in story.trimtab("sync").out
        story.until_live(OLD)
        commit = story.repository.commit(nginx(NEW))
        assert "1 configured" in story.trimtab("sync").out
        assert story.apps.status("default")["commit"] == commit
        story.until_live(NEW)
        story.plane.kubectl("wait", "-n", NAMESPACE, "--for=condition=Ready", "app/default", "--timeout=60s")
        assert story.refused() == []
        assert pod.stop() == 0
        assert "Traceback" not in pod.text()


def test_a_push_reaches_the_cluster_by_itself(story: Story, running: Pod) -> None:
    story.until_live(OLD)
    commit = story.repository.commit(nginx(NEW))
    story.apps.until_ready("default", commit)
    story.until_live(NEW)


def test_a_revoked_key_is_told_and_the_last_state_stays_until_the_key_is_back(story: Story, running: Pod) -> None:
    key = story.identity()
    story.sshd.revoke(key)
    message = story.apps.until_reason("default", "AuthenticationFailed")["message"]
    assert "`trimtab identity`" in message
    assert sshkey.fingerprint(key) in message
    assert story.apps.condition("default", "SourceReady")["status"] == "False"
    commit = story.repository.commit(nginx(NEW))
    story.plane.kubectl("scale", "deployment/nginx", "--replicas=0", "-n", "default")
    story.until_live(OLD)  # what is known is still kept in order
    assert story.apps.status("default")["commit"] == story.commit
    story.sshd.allow(key)
    story.apps.until_ready("default", commit)
    story.until_live(NEW)


def test_a_key_of_ones_own_is_taken_up_without_a_restart(story: Story, running: Pod) -> None:
    old = story.identity()
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", story.folder / "own"], check=True)
    story.plane.kubectl("delete", "secret", "trimtab-git-deploy", "-n", NAMESPACE)
    story.plane.kubectl(
        "create", "secret", "generic", "trimtab-git-deploy", "-n", NAMESPACE, f"--from-file=identity={story.folder}/own"
    )
    story.sshd.revoke(old)
    key = story.identity()
    assert key.split()[:2] == (story.folder / "own.pub").read_text().split()[:2]
    fingerprint = sshkey.fingerprint(key)
    until(lambda: fingerprint in story.apps.condition("default").get("message", ""))
    story.sshd.allow(key)
    commit = story.repository.commit(nginx(NEW))
    story.apps.until_ready("default", commit)


def test_a_regenerated_key_takes_the_place_of_the_old_one(story: Story, running: Pod) -> None:
    old = story.identity()
    new = story.trimtab("identity", "--regenerate", "--yes").out.strip()
    assert new != old
    assert new == story.identity()
    fingerprint = sshkey.fingerprint(new)
    until(lambda: fingerprint in story.apps.condition("default").get("message", ""))
    story.sshd.revoke(old)
    story.sshd.allow(new)
    commit = story.repository.commit(nginx(NEW))
    story.apps.until_ready("default", commit)
