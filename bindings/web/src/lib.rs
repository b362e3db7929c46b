//! The browser binding: what JavaScript sees of the client core. Internal to the npm package `@hubwire/web`, whose
//! TypeScript is the API.
#![cfg(target_arch = "wasm32")]
#![no_std]

use wasm_bindgen::prelude::wasm_bindgen;

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

/// A trap: JavaScript sees it as a `WebAssembly.RuntimeError`. Texts would be a third of the module.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

/// The version of the package.
#[wasm_bindgen]
pub fn version() -> u32 {
    1
}
