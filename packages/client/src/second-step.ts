import type { Door, Entered } from "./door.ts";
import type { SecondStep } from "./how.ts";
import type { Json } from "./replies.ts";
import type { SessionKeys } from "./session-keys.ts";

export type SecondStepDoor = Pick<Door, "ask" | "enter" | "parts">;

/** Puts on a refusal what leads on. Nothing of it is in the error's text, its cause, or what a log writes of it. */
export function addSecondStep(
  error: object,
  { door, body, keys }: { door: SecondStepDoor; body: Json; keys: SessionKeys },
): void {
  if (typeof body.ticket !== "string") return;
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
