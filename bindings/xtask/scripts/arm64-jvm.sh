#!/usr/bin/env bash
# Gets a Java for ARM64 and what emulates its processor. Unpacks Debian's packages, the C library included, under the folder given
# as $1. Installs nothing system-wide and needs no root. Afterwards $1/bin/java works like any other. The folder cannot be moved.
set -euo pipefail
[ $# = 1 ] || { echo "usage: arm64-jvm.sh FOLDER" >&2; exit 2; }
OUT=$(realpath -m "$1")
say() { printf 'arm64-jvm: %s\n' "$*" >&2; }
[ -e "$OUT/.complete" ] && { say "ready"; exit 0; }

mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -1; }

# Package indexes of their own, so that the machine's apt is left as it is.
A=$(mktemp -d)
trap 'rm -rf "$A"' EXIT
MIRROR=${DEBIAN_MIRROR:-$(mirror)}

# fetch ARCHITECTURE PACKAGE…: with what they depend on, into $A/archives
fetch() {
  local arch=$1; shift
  rm -rf "$A/lists" "$A/state"
  mkdir -p "$A"/{lists/partial,archives/partial,state,parts}
  : > "$A/state/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $MIRROR bookworm main" > "$A/sources.list"
  cat > "$A/apt.conf" <<CONF
APT::Architecture "$arch"; APT::Architectures { "$arch"; };
Dir::State "$A/state"; Dir::State::lists "$A/lists"; Dir::State::status "$A/state/status";
Dir::Cache "$A"; Dir::Cache::archives "$A/archives"; Dir::Cache::pkgcache ""; Dir::Cache::srcpkgcache "";
Dir::Etc::sourcelist "$A/sources.list"; Dir::Etc::sourceparts "$A/parts"; Dir::Etc::preferencesparts "$A/parts";
Dir::Etc::preferences "/dev/null";
Acquire::Languages "none"; Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
APT::Sandbox::User ""; APT::Install-Recommends "false"; Acquire::Retries "3";
CONF
  APT_CONFIG=$A/apt.conf apt-get update -qq >&2
  APT_CONFIG=$A/apt.conf apt-get install -y -qq --download-only "$@" >&2
}

say "downloads about 150 MB"
fetch "$(dpkg --print-architecture)" qemu-user-static
rm -rf "$OUT"
mkdir -p "$OUT/bin" "$OUT/system"
dpkg-deb --fsys-tarfile "$A"/archives/qemu-user-static_*.deb | tar -x -O ./usr/bin/qemu-aarch64-static > "$OUT/bin/qemu-aarch64"
chmod +x "$OUT/bin/qemu-aarch64"
rm -rf "$A/archives"
fetch arm64 openjdk-17-jre-headless
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
