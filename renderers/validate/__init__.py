"""Whether manifests are what a Kubernetes release takes: its schemas, those of CRDs in the set, its API versions."""
