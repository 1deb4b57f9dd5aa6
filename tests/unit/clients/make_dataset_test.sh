#!/bin/sh
# Checks deploy/make_licence_dataset (the first argument) on files made here.
set -eu
tool=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/ds-dataset.XXXXXX")
trap 'rm -rf "$folder"' EXIT

fail() { echo "$1" >&2; exit 1; }
refuses() {  # refuses MESSAGE CSV
  printf '%b' "$2" >"$folder/bad.csv"
  if "$tool" --out "$folder/bad" --data "$folder/bad.csv" --text text --label label 2>"$folder/said"; then
    fail "took a broken file: $2"
  fi
  grep -qF -- "$1" "$folder/said" || fail "expected '$1', got: $(cat "$folder/said")"
}

# Quotes, newlines in quotes, CRLF, a byte order mark, other columns.
{
  printf '\357\273\277id,text,label\r\n0,"He said ""go"", and\r\nwent",a\r\n1,HE SAID go: and went!,a\r\n'
  printf '2,under two,a\r\n3,Under two.,b\r\n'
  for letter in a b c d e f g h i j k l m n o p q r s t u v w x y z; do
    printf '4,first %s row,a\r\n5,second %s row,"b, c"\r\n' "$letter$letter" "$letter$letter"
  done
} >"$folder/good.csv"
"$tool" --out "$folder/one" --data "$folder/good.csv" --text text --label label 2>"$folder/said"
grep -qF 'left out: 1 repeated, 1 that stand under several labels' "$folder/said" || fail "$(cat "$folder/said")"
[ "$(cat "$folder"/one/*.csv | grep -c '^"He said ""go"", and went","a"$')" = 1 ] || fail "a quoted field was damaged"
[ "$(cat "$folder"/one/*.csv | grep -ci 'under two')" = 0 ] || fail "an ambiguous text was kept"
[ "$(cat "$folder"/one/*.csv | grep -c ',"b, c"$')" = 26 ] || fail "rows were lost"
head -n 1 "$folder/one/train.csv" | grep -qx 'text,label' || fail "wrong header"

# The same split every time.
"$tool" --out "$folder/two" --data "$folder/good.csv" --text text --label label 2>/dev/null
diff -r "$folder/one" "$folder/two" || fail "two runs differ"

refuses "there is no column 'text'; there are: a, b" 'a,b\n1,2\n'
refuses 'bad.csv:3: expected 2 fields as in the header, got 3' 'text,label\nx,y\nx,y,z\n'
refuses 'bad.csv:2: a quote is opened and never closed' 'text,label\n"x,y\nz,w\n'
refuses 'bad.csv:2: text follows a closing quote' 'text,label\n"x"z,y\n'
refuses 'bad.csv:2: the label is empty' 'text,label\nx,\n'
refuses 'the file is empty' ''
refuses 'there is no row after the header' 'text,label\n'
refuses 'too few rows' 'text,label\nx,a\n'

# Licences: a link is no second licence, versions are one, and no text is on both sides.
mkdir "$folder/licences"
for letter in a b c d e f g h i j k l m n o p q r s t u v w x y z; do
  printf 'You may copy the %s work.\nThe %s notice stays.\n\n' "$letter$letter" "$letter$letter" >>"$folder/licences/ONE-1"
  printf '1. We grant no warranty for %s.\n\n' "$letter$letter" >>"$folder/licences/TWO"
done
cp "$folder/licences/ONE-1" "$folder/licences/ONE-2"
ln -s ONE-2 "$folder/licences/LINK"
"$tool" --out "$folder/lic" --licences "$folder/licences" 2>"$folder/said"
grep -qF ', 0 that stand under several labels' "$folder/said" || fail "$(cat "$folder/said")"
[ "$(cat "$folder"/lic/*.csv | grep -c ',"ONE"$')" = 52 ] || fail "wrong number of sentences: $(cat "$folder/said")"
[ "$(cat "$folder"/lic/*.csv | grep -c '^"We grant no warranty for .*","TWO"$')" = 26 ] || fail "list numbers were kept"
if sort "$folder/lic/train.csv" "$folder/lic/test.csv" | uniq -d | grep -qv '^sentence,licence$'; then
  fail "a text is on both sides"
fi
