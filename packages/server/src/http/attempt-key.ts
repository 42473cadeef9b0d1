import { Refusal } from "../errors.ts";
import { limits } from "../primitives/limits.ts";

// RFC 9110 §5.3: a header that is sent twice arrives as one, joined by a comma. Two keys are not one.
const ATTEMPT_KEY = new RegExp(`^[ -+\\--~]{1,${limits.attemptKeyCharactersMax}}$`);

/** @throws Refusal invalid_request */
export function attemptKeyOf(request: { header(name: string): string | undefined }): string | undefined {
  const attemptKey = request.header("idempotency-key");
  if (attemptKey === undefined || ATTEMPT_KEY.test(attemptKey)) return attemptKey;
  throw new Refusal("invalid_request", {
    description: `Idempotency-Key takes 1 to ${limits.attemptKeyCharactersMax} ASCII characters without a comma, once.`,
  });
}
