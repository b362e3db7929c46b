// Runs test files, each in a world of its own.
import { within } from "./assert.mjs";
import { Report } from "./report.mjs";
import { Suite } from "./suite.mjs";
import { World } from "./world.mjs";

export class Runner extends Report {
  #origin;
  #programs;
  #only;

  constructor(origin, programs, only = "") {
    super();
    this.#origin = origin;
    this.#programs = programs;
    this.#only = only;
  }

  /** A module whose tests run in a page. */
  async inPage(file) {
    await this.#inWorld(file, async (world) => {
      const watch = new Watch();
      const controls = new Controls(world, watch, (result) => this.report(file, result));
      await world.context.exposeBinding("__control", (source, command, args) =>
        controls.run(source.page, command, args),
      );
      const page = await world.page();
      const running = page.evaluate(
        async ([file, only]) => (await import("/test/page/harness.js")).run(`/test/browser/${file}`, only),
        [file, this.#only],
      );
      const leaks = await Promise.race([running, watch.expired]).finally(() => watch.end());
      if (leaks) this.broken(file, "nothing is left behind", new Error(leaks));
    });
  }

  /** A module whose tests drive pages: `export default ({ test }) => test(name, async ({ world, defer }) => …)`. */
  async scenario(file, url) {
    const suite = new Suite();
    (await import(url)).default(suite);
    await this.#inWorld(file, (world) =>
      suite.run(async (result) => this.report(file, result), {
        only: this.#only,
        context: { world },
        stray: async () => world.stray.take(),
        after: async () => {
          // The browser would end with its last page.
          const [, ...pages] = world.context.pages();
          await Promise.all(pages.map((page) => page.close()));
          await world.restore();
        },
      }),
    );
  }

  async #inWorld(file, action) {
    let world;
    try {
      world = await World.start(this.#origin, this.#programs);
      await action(world);
      const stray = world.stray.take();
      if (stray.length > 0) throw new Error(stray.join("; "));
    } catch (error) {
      this.broken(file, "runs to its end", error);
    } finally {
      await within("the end of the browser and the programs", world?.stop(), 30_000).catch((error) =>
        this.broken(file, "leaves nothing running", error),
      );
    }
  }
}

/** Ends a file whose page does not answer any more. */
class Watch {
  #timer;
  #expire;
  expired = new Promise((_, reject) => (this.#expire = reject));

  constructor() {
    this.expired.catch(() => {});
  }

  begin(name, timeout) {
    clearTimeout(this.#timer);
    const late = () => this.#expire(new Error(`the page does not answer any more, since "${name}"`));
    this.#timer = setTimeout(late, 2 * timeout + 10_000);
  }

  end() {
    clearTimeout(this.#timer);
  }
}

/** What pages can ask for; `page/harness.js` documents it. */
class Controls {
  #world;
  #watch;
  #report;
  #pages = new Map();

  constructor(world, watch, report) {
    this.#world = world;
    this.#watch = watch;
    this.#report = report;
  }

  async run(page, command, args) {
    const world = this.#world;
    const [area, name] = command.split(".");
    if (area === "server" || area === "proxy") return world[area][name](...args);
    if (area === "page") return this.#page(page, name, ...args);
    switch (command) {
      case "info":
        return { serverUrl: world.server.url, proxyUrl: world.proxy.url };
      case "begin":
        return this.#watch.begin(...args);
      case "report":
        return this.#report(...args);
      case "stray":
        return world.stray.take();
      case "expectError":
        return world.stray.expect(...args);
      case "restore":
        await Promise.all([...this.#pages.values()].map((page) => page.close()));
        this.#pages.clear();
        await world.show(page);
        return world.restore();
      case "hide":
        return world.hide(page);
      case "show":
        return world.show(page);
      case "offline":
        return world.offline(...args);
      case "token":
        return world.token(...args);
      case "memory":
        return world.memory(page);
      case "freeze":
        await world.freeze(page);
        try {
          for (const [command, ...rest] of args[0]) await this.run(page, command, rest);
        } finally {
          await world.unfreeze(page);
        }
        return undefined;
      default:
        throw new Error(`the harness has no ${command}`);
    }
  }

  async #page(opener, name, id, source, argument) {
    const world = this.#world;
    if (name === "open") {
      this.#pages.set(this.#pages.size + 1, await world.page());
      // Tests run in a page that is seen, unless they say otherwise.
      await world.show(opener);
      return this.#pages.size;
    }
    const page = this.#pages.get(id);
    if (!page) throw new Error(`there is no page ${id}`);
    switch (name) {
      case "run":
        return page.evaluate(`(${source})(${JSON.stringify(argument) ?? ""})`);
      case "reload":
        return void (await page.reload());
      case "leave":
        return void (await page.goto(`${world.origin}/test/page/?elsewhere`));
      case "back":
        // The page may come out of the browser's cache, which Playwright's own way back does not expect.
        await page.evaluate(() => void setTimeout(() => history.back()));
        return void (await page.waitForFunction(() => !location.search, undefined, { polling: 20 }));
      case "show":
        return world.show(page);
      case "freeze":
        return world.freeze(page);
      case "unfreeze":
        return world.unfreeze(page);
      case "close":
        return page.close();
      default:
        throw new Error(`a page has no ${name}`);
    }
  }
}
