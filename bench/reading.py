"""How long reading YAML takes, beside PyYAML on libyaml, which is the fastest that Python has. Not a test.

    python bench/reading.py

Named so that it does not hide the module `yaml` from what is imported here.
"""

import statistics
import time
from collections.abc import Callable

import yaml

from renderers.manifest import load_text, parse_documents

DOCUMENTS = 699


def text() -> str:
    """About 20,000 lines in 699 documents, as a repository of many small services has them."""
    kinds = (_KINDS[0], *_KINDS)  # Deployments are the longest, and a fourth of all
    return "---\n".join(
        kinds[number % len(kinds)].format(n=f"app{number:03d}", p=8000 + number) for number in range(DOCUMENTS)
    )


def ratios(runs: int = 15) -> dict[str, float]:
    """The CPU time of each function as a share of CSafeLoader's, and that one's in ms: medians, taken in turn."""
    given = text()
    readers: dict[str, Callable[[], object]] = {
        "CSafeLoader": lambda: list(yaml.load_all(given, Loader=yaml.CSafeLoader)),
        "load_text": lambda: load_text(given, file="all.yaml"),
        "parse_documents": lambda: parse_documents(given, file="all.yaml", unit="."),
    }
    taken: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(runs):
        for name, read in readers.items():
            start = time.process_time()
            read()
            taken[name].append(time.process_time() - start)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    measure = medians.pop("CSafeLoader")
    return {name: median / measure for name, median in medians.items()} | {"CSafeLoader ms": measure * 1000}


def reading() -> None:
    """Print a table of them."""
    given = text()
    found = ratios()
    print(f"\n## {given.count(chr(10))} lines of YAML, {len(load_text(given, file='').documents)} documents\n")
    print("| | times CSafeLoader's |\n| --- | --- |")
    print(f"| CSafeLoader | 1.00 ({found.pop('CSafeLoader ms'):.0f} ms) |")
    for name, ratio in found.items():
        print(f"| {name} | {ratio:.2f} |")


_KINDS = (
    """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {n}
  namespace: shop
  labels:
    app.kubernetes.io/name: {n}
    app.kubernetes.io/managed-by: "trimtab"
  annotations:
    description: Answers what the shop asks, on port {p}
spec:
  replicas: 2
  revisionHistoryLimit: 3
  selector:
    matchLabels:
      app.kubernetes.io/name: {n}
  template:
    metadata:
      labels:
        app.kubernetes.io/name: {n}
    spec:
      serviceAccountName: {n}
      securityContext:
        runAsNonRoot: true
        fsGroup: 1000
      containers:
      - name: web
        image: registry.example.com/shop/{n}:1.27.3
        args: ["--port={p}", "--verbose"]
        env:
        - name: LOG_LEVEL
          value: info
        - name: TOKEN
          valueFrom:
            secretKeyRef: {{name: {n}, key: token}}
        ports:
        - containerPort: {p}
          name: http
        readinessProbe:
          httpGet:
            path: /ready
            port: http
          periodSeconds: 10
        resources:
          requests:
            cpu: 100m
            memory: 128Mi
          limits:
            memory: 256Mi
        volumeMounts:
        - name: config
          mountPath: /etc/app
          readOnly: true
      volumes:
      - name: config
        configMap:
          name: {n}
""",
    """\
apiVersion: v1
kind: Service
metadata:
  name: {n}
  namespace: shop
  labels:
    app.kubernetes.io/name: {n}
spec:
  type: ClusterIP
  selector:
    app.kubernetes.io/name: {n}
  ports:
  - name: http
    port: 80
    targetPort: http
    protocol: TCP
  - name: metrics
    port: {p}
    targetPort: {p}
""",
    """\
# The settings of {n}
apiVersion: v1
kind: ConfigMap
metadata:
  name: {n}
  namespace: shop
data:
  port: "{p}"
  debug: "false"
  nginx.conf: |
    server {{
      listen {p};
      location / {{
        proxy_pass http://{n}.shop.svc;
      }}
    }}
  motd: >-
    welcome to
    {n}
""",
    """\
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {n}
  namespace: shop
  labels:
    app.kubernetes.io/name: {n}
automountServiceAccountToken: false
""",
    """\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {n}
  namespace: shop
rules:
- apiGroups: [""]
  resources: ["configmaps", "secrets"]
  verbs: ["get", "list", "watch"]
- apiGroups:
  - apps
  resources:
  - deployments
  verbs:
  - get
  - patch
""",
    """\
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {n}
  namespace: shop
  annotations:
    cert-manager.io/cluster-issuer: letsencrypt
    nginx.ingress.kubernetes.io/proxy-body-size: 8m
spec:
  ingressClassName: nginx
  tls:
  - hosts:
    - {n}.example.com
    secretName: {n}-tls
  rules:
  - host: {n}.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend:
          service:
            name: {n}
            port:
              number: 80
""",
)

if __name__ == "__main__":
    reading()
