#!/usr/bin/env bash
# Gets Swift 6 for Debian releases that have none. Unpacks Debian's swiftlang of trixie, with the libraries that it needs, the C
# library included, under the folder given as $1. Installs nothing system-wide and needs no root; needs patchelf and a linker.
# Afterwards $1/bin/swift works. The folder cannot be moved: programs find their libraries by its name.
set -euo pipefail
[ $# = 1 ] || { echo "usage: swift-toolchain.sh FOLDER" >&2; exit 2; }
OUT=$(realpath -m "$1")
say() { printf 'swift-toolchain: %s\n' "$*" >&2; }
[ -e "$OUT/.complete" ] && { say "ready"; exit 0; }
command -v patchelf >/dev/null || { say "patchelf is missing: apt-get install patchelf"; exit 1; }

. "$(dirname "$0")/debs.sh"
A=$(mktemp -d)
trap 'rm -rf "$A"' EXIT
say "downloads about 550 MB"
fetch_debs "$A" trixie "$(dpkg --print-architecture)" swiftlang libstdc++-14-dev libc6-dev

rm -rf "$OUT"
mkdir -p "$OUT"/usr/{bin,sbin,lib,lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$OUT/$folder"; done
for deb in "$A"/archives/*.deb; do
  case $(basename "$deb") in
    # Not needed to compile or to run.
    python3* | libpython3* | perl* | gcc-*_* | g++* | cpp* | debconf* | binutils* | media-types* | gcc_* | libgprofng* | rpcsvc* | libc-bin* | dpkg* | tar_* | install-info*) continue ;;
  esac
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$OUT" --keep-directory-symlink --no-same-owner \
    --exclude='./usr/share/man' --exclude='./usr/share/doc/*/changelog*' --exclude='./usr/share/locale' \
    --exclude='./etc' --exclude='./var' --exclude='*/bin/lldb*' --exclude='./usr/bin/swift-lldb' \
    --exclude='*/swift/bin/repl_swift' --exclude='*/swift/lib/liblldb*' --exclude='*/swift/bin/clangd' \
    --exclude='*/bin/sourcekit-lsp' --exclude='*/swift/lib/libsourcekitdInProc.so' --exclude='*/swift/bin/docc' \
    --exclude='*/swift/share/docc' --exclude='*/swift/bin/swift-format' --exclude='*/swift/lib/libLTO*' \
    --exclude='*/swift/lib/swift/embedded' --exclude='*/swift/lib/swift/FrameworkABIBaseline'
done

LIBRARIES=$OUT/usr/lib/x86_64-linux-gnu
SWIFT=$OUT/usr/libexec/swift
LOADER=$OUT/lib64/ld-linux-x86-64.so.2
# Programs start with, and libraries find, the C library that was unpacked.
find "$SWIFT" -type f \( -path '*/bin/*' -o -path '*/libexec/*' -o -name '*.so*' \) | while read -r file; do
  head -c4 "$file" | grep -q ELF || continue
  old=$(patchelf --print-rpath "$file" 2>/dev/null) || continue
  path="${old:+$old:}\$ORIGIN/../lib/swift/linux:\$ORIGIN/../lib/swift/host:\$ORIGIN/../lib:\$ORIGIN:$LIBRARIES"
  patchelf --force-rpath --set-rpath "$path" "$file"
  if patchelf --print-interpreter "$file" >/dev/null 2>&1; then patchelf --set-interpreter "$LOADER" "$file"; fi
done
# swiftc links through clang, which reads these by itself: what it links runs with that C library, too.
for name in clang clang++; do
  printf '%s\n' "--sysroot=$OUT" "--gcc-toolchain=$OUT/usr" "-Wl,--dynamic-linker=$LOADER" -Wl,--disable-new-dtags \
    "-Wl,-rpath,$LIBRARIES" > "$SWIFT/bin/$name.cfg"
done
# Without it each compilation warns.
echo '{"CanonicalName":"linux","Version":"1.0"}' > "$OUT/SDKSettings.json"
mkdir -p "$OUT/bin"
for tool in swiftc swift swift-build swift-test swift-run swift-package; do
  rm -f "$OUT/bin/$tool"
  printf '#!/bin/sh\nexport SDKROOT="${SDKROOT:-%s}"\nexec %s/bin/%s "$@"\n' "$OUT" "$SWIFT" "$tool" > "$OUT/bin/$tool"
  chmod +x "$OUT/bin/$tool"
done
"$OUT/bin/swift" --version >&2
touch "$OUT/.complete"
