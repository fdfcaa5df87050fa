#!/bin/sh
# A worker that never answers.
echo 'truc-pdf-worker 1'
cat >/dev/null
