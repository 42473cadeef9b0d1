import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { WrongSetting } from "./config.ts";
import { bind } from "./server.ts";
import { startTestServer } from "./test-server.ts";

test("stopping lets requests under way end, takes no new ones, and does not wait for idle connections", async () => {
  const server = await startTestServer();
  const { refreshToken } = await server.addUser("alice").then(() => server.login("alice"));
  const idle = connect(server.port, "127.0.0.1");
  await new Promise((resolve) => idle.once("connect", resolve));
  const asking = Array.from({ length: 32 }, () => server.call("/refresh", { json: { refreshToken } }));
  const first = await Promise.race(asking);
  assert.equal(first.status, 200);
  const started = performance.now();
  await server.stop(10);
  assert.ok(performance.now() - started < 5000, "it waited for idle connections");
  const ended = await Promise.allSettled(asking);
  for (const one of ended) {
    // A connection that had not been taken yet is refused; what was taken is answered.
    if (one.status === "fulfilled") assert.equal(one.value.status, 200, one.value.text);
  }
  await assert.rejects(server.call("/healthz"));
  idle.destroy();
  await server.close();
});

test("an answer says close when the node is stopping, so that keep-alive does not hold it", async () => {
  const server = await startTestServer();
  await server.addUser("alice");
  const socket = connect(server.port, "127.0.0.1");
  const body = JSON.stringify({ username: "alice", password: "correct horse battery" });
  socket.write(
    `POST /login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  );
  const answer = new Promise<string>((resolve) => {
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("close", () => resolve(text));
  });
  // Only once the request has been taken.
  await server.call("/healthz");
  await server.stop(10);
  assert.match(await answer, /^HTTP\/1\.1 200 /);
  // RFC 9112 §9.6: else the client may have sent its next request when the connection closes under it.
  assert.match(await answer, /\r\nConnection: close\r\n/i);
  const [, token] = /"refreshToken":"([^"]+)"/.exec(await answer) ?? [];
  assert.ok(token);
  server.secrets.add(token);
  await server.close();
});

test("stopping twice stops once", async () => {
  const server = await startTestServer();
  await Promise.all([server.stop(1), server.stop(1)]);
  await server.close();
});

test("an address that cannot be listened on stops the start with one line that names the setting", async () => {
  const taken = await bind({ port: 0, host: "127.0.0.1" });
  try {
    const refused = bind({ port: taken.port, host: "127.0.0.1" });
    await assert.rejects(refused, (error: Error) => {
      assert.ok(error instanceof WrongSetting);
      assert.match(
        error.message,
        /^PORT is \d+, which another program listens on; it takes a free port, or 0\.$/,
      );
      return true;
    });
    await assert.rejects(
      bind({ port: 0, host: "192.0.2.1" }),
      /^WrongSetting: HOST is 192\.0\.2\.1, which is no address of this machine/,
    );
  } finally {
    await new Promise((resolve) => taken.server.close(resolve));
  }
});
