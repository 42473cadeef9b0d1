import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { after, before, test } from "node:test";
import { openTestPlace } from "./test-command.ts";

type Place = Awaited<ReturnType<typeof openTestPlace>>;

const SECRET = "GOCSPX-a-secret-of-google";
let place: Place;
before(async () => {
  place = await openTestPlace();
  assert.equal((await place.run(["migrate"])).exitCode, 0);
});
after(() => place.close());

const google = ["provider", "add", "google", "--client-id", "123.apps.example", "--client-secret-stdin"];

test("a provider is added with its secret from the standard input, and says which redirect URI to register", async () => {
  const added = await place.run([...google, "--json"], `${SECRET}\n`);
  assert.equal(added.exitCode, 0, added.stderr);
  const { provider } = added.json() as { provider: Record<string, unknown> };
  assert.deepEqual(provider, {
    id: "google",
    preset: "google",
    label: "Google",
    issuer: "https://accounts.google.com",
    endpoints: null,
    clientId: "123.apps.example",
    hasSecret: true,
    scopes: ["openid", "profile", "email"],
    trustsEmail: true,
    keepsTokens: false,
    redirectUri: "http://127.0.0.1:1/sign-in/with/google/callback",
    createdAt: provider.createdAt,
    disabledAt: null,
  });
  const again = await place.run(google, SECRET);
  assert.equal(again.exitCode, 1);
  assert.match(again.stderr, /There is a provider google/);
});

test("no command shows a client secret, and none is stored in the clear", async () => {
  const shown = await Promise.all(
    [["list"], ["show", "google"], ["list", "--json"], ["show", "google", "--json"]].map((rest) =>
      place.run(["provider", ...rest]),
    ),
  );
  for (const { exitCode, stdout, stderr } of shown) {
    assert.equal(exitCode, 0, stderr);
    assert.doesNotMatch(stdout + stderr, /GOCSPX/);
    assert.match(stdout, /google/);
  }
  const argument = await place.run(["provider", "add", "x", "--client-id", "1", `--client-secret=${SECRET}`]);
  assert.equal(argument.exitCode, 2);
  assert.doesNotMatch(argument.stderr, /GOCSPX/);
});

test("its tokens are kept when that is asked for, and show says for how many people", async () => {
  const set = (...flags: string[]) => place.run(["provider", "set", "google", "--json", ...flags]);
  assert.deepEqual((await set("--keep-tokens")).json(), {
    outcome: "changed",
    id: "google",
    keepsTokens: true,
  });
  assert.equal((await set("--keep-tokens")).json().outcome, "unchanged");
  const shown = (await place.run(["provider", "show", "google", "--json"])).json();
  const { keepsTokens, tokensKept } = shown.provider as Record<string, unknown>;
  assert.deepEqual([keepsTokens, tokensKept], [true, 0]);
  assert.equal((await set("--no-keep-tokens")).json().keepsTokens, false);
  assert.equal((await set()).exitCode, 2);
  const unknown = await place.run(["provider", "set", "nobody", "--keep-tokens"]);
  assert.equal(unknown.exitCode, 1);
  assert.match(unknown.stderr, /There is no provider nobody/);
});

test("a provider is disabled, enabled and removed; each says so, and so does the one that changes nothing", async () => {
  const run = (verb: string) => place.run(["provider", verb, "google", "--json"]);
  const outcomes = [];
  for (const verb of ["disable", "disable", "enable", "enable", "remove", "remove"]) {
    const ran = await run(verb);
    outcomes.push(ran.exitCode === 0 ? ran.json().outcome : JSON.parse(ran.stderr).error);
  }
  assert.deepEqual(outcomes, [
    "disabled",
    "unchanged",
    "enabled",
    "unchanged",
    "removed",
    "unknown_provider",
  ]);
});

test("what cannot work is refused in one line that says what to give", async () => {
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
  const p384 = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const cases: [string[], string, RegExp][] = [
    [["google", "--client-id", "x"], "", /needs a client secret/],
    [["google", "--client-id", "x", "--client-secret-stdin"], "", /standard input is empty/],
    [["google", "--client-id", "x", "--client-secret-stdin"], "a\nb", /one line/],
    [["google", "--client-id", "x", "--client-secret-stdin"], "x".repeat(9000), /more than 8192 bytes/],
    [["google", "--client-id", "x\u0000", "--client-secret-stdin"], "s", /client id/],
    [["google", "--client-secret-stdin"], "s", /client-id/],
    [["oidc", "--client-id", "x"], "", /needs --issuer/],
    [["oidc", "--client-id", "x", "--issuer", "http://corp.example"], "", /https address/],
    [["oidc", "--client-id", "x", "--issuer", "https://u:p@corp.example"], "", /https address/],
    [["oidc", "--client-id", "x", "--issuer", "https://corp.example?x"], "", /https address/],
    [["oidc", "--client-id", "x", "--issuer", "https://c.example", "--scope", "email"], "", /openid/],
    [["oidc", "--client-id", "x", "--issuer", "https://c.example", "--id", "A/../b"], "", /An id has/],
    [["oidc", "--client-id", "x", "--issuer", "https://c.example", "--team-id", "1"], "", /Only Apple/],
    [["apple", "--client-id", "x", "--client-secret-stdin"], "s", /--team-id and --key-id/],
    [
      [
        "apple",
        "--client-id",
        "x",
        "--client-secret-stdin",
        "--team-id",
        "ABCDE12345",
        "--key-id",
        "ABCDE12345",
      ],
      p384,
      /private key/,
    ],
    [
      ["github", "--client-id", "x", "--client-secret-stdin", "--issuer", "https://ghe.example"],
      "s",
      /endpoints/,
    ],
    [
      ["github", "--client-id", "x", "--client-secret-stdin", "--token-endpoint", "https://a.example"],
      "s",
      /--issuer/,
    ],
    [["myspace", "--client-id", "x"], "", /myspace/],
  ];
  for (const [args, stdin, expected] of cases) {
    const ran = await place.run(["provider", "add", ...args], stdin);
    assert.ok(ran.exitCode === 1 || ran.exitCode === 2, args.join(" "));
    assert.match(ran.stderr, expected, args.join(" "));
    assert.equal(ran.stderr.trim().split("\n").length, 1, ran.stderr);
  }
  assert.deepEqual((await place.run(["provider", "list", "--json"])).json(), { providers: [] });
});
