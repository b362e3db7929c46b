// The page in Chromium, as the demo serves it: one line for each test, `pass|fail  chat-web > name`.
// node run.mjs --demo HUBWIRE-DEMO [--only PART-OF-TEST-NAME]; with UPDATE=1 the picture of the README is taken anew.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { launch, Stray } from "../../../bindings/web/test/lib/chromium.mjs";
import { Suite } from "../../../bindings/web/test/lib/suite.mjs";
import { Demo } from "./demo.mjs";
import { define } from "./chat.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const { values: options } = parseArgs({ options: { demo: { type: "string" }, only: { type: "string", default: "" } } });
if (!options.demo) {
  console.error("run.mjs: --demo PROGRAM is missing");
  process.exit(2);
}

const folder = mkdtempSync(join(tmpdir(), "hubwire-chat-"));
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
const picture = process.env.UPDATE === "1" ? join(here, "../../../docs/images/chat-web.png") : join(folder, "chat.png");

const demo = await Demo.start(options.demo, join(here, "../dist"));
const browser = await launch("--window-size=1280,800");
const stray = new Stray();
const suite = new Suite();
define(suite, { demo, picture });
let failed = 0;
try {
  await suite.run(
    async ({ name, outcome, reason, milliseconds }) => {
      failed += outcome === "fail" ? 1 : 0;
      const text = reason ? `: ${reason.replaceAll(/\s+/g, " ")}` : "";
      console.log(`${outcome}  chat-web > ${name}${text}  (${milliseconds} ms)`);
    },
    {
      only: options.only,
      context: { context: browser.context, stray },
      stray: async () => stray.take(),
      after: async () => {
        const [, ...pages] = browser.context.pages();
        await Promise.all(pages.map((page) => page.close()));
      },
    },
  );
} finally {
  await browser.close();
  await demo.stop();
}
process.exit(failed > 0 ? 1 : 0);
