#!/usr/bin/env bash
# Gets a wasm32-unknown-unknown standard library for the active Rust toolchain.
#   1. it is there already          2. rustup target add
#   3. Debian's rust-src of exactly rustc's version, built into a private sysroot
#   4. Debian's rustc-web + rust-web-src (a matching pair), unpacked privately, built likewise
# Nothing is installed system-wide by 3 and 4; they write only under the folder given as $1.
# Writes $1/env with what cargo needs to find it.
# To try a fallback on a machine where an earlier way works, name the ways to leave out: WASM_TARGET_SKIP="1 2".
set -euo pipefail
T=wasm32-unknown-unknown
[ $# = 1 ] || { echo "usage: wasm-target.sh FOLDER" >&2; exit 2; }
OUT=$(mkdir -p "$1" && cd "$1" && pwd)
skip=" ${WASM_TARGET_SKIP:-} "
want() { [[ $skip != *" $1 "* ]]; }
say() { printf 'wasm-target: %s\n' "$*" >&2; }
have() { compgen -G "$(rustc --print target-libdir --target $T)/libcore-*.rlib" >/dev/null; }
HOST=$(rustc -vV | sed -n 's/^host: //p'); VER=$(rustc -vV | sed -n 's/^release: //p')
# Two toolchains of one version are two: one may have the target, the other not.
FOR="$VER $(rustc --print sysroot)"
[ -f "$OUT/env" ] && [ "$(cat "$OUT/for" 2>/dev/null)" = "$FOR" ] && { say "ready ($VER)"; exit 0; }
done_() { printf '%s\n' "$FOR" > "$OUT/for"; exit 0; }

if want 1 && have; then : > "$OUT/env"; say "the toolchain has it"; done_; fi
if want 2 && command -v rustup >/dev/null && timeout 180 rustup target add $T >&2 && have; then : > "$OUT/env"; done_; fi

# std SRC_LIBRARY [cargo env...]: builds the standard library into $OUT/sysroot
std() {
  local src=$1; shift
  rm -rf "$OUT/sysroot" "$OUT/build"
  env "$@" CARGO_TARGET_DIR="$OUT/build" RUSTC_BOOTSTRAP=1 __CARGO_DEFAULT_LIB_METADATA=wasmtarget \
    RUSTFLAGS="-Zforce-unstable-if-unmarked -Cembed-bitcode=yes" \
    cargo build -q --release --target $T --manifest-path "$src/sysroot/Cargo.toml" \
    --no-default-features --features compiler-builtins-mem >&2
  mkdir -p "$OUT/sysroot/lib/rustlib/$T/lib"
  cp "$OUT"/build/$T/release/deps/*.rlib "$OUT/sysroot/lib/rustlib/$T/lib/"
  rm -rf "$OUT/build" "$src"
}
# library DEB DIR: unpacks just the standard library's source
library() { mkdir -p "$2"; dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --strip-components=5 --wildcards './usr/src/rustc-*/library/*'; }
mirror() { sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] \)\?\(http[^ ]*\).*/\2/p' /etc/apt/sources.list.d/*.sources /etc/apt/sources.list 2>/dev/null | grep -v security | head -1; }

if want 3; then
  for suite in trixie-backports sid forky experimental bookworm-backports trixie; do
    A=$OUT/apt/$suite; mkdir -p "$A/lists/partial" "$A/cache/archives/partial"; : > "$A/status"
    echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $(mirror) $suite main" > "$A/list"
    O=(-o Dir::State="$A" -o Dir::State::Lists="$A/lists" -o Dir::State::status="$A/status" -o Dir::Cache="$A/cache" -o Dir::Etc::SourceList="$A/list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User=root)
    apt-get "${O[@]}" -qq update >&2 || continue
    deb=$(apt-cache "${O[@]}" madison rust-src | awk -v v="$VER" '{split($3,a,"+"); if (a[1]==v) {print $3; exit}}')
    [ -n "$deb" ] || continue
    say "rust-src $deb of $suite"
    (cd "$A" && apt-get "${O[@]}" -qq download "rust-src=$deb" >&2)
    library "$A"/rust-src_*.deb "$OUT/library"
    std "$OUT/library"; rm -rf "$OUT/apt"
    echo "export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS=\"--sysroot=$OUT/sysroot\"" > "$OUT/env"
    done_
  done
fi

say "rustc-web and rust-web-src"
apt-cache policy rustc-web 2>/dev/null | grep -q 'Candidate: [0-9]' || apt-get -qq update >&2
D=$OUT/apt/web; mkdir -p "$D"
std_pkg=$(apt-cache show rustc-web | sed -n 's/^Version: \([0-9]*\.[0-9]*\).*/libstd-rust-web-\1/p' | head -1)
llvm=$(apt-cache show "$std_pkg" | grep -oE 'libllvm[0-9]+' | head -1)
(cd "$D" && apt-get -qq -o APT::Sandbox::User=root download rustc-web rust-web-src libstd-rust-web-dev "$std_pkg" "$llvm" >&2)
rm -rf "$OUT/rustc"; for f in "$D"/rustc-web_* "$D"/libstd-* "$D"/libllvm*; do dpkg-deb -x "$f" "$OUT/rustc"; done
library "$D"/rust-web-src_*.deb "$OUT/library"
lld=$(rustc --print sysroot)/lib/rustlib/$HOST/bin/rust-lld
mkdir -p "$OUT/bin"; cat > "$OUT/bin/rustc" <<X
#!/bin/sh
LD_LIBRARY_PATH=$OUT/rustc/usr/lib/x86_64-linux-gnu exec $OUT/rustc/usr/bin/rustc "\$@"
X
chmod +x "$OUT/bin/rustc"
std "$OUT/library" RUSTC="$OUT/bin/rustc"; rm -rf "$OUT/apt"
cat > "$OUT/env" <<X
export RUSTC=$OUT/bin/rustc
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$lld
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--sysroot=$OUT/sysroot"
X
done_
