//! `hubwire-bindgen LIBRARY FOLDER kotlin|swift`: writes the foreign side of the border that the library of
//! `bindings/uniffi` describes. Its configuration is `bindings/uniffi/uniffi.toml`; start it in the workspace.

use std::process::ExitCode;

use uniffi_bindgen::bindings::{GenerateOptions, TargetLanguage, generate};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let chosen = match &arguments[..] {
        [library, folder, language] => match language.as_str() {
            "kotlin" => Some((library, folder, TargetLanguage::Kotlin)),
            "swift" => Some((library, folder, TargetLanguage::Swift)),
            _ => None,
        },
        _ => None,
    };
    let Some((library, folder, language)) = chosen else {
        eprintln!("usage: hubwire-bindgen LIBRARY FOLDER kotlin|swift");
        return ExitCode::from(2);
    };
    let options = GenerateOptions {
        languages: vec![language],
        source: library.into(),
        out_dir: folder.into(),
        crate_filter: Some("hubwire_ffi".to_owned()),
        ..GenerateOptions::default()
    };
    match generate(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hubwire-bindgen: {error:#}");
            ExitCode::FAILURE
        }
    }
}
