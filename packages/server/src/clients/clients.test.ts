import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import sql, { raw } from "sql-template-tag";
import { createAudit } from "../audit/audit.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import type { Clients, NewClient } from "./clients.ts";
import { answered, openTestClients } from "./test-clients.ts";

// Every look is a millisecond later, so that the audit log has an order.
let now = 1_800_000_000_000;
const clock = { now: () => ++now };
const operator = { actor: "operator" } as const;
let place: TestDatabase;
let clients: Clients;
let room: ReturnType<typeof openTestClients>;

before(async () => {
  place = await openTestDatabase({ clock });
  room = openTestClients({ database: place.database, clock });
  clients = room.clients;
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

const web = (...redirect_uris: string[]) => ({ redirect_uris });

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
    const renewed = await clients.newSecret("turning", operator);
    assert.ok(renewed.outcome === "renewed");
    const next = renewed.secret;
    assert.notEqual(next, secret);
    assert.equal(await clients.authenticate("turning", secret), undefined);
    assert.equal((await clients.authenticate("turning", next))?.id, client.id);
    assert.deepEqual(await eventsOf("turning"), ["client.secret_changed", "client.added"]);
    for (const id of [...hostile, "nobody"]) {
      assert.equal((await clients.newSecret(id, operator)).outcome, "unknown_client");
    }
    await clients.add({ id: "app", name: "App", type: "spa", metadata: web("https://a.example/") }, operator);
    assert.equal((await clients.newSecret("app", operator)).outcome, "no_secret");
    assert.deepEqual(await eventsOf("nobody"), []);
  });

  test("each change makes updatedAt later, even within one millisecond: by it caches tell that a client is not what it was", async () => {
    const still = openTestClients({
      database: place.database,
      clock: { now: () => 1_900_000_000_000 },
    }).clients;
    await still.add({ id: "still", name: "Still", type: "resource" }, operator);
    const times = [(await still.find("still"))?.updatedAt];
    for (const change of [
      () => still.newSecret("still", operator),
      () => still.update("still", { name: "Renamed" }, operator),
      () => still.newSecret("still", operator),
    ]) {
      await change();
      times.push((await still.find("still"))?.updatedAt);
    }
    assert.equal(new Set(times).size, times.length, times.join());
    assert.deepEqual(times, times.toSorted());
  });

  test("a removed client is gone, and can be removed once", async () => {
    const { secret } = await add({ id: "gone" });
    assert.equal(await clients.remove("gone", operator), true);
    assert.equal(await clients.remove("gone", operator), false);
    assert.equal(await clients.authenticate("gone", secret), undefined);
    assert.deepEqual(await eventsOf("gone"), ["client.removed", "client.added"]);
    for (const id of hostile) assert.equal(await clients.remove(id, operator), false);
  });

  test("with a client go its sessions, consents, codes and what else was under way, in one transaction; nobody else's", async () => {
    await add({ id: "leaving" });
    await add({ id: "staying" });
    const user = Buffer.alloc(16, 1);
    await place.database.batch([
      sql`INSERT INTO users (id, username, username_key, created_at, updated_at) VALUES (${user}, 'u', 'u', 0, 0)`,
      ...["leaving", "staying", "first-party"].flatMap((client, index) => [
        sql`INSERT INTO sessions (id, user_id, client_id, kind, scope, amr, authenticated_at, last_used_at, expires_at,
              generation, digest, recent)
            VALUES (${Buffer.alloc(16, index + 1)}, ${user}, ${client}, 'client', '', '', 0, 0, 1, 0, ${user}, ${Buffer.alloc(0)})`,
        sql`INSERT INTO consents (user_id, client_id, scope, resources, created_at, updated_at)
            VALUES (${user}, ${client}, '', '', 0, 0)`,
        sql`INSERT INTO authorization_requests (digest, client_id, parameters, pushed, created_at, expires_at)
            VALUES (${Buffer.alloc(32, index)}, ${client}, '', 0, 0, 0)`,
      ]),
    ]);
    const before = room.endings();
    await clients.remove("leaving", operator);
    assert.equal(room.endings(), before + 1);
    const rows = await place.database.all<{ client_id: string; end_reason: string | null }>(
      sql`SELECT client_id, end_reason FROM sessions ORDER BY client_id`,
    );
    assert.deepEqual(
      rows.map((row) => ({ ...row })),
      [
        { client_id: "first-party", end_reason: null },
        { client_id: "leaving", end_reason: "client_removed" },
        { client_id: "staying", end_reason: null },
      ],
    );
    for (const table of ["consents", "authorization_requests"]) {
      const left = await place.database.all<{ client_id: string }>(
        raw(`SELECT client_id FROM ${table} ORDER BY client_id`),
      );
      assert.deepEqual(
        left.map((row) => row.client_id),
        ["first-party", "staying"],
        table,
      );
    }
    const feed = await place.database.all(sql`SELECT session_id FROM revocations`);
    assert.equal(feed.length, 1);
    // Without a session nothing is told to the feed.
    await clients.remove("staying-not", operator);
    assert.equal(room.endings(), before + 1);
  });

  test("one that is used while it is about to be forgotten stays", async () => {
    const metadata = { redirect_uris: ["https://a.example/"] };
    await clients.add({ id: "late", name: "Late", type: "spa", metadata }, operator);
    await place.database.batch([
      sql`UPDATE clients SET origin = 'dynamic', expires_at = 1000 WHERE id = 'late'`,
    ]);
    assert.deepEqual(await room.records.unused(1000), ["late"]);
    const client = await clients.find("late");
    assert.ok(client);
    await room.records.used(client);
    assert.equal(await room.records.remove("late", operator, 1000), false);
    assert.ok(await clients.find("late"));
    assert.deepEqual(await room.records.unused(1000), []);
  });

  test("lists by id, a page at a time", async () => {
    const first = await clients.list({ rows: 2 });
    assert.equal(first.length, 2);
    const second = await clients.list({ rows: 2, after: first[1]?.id ?? "" });
    assert.ok((second[0]?.id ?? "") > (first[1]?.id ?? "z"));
    assert.ok((await clients.list({ rows: 1_000_000 })).length <= 100);
  });
});

