/**
 * The page that says what was observed: one row for each scenario, and each difference with its reason. `command` runs it, `place`
 * is where it runs.
 */
export function table(rows, { command, place }) {
  const names = [...new Set(rows.map(({ name }) => name))];
  const lines = [
    "# Beside `@microsoft/signalr`",
    "",
    `\`${command}\` runs each scenario of \`bindings/web/test/compat\` with both packages, through the same code, ${place},`,
    "against the same server, and compares what an application sees: values, states, callbacks, texts of errors. This page is written by",
    "that run.",
    "",
    "| scenario | ways | observations | the same |",
    "|---|---|---|---|",
  ];
  const reasons = [];
  for (const name of names) {
    const own = rows.filter((row) => row.name === name);
    const seen = own.reduce((sum, { signalr }) => sum + signalr.length, 0);
    const known = [...new Map(own.flatMap(({ known }) => known).map((one) => [one.why, one])).values()];
    lines.push(`| ${name} | ${own.map(({ way }) => way).join("; ")} | ${seen} | ${known.length === 0 ? "yes" : `but for ${known.length}`} |`);
    for (const { from, to, why } of known) {
      reasons.push(`- ${name}: \`${from}\` is ${to.length === 0 ? "not there" : to.map((line) => `\`${line.source ?? line}\``).join(", ")}. ${why}`);
    }
  }
  lines.push("", "## Differences on purpose", "", ...(reasons.length > 0 ? reasons : ["None."]), "");
  return lines.join("\n");
}
