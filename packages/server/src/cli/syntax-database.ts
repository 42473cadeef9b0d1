import type { Command } from "commander";
import { example, type Run } from "./syntax.ts";

/** What is done with the database as a whole. */
export function addDatabaseSyntax(program: Command, run: Run): void {
  const backup = program
    .command("backup <file>")
    .description("copy the database to a file while servers run on it; the master secret is not in the copy")
    .option("--force", "write over a file that is there")
    .action((file: string, options, command: Command) =>
      run(command, async (context) => (await import("./commands/backup.ts")).backup(context, file, options)),
    );
  example(backup, "keyturn backup /backup/keyturn-2026-11-22.db");

  const restore = program
    .command("restore <file>")
    .description("put a backup in the place of the database, which is kept aside; no server may run on it")
    .option("--force", "also when the database that is there can no longer be opened")
    .action((file: string, options, command: Command) =>
      run(command, async (context) => (await import("./commands/backup.ts")).restore(context, file, options)),
    );
  example(restore, "keyturn restore /backup/keyturn-2026-11-22.db");

  const move = program
    .command("move")
    .description(
      "copy the database to another one while servers run on it; writes pause at the end, for seconds",
    )
    .option("--to <address>", "sqlite:PATH or postgres://…, empty; - takes it from the standard input")
    .option("--pause-seconds <seconds>", "give up when writes would be paused for longer (default: 60)")
    .option("--rehearse", "do all of it, then let the old database go on")
    .option("--resume", "let a database go on that was moved away")
    .action((options, command: Command) =>
      run(command, async (context) => (await import("./commands/move.ts")).move(context, options)),
    );
  example(move, "keyturn move --to postgres://keyturn@db.internal/keyturn");
}
