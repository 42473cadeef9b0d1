import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { SignIn } from "./sign-in.ts";
import { openUsers, type TestUsers } from "./test-users.ts";

let room: TestUsers;
before(async () => {
  room = await openUsers();
});
after(() => room?.close());

let lastAddress = 0;
/** An address that nobody has used before. */
const newAddress = () => {
  lastAddress += 1;
  return `10.${lastAddress >> 16}.${(lastAddress >> 8) & 255}.${lastAddress & 255}`;
};

const signIn = (username: string, password = "correct horse", more: Partial<SignIn> = {}) =>
  room.signIn({ username, password, clientId: "app", ip: newAddress(), ...more });
const outcome = async (...request: Parameters<typeof signIn>) => (await signIn(...request)).outcome;

describe("limits against guessing", () => {
  test("of 100 guesses at once at one account from one address 10 are answered", async () => {
    const { id } = await room.add("guessed");
    const ip = newAddress();
    const all = Array.from({ length: 100 }, (_, i) => outcome("guessed", `guess number ${i}`, { ip }));
    const outcomes = await Promise.all(all);
    assert.equal(outcomes.filter((each) => each === "invalid_credentials").length, 10);
    assert.equal(outcomes.filter((each) => each === "too_many_attempts").length, 90);
    const limited = await signIn("guessed", "correct horse", { ip });
    assert.ok(
      limited.outcome === "too_many_attempts" &&
        limited.retryAfterSeconds > 0 &&
        limited.retryAfterSeconds <= 30,
    );
    const events = await room.eventsOf(id);
    assert.equal(events.filter(({ type }) => type === "sign_in.failed").length, 10);
    assert.deepEqual(
      events.filter(({ type }) => type === "sign_in.limited").map(({ detail }) => detail),
      [{ rule: "sign-in-account-address" }],
    );
    room.pass(31_000);
    assert.equal(await outcome("guessed", "correct horse", { ip }), "signed_in");
  });

  test("a name that nobody has is limited in the same way as one that somebody has", async () => {
    const ip = newAddress();
    const outcomes: string[] = [];
    for (let i = 0; i < 12; i++) outcomes.push(await outcome("nobody.at.all", "guess", { ip }));
    assert.deepEqual(outcomes, [
      ...Array(10).fill("invalid_credentials"),
      ...Array(2).fill("too_many_attempts"),
    ]);
  });

  test("right passwords use nothing up", async () => {
    await room.add("often");
    const ip = newAddress();
    for (let i = 0; i < 25; i++) assert.equal(await outcome("often", "correct horse", { ip }), "signed_in");
  });

  test("one address tries 100 names, then one every three seconds; its /64 is one address", async () => {
    const outcomes: string[] = [];
    for (let i = 0; i < 103; i++)
      outcomes.push(await outcome(`name${i}`, "Summer2026!", { ip: `2001:db8:0:7::${i + 1}` }));
    assert.equal(outcomes.filter((each) => each === "invalid_credentials").length, 100);
    assert.equal(await outcome("name-next", "Summer2026!", { ip: "2001:db8:0:8::1" }), "invalid_credentials");
  });

  test("1,000 addresses use up an account's limit, and its owner at home still gets in at the first try", async () => {
    await room.add("famous", { email: "famous@example.com" });
    const home = "2001:db8:77::1";
    assert.equal(await outcome("famous", "correct horse", { ip: home }), "signed_in");
    const outcomes: string[] = [];
    for (let i = 0; i < 1000; i++) outcomes.push(await outcome("famous", "a guess", { ip: newAddress() }));
    assert.equal(outcomes.filter((each) => each === "invalid_credentials").length, 50);
    assert.equal(await outcome("famous", "correct horse", { ip: newAddress() }), "too_many_attempts");
    // Another address of the same /64, and the other name of the same account.
    assert.equal(await outcome("famous", "correct horse", { ip: "2001:db8:77::2" }), "signed_in");
    assert.equal(await outcome("famous@example.com", "correct horse", { ip: home }), "signed_in");
    // At home, too, one account takes ten guesses.
    const atHome: string[] = [];
    for (let i = 0; i < 12; i++) atHome.push(await outcome("famous", "a guess", { ip: home }));
    assert.equal(atHome.filter((each) => each === "invalid_credentials").length, 10);
  });

  test("an address is known for 90 days after a sign-in", async () => {
    await room.add("away");
    const home = newAddress();
    assert.equal(await outcome("away", "correct horse", { ip: home }), "signed_in");
    room.pass(89 * 86_400_000);
    const exhaust = async () => {
      for (let i = 0; i < 50; i++) await outcome("away", "a guess", { ip: newAddress() });
    };
    await exhaust();
    assert.equal(await outcome("away", "a guess", { ip: home }), "invalid_credentials");
    room.pass(2 * 86_400_000);
    await exhaust();
    assert.equal(await outcome("away", "correct horse", { ip: home }), "too_many_attempts");
  });

  test("refused attempts leave one audit event an hour for each limit, however many there are", async () => {
    await room.add("flooded");
    const ip = newAddress();
    const flood = async () => {
      for (let i = 0; i < 40; i++) await outcome("flooded", "a guess", { ip });
    };
    const limited = async () => (await room.events()).filter(({ type }) => type === "sign_in.limited").length;
    const before = await limited();
    await flood();
    assert.equal(await limited(), before + 1);
    room.pass(3_600_000);
    await flood();
    assert.equal(await limited(), before + 2);
  });

  test("without an address the limit of the account holds", async () => {
    await room.add("hidden");
    const outcomes: string[] = [];
    for (let i = 0; i < 12; i++) {
      outcomes.push(
        (await room.signIn({ username: "hidden", password: "a guess", clientId: "app" })).outcome,
      );
    }
    assert.equal(outcomes.filter((each) => each === "too_many_attempts").length, 2);
  });
});
