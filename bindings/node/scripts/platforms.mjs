// The platforms for which the native module is published, each in a package of its own, `@hubwire/node-<name>`.

/** By name; `libc` where a system has two. */
export const PLATFORMS = {
  "linux-x64-gnu": { os: "linux", cpu: "x64", libc: "glibc", target: "x86_64-unknown-linux-gnu" },
  "linux-x64-musl": { os: "linux", cpu: "x64", libc: "musl", target: "x86_64-unknown-linux-musl" },
  "linux-arm64-gnu": { os: "linux", cpu: "arm64", libc: "glibc", target: "aarch64-unknown-linux-gnu" },
  "linux-arm64-musl": { os: "linux", cpu: "arm64", libc: "musl", target: "aarch64-unknown-linux-musl" },
  "darwin-x64": { os: "darwin", cpu: "x64", target: "x86_64-apple-darwin" },
  "darwin-arm64": { os: "darwin", cpu: "arm64", target: "aarch64-apple-darwin" },
  "win32-x64-msvc": { os: "win32", cpu: "x64", target: "x86_64-pc-windows-msvc" },
  "win32-arm64-msvc": { os: "win32", cpu: "arm64", target: "aarch64-pc-windows-msvc" },
};

/** The one this runs on. */
export function platform() {
  const { glibcVersionRuntime } = process.report.getReport().header;
  const libc = process.platform !== "linux" ? undefined : glibcVersionRuntime ? "glibc" : "musl";
  const found = Object.entries(PLATFORMS).find(
    ([, { os, cpu, libc: other }]) => os === process.platform && cpu === process.arch && other === libc,
  );
  if (!found) throw new Error(`there is no native module for ${process.platform} on ${process.arch}`);
  return found[0];
}
