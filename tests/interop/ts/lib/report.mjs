// The table on the terminal and the JSON file. The Rust client writes the same format, so that both can be merged.

export function table(results) {
  const columns = [...new Set(results.map(column))];
  const rows = [...new Set(results.map(({ scenario }) => scenario))];
  const width = Math.max(...rows.map((row) => row.length));
  const cells = new Map(results.map((result) => [`${result.scenario} ${column(result)}`, result]));
  const lines = [`${'scenario'.padEnd(width)}  ${columns.join('  ')}`];
  for (const row of rows) {
    const marks = columns.map((name) => mark(cells.get(`${row} ${name}`)).padEnd(name.length));
    lines.push(`${row.padEnd(width)}  ${marks.join('  ')}`.trimEnd());
  }
  return lines.join('\n');
}

const column = ({ protocol, transport }) => `${protocol}/${transport}`;

function mark(result) {
  if (!result) return '';
  return result.outcome === 'skip' ? 'skip' : `${result.outcome === 'pass' ? 'ok' : 'FAIL'} ${result.milliseconds} ms`;
}

/** The reasons below the table: each skip reason once, each failure with its place. */
export function notes(results) {
  const lines = [];
  const skips = new Map();
  for (const { outcome, reason, scenario } of results) {
    if (outcome === 'skip') skips.set(reason, [...new Set([...(skips.get(reason) ?? []), scenario])]);
  }
  for (const [reason, scenarios] of skips) lines.push(`skipped: ${scenarios.join(', ')}: ${reason}`);
  for (const result of results) {
    if (result.outcome === 'fail') lines.push(`FAILED: ${result.scenario} (${column(result)}): ${result.reason}`);
  }
  return lines.join('\n');
}

export function totals(results) {
  const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
  return { passed: count('pass'), failed: count('fail'), skipped: count('skip') };
}
