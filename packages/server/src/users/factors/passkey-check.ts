import type { AuthenticationResponseJSON } from "@simplewebauthn/server";
import { auditStatement } from "../../audit/audit.ts";
import type { Clock } from "../../primitives/clock.ts";
import type { Id } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import type { Database } from "../../storage/database.ts";
import type { Challenges, ChallengeUse } from "./challenges.ts";
import {
  both,
  challengeUnspent,
  insertSpentChallenge,
  type PasskeyRow,
  passkeyUnused,
  selectHandle,
  selectPasskeyByCredential,
  updatePasskeyUsed,
} from "./factors.sql.ts";
import { amrOf, type Passkey, passkeyFromRow } from "./passkey.ts";
import type { Proof } from "./proof.ts";

export type PasskeyProof = Proof & { readonly userId: Id; readonly passkey: Passkey };

interface Log {
  info(detail: object, message: string): void;
}

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly challenges: Challenges;
  readonly settings: { readonly issuer: string };
  readonly log: Log;
}

/** What is not a passkey's good answer throws in the library; here it is a refusal, told to the log. */
export function createVerified(log: Log) {
  return async function verified<T>(what: string, verify: () => Promise<T>): Promise<T | undefined> {
    try {
      return await verify();
    } catch (error) {
      log.info(
        { why: error instanceof Error ? error.name : "unknown", what },
        "A passkey's answer was refused",
      );
      return undefined;
    }
  };
}

/** What a browser answers for a passkey, judged: WebAuthn Level 3 §7.2. */
export function createPasskeyCheck({ database, clock, challenges, settings, log }: Dependencies) {
  const { origin, hostname: rpID } = new URL(settings.issuer);
  const verified = createVerified(log);

  /** WebAuthn §7.2, step 6: a user handle, where there is one, must be that of the credential's owner. */
  async function isHandleOf(answer: AuthenticationResponseJSON, userId: Id): Promise<boolean> {
    const { userHandle } = answer.response;
    if (userHandle === undefined || userHandle === null) return true;
    const row = await database.one<{ handle: Uint8Array }>(selectHandle(userId));
    return row !== undefined && Buffer.from(row.handle).toString("base64url") === userHandle;
  }

  /** The proof that an answer to `requestOptions` is; of this user only, when one is named. */
  return async function check(
    response: unknown,
    given: { use: ChallengeUse; userId?: Id; ip: string | undefined },
  ): Promise<PasskeyProof | undefined> {
    const answer = response as AuthenticationResponseJSON;
    const { use, userId, ip } = given;
    if (typeof answer?.id !== "string" || answer.id.length > limits.credentialIdBytesMax * 2)
      return undefined;
    const row = await database.one<PasskeyRow>(
      selectPasskeyByCredential(Buffer.from(answer.id, "base64url")),
    );
    if (row === undefined) return undefined;
    const passkey = passkeyFromRow(row);
    if (passkey.credentialId !== answer.id || (userId !== undefined && passkey.userId !== userId))
      return undefined;
    const { verifyAuthenticationResponse } = await import("@simplewebauthn/server");
    let challenge = "";
    const result = await verified("sign in", async () =>
      verifyAuthenticationResponse({
        response: answer,
        expectedChallenge(text) {
          challenge = text;
          return challenges.isGood(text, use);
        },
        expectedOrigin: origin,
        expectedRPID: rpID,
        // The counter is judged below, where it can be told of.
        credential: { id: passkey.credentialId, publicKey: new Uint8Array(row.public_key), counter: 0 },
        requireUserVerification: true,
      }),
    );
    if (result?.verified !== true || !(await isHandleOf(answer, passkey.userId))) return undefined;
    const { newCounter, credentialBackedUp } = result.authenticationInfo;
    const at = clock.now();
    // WebAuthn §7.2, step 22: "This is a signal, but not proof, that the authenticator may be cloned."
    if ((newCounter > 0 || row.counter > 0) && newCounter <= row.counter) {
      const detail = { passkey: passkey.id, counter: newCounter, before: row.counter };
      const event = {
        type: "passkey.counter_went_back",
        actor: "user",
        userId: passkey.userId,
        ip,
        detail,
      } as const;
      await database.batch([auditStatement(at, event)]);
      return undefined;
    }
    const { digest, expiresAt } = challenges.spending(challenge);
    return {
      userId: passkey.userId,
      passkey,
      amr: amrOf(passkey.isSyncable),
      onlyIf: both(challengeUnspent(digest), passkeyUnused(row)),
      spend: (onlyIf) => [
        insertSpentChallenge({ digest, expiresAt, onlyIf }),
        updatePasskeyUsed({
          id: row.id,
          before: row.counter,
          counter: newCounter,
          backedUp: credentialBackedUp,
          at,
          onlyIf,
        }),
      ],
    };
  };
}
