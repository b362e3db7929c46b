// The pages of the tests, over HTTP on a free port of 127.0.0.1.
import { createReadStream, existsSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { extname, join, normalize } from "node:path";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".mjs": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".json": "application/json",
  // Browsers compile it while it arrives only with this type.
  ".wasm": "application/wasm",
};

/** Serves folders: `{ "/path/": "/folder" }`. Gives the origin, and what ends it. */
export async function serve(folders, headers = {}) {
  const server = createServer((request, response) => {
    const path = normalize(decodeURIComponent(new URL(request.url, "http://any").pathname));
    const mount = Object.keys(folders).find((mount) => path.startsWith(mount));
    let file = mount && join(folders[mount], path.slice(mount.length));
    if (file && existsSync(file) && statSync(file).isDirectory()) file = join(file, "index.html");
    if (!file || !existsSync(file)) {
      // Browsers ask for it; an error would be in their console.
      response.writeHead(path === "/favicon.ico" ? 204 : 404).end();
      return;
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "cache-control": "no-cache",
      // A worker script may then be responsible for more than its own folder.
      "service-worker-allowed": "/",
      ...headers,
    });
    createReadStream(file).pipe(response);
  });
  await new Promise((resolve, reject) => server.once("error", reject).listen(0, "127.0.0.1", resolve));
  return {
    origin: `http://127.0.0.1:${server.address().port}`,
    close: () => new Promise((resolve) => (server.close(resolve), server.closeAllConnections())),
  };
}
