#!/bin/sh
# A worker whose answer never ends.
echo 'truc-pdf-worker 1'
dd bs=1 count=1 >/dev/null 2>&1
while :; do printf '{"state":"none","more":"%01000d"' 0; done
