import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openTestPlace } from "./test-command.ts";

let place: Awaited<ReturnType<typeof openTestPlace>>;
before(async () => {
  place = await openTestPlace();
  await place.run(["migrate"]);
  for (const name of ["alice", "bob"]) await place.run(["user", "add", name], "");
});
after(() => place.close());

async function set(...options: string[]) {
  const ran = await place.run(["user", "set", ...options, "--json"]);
  return { ...ran, user: ran.exitCode === 0 ? (ran.json().user as Record<string, unknown>) : {} };
}

test("what is given is changed, the rest stays; a new address counts as unconfirmed", async () => {
  const { user } = await set("alice", "--email", "alice@example.com", "--email-verified", "--name", "Alice");
  assert.deepEqual(
    [user.username, user.email, user.emailVerified, user.name],
    ["alice", "alice@example.com", true, "Alice"],
  );
  const moved = await set("alice", "--email", "alice@example.org");
  assert.deepEqual(
    [moved.user.email, moved.user.emailVerified, moved.user.name],
    ["alice@example.org", false, "Alice"],
  );
  const renamed = await set("alice", "--username", "alicia", "--no-name");
  assert.deepEqual([renamed.user.username, renamed.user.name], ["alicia", null]);
  assert.equal((await set("alicia", "--no-email")).user.email, null);
  assert.equal((await set("alicia", "--username", "alice")).exitCode, 0);
});

test("what cannot be is refused and changes nothing", async () => {
  await set("bob", "--email", "bob@example.com");
  const before = (await place.run(["user", "list", "--json"])).stdout;
  const refused: [string[], number, string][] = [
    [["nobody", "--name", "x"], 1, "unknown_user"],
    [["alice", "--username", "bob"], 1, "username_taken"],
    [["alice", "--email", "BOB@example.com"], 1, "email_taken"],
    [["alice", "--email", "no address"], 1, "invalid_email"],
    [["alice", "--username", "a b"], 1, "invalid_username"],
    [["alice"], 2, "wrong_usage"],
  ];
  for (const [options, exitCode, error] of refused) {
    const ran = await set(...options);
    assert.deepEqual([ran.exitCode, JSON.parse(ran.stderr).error], [exitCode, error], options.join(" "));
  }
  assert.equal((await place.run(["user", "list", "--json"])).stdout, before);
});

test("a user may be added with an address that is known to be theirs", async () => {
  const ran = await place.run([
    "user",
    "add",
    "carol",
    "--email",
    "carol@example.com",
    "--email-verified",
    "--json",
  ]);
  assert.equal((ran.json().user as Record<string, unknown>).emailVerified, true);
});
