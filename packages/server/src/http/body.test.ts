import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { z } from "zod";
import { refusals } from "../errors.ts";
import { assertRefusal } from "../test-server.ts";
import { hasRepeatedMember } from "./body.ts";
import { bodyTakers, json } from "./test-bodies.ts";

const { takers, accepted, send } = bodyTakers();

test("every endpoint that takes a body is in these tests", () => {
  const withBody = takers().map(({ path }) => path);
  assert.deepEqual(withBody.sort(), Object.keys(accepted()).sort());
});

test("every member of every body: each wrong type is refused, named, and not repeated in the answer", async () => {
  const wrongFor: Record<string, unknown[]> = {
    string: [null, 0, -1.5, true, [], ["x"], {}, { toString: "marker-value" }, [["marker-value"]]],
    object: [null, 0, true, "marker-value", ["marker-value"]],
    boolean: [null, 0, 1, "true", "marker-value", [], {}],
  };
  let tried = 0;
  for (const { path, body } of takers()) {
    if (body === undefined) continue;
    const { properties = {} } = z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
    for (const [member, schema] of Object.entries(properties)) {
      const { type } = schema as { type: string };
      for (const value of wrongFor[type] ?? assert.fail(`no wrong values for ${type}`)) {
        const reply = await send(path, JSON.stringify({ ...accepted()[path], [member]: value }));
        assertRefusal(reply, { status: 400, error: "invalid_request" });
        assert.match(String(reply.json.error_description), new RegExp(`^${member}: `));
        assert.ok(!reply.text.includes("marker-value"));
        tried++;
      }
    }
  }
  assert.ok(tried > 70, `only ${tried} were tried`);
});

test("every member of every body has a bound on its length, well within the bound of the body", async () => {
  for (const { path, body } of takers()) {
    if (body === undefined) continue;
    const { properties = {} } = z.toJSONSchema(body, { io: "input", unrepresentable: "any" });
    for (const [member, schema] of Object.entries(properties)) {
      if ((schema as { type: string }).type !== "string") continue;
      const long = JSON.stringify({ ...accepted()[path], [member]: "x".repeat(2000) });
      assertRefusal(await send(path, long), { status: 400, error: "invalid_request" });
    }
  }
});

test("a body that is JSON but no object is refused", async () => {
  const deep = `${"[".repeat(8000)}${"]".repeat(8000)}`;
  const deeper = `${'{"a":'.repeat(2000)}1${"}".repeat(2000)}`;
  for (const path of Object.keys(accepted())) {
    for (const body of ["null", "1", '"text"', "true", "[]", "[{}]", deep]) {
      assertRefusal(await send(path, body), { status: 400, error: "invalid_request" });
    }
  }
  for (const path of ["/login", "/refresh", "/register"]) {
    assertRefusal(await send(path, deeper), { status: 400, error: "invalid_request" });
    assertRefusal(await send(path, '{"__proto__":{"username":"alice","password":"correct horse battery"}}'), {
      status: 400,
      error: "invalid_request",
    });
    assertRefusal(await send(path, '{"constructor":{"prototype":{"username":"alice"}}}'), { status: 400 });
  }
});

test("RFC 8259: what is not JSON is refused as such", async () => {
  const broken = [
    "",
    " ",
    "{",
    '{"username":"alice"',
    "{'username':'alice'}",
    "{username:1}",
    '{"a":1,}',
    "[1,]",
    "NaN",
    "undefined",
    '{"a":01}',
    '{"a":"\u0001"}',
    '{"a":"\\x41"}',
    '{"a":1}{"a":1}',
    '{"a":1}\0',
    "/* */{}",
    "username=alice&password=x",
    "<xml/>",
  ];
  for (const path of Object.keys(accepted())) {
    for (const body of broken) {
      // What may be left out altogether may be empty too; that is another test.
      if (path === "/logout" && body === "") continue;
      assertRefusal(await send(path, body), { status: 400, error: "invalid_json" });
    }
  }
});

test("RFC 8259 §8.1: only UTF-8 is taken, without a byte order mark and without bytes that are none", async () => {
  for (const [path, good] of Object.entries(accepted())) {
    const text = JSON.stringify(good);
    const utf16 = Buffer.from(text, "utf16le");
    const spoiled = (bytes: number[]) => {
      const [first = "", last = ""] = text.split(/(?<=^\{"\w+":")/);
      return Buffer.concat([Buffer.from(first), Buffer.from(bytes), Buffer.from(last)]);
    };
    const bodies = [
      Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), Buffer.from(text)]),
      Buffer.concat([Buffer.from([0xff, 0xfe]), utf16]),
      utf16,
      Buffer.from(utf16).swap16(),
      spoiled([0xff]),
      spoiled([0xc0, 0x80]),
      spoiled([0xed, 0xa0, 0x80]),
      spoiled([0xf4, 0x90, 0x80, 0x80]),
      spoiled([0xe2, 0x82]),
    ];
    for (const body of bodies) {
      assertRefusal(await send(path, body), { status: 400, error: "invalid_json" });
      const stream = new Blob([body]).stream();
      assertRefusal(await send(path, stream), {
        status: 400,
        error: "invalid_json",
      });
    }
  }
});

