#!/bin/sh
# Installs the engine from a build (BUILD) into a new folder, builds the program in CONSUMER with what is there alone, and runs it.
# Arguments: BUILD CONSUMER, then options for CMake. Ends with 77 (skipped) where the engine is not built or Python has no torch.
set -eu
build=$1 consumer=$2
shift 2
[ -f "$build/actors/engine/libds_engine.a" ] || { echo 'the engine is not built'; exit 77; }
/usr/bin/python3 -c 'import torch' 2>/dev/null || { echo '/usr/bin/python3 has no torch'; exit 77; }
folder=$(mktemp -d "${TMPDIR:-/tmp}/ds-installed.XXXXXX")
trap 'rm -rf "$folder"' EXIT

quietly() { "$@" >"$folder/log" 2>&1 || { cat "$folder/log"; echo "failed: $*"; exit 1; }; }

quietly cmake --install "$build" --component engine --prefix "$folder/prefix"
[ ! -e "$folder/prefix/bin" ] || { echo 'programs were installed too'; exit 1; }
cp -r "$consumer" "$folder/consumer"
quietly cmake -S "$folder/consumer" -B "$folder/built" -G Ninja "-DCMAKE_PREFIX_PATH=$folder/prefix" "$@"
quietly cmake --build "$folder/built"

/usr/bin/python3 - "$folder/doubles.pt" <<'END'
import sys, torch
class Doubles(torch.nn.Module):
    def forward(self, x):
        return x * 2
torch.jit.trace(Doubles(), torch.ones(1, 3)).save(sys.argv[1])  # which needs no source file
END
said=$("$folder/built/consumer" "$folder/doubles.pt")
[ "$said" = '2 4 7 ' ] || { echo "expected '2 4 7 ', got '$said'"; exit 1; }
said=$("$folder/built/consumer" "$folder/none.pt") && { echo 'a model that is not there was loaded'; exit 1; }
case $said in *none.pt*) ;; *) echo "the error names no file: $said"; exit 1 ;; esac
