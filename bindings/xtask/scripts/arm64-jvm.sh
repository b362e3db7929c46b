#!/usr/bin/env bash
# Gets a Java for ARM64 and what emulates its processor. Unpacks Debian's packages, the C library included, under the folder given
# as $1. Installs nothing system-wide and needs no root. Afterwards $1/bin/java works like any other. The folder cannot be moved.
set -euo pipefail
[ $# = 1 ] || { echo "usage: arm64-jvm.sh FOLDER" >&2; exit 2; }
OUT=$(realpath -m "$1")
say() { printf 'arm64-jvm: %s\n' "$*" >&2; }
[ -e "$OUT/.complete" ] && { say "ready"; exit 0; }

. "$(dirname "$0")/debs.sh"
A=$(mktemp -d)
trap 'rm -rf "$A"' EXIT

say "downloads about 150 MB"
fetch_debs "$A" bookworm "$(dpkg --print-architecture)" qemu-user-static
rm -rf "$OUT"
mkdir -p "$OUT/bin" "$OUT/system"
dpkg-deb --fsys-tarfile "$A"/archives/qemu-user-static_*.deb | tar -x -O ./usr/bin/qemu-aarch64-static > "$OUT/bin/qemu-aarch64"
chmod +x "$OUT/bin/qemu-aarch64"
fetch_debs "$A" bookworm arm64 openjdk-17-jre-headless
for deb in "$A"/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$OUT/system" --keep-directory-symlink --no-same-owner --exclude='./usr/share/man' --exclude='./usr/share/doc' --exclude='./usr/share/locale'
done

# Its own helper for starting programs is one for ARM, too, which this machine cannot run by itself.
cat > "$OUT/bin/java" <<JAVA
#!/bin/sh
exec "$OUT/bin/qemu-aarch64" -L "$OUT/system" "$OUT/system/usr/lib/jvm/java-17-openjdk-arm64/bin/java" -Djdk.lang.Process.launchMechanism=VFORK "\$@"
JAVA
chmod +x "$OUT/bin/java"
"$OUT/bin/java" -version 2>&1 | grep -q 64-Bit || { say "Java does not run"; "$OUT/bin/java" -version >&2; exit 1; }
touch "$OUT/.complete"
say "ready"
