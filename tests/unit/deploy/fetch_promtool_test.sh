#!/usr/bin/env bash
# Checks tests/fetch_promtool (the first argument) with a package and an apt-get made here.
set -euo pipefail
tool=$1
command -v dpkg-deb >/dev/null || { echo "skipped: needs dpkg-deb"; exit 0; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/ds-fetch-promtool.XXXXXX")
trap 'rm -rf -- "$folder"' EXIT
runs=6

mkdir -p "$folder/package/DEBIAN" "$folder/package/usr/bin" "$folder/bin" "$folder/here"
printf 'Package: prometheus\nVersion: 1\nArchitecture: all\nMaintainer: nobody\nDescription: none\n' >"$folder/package/DEBIAN/control"
{ printf '#!/bin/sh\n'; seq -f '# as large as a program: line %.0f' 300000; echo 'echo whole'; } >"$folder/package/usr/bin/promtool"
chmod 755 "$folder/package/usr/bin/promtool"
dpkg-deb -Znone --build "$folder/package" "$folder/prometheus_1_all.deb" >/dev/null

# Nothing but what it needs, so that no promtool of this machine is found; all its runs come to apt-get before one goes on.
for program in bash chmod cp dpkg-deb mkdir mktemp mv rm tail tar timeout; do ln -s "$(command -v "$program")" "$folder/bin"; done
cat >"$folder/bin/apt-get" <<END
#!/bin/sh
export PATH=/usr/bin:/bin
mktemp "$folder/here/XXXXXX" >/dev/null
until [ "\$(ls "$folder/here" | wc -l)" -ge "\$RUNS" ]; do sleep 0.05; done
cp "$folder/prometheus_1_all.deb" .
END
chmod +x "$folder/bin/apt-get"
fetch() { RUNS=$1 PATH=$folder/bin "$tool" "$folder/to"; }
expect_whole() {
  [[ $("$folder/to/promtool") == whole ]] || { echo "promtool is not whole: $1" >&2; exit 1; }
  [[ $(ls "$folder/to") == promtool ]] || { echo "more is left than promtool: $(ls "$folder/to") ($1)" >&2; exit 1; }
}

started=()
for ((i = 0; i < runs; ++i)); do
  fetch "$runs" & started+=($!)
done
for one in "${started[@]}"; do
  wait "$one" || { echo "one of several runs at once failed" >&2; exit 1; }
done
expect_whole "several at once"

printf '\x7fELF' >"$folder/to/promtool"
fetch 1
expect_whole "one was cut half-way before"

rm "$folder/here"/*
fetch 1
[[ -z $(ls "$folder/here") ]] || { echo "it was fetched again" >&2; exit 1; }
