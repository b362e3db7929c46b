import assert from "node:assert/strict";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { AbortError, DefaultHttpClient, HttpError, HubError, NullLogger, TimeoutError } from "../src/index.js";

const requests: { method: string | undefined; headers: IncomingHttpHeaders; body: string }[] = [];
const server = createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    requests.push({ method: request.method, headers: request.headers, body });
    if (request.url === "/hang") {
      return;
    }
    response.writeHead(request.url === "/ok" ? 200 : Number(request.url?.slice(1)));
    response.end(request.url === "/404" ? "" : "body");
  });
});
let base = "";
before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const client = new DefaultHttpClient(NullLogger.instance);

test("requests of each method", async () => {
  const response = await client.get(`${base}/ok`);
  assert.deepEqual([response.statusCode, response.statusText, response.content], [200, "OK", "body"]);
  const bytes = await client.post(`${base}/ok`, {
    content: "text",
    headers: { "x-a": "b" },
    responseType: "arraybuffer",
  });
  assert.equal(Buffer.from(bytes.content as ArrayBuffer).toString(), "body");
  await client.delete(`${base}/ok`, { content: new TextEncoder().encode("bytes").buffer as ArrayBuffer });
  assert.deepEqual(
    requests
      .splice(0)
      .map(({ method, headers, body }) => [
        method,
        headers["x-requested-with"],
        headers["content-type"],
        headers["x-a"],
        body,
      ]),
    [
      ["GET", "XMLHttpRequest", undefined, undefined, ""],
      ["POST", "XMLHttpRequest", "text/plain;charset=UTF-8", "b", "text"],
      ["DELETE", "XMLHttpRequest", "application/octet-stream", undefined, "bytes"],
    ],
  );
});

test("a status that is no success is an HttpError with its text", async () => {
  await assert.rejects(client.get(`${base}/500`), (error) => {
    assert.ok(error instanceof HttpError && error instanceof HubError);
    assert.deepEqual([error.message, error.statusCode], ["body: Status code '500'", 500]);
    return true;
  });
  await assert.rejects(client.get(`${base}/404`), { message: "Not Found: Status code '404'" });
});

test("what is missing is named", async () => {
  await assert.rejects(client.send({ url: base }), new Error("No method defined."));
  await assert.rejects(client.send({ method: "GET" }), new Error("No url defined."));
});

test("timeouts and signals end a request", async () => {
  await assert.rejects(client.get(`${base}/hang`, { timeout: 20 }), TimeoutError);
  const controller = new AbortController();
  const request = client.get(`${base}/hang`, { abortSignal: controller.signal });
  controller.abort();
  await assert.rejects(request, AbortError);
  await assert.rejects(client.get(`${base}/ok`, { abortSignal: controller.signal }), AbortError);
});
