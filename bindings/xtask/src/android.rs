//! What the Kotlin library promises for Android, as far as it can be seen without a device: part of the suite `kotlin`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::kotlin::{self, output};
use crate::native;
use crate::process::{program, read, run};
use crate::steps::Step;

/// The oldest version that the library is for; `android.level` in `bindings/kotlin/pom.xml`.
const LEVEL: &str = "24";

/// The example.
const CHAT: &str = "dev.hubwire.example.Chat";

/// What the example does not do.
const CALLS: &str = "dev.hubwire.shrunk.Calls";

/// Each needs what those before have made.
pub(crate) const STEPS: [Step; 3] = [
    ("Android: Java's classes", api),
    ("Android: the adapter", adapter),
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

/// The file to copy compiles, and hints what Android tells it.
fn adapter() -> Result<()> {
    kotlin::forget_classes(&folder())?;
    run(maven().arg(format!("-Dhubwire.programs={}", kotlin::programs()?.display())).arg("verify"))
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
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(std::env::split_paths(text.trim()).collect())
}

/// What Android has of Java, about: it is in no repository of Maven. So it is the base of this JDK without its desktop; the
/// step `api` knows better what Android has of it.
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

/// The programs, and the rules that keep what starts them.
fn programs(names: &[&str]) -> Result<(PathBuf, String)> {
    let classes = folder().join("programs.jar");
    let mut jar = program("jar");
    jar.arg("--create").arg("--file").arg(&classes);
    let mut rules = String::new();
    for class in names {
        rules += &format!("-keep class {class} {{ public static void main(java.lang.String[]); }}\n");
        let package = class.rsplit_once('.').map_or(*class, |(package, _)| package);
        jar.arg("-C").arg(output().join("test-classes")).arg(package.replace('.', "/"));
    }
    run(&mut jar)?;
    Ok((classes, rules))
}

/// The rules that are in a jar for whoever shrinks it: the files `*.pro` of `META-INF/proguard`.
fn rules_in(jar: &Path) -> Result<Vec<PathBuf>> {
    let to = folder().join("rules").join(jar.file_stem().unwrap_or_default());
    native::empty(&to)?;
    run(program("jar").arg("--extract").arg("--file").arg(jar).arg("META-INF/proguard").current_dir(&to))?;
    let rules = to.join("META-INF/proguard");
    if !rules.is_dir() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(&rules).map_err(|error| format!("{}: {error}", rules.display()))?;
    let files = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>();
    let files = files.map_err(|error| format!("{}: {error}", rules.display()))?;
    Ok(files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|extension| extension == "pro"))
        .collect())
}

/// By ProGuard, with the library and all they need, and no rules but those that the jars have. Of `META-INF` it takes what
/// the programs look for when they run.
fn shrunk_programs() -> Result<()> {
    let (classes, mut rules) = programs(&[CHAT, CALLS])?;
    let mut jars = dependencies()?;
    jars.push(kotlin::jar_file());
    for jar in &jars {
        for file in rules_in(jar)? {
            rules += &format!("-include '{}'\n", file.display());
        }
    }
    jars.push(classes);
    for jar in jars {
        rules += &format!(
            "-injars '{}'(!META-INF/MANIFEST.MF,!META-INF/versions/**,!**module-info.class)\n",
            jar.display()
        );
    }
    rules += &format!("-outjars '{}'\n-libraryjars '{}'\n", shrunk().display(), java_base()?.display());
    let file = folder().join("programs.pro");
    fs::write(&file, rules).map_err(|error| format!("{}: {error}", file.display()))?;
    run(maven()
        .arg(format!("-Dhubwire.programs.rules={}", file.display()))
        .arg("org.apache.maven.plugins:maven-antrun-plugin:3.1.0:run@shrink"))
}
