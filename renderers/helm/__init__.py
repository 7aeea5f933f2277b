"""The helm renderer: `helm template` of a chart in the checkout, taken apart into manifests, hooks and tests."""
