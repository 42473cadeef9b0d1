import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { readable, testBrowser } from "../pages/test-browser.ts";
import { assertRefusal, startTestServer, type TestServer } from "../test-server.ts";

const STOLEN = "a stolen horse battery";
const FRESH = "a fresh horse battery";

const sha1 = createHash("sha1").update(STOLEN).digest("hex").toUpperCase();
let isDown = false;
const paths: string[] = [];
const service = createServer((request, response) => {
  paths.push(request.url ?? "");
  response.writeHead(isDown ? 503 : 200).end(`${sha1.slice(5)}:7\r\n`);
});
let server: TestServer;

before(async () => {
  await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
  const host = `127.0.0.1:${(service.address() as AddressInfo).port}`;
  server = await startTestServer({
    settings: {
      breachedPasswords: `http://${host}/range/`,
      privateHosts: [host],
      passwordCharactersMin: 15,
      siteName: "The Whole Book Shop",
    },
  });
  server.secrets.add(STOLEN).add(FRESH);
});
after(async () => {
  await server.close();
  service.closeAllConnections();
  service.close();
});

let names = 0;
const register = (password: string) =>
  server.call("/register", { json: { username: `r${++names}`, password } });

test("the answer names the rule that a new password breaks", async () => {
  const cases: [string, RegExp][] = [
    ["fourteen chars", /at least 15 characters/],
    ["TheWholeBookShop", /the name of this site/],
    ["1234567890123456", /guessed first/],
    [STOLEN, /stolen from some other site/],
  ];
  for (const [password, says] of cases) {
    const reply = await register(password);
    assertRefusal(reply, { status: 422, error: "weak_password" });
    assert.match(String(reply.json.error_description), says);
  }
});

test("a stolen password is refused on the page too; the service is told five digits", async () => {
  paths.length = 0;
  const browser = testBrowser(server);
  const form = await browser.open("/sign-up");
  assert.match(readable(form), /At least 15 characters/);
  const reply = await browser.submit(form, "/sign-up", { username: "page", password: STOLEN });
  assert.equal(reply.status, 422);
  assert.match(
    readable(reply),
    /stolen from some other site and is known to those who guess\. Choose another/,
  );
  assert.deepEqual(paths, [`/range/${sha1.slice(0, 5)}`]);
});

test("while the service is down passwords are taken on the local list alone, and that is counted", async () => {
  assert.equal((await register(FRESH)).status, 201);
  isDown = true;
  try {
    assert.equal((await register(STOLEN)).status, 201);
    assertRefusal(await register("1234567890123456"), { status: 422, error: "weak_password" });
  } finally {
    isDown = false;
  }
  const { text } = await server.call("/metrics");
  assert.match(text, /^keyturn_breach_lookups_total\{outcome="failed"\} 1$/m);
  assert.match(text, /^keyturn_breach_lookups_total\{outcome="absent"\} 1$/m);
  assert.match(text, /^keyturn_breach_lookups_total\{outcome="found"\} 2$/m);
  assert.match(server.lines.join(""), /Breached passwords could not be looked up/);
});

test("nobody's sign-in is looked up or held to what new passwords must keep to", async () => {
  paths.length = 0;
  await server.app.users.add(
    { username: "imported", passwordHash: await hashOf("qwerty123") },
    { actor: "operator" },
  );
  const reply = await server.call("/login", { json: { username: "imported", password: "qwerty123" } });
  assert.equal(reply.status, 200, reply.text);
  assert.deepEqual(paths, []);
});

async function hashOf(password: string): Promise<string> {
  const hashed = await server.app.passwords.hash(password);
  assert.ok(hashed.outcome === "hashed");
  return hashed.hash;
}
