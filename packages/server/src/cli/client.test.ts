import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { openTestPlace } from "./test-command.ts";

type Place = Awaited<ReturnType<typeof openTestPlace>>;

let place: Place;
before(async () => {
  place = await openTestPlace();
  assert.equal((await place.run(["migrate"])).exitCode, 0);
});
after(() => place.close());

const uri = ["--redirect-uri", "https://app.example/cb"];
type Json = Record<string, Record<string, unknown>>;

async function add(name: string, ...options: string[]) {
  const ran = await place.run(["client", "add", name, ...options, "--json"]);
  assert.equal(ran.exitCode, 0, ran.stderr);
  return ran.json() as Json & { secret: unknown; issuer: string; discovery: string };
}

test("a client of each type is added with what it needs, and says what to configure there", async () => {
  const web = await add("Web shop", "--id", "shop", "--type", "web", ...uri);
  assert.match(String(web.secret), /^kts_/);
  assert.equal(web.issuer, "http://127.0.0.1:1");
  assert.equal(web.discovery, "http://127.0.0.1:1/.well-known/openid-configuration");
  const { metadata } = web.client as { metadata: Record<string, unknown> };
  assert.deepEqual(metadata.redirect_uris, ["https://app.example/cb"]);
  assert.deepEqual(metadata.grant_types, ["authorization_code", "refresh_token"]);
  for (const type of ["spa", "native"]) {
    const added = await add(type, "--id", type, "--type", type, ...uri);
    assert.equal(added.secret, null);
  }
  const service = await add("Nightly", "--type", "service", "--scope", "orders.read");
  assert.deepEqual((service.client as { metadata: Record<string, unknown> }).metadata.grant_types, [
    "client_credentials",
  ]);
  const shown = await place.run([
    "client",
    "add",
    "API",
    "--id",
    "api",
    "--type",
    "resource",
    "--resource",
    "https://api.example",
  ]);
  assert.match(shown.stdout, /secret +kts_/);
  assert.match(shown.stdout, /resources +https:\/\/api\.example/);
  assert.match(shown.stderr, /revocations/);
  const spa = await place.run(["client", "show", "spa"]);
  assert.match(spa.stderr, /issuer http:\/\/127\.0\.0\.1:1 and the client id spa/);
  assert.match(spa.stderr, /openid-configuration/);
  assert.doesNotMatch((await place.run(["client", "show", "shop"])).stdout, /kts_/);
});

test("every option comes to its member", async () => {
  const keys = join(place.folder, "jwks.json");
  writeFileSync(keys, JSON.stringify({ keys: [{ kty: "EC", crv: "P-256", x: "x", y: "y" }] }));
  const added = await add(
    "Bank",
    ...["--type", "web", ...uri, "--redirect-uri", "https://app.example/cb2"],
    ...["--post-logout-redirect-uri", "https://app.example/bye", "--scope", "openid accounts"],
    ...["--grant", "authorization_code", "--grant", "device_code", "--auth-method", "private_key_jwt"],
    ...["--jwks-file", keys, "--backchannel-logout-uri", "https://app.example/out", "--trusted"],
    ...["--profile", "fapi2", "--id-token-alg", "ES256", "--pairwise", "--client-uri", "https://app.example"],
  );
  const { metadata } = added.client as { metadata: Record<string, unknown> };
  const expected = {
    redirect_uris: ["https://app.example/cb", "https://app.example/cb2"],
    post_logout_redirect_uris: ["https://app.example/bye"],
    scope: "openid accounts",
    grant_types: ["authorization_code", "urn:ietf:params:oauth:grant-type:device_code"],
    response_types: ["code"],
    token_endpoint_auth_method: "private_key_jwt",
    backchannel_logout_uri: "https://app.example/out",
    keyturn_trusted: true,
    keyturn_profile: "fapi2",
    id_token_signed_response_alg: "ES256",
    subject_type: "pairwise",
    client_uri: "https://app.example",
    require_pushed_authorization_requests: true,
    dpop_bound_access_tokens: true,
  };
  for (const [name, value] of Object.entries(expected)) assert.deepEqual(metadata[name], value, name);
  assert.deepEqual((metadata.jwks as { keys: unknown[] }).keys.length, 1);
});

