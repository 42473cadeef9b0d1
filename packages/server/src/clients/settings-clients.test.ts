import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { createApp } from "../app.ts";
import { loadSettings } from "../cli/settings.ts";
import { parseSettings, WrongSetting } from "../config.ts";
import type { SettingsInput } from "../config-schema.ts";
import { createLog } from "../observability/log.ts";
import { randomBytes } from "../primitives/random.ts";
import { openTestDatabase, type TestDatabase } from "../storage/test-database.ts";

const SECRET = "a-secret-from-the-environment-of-32";
const operator = { actor: "operator" } as const;
let place: TestDatabase;
let folder: string;
const secret = randomBytes(32).toString("base64url");
const lines: string[] = [];

before(async () => {
  place = await openTestDatabase();
  folder = mkdtempSync(join(tmpdir(), "keyturn-clients-"));
});
after(async () => {
  await place?.close();
  rmSync(folder, { recursive: true, force: true });
});

type SettingsClients = NonNullable<SettingsInput["clients"]>;

async function start<T>(
  clients: SettingsClients,
  work: (app: Awaited<ReturnType<typeof createApp>>) => Promise<T>,
): Promise<T> {
  const log = createLog({ logLevel: "info" }, { write: (line: string) => void lines.push(line) });
  const app = await createApp({ data: folder, database: place.url, secret, clients }, { log });
  try {
    return await work(app);
  } finally {
    await app.close();
  }
}

const shop = {
  id: "shop",
  name: "Web shop",
  type: "web",
  secret: SECRET,
  metadata: { redirect_uris: ["https://shop.example/cb"] },
} satisfies SettingsClients[number];

