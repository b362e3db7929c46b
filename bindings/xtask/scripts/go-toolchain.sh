#!/usr/bin/env bash
# Gets a Go that is new enough to fetch the version a go.mod asks for (1.21 and later do that by themselves), for Debian
# releases whose own is older. Unpacks Debian's package of a later suite under the folder given as $1, installs nothing
# system-wide and needs no root. Afterwards $1/bin/go works.
set -euo pipefail
[ $# = 1 ] || { echo "usage: go-toolchain.sh FOLDER" >&2; exit 2; }
OUT=$(mkdir -p "$1" && cd "$1" && pwd)
say() { printf 'go-toolchain: %s\n' "$*" >&2; }
"$OUT/bin/go" version >&2 2>/dev/null && { say "ready"; exit 0; }

mirror() { sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\(http[^ ]*\).*/\2/p' /etc/apt/sources.list.d/debian.sources /etc/apt/sources.list 2>/dev/null | grep -v security | head -1; }

for suite in bookworm-backports trixie; do
  # A package index of its own, so that the machine's apt is left as it is.
  A=$OUT/apt/$suite; mkdir -p "$A/lists/partial" "$A/cache/archives/partial"; : > "$A/status"
  echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" > "$A/list"
  O=(-o Dir::State="$A" -o Dir::State::Lists="$A/lists" -o Dir::State::status="$A/status" -o Dir::Cache="$A/cache" -o Dir::Etc::SourceList="$A/list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root)
  apt-get "${O[@]}" -qq update >&2 || continue
  version=$(apt-cache "${O[@]}" search --names-only '^golang-1\.[0-9]+-go$' | sed -n 's/^golang-\(1\.[0-9]*\)-go .*/\1/p' | sort -V | tail -1)
  case "$version" in ''|1.19|1.20) continue ;; esac
  say "golang-$version of $suite"
  (cd "$A" && apt-get "${O[@]}" -qq download "golang-$version-go" "golang-$version-src" >&2)
  rm -rf "$OUT/root"
  for deb in "$A"/golang-*.deb; do dpkg-deb -x "$deb" "$OUT/root"; done
  mkdir -p "$OUT/bin"
  printf '#!/bin/sh\nexport GOROOT="%s"\nexec "$GOROOT/bin/go" "$@"\n' "$OUT/root/usr/lib/go-$version" > "$OUT/bin/go"
  chmod +x "$OUT/bin/go"
  rm -rf "$OUT/apt"
  "$OUT/bin/go" version >&2
  exit 0
done
say "neither bookworm-backports nor trixie has a Go of 1.21 or later"
exit 1
