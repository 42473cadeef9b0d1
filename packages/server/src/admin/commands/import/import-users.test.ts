import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { openTestRooms, type TestRooms } from "../test-rooms.ts";
import { type ImportOptions, importUsers, type RefusedLine } from "./import-users.ts";
import { UnreadableFile } from "./records.ts";

const BCRYPT = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

let rooms: TestRooms;
let run = 0;
before(async () => {
  rooms = await openTestRooms();
});
after(() => rooms.close());
beforeEach(() => {
  run += 1;
});

/** A name of this test's own. */
const own = (name: string) => `${name}-${run}`;

async function* streamOf(...parts: (string | Uint8Array)[]): AsyncGenerator<Uint8Array> {
  for (const part of parts) yield Buffer.from(part as string);
}

async function bring(
  content: string | Uint8Array | (string | Uint8Array)[],
  more: Partial<ImportOptions> = {},
) {
  const refused: RefusedLine[] = [];
  const parts = Array.isArray(content) ? content : [content];
  const counts = await importUsers(rooms, streamOf(...parts), {
    onRefused: (line) => void refused.push(line),
    ...more,
  });
  assert.equal(counts.lines, counts.added + counts.present + counts.refused, "no line is lost");
  return { ...counts, refusedLines: refused, where: refused.map(({ line, field }) => [line, field]) };
}

const jsonl = (...users: object[]) => users.map((user) => `${JSON.stringify(user)}\n`).join("");

describe("what a file says", () => {
  test("JSON lines and CSV bring the same: hash, roles, verified address, date, external id", async () => {
    const time = "2020-02-03T04:05:06Z";
    const first = {
      username: own("ann"),
      email: `${own("ann")}@example.com`,
      emailVerified: true,
      name: "Ann",
      roles: ["editor", "auditor@orders"],
      passwordHash: BCRYPT,
      createdAt: time,
      externalId: own("42"),
    };
    const csv = [
      "Username,e_mail,email-verified,name,roles,password_hash,created at,disabled,external_id".replace(
        "e_mail",
        "email",
      ),
      `${own("ben")},${own("ben")}@example.com,TRUE,"Ben ""B"", Jr.",editor auditor@orders,${BCRYPT},${Date.parse(time) / 1000},yes,${own("43")}`,
      `${own("cid")},,,,,,,,`,
    ];
    assert.equal((await bring(jsonl(first))).added, 1);
    assert.equal((await bring(csv.join("\n"))).added, 2);
    const ann = await rooms.users.find(own("ann"));
    const ben = await rooms.users.find(own("ben"));
    for (const [user, id] of [
      [ann, "42"],
      [ben, "43"],
    ] as const) {
      assert.ok(user);
      assert.deepEqual([user.roles, user.resourceRoles], [["editor"], ["auditor@orders"]]);
      assert.deepEqual(
        [user.emailVerified, user.createdAt, user.externalId],
        [true, Date.parse(time), own(id)],
      );
      const [event] = await rooms.audit.list({ userId: user.id });
      assert.deepEqual(
        [event?.type, event?.actor, event?.detail?.imported],
        ["user.added", "operator", true],
      );
    }
    assert.equal(ben?.name, 'Ben "B", Jr.');
    assert.ok(ben?.disabledAt !== undefined && ann?.disabledAt === undefined);
    const cid = await rooms.users.find(own("cid"));
    assert.deepEqual([cid?.email, cid?.emailVerified, cid?.roles], [undefined, false, []]);
  });

  test("who was brought along signs in with the password of before", async () => {
    const hash = (await import("node:crypto")).scryptSync("correct horse", Buffer.alloc(16, 7), 32, {
      N: 1024,
      r: 8,
      p: 1,
    });
    const b64 = (bytes: Buffer) => bytes.toString("base64").replaceAll("=", "");
    const passwordHash = `$scrypt$ln=10,r=8,p=1$${b64(Buffer.alloc(16, 7))}$${b64(hash)}`;
    await bring(jsonl({ username: own("dora"), passwordHash }));
    const signIn = (password: string) =>
      rooms.signIn({ username: own("dora"), password, clientId: "first-party" });
    assert.equal((await signIn("wrong horse")).outcome, "invalid_credentials");
    assert.equal((await signIn("correct horse")).outcome, "signed_in");
  });

  test("dates are ISO 8601, seconds or milliseconds; a time without a zone is UTC", async () => {
    const dates = [
      "2020-02-03",
      "2020-02-03T00:00",
      "2020-02-03 00:00:00",
      "2020-02-03T02:00:00+02:00",
      1580688000,
      "1580688000000",
    ];
    await bring(jsonl(...dates.map((createdAt, i) => ({ username: own(`d${i}`), createdAt }))));
    for (const i of dates.keys()) {
      assert.equal(
        (await rooms.users.find(own(`d${i}`)))?.createdAt,
        Date.parse("2020-02-03T00:00:00Z"),
        `${dates[i]}`,
      );
    }
  });
});

