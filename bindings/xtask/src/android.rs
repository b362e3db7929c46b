//! What the Kotlin library promises for Android, as far as it can be seen without a device: part of the suite `kotlin`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::kotlin::{self, output};
use crate::native;
use crate::process::{Output, program, read, run, shown};
use crate::steps::Step;

/// The oldest version that the library is for; `android.level` in `bindings/kotlin/pom.xml`.
const LEVEL: &str = "24";

/// The example.
const CHAT: &str = "dev.hubwire.example.Chat";

/// What the example does not do.
const CALLS: &str = "dev.hubwire.shrunk.Calls";

/// Each needs what those before have made.
pub(crate) const STEPS: [Step; 6] = [
    ("Android: Java's classes", api),
    ("Android: tools", tools),
    ("Android: the adapter", adapter),
    ("Android: dex of the library", library_dex),
    ("Android: dex of an application", application_dex),
    ("Android: shrunk programs", shrunk_programs),
];

/// Programs with everything they use, shrunk to run on the JVM: the suite runs them.
pub(crate) fn shrunk() -> PathBuf {
    folder().join("shrunk.jar")
}

fn folder() -> PathBuf {
    output().join("android")
}

/// Of all that the library has compiled, nothing uses a part of Java that the oldest Android lacks.
fn api() -> Result<()> {
    let level = format!("-Dandroid.level={LEVEL}");
    run(kotlin::maven().arg(level).arg("org.codehaus.mojo:animal-sniffer-maven-plugin:check@android"))
}

/// Maven in the folder of the adapter.
fn maven() -> Command {
    let mut maven = kotlin::maven_in("bindings/kotlin/android", &folder());
    maven.arg(format!("-Dhubwire.library={}", kotlin::jar_file().display()));
    maven
}

/// What Maven downloads and cannot unpack by itself.
fn tools() -> Result<()> {
    run(maven().arg("initialize"))?;
    let archives = folder().join("archives");
    for entry in fs::read_dir(&archives).map_err(|error| format!("{}: {error}", archives.display()))? {
        let file = entry.map_err(|error| error.to_string())?.path();
        if file.extension().is_some_and(|extension| extension == "aar") {
            let classes = file.with_extension("");
            native::empty(&classes)?;
            let mut jar = program("jar");
            run(jar.arg("--extract").arg("--file").arg(&file).arg("classes.jar").current_dir(&classes))?;
        }
    }
    Ok(())
}

/// The file to copy compiles, and hints what Android tells it. Writes down the paths of the tools, too.
fn adapter() -> Result<()> {
    run(maven().arg(format!("-Dhubwire.programs={}", kotlin::programs()?.display())).arg("verify"))
}

/// The paths in a file that Maven wrote.
fn paths(file: &Path) -> Result<Vec<PathBuf>> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(std::env::split_paths(text.trim()).collect())
}

/// The jar whose name begins with this, of all that the tests of the adapter need.
fn tool(name: &str) -> Result<PathBuf> {
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|file| file.to_string_lossy().starts_with(name));
    paths(&folder().join("paths.txt"))?.into_iter().find(is_it).ok_or_else(|| format!("Maven has no {name}"))
}

/// What an application needs beside the library.
fn dependencies() -> Result<Vec<PathBuf>> {
    let file = folder().join("dependencies.txt");
    let mut maven = kotlin::maven();
    maven.args([
        "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:build-classpath",
        "-DincludeScope=runtime",
    ]);
    run(maven.arg(format!("-Dmdep.outputFile={}", file.display())))?;
    paths(&file)
}

