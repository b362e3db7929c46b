// What @hubwire/node does otherwise on purpose: a line of the official client, the lines that come instead of it, and why.

/** @type {{scenario: string, from: string, to: string[], why: string, ways?: string[]}[]} */
const DIFFERENCES = [];

export const differences = (scenario, transport, protocol) =>
  DIFFERENCES.filter(
    ({ scenario: name, ways }) => name === scenario && (!ways || ways.includes(transport) || ways.includes(protocol)),
  );
