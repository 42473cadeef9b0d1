import { createCipheriv, createDecipheriv, createSecretKey, hkdfSync, type KeyObject } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { WrongSetting } from "../config.ts";
import { settingNotes } from "../config-notes.ts";
import { assert } from "../primitives/assert.ts";
import { randomBytes } from "../primitives/random.ts";

/** What a key derived from the master secret is for. A new purpose is a new line here. */
export type KeyPurpose =
  | "attempt-key"
  | "rate-limit"
  | "session-cookie"
  | "dpop-nonce"
  | "form-token"
  | "passkey-challenge"
  | "mail-code"
  | "user-code";

/** The keys of the refresh token's wire format (DESIGN §3), of one master secret. */
export interface RefreshKeys {
  /** Derives `secret[g+1]` from `secret[g]`. */
  readonly chain: KeyObject;
  /** Authenticates the whole token. */
  readonly tag: KeyObject;
}

export interface Secrets {
  readonly refreshKeys: {
    /** The key id written into new tokens. */
    readonly currentId: number;
    /** One entry a master secret: the current one, and those being replaced. */
    readonly byId: ReadonlyMap<number, RefreshKeys>;
  };
  /**
   * The 256-bit key for one purpose.
   * @param id the key id of the master secret to derive from, for what was made before the secret was changed;
   *   it must be in `refreshKeys.byId`. Default: the current one.
   */
  key(purpose: KeyPurpose, id?: number): KeyObject;
  /** The keys for one purpose of every master secret, by their key ids. */
  keys(purpose: KeyPurpose): ReadonlyMap<number, KeyObject>;
  /**
   * Closes bytes for storage: AES-256-GCM (NIST SP 800-38D) with a random 96-bit nonce.
   * Layout: version 1 | key id 1 | nonce 12 | ciphertext | tag 16.
   * @param context what the bytes are and where they stand; they open in that context only
   */
  seal(plaintext: Uint8Array, context: string): Buffer;
  /** Undefined: closed by another master secret, for another context, or damaged. */
  unseal(sealed: Uint8Array, context: string): Buffer | undefined;
  /** Whether `sealed` says that the current master secret closed it; if not, seal again. */
  isSealedByCurrent(sealed: Uint8Array): boolean;
}

interface Derived {
  readonly id: number;
  readonly refresh: RefreshKeys;
  readonly sealing: KeyObject;
  readonly purposes: Readonly<Record<KeyPurpose, KeyObject>>;
}

const KEY_BYTES = 32;
const MASTERS_MAX = 8;
/** Room for `MASTERS_MAX` secrets of generous length. */
const SECRETS_CHARACTERS_MAX = 4096;
const SEAL_VERSION = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const HEADER_BYTES = 2 + NONCE_BYTES;

/** HKDF with SHA-256, RFC 5869 §2. */
export function hkdfSha256(input: {
  secret: Uint8Array;
  salt?: Uint8Array;
  info: string | Uint8Array;
  bytes: number;
}) {
  const { secret, salt = new Uint8Array(0), info, bytes } = input;
  return Buffer.from(hkdfSync("sha256", secret, salt, info, bytes));
}

/**
 * Derives every key that the server uses. A master secret is never used directly, so that one key more, or one
 * key leaked, says nothing about the others (RFC 5869 §3.2: `info` binds a key to its purpose).
 * @param masters at least 32 bytes each; the first is current, the others still open what they closed
 * @throws WrongSetting when two of them have the same one-byte id
 */
export function createSecrets(masters: readonly Uint8Array[]): Secrets {
  const derived = masters.map(derive);
  const current = derived[0];
  assert(current !== undefined, "createSecrets was given no master secret");
  const byId = new Map(derived.map((one) => [one.id, one]));
  if (byId.size < derived.length) {
    throw new WrongSetting(
      `${settingNotes.secret.variable}: two of the ${derived.length} secrets are the same, or happen to share the one-byte id that tokens carry. ` +
        "Remove the double, or make the new secret again.",
    );
  }
  return {
    refreshKeys: { currentId: current.id, byId: new Map(derived.map((one) => [one.id, one.refresh])) },
    key(purpose, id = current.id) {
      const one = byId.get(id);
      assert(one !== undefined, `no master secret has the key id ${id}`);
      return one.purposes[purpose];
    },
    keys: (purpose) => new Map(derived.map((one) => [one.id, one.purposes[purpose]])),
    seal: (plaintext, context) => seal(current, plaintext, context),
    unseal(sealed, context) {
      const one = sealed[0] === SEAL_VERSION ? byId.get(sealed[1] ?? -1) : undefined;
      return one && unseal(one, sealed, context);
    },
    isSealedByCurrent: (sealed) => sealed[0] === SEAL_VERSION && sealed[1] === current.id,
  };
}

function derive(master: Uint8Array): Derived {
  assert(master.byteLength >= KEY_BYTES, "a master secret is shorter than 32 bytes");
  const bytes = (purpose: string, length: number) =>
    hkdfSha256({ secret: master, info: `keyturn v1 ${purpose}`, bytes: length });
  const key = (purpose: string) => createSecretKey(bytes(purpose, KEY_BYTES));
  return {
    id: bytes("key-id", 1).readUInt8(),
    refresh: { chain: key("refresh-chain"), tag: key("refresh-tag") },
    sealing: key("sealing"),
    purposes: {
      "attempt-key": key("attempt-key"),
      "rate-limit": key("rate-limit"),
      "form-token": key("form-token"),
      "session-cookie": key("session-cookie"),
      "dpop-nonce": key("dpop-nonce"),
      "passkey-challenge": key("passkey-challenge"),
      "mail-code": key("mail-code"),
      "user-code": key("user-code"),
    },
  };
}

