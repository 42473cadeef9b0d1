import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { type Id, isId } from "../primitives/id.ts";
import { limits } from "../primitives/limits.ts";
import type { Message, Transport } from "./transport.ts";

interface Dependencies {
  /** The data folder. */
  readonly data: string;
  /** The terminal. Not the log: that must hold no link. */
  readonly print: (text: string) => void;
}

export type OutboxFolder = ReturnType<typeof createOutboxFolder>;

/** In development nothing leaves: every mail is printed, and kept as a file with its link, for the page that shows them. */
export function createOutboxFolder({ data, print }: Dependencies) {
  const folder = path.join(data, "outbox");
  const fileOf = (id: Id) => path.join(folder, `${id}.json`);

  /** Ids are in the order of time. The newest first. */
  async function ids(): Promise<Id[]> {
    const names = await readdir(folder).catch(() => []);
    const found = names
      .filter((name) => name.endsWith(".json"))
      .map((name) => name.slice(0, -".json".length));
    return found.filter(isId).sort().reverse();
  }

  async function find(id: string): Promise<Message | undefined> {
    if (!isId(id)) return undefined;
    try {
      return JSON.parse(await readFile(fileOf(id), "utf8")) as Message;
    } catch {
      return undefined;
    }
  }

  async function keep(message: Message): Promise<void> {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const half = `${fileOf(message.id)}.half`;
    await writeFile(half, `${JSON.stringify(message, null, 2)}\n`, { mode: 0o600 });
    await rename(half, fileOf(message.id));
    for (const id of (await ids()).slice(limits.outboxMailsMax)) await rm(fileOf(id), { force: true });
  }

  const transport: Transport = {
    async deliver(message) {
      await keep(message);
      print(asPrinted(message));
      return { outcome: "sent" };
    },
    close: () => undefined,
  };

  return {
    transport,
    find,
    /** The newest first. */
    async list(): Promise<Message[]> {
      const found = await Promise.all((await ids()).slice(0, limits.outboxMailsMax).map(find));
      return found.filter((one) => one !== undefined);
    },
  };
}

/** Indented, so that it is seen where a mail ends. A terminal must not obey what somebody has chosen. */
function asPrinted({ to, subject, text }: Message): string {
  const lines = [`To: ${to}`, `Subject: ${subject}`, "", ...text.trimEnd().split("\n")];
  const safe = lines.map((line) =>
    `  │ ${line.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, "\ufffd")}`.trimEnd(),
  );
  return `\nA mail, printed instead of sent, for this is a server for development:\n${safe.join("\n")}\n\n`;
}
