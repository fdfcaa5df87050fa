#!/bin/sh
# A worker that dies as one does that gets no more memory.
echo 'truc-pdf-worker 1'
dd bs=1 count=1 >/dev/null 2>&1
echo 'memory allocation of 4096 bytes failed' >&2
exit 134