function seal(by: Derived, plaintext: Uint8Array, context: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", by.sealing, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(Buffer.from(context));
  const header = Buffer.concat([Buffer.from([SEAL_VERSION, by.id]), nonce]);
  return Buffer.concat([header, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function unseal(by: Derived, sealed: Uint8Array, context: string): Buffer | undefined {
  if (sealed.byteLength < HEADER_BYTES + TAG_BYTES) return undefined;
  const nonce = sealed.subarray(2, HEADER_BYTES);
  // Without authTagLength a shortened tag would be taken (NIST SP 800-38D Appendix C).
  const decipher = createDecipheriv("aes-256-gcm", by.sealing, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(Buffer.from(context));
  decipher.setAuthTag(sealed.subarray(sealed.byteLength - TAG_BYTES));
  const plaintext = decipher.update(sealed.subarray(HEADER_BYTES, sealed.byteLength - TAG_BYTES));
  try {
    return Buffer.concat([plaintext, decipher.final()]);
  } catch {
    return undefined;
  }
}

/**
 * The master secrets, the current one first: from the setting, else from the file, which is made (mode 0600)
 * by the first process that needs it.
 * @param setting base64url, several separated by commas
 * @throws WrongSetting naming what is wrong and what to do, never the secret
 */
export function loadMasterSecrets(setting: string | undefined, file: string): Buffer[] {
  if (setting !== undefined) return parseMasterSecrets(setting, settingNotes.secret.variable ?? "secret");
  const existing = readSecretFile(file);
  if (existing !== undefined) return parseMasterSecrets(existing, file);
  makeSecretFile(file);
  // Read back what stands there: another process may have been first, and then its secret is the one.
  const made = readSecretFile(file);
  if (made === undefined) throw fileProblem(file, "was removed while it was being made");
  return parseMasterSecrets(made, file);
}

function parseMasterSecrets(text: string, origin: string): Buffer[] {
  const { takes } = settingNotes.secret;
  const parts = text.trim().split(",", MASTERS_MAX + 1);
  if (parts.length > MASTERS_MAX) {
    throw new WrongSetting(
      `${origin}: more than ${MASTERS_MAX} secrets; keep the current one and those still in use.`,
    );
  }
  return parts.map((part, index) => {
    const encoded = part.trim();
    const which = parts.length === 1 ? "the secret" : `secret ${index + 1} of ${parts.length}`;
    // Buffer.from skips what it cannot read: a secret in another alphabet would silently be a shorter one.
    const bytes = Buffer.from(encoded, "base64url");
    if (bytes.toString("base64url") !== encoded) {
      throw new WrongSetting(`${origin}: ${which} is not base64url without padding. It takes ${takes}.`);
    }
    if (bytes.length < KEY_BYTES) {
      throw new WrongSetting(`${origin}: ${which} has ${bytes.length} bytes. It takes ${takes}.`);
    }
    return bytes;
  });
}

/** The content of the file; undefined when there is none. */
function readSecretFile(file: string): string | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw fileProblem(file, `cannot be opened (${codeOf(error)})`);
  }
  try {
    const status = fstatSync(descriptor);
    if (!status.isFile()) throw fileProblem(file, "is not a file");
    // Windows has no such bits: there the folder's access list decides.
    if (process.platform !== "win32" && (status.mode & 0o077) !== 0) {
      const mode = (status.mode & 0o777).toString(8).padStart(4, "0");
      throw fileProblem(file, `can be read by others (mode ${mode}). Run: chmod 600 ${file}`);
    }
    if (status.size > SECRETS_CHARACTERS_MAX)
      throw fileProblem(file, `is larger than ${SECRETS_CHARACTERS_MAX} bytes`);
    const content = Buffer.alloc(SECRETS_CHARACTERS_MAX);
    return content.toString("latin1", 0, readSync(descriptor, content));
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Writes a file of its own first, then links it to its name: a link, like O_EXCL, is refused when the name is
 * taken, and unlike a file opened with O_EXCL the name never shows a half-written secret, not even after a crash.
 * Flushed together with its folder: tokens signed under a secret that a power cut takes away would all be lost.
 */
function makeSecretFile(file: string): void {
  const folder = dirname(file);
  const draft = `${file}.${randomBytes(8).toString("hex")}.draft`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
    try {
      writeSync(descriptor, `${randomBytes(KEY_BYTES).toString("base64url")}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    try {
      linkSync(draft, file);
    } catch (error) {
      if (codeOf(error) !== "EEXIST") throw error;
    } finally {
      unlinkSync(draft);
    }
    syncFolder(folder);
  } catch (error) {
    throw fileProblem(file, `cannot be made (${codeOf(error)})`);
  }
}

function syncFolder(folder: string): void {
  if (process.platform === "win32") return;
  const descriptor = openSync(folder, "r");
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function fileProblem(file: string, problem: string): WrongSetting {
  return new WrongSetting(
    `The master secret's file ${file} ${problem}. Put that right, or set ${settingNotes.secret.variable}: ${settingNotes.secret.takes}.`,
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "unknown error";
}
