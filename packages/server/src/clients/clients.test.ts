import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import sql from "sql-template-tag";
import { createAudit } from "../audit/audit.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { parseBasicCredentials } from "./client-authentication.ts";
import { type Clients, createClients, type NewClient } from "./clients.ts";

// Every look is a millisecond later, so that the audit log has an order.
let now = 1_800_000_000_000;
const clock = { now: () => ++now };
const operator = { actor: "operator" } as const;
let place: TestDatabase;
let clients: Clients;

before(async () => {
  place = await openTestDatabase({ clock });
  clients = createClients({ database: place.database, clock });
});
after(() => place?.close());

async function add(input: Partial<NewClient> = {}) {
  const added = await clients.add({ name: "API", type: "resource", ...input }, operator);
  assert.equal(added.outcome, "added");
  if (added.outcome !== "added" || added.secret === undefined) throw new Error("unreachable");
  return { ...added, secret: added.secret };
}

async function eventsOf(clientId: string): Promise<string[]> {
  const events = await createAudit(place).list({});
  return events.filter((event) => event.clientId === clientId).map((event) => event.type);
}

const hostile = [
  "",
  "\0",
  "a\0",
  "\ud800",
  "'",
  "a".repeat(1_000_000),
  "ａpi",
  "API",
  "a b",
  "-a",
  "é",
  "🦊",
];

describe("clients", () => {
  test("a client gets its secret once; the database has its digest only", async () => {
    const { client, secret } = await add({ id: "api" });
    assert.match(secret, /^kts_[A-Za-z0-9_-]{43}$/);
    assert.deepEqual(await clients.find("api"), client);
    assert.deepEqual(await clients.authenticate("api", secret), client);
    const dump = JSON.stringify(await place.database.all(sql`SELECT * FROM clients`));
    assert.ok(!dump.includes(secret));
    assert.deepEqual(await eventsOf("api"), ["client.added"]);
  });

  test("authenticates nobody by a wrong secret, an unknown id, or what no engine would take", async () => {
    const { secret } = await add({ id: "one" });
    const other = await add({ id: "two" });
    for (const wrong of [...hostile, other.secret, secret.slice(0, -1), `${secret}x`, secret.toLowerCase()]) {
      assert.equal(await clients.authenticate("one", wrong), undefined);
    }
    for (const id of [...hostile, "three"]) assert.equal(await clients.authenticate(id, secret), undefined);
    for (const id of hostile) assert.equal(await clients.find(id), undefined);
  });

  test("an id is given, or made of the name so that it is free", async () => {
    assert.match((await add({ name: "Café  del Mar!" })).client.id, /^cafe-del-mar-[0-9a-f]{6}$/);
    assert.match((await add({ name: "李雷" })).client.id, /^client-[0-9a-f]{6}$/);
    assert.match((await add({ name: "x".repeat(200) })).client.id, /^x{40}-[0-9a-f]{6}$/);
    await fc.assert(
      fc.asyncProperty(fc.string({ unit: "grapheme", minLength: 1, maxLength: 30 }), async (name) => {
        const added = await clients.add({ name, type: "resource" }, operator);
        return added.outcome === "added" || (added.outcome === "invalid" && added.field === "name");
      }),
      { numRuns: 25 },
    );
  });

  test("refuses ids and names that it cannot keep, with a sentence", async () => {
    for (const id of hostile) {
      const refused = await clients.add({ name: "API", id, type: "resource" }, operator);
      assert.ok(refused.outcome === "invalid" && refused.field === "id" && refused.problem.endsWith("."));
    }
    for (const name of [
      "",
      "  ",
      "a\0b",
      "a\nb",
      "\ud800",
      "x".repeat(201),
      "x".repeat(1_000_000),
      "a\u202eb",
    ]) {
      const refused = await clients.add({ name, type: "resource" }, operator);
      assert.ok(refused.outcome === "invalid" && refused.field === "name");
    }
  });

  test("of 50 that add one id at once, one wins, and the audit log has one", async () => {
    const all = Array.from({ length: 50 }, () =>
      clients.add({ name: "Race", id: "race", type: "resource" }, operator),
    );
    const outcomes = (await Promise.all(all)).map(({ outcome }) => outcome);
    assert.equal(outcomes.filter((outcome) => outcome === "added").length, 1);
    assert.equal(outcomes.filter((outcome) => outcome === "id_taken").length, 49);
    assert.deepEqual(await eventsOf("race"), ["client.added"]);
  });

  test("a new secret takes the place of the old one at once", async () => {
    const { client, secret } = await add({ id: "turning" });
    const next = await clients.newSecret("turning", operator);
    assert.ok(next !== undefined && next !== secret);
    assert.equal(await clients.authenticate("turning", secret), undefined);
    assert.equal((await clients.authenticate("turning", next))?.id, client.id);
    assert.deepEqual(await eventsOf("turning"), ["client.secret_changed", "client.added"]);
    for (const id of [...hostile, "nobody"]) assert.equal(await clients.newSecret(id, operator), undefined);
    assert.deepEqual(await eventsOf("nobody"), []);
  });

  test("a removed client is gone, and can be removed once", async () => {
    const { secret } = await add({ id: "gone" });
    assert.equal(await clients.remove("gone", operator), true);
    assert.equal(await clients.remove("gone", operator), false);
    assert.equal(await clients.authenticate("gone", secret), undefined);
    assert.deepEqual(await eventsOf("gone"), ["client.removed", "client.added"]);
    for (const id of hostile) assert.equal(await clients.remove(id, operator), false);
  });

  test("lists by id, a page at a time", async () => {
    const first = await clients.list({ rows: 2 });
    assert.equal(first.length, 2);
    const second = await clients.list({ rows: 2, after: first[1]?.id ?? "" });
    assert.ok((second[0]?.id ?? "") > (first[1]?.id ?? "z"));
    assert.ok((await clients.list({ rows: 1_000_000 })).length <= 100);
  });
});

