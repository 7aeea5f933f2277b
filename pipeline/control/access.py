"""What opens an App's repository: read from the cluster for each poll, so that a changed Secret needs no restart."""

import base64
from dataclasses import dataclass, replace

from pipeline.cluster import objects
from pipeline.cluster.connection import Connection
from pipeline.cluster.errors import ApiError
from pipeline.control.answers import Repository
from pipeline.errors import SourceError
from pipeline.inventory.store import CONFIG_MAPS, SECRETS
from pipeline.location import transport_of
from pipeline.source.charts import credentials_of_chart_secret
from pipeline.source.credentials import Credentials
from pipeline.source.known_hosts import BUILT_IN
from pipeline.source.secrets import credentials_of_secret

#: The ConfigMap with the keys of further servers, as ssh-keyscan prints them.
KNOWN_HOSTS_MAP = "trimtab-known-hosts"
_KNOWN_HOSTS_KEY = "known_hosts"


@dataclass(frozen=True, slots=True)
class Access:
    """`namespace` is the controller's own, `deploy_key` the Secret there with its own key."""

    connection: Connection
    namespace: str
    deploy_key: str

    def load(self, repository: Repository) -> Credentials:
        """The credentials of a repository. Raises SourceError where the Secret is missing or of no use, ApiError."""
        namespace, name = repository.secret
        ssh = not repository.charts and transport_of(repository.url) == "ssh"
        if name:
            data = self._secret(namespace, name, "create it, or correct spec.source.secretRef")
        elif ssh:
            data = self._secret(
                self.namespace,
                self.deploy_key,
                "make a key with `trimtab identity --regenerate`, or give your own: kubectl create secret generic "
                f"{self.deploy_key} -n {self.namespace} --from-file=identity=PATH",
            )
        else:
            return Credentials()
        known_hosts = f"{BUILT_IN}\n{self._more_hosts()}" if ssh else ""
        scope = f"Secret {namespace}/{name}" if name else f"Secret {self.namespace}/{self.deploy_key}"
        try:
            if repository.charts:
                found = credentials_of_chart_secret(data, url=repository.url)
            else:
                found = credentials_of_secret(data, url=repository.url, known_hosts=known_hosts, deploy_key=not name)
        except SourceError as error:
            error.where = scope
            raise
        return replace(found, scope=scope, home=self.namespace)

    def _secret(self, namespace: str, name: str, hint: str) -> dict[str, bytes]:
        where = f"Secret {namespace}/{name}, which opens the repository,"
        try:
            found = objects.get(self.connection, SECRETS, namespace, name)
        except ApiError as error:
            if not error.forbidden:
                raise
            raise SourceError(
                f"{where} may not be read: {error.message}", hint=error.hint, reason="SecretForbidden"
            ) from error
        if found is None:
            raise SourceError(f"{where} does not exist", hint=hint, reason="SecretNotFound")
        return {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}

    def _more_hosts(self) -> str:
        try:
            found = objects.get(self.connection, CONFIG_MAPS, self.namespace, KNOWN_HOSTS_MAP)
        except ApiError as error:
            if not error.forbidden:
                raise
            return ""
        return str(((found or {}).get("data") or {}).get(_KNOWN_HOSTS_KEY, ""))
