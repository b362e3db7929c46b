//! The code that documentation shows, compiled: that of the READMEs and of the comments in the package. What it takes for granted
//! is in `Tests/Snippets`.

use std::fs;
use std::path::Path;

use super::{FOLDER, apple, output, swiftc};
use crate::Result;
use crate::process::{root, run};

/// Fewer than that, and they are not found any more.
const LEAST: usize = 12;

/// Checks the types of all of them, with the modules of `folder`.
pub(super) fn check(folder: &Path) -> Result<()> {
    let mut files = vec![root().join("README.md"), root().join(FOLDER).join("README.md")];
    files.extend(apple::sources("Sources/Hubwire")?);
    let sources = output().join("snippets");
    crate::native::empty(&sources)?;
    let mut compiler = swiftc(folder);
    compiler.args(["-typecheck", "-parse-as-library", "-suppress-warnings", "-module-name", "Snippets"]);
    compiler.arg("Tests/Snippets/Context.swift");
    let mut count = 0;
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        for block in blocks(&text) {
            count += 1;
            let source = sources.join(format!("snippet{count}.swift"));
            fs::write(&source, block.function(count, &file))
                .map_err(|error| format!("{}: {error}", source.display()))?;
            compiler.arg(source);
        }
    }
    if count < LEAST {
        return Err(format!("only {count} blocks of code in the documentation"));
    }
    println!("{count} blocks of code of the documentation:");
    run(&mut compiler)
}

/// Code between two fences, and the number of its first line.
struct Block {
    line: usize,
    code: Vec<String>,
}

impl Block {
    /// A file with it as a function, whose errors name the place in the documentation. A block with imports has all that it needs.
    fn function(&self, number: usize, file: &Path) -> String {
        let is_import = |line: &&String| line.starts_with("import ");
        let mut imports: String =
            self.code.iter().filter(is_import).map(|line| format!("{line}\n")).collect();
        if imports.is_empty() {
            imports += "import Foundation\nimport Hubwire\n";
        }
        let lines = self.code.iter().map(|line| if is_import(&line) { "" } else { line });
        let body: String = lines.map(|line| line.replace('…', "fatalError()") + "\n").collect();
        let (file, line) = (file.display(), self.line);
        format!(
            "{imports}func snippet{number}() async throws {{\n#sourceLocation(file: \"{file}\", line: {line})\n{body}#sourceLocation()\n}}\n"
        )
    }
}

/// What is in Swift, of a Markdown text or of the comments of a source.
fn blocks(text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (index, line) in text.lines().enumerate() {
        let line =
            line.trim_start().strip_prefix("///").map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest));
        match (line.trim_end(), &mut open) {
            ("```swift", None) => open = Some(Block { line: index + 2, code: Vec::new() }),
            ("```", Some(_)) => blocks.extend(open.take()),
            (line, Some(block)) => block.code.push(line.to_owned()),
            _ => {}
        }
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_markdown_and_of_comments() {
        let text = "a\n```swift\nimport B\nlet c = 1\n```\n```sh\nd\n```\n  /// e\n  /// ```swift\n  /// f {\n  ///   … }\n  /// ```\n";
        let found = blocks(text);
        let [first, second] = found.as_slice() else { panic!("{} blocks", found.len()) };
        assert_eq!(
            (first.line, first.code.as_slice()),
            (3, ["import B", "let c = 1"].map(String::from).as_slice())
        );
        assert_eq!((second.line, second.code.join("\n").as_str()), (11, "f {\n  … }"));
        let function = second.function(2, Path::new("x.swift"));
        assert!(function.contains("line: 11)\nf {\n  fatalError() }\n"), "{function}");
        assert!(first.function(1, Path::new("x")).starts_with("import B\nfunc snippet1()"));
    }
}