test("a member that is repeated is refused, however it is spelt: no two readers may differ", async () => {
  for (const [path, good] of Object.entries(accepted())) {
    const text = JSON.stringify(good);
    const [name = ""] = Object.keys(good);
    const escaped = `\\u00${name.charCodeAt(0).toString(16)}${name.slice(1)}`;
    for (const other of [name, escaped]) {
      const repeated = `${text.slice(0, -1)},"${other}":"x"}`;
      const reply = await send(path, repeated);
      assertRefusal(reply, { status: 400, error: "invalid_request" });
      assert.match(String(reply.json.error_description), /repeated/);
    }
  }
});

test("hasRepeatedMember finds repeated names of the outermost object, and no others", () => {
  const member = fc.tuple(fc.string({ unit: "binary", maxLength: 8 }), fc.jsonValue({ maxDepth: 3 }));
  fc.assert(
    fc.property(fc.array(member, { maxLength: 6 }), (members) => {
      const text = `{${members.map(([name, value]) => `${JSON.stringify(name)} : ${JSON.stringify(value)}`)}}`;
      assert.equal(
        hasRepeatedMember(text, JSON.parse(text)),
        new Set(members.map(([name]) => name)).size < members.length,
      );
    }),
    { numRuns: 300 },
  );
});

test("ASVS V4.1.1: only application/json is read: a page cannot post it without a preflight", async () => {
  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/jsonp",
    "application/json-patch+json",
    "application/problem+json",
    "text/json",
    "text/plain, application/json",
    "application/json, text/plain",
    "application/json; charset=utf-16",
    'application/json; charset="iso-8859-1"',
    "application / json",
    "*/*",
  ];
  for (const [path, good] of Object.entries(accepted())) {
    for (const type of types) {
      const reply = await send(path, JSON.stringify(good), { "content-type": type });
      assertRefusal(reply, { status: 415, error: "unsupported_media_type" });
    }
    const untyped = await send(path, Buffer.from(JSON.stringify(good)), {});
    assertRefusal(untyped, { status: 415, error: "unsupported_media_type" });
  }
});

test("application/json is taken in any case, and with charset utf-8", async () => {
  const types = ["APPLICATION/JSON", "application/json;charset=UTF-8", 'application/json ; charset="utf-8"'];
  for (const type of types) {
    const reply = await send("/login", JSON.stringify({ username: "nobody", password: "x" }), {
      "content-type": type,
    });
    assertRefusal(reply, { status: 401, error: "invalid_credentials" });
  }
});

test("RFC 9110 §8.4: a compressed body is refused as such, not read as broken JSON", async () => {
  for (const [path, good] of Object.entries(accepted())) {
    const body = gzipSync(JSON.stringify(good));
    for (const encoding of ["gzip", "x-unknown", "gzip, identity"]) {
      const reply = await send(path, body, { ...json, "content-encoding": encoding });
      assertRefusal(reply, { status: 415, error: "unsupported_media_type" });
      assert.match(String(reply.json.error_description), /Content-Encoding/);
    }
  }
});

test("whatever JSON is sent, the answer is a refusal of the catalogue, and nothing is changed", async () => {
  const names = ["username", "password", "device", "mode", "refreshToken", "everywhere", "email", "name"];
  const text = fc.oneof(fc.string({ unit: "binary" }), fc.string(), fc.constant("alice"));
  const member = fc.oneof(text, fc.jsonValue({ maxDepth: 2 }), fc.constant(null), fc.boolean());
  const body = fc.oneof(
    { weight: 4, arbitrary: fc.dictionary(fc.oneof(fc.constantFrom(...names), fc.string()), member) },
    { weight: 1, arbitrary: fc.jsonValue() },
  );
  // Shorter than any password that may be set, so that no registration is taken.
  const path = fc.constantFrom("/login", "/refresh", "/logout", "/register");
  await fc.assert(
    fc.asyncProperty(path, body, async (where, what) => {
      const reply = await send(where, JSON.stringify(what));
      // A stranger may make an account: that is no refusal.
      if (where === "/register" && reply.status === 201) return;
      assert.ok(reply.status >= 400 && reply.status < 500, `${reply.status} ${reply.text}`);
      assertRefusal(reply, {
        status: reply.status,
        ...(typeof reply.json.reason === "string" && { reason: reply.json.reason }),
      });
      assert.ok(Object.hasOwn(refusals, String(reply.json.error)));
    }),
    { numRuns: 300 },
  );
});
