#!/bin/sh
# Checks what ds-submit (the first argument) does before it talks to a head: exit codes, the two streams, suggestions.
set -eu
submit=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/ds-command-line.XXXXXX")
trap 'rm -rf "$folder"' EXIT
DS_HOME=$folder/home
export DS_HOME
unset DS_HEAD DS_TENANT

fail() { echo "$1" >&2; exit 1; }
expect() {  # expect CODE TEXT_ON_STDERR ARGUMENT...
  code=$1 said=$2
  shift 2
  status=0
  "$submit" "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
  [ "$status" = "$code" ] || fail "ds-submit $*: expected exit code $code, got $status: $(cat "$folder/err")"
  [ -z "$said" ] || grep -qF -- "$said" "$folder/err" || fail "ds-submit $*: expected '$said' on standard error, got: $(cat "$folder/err")"
  [ "$code" = 0 ] || [ ! -s "$folder/out" ] || fail "ds-submit $*: an error wrote to standard output: $(cat "$folder/out")"
  ! grep -q "$(printf '\033')" "$folder/out" "$folder/err" || fail "ds-submit $*: colour off a terminal"
}

expect 2 'no command given'
expect 2 'did you mean ds-submit list?' lits
expect 2 'no program given after --' --
expect 2 "unknown command 'lits'" lits -- true
expect 9 'no head answers at 127.0.0.1:1' --head 127.0.0.1:1 -- ./train --lr 0.1
expect 2 'did you mean --head?' list --haed x
expect 2 'this command does not take --tenant' --tenant nlp nodes
expect 2 "--set: expected PATH=VALUE, got 'seed'" plan -f - --set seed
expect 2 '--set stands before a command' --set seed=7 plan -f -
expect 2 "nodes does not take" nodes x --set seed=7
expect 9 'no head answers at 127.0.0.1:1' --head 127.0.0.1:1 --set resources.cpus=2 -- ./train
expect 9 'no head answers at 127.0.0.1:1' --head 127.0.0.1:1 plan --set 'workers=[1,2]' --set seed=7 -f -
expect 2 'did you mean RUNNING?' list --state QUEUED,RUNING
expect 2 "expected one of table, json, yaml, got 'jsn'; did you mean json?" list -o jsn
expect 2 'did you mean torchscript?' export j --format torchscrpt -o f
expect 2 'JOB is required' status
expect 2 '--step' export j --step 0 -o f
expect 2 "status does not take 'b'" status a b
expect 2 "--head: expected HOST:PORT, got 'nowhere'" list --head nowhere
expect 2 'not in range' up --nodes 0
expect 2 'leave -f or -o json out' logs -f j -o json
expect 2 "--label: expected KEY=VALUE, got 'search'" list --label search
expect 2 '--file is required' plan
expect 2 'did you mean serve?' init srve
expect 0 '' init train
expect 0 '' explain
expect 0 '' explain optimizer.lr
grep -q '^DEFAULT  1e-3$' "$folder/out" || fail "explain says no default: $(cat "$folder/out")"
expect 4 'did you mean optimizer.lr?' explain optimizer.lt
expect 0 '' schema
grep -q 'json-schema.org/draft/2020-12/schema' "$folder/out" || fail "schema prints another: $(head -c 200 "$folder/out")"
expect 2 "expected a day or how long ago, got 'soon'" usage --since soon --head 127.0.0.1:1
expect 2 '2999-01-01 is still to come' usage --since 2999-01-01 --head 127.0.0.1:1
expect 2 "expected a duration such as 90s, 15m or 1h30m, got '30s5m'" wait job --timeout 30s5m --head 127.0.0.1:1
expect 9 'no head answers at 127.0.0.1:1' usage --since 7d --tenant nlp --head 127.0.0.1:1
status=0
UCX_TLS=rc "$submit" doctor -o json --head 127.0.0.1:1 >"$folder/out" 2>"$folder/err" </dev/null || status=$?
[ "$status" = 1 ] || fail "doctor without a head: expected exit code 1, got $status"
grep -q '"text": "UCX_TLS=rc is set: without tcp"' "$folder/out" || fail "doctor does not see UCX_TLS: $(cat "$folder/out")"
grep -q '"text": "no head answers at 127.0.0.1:1' "$folder/out" || fail "doctor does not say that there is no head: $(cat "$folder/out")"
"$submit" completion bash >"$folder/completion"
completed() {  # completed WORDS... : what bash offers for the last word
  bash -c '. "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _ds_submit; echo "${COMPREPLY[*]}"' _ "$folder/completion" "$@"
}
[ "$(completed ds-submit metr)" = metrics ] || fail "bash completes no command: $(completed ds-submit metr)"
[ "$(completed ds-submit --head h:1 init s)" = serve ] || fail "bash completes no kind: $(completed ds-submit --head h:1 init s)"
[ "$(completed ds-submit plan --se)" = --set ] || fail "bash completes no --set: $(completed ds-submit plan --se)"
[ "$(completed ds-submit explain optimizer.l)" = optimizer.lr ] || fail "bash completes no field: $(completed ds-submit explain optimizer.l)"
[ "$(completed ds-submit logs --fol)" = --follow ] || fail "bash completes no option: $(completed ds-submit logs --fol)"
expect 3 'cannot read' plan -f "$folder/none.yaml"
expect 2 'leave -f or -o out' events -f -o yaml
expect 2 "expected a duration such as 90s, 15m or 1h30m, got '5'" wait j --timeout 5
expect 2 'did you mean RUNNING?' wait j --for RUNING
expect 2 'JOB is required' wait
expect 9 'no head answers at 127.0.0.1:1' wait j --timeout 1s --head 127.0.0.1:1
expect 2 "expected MIN:MAX or a number of workers, got 1:x" scale j 1:x
expect 2 'MIN:MAX is required' scale j
expect 2 'VALUE is required' priority j
expect 2 'NODE is required' drain
expect 2 'NODE is required' cordon
expect 2 'did you mean ds-submit undrain?' undrian node-1
expect 9 'ds-submit up' list
expect 9 'no head answers at 127.0.0.1:1' status j --head 127.0.0.1:1
expect 3 'cannot read' run -f "$folder/none.yaml"
expect 3 'is a directory' submit -f "$folder"
printf 'kind: train\nname: \377\n' >"$folder/latin.yaml"
expect 3 'latin.yaml:2:7: not UTF-8 text' submit -f "$folder/latin.yaml"
head -c 70000 /dev/zero | tr '\0' 'a' >"$folder/large.yaml"
expect 3 'at most 64 KiB' submit -f "$folder/large.yaml"

