import sql from "sql-template-tag";
import { openDatabase } from "./open.ts";

/** Another process on the same file, for sqlite.test.ts: it does what its arguments say and tells its parent. */
const [act, ...args] = process.argv.slice(2);

const tell = (message: string | number) =>
  new Promise<void>((resolve) => process.send?.(message, () => resolve()));

const acts: Record<string, () => Promise<void>> = {
  /** Inserts rows one by one from a number on, and tells each when it is committed. */
  async insert() {
    const [path, from, count] = args;
    const database = await openDatabase({ url: `sqlite:${path}` });
    for (let id = Number(from); id < Number(from) + Number(count); id++) {
      await database.batch([sql`INSERT INTO notes (id, body) VALUES (${id}, ${Buffer.alloc(100)})`]);
      await tell(id);
    }
    await tell("done");
    await database.close();
  },
  /** Writes and never closes. */
  async forget() {
    const database = await openDatabase({ url: `sqlite:${args[0]}` });
    await database.batch([sql`CREATE TABLE notes (id BIGINT)`]);
    await tell("written");
  },
  /** Tells why each of these paths cannot be opened, as a user without special rights. */
  async refusals() {
    if (process.getuid?.() === 0) {
      process.setgid?.(65534);
      process.setuid?.(65534);
    }
    for (const path of args) {
      const answer = await openDatabase({ url: `sqlite:${path}` }).then(
        () => "opened",
        (error: Error) => error.message,
      );
      await tell(answer);
    }
  },
};

await acts[act ?? ""]?.();
process.disconnect?.();
