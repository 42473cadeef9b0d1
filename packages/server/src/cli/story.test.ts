import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openTestPlace } from "./test-command.ts";

type Place = Awaited<ReturnType<typeof openTestPlace>>;
interface Story {
  readonly user: { readonly id: string; readonly username: string | null };
  readonly events: readonly { readonly id: string; readonly type: string; readonly actor: string }[];
  readonly next: string | null;
}

let place: Place;
before(async () => {
  place = await openTestPlace();
  assert.equal((await place.run(["migrate"])).exitCode, 0);
  assert.equal((await place.run(["user", "add", "alice"])).exitCode, 0);
  for (const verb of ["disable", "enable"]) await place.run(["user", verb, "alice"]);
});
after(() => place.close());

const story = async (...rest: string[]): Promise<Story> => {
  const ran = await place.run(["user", "story", ...rest, "--json"]);
  assert.equal(ran.exitCode, 0, ran.stderr);
  return ran.json() as unknown as Story;
};
const types = ({ events }: Story) => events.map(({ type }) => type);

test("a user's story is told in order, by name and by id, page by page from the newest", async () => {
  const whole = await story("alice");
  assert.deepEqual(types(whole), ["user.added", "user.disabled", "user.enabled"]);
  assert.deepEqual([whole.user.username, whole.next, whole.events[0]?.actor], ["alice", null, "operator"]);
  assert.deepEqual(await story(whole.user.id), whole);
  const newest = await story("alice", "--limit", "2");
  assert.deepEqual(types(newest), ["user.disabled", "user.enabled"]);
  const before = await story("alice", "--limit", "2", "--from", newest.next ?? "");
  assert.deepEqual([types(before), before.next], [["user.added"], null]);
});

test("at the terminal it is a table, and says how to read on", async () => {
  const { stdout, stderr } = await place.run(["user", "story", "alice", "--limit", "1"]);
  assert.match(stdout, /^WHEN +WHAT +BY +FROM\n.* user\.enabled +operator/);
  assert.match(stderr, /There is more before that: add --from [0-9a-f-]{36}/);
});

test("who was removed still has a story, under the id; nobody has none", async () => {
  const { user } = await story("alice");
  assert.equal((await place.run(["user", "remove", "alice"])).exitCode, 0);
  const removed = await story(user.id);
  assert.deepEqual([removed.user.username, types(removed).at(-1)], [null, "user.removed"]);
  for (const name of ["alice", "00000000-0000-7000-8000-000000000000"]) {
    const ran = await place.run(["user", "story", name]);
    assert.equal(ran.exitCode, 1);
    assert.match(ran.stderr, /There is no user/);
  }
  assert.equal((await place.run(["user", "story", user.id, "--limit", "0"])).exitCode, 2);
});
