#!/bin/bash
# Builds CHubwire.xcframework for iOS, its simulator and macOS, and says the checksum that Package.swift needs. Needs a Mac with
# Xcode and these targets of rustup.
#
#   xcframework.sh [OUTPUT_FOLDER]
set -euo pipefail
swift=$(cd "$(dirname "$0")/.." && pwd)
root=$(cd "$swift/../.." && pwd)
output=${1:-$swift/dist}
target=${CARGO_TARGET_DIR:-$root/target}
targets=(aarch64-apple-ios aarch64-apple-ios-sim x86_64-apple-ios aarch64-apple-darwin x86_64-apple-darwin)

if [ "$(uname)" != Darwin ]; then
  echo "xcframework.sh: needs a Mac" >&2
  exit 1
fi
cd "$root"
rustup target add "${targets[@]}"
for triple in "${targets[@]}"; do
  cargo rustc -p hubwire-ffi --lib --profile ffi --crate-type staticlib --target "$triple"
done
cargo rustc -p hubwire-ffi --lib --profile ffi --crate-type cdylib,staticlib
cargo build -p hubwire-bindgen
"$swift/scripts/generate.sh" "$target/ffi" "$target/debug/hubwire-bindgen"

headers=$(mktemp -d)
trap 'rm -rf "$headers"' EXIT
cp "$swift"/generated/CHubwire/* "$headers/"

# Libraries of one platform go into one file.
mkdir -p "$headers/lib/simulator" "$headers/lib/macos"
lipo -create "$target"/{aarch64-apple-ios-sim,x86_64-apple-ios}/ffi/libhubwire_ffi.a \
  -output "$headers/lib/simulator/libhubwire_ffi.a"
lipo -create "$target"/{aarch64-apple-darwin,x86_64-apple-darwin}/ffi/libhubwire_ffi.a \
  -output "$headers/lib/macos/libhubwire_ffi.a"
mkdir "$headers/include"
mv "$headers/CHubwire.h" "$headers/module.modulemap" "$headers/include/"

mkdir -p "$output"
rm -rf "$output/CHubwire.xcframework" "$output/CHubwire.xcframework.zip"
xcodebuild -create-xcframework \
  -library "$target/aarch64-apple-ios/ffi/libhubwire_ffi.a" -headers "$headers/include" \
  -library "$headers/lib/simulator/libhubwire_ffi.a" -headers "$headers/include" \
  -library "$headers/lib/macos/libhubwire_ffi.a" -headers "$headers/include" \
  -output "$output/CHubwire.xcframework"
cd "$output"
zip -qr CHubwire.xcframework.zip CHubwire.xcframework
swift package compute-checksum CHubwire.xcframework.zip
