#!/bin/sh
# A worker that answers its first request, of a hundred bytes, and dies at the second. It answers only when
# its environment holds nothing of the hub's.
echo 'truc-pdf-worker 1'
dd bs=1 count=104 >/dev/null 2>&1
[ -z "$HOME$TRUC_BROKER_PASSWORD" ] && echo '{"state":"none"}'
dd bs=1 count=1 >/dev/null 2>&1
exit 1
