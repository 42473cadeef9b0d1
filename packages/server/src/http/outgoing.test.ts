import assert from "node:assert/strict";
import type { LookupAddress } from "node:dns";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { limits } from "../primitives/limits.ts";
import { createOutgoing, OutgoingFailed, type OutgoingProblem } from "./outgoing.ts";
import { isSpecialAddress } from "./special-addresses.ts";

let answer: RequestListener = (_request, response) => void response.end("ok");
let asked = 0;
const server = createServer((request, response) => {
  asked++;
  void answer(request, response);
});
let host = "";

before(async () => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});

type Options = Partial<Parameters<typeof createOutgoing>[0]>;

const sending = (options: Options = {}) => createOutgoing({ settings: { privateHosts: [] }, ...options });
const open = (options: Options = {}) => sending({ settings: { privateHosts: [host] }, ...options });
const get = { method: "GET", headers: {} };

const fails = (work: Promise<unknown>, problem: OutgoingProblem, label = "") =>
  assert.rejects(
    work,
    (error) => {
      assert.ok(error instanceof OutgoingFailed, String(error));
      assert.equal(error.problem, problem, label);
      return true;
    },
    label,
  );

test("addresses that are not a public server's are known, in every range", () => {
  const special = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "127.255.255.254",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.8",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.7",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:7f00:1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd12:3456::1",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "",
    "localhost",
    "2130706433",
  ];
  for (const address of special) assert.ok(isSpecialAddress(address), address);
  for (const address of [
    "8.8.8.8",
    "172.32.0.1",
    "100.128.0.1",
    "2606:4700:4700::1111",
    "2a00:1450:4001::1",
  ]) {
    assert.ok(!isSpecialAddress(address), address);
  }
});

test("SSRF: an address in the place of a name is refused in every way of writing it, without asking anybody", async () => {
  const before = asked;
  const { port } = new URL(`http://${host}`);
  const hosts = [
    "127.0.0.1",
    "2130706433",
    "0x7f000001",
    "017700000001",
    "127.1",
    "[::1]",
    "[::ffff:127.0.0.1]",
  ];
  const outgoing = sending({ lookup: () => assert.fail("nobody is to be asked") });
  for (const one of [...hosts, "169.254.169.254", "[fd00::1]", "0"]) {
    await fails(outgoing(`https://${one}:${port}/`, get), "address", one);
  }
  assert.equal(asked, before);
});

test("SSRF: a name is as good as the address that is connected to; one that changes gains nothing", async () => {
  const { port } = new URL(`http://${host}`);
  let answers: LookupAddress[][] = [];
  const outgoing = sending({
    lookup: (_name, _options, callback) => callback(null, answers.shift() ?? []),
  });
  const before = asked;
  for (const address of ["127.0.0.1", "10.0.0.1", "169.254.169.254"]) {
    answers = [[{ address, family: 4 }]];
    await fails(outgoing(`https://rebinding.example:${port}/`, get), "address", address);
  }
  for (const address of ["::1", "::ffff:127.0.0.1"]) {
    answers = [[{ address, family: 6 }]];
    await fails(outgoing(`https://rebinding.example:${port}/`, get), "address", address);
  }
  // No second question: the first answer is the address.
  answers = [[{ address: "0.0.0.0", family: 4 }], [{ address: "8.8.8.8", family: 4 }]];
  await fails(outgoing(`https://rebinding.example:${port}/`, get), "address");
  assert.equal(answers.length, 1);
  answers = [[]];
  await fails(outgoing(`https://nowhere.example:${port}/`, get), "address");
  assert.equal(asked, before);
});

test("https only: http is for loopback hosts that the settings name, nothing else is a scheme", async () => {
  for (const url of [
    "http://example.com/",
    "ftp://example.com/",
    "file:///etc/passwd",
    "data:text/plain,x",
  ]) {
    await fails(sending()(url, get), "scheme", url);
  }
  await fails(sending()(`http://${host}/`, get), "scheme");
  await fails(
    sending({ settings: { privateHosts: ["corp.example"] } })("http://corp.example/", get),
    "scheme",
  );
  await fails(open()(`http://user:secret@${host}/`, get), "scheme");
  assert.equal(await (await open()(`http://${host}/`, get)).text(), "ok");
  // Another port is another host.
  await fails(open()("http://127.0.0.1:1/", get), "scheme");
});

test("a redirect is an answer, and is not followed", async () => {
  answer = (_request, response) => void response.writeHead(302, { location: `http://${host}/again` }).end();
  const before = asked;
  const reply = await open()(`http://${host}/`, get);
  assert.equal(reply.status, 302);
  assert.equal(asked, before + 1);
});

test("what is sent is what was given, and nothing is asked to come packed", async () => {
  const { promise, resolve } = Promise.withResolvers<unknown[]>();
  answer = async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    resolve([request.method, request.headers["accept-encoding"], request.headers["x-one"], body]);
    response.writeHead(201, { "x-two": "2" }).end("made");
  };
  const body = new URLSearchParams({ a: "b c" });
  const reply = await open()(`http://${host}/`, { method: "POST", headers: { "x-one": "1" }, body });
  assert.deepEqual([reply.status, reply.headers.get("x-two"), await reply.text()], [201, "2", "made"]);
  assert.deepEqual(await promise, ["POST", "identity", "1", "a=b+c"]);
});

test("bounded: an answer that is too large, too slow, endless or cut off is none", async () => {
  answer = (_request, response) => void response.end("x".repeat(101));
  await fails(open({ bytesMax: 100 })(`http://${host}/`, get), "too_large");
  answer = (_request, response) => void response.end("x".repeat(100));
  assert.equal((await (await open({ bytesMax: 100 })(`http://${host}/`, get)).text()).length, 100);
  answer = () => undefined;
  await fails(open({ milliseconds: 30 })(`http://${host}/`, get), "too_slow");
  answer = (_request, response) => void response.writeHead(200).write("x");
  await fails(open({ milliseconds: 30 })(`http://${host}/`, get), "too_slow");
  answer = (_request, response) => {
    response.writeHead(200, { "content-length": "10" }).write("x");
    setImmediate(() => response.destroy());
  };
  await fails(open()(`http://${host}/`, get), "network");
  answer = (request) => void request.socket.destroy();
  await fails(open()(`http://${host}/`, get), "network");
  const gone = AbortSignal.abort();
  await fails(open()(`http://${host}/`, { ...get, signal: gone }), "network");
});

test("bounded: there are never more than so many at once, and each gives its place back", async () => {
  const waiting = Promise.withResolvers<void>();
  answer = async (_request, response) => {
    await waiting.promise;
    response.end("ok");
  };
  const outgoing = open({ milliseconds: 5000 });
  const all = Array.from({ length: limits.outgoingAtOnceMax }, () => outgoing(`http://${host}/`, get));
  await fails(outgoing(`http://${host}/`, get), "too_many");
  waiting.resolve();
  await Promise.all(all);
  assert.equal((await outgoing(`http://${host}/`, get)).status, 200);
});
