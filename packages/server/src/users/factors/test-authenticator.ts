import { createSign, generateKeyPairSync, type KeyObject } from "node:crypto";
import { sha256 } from "../../primitives/digest.ts";
import { randomBytes } from "../../primitives/random.ts";

/** An authenticator in software, with every part of its answers in the test's hands. */

interface Answering {
  readonly challenge: string;
  readonly origin?: string;
  readonly rpId?: string;
  readonly userVerified?: boolean;
  readonly type?: string;
  /** Default: one more than before. */
  readonly counter?: number;
  readonly userHandle?: string;
}

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64url");

/** CBOR (RFC 8949 §3) of what an attestation holds: whole numbers, bytes, texts, maps. */
function cbor(value: number | string | Uint8Array | ReadonlyMap<number | string, unknown>): Buffer {
  const head = (major: number, length: number) =>
    length < 24
      ? Buffer.from([(major << 5) | length])
      : length < 256
        ? Buffer.from([(major << 5) | 24, length])
        : Buffer.from([(major << 5) | 25, length >> 8, length & 255]);
  if (typeof value === "number") return value < 0 ? head(1, -1 - value) : head(0, value);
  if (typeof value === "string")
    return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)]);
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value]);
  const parts = [...value].flatMap(([key, member]) => [cbor(key), cbor(member as string)]);
  return Buffer.concat([head(5, value.size), ...parts]);
}

export function createTestAuthenticator({
  issuer,
  isSyncable = false,
}: {
  issuer: string;
  isSyncable?: boolean;
}) {
  const { origin: ownOrigin, hostname } = new URL(issuer);
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const id = randomBytes(32);
  let counter = 0;

  function clientData(type: string, { challenge, origin = ownOrigin, ...given }: Answering): Buffer {
    return Buffer.from(JSON.stringify({ type: given.type ?? type, challenge, origin, crossOrigin: false }));
  }

  function authenticatorData(given: Answering, attested: Buffer): Buffer {
    const { rpId = hostname, userVerified = true } = given;
    counter = given.counter ?? counter + 1;
    // UP, UV, BE and BS, AT: WebAuthn §6.1.
    const flags =
      0x01 | (userVerified ? 0x04 : 0) | (isSyncable ? 0x18 : 0) | (attested.length > 0 ? 0x40 : 0);
    const tail = Buffer.alloc(5);
    tail.writeUInt8(flags, 0);
    tail.writeUInt32BE(counter, 1);
    return Buffer.concat([sha256(rpId), tail, attested]);
  }

  const named = { id: text(id), rawId: text(id), type: "public-key", clientExtensionResults: {} } as const;

  return {
    credentialId: text(id),
    create(given: Answering) {
      const data = authenticatorData(given, attestedData(id, publicKey));
      const attestation = new Map<string, unknown>([
        ["fmt", "none"],
        ["attStmt", new Map()],
        ["authData", data],
      ]);
      const response = {
        clientDataJSON: text(clientData("webauthn.create", given)),
        attestationObject: text(cbor(attestation)),
        transports: ["internal"],
      };
      return { ...named, response };
    },
    get(given: Answering) {
      const client = clientData("webauthn.get", given);
      const data = authenticatorData(given, Buffer.alloc(0));
      const signature = createSign("sha256")
        .update(Buffer.concat([data, sha256(client)]))
        .sign(privateKey);
      const response = {
        clientDataJSON: text(client),
        authenticatorData: text(data),
        signature: text(signature),
        ...(given.userHandle !== undefined && { userHandle: given.userHandle }),
      };
      return { ...named, response };
    },
  };
}

/** WebAuthn §6.5.1, with the key as COSE has it (RFC 9053 §7.1). */
function attestedData(id: Uint8Array, publicKey: KeyObject): Buffer {
  const { x = "", y = "" } = publicKey.export({ format: "jwk" });
  const key = new Map<number, unknown>([
    [1, 2],
    [3, -7],
    [-1, 1],
    [-2, Buffer.from(x, "base64url")],
    [-3, Buffer.from(y, "base64url")],
  ]);
  const length = Buffer.from([id.length >> 8, id.length & 255]);
  return Buffer.concat([Buffer.alloc(16), length, id, cbor(key)]);
}
