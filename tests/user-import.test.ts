import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, test } from "node:test";
import { openTestDatabase } from "../packages/server/src/storage/test-database.ts";
import { keyturnScript, startKeyturn } from "./keyturn-process.ts";
import { createStage } from "./stage.ts";

/** `keyturn user import` as a process that is killed in the middle, beside a server that goes on. */

const stage = createStage();
after(() => stage.clear());

const USERS = 20_000;
const hash = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";

test("killed in the middle it has lost nobody who was counted, and the next run adds the others, each once", async () => {
  const place = await openTestDatabase({ empty: true });
  stage.onClear(() => place.close());
  const keyturn = await startKeyturn(stage, { database: place.url });
  const file = path.join(stage.folder(), "users.csv");
  const lines = Array.from(
    { length: USERS },
    (_, i) => `user${i},user${i}@example.com,editor,${hash},old-${i}`,
  );
  writeFileSync(file, `username,email,roles,password_hash,external_id\n${lines.join("\n")}\n`);
  const { environment } = keyturn;
  const killed = stage.start(keyturnScript, ["user", "import", file], { environment });
  let counted = 0;
  const countedUsers = async () => {
    const [row] = (await keyturn.cli(["user", "list", "--limit", "1"])).users;
    return row?.username === undefined ? 0 : Number(/^user(\d+)$/.exec(row.username)?.[1] ?? 0);
  };
  for (;;) {
    counted = Number(/([\d,]+) added/.exec(killed.stderr())?.[1]?.replaceAll(",", "") ?? 0);
    if (counted > 0 || (await countedUsers()) > 0) break;
  }
  await killed.kill();
  // The server was not held up.
  await keyturn.register("alice");
  const again = await keyturn.cli(["user", "import", file]);
  assert.equal(again.lines, USERS);
  assert.equal(again.added + again.present, USERS);
  assert.ok(again.present >= counted && again.present > 0, `${again.present} of ${counted}`);
  assert.equal(again.refused, 0);
  const third = await keyturn.cli(["user", "import", file]);
  assert.deepEqual([third.added, third.present], [0, USERS]);
});
