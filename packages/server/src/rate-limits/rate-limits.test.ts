import assert from "node:assert/strict";
import { createSecretKey } from "node:crypto";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import sql from "sql-template-tag";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";
import { addressBlock } from "./address.ts";
import { createRateLimits, type RateLimits } from "./rate-limits.ts";
import { rateRules } from "./rules.ts";

const rule = { name: "test", burst: 5, seconds: 10 };
const other = { name: "other", burst: 2, seconds: 60 };
let now = 1_800_000_000_000;
let place: TestDatabase;
let rateLimits: RateLimits;

before(async () => {
  const clock = { now: () => now };
  place = await openTestDatabase({ clock });
  rateLimits = createRateLimits({
    database: place.database,
    clock,
    key: createSecretKey(Buffer.alloc(32, 1)),
  });
});
after(() => place?.close());

const rows = async () =>
  (await place.database.one<{ n: number }>(sql`SELECT count(*) AS n FROM rate_limits`))?.n;
const allowed = { allowed: true };

describe("rate limits", () => {
  test("a burst passes, then one more every interval; the wait is told", async () => {
    for (let i = 0; i < 5; i++) assert.deepEqual(await rateLimits.consume(rule, "a"), allowed);
    assert.deepEqual(await rateLimits.consume(rule, "a"), {
      allowed: false,
      retryAfterSeconds: 10,
      bucket: { rule, subject: "a" },
    });
    assert.equal(await rateLimits.retryAfterSeconds(rule, "a"), 10);
    now += 9_999;
    assert.deepEqual(await rateLimits.consume(rule, "a"), {
      allowed: false,
      retryAfterSeconds: 1,
      bucket: { rule, subject: "a" },
    });
    now += 1;
    assert.equal(await rateLimits.retryAfterSeconds(rule, "a"), 0);
    assert.deepEqual(await rateLimits.consume(rule, "a"), allowed);
    assert.equal((await rateLimits.consume(rule, "a")).allowed, false);
    now += 1_000_000;
    for (let i = 0; i < 5; i++) assert.deepEqual(await rateLimits.consume(rule, "a"), allowed);
    assert.equal((await rateLimits.consume(rule, "a")).allowed, false);
  });

  test("a bucket that was used while the clock was ahead holds nobody off once it is right again", async () => {
    now += 10 * 24 * 60 * 60 * 1000;
    assert.deepEqual(await rateLimits.consume(rule, "ahead"), allowed);
    now -= 10 * 24 * 60 * 60 * 1000;
    assert.equal(await rateLimits.retryAfterSeconds(rule, "ahead"), 0);
    for (let i = 0; i < 5; i++) assert.deepEqual(await rateLimits.consume(rule, "ahead"), allowed);
    assert.equal((await rateLimits.consume(rule, "ahead")).allowed, false, "and limits as before");
  });

  test("rules and subjects have buckets of their own", async () => {
    for (let i = 0; i < 2; i++) assert.deepEqual(await rateLimits.consume(other, "b"), allowed);
    assert.equal((await rateLimits.consume(other, "b")).allowed, false);
    assert.deepEqual(await rateLimits.consume(other, "b2"), allowed);
    assert.deepEqual(await rateLimits.consume(rule, "b"), allowed);
  });

  test("of 100 attempts at once the burst wins and not one more", async () => {
    const answers = await Promise.all(Array.from({ length: 100 }, () => rateLimits.consume(rule, "race")));
    assert.equal(answers.filter((answer) => answer.allowed).length, 5);
    for (const answer of answers) assert.ok(answer.allowed || answer.retryAfterSeconds === 10);
  });

  test("takes from all buckets or from none, also when a race is lost between", async () => {
    const buckets = [
      { rule, subject: "all" },
      { rule: other, subject: "all" },
    ];
    const answers = await Promise.all(Array.from({ length: 20 }, () => rateLimits.consumeAll(buckets)));
    assert.equal(answers.filter((answer) => answer.allowed).length, 2);
    assert.deepEqual(await rateLimits.consumeAll(buckets), {
      allowed: false,
      retryAfterSeconds: 60,
      bucket: buckets[1],
    });
    // Two were taken of the five; the losers took none.
    for (let i = 0; i < 3; i++) assert.deepEqual(await rateLimits.consume(rule, "all"), allowed);
    assert.equal((await rateLimits.consume(rule, "all")).allowed, false);
  });

  test("a refund gives one back, and never more than the burst", async () => {
    const bucket = { rule, subject: "refund" };
    for (let i = 0; i < 5; i++) await rateLimits.consume(rule, "refund");
    await rateLimits.refund([bucket]);
    assert.deepEqual(await rateLimits.consume(rule, "refund"), allowed);
    assert.equal((await rateLimits.consume(rule, "refund")).allowed, false);
    for (let i = 0; i < 20; i++) await rateLimits.refund([bucket]);
    for (let i = 0; i < 5; i++) assert.deepEqual(await rateLimits.consume(rule, "refund"), allowed);
    assert.equal((await rateLimits.consume(rule, "refund")).allowed, false);
  });

  test("a refused attempt that a look can tell writes no row", async () => {
    for (let i = 0; i < 2; i++) await rateLimits.consume(other, "flood");
    const before = await rows();
    for (let i = 0; i < 50; i++) {
      await rateLimits.consumeAll([
        { rule, subject: `name ${i}` },
        { rule: other, subject: "flood" },
      ]);
    }
    assert.equal(await rows(), before);
  });

  test("a mark is remembered until it fades", async () => {
    assert.equal(await rateLimits.isRemembered("home"), false);
    await place.database.batch([rateLimits.rememberStatement("home", 60)]);
    await place.database.batch([rateLimits.rememberStatement("home", 30)]);
    now += 59_999;
    assert.equal(await rateLimits.isRemembered("home"), true);
    now += 1;
    assert.equal(await rateLimits.isRemembered("home"), false);
  });

  test("rows that say nothing any more are deleted, others stay", async () => {
    now += 10_000_000;
    await rateLimits.consume(rule, "stays");
    await place.database.batch([rateLimits.rememberStatement("stays too", 60)]);
    assert.ok((await rateLimits.deleteFull()) > 5);
    assert.equal(await rows(), 2);
    assert.equal(await rateLimits.deleteFull(), 0);
    assert.equal(await rateLimits.isRemembered("stays too"), true);
  });

  test("the table names no subject", async () => {
    await rateLimits.consume(rule, "alice@example.com");
    for (const { id } of await place.database.all<{ id: Buffer }>(sql`SELECT id FROM rate_limits`)) {
      assert.equal(id.length, 16);
      assert.ok(!id.includes("alice"));
    }
  });

  test("rules have names of their own", () => {
    const names = Object.values(rateRules).map(({ name }) => name);
    assert.equal(new Set(names).size, names.length);
  });
});

