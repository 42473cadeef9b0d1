import assert from "node:assert/strict";
import { test } from "node:test";
import type { Asking } from "./asking.ts";
import { type Connection, openConnection } from "./connection.ts";
import { emptyLedger } from "./ledger.ts";
import { createPeople, type Person } from "./people.ts";
import { seededRandom } from "./random.ts";

const unused: Connection = openConnection(() => 0);
const refusal = { status: 401, body: '{"error":"invalid_credentials"}' };
const token = `krt_${Buffer.alloc(70).toString("base64url")}`;
const welcome = {
  status: 200,
  body: JSON.stringify({ sessionId: "s1", refreshToken: token, accessToken: "a" }),
};

/** Somebody signs in at a server whose answers are told here. */
async function signingIn(passwords: string[], answer: (password: string, person: Person) => typeof refusal) {
  const ledger = emptyLedger();
  const asked: string[] = [];
  const ask: Asking["ask"] = async (_, { body }) => {
    const { password } = JSON.parse(body ?? "");
    asked.push(password);
    return answer(password, person);
  };
  const asking: Asking = { ask, refresh: async () => ({ outcome: "gave up" }) };
  const people = createPeople({ ledger, asking, random: seededRandom(1, "people") });
  const person: Person = {
    username: "alice",
    address: "10.0.0.1",
    passwords,
    formerPasswords: [],
    registeredAt: 0,
    mayBeForgotten: false,
    devices: [],
  };
  const isIn = await people.signIn(person, { first: unused, second: unused });
  return { isIn, asked, passwords: person.passwords, complaints: ledger.complaints };
}

test("of two passwords, of which nobody was told which is good, the likelier one is tried first", async () => {
  const { isIn, asked, passwords, complaints } = await signingIn(["old", "new"], (password) =>
    password === "old" ? welcome : refusal,
  );
  assert.equal(isIn, true);
  assert.deepEqual(asked, ["new", "old"]);
  assert.deepEqual(passwords, ["old"]);
  assert.deepEqual(complaints, []);
});

test("a restore that comes while somebody signs in brings their former password back, and it is tried", async () => {
  const { isIn, asked, complaints } = await signingIn(["new"], (password, person) => {
    if (password === "former") return welcome;
    if (person.passwords.length === 1) person.passwords.unshift("former");
    return refusal;
  });
  assert.equal(isIn, true);
  assert.deepEqual(asked, ["new", "new", "former"]);
  assert.deepEqual(complaints, []);
});

test("acknowledged passwords of which none is good are a lost write", async () => {
  const { isIn, asked, complaints } = await signingIn(["old", "new"], () => refusal);
  assert.equal(isIn, false);
  assert.deepEqual(asked, ["new", "old"]);
  assert.deepEqual(
    complaints.map(({ kind }) => kind),
    ["acknowledged write lost"],
  );
});
