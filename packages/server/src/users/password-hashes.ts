/*
 * Stored password hashes, as text. Ours are PHC strings (github.com/P-H-C/phc-string-format):
 *
 *     $argon2id$v=19$m=19456,t=2,p=1$salt$hash
 *
 * The others are what users bring from the system they come from. Each is replaced by ours at the next sign-in.
 */

/** A hash that a thread can compute again from a password and these facts alone. */
export type DerivedHash =
  | {
      readonly kind: "argon2id" | "argon2i" | "argon2d";
      readonly memoryKib: number;
      readonly passes: number;
      readonly lanes: number;
      readonly salt: Uint8Array<ArrayBuffer>;
      readonly digest: Uint8Array<ArrayBuffer>;
    }
  | {
      readonly kind: "scrypt";
      /** CPU and memory cost N = 2^log2Cost, block size r, parallelization p: RFC 7914 §2. */
      readonly log2Cost: number;
      readonly blockSize: number;
      readonly lanes: number;
      readonly salt: Uint8Array<ArrayBuffer>;
      readonly digest: Uint8Array<ArrayBuffer>;
    };

/** bcrypt is verified as a whole: its text has a base64 of its own. */
export type StoredHash =
  | DerivedHash
  | { readonly kind: "bcrypt"; readonly log2Cost: number; readonly text: string };

export type ParsedHash =
  | { readonly ok: true; readonly hash: StoredHash }
  | { readonly ok: false; readonly problem: string };

export type RecognisedHash =
  | { readonly ok: true; readonly kind: StoredHash["kind"]; readonly cost: HashCost }
  | { readonly ok: false; readonly problem: string };

export interface HashCost {
  readonly memoryKib: number;
  /** KiB written or read while hashing: proportional to the time on one thread. */
  readonly workKib: number;
}

const TEXT_MAX = 512;
const MEMORY_KIB_MAX = 1024 * 1024;
/** About two seconds of one thread: what an import may ask of every later sign-in. */
const WORK_KIB_MAX = 4 * 1024 * 1024;
const BCRYPT_LOG2_COST_MAX = 15;
const SALT_BYTES = { min: 8, max: 64 };
const DIGEST_BYTES = { min: 16, max: 64 };

const ARGON2 =
  /^\$(argon2id|argon2i|argon2d)\$(v=\d{1,3}\$)?m=(\d{1,10}),t=(\d{1,10}),p=(\d{1,8})\$([^$]*)\$([^$]*)$/;
const SCRYPT = /^\$scrypt\$ln=(\d{1,3}),r=(\d{1,8}),p=(\d{1,8})\$([^$]*)\$([^$]*)$/;
const BCRYPT = /^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$/;

/** Our own text form of an Argon2id hash. */
export function formatArgon2id(
  hash: Extract<DerivedHash, { kind: "argon2id" | "argon2i" | "argon2d" }>,
): string {
  const { memoryKib, passes, lanes, salt, digest } = hash;
  return `$argon2id$v=19$m=${memoryKib},t=${passes},p=${lanes}$${toB64(salt)}$${toB64(digest)}`;
}

/**
 * Whether this server can verify such a hash, at a price it is willing to pay at every sign-in: at most 1 GiB and
 * about two seconds of one thread, so that an imported hash cannot stall the others.
 */
export function recogniseHash(text: string): RecognisedHash {
  const parsed = parseHash(text);
  if (!parsed.ok) return parsed;
  const { hash } = parsed;
  if (hash.kind === "bcrypt" && hash.log2Cost > BCRYPT_LOG2_COST_MAX) {
    return no(
      `This bcrypt hash has cost ${hash.log2Cost}; at most ${BCRYPT_LOG2_COST_MAX} is taken. Let its user set a new password.`,
    );
  }
  const cost = costOf(hash);
  if (cost.memoryKib > MEMORY_KIB_MAX || cost.workKib > WORK_KIB_MAX) {
    return no(
      `This ${hash.kind} hash takes ${Math.ceil(cost.memoryKib / 1024)} MiB of memory and ${Math.ceil(cost.workKib / 1024)} MiB of work; at most ${MEMORY_KIB_MAX / 1024} and ${WORK_KIB_MAX / 1024} are taken. Let its user set a new password.`,
    );
  }
  return { ok: true, kind: hash.kind, cost };
}

/** The parts of a stored hash. Well-formed ones only; what they cost is not judged here: see `recogniseHash`. */
export function parseHash(text: string): ParsedHash {
  if (typeof text !== "string" || text.length > TEXT_MAX)
    return no("A password hash is a text of at most 512 characters.");
  if (text.startsWith("$argon2")) return parseArgon2(text);
  if (text.startsWith("$scrypt$")) return parseScrypt(text);
  if (text.startsWith("$2")) return parseBcrypt(text);
  return no(
    "This is no password hash that Keyturn knows. It takes $argon2id$, $argon2i$, $argon2d$ and $scrypt$ (PHC strings) and bcrypt ($2a$, $2b$, $2y$).",
  );
}

