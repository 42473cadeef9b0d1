import assert from "node:assert/strict";
import { after, before, describe, type TestContext, test } from "node:test";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import {
  call,
  type KeyturnServer,
  keyturnScript,
  startExample,
  startKeyturn,
  type Tokens,
} from "./keyturn-process.ts";
import { createStage } from "./stage.ts";

const stage = createStage();
after(() => stage.clear());

let keyturn: KeyturnServer;
/** Three guards in three processes, each by another adapter, all following the feed of one server. */
let apis: string[];
let owner: Tokens;

before(async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  keyturn = await startKeyturn(stage, { database: place.url });
  const environment = { KEYTURN_ISSUER: keyturn.issuer, ...(await keyturn.addResource("api")) };
  const files = ["express/app.ts", "fastify/app.ts", "hono/app.ts"];
  const started = await Promise.all(files.map((file) => startExample(stage, file, environment)));
  apis = started.map(({ url }) => `${url}/protected`);
  await keyturn.register("alice");
  owner = await keyturn.login("alice", "the owner's");
});

const statusAt = async (api: string, token: string) => (await call(api, { token })).status;

/** Signs in, has all guards let the session in, revokes it; how long each guard then still let it in. */
async function measure(revoke: (sessionId: string) => Promise<void>): Promise<number[]> {
  const { accessToken, sessionId } = await keyturn.login("alice");
  for (const api of apis) assert.equal(await statusAt(api, accessToken), 200);
  await revoke(sessionId);
  const revokedAt = performance.now();
  return Promise.all(
    apis.map(async (api) => {
      for (;;) {
        const askedAt = performance.now();
        const status = await statusAt(api, accessToken);
        if (status === 401) return askedAt - revokedAt;
        assert.equal(status, 200);
        assert.ok(performance.now() - revokedAt < 1000, `${api} lets a revoked session in after 1 s`);
      }
    }),
  );
}

function report(context: TestContext, milliseconds: readonly number[]): void {
  const sorted = milliseconds.toSorted((a, b) => a - b);
  const [middle, last] = [sorted[Math.floor(sorted.length / 2)] ?? 0, sorted.at(-1) ?? 0];
  const figures = `p50 ${middle.toFixed(0)} ms, max ${last.toFixed(0)} ms of ${sorted.length}`;
  context.diagnostic(figures);
  console.log(`${context.name}: ${figures}`);
  assert.ok(last < 1000, figures);
}

describe("three guards in three processes refuse a session within a second", () => {
  test("after DELETE /sessions/:id", async (context) => {
    const all: number[] = [];
    for (let round = 0; round < 8; round++) {
      all.push(
        ...(await measure(async (sessionId) => {
          const { accessToken: token } = owner;
          const reply = await keyturn.call(`/sessions/${sessionId}`, { method: "DELETE", token });
          assert.equal(reply.status, 204);
        })),
      );
    }
    report(context, all);
  });

  test("after keyturn session revoke in another process", async (context) => {
    const all: number[] = [];
    for (let round = 0; round < 4; round++) {
      all.push(
        ...(await measure(async (sessionId) => {
          const { environment } = keyturn;
          const revoking = stage.start(keyturnScript, ["session", "revoke", sessionId], { environment });
          // From its answer on: by then it must be true.
          await revoking.says(/is ended/);
        })),
      );
    }
    report(context, all);
  });

  test("after signing out everywhere, all sessions of the user at once", async (context) => {
    await keyturn.register("bob");
    const sessions: Tokens[] = [];
    for (let device = 0; device < 5; device++) sessions.push(await keyturn.login("bob", `device ${device}`));
    const answers = () =>
      Promise.all(sessions.flatMap(({ accessToken }) => apis.map((api) => statusAt(api, accessToken))));
    assert.deepEqual(new Set(await answers()), new Set([200]));
    const { accessToken: token } = await keyturn.login("bob");
    const reply = await keyturn.call("/logout", { json: { everywhere: true }, token });
    assert.equal(reply.status, 204);
    const revokedAt = performance.now();
    while ((await answers()).some((status) => status !== 401)) {
      assert.ok(performance.now() - revokedAt < 1000, "a session lives on after signing out everywhere");
    }
    report(context, [performance.now() - revokedAt]);
    assert.equal(await statusAt(apis[0] ?? "", owner.accessToken), 200, "somebody else's session goes on");
  });
});
