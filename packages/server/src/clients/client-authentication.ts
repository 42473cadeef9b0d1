import { limits } from "../primitives/limits.ts";
import type { Client } from "./client.ts";

const BASIC = /^basic +([A-Za-z0-9+/]+={0,2})$/i;
/** RFC 6749 Appendix A.1 and A.2: id and secret are of VSCHAR, the visible ASCII characters and the space. */
const VSCHARS = /^[\x20-\x7e]*$/;

export interface ClientCredentials {
  readonly id: string;
  readonly secret: string;
}

/**
 * The id and secret of an `Authorization: Basic` header. RFC 6749 §2.3.1: "The client identifier is encoded using
 * the application/x-www-form-urlencoded encoding algorithm […] and the encoded value is used as the username; the
 * client secret is encoded using the same algorithm and used as the password."
 * Undefined when there is no such header or it is malformed; which of the two is nobody's business but the log's.
 */
export function parseBasicCredentials(header: string | undefined): ClientCredentials | undefined {
  const pair = basicPair(header);
  const id = pair && formDecode(pair.id);
  const secret = pair && formDecode(pair.secret);
  return id === undefined || secret === undefined ? undefined : { id, secret };
}

/**
 * What such a header may mean. curl, PHP, Python and whatever else knows Basic from RFC 7617 alone encode nothing; a
 * secret with a `+` or a `%` is another one then. Both are tried, the specified one first: who knows the secret knows it
 * in either form, and who does not gains one more guess at 256 bits.
 */
export function basicReadings(header: string | undefined): readonly ClientCredentials[] {
  const decoded = parseBasicCredentials(header);
  const pair = basicPair(header);
  const asItIs = pair && VSCHARS.test(pair.id + pair.secret) ? pair : undefined;
  if (asItIs === undefined || !ENCODED.test(asItIs.id + asItIs.secret)) return decoded ? [decoded] : [];
  return decoded ? [decoded, asItIs] : [asItIs];
}

function basicPair(header: string | undefined): ClientCredentials | undefined {
  if (header === undefined || header.length > limits.basicHeaderCharactersMax) return undefined;
  const encoded = BASIC.exec(header.trim())?.[1];
  if (encoded === undefined) return undefined;
  const text = Buffer.from(encoded, "base64").toString("latin1");
  // RFC 7617 §2: "the user-id […] cannot include a colon"; what follows the first one is the password.
  const colon = text.indexOf(":");
  return colon < 1 ? undefined : { id: text.slice(0, colon), secret: text.slice(colon + 1) };
}

const ENCODED = /[%+]/;

function formDecode(text: string): string | undefined {
  if (!ENCODED.test(text)) return VSCHARS.test(text) ? text : undefined;
  try {
    const decoded = decodeURIComponent(text.replaceAll("+", " "));
    return VSCHARS.test(decoded) ? decoded : undefined;
  } catch {
    return undefined;
  }
}

/** What a request says of the client that sends it: RFC 6749 §2.3, RFC 7521 §4.2. */
export interface PresentedClient {
  /** The `Authorization` header. */
  readonly authorization: string | undefined;
  readonly clientId: string | undefined;
  readonly clientSecret: string | undefined;
  readonly assertionType: string | undefined;
  readonly assertion: string | undefined;
}

/** Looks at a JWT by which a client authenticates, and spends it. RFC 7523 §3. */
export type AssertionCheck = (given: {
  readonly assertion: string;
  readonly clientId: string | undefined;
}) => Promise<Client | undefined>;

interface Dependencies {
  /** A registered client, or one whose id is the address of its metadata. */
  readonly findClient: (id: string) => Promise<Client | undefined>;
  readonly checkSecret: (id: string, secret: string) => Promise<Client | undefined>;
  readonly checkAssertion: AssertionCheck;
}

/** RFC 7521 §4.2.1, RFC 7523 §2.2. */
export const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/**
 * Who sends a request, by the way that the client is registered for. A secret may come in the header or in the form: it
 * is the same secret, and the libraries of half the world know one of the two only.
 * @returns undefined when the request does not say, or does not prove it: which of the two is nobody's business
 */
export function createClientAuthentication({ findClient, checkSecret, checkAssertion }: Dependencies) {
  async function bySecret(id: string, secret: string): Promise<Client | undefined> {
    const client = await checkSecret(id, secret);
    const method = client?.metadata.token_endpoint_auth_method;
    return method === "client_secret_basic" || method === "client_secret_post" ? client : undefined;
  }

  async function byIdAlone(id: string): Promise<Client | undefined> {
    const client = await findClient(id);
    return client?.metadata.token_endpoint_auth_method === "none" ? client : undefined;
  }

  async function byHeader(authorization: string, clientId: string | undefined): Promise<Client | undefined> {
    for (const { id, secret } of basicReadings(authorization)) {
      if (clientId !== undefined && clientId !== id) continue;
      // RFC 6749 §2.3.1: "The client MAY omit the parameter if the client secret is an empty string": in the header there
      // is no way to, and libraries that send it for every client have nothing but the id of one that keeps no secret.
      const client = await (secret === "" ? byIdAlone(id) : bySecret(id, secret));
      if (client !== undefined) return client;
    }
    return undefined;
  }

  return async function authenticateClient(presented: PresentedClient): Promise<Client | undefined> {
    const { authorization, clientId, clientSecret, assertionType, assertion } = presented;
    const isBasic = authorization !== undefined && /^basic\b/i.test(authorization);
    // RFC 6749 §2.3: "The client MUST NOT use more than one authentication method in each request."
    const ways = [isBasic, clientSecret !== undefined, assertion !== undefined].filter(Boolean).length;
    if (ways > 1) return undefined;
    if (isBasic) return byHeader(authorization, clientId);
    if (assertion !== undefined) {
      return assertionType === ASSERTION_TYPE ? checkAssertion({ assertion, clientId }) : undefined;
    }
    if (clientId === undefined) return undefined;
    return clientSecret === undefined ? byIdAlone(clientId) : bySecret(clientId, clientSecret);
  };
}