describe("what a client says of itself", () => {
  test("resources belong to one client: of two that race for one identifier, one wins and the other is not added", async () => {
    const identifier = "https://race.example/api";
    const all = ["r-1", "r-2"].map((id) =>
      clients.add(
        { id, name: "API", type: "resource", metadata: { keyturn_resources: [identifier] } },
        operator,
      ),
    );
    const outcomes = (await Promise.all(all)).map(({ outcome }) => outcome).sort();
    assert.deepEqual(outcomes, ["added", "resource_taken"]);
    const rows = await place.database.all<{ client_id: string }>(
      sql`SELECT client_id FROM resources WHERE identifier = ${identifier}`,
    );
    assert.equal(rows.length, 1);
    const winner = rows[0]?.client_id ?? "";
    const loser = winner === "r-1" ? "r-2" : "r-1";
    assert.equal(await clients.find(loser), undefined);
    assert.deepEqual(await eventsOf(loser), []);
    await clients.remove(winner, operator);
    const left = await place.database.all(sql`SELECT 1 FROM resources WHERE identifier = ${identifier}`);
    assert.equal(left.length, 0);
  });

  test("an update changes what is given and keeps the rest; a resource that was let go can be taken", async () => {
    const metadata = { keyturn_resources: ["https://one.example", "https://two.example"], scope: "a b" };
    await clients.add({ id: "resources", name: "API", type: "resource", metadata }, operator);
    const updated = await clients.update(
      "resources",
      { metadata: { keyturn_resources: ["https://one.example"] } },
      operator,
    );
    assert.ok(updated.outcome === "updated");
    assert.equal(updated.client.metadata.scope, "a b");
    assert.deepEqual(updated.client, await clients.find("resources"));
    const taker: NewClient = {
      name: "Other",
      type: "resource",
      metadata: { keyturn_resources: ["https://two.example"] },
    };
    assert.equal((await clients.add({ ...taker, id: "taker" }, operator)).outcome, "added");
    const taken = { metadata: { keyturn_resources: ["https://two.example"] } };
    assert.equal((await clients.update("resources", taken, operator)).outcome, "resource_taken");
    assert.deepEqual((await clients.find("resources"))?.metadata.keyturn_resources, ["https://one.example"]);
    const back = await clients.update("resources", { name: "New", metadata: { scope: null } }, operator);
    assert.ok(back.outcome === "updated" && back.client.metadata.scope === undefined);
    assert.equal(back.client.name, "New");
    assert.deepEqual(await eventsOf("resources"), ["client.changed", "client.changed", "client.added"]);
    assert.equal((await clients.update("nobody", { name: "x" }, operator)).outcome, "unknown_client");
  });

  test("of two updates at once neither is lost", async () => {
    await clients.add(
      { id: "both", name: "Both", type: "web", metadata: web("https://a.example/cb") },
      operator,
    );
    await Promise.all([
      clients.update("both", { metadata: { scope: "openid" } }, operator),
      clients.update("both", { metadata: { client_uri: "https://a.example" } }, operator),
      clients.update("both", { name: "Renamed" }, operator),
    ]);
    const client = await clients.find("both");
    assert.deepEqual(
      [client?.metadata.scope, client?.metadata.client_uri, client?.name],
      ["openid", "https://a.example", "Renamed"],
    );
  });

  test("a client that needs a secret and had none gets one; one that needs none any more has none that opens", async () => {
    await clients.add(
      { id: "turns", name: "Turns", type: "web", metadata: web("https://a.example/cb") },
      operator,
    );
    const without = await clients.update(
      "turns",
      { metadata: { token_endpoint_auth_method: "none" } },
      operator,
    );
    assert.ok(without.outcome === "updated" && without.secret === undefined);
    const row = await place.database.one<{ secret_digest: unknown }>(
      sql`SELECT secret_digest FROM clients WHERE id = 'turns'`,
    );
    assert.equal(row?.secret_digest, null);
    const again = await clients.update(
      "turns",
      { metadata: { token_endpoint_auth_method: "client_secret_post" } },
      operator,
    );
    assert.ok(again.outcome === "updated" && again.secret !== undefined);
    assert.equal((await clients.authenticate("turns", again.secret))?.id, "turns");
  });

  test("OpenID Connect Core §8.1: the document at sector_identifier_uri lists every redirect URI, or nothing is registered", async () => {
    const uri = "https://sector.example/uris.json";
    const metadata = {
      redirect_uris: ["https://a.example/cb", "https://b.example/cb"],
      subject_type: "pairwise",
      sector_identifier_uri: uri,
    } satisfies NewClient["metadata"];
    const add = (id: string) => clients.add({ id, name: "Pair", type: "web", metadata }, operator);
    const documents = [
      undefined,
      { outcome: "refused" } as const,
      answered(metadata.redirect_uris, { status: 404 }),
      answered(["https://a.example/cb"]),
      answered({ redirect_uris: metadata.redirect_uris }),
      answered("", { text: "<html>" }),
      answered([...metadata.redirect_uris].join(" ")),
    ];
    for (const document of documents) {
      if (document !== undefined) room.documents.set(uri, document);
      const refused = await add("pair");
      assert.ok(
        refused.outcome === "invalid" && refused.field === "sector_identifier_uri",
        JSON.stringify(document),
      );
    }
    room.documents.set(uri, answered([...metadata.redirect_uris, "https://c.example/cb"]));
    assert.equal((await add("pair")).outcome, "added");
    const more = { metadata: { redirect_uris: ["https://d.example/cb"] } };
    assert.equal((await clients.update("pair", more, operator)).outcome, "invalid");
  });
});
