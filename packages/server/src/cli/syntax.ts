import type { Command } from "commander";
import type { Context } from "./open.ts";
import type { Outcome } from "./outcome.ts";

/** Runs a command's work with what every command is given. */
type Run = (command: Command, work: (context: Context) => Promise<Outcome | number>) => Promise<void>;

// Only the work that is asked for is loaded: `serve` starts faster so, and `--help` needs none.

const example = (command: Command, text: string) => command.addHelpText("after", `\nExample:\n  ${text}`);

export function addServerSyntax(program: Command, run: Run): void {
  example(
    program
      .command("serve")
      .description(
        "serve until a signal comes; makes the secret, keys, database and first user at the first start",
      )
      .option("--port <number>", "the port to listen on; 0 lets the system choose (default: 3000)")
      .option("--host <address>", "the address to listen on (default: 127.0.0.1)")
      .action((_options, command: Command) =>
        run(command, async (context) => {
          const { serve } = await import("./serve.ts");
          return serve(context);
        }),
      ),
    "keyturn serve --port 8080",
  );
}