describe("running it again", () => {
  test("adds only what is missing, and leaves whoever is there as they are", async () => {
    const users = Array.from({ length: 600 }, (_, i) => ({
      username: own(`u${i}`),
      email: `${own(`u${i}`)}@example.com`,
    }));
    assert.equal((await bring(jsonl(...users.slice(0, 400)))).added, 400);
    const changed = await rooms.users.find(own("u7"));
    assert.ok(changed);
    await rooms.users.update(changed.id, { name: "Changed since" }, { actor: "user" });
    const again = await bring(jsonl(...users));
    assert.deepEqual([again.added, again.present, again.refused], [200, 400, 0]);
    assert.equal((await rooms.users.findById(changed.id))?.name, "Changed since");
  });

  test("with external ids, users are known by them, whatever they are called by now", async () => {
    const line = jsonl({ username: own("eve"), email: `${own("eve")}@example.com`, externalId: own("7") });
    await bring(line);
    const eve = await rooms.users.find(own("eve"));
    assert.ok(eve);
    await rooms.users.update(eve.id, { username: own("eva"), email: null }, { actor: "user" });
    const again = await bring(line);
    assert.deepEqual([again.added, again.present], [0, 1]);
    assert.equal(await rooms.users.find(own("eve")), undefined);
    const other = await bring(jsonl({ username: own("eva"), externalId: own("8") }));
    assert.deepEqual(other.where, [[1, "username"]]);
  });

  test("a crash in the middle: whole batches are there, and the next run adds the rest, nobody twice", async () => {
    const users = Array.from({ length: 700 }, (_, i) =>
      jsonl({ username: own(`c${i}`), roles: ["x"], passwordHash: BCRYPT }),
    );
    async function* cut() {
      yield Buffer.from(users.slice(0, 600).join(""));
      throw new Error("the disk is gone");
    }
    await assert.rejects(importUsers(rooms, cut(), { onRefused: () => {} }), /the disk is gone/);
    const again = await bring(users.join(""));
    assert.deepEqual([again.added, again.present, again.refused], [200, 500, 0]);
  });

  test("two imports of one file at once: everybody is there once", async () => {
    const text = jsonl(...Array.from({ length: 600 }, (_, i) => ({ username: own(`t${i}`), roles: ["x"] })));
    const both = await Promise.all([bring(text), bring(text)]);
    assert.equal(both[0].added + both[1].added, 600);
    assert.equal(both[0].present + both[1].present, 600);
  });

  test("a dry run counts the same and changes nothing", async () => {
    await bring(jsonl({ username: own("here") }));
    const text = jsonl({ username: own("here") }, { username: own("new") }, { username: "two words" });
    const dry = await bring(text, { dryRun: true });
    assert.deepEqual([dry.added, dry.present, dry.refused], [1, 1, 1]);
    assert.equal(await rooms.users.find(own("new")), undefined);
    const { added, present, refused } = await bring(text);
    assert.deepEqual([added, present, refused], [dry.added, dry.present, dry.refused]);
  });
});

