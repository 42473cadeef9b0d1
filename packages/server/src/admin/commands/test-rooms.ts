import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openRooms } from "../../app-rooms.ts";
import { parseSettings } from "../../config.ts";
import type { SettingsInput } from "../../config-schema.ts";
import { createLog } from "../../observability/log.ts";
import type { Clock } from "../../primitives/clock.ts";
import { randomBytes } from "../../primitives/random.ts";
import { openTestDatabase } from "../../storage/test-database.ts";

/** Rooms over a database of their own, of the engine that this run of the tests is about. */
export async function openTestRooms(options: { clock?: Clock; settings?: SettingsInput } = {}) {
  const data = mkdtempSync(join(tmpdir(), "keyturn-rooms-"));
  const stored = await openTestDatabase({ ...(options.clock && { clock: options.clock }) });
  const input: SettingsInput = {
    data,
    database: stored.url,
    secret: randomBytes(32).toString("base64url"),
    passwordMemoryKib: 7168,
    passwordPasses: 1,
    logLevel: "silent",
    ...options.settings,
  };
  const settings = parseSettings(input);
  const rooms = await openRooms(settings, {
    log: createLog(settings),
    migrate: false,
    ...(options.clock && { clock: options.clock }),
  });
  return {
    ...rooms,
    /** For the acts, which ask for the clock by name. */
    clock: rooms.database.clock,
    input,
    async close() {
      await rooms.close();
      await stored.close();
      rmSync(data, { recursive: true, force: true });
    },
  };
}

export type TestRooms = Awaited<ReturnType<typeof openTestRooms>>;
