import { exitCodes } from "../../packages/server/src/cli/outcome.ts";
import { buildProgram } from "../../packages/server/src/cli/program.ts";
import { code, pageHead, table } from "./markdown.ts";

type Program = ReturnType<typeof buildProgram>;

const exitMeanings = {
  done: "done",
  refused:
    "the command was understood and cannot be done: not found, taken, a finding of `doctor` that fails",
  wrongUsage: "the command or a setting is wrong",
  databaseUnavailable: "the database cannot be reached or used, or is of a newer Keyturn",
  interrupted: "ended by Ctrl-C at a question",
} as const satisfies Record<keyof typeof exitCodes, string>;

/** docs/commands.md: every command of the command line. */
export function commandsPage(): string {
  const program = buildProgram(() => Promise.resolve());
  const commands = leavesOf(program, []);
  const rows = commands.map(({ words, command }) => [
    `[${code(words)}](#${words.replaceAll(" ", "-")})`,
    command.description(),
  ]);
  const exits = (Object.keys(exitMeanings) as (keyof typeof exitMeanings)[]).map((name) => [
    String(exitCodes[name]),
    exitMeanings[name],
  ]);
  return `${pageHead("Commands", "packages/server/src/cli/syntax.ts")}
In a checkout of this repository write \`./keyturn\` in place of \`keyturn\`. Commands work on the database that the [settings](settings.md) name, beside running servers, which hear of a change within a second.

These options fit every command:

${optionTable(program)}
With \`--json\` the answer is one JSON document on the standard output, with times in ISO 8601; an error is \`{"error": …, "error_description": …}\` on the standard error stream. Without it the text is for people and may change between versions. A password or secret is never an argument, where every user of the machine could read it.

${table(["Exit code", "When"], exits)}
## All commands

${table(["Command", "What it does"], rows)}
${commands.map(section).join("\n")}`;
}

interface Leaf {
  readonly words: string;
  readonly command: Program;
}

function leavesOf(command: Program, above: readonly string[]): Leaf[] {
  const words = [...above, command.name()];
  if (command.commands.length === 0) return [{ words: words.join(" "), command }];
  return command.commands.flatMap((one) => leavesOf(one as Program, words));
}

function section({ words, command }: Leaf): string {
  const usage = `${words} ${command.usage()}`.replace("[options] ", "").trim();
  const arguments_ = command.registeredArguments
    .filter(({ description }) => description !== "")
    .map((one) => `- ${code(one.name())}: ${one.description}\n`)
    .join("");
  const options = command.options.length === 0 ? "" : `${optionTable(command)}\n`;
  return `## ${words}

${sentence(command.description())}

\`\`\`text
${usage.replace("[options]", "").trim()}
\`\`\`

${arguments_ === "" ? "" : `${arguments_}\n`}${options}Example: \`${exampleOf(words, command)}\`
`;
}

const sentence = (text: string) => `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;

function optionTable(command: Program): string {
  const rows = command.options.map(({ flags, description, mandatory, argChoices }) => {
    const choices = argChoices === undefined ? "" : ` (${argChoices.join(", ")})`;
    return [code(flags), `${description}${choices}${mandatory ? "; must be given" : ""}`];
  });
  return table(["Option", "What it does"], rows);
}

/** @throws Error for a command whose help has no example */
function exampleOf(words: string, command: Program): string {
  let help = "";
  command.configureOutput({ writeOut: (text) => (help += text), getOutHelpWidth: () => 1000 });
  command.outputHelp();
  const example = /\nExample:\n +(.+)\n/.exec(help)?.[1];
  if (example === undefined) throw new Error(`${words} has no example: give it one in cli/syntax.ts.`);
  return example;
}
