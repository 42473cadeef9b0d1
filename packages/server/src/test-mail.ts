import { startTestServer, stoppedClock, type TestServerOptions } from "./test-server.ts";
import { type CodeLetterSent, testLetters, tokenOf } from "./users/mailing/test-letters.ts";

export const PASSWORD = "correct horse battery";
export const NEW_PASSWORD = "another horse battery";

/** A server whose outbox the test empties, and a clock that the test moves. */
export async function startMailServer(options: TestServerOptions = {}) {
  const clock = stoppedClock();
  const server = await startTestServer({ clock, holdsMail: true, ...options });
  const { secrets, database } = server;
  secrets.add(NEW_PASSWORD);
  const letters = testLetters({ database, compose: server.app.mailing.composeCodeLetter, secrets });
  const { call } = server;

  return {
    clock,
    server,
    letters,
    /** A user whose address is confirmed. */
    addConfirmed: (username: string, email = `${username}@example.com`) =>
      server.addUser(username, { email, emailVerified: true }),
    forget: (email: string) => call("/password/forgotten", { json: { email } }),
    reset: (token: string, more: Record<string, unknown> = {}) =>
      call("/password/reset", { json: { token, newPassword: NEW_PASSWORD, ...more } }),
    askSignIn: (email: string, headers = {}) => call("/login/email", { json: { email }, headers }),
    confirmSignIn: (json: Record<string, unknown>, headers = {}) =>
      call("/login/email/confirm", { json, headers }),
    confirm: (token: string, json: Record<string, unknown>) => call("/email/confirm", { token, json }),
    /** The token of the one reset letter that this address is sent. */
    async resetToken(email: string): Promise<string> {
      await call("/password/forgotten", { json: { email } });
      return tokenOf(await letters.one());
    },
    /** The one letter to sign in with, and the ticket of who asked for it. */
    async signInLetter(email: string): Promise<{ letter: CodeLetterSent; ticket: string; code: string }> {
      const { ticket } = (await call("/login/email", { json: { email } })).json;
      secrets.add(String(ticket));
      const letter = await letters.one();
      return { letter, ticket: String(ticket), code: letter.code ?? "" };
    },
  };
}

export type MailServer = Awaited<ReturnType<typeof startMailServer>>;

/** Six digits that are not these. */
export const otherDigits = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, "0");

/** What the server has its database do meanwhile, without the values. */
export async function statementsOf({ server }: MailServer, work: () => Promise<unknown>): Promise<string[]> {
  const { database } = server.app;
  const seen: string[] = [];
  const note = (statement: { sql: string }) => {
    if (/\b(mails|mail_codes|rate_limits|users|audit_events)\b/.test(statement.sql)) seen.push(statement.sql);
  };
  const original = { ...database };
  Object.assign(database, {
    one(statement: { sql: string }) {
      note(statement);
      return original.one(statement as never);
    },
    all(statement: { sql: string }) {
      note(statement);
      return original.all(statement as never);
    },
    batch(statements: readonly { sql: string }[]) {
      statements.forEach(note);
      return original.batch(statements as never);
    },
    transaction(inner: (tx: unknown) => Promise<unknown>) {
      return original.transaction((tx) =>
        inner({
          ...tx,
          run(statement: { sql: string }) {
            note(statement);
            return tx.run(statement as never);
          },
        }),
      );
    },
  });
  try {
    await work();
  } finally {
    Object.assign(database, original);
  }
  return seen;
}
