"""The kustomize renderer: every reference of a kustomization looked at first, then `kustomize build`."""