function parseArgon2(text: string): ParsedHash {
  const [, kind, version, m, t, p, salt64, digest64] = ARGON2.exec(text) ?? [];
  if (kind === undefined) {
    return no("This argon2 hash is not of the form $argon2id$v=19$m=…,t=…,p=…$salt$hash.");
  }
  // RFC 9106 §3.1: version 0x13. The one before has a weaker second pass, and node:crypto does not compute it.
  if (version !== "v=19$")
    return no("This argon2 hash is of another version than v=19. Let its user set a new password.");
  const [memoryKib, passes, lanes] = [Number(m), Number(t), Number(p)];
  // RFC 9106 §3.1: "Memory size m MUST be an integer number of kibibytes from 8*p to 2^(32)-1."
  if (lanes < 1 || lanes > 255 || passes < 1 || memoryKib < 8 * lanes || memoryKib > 0xffff_ffff) {
    return no(
      "This argon2 hash has parameters outside RFC 9106 §3.1: t from 1, p from 1 to 255, m from 8 times p.",
    );
  }
  const bytes = parseBytes(salt64, digest64);
  if (bytes === undefined) return no(BYTES_PROBLEM);
  return {
    ok: true,
    hash: { kind: kind as "argon2id" | "argon2i" | "argon2d", memoryKib, passes, lanes, ...bytes },
  };
}

function parseScrypt(text: string): ParsedHash {
  const [, ln, r, p, salt64, digest64] = SCRYPT.exec(text) ?? [];
  if (ln === undefined) return no("This scrypt hash is not of the form $scrypt$ln=…,r=…,p=…$salt$hash.");
  const [log2Cost, blockSize, lanes] = [Number(ln), Number(r), Number(p)];
  // RFC 7914 §2: N > 1 and less than 2^(128 * r / 8); p at most (2^32-1) * 32 / (128 * r).
  if (
    log2Cost < 1 ||
    log2Cost > 31 ||
    blockSize < 1 ||
    log2Cost >= 16 * blockSize ||
    lanes < 1 ||
    lanes * blockSize >= 2 ** 30
  ) {
    return no("This scrypt hash has parameters outside RFC 7914 §2.");
  }
  const bytes = parseBytes(salt64, digest64);
  if (bytes === undefined) return no(BYTES_PROBLEM);
  return { ok: true, hash: { kind: "scrypt", log2Cost, blockSize, lanes, ...bytes } };
}

function parseBcrypt(text: string): ParsedHash {
  const log2Cost = Number(BCRYPT.exec(text)?.[1] ?? Number.NaN);
  if (!(log2Cost >= 4 && log2Cost <= 31)) {
    return no(
      "This bcrypt hash is not of the form $2b$ (or $2a$, $2y$), two digits of cost from 04 to 31, $ and 53 characters.",
    );
  }
  return { ok: true, hash: { kind: "bcrypt", log2Cost, text } };
}

function costOf(hash: StoredHash): HashCost {
  switch (hash.kind) {
    case "argon2id":
    case "argon2i":
    case "argon2d":
      return { memoryKib: hash.memoryKib, workKib: hash.memoryKib * hash.passes };
    case "scrypt": {
      const laneKib = (128 * hash.blockSize * 2 ** hash.log2Cost) / 1024;
      return { memoryKib: Math.ceil(laneKib), workKib: Math.ceil(laneKib * hash.lanes * 2) };
    }
    case "bcrypt":
      // 4 KiB of state, gone through about 2^cost times twice; its speed is bounded by the cost alone.
      return { memoryKib: 4, workKib: 4 * 2 ** hash.log2Cost };
  }
}

const BYTES_PROBLEM = `The salt of this hash must have ${SALT_BYTES.min} to ${SALT_BYTES.max} bytes and the hash ${DIGEST_BYTES.min} to ${DIGEST_BYTES.max}, both in base64 without padding.`;

function parseBytes(salt64: string | undefined, digest64: string | undefined) {
  const salt = fromB64(salt64 ?? "");
  const digest = fromB64(digest64 ?? "");
  if (salt === undefined || salt.length < SALT_BYTES.min || salt.length > SALT_BYTES.max) return undefined;
  if (digest === undefined || digest.length < DIGEST_BYTES.min || digest.length > DIGEST_BYTES.max)
    return undefined;
  return { salt, digest };
}

/** "B64" of the PHC string format: standard base64 without padding. */
function toB64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64").replaceAll("=", "");
}

function fromB64(text: string): Uint8Array<ArrayBuffer> | undefined {
  const bytes = Uint8Array.from(Buffer.from(text, "base64"));
  return toB64(bytes) === text ? bytes : undefined;
}

function no(problem: string): { readonly ok: false; readonly problem: string } {
  return { ok: false, problem };
}
