//! `hubwire-glue MODULE.wasm FOLDER NAME [--names]`: writes `FOLDER/NAME.js`, `NAME.d.ts` and `NAME_bg.wasm`, as
//! `wasm-bindgen --target web` does. With `--names` the module keeps the names of its functions.

use std::process::ExitCode;

use wasm_bindgen_cli_support::Bindgen;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (module, folder, name, names) = match &arguments[..] {
        [module, folder, name] => (module, folder, name, false),
        [module, folder, name, option] if option == "--names" => (module, folder, name, true),
        _ => {
            eprintln!("usage: hubwire-glue MODULE.wasm FOLDER NAME [--names]");
            return ExitCode::from(2);
        }
    };
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).out_name(name).typescript(true);
    bindgen.remove_name_section(!names).remove_producers_section(true);
    // Else the module would not be found by a loader that is given no path.
    bindgen.omit_default_module_path(false);
    match bindgen.web(true).and_then(|bindgen| bindgen.generate(folder)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hubwire-glue: {error:#}");
            ExitCode::FAILURE
        }
    }
}
