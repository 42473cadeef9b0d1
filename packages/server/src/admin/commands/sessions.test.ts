import assert from "node:assert/strict";
import { test } from "node:test";
import { limits } from "../../primitives/limits.ts";
import {
  explainSession,
  listSessions,
  revokeAllSessions,
  revokeSession,
  revokeSessions,
  showSession,
} from "./sessions.ts";
import { openTestRooms, type TestRooms } from "./test-rooms.ts";
import { addUser, disableUser, removeUser, setUserPassword } from "./users.ts";

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** Rooms with a clock that stands still until it is moved, and alice, signed in once. */
async function aliceSignedIn() {
  let now = Date.UTC(2026, 10, 23, 12);
  const rooms = await openTestRooms({ clock: { now: () => now } });
  const added = await addUser(rooms, { username: "alice" });
  assert.equal(added.outcome, "added");
  const { user } = added;
  const started = await startSession(rooms, user.id);
  return {
    rooms,
    user,
    ...started,
    pass(milliseconds: number) {
      now += milliseconds;
    },
  };
}

async function startSession(rooms: TestRooms, userId: string) {
  const started = await rooms.sessions.start({
    userId,
    clientId: "keyturn",
    kind: "app",
    scope: "",
    amr: ["pwd"],
    device: "laptop",
    ip: "192.0.2.1",
  });
  assert.ok(started);
  return started;
}

async function explained(rooms: TestRooms, id: string) {
  const told = await explainSession(rooms, id);
  assert.equal(told.outcome, "explained");
  const { state, summary, moments } = told.explanation;
  assert.deepEqual(
    [...moments].sort((a, b) => a.at - b.at),
    moments,
    "the moments are in order",
  );
  return { state, summary, story: moments.map(({ text }) => text).join("\n") };
}

test("explain: a session that is alive, with its turns", async () => {
  const { rooms, session, credential: refreshToken, pass } = await aliceSignedIn();
  try {
    pass(MINUTE);
    const turned = await rooms.turning.turn({ token: refreshToken, clientId: "keyturn" });
    assert.equal(turned.outcome, "turned");
    const { state, summary, story } = await explained(rooms, session.id);
    assert.equal(state, "alive");
    assert.match(summary, /^Alive: it has turned 1 time and was last used 2026-11-23T12:01:00\.000Z/);
    assert.match(story, /^Signed in with a password on "laptop"\.\nTurn 1: refresh token 0 was replaced\.$/);
  } finally {
    await rooms.close();
  }
});

test("explain: a browser that signed in anew, and an app that is bound to a key", async () => {
  const { rooms, user } = await aliceSignedIn();
  try {
    const facts = { userId: user.id, clientId: "keyturn", scope: "", amr: ["pwd"] };
    const first = await rooms.sessions.start({ ...facts, kind: "browser" });
    assert.ok(first);
    const next = await rooms.sessions.start({ ...facts, kind: "browser" }, { replaces: first.session });
    assert.ok(next);
    const replaced = await explained(rooms, first.session.id);
    assert.equal(
      replaced.summary,
      "Over: the same browser signed in anew, and a new session took its place.",
    );
    assert.match(replaced.story, new RegExp(`a new session took its place, ${next.session.id}\\.`));
    const alive = await explained(rooms, next.session.id);
    assert.match(alive.summary, /^Alive: a browser holds it, which was last used/);
    assert.equal(alive.story, "Signed in with a password, in a browser that holds a cookie.");
    const bound = await rooms.sessions.start({ ...facts, kind: "app", keyThumbprint: "thumb" });
    assert.match(
      (await explained(rooms, bound?.session.id ?? "")).story,
      /its refresh token is bound to a key of the client's\.$/,
    );
  } finally {
    await rooms.close();
  }
});

test("explain: signed out by its user", async () => {
  const { rooms, session, pass } = await aliceSignedIn();
  try {
    pass(MINUTE);
    await rooms.sessions.end(session.id, { actor: "user", reason: "signed_out", ip: "192.0.2.7" });
    const { state, summary, story } = await explained(rooms, session.id);
    assert.deepEqual([state, summary], ["over", "Over: the user signed out."]);
    assert.match(story, /\nThe user signed out from 192\.0\.2\.7\.$/);
  } finally {
    await rooms.close();
  }
});

test("explain: revoked by the operator, alone or with all of the user's sessions", async () => {
  const { rooms, user, session } = await aliceSignedIn();
  try {
    const second = await startSession(rooms, user.id);
    const third = await startSession(rooms, user.id);
    assert.equal((await revokeSession(rooms, session.id)).outcome, "revoked");
    const all = await revokeSessions(rooms, "ALICE");
    assert.equal(all.outcome === "revoked" && all.count, 2);
    for (const { id } of [session, second.session, third.session]) {
      const { summary, story } = await explained(rooms, id);
      assert.equal(summary, "Over: the operator ended it.");
      assert.equal(story.split("The operator ended it.").length, 2, "the end is told once");
    }
  } finally {
    await rooms.close();
  }
});