describe("addresses", () => {
  test("RFC 6177: of an IPv6 address the /64 counts, of an IPv4 address all of it", () => {
    assert.equal(addressBlock("192.0.2.7"), "192.0.2.7");
    const same = [
      "2001:db8:1:2:3:4:5:6",
      "2001:DB8:1:2::",
      "2001:db8:1:2::9",
      "2001:0db8:0001:0002:0:0:1.2.3.4",
      "2001:db8:1:2::1%eth0",
    ];
    for (const ip of same) assert.equal(addressBlock(ip), "2001:db8:1:2::/64");
    assert.equal(addressBlock("2001:db8:1:3::1"), "2001:db8:1:3::/64");
    assert.equal(addressBlock("::1"), "0:0:0:0::/64");
  });

  test("RFC 4291 §2.5.5.2: an IPv4 address inside an IPv6 address is that IPv4 address", () => {
    for (const ip of ["::ffff:192.0.2.7", "::FFFF:c000:207", "0:0:0:0:0:ffff:c000:0207"])
      assert.equal(addressBlock(ip), "192.0.2.7");
  });

  test("what is no address is none", () => {
    for (const ip of [
      undefined,
      "",
      "x",
      "1.2.3",
      "1.2.3.4.5",
      "01.2.3.4",
      ":::",
      "g::",
      "1".repeat(1_000_000),
      "::ffff:1.2.3.4.5",
      "\0",
    ]) {
      assert.equal(addressBlock(ip), undefined);
    }
    fc.assert(fc.property(fc.ipV6(), (ip) => addressBlock(ip) !== undefined));
    fc.assert(fc.property(fc.ipV4(), (ip) => addressBlock(ip) === ip && addressBlock(`::ffff:${ip}`) === ip));
  });
});
