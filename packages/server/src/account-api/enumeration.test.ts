import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import sql from "sql-template-tag";
import { testBrowser } from "../pages/test-browser.ts";
import { type MailServer, PASSWORD, startMailServer } from "../test-mail.ts";
import { timeDifferences } from "../test-timing.ts";
import { addPasskey } from "../users/factors/test-factors.ts";
import type { User } from "../users/user.ts";

/**
 * Who has an account is not told by how long an answer takes. That the answers are the same is tested beside each
 * endpoint; here the clock is the only witness. In all about four seconds.
 */

let mail: MailServer;
const bytes = ({ id }: User) => Buffer.from(id.replaceAll("-", ""), "hex");

before(async () => {
  mail = await startMailServer();
  const { server } = mail;
  await mail.addConfirmed("alice");
  await server.addUser("unproven", { email: "unproven@example.com" });
  const gone = await mail.addConfirmed("gone");
  await server.app.users.disable(gone.id, { actor: "operator" });
  for (const name of ["without", "keyholder"]) {
    const user = await mail.addConfirmed(name);
    if (name === "keyholder") await addPasskey(server, user);
    await server.database.batch([
      sql`DELETE FROM credentials WHERE user_id = ${bytes(user)} AND kind = 'password'`,
    ]);
  }
});
after(() => mail.server.close());

/** The kinds are answered alike, and take the same time. */
async function assertAlike(kinds: Record<string, [path: string, json: object]>, millisecondsMax: number) {
  const { server } = mail;
  const answers = new Set<string>();
  const ask = async ([path, json]: [string, object]) => {
    const { status, json: told } = await server.callQuietly(path, { json });
    answers.add(`${status} ${told.error}`);
  };
  const calls = Object.entries(kinds).map(([kind, call]) => [kind, () => ask(call)] as const);
  const found = await timeDifferences(Object.fromEntries(calls), {
    millisecondsMax,
    before: () => server.forgetLimits(),
  });
  assert.deepEqual(found, [], "these take another time than the first");
  assert.equal(answers.size, 1, [...answers].join());
}

test("what is looked for would be seen: two milliseconds more of one kind of four, and nothing where there is nothing", async () => {
  // A call of ten milliseconds on a busy machine: most take a little longer, some are held up for long.
  let now = 0;
  const noise = () => -Math.log(Math.random() || 1) + (Math.random() < 0.1 ? 40 * Math.random() : 0);
  const call = (milliseconds: number) => async () => {
    now += milliseconds + noise();
  };
  const options = { millisecondsMax: 4000, now: () => now };
  for (let run = 0; run < 3; run++) {
    const alike = { nobody: call(10), wrong: call(10), disabled: call(10), without: call(10) };
    assert.deepEqual(await timeDifferences(alike, options), []);
    const [slow, ...others] = await timeDifferences({ ...alike, disabled: call(12) }, options);
    assert.deepEqual([slow?.kind, others.length], ["disabled", 0]);
  }
});

test("ASVS 6.3.8: signing in takes the same time for a name that nobody has, a wrong password, a disabled user and one without a password", () =>
  assertAlike(
    {
      nobody: ["/login", { username: "nobody", password: PASSWORD }],
      wrong: ["/login", { username: "alice", password: "wrong password" }],
      disabled: ["/login", { username: "gone", password: PASSWORD }],
      without: ["/login", { username: "without", password: PASSWORD }],
    },
    1200,
  ));

test("ASVS 6.3.8: registering takes the same time for a taken name and a taken address", () =>
  assertAlike(
    {
      name: ["/register", { username: "alice", password: "orchard walking 73" }],
      address: [
        "/register",
        { username: "newcomer", email: "alice@example.com", password: "orchard walking 73" },
      ],
      both: ["/register", { username: "alice", email: "alice@example.com", password: "orchard walking 73" }],
    },
    500,
  ));

const addresses = (path: string): Record<string, [string, object]> => ({
  nobody: [path, { email: "nobody@example.com" }],
  known: [path, { email: "alice@example.com" }],
  unconfirmed: [path, { email: "unproven@example.com" }],
  disabled: [path, { email: "gone@example.com" }],
});

test("ASVS 6.3.8: a forgotten password takes the same time for any address", () =>
  assertAlike(addresses("/password/forgotten"), 400));

test("ASVS 6.3.8: asking to sign in by mail takes the same time for any address, and so does a wrong code", async () => {
  await assertAlike(addresses("/login/email"), 400);
  const guesses: Record<string, [string, object]> = {};
  for (const [kind, email] of [
    ["nobody", "nobody@example.com"],
    ["known", "alice@example.com"],
  ] as const) {
    await mail.server.forgetLimits();
    const { ticket } = (await mail.askSignIn(email)).json;
    guesses[kind] = ["/login/email/confirm", { ticket, code: "000000" }];
  }
  await assertAlike(guesses, 300);
});

test("ASVS 6.3.8: a wrong recovery code takes the same time for a name that nobody has, a password and a passkey", () =>
  assertAlike(
    Object.fromEntries(
      ["nobody", "alice", "gone", "keyholder"].map((username) => [
        username,
        ["/login/recovery", { username, code: "0000-0000-0000-0000-0000-0000" }],
      ]),
    ),
    400,
  ));

test("RFC 8628 §5.1: a device's code that nobody has takes the same time as one that was used", async () => {
  const { server } = mail;
  const added = await server.app.clients.add(
    {
      name: "television",
      type: "native",
      metadata: {
        redirect_uris: [],
        response_types: [],
        grant_types: ["urn:ietf:params:oauth:grant-type:device_code"],
      },
    },
    { actor: "operator" },
  );
  assert.ok(added.outcome === "added");
  const begun = await server.call("/oauth/device", {
    body: `client_id=${added.client.id}&scope=openid`,
    headers: { "content-type": "application/x-www-form-urlencoded" },
  });
  const used = String(begun.json.user_code);
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const page = await browser.open(`/device?user_code=${used}`);
  assert.equal((await browser.submit(page, "/device", { decision: "deny" })).status, 303);
  const look = (code: string) => async () =>
    assert.equal((await browser.open(`/device?user_code=${code}`)).status, 422);
  const kinds = { nobodys: look("BCDF-GHJK"), used: look(used) };
  const found = await timeDifferences(kinds, { millisecondsMax: 400, before: () => server.forgetLimits() });
  assert.deepEqual(found, []);
});