# With -o json an error is one object, a usage error too.
for arguments in 'lits -o json' 'lits -oyaml' 'list --output=yaml' 'list -o json' 'status j --head 127.0.0.1:1 -o json'; do
  # shellcheck disable=SC2086
  "$submit" $arguments >"$folder/out" 2>"$folder/err" && fail "ds-submit $arguments succeeded"
  [ "$(wc -l <"$folder/err")" = 1 ] || fail "ds-submit $arguments: more than one line"
  grep -q '^{"error":{"code":".*","hint":".*","message":".*"}}$' "$folder/err" || fail "ds-submit $arguments: $(cat "$folder/err")"
done

# A head named in the environment is asked, and --head goes before it.
DS_HEAD=127.0.0.1:2 expect 9 '127.0.0.1:2' list
DS_HEAD=127.0.0.1:2 expect 9 '127.0.0.1:1' list --head 127.0.0.1:1

expect 0 '' version
grep -q '^ds-submit [0-9]' "$folder/out" || fail "no version"
expect 0 '' --help
grep -q 'checkpoints' "$folder/out" || fail "no help"
expect 0 '' down
grep -q 'no local cluster was up' "$folder/out" || fail "down: $(cat "$folder/out")"
[ ! -e "$DS_HOME" ] || fail "down made $DS_HOME"
mkdir -p "$DS_HOME/head"
: >"$DS_HOME/head/mine"
expect 10 'was not made by ds-submit up' up
expect 0 '' down --purge
[ -e "$DS_HOME/head/mine" ] || fail "down --purge removed a folder that was not ours"
