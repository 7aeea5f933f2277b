"""The few requests to the API server that tell when a control plane is ready, and that make its Nodes."""

import http.client
import json
import ssl
from pathlib import Path
from typing import Any


class Client:
    """Speaks to the API server at `url` with a bearer token; `ca` is a file that need not be there yet."""

    def __init__(self, url: str, *, ca: Path, token: str) -> None:
        self._address = url.removeprefix("https://")
        self._ca = ca
        self._headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def answers(self, path: str) -> bool:
        """Whether a GET of this path succeeds."""
        return self._request("GET", path)[0] == http.HTTPStatus.OK

    def make_node(self, name: str) -> bool:
        """Create this Node; whether that worked, now or before."""
        labels = {"kubernetes.io/hostname": name, "kubernetes.io/os": "linux", "kubernetes.io/arch": "amd64"}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}
        status, _ = self._request("POST", "/api/v1/nodes", json.dumps(node))
        return status in {http.HTTPStatus.CREATED, http.HTTPStatus.CONFLICT}

    def ready_nodes(self) -> int:
        """How many Nodes are Ready."""
        status, body = self._request("GET", "/api/v1/nodes")
        nodes: list[dict[str, Any]] = json.loads(body)["items"] if status == http.HTTPStatus.OK else []
        return sum(
            condition["type"] == "Ready" and condition["status"] == "True"
            for node in nodes
            for condition in node["status"].get("conditions", [])
        )

    def _request(self, method: str, path: str, body: str | None = None) -> tuple[int, bytes]:
        """Status and body; status 0 while nothing answers."""
        try:
            context = ssl.create_default_context(cafile=self._ca)
            connection = http.client.HTTPSConnection(self._address, context=context, timeout=10)
            try:
                connection.request(method, path, body, self._headers)
                response = connection.getresponse()
                return response.status, response.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return 0, b""
