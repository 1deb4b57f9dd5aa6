#!/usr/bin/env bash
# Runs deploy/serve (the first argument) with the programs of a folder (the second), in its short form, and compares what
# it says with what a user is promised: the replicas' way, an answer to each question, and that no request failed. It must
# leave neither a process nor a file behind.
set -euo pipefail
serve=$1 bin=$2
folder=$(mktemp -d "${TMPDIR:-/tmp}/ds-serve-test.XXXXXX")
clean_up() {
  local home
  for home in "$folder"/tmp/*/cluster; do  # where it was killed
    if [[ -d $home ]]; then DS_HOME=$home "$bin/ds-submit" down --purge >/dev/null 2>&1 || true; fi
  done
  rm -rf -- "$folder"
}
trap clean_up EXIT
trap 'exit 143' TERM

fail() { printf '%s\n' "$1" >&2; cat "$folder/said" >&2; exit 1; }

mkdir "$folder/tmp"
status=0
TMPDIR=$folder/tmp "$serve" --bin "$bin" --quick >"$folder/said" 2>&1 </dev/null || status=$?
[[ $status == 0 ]] || fail "it ended with exit code $status"

# Each stage ends with so many replicas; on the way there may be others.
ended_with() {  # ended_with STAGE
  awk -v stage="== $1" 'index($0, "== ") == 1 { is_it = index($0, stage) == 1 }
    is_it && $1 == "replicas:" { count = $2 } END { print count }' "$folder/said"
}
while read -r count stage; do
  [[ $(ended_with "$stage") == "$count" ]] || fail "'$stage' did not end with $count replicas"
done <<'STAGES'
1 the first request waits for a replica
4 16 clients
1 one client
0 nobody asks
STAGES
[[ $(grep -a '^replicas: ' "$folder/said" | sed -n '1p;$p' | sort -u) == 'replicas: 0' ]] ||
  fail "it did not begin and end without a replica"
# curl and ds-submit predict were answered, the latter twice; nobody saw another status than 200.
grep -aqF '"model_name":"licence"' "$folder/said" || fail "curl had no answer"
grep -aqE '^ *[1-9][0-9]* 200$' "$folder/said" || fail "no client had an answer"
if grep -avE ' 200$' "$folder/said" | grep -aqE '^ *[0-9]+ [0-9]{3}$'; then fail "some requests failed"; fi
[[ -z $(ls -A "$folder/tmp") ]] || fail "it left behind: $(ls -A "$folder/tmp")"
left=$(grep -lsF -- "$folder/tmp" /proc/[0-9]*/cmdline || true)
[[ -z $left ]] || fail "it left processes behind: $left"
