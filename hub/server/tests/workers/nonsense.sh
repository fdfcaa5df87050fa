#!/bin/sh
# A worker that answers with nonsense and lives on.
echo 'truc-pdf-worker 1'
dd bs=1 count=1 >/dev/null 2>&1
echo 'nonsense'
cat >/dev/null
