#!/bin/sh
# Checks deploy/build_jobs (the first argument) on machines made here.
set -eu
tool=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/ds-build-jobs.XXXXXX")
trap 'rm -rf "$folder"' EXIT
gib=1073741824

# Eight cores, whatever this machine has.
mkdir "$folder/bin"
printf '#!/bin/sh\necho 8\n' >"$folder/bin/nproc"
chmod +x "$folder/bin/nproc"

machine() {  # machine GIB_AVAILABLE LINES_OF_CGROUP
  rm -rf "$folder/machine"
  mkdir -p "$folder/machine/proc/self"
  printf 'MemTotal: 99999999 kB\nMemAvailable: %s kB\n' $(($1 * 1048576)) >"$folder/machine/proc/meminfo"
  [ -z "$2" ] || printf '%b' "$2" >"$folder/machine/proc/self/cgroup"
}
limit() {  # limit FILE VALUE
  mkdir -p "$(dirname -- "$folder/machine/sys/fs/cgroup/$1")"
  echo "$2" >"$folder/machine/sys/fs/cgroup/$1"
}
prints() {
  said=$(PATH=$folder/bin:$PATH "$tool" "$folder/machine")
  [ "$said" = "$1" ] || { echo "expected $1 ($2), got $said" >&2; exit 1; }
}

machine 64 ''
prints 8 'memory for more than there are cores'
machine 7 ''
prints 3 'memory for three'
machine 1 ''
prints 1 'never less than one'

machine 64 '0::/box\n'
limit memory.max max
limit box/memory.max $((4 * gib))
prints 2 'version 2, a limit of its group'
limit box/memory.max max
limit memory.max $((6 * gib))
prints 3 'version 2, a limit of the group above'
machine 64 '0::/../gone\n'
limit memory.max $((4 * gib))
prints 2 'version 2, a path that only the host has'
machine 3 '0::/\n'
limit memory.max $((8 * gib))
prints 1 'a limit that exceeds what is available'

machine 64 '9:name=systemd:/\n4:memory:/box\n0::/\n'
limit memory/memory.limit_in_bytes 9223372036854771712
prints 8 'version 1, no limit'
limit memory/box/memory.limit_in_bytes $((4 * gib))
prints 2 'version 1, a limit of its group'
