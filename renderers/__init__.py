"""What turns a folder into manifests. Nothing here knows of clusters, git or the rest of Trimtab."""
