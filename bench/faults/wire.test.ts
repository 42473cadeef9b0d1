import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, test } from "node:test";
import { cutOff, openWire } from "./wire.ts";

const server = createServer({ allowHalfOpen: true }, (socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});
before(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});
after(() => server.close());

const portOfServer = () => (server.address() as AddressInfo).port;

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  await once(socket, "connect");
  return socket;
}

/** Writes, and answers what comes back; undefined when the connection breaks instead. */
async function echoed(socket: Socket, text: string): Promise<string | undefined> {
  const broken = new AbortController();
  socket.once("error", () => broken.abort()).once("close", () => broken.abort());
  socket.write(text);
  try {
    const [bytes] = await once(socket, "data", { signal: broken.signal });
    return String(bytes);
  } catch {
    return undefined;
  }
}

test("a socket that is cut off while it ends in order is closed", { timeout: 5000 }, async () => {
  const socket = await open(portOfServer());
  const errors: Error[] = [];
  socket.on("error", (error) => errors.push(error));
  const closed = once(socket, "close");
  socket.end();
  assert.ok(!socket.writableFinished, "its end is under way");
  cutOff(socket);
  await closed;
  assert.deepEqual(errors, []);
});

test("a reply is lost when what was asked for has gone through, and its connection is cut", async () => {
  const wire = await openWire(() => [portOfServer()]);
  const first = await open(wire.port);
  assert.equal(await echoed(first, "one"), "one");
  wire.loseReplies(1);
  assert.equal(await echoed(first, "two"), undefined);
  assert.equal(wire.counts.repliesLost, 1);
  const later = await open(wire.port);
  assert.equal(await echoed(later, "three"), "three");
  later.destroy();
  await wire.close();
});

test("a wire that is closed has cut what was open, and leads nowhere any more", async () => {
  const wire = await openWire(() => [portOfServer()]);
  const socket = await open(wire.port);
  assert.equal(await echoed(socket, "one"), "one");
  const closed = once(socket, "close").catch(() => {});
  await wire.close();
  await closed;
  await assert.rejects(open(wire.port), { code: "ECONNREFUSED" });
});