test("explain: an old refresh token was used again", async () => {
  const { rooms, session, credential: refreshToken, pass } = await aliceSignedIn();
  try {
    let token = refreshToken;
    for (let i = 0; i < 3; i++) {
      pass(MINUTE);
      const turned = await rooms.turning.turn({ token, clientId: "keyturn" });
      assert.ok(turned.outcome === "turned");
      token = turned.refreshToken;
    }
    pass(MINUTE);
    const reused = await rooms.turning.turn({ token: refreshToken, clientId: "keyturn", ip: "203.0.113.9" });
    assert.equal(reused.outcome === "refused" && reused.reason, "reused");
    const { state, summary, story } = await explained(rooms, session.id);
    assert.deepEqual([state, summary], ["over", "Over: an old refresh token was used again."]);
    assert.match(story, /Refresh token 0 was used again from 203\.0\.113\.9, .*\(the current one is 3\)/);
  } finally {
    await rooms.close();
  }
});

test("explain: not used for too long, and past its absolute end", async () => {
  const { rooms, session, pass } = await aliceSignedIn();
  try {
    pass(15 * DAY);
    assert.equal((await explained(rooms, session.id)).summary, "Over: it was not used for too long.");
    assert.equal((await revokeSession(rooms, session.id)).outcome, "over_already");
  } finally {
    await rooms.close();
  }
});

test("explain: the password was changed, by whom it was", async () => {
  const { rooms, session } = await aliceSignedIn();
  try {
    await setUserPassword(rooms, { name: "alice", password: "another password" });
    const { summary, story } = await explained(rooms, session.id);
    assert.equal(summary, "Over: the password was changed.");
    assert.match(story, /\nThe password was changed\.$/);
  } finally {
    await rooms.close();
  }
});

test("explain: the user was disabled, and the user was removed", async () => {
  const { rooms, session } = await aliceSignedIn();
  try {
    await disableUser(rooms, "alice");
    assert.equal((await explained(rooms, session.id)).summary, "Over: the user was disabled.");
    await removeUser(rooms, "alice");
    const told = await explainSession(rooms, session.id);
    if (told.outcome === "explained") assert.equal(told.user, undefined);
  } finally {
    await rooms.close();
  }
});

test("lists what is alive, all that is kept, of one user or of everybody, page by page", async () => {
  const { rooms, user, session } = await aliceSignedIn();
  try {
    const bob = await addUser(rooms, { username: "bob" });
    assert.equal(bob.outcome, "added");
    const bobs = await startSession(rooms, bob.user.id);
    const second = await startSession(rooms, user.id);
    await revokeSession(rooms, session.id);
    const ids = async (filter: Parameters<typeof listSessions>[1]) => {
      const listed = await listSessions(rooms, filter);
      assert.equal(listed.outcome, "listed");
      return { ids: listed.sessions.map((one) => one.session.id).sort(), next: listed.next };
    };
    const sorted = (...all: string[]) => all.sort();
    assert.deepEqual((await ids({})).ids, sorted(bobs.session.id, second.session.id));
    assert.deepEqual((await ids({ user: "alice" })).ids, [second.session.id]);
    assert.deepEqual((await ids({ user: "alice", all: true })).ids, sorted(session.id, second.session.id));
    const first = await ids({ all: true, rows: 2 });
    const rest = await ids({ all: true, rows: 2, from: first.next });
    assert.equal(rest.next, undefined);
    assert.deepEqual(
      [...first.ids, ...rest.ids].sort(),
      sorted(session.id, second.session.id, bobs.session.id),
    );
    assert.equal((await listSessions(rooms, { user: "nobody" })).outcome, "unknown_user");
  } finally {
    await rooms.close();
  }
});

test("what is no session, or none that there is, is unknown", async () => {
  const { rooms, session } = await aliceSignedIn();
  try {
    for (const id of ["", "x", "00000000-0000-7000-8000-000000000000", "'; DROP TABLE sessions"]) {
      assert.equal((await showSession(rooms, id)).outcome, "unknown_session");
      assert.equal((await revokeSession(rooms, id)).outcome, "unknown_session");
      assert.equal((await explainSession(rooms, id)).outcome, "unknown_session");
    }
    assert.equal((await showSession(rooms, session.id.toUpperCase())).outcome, "found");
  } finally {
    await rooms.close();
  }
});

test("everybody's sessions end, or those of one client, over as many slices as there are", async () => {
  const { rooms, user, session } = await aliceSignedIn();
  try {
    const many = limits.sessionsEndedAtOnceMax * 2;
    for (let made = 1; made < many; made++) await startSession(rooms, user.id);
    assert.equal((await revokeAllSessions(rooms, { clientId: "shop" })).count, 0);
    assert.equal((await revokeAllSessions(rooms)).count, many);
    assert.equal((await revokeAllSessions(rooms, { clientId: "keyturn" })).count, 0);
    assert.equal((await explained(rooms, session.id)).state, "over");
  } finally {
    await rooms.close();
  }
});