describe("clients of the settings", () => {
  test("are added at the start, changed when the settings change, and left alone when they do not", async () => {
    const added = await start([shop], async (app) => {
      const client = await app.clients.find("shop");
      assert.equal(client?.origin, "settings");
      assert.equal((await app.clients.authenticate("shop", SECRET))?.id, "shop");
      return client;
    });
    assert.deepEqual(await start([shop], (app) => app.clients.find("shop")), added);
    const changed = {
      ...shop,
      name: "Shop",
      secret: `${SECRET}-2`,
      metadata: { ...shop.metadata, scope: "openid" },
    };
    await start([changed], async (app) => {
      const client = await app.clients.find("shop");
      assert.deepEqual([client?.name, client?.metadata.scope], ["Shop", "openid"]);
      assert.equal(await app.clients.authenticate("shop", SECRET), undefined);
      assert.equal((await app.clients.authenticate("shop", `${SECRET}-2`))?.id, "shop");
      assert.equal((await app.clients.update("shop", { name: "x" }, operator)).outcome, "said_elsewhere");
      assert.equal((await app.clients.newSecret("shop", operator)).outcome, "said_elsewhere");
    });
    assert.ok(!lines.join("").includes(SECRET));
  });

  test("one that is not in the settings any more stays, and the log says so", async () => {
    lines.length = 0;
    await start([], async (app) => assert.equal((await app.clients.find("shop"))?.id, "shop"));
    assert.ok(lines.some((line) => line.includes("keyturn client remove") && line.includes('"shop"')));
    await start([], (app) => app.clients.remove("shop", operator));
  });

  test("nodes that start at once agree on one", async () => {
    const four = { ...shop, id: "four" };
    await Promise.all(
      [1, 2, 3, 4].map(() => start([four], async (app) => assert.ok(await app.clients.find("four")))),
    );
  });

  test("a wrong one stops the start with one line that names it, and nothing was changed", async () => {
    await start([], (app) =>
      app.clients.add(
        { id: "mine", name: "Mine", type: "spa", metadata: { redirect_uris: ["https://a.example/"] } },
        operator,
      ),
    );
    const { secret: _, ...bare } = shop;
    const wrong: [clients: unknown[], line: RegExp][] = [
      [
        [{ ...shop, metadata: { redirect_uris: ["http://shop.example/"] } }],
        /^clients\[0\] \(shop\): redirect_uris takes https, or http on this machine\.$/,
      ],
      [[{ ...shop, id: "No!" }], /^clients\[0\]\.id is wrong; it takes 1 to 64/],
      [[shop, { ...shop, name: "x" }], /^clients\[1\] \(shop\): is there twice\.$/],
      [[{ ...shop, id: "first-party" }], /this id is taken/],
      [
        [bare],
        /^clients\[0\] \(shop\): it authenticates by client_secret_basic; name the environment variable .* secretVariable\.$/,
      ],
      [
        [{ ...bare, secretVariable: "SHOP_SECRET" }],
        /^clients\[0\] \(shop\): the environment variable SHOP_SECRET is not set/,
      ],
      [[{ ...shop, type: "spa" }], /it authenticates by none, so it has no secret/],
      [[{ ...shop, secret: "short" }], /^clients\[0\]\.secret is wrong/],
      [[{ ...shop, metadata: { redirect_uri: "x" } }], /^clients\[0\]\.metadata\.redirect_uri is unknown\.$/],
      [
        [{ ...shop, metadata: { jwks_uri: "http://x.example/" } }],
        /^clients\[0\]\.metadata\.jwks_uri is wrong; it takes an https address/,
      ],
      [[{ ...shop, kind: "web" }], /^clients\[0\]\.kind is unknown\.$/],
      [
        [{ ...shop, id: "mine" }],
        /^clients\[0\] \(mine\): a client with this id was registered in another way/,
      ],
      [Array(201).fill(shop), /^clients is a wrong value \(not shown\)/],
      [["shop"], /^clients\[0\] is wrong/],
    ];
    for (const [clients, line] of wrong) {
      await assert.rejects(
        start(clients as SettingsClients, async () => assert.fail("it started")),
        (error: Error) => {
          assert.ok(error instanceof WrongSetting, error.stack);
          assert.match(error.message, line);
          assert.doesNotMatch(error.message, /\n|a-secret-from/);
          return true;
        },
      );
    }
    await start([], async (app) => assert.equal((await app.clients.find("mine"))?.origin, "operator"));
  });

  test("in a file the secret is named by its environment variable, and never stands there", async () => {
    const { secret: _, ...bare } = shop;
    const written = (clients: unknown) =>
      writeFileSync(join(folder, "keyturn.config.json"), JSON.stringify({ clients }));
    written([{ ...bare, secretVariable: "SHOP_SECRET" }]);
    const { input } = await loadSettings({ folder, environment: { SHOP_SECRET: SECRET } });
    assert.equal(input.clients?.[0]?.secret, SECRET);
    // A command beside the server needs no secret of a client.
    assert.equal((await loadSettings({ folder, environment: {} })).settings.clients[0]?.secret, undefined);
    written([shop]);
    await assert.rejects(loadSettings({ folder, environment: {} }), (error: Error) => {
      assert.match(error.message, /^keyturn\.config\.json: clients\[0\]\.secret stands in the file/);
      assert.doesNotMatch(error.message, /a-secret-from/);
      return true;
    });
    written([{ ...bare, secretVariable: "SHOP_SECRET", type: "nonsense" }]);
    await assert.rejects(
      loadSettings({ folder, environment: {} }),
      /keyturn\.config\.json: clients\[0\]\.type is wrong/,
    );
    written("shop");
    await assert.rejects(loadSettings({ folder, environment: {} }), /clients is a wrong value/);
  });

  test("registration that asks for a token needs one, long enough", () => {
    assert.throws(() => parseSettings({ dynamicRegistration: "token" }), /registrationToken is not set/);
    for (const registrationToken of ["short", "x".repeat(31), `${"x".repeat(40)} `]) {
      assert.throws(
        () => parseSettings({ dynamicRegistration: "token", registrationToken }),
        (error: Error) => {
          assert.match(error.message, /registrationToken is a wrong value \(not shown\)/);
          return true;
        },
      );
    }
    parseSettings({ dynamicRegistration: "token", registrationToken: "x".repeat(32) });
  });
});
