import assert from "node:assert/strict";
import { test } from "node:test";
import { addClient, listClients, removeClient, renewClientSecret, showClient } from "./clients.ts";
import { listKeys, rotateKeys, withdrawKey } from "./keys.ts";
import { openTestRooms, type TestRooms } from "./test-rooms.ts";

async function withRooms(work: (rooms: TestRooms) => Promise<void>) {
  const rooms = await openTestRooms();
  try {
    await work(rooms);
  } finally {
    await rooms.close();
  }
}

test("a client's secret authenticates until there is a new one", () =>
  withRooms(async (rooms) => {
    const added = await addClient(rooms, { name: "Orders API", id: "orders", type: "resource" });
    assert.ok(added.outcome === "added" && added.secret !== undefined);
    assert.ok(await rooms.clients.authenticate("orders", added.secret));
    const renewed = await renewClientSecret(rooms, "orders");
    assert.ok(renewed.outcome === "renewed");
    assert.equal(await rooms.clients.authenticate("orders", added.secret), undefined);
    assert.ok(await rooms.clients.authenticate("orders", renewed.secret));
    assert.equal((await addClient(rooms, { name: "x", id: "orders", type: "resource" })).outcome, "id_taken");
    assert.deepEqual(
      (await listClients(rooms)).clients.map(({ id }) => id),
      ["orders"],
    );
    assert.equal((await removeClient(rooms, "orders")).outcome, "removed");
    assert.equal((await removeClient(rooms, "orders")).outcome, "unknown_client");
    assert.equal((await showClient(rooms, "orders")).outcome, "unknown_client");
    assert.equal((await renewClientSecret(rooms, "orders")).outcome, "unknown_client");
  }));

test("keys rotate once verifiers know the next one, or at once when asked for; without keys nothing is made", () =>
  withRooms(async (rooms) => {
    assert.deepEqual(await rotateKeys(rooms), []);
    assert.deepEqual(await listKeys(rooms), []);
    await rooms.signingKeys.start();
    assert.deepEqual(
      (await rotateKeys(rooms)).map(({ outcome }) => outcome),
      ["not_ready"],
    );
    const [rotated] = await rotateKeys(rooms, { now: true });
    assert.ok(rotated?.outcome === "rotated");
    const states = new Map((await listKeys(rooms)).map(({ id, state }) => [id, state]));
    assert.deepEqual(
      [states.get(rotated.from), states.get(rotated.to), states.get(rotated.next)],
      ["retiring", "current", "next"],
    );
  }));

test("a key that signs no more is withdrawn at once; one that signs, is next, or is none stays as it is", () =>
  withRooms(async (rooms) => {
    await rooms.signingKeys.start();
    const [rotated] = await rotateKeys(rooms, { now: true });
    assert.ok(rotated?.outcome === "rotated");
    const published = () => rooms.signingKeys.jwks().keys.map(({ kid }) => kid);
    const before = published();
    assert.deepEqual(await withdrawKey(rooms, rotated.to), { outcome: "still_needed", state: "current" });
    assert.deepEqual(await withdrawKey(rooms, rotated.next), { outcome: "still_needed", state: "next" });
    for (const id of ["x", "\ud800", "\0", "x".repeat(200)]) {
      assert.equal((await withdrawKey(rooms, id)).outcome, "unknown_key");
      // Foreign tokens name keys too: what no key is called is unknown on every engine, and no failure.
      assert.equal(await rooms.signingKeys.publicJwk(id), undefined);
    }
    assert.deepEqual(published(), before);
    assert.equal((await withdrawKey(rooms, rotated.from)).outcome, "withdrawn");
    assert.deepEqual(
      published(),
      before.filter((kid) => kid !== rotated.from),
    );
    assert.equal((await withdrawKey(rooms, rotated.from)).outcome, "withdrawn_already");
  }));
