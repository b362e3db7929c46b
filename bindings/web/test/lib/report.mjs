// One line for each test, as `cargo xtask test` counts them: `pass|fail|skip  file > name`.

export class Report {
  failed = 0;
  passed = 0;

  report(file, { name, outcome, reason, milliseconds }) {
    if (outcome === "fail") this.failed += 1;
    if (outcome === "pass") this.passed += 1;
    const text = reason ? `: ${reason.replaceAll(/\s+/g, " ")}` : "";
    console.log(`${outcome}  ${file} > ${name}${text}  (${milliseconds} ms)`);
  }

  /** Something went wrong that is no test's. */
  broken(file, name, error) {
    this.report(file, { name, outcome: "fail", reason: error?.message ?? String(error), milliseconds: 0 });
  }

  /** The last line, and the exit code. */
  end(started) {
    const { passed, failed } = this;
    console.log(`\n${passed} passed, ${failed} failed in ${((performance.now() - started) / 1000).toFixed(1)} s`);
    return failed > 0 ? 1 : 0;
  }
}
