import assert from "node:assert/strict";
import fs from "node:fs";
import path from "node:path";
import { after, before, test } from "node:test";
import { raw } from "sql-template-tag";
import { testBrowser } from "./pages/test-browser.ts";
import { type Reply, startTestServer, stoppedClock, type TestServer } from "./test-server.ts";

/**
 * Rules of OWASP ASVS 5.0 that are of every answer, page or file rather than of one part; docs/security-requirements.md
 * names these and all others.
 */

const clock = stoppedClock();
const html = { accept: "text/html" };
let server: TestServer;
/** Its issuer is https, as behind a proxy. */
let secure: TestServer;

before(async () => {
  server = await startTestServer({ clock });
  secure = await startTestServer({ settings: { issuer: "https://auth.example" } });
  await server.addUser("alice", { email: "alice@example.com", emailVerified: true });
  await secure.addUser("alice");
});
after(() => Promise.all([server.close(), secure.close()]));

/** Every address of a server by GET, endpoints and pages, with something in the place of what varies. */
const addressesOf = ({ app }: TestServer) => [
  ...new Set([...app.endpoints, ...app.pages].map((row) => row.path.replaceAll(/:\w+/g, "none"))),
];

/** An answer with all its headers; of the feed, which does not end, too. */
async function answerOf(place: TestServer, address: string, headers: Record<string, string> = {}) {
  const body =
    address === "/revocations" ? { headers: { accept: "application/json", ...headers } } : { headers };
  return place.callQuietly(address, body);
}

test("ASVS 3.2.1, 3.4.3 to 3.4.6, 3.5.8: every answer of every address says nosniff, a policy, no frames, no referrer, and whose it is", async () => {
  for (const address of [...addressesOf(server), "/nowhere"]) {
    for (const headers of [{ accept: "application/json" }, html]) {
      const reply = await answerOf(server, address, headers);
      const policy = reply.headers.get("content-security-policy") ?? "";
      assert.match(policy, /^default-src 'none';/, address);
      assert.match(policy, /base-uri 'none'/, address);
      assert.match(policy, /frame-ancestors 'none'/, address);
      assert.doesNotMatch(
        policy,
        /unsafe-(?!inline'; base-uri 'none'; form-action 'none'; .*sandbox)|https?:|\*/,
      );
      assert.equal(reply.headers.get("x-content-type-options"), "nosniff", address);
      assert.match(reply.headers.get("referrer-policy") ?? "", /^(no-referrer|same-origin)$/, address);
      assert.equal(reply.headers.get("cross-origin-resource-policy"), "same-origin", address);
      const type = reply.headers.get("content-type") ?? "";
      if (type.startsWith("text/html")) assert.match(reply.text, /^<!doctype html>/i, address);
    }
  }
});

test("ASVS 3.4.1: HSTS for a year, with subdomains, on every answer of an https issuer, refusals and mistakes too", async () => {
  for (const address of [...addressesOf(secure), "/nowhere"]) {
    const reply = await answerOf(secure, address, html);
    assert.equal(
      reply.headers.get("strict-transport-security"),
      "max-age=31536000; includeSubDomains",
      address,
    );
  }
});

test("ASVS 3.4.8: every page says Cross-Origin-Opener-Policy, but those that applications open in a window of theirs", async () => {
  const without = new Set<string>();
  for (const address of new Set(server.app.pages.map((page) => page.path.replaceAll(/:\w+/g, "none")))) {
    const reply = await answerOf(server, address, html);
    if (reply.headers.get("cross-origin-opener-policy") !== "same-origin")
      without.add(address.split("/")[1] ?? "");
  }
  assert.deepEqual([...without].sort(), ["oauth", "sign-in", "sign-up", "step-up"]);
});

test("ASVS 3.3.1 to 3.3.5: every cookie is __Host-, Secure, HttpOnly, SameSite=Lax and small, and no body repeats it", async () => {
  const lines = new Map<string, string>();
  const bodies: string[] = [];
  const see = (reply: Reply) => {
    bodies.push(reply.text);
    for (const line of reply.headers.getSetCookie()) lines.set(line.split("=")[0] ?? "", line);
  };
  const browser = testBrowser(secure);
  for (const address of addressesOf(secure)) see(await answerOf(secure, address, html));
  see(await browser.signIn("alice"));
  see(await browser.open("/account"));
  const json = { username: "alice", password: "correct horse battery", mode: "cookie" };
  see(await secure.call("/login", { json, headers: { "sec-fetch-site": "same-origin" } }));
  assert.deepEqual([...lines.keys()].sort().slice(0, 2), ["__Host-keyturn", "__Host-keyturn-form"]);
  for (const line of lines.values()) {
    assert.match(line, /^__Host-[\w-]+=[\w.-]*; /);
    const attributes = line.split("; ").slice(1);
    for (const attribute of ["Path=/", "Secure", "HttpOnly", "SameSite=Lax"]) {
      assert.ok(attributes.includes(attribute), `${attribute}: ${line.split("=")[0]}`);
    }
    assert.ok((line.split(";")[0] ?? "").length <= 4096);
    const value = /=([^;]{16,})/.exec(line)?.[1];
    if (value !== undefined) assert.ok(!bodies.some((body) => body.includes(value)));
  }
});

test("ASVS 3.5.3: a GET of any address changes nothing, however signed in one is", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const before = await server.rows();
  for (const address of addressesOf(server)) {
    const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const headers = { cookie, "sec-fetch-site": "same-origin" };
    await answerOf(server, address, { ...headers, ...html });
    await answerOf(server, address, headers);
    assert.equal(await server.rows(), before, address);
  }
});

