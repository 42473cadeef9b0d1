import type { RegistrationResponseJSON } from "@simplewebauthn/server";
import { insertEvent } from "../../audit/audit.sql.ts";
import type { Clock } from "../../primitives/clock.ts";
import { type Id, idToBytes, newId } from "../../primitives/id.ts";
import { limits } from "../../primitives/limits.ts";
import { randomBytes } from "../../primitives/random.ts";
import type { Database } from "../../storage/database.ts";
import { cleanText } from "../names.ts";
import type { User } from "../user.ts";
import type { Challenges, ChallengeUse } from "./challenges.ts";
import {
  both,
  challengeUnspent,
  insertHandle,
  insertPasskey,
  insertSpentChallenge,
  type PasskeyRow,
  passkeyIsNew,
  selectHandle,
  selectPasskeys,
} from "./factors.sql.ts";
import { type Passkey, passkeyFromRow } from "./passkey.ts";
import { createPasskeyCheck, createVerified } from "./passkey-check.ts";
import type { Proof } from "./proof.ts";

const HANDLE_BYTES = 32;

export type Passkeys = ReturnType<typeof createPasskeys>;

interface Dependencies {
  readonly database: Database;
  readonly clock: Clock;
  readonly challenges: Challenges;
  readonly settings: { readonly issuer: string; readonly siteName: string };
  readonly log: { info(detail: object, message: string): void };
}

/** Passkeys: Web Authentication Level 3, by @simplewebauthn/server. */
export function createPasskeys(dependencies: Dependencies) {
  const { database, clock, challenges, settings, log } = dependencies;
  const { origin, hostname: rpID } = new URL(settings.issuer);
  // Loaded when somebody comes with a passkey: most starts of the server and most requests never need it.
  const library = () => import("@simplewebauthn/server");
  const describe = ({ credentialId, transports }: Passkey) => ({
    id: credentialId,
    transports: [...transports],
  });

  async function list(userId: Id): Promise<Passkey[]> {
    return (await database.all<PasskeyRow>(selectPasskeys(userId))).map(passkeyFromRow);
  }

  async function handleOf(userId: Id): Promise<Buffer> {
    await database.batch([insertHandle(userId, Buffer.from(randomBytes(HANDLE_BYTES)))]);
    const row = await database.one<{ handle: Uint8Array }>(selectHandle(userId));
    return Buffer.from(row?.handle ?? []);
  }

  const verified = createVerified(log);

  return {
    list,

    /** What `navigator.credentials.create` is asked for. */
    async creationOptions(user: User, owner: string): Promise<object> {
      const { generateRegistrationOptions } = await library();
      const challenge = challenges.issue({ purpose: "register", owner });
      return generateRegistrationOptions({
        rpName: settings.siteName,
        rpID,
        userName: user.username,
        userDisplayName: user.name ?? user.username,
        userID: new Uint8Array(await handleOf(user.id)),
        challenge: new Uint8Array(Buffer.from(challenge, "base64url")),
        attestationType: "none",
        excludeCredentials: (await list(user.id)).map(describe),
        authenticatorSelection: {
          residentKey: "required",
          requireResidentKey: true,
          userVerification: "required",
        },
      });
    },

    /** What `navigator.credentials.get` is asked for; of any passkey unless a user is named. */
    async requestOptions(use: ChallengeUse, userId?: Id): Promise<object> {
      const { generateAuthenticationOptions } = await library();
      return generateAuthenticationOptions({
        rpID,
        challenge: new Uint8Array(Buffer.from(challenges.issue(use), "base64url")),
        userVerification: "required",
        ...(userId !== undefined && { allowCredentials: (await list(userId)).map(describe) }),
      });
    },

    /** What adds the passkey that an answer to `creationOptions` tells of; undefined for an answer that is not good. */
    async register(
      user: User,
      given: { response: unknown; owner: string; name: string; ip: string | undefined },
    ): Promise<Pick<Proof, "onlyIf" | "spend"> | undefined> {
      const { verifyRegistrationResponse } = await library();
      let challenge = "";
      const result = await verified("register", () =>
        verifyRegistrationResponse({
          response: given.response as RegistrationResponseJSON,
          expectedChallenge(text) {
            challenge = text;
            return challenges.isGood(text, { purpose: "register", owner: given.owner });
          },
          expectedOrigin: origin,
          expectedRPID: rpID,
          requireUserVerification: true,
        }),
      );
      if (result?.verified !== true) return undefined;
      const { credential, credentialDeviceType, credentialBackedUp } = result.registrationInfo;
      const at = clock.now();
      const isSyncable = credentialDeviceType === "multiDevice";
      const id = newId(at);
      const row: PasskeyRow = {
        id: idToBytes(id),
        user_id: idToBytes(user.id),
        credential_id: Buffer.from(credential.id, "base64url"),
        public_key: credential.publicKey,
        counter: credential.counter,
        transports: (credential.transports ?? [])
          .filter((one) => /^[a-z-]{1,20}$/.test(one))
          .slice(0, 10)
          .join(" "),
        backup_eligible: isSyncable ? 1 : 0,
        backed_up: credentialBackedUp ? 1 : 0,
        name: cleanText(given.name, limits.passkeyNameCharactersMax) ?? "Passkey",
        created_at: at,
        used_at: null,
      };
      if (row.credential_id.byteLength > limits.credentialIdBytesMax) return undefined;
      const { digest, expiresAt } = challenges.spending(challenge);
      const detail = { passkey: id, syncable: isSyncable };
      const event = { type: "passkey.added", actor: "user", userId: user.id, ip: given.ip, detail } as const;
      return {
        onlyIf: both(challengeUnspent(digest), passkeyIsNew(row, limits.passkeysPerUserMax)),
        spend: (onlyIf) => [
          insertPasskey(row, onlyIf),
          insertSpentChallenge({ digest, expiresAt, onlyIf }),
          insertEvent({ id: newId(at), at, event, onlyIf }),
        ],
      };
    },

    check: createPasskeyCheck(dependencies),
  };
}
