#!/usr/bin/env bash
# Puts the generated code and the core's library where Package.swift looks for them. `cargo xtask swift` starts it.
#
#   generate.sh LIBRARY_FOLDER BINDGEN
#
# LIBRARY_FOLDER has libhubwire_ffi as a shared library and as an archive; BINDGEN is the program hubwire-bindgen.
set -euo pipefail
[ $# = 2 ] || { echo "usage: generate.sh LIBRARY_FOLDER BINDGEN" >&2; exit 2; }
built=$(cd "$1" && pwd)
bindgen=$2
generated=$(cd "$(dirname "$0")/.." && pwd)/generated
library=$built/libhubwire_ffi.so
[ -e "$library" ] || library=$built/libhubwire_ffi.dylib

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$bindgen" "$library" "$fresh" swift

# What has not changed keeps its time, so that nothing is compiled again for it.
put() {
  mkdir -p "$(dirname "$2")"
  cmp -s "$1" "$2" || cp "$1" "$2"
}
put "$fresh/HubwireFFI.swift" "$generated/HubwireFFI/HubwireFFI.swift"
put "$fresh/CHubwire.h" "$generated/CHubwire/CHubwire.h"
put "$fresh/CHubwire.modulemap" "$generated/CHubwire/module.modulemap"
put "$built/libhubwire_ffi.a" "$generated/lib/libhubwire_ffi.a"
