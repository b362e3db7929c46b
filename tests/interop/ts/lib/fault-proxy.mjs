// The fault proxy (tests/README.md) between the client and the server under test.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** Starts `program` in front of the host of `url`; gives the URL through it, and a way to command it. */
export async function startProxy(t, program, url) {
  const target = new URL(url);
  const child = spawn(program, ['--upstream', target.host], { stdio: ['pipe', 'pipe', 'inherit'] });
  t.defer(async () => child.kill());
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const first = (await lines.next()).value ?? '';
  const address = first.replace(/^listening on /, '');
  if (!address.startsWith('http://')) throw new Error(`the fault proxy said "${first}"`);
  return {
    url: `${address}${target.pathname}`,
    async command(command) {
      child.stdin.write(`${JSON.stringify(command)}\n`);
      const answer = JSON.parse((await lines.next()).value);
      if (!answer.ok) throw new Error(`fault proxy: ${answer.error}`);
      return answer;
    },
  };
}
