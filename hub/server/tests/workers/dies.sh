#!/bin/sh
# A worker that dies at its first request.
echo 'truc-pdf-worker 1'
dd bs=1 count=1 >/dev/null 2>&1
exit 1