test("ASVS 3.5.6, 3.5.7: no answer is a script, whatever callback is asked for, but the one file that is the same for all", async () => {
  const browser = testBrowser(server);
  await browser.signIn("alice");
  const cookie = [...browser.cookies].map(([name, value]) => `${name}=${value}`).join("; ");
  for (const address of addressesOf(server)) {
    const reply = await answerOf(server, `${address}?callback=steal&jsonp=steal`, { cookie });
    assert.doesNotMatch(reply.headers.get("content-type") ?? "", /script/, address);
    assert.doesNotMatch(reply.text, /^\s*(?:\/\*\*\/)?\s*steal/, address);
  }
  const page = await browser.open("/sign-in?as=someone-else");
  const script = /<script src="([^"]+)"/.exec(page.text)?.[1] ?? "";
  const [mine, anybodys] = [await answerOf(server, script, { cookie }), await answerOf(server, script)];
  assert.match(mine.headers.get("content-type") ?? "", /^text\/javascript/);
  assert.equal(mine.text, anybodys.text);
});

test("ASVS 3.2.3: the script of the pages has no global, looks nothing up by a global name and writes no HTML", () => {
  const text = fs.readFileSync(path.join(import.meta.dirname, "pages", "passkeys.js"), "utf8");
  assert.match(text, /^(\/\*\*[\s\S]*?\*\/\s*)?\(\(\) => \{[\s\S]*\}\)\(\);\s*$/);
  assert.doesNotMatch(text, /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function/);
  assert.doesNotMatch(
    text,
    /\bwindow\.|document\.(?!querySelector|addEventListener|body\b|visibilityState)\w+/,
  );
});

test("ASVS 6.2.6, 6.2.7: every field for a password is of that type, tells password managers which it is, and hinders no paste", async () => {
  const browser = testBrowser(server);
  const stranger = testBrowser(server);
  await browser.signIn("alice");
  let found = 0;
  for (const address of new Set(server.app.pages.map((page) => page.path.replaceAll(/:\w+/g, "none")))) {
    for (const one of [browser, stranger]) {
      const { text } = await one.open(address);
      assert.doesNotMatch(text, /\son\w+=/, address);
      for (const [field] of text.matchAll(/<input\b[^>]*\bname="(?:\w*_)?password"[^>]*>/gi)) {
        found += 1;
        assert.match(field, /\btype="password"/, address);
        assert.match(field, /\bautocomplete="(?:current|new)-password"/, address);
        assert.doesNotMatch(field, /\b(?:maxlength|pattern|readonly)=/, address);
      }
    }
  }
  assert.ok(found >= 4, `${found} fields`);
});

test("ASVS 6.4.2: no column of a user and no page keeps or asks for a secret question or a hint", async () => {
  const [user] = await server.database.all<Record<string, unknown>>(raw("SELECT * FROM users"));
  const pages = server.app.pages.map((page) => page.path).join(" ");
  assert.ok(user !== undefined && "username" in user);
  assert.doesNotMatch(`${Object.keys(user).join(" ")} ${pages}`, /question|hint|answer/);
});

test("ASVS 6.5.3, 7.2.3: the operating system's generator, in one file, is the only source of randomness", () => {
  const others = [];
  for (const file of fs.globSync("**/*.ts", { cwd: import.meta.dirname })) {
    if (/\.test\.ts$|(^|\/)test-/.test(file)) continue;
    const text = fs.readFileSync(path.join(import.meta.dirname, file), "utf8");
    assert.doesNotMatch(text, /\bMath\.random\(/, file);
    const takes =
      /import \{[^}]*\b(?:randomBytes|randomInt|randomUUID|randomFillSync|getRandomValues)\b[^}]*\} from "node:crypto"/;
    if (takes.test(text) || /\bcrypto\.(?:random|getRandomValues)/.test(text)) others.push(file);
  }
  assert.deepEqual(others, ["primitives/random.ts"]);
});

test("ASVS 10.4.4, 10.6.1: there is no implicit flow and no password grant", async () => {
  const { json } = await server.call("/.well-known/openid-configuration");
  assert.deepEqual(json.response_types_supported, ["code"]);
  const grants = json.grant_types_supported as string[];
  assert.ok(grants.includes("authorization_code"));
  assert.ok(!grants.includes("password") && !grants.includes("implicit"));
});
