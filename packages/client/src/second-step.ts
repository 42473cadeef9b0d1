import type { Json } from "./replies.ts";
import type { Session } from "./session.ts";
import type { SessionKeys } from "./session-keys.ts";
import type { Door, Entered } from "./ways.ts";

export type SecondStepMethod = "totp" | "recovery_code" | "passkey";

/** How a sign-in goes on that wants a second factor. It knows its ticket and shows it to nobody. */
export interface SecondStep {
  /** By what: of who has a second factor. Empty where one has to be set up first. */
  readonly methods: readonly SecondStepMethod[];
  /** Whether the operator asks a second factor of who has none: then `enrol` and `confirm` are the way. */
  readonly mustEnrol: boolean;
  /**
   * Six digits of the authenticator app, or a recovery code.
   *
   * @throws KeyturnError `wrong_code` (ask again), `invalid_ticket` (begin anew), `too_many_attempts`.
   */
  code(code: string): Promise<Session>;
  /**
   * A passkey of the user's.
   *
   * @throws KeyturnError `no_passkey` when the browser gave none, `wrong_code`, `invalid_ticket`.
   */
  passkey(options?: { readonly signal?: AbortSignal }): Promise<Session>;
  /** The secret of an authenticator app, the same at every call: base 32, and as the address for a QR code. */
  enrol(): Promise<{ readonly secret: string; readonly uri: string }>;
  /** Switches the app on by its first code, and signs in. The recovery codes are shown to their owner this once. */
  confirm(code: string): Promise<{ readonly session: Session; readonly recoveryCodes: readonly string[] }>;
}

export type SecondStepDoor = Pick<Door, "ask" | "enter" | "parts">;

/** Puts on a refusal what leads on. Nothing of it is in the error's text, its cause, or what a log writes of it. */
export function addSecondStep(
  error: object,
  { door, body, keys }: { door: SecondStepDoor; body: Json; keys: SessionKeys },
): void {
  Object.defineProperty(error, "secondStep", { value: createSecondStep(door, body, keys) });
}

const methodsKnown: readonly unknown[] = ["totp", "recovery_code", "passkey"];

function createSecondStep(door: SecondStepDoor, body: Json, keys: SessionKeys): SecondStep {
  const { ticket, methods, error } = body;
  // By the key of the first step: the ticket is worth nothing to any other.
  const finish = (proof: Json): Promise<Entered> =>
    door.enter("/login/second-factor", { ticket, ...proof }, keys);
  const known = (Array.isArray(methods) ? methods : []).filter((one) => methodsKnown.includes(one));

  return {
    methods: known,
    mustEnrol: error === "second_factor_enrolment_required",
    code: async (code) => (await finish({ code })).session,
    async passkey({ signal } = {}) {
      const { askForPasskey } = await import("./credentials.ts");
      const options = await door.ask("/login/second-factor/challenge", { ticket }, ({ options }) => options);
      const passkey = await askForPasskey(door.parts.tools, { options, signal });
      return (await finish({ passkey })).session;
    },
    enrol: () =>
      door.ask("/login/enrolment", { ticket }, ({ secret, uri }) =>
        typeof secret === "string" && typeof uri === "string" ? { secret, uri } : undefined,
      ),
    async confirm(code) {
      const { session, body: answer } = await finish({ code });
      return { session, recoveryCodes: (answer.recoveryCodes ?? []) as string[] };
    },
  };
}
