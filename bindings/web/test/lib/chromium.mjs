// Chromium of the system, without traffic of its own, with a profile in a new folder that is removed at the end.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { within } from "./assert.mjs";

const FLAGS = [
  "--headless",
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Pages behind others must not become slow by themselves: tests say when that is to happen.
  "--disable-background-timer-throttling",
  "--disable-renderer-backgrounding",
  "--remote-debugging-port=0",
];

/**
 * Starts it. Playwright is only connected to it, without its defaults: pages that it makes itself always believe that
 * they are visible, and so cannot be frozen.
 */
export async function launch(...more) {
  const program = process.env.CHROMIUM || "/usr/bin/chromium";
  const profile = mkdtempSync(join(tmpdir(), "hubwire-chromium-"));
  const child = spawn(program, [...FLAGS, ...more, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const gone = once(child, "exit");
  const abandon = () => {
    child.kill("SIGKILL");
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  };
  process.once("exit", abandon);
  const close = async () => {
    child.kill("SIGTERM");
    await within("the end of Chromium", gone, 20_000).catch(() => child.kill("SIGKILL"));
    process.off("exit", abandon);
    // Its helpers end a little later, and write into the folder until then.
    await rm(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
  };
  try {
    const endpoint = await within(
      "Chromium to start",
      Promise.race([address(child), gone.then(() => Promise.reject(new Error("Chromium ended")))]),
      60_000,
    );
    const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true });
    return { version: browser.version(), context: browser.contexts()[0], close };
  } catch (error) {
    await close().catch(() => {});
    throw error;
  }
}

function address(child) {
  return new Promise((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    child.stderr.on("data", (data) => {
      // What it writes later is of no interest, but must be read.
      if (text.length < 100_000) text += data;
      const found = /DevTools listening on (ws:\S+)/.exec(text);
      if (found) resolve(found[1]);
    });
  });
}

/** What the browser itself writes to the console when a request or a socket fails. */
const OF_THE_BROWSER =
  /^(Failed to load resource: |WebSocket connection to |Access to \w+ at |EventSource's response )/;

/** Collects what went wrong in a page outside of any promise of a test. */
export class Stray {
  #found = [];
  #expected = [];

  watch(page) {
    page.on("pageerror", (error) =>
      this.#add(`uncaught: ${error.stack || error.message || error}`.split("\n").slice(0, 3).join(" ")),
    );
    page.on("console", (message) => {
      if (message.type() === "error" && !OF_THE_BROWSER.test(message.text()))
        this.#add(`console.error: ${message.text()}`);
    });
    page.on("crash", () => this.#add("the page crashed"));
  }

  #add(text) {
    if (!this.#expected.some((pattern) => pattern.test(text))) this.#found.push(text.slice(0, 600));
  }

  /** From now on until `take`, texts with this pattern are as they should be. */
  expect(pattern) {
    this.#expected.push(new RegExp(pattern));
  }

  take() {
    this.#expected = [];
    return this.#found.splice(0);
  }
}