/// R8 or D8. It takes the rules that are in the jars by itself, as it does under Gradle.
fn shrinker(class: &str) -> Result<Command> {
    let mut java = program("java");
    // So short a run is over before better code of it would pay.
    java.args(["-Xmx2g", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp"])
        .arg(tool("r8-")?)
        .arg(format!("com.android.tools.r8.{class}"))
        .arg("--release");
    Ok(java)
}

/// Runs it; a class that is not there is an error.
fn shrink(command: &mut Command) -> Result<()> {
    let Output { success, stdout, stderr } = read(command)?;
    if success && !stderr.contains("Missing class") && !stdout.contains("Missing class") {
        return Ok(());
    }
    let lines: Vec<&str> =
        stderr.lines().filter(|line| !line.trim_start().starts_with("at ")).take(20).collect();
    Err(format!("`{}` failed:\n{}", shown(command), lines.join("\n")))
}

/// What Android has of Java, about: there is no `android.jar` in a repository of Maven, and Robolectric's has no
/// `java.lang`. So it is the base of this JDK without its desktop; the step `api` knows better what Android has of it.
fn java_base() -> Result<PathBuf> {
    let jar = folder().join("java-base.jar");
    let classes = folder().join("java-base");
    native::empty(&classes)?;
    let modules = java_home()?.join("lib/modules");
    let mut extract = program("jimage");
    extract.arg("extract").arg("--dir").arg(&classes).args(["--include", r"regex:/java\.(base|logging)/.*"]);
    run(extract.arg(modules))?;
    let mut create = program("jar");
    create.args(["--create", "--no-compress", "--file"]).arg(&jar);
    run(create
        .arg("-C")
        .arg(classes.join("java.base"))
        .arg(".")
        .arg("-C")
        .arg(classes.join("java.logging"))
        .arg("java"))?;
    Ok(jar)
}

fn java_home() -> Result<PathBuf> {
    let output = read(program("java").args(["-XshowSettings:properties", "-version"]))?;
    let home = output.stderr.lines().find_map(|line| line.trim().strip_prefix("java.home = "));
    home.map(PathBuf::from).ok_or_else(|| "java does not say where it is".into())
}

/// D8 or R8 with the oldest Android, and what applications compile with.
fn to_dex(class: &str, name: &str) -> Result<(Command, PathBuf)> {
    let to = folder().join(name);
    native::empty(&to)?;
    let mut command = shrinker(class)?;
    command.args(["--min-api", LEVEL, "--lib"]).arg(java_base()?).arg("--lib").arg(tool("android-all-")?);
    command.arg("--output").arg(&to);
    Ok((command, to))
}

/// Prints how much it is.
fn weigh(folder: &Path, what: &str) -> Result<()> {
    let problem = |error| format!("{}: {error}", folder.display());
    let mut bytes = 0;
    for entry in fs::read_dir(folder).map_err(problem)? {
        let entry = entry.map_err(problem)?;
        if entry.path().extension().is_some_and(|extension| extension == "dex") {
            bytes += entry.metadata().map_err(problem)?.len();
        }
    }
    if bytes == 0 {
        return Err(format!("{}: there is no dex", folder.display()));
    }
    println!("  {what}: {:.0} kB of dex", bytes as f64 / 1e3);
    Ok(())
}

fn library_dex() -> Result<()> {
    let (mut d8, to) = to_dex("D8", "library")?;
    for jar in dependencies()? {
        d8.arg("--classpath").arg(jar);
    }
    shrink(d8.arg(kotlin::jar_file()))?;
    weigh(&to, "the library, nothing left out")
}

/// Gives R8 these programs, of which it keeps what they run, the library, and all they need.
fn add_programs(r8: &mut Command, programs: &[&str]) -> Result<()> {
    let (rules, classes) = (folder().join("programs.pro"), folder().join("programs.jar"));
    let mut jar = program("jar");
    jar.arg("--create").arg("--file").arg(&classes);
    let mut text = String::new();
    for class in programs {
        text += &format!("-keep class {class} {{ public static void main(java.lang.String[]); }}\n");
        let package = class.rsplit_once('.').map_or(*class, |(package, _)| package);
        jar.arg("-C").arg(output().join("test-classes")).arg(package.replace('.', "/"));
    }
    fs::write(&rules, text).map_err(|error| format!("{}: {error}", rules.display()))?;
    run(&mut jar)?;
    r8.arg("--pg-conf").arg(rules).args(dependencies()?).arg(classes).arg(kotlin::jar_file());
    Ok(())
}

fn application_dex() -> Result<()> {
    let (mut r8, to) = to_dex("R8", "application")?;
    add_programs(r8.args(["--dex", "--no-data-resources"]), &[CHAT])?;
    shrink(&mut r8)?;
    weigh(&to, "the chat with the library and all it needs, shrunk")
}

fn shrunk_programs() -> Result<()> {
    let mut r8 = shrinker("R8")?;
    r8.arg("--classfile").arg("--lib").arg(java_home()?).arg("--output").arg(shrunk());
    add_programs(&mut r8, &[CHAT, CALLS])?;
    shrink(&mut r8)
}
