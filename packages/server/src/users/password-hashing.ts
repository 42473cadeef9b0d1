import { availableParallelism } from "node:os";
import type { Settings } from "../config-schema.ts";
import { assert } from "../primitives/assert.ts";
import { equalBytes } from "../primitives/compare.ts";
import { limits } from "../primitives/limits.ts";
import { randomBytes } from "../primitives/random.ts";
import type { HashJob, HashReply } from "./hash-protocol.ts";
import { createHashThreads, type HashThreads } from "./hash-threads.ts";
import { formatArgon2id, parseHash, type StoredHash } from "./password-hashes.ts";
import { normalisePassword } from "./password-rules.ts";

const SALT_BYTES = 16;
const DIGEST_BYTES = 32;
/** bcrypt takes 72 bytes of a password and a NUL; it is blind to all that follows. */
const BCRYPT_BYTES_MAX = 72;
/** What is hashed in place of a text that can be nobody's password. */
const NOT_A_PASSWORD = "not a password";

export type Hashed = { readonly outcome: "hashed"; readonly hash: string } | { readonly outcome: "busy" };
export type Verified =
  /** `rehash`: the hash is foreign, or cheaper than the settings ask; replace it by one of `hash(password)`. */
  | { readonly outcome: "match"; readonly rehash: boolean }
  | { readonly outcome: "mismatch" }
  | { readonly outcome: "busy" };

export type Passwords = ReturnType<typeof createPasswords>;

interface Dependencies {
  readonly settings: Pick<Settings, "passwordMemoryKib" | "passwordPasses" | "passwordHashesConcurrentMax">;
  /** For tests that count the work. */
  readonly threads?: HashThreads;
}

/**
 * Hashes and verifies passwords by Argon2id (RFC 9106), on threads that nothing else waits for. "busy" means that
 * too many hashes wait already: answer 503 with Retry-After.
 *
 * A password is taken in Unicode's form NFC (see `normalisePassword`). One that nobody can have (too long, or not
 * Unicode) is a mismatch after the same work as any other.
 */
export function createPasswords({ settings, threads = defaultThreads(settings) }: Dependencies) {
  const current = {
    kind: "argon2id",
    memoryKib: settings.passwordMemoryKib,
    passes: settings.passwordPasses,
    lanes: 1,
  } as const;

  async function derive(job: HashJob): Promise<Exclude<HashReply, { failure: string }> | "busy"> {
    const reply = await threads.run(job);
    if (reply !== "busy" && "failure" in reply) {
      throw new Error(`A password hash (${job.kind}) could not be computed: ${reply.failure}`);
    }
    return reply;
  }

  function nothingJob(password: string): HashJob {
    const salt = new Uint8Array(SALT_BYTES);
    return { ...current, password, salt, digestBytes: DIGEST_BYTES };
  }

  function needsRehash(hash: StoredHash, password: string): boolean {
    // bcrypt has not seen what follows byte 72. A slip there would become the only password that still opens
    // the account, so such a hash stays until its user sets a new password.
    if (hash.kind === "bcrypt") return Buffer.byteLength(password) <= BCRYPT_BYTES_MAX;
    return hash.kind !== "argon2id" || hash.memoryKib < current.memoryKib || hash.passes < current.passes;
  }

  return {
    /**
     * A new hash in its stored form, a PHC string. The caller has checked the password (new-passwords.ts).
     * @throws when the hashing thread broke
     */
    async hash(password: string): Promise<Hashed> {
      const salt = Uint8Array.from(randomBytes(SALT_BYTES));
      const text = normalisePassword(password);
      assert(text !== undefined, "a password was hashed that nobody can have");
      const reply = await derive({ ...current, password: text, salt, digestBytes: DIGEST_BYTES });
      if (reply === "busy") return { outcome: "busy" };
      const digest = Uint8Array.from(digestOf(reply));
      return { outcome: "hashed", hash: formatArgon2id({ ...current, salt, digest }) };
    },

    /**
     * Whether the password is the one that the stored hash was made of, in a time that depends on the hash only.
     * @throws when the stored text is no hash, or the hashing thread broke
     */
    async verify(password: string, storedHash: string): Promise<Verified> {
      const parsed = parseHash(storedHash);
      if (!parsed.ok) throw new Error(`A stored password hash cannot be read: ${parsed.problem}`);
      const { hash } = parsed;
      const text = normalisePassword(password);
      const reply = await derive(verifyingJob(hash, text ?? NOT_A_PASSWORD));
      if (reply === "busy") return { outcome: "busy" };
      const equal =
        "match" in reply ? reply.match : hash.kind !== "bcrypt" && equalBytes(reply.digest, hash.digest);
      if (!equal || text === undefined) return { outcome: "mismatch" };
      return { outcome: "match", rehash: needsRehash(hash, text) };
    },

    /** The work of a verification with the current parameters, for a user who does not exist or has no password. */
    async verifyNothing(password: string): Promise<{ outcome: "mismatch" } | { outcome: "busy" }> {
      const reply = await derive(nothingJob(normalisePassword(password) ?? NOT_A_PASSWORD));
      return { outcome: reply === "busy" ? "busy" : "mismatch" };
    },

    /** Ends the threads. */
    close: () => threads.close(),
  };
}

function verifyingJob(hash: StoredHash, password: string): HashJob {
  if (hash.kind === "bcrypt") return { kind: "bcrypt", password, text: hash.text };
  const { digest, ...parameters } = hash;
  return { ...parameters, password, digestBytes: digest.length };
}

function digestOf(reply: Exclude<HashReply, { failure: string }>): Uint8Array {
  if (!("digest" in reply)) throw new Error("Bug in Keyturn: a derivation answered without a digest");
  return reply.digest;
}

function defaultThreads(settings: Dependencies["settings"]): HashThreads {
  const cores = Math.min(8, Math.max(1, availableParallelism() - 1));
  return createHashThreads({
    threadsMax: settings.passwordHashesConcurrentMax ?? cores,
    waitingMax: limits.passwordHashesWaitingMax,
  });
}
