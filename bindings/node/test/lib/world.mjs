// What one test file has for itself: a server, and the proxy in front of it.
import { Proxy, Server, token } from "../../../web/test/lib/programs.mjs";
import { Stray } from "./stray.mjs";

/** No page comes from there. */
const ORIGIN = "http://127.0.0.1";

export class World {
  stray = new Stray();
  token = token;

  /** `programs` has the paths of `server` and `proxy`. */
  static async start(programs) {
    const world = new World();
    try {
      world.server = await Server.start(programs.server, ORIGIN);
      world.proxy = await Proxy.start(programs.proxy, world.server.host);
    } catch (error) {
      await world.stop();
      throw error;
    }
    return world;
  }

  /** Leaves everything as it was found, for the next test. */
  restore() {
    return this.proxy.unblock();
  }

  async stop() {
    await Promise.all([this.proxy?.stop(), this.server?.kill()]);
  }
}
