"""The Jinja renderer: templates of manifests, rendered by a process of their own that can be limited and killed."""