describe("client authentication by Basic", () => {
  const header = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;

  test("RFC 6749 §2.3.1: takes id and secret, form-encoded", () => {
    assert.deepEqual(parseBasicCredentials("Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"), {
      id: "s6BhdRkqt3",
      secret: "gX1fBat3bV",
    });
    assert.deepEqual(parseBasicCredentials(header("a%3Ab:c%2Bd+e%25")), { id: "a:b", secret: "c+d e%" });
    assert.deepEqual(parseBasicCredentials(header("a:b:c")), { id: "a", secret: "b:c" });
    assert.deepEqual(parseBasicCredentials(header("a:")), { id: "a", secret: "" });
    assert.deepEqual(parseBasicCredentials(`bAsIc   ${header("a:b").slice(6)} `), { id: "a", secret: "b" });
    const any = fc.string({ unit: "grapheme-ascii", maxLength: 60 });
    fc.assert(
      fc.property(
        any.filter((id) => id !== ""),
        any,
        (id, secret) => {
          const form = (text: string) => encodeURIComponent(text).replaceAll("%20", "+");
          assert.deepEqual(parseBasicCredentials(header(`${form(id)}:${form(secret)}`)), { id, secret });
        },
      ),
    );
  });

  test("takes nothing malformed", () => {
    const malformed = [
      undefined,
      "",
      "Basic",
      "Basic ",
      "Bearer abc",
      "Basic !!!!",
      "Basic YTpi YTpi",
      "BasicYTpi",
      "Basic YTpi====",
    ];
    const texts = [
      "a",
      ":b",
      "a%:b",
      "a:%zz",
      "a:%00",
      "a:b\0",
      "a:%80",
      "é:b",
      "a:\n",
      `a:${"b".repeat(1_000_000)}`,
    ];
    for (const text of [...malformed, ...texts.map(header)]) {
      assert.equal(parseBasicCredentials(text), undefined, text?.slice(0, 60));
    }
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        parseBasicCredentials(text);
        parseBasicCredentials(header(text));
      }),
    );
  });
});
