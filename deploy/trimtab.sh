#!/bin/sh
# The command `trimtab` of the image. -P: a folder `pipeline` where it is called from is not taken for ours.
exec python -P -m pipeline "$@"