describe("lines that are refused", () => {
  test("each with its number, its field, and why; the others are taken; nothing of the line is repeated", async () => {
    const secret = "SECRET-7f3a";
    const lines = [
      { username: own("good1") },
      { username: "two words" },
      { username: own("a"), email: `${secret}@` },
      { username: own("b"), passwordHash: `$2b$99$${secret}` },
      { username: own("c"), passwordHash: `md5:${secret}` },
      { username: own("d"), roles: [secret, "no spaces"] },
      { username: own("e"), createdAt: "2999-01-01" },
      { username: own("f"), createdAt: `the day of ${secret}` },
      { username: own("g"), name: `${secret}\u0000` },
      { username: own("h"), emailVerified: secret },
      { username: own("i"), externalId: `${secret} x` },
      { username: own("j"), password: secret },
      { username: own("k"), [`x${"y".repeat(100)}`]: secret },
      { email: "nobody@example.com" },
      { username: 7 },
      { username: own("l"), roles: 7 },
      { username: own("m"), roles: Array.from({ length: 51 }, (_, i) => `r${i}`) },
      { username: own("n"), user_name: secret, Username: secret },
      { username: own("good2") },
    ];
    const { added, where, refusedLines } = await bring(jsonl(...lines));
    assert.equal(added, 2);
    assert.deepEqual(where, [
      [2, "username"],
      [3, "email"],
      [4, "passwordHash"],
      [5, "passwordHash"],
      [6, "roles"],
      [7, "createdAt"],
      [8, "createdAt"],
      [9, "name"],
      [10, "emailVerified"],
      [11, "externalId"],
      [12, undefined],
      [13, undefined],
      [14, "username"],
      [15, "username"],
      [16, "roles"],
      [17, "roles"],
      [18, "username"],
    ]);
    assert.ok(!JSON.stringify(refusedLines).includes(secret));
    assert.ok(!JSON.stringify(refusedLines).includes("nobody"));
    assert.match(refusedLines[10]?.problem ?? "", /hashes of them/);
  });

  test("names twice in one file, in any case, in one batch or in two: the first is taken", async () => {
    const filler = Array.from({ length: 300 }, (_, i) => ({ username: own(`f${i}`) }));
    const text = jsonl(
      { username: own("same"), email: `${own("same")}@example.com`, externalId: own("x1") },
      { username: own("SAME") },
      { username: own("other1"), email: `${own("same")}@EXAMPLE.com` },
      { username: own("other2"), externalId: own("x1") },
      ...filler,
      { username: own("Same") },
    );
    const expected = [
      [2, "username"],
      [3, "email"],
      [4, "externalId"],
      [305, "username"],
    ];
    const once = await bring(text);
    assert.deepEqual([once.added, once.where], [301, expected]);
    const twice = await bring(text);
    assert.deepEqual([twice.present, twice.where], [301, expected], "the same at the next run");
  });

  test("names that others have", async () => {
    await rooms.users.add(
      { username: own("taken"), email: `${own("taken")}@example.com` },
      { actor: "operator" },
    );
    const { where } = await bring(
      jsonl(
        { username: own("taken"), email: `${own("else")}@example.com` },
        { username: own("free"), email: `${own("taken")}@example.com` },
        {
          username: own("taken").toUpperCase(),
          createdAt: "2001-01-01",
          email: `${own("third")}@example.com`,
        },
      ),
    );
    assert.deepEqual(where, [
      [1, "username"],
      [2, "email"],
      [3, "username"],
    ]);
  });

  test("JSON lines: no JSON, no object, a megabyte, bytes that are no UTF-8, NUL; empty lines count for nothing", async () => {
    const long = `{"username":"${"x".repeat(10 * 1024 * 1024)}"}`;
    const parts = [
      "\ufeff",
      jsonl({ username: own("first") }),
      "\r\n\n   \n",
      "{broken\n[]\nnull\n7\n",
      long.slice(0, 5_000_000),
      long.slice(5_000_000),
      "\n",
      Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d, 0x0a]),
      `{"username":"a\\u0000b"}\n`,
      Buffer.from([0, 0, 0, 0x0a]),
      `{"username":"${own("last")}"}`,
    ];
    const { added, where } = await bring(parts);
    assert.equal(added, 2);
    assert.deepEqual(
      where.map(([line]) => line),
      [5, 6, 7, 8, 9, 10, 11, 12],
    );
    assert.ok(await rooms.users.find(own("last")), "a line without an end is a line");
  });

  test("CSV: BOM, CRLF, quotes; a line that is broken costs itself only", async () => {
    const text = [
      "\ufeffusername,name,bio",
      `${own("a")},Ann,"two`,
      'lines, and a ""quote"""',
      `${own("b")},"unclosed,x`,
      `${own("c")},Cid,"fine"`,
      `${own("d")},"Do"ra,x`,
      `${own("e")},Eve`,
      `${own("f")},F,x,y`,
      "",
      `${own("g")},G\u0000,x`,
      `${own("h")},${"H".repeat(10 * 1024 * 1024)},x`,
      `${own("i")},"a""b",x`,
      `${own("j")},J,"never closed`,
      `${own("k")},K,x`,
    ].join("\r\n");
    const { added, where } = await bring(text, { ignore: ["bio"] });
    assert.deepEqual(
      where.map(([line]) => line),
      [4, 6, 7, 8, 10, 11, 13],
    );
    assert.equal(added, 4);
    for (const name of ["a", "c", "i", "k"]) assert.ok(await rooms.users.find(own(name)), name);
    assert.equal((await rooms.users.find(own("i")))?.name, 'a"b');
  });

  test("CSV: bytes that are no UTF-8 cost their line", async () => {
    const { added, where } = await bring([
      `username,name\n${own("a")},`,
      Buffer.from([0xe9, 0x0a]),
      `${own("b")},é\n`,
    ]);
    assert.deepEqual([added, where], [1, [[2, undefined]]]);
  });
});