test("set changes what is given and keeps the rest", async () => {
  await add("Later", "--id", "later", "--type", "web", ...uri, "--scope", "openid");
  const run = async (...options: string[]) => {
    const ran = await place.run(["client", "set", "later", ...options, "--json"]);
    assert.equal(ran.exitCode, 0, ran.stderr);
    return ran.json() as {
      client: { name: string; metadata: Record<string, unknown> };
      secret: string | null;
    };
  };
  const { client, secret } = await run("--name", "Now", "--dpop", "--redirect-uri", "https://new.example/cb");
  assert.equal(secret, null);
  assert.equal(client.name, "Now");
  assert.deepEqual(client.metadata.redirect_uris, ["https://new.example/cb"]);
  assert.equal(client.metadata.dpop_bound_access_tokens, true);
  assert.equal(client.metadata.scope, "openid");
  assert.equal((await run("--no-dpop")).client.metadata.dpop_bound_access_tokens, false);
  await run("--auth-method", "none");
  assert.match((await run("--auth-method", "client_secret_post")).secret ?? "", /^kts_/);
});

test("what cannot be is refused with its name and a sentence; a wrong option is told before anything is opened", async () => {
  const wrong: [args: string[], error: string, exitCode: number][] = [
    [["add", "x", "--type", "web"], "invalid_redirect_uris", 1],
    [["add", "x", "--type", "web", "--redirect-uri", "http://app.example/"], "invalid_redirect_uris", 1],
    [
      ["add", "x", "--type", "spa", ...uri, "--auth-method", "client_secret_basic"],
      "invalid_token_endpoint_auth_method",
      1,
    ],
    [["add", "x", "--type", "web", ...uri, "--profile", "fapi2"], "invalid_jwks", 1],
    [["add", "x", "--type", "resource", "--resource", "https://api.example"], "resource_taken", 1],
    [["add", "x", "--type", "web", "--id", "shop", ...uri], "id_taken", 1],
    [["add", "x", "--type", "web", "--id", "first-party", ...uri], "id_taken", 1],
    [["set", "shop", "--redirect-uri", "javascript:alert(1)"], "invalid_redirect_uris", 1],
    [["set", "nobody", "--name", "x"], "unknown_client", 1],
    [["secret", "spa"], "no_secret", 1],
    [["remove", "nobody"], "unknown_client", 1],
    [["add", "x", "--type", "web", ...uri, "--grant", "implicit"], "wrong_usage", 2],
    [["add", "x", "--type", "web", ...uri, "--jwks-file", join(place.folder, "none")], "wrong_usage", 2],
    [["add", "x", "--type", "web", ...uri, "--jwks-file", place.config], "wrong_usage", 2],
    [["add", "x", "--type", "web", ...uri, "--auth-method", "client_secret_jwt"], "wrong_usage", 2],
  ];
  for (const [args, error, exitCode] of wrong) {
    const ran = await place.run(["client", ...args, "--json"]);
    assert.equal(ran.exitCode, exitCode, `${args.join(" ")}: ${ran.stdout}${ran.stderr}`);
    const said = JSON.parse(ran.stderr || ran.stdout) as { error: string; error_description: string };
    assert.equal(said.error, error, args.join(" "));
  }
});

test("removing says what goes with it", async () => {
  await add("Gone", "--id", "gone", "--type", "spa", ...uri);
  const ran = await place.run(["client", "remove", "gone"]);
  assert.match(ran.stdout, /with its sessions/);
  const listed = await place.run(["client", "list"]);
  assert.match(listed.stdout, /LAST USED/);
  assert.doesNotMatch(listed.stdout, /gone/);
});
