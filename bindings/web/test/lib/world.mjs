// What one test file has for itself: a server, the proxy in front of it, and a browser.
import { launch, Stray } from "./chromium.mjs";
import { Proxy, Server, token } from "./programs.mjs";

export class World {
  stray = new Stray();
  token = token;
  #browser;
  #devtools = new Map();

  /** `origin` is that of the pages, `programs` has the paths of `server` and `proxy`. */
  static async start(origin, programs) {
    const world = new World();
    world.origin = origin;
    try {
      world.server = await Server.start(programs.server, origin);
      world.proxy = await Proxy.start(programs.proxy, world.server.host);
      world.#browser = await launch();
    } catch (error) {
      await world.stop();
      throw error;
    }
    world.context = world.#browser.context;
    return world;
  }

  /** A page that has loaded nothing, in front of the others. */
  async page(path = "/test/page/") {
    const page = await this.context.newPage();
    this.stray.watch(page);
    await page.goto(path.startsWith("http") ? path : `${this.origin}${path}`);
    return page;
  }

  async #tools(page) {
    let session = this.#devtools.get(page);
    if (!session) this.#devtools.set(page, (session = await this.context.newCDPSession(page)));
    return session;
  }

  /** Calls a method of the DevTools protocol for a page. */
  async devtools(page, method, parameters) {
    return (await this.#tools(page)).send(method, parameters);
  }

  /** The page is hidden behind another until `show`. */
  async hide(page) {
    if (await page.evaluate(() => document.visibilityState === "hidden")) return;
    await (await this.context.newPage()).goto("about:blank#curtain");
    await page.waitForFunction(() => document.visibilityState === "hidden", undefined, { polling: 20 });
  }

  async show(page) {
    await page.bringToFront();
    const curtains = this.context.pages().filter((other) => other.url() === "about:blank#curtain");
    await Promise.all(curtains.map((curtain) => curtain.close()));
    await page.waitForFunction(() => document.visibilityState === "visible", undefined, { polling: 20 });
  }

  /** Hides the page; no timer and no event of it runs until `unfreeze`, as in a tab that was put away. */
  async freeze(page) {
    await this.hide(page);
    await this.devtools(page, "Page.setWebLifecycleState", { state: "frozen" });
  }

  async unfreeze(page) {
    await this.devtools(page, "Page.setWebLifecycleState", { state: "active" });
    await this.show(page);
  }

  /** Collects garbage, and says what is left, in bytes: objects of JavaScript, and buffers. */
  async memory(page) {
    await this.devtools(page, "HeapProfiler.collectGarbage");
    const { usedSize, backingStorageSize } = await this.devtools(page, "Runtime.getHeapUsage");
    return { objects: usedSize, buffers: backingStorageSize };
  }

  /** What the browser says of its network, to all pages. Sockets that are open stay so: the proxy is for those. */
  offline(is) {
    return this.context.setOffline(is);
  }

  /** Leaves everything as it was found, for the next test. */
  async restore() {
    await this.context.setOffline(false);
    await this.proxy.unblock();
  }

  async stop() {
    await Promise.all([this.#browser?.close(), this.proxy?.stop(), this.server?.kill()]);
  }
}