describe("files that are none", () => {
  test("nothing is taken of them, and the sentence says what is wrong", async () => {
    const files: [string | Uint8Array, RegExp][] = [
      ["name,email\nx,y\n", /username/],
      ["alice,bob\n", /no field alice/],
      ["username,password\nx,y\n", /hashes of them/],
      ["username,email,E-Mail\nx,y,z\n", /twice/],
      ["username,Username\nx,y\n", /twice/],
      ["username,shoe_size\nx,9\n", /--ignore/],
      ['[{"username":"x"}]', /no field|JSON array/],
      [Buffer.from("\ufeffusername\nx\n", "utf16le"), /UTF-8/],
      [Buffer.from([0x1f, 0x8b, 8, 0, 0, 0]), /UTF-8/],
      ["x".repeat(200_000), /too long/],
    ];
    for (const [content, pattern] of files) {
      await assert.rejects(bring(content), (error: Error) => {
        assert.ok(error instanceof UnreadableFile, String(error.stack));
        assert.match(error.message, pattern);
        return true;
      });
    }
    await assert.rejects(bring('[{"username":"x"}]', { format: "jsonl" }), /JSON array/);
    assert.equal((await bring("")).lines, 0);
    assert.equal((await bring("\ufeff\r\n\r\n")).lines, 0);
    assert.equal((await bring("username\n")).lines, 0);
  });
});

test("50,000 lines: in order, never more than a batch and a chunk ahead of what is written", async () => {
  let given = 0;
  let ahead = 0;
  async function* lines() {
    for (let chunk = 0; chunk < 500; chunk++) {
      const users = Array.from({ length: 100 }, (_, i) => {
        const n = chunk * 100 + i;
        return { username: own(`m${n}`), email: `${own(`m${n}`)}@example.com`, passwordHash: BCRYPT };
      });
      given += users.length;
      yield Buffer.from(jsonl(...users));
    }
  }
  const counts = await importUsers(rooms, lines(), {
    onRefused: () => assert.fail("a line was refused"),
    onProgress: (now) => {
      ahead = Math.max(ahead, given - now.lines);
    },
  });
  assert.deepEqual(counts, { lines: 50_000, added: 50_000, present: 0, refused: 0 });
  assert.ok(ahead <= 100, `${ahead} lines were read ahead`);
});
