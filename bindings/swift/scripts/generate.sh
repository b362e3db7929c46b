#!/bin/bash
# Puts the generated code and the core's library where Package.swift looks for them.
#
#   generate.sh TARGET_FOLDER
#
# TARGET_FOLDER has what `cargo build -p hubwire-ffi` and `cargo build -p hubwire-bindgen` have built: target/debug, for example.
set -euo pipefail
built=$(cd "$1" && pwd)
swift=$(cd "$(dirname "$0")/.." && pwd)
generated=$swift/generated
library=$built/libhubwire_ffi.so
[ -e "$library" ] || library=$built/libhubwire_ffi.dylib

fresh=$(mktemp -d)
trap 'rm -rf "$fresh"' EXIT
"$built/hubwire-bindgen" "$library" "$fresh" swift

# What has not changed keeps its time, so that nothing is compiled again for it.
put() {
  mkdir -p "$(dirname "$2")"
  cmp -s "$1" "$2" || cp "$1" "$2"
}
put "$fresh/HubwireFFI.swift" "$generated/HubwireFFI/HubwireFFI.swift"
put "$fresh/CHubwire.h" "$generated/CHubwire/CHubwire.h"
put "$fresh/CHubwire.modulemap" "$generated/CHubwire/module.modulemap"
put "$built/libhubwire_ffi.a" "$generated/lib/libhubwire_ffi.a"
