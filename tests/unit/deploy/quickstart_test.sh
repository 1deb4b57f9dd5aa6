#!/bin/sh
# Checks what deploy/quickstart (the first argument) says of options and data files that are wrong. It must say so before
# it installs or builds anything: apt-get and cmake are replaced by programs that leave a trace.
set -eu
quickstart=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/ds-quickstart-test.XXXXXX")
trap 'chmod -R u+rwx "$folder"; rm -rf "$folder"' EXIT

fail() { echo "$1" >&2; exit 1; }

mkdir "$folder/bin" "$folder/tmp" "$folder/here"
for program in apt-get cmake dpkg-query sudo; do
  printf '#!/bin/sh\necho %s "$@" >>"%s/built"\nexit 1\n' "$program" "$folder" >"$folder/bin/$program"
  chmod +x "$folder/bin/$program"
done
cd "$folder/here"

refuses() {  # refuses CODE MESSAGE ARGUMENT...
  code=$1 said=$2
  shift 2
  status=0
  PATH=$folder/bin:$PATH TMPDIR=$folder/tmp "$quickstart" "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
  [ "$status" = "$code" ] || fail "quickstart $*: expected exit code $code, got $status: $(cat "$folder/err")"
  grep -qF -- "$said" "$folder/err" || fail "quickstart $*: expected '$said', got: $(cat "$folder/err")"
  [ ! -e "$folder/built" ] || fail "quickstart $*: went on: $(cat "$folder/built")"
  [ -z "$(ls -A "$folder/tmp")" ] || fail "quickstart $*: left behind $(ls -A "$folder/tmp")"
}
refuses_file() {  # refuses_file MESSAGE CONTENT
  printf '%b' "$2" >mine.csv
  refuses 1 "$1" --data mine.csv --text text --label label
}

refuses 2 'deploy/quickstart [--keep]' --help
refuses 2 'deploy/quickstart [--keep]' --data
refuses 2 'belong together' --data mine.csv --text text
refuses 1 'mine.csv: there is no such file' --data mine.csv --text text --label label
refuses 1 '.: is a folder' --data . --text text --label label
refuses_file 'mine.csv:1: the file is empty' ''
refuses_file 'mine.csv:1: there is no row after the header' 'text,label\n'
refuses_file "mine.csv:1: there is no column 'text'; there are: a, b" 'a,b\n1,2\n'
refuses_file "mine.csv:1: there is no column 'label'; there are: text, lable" 'text,lable\n1,2\n'
refuses_file 'mine.csv:3: expected 2 fields' 'text,label\nx,y\nx,y,z\n'
refuses_file 'mine.csv:3: a quote is opened and never closed' 'text,label\nx,y\n"x,y\n'
refuses_file 'too few rows' 'text,label\nx,a\n'

# Bytes that are no UTF-8: Latin-1, a lone continuation, one cut short, overlong, a surrogate, beyond the last character,
# a sequence inside another one; a file of UTF-16.
for bytes in '\0351t' '\0200' '\0342\0202' '\0300\0200' '\0355\0240\0200' '\0364\0220\0200\0200' '\0342\0303\0251\0202\0254'; do
  refuses_file 'mine.csv:3: not UTF-8 text' "text,label\nh\0303\0251,a\nx${bytes}y,a\nz,b\n"
done
refuses_file 'mine.csv:1: not UTF-8 text' '\0377\0376t\0000e\0000'

# What is right goes on: to the packages, which this test lets fail.
{
  echo 'text,label'
  for letter in a b c d e f g h i j k l m n o p q r s t u v w x y z; do
    printf 'größer als %s – 你好 😀,a\nsmaller than %s,b\n' "$letter$letter" "$letter$letter"
  done
} >mine.csv
status=0
PATH=$folder/bin:$PATH TMPDIR=$folder/tmp "$quickstart" --data mine.csv --text text --label label >/dev/null 2>"$folder/err" || status=$?
[ "$status" != 0 ] || fail "a build that failed was taken for a success"
grep -q '^dpkg-query' "$folder/built" || fail "did not go on to the packages: $(cat "$folder/err")"
[ -z "$(ls -A "$folder/tmp")" ] || fail "left behind $(ls -A "$folder/tmp")"
