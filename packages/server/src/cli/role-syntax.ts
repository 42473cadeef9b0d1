import type { Command } from "commander";
import { anyName, example, paged, type Run, repeated } from "./syntax.ts";

export function addRoleSyntax(program: Command, run: Run): void {
  const role = program.command("role").description("what users may do");
  const load = () => import("./commands/role.ts");
  const permission = [
    "--permission <name[@resource]>",
    "a permission, for one resource or all; may be repeated",
  ];
  const at = "count at this audience only, the id of a resource or a URL (default: everywhere)";

  const add = role
    .command("add <name>")
    .description("add a role")
    .option("--description <text>", "what it is for")
    .option(permission[0] as string, permission[1] as string, repeated)
    .action((name: string, options, command: Command) =>
      run(command, async (context) => (await load()).add(context, name, options)),
    );
  example(add, "keyturn role add editor --permission articles:write --permission orders:read@orders");

  const list = paged(role.command("list").description("the roles, in the order of their names")).action(
    (options, command: Command) => run(command, async (context) => (await load()).list(context, options)),
  );
  example(list, "keyturn role list");

  const set = role
    .command("set <name>")
    .description("change a role; permissions that are given take the place of those before")
    .option("--description <text>", "what it is for; empty takes it away")
    .option(permission[0] as string, permission[1] as string, repeated)
    .option("--none", "take all permissions away")
    .action((name: string, options, command: Command) =>
      run(command, async (context) => (await load()).set(context, name, options)),
    );
  example(set, "keyturn role set editor --permission articles:write");

  const acts = [
    ["show", "one role, and how many users have it"],
    ["remove", "delete a role, and take it from whoever has it"],
  ] as const;
  for (const [verb, about] of acts) {
    const act = role
      .command(`${verb} <name>`)
      .description(about)
      .action((name: string, _options, command: Command) =>
        run(command, async (context) => (await load())[verb](context, name)),
      );
    example(act, `keyturn role ${verb} editor`);
  }

  const grants = [
    ["grant", "give a user a role"],
    ["revoke", "take a role from a user"],
  ] as const;
  for (const [verb, about] of grants) {
    const act = role
      .command(verb)
      .argument("<user>", anyName)
      .argument("<role>", "the role")
      .description(about)
      .option("--resource <id>", at)
      .action((...[who, name, options, command]: [string, string, { resource?: string }, Command]) =>
        run(command, async (context) => (await load())[verb](context, { user: who, role: name, ...options })),
      );
    example(act, `keyturn role ${verb} alice editor --resource orders`);
  }
}
