import type { Command } from "commander";
import { example, type Run } from "./syntax.ts";

export function addMailSyntax(program: Command, run: Run): void {
  const mail = program.command("mail").description("mails to people");

  const test = mail
    .command("test <address>")
    .description("send a test mail with the settings as they are, and say what failed")
    .action((address: string, _options, command: Command) =>
      run(command, async (context) => (await import("./commands/mail.ts")).test(context, address)),
    );
  example(test, "keyturn mail test you@example.com");
}
