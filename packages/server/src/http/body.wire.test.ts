import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { limits } from "../primitives/limits.ts";
import { assertRefusal, exchange } from "../test-server.ts";
import { bodyTakers } from "./test-bodies.ts";

/** The bytes of a body on their way: how many there are, where they end, and who says so. */

const { server, accepted, tokenFor, send } = bodyTakers();

const padded = (path: string, bytes: number) => {
  const text = JSON.stringify(accepted()[path]);
  return text + " ".repeat(bytes - Buffer.byteLength(text));
};

test("RFC 9110 §15.5.14: a byte more than the bound is refused, with and without Content-Length", async () => {
  for (const path of Object.keys(accepted())) {
    const large = Buffer.from(padded(path, limits.bodyBytesMax + 1));
    const refused = { status: 413, error: "body_too_large" };
    assertRefusal(await send(path, large), refused);
    const stream = new Blob([large]).stream();
    assertRefusal(await send(path, stream), refused);
    // As many characters as are allowed, but more bytes.
    const wide = Buffer.from(`{"refreshToken":"${"é".repeat(limits.bodyBytesMax / 2)}"}`);
    assertRefusal(await send(path, wide), refused);
    assertRefusal(await send(path, new Blob([wide]).stream()), refused);
  }
  const whole = JSON.stringify({ username: "nobody", password: "x" });
  const full = whole + " ".repeat(limits.bodyBytesMax - whole.length);
  assertRefusal(await send("/login", full), { status: 401, error: "invalid_credentials" });
});

function head(path: string, fields: string): string {
  const token = tokenFor(path);
  const authorization = token === undefined ? "" : `Authorization: Bearer ${token}\r\n`;
  return `POST ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\n${authorization}Content-Type: application/json\r\n${fields}\r\n`;
}

test("a Content-Length that promises a gigabyte is refused before a byte of it is read", async () => {
  for (const path of Object.keys(accepted())) {
    const reply = await exchange(server().port, head(path, "Content-Length: 1073741824\r\n"));
    assertRefusal(reply, { status: 413, error: "body_too_large" });
    assert.equal(reply.headers.get("connection"), "close");
  }
});

test("RFC 9112 §6.3: a Content-Length that lies, repeats itself or fights with chunks never makes two requests of one", async () => {
  const body = JSON.stringify({ username: "nobody", password: "x" });
  const smuggled = "GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
  const fights = [
    `Content-Length: ${body.length}\r\nTransfer-Encoding: chunked\r\n`,
    `Content-Length: ${body.length}\r\nContent-Length: ${body.length + 1}\r\n`,
    `Content-Length: ${body.length},${body.length}\r\n`,
    "Content-Length: -1\r\n",
    "Content-Length: 0x10\r\n",
    "Content-Length: 1e3\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Transfer-Encoding: chunked, identity\r\n",
    "Transfer-Encoding: xchunked\r\n",
  ];
  for (const fields of fights) {
    const reply = await exchange(server().port, head("/login", fields) + body + smuggled);
    assert.ok(reply.status >= 400 && reply.status < 500, `${fields} was answered ${reply.status}`);
    assert.ok(!reply.text.includes('"ok"'), fields);
  }
  // Shorter than what comes: the rest is not part of the body.
  const short = await exchange(
    server().port,
    head("/login", "Content-Length: 10\r\nConnection: close\r\n") + body,
  );
  assertRefusal(short, { status: 400 });
});

test("a body that is broken off is no request, and no error of ours", async () => {
  const { connect } = await import("node:net");
  const started = server().lines.length;
  for (const fields of ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n"]) {
    const socket = connect(server().port, "127.0.0.1");
    socket.write(`${head("/login", fields)}${fields.includes("chunked") ? "5\r\n" : ""}{"use`);
    // An answer to another request says that ours has been looked at.
    assert.equal((await server().call("/healthz")).status, 200);
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.destroy();
    await closed;
  }
  for (let i = 0; i < 20; i++) assert.equal((await server().call("/readyz")).status, 200);
  assert.deepEqual(
    server()
      .lines.slice(started)
      .filter((line) => /"level":[56]0/.test(line)),
    [],
  );
});

test("Expect: 100-continue is answered, then the request", async () => {
  const body = JSON.stringify({ username: "nobody", password: "x" });
  const fields = `Expect: 100-continue\r\nContent-Length: ${body.length}\r\nConnection: close\r\n`;
  const reply = await exchange(server().port, [head("/login", fields), body]);
  assertRefusal(reply, { status: 401, error: "invalid_credentials" });
});

test("chunked bodies are put together, also in chunks of one byte that cut characters apart", async () => {
  const bytes = Buffer.from(JSON.stringify({ username: "nöbödy", password: "パスワード" }));
  const chunks = [...bytes].map((byte) =>
    Buffer.concat([Buffer.from("1\r\n"), Buffer.of(byte), Buffer.from("\r\n")]),
  );
  const fields = "Transfer-Encoding: chunked\r\nConnection: close\r\n";
  const reply = await exchange(server().port, [head("/login", fields), ...chunks, "0\r\n\r\n"]);
  assertRefusal(reply, { status: 401, error: "invalid_credentials" });
});

test("bytes at random are refused", async () => {
  const paths = fc.constantFrom("/login", "/refresh", "/logout", "/register");
  await fc.assert(
    fc.asyncProperty(paths, fc.uint8Array({ minLength: 1, maxLength: 300 }), async (path, bytes) => {
      const reply = await send(path, Uint8Array.from(bytes));
      assert.ok(reply.status === 400 || reply.status === 401, `${reply.status} ${reply.text}`);
    }),
    { numRuns: 150 },
  );
});
