import { createSecretKey, randomBytes } from "node:crypto";
import { readOidcTokens } from "../../packages/client/src/oidc-issuer.ts";
import { readAccess, readTokens } from "../../packages/client/src/replies.ts";
import { readAuthorization } from "../../packages/guard/src/admission.ts";
import { allAlgorithms } from "../../packages/guard/src/algorithms.ts";
import { decodeBase64url, decodeBase64urlText } from "../../packages/guard/src/base64url.ts";
import { readClaims as readTokenClaims } from "../../packages/guard/src/claims.ts";
import { checkFeedEvent, readFeedEvent } from "../../packages/guard/src/feed-events.ts";
import { decodeProof, readProofClaims } from "../../packages/guard/src/proof-form.ts";
import { readProofKey } from "../../packages/guard/src/proof-key.ts";
import { isSameUrl } from "../../packages/guard/src/proof-url.ts";
import { createEventStreamParser } from "../../packages/guard/src/sse.ts";
import { decodeToken } from "../../packages/guard/src/token.ts";
import { csvRecords, headerFrom } from "../../packages/server/src/admin/commands/import/csv.ts";
import { linesOf } from "../../packages/server/src/admin/commands/import/lines.ts";
import { basicReadings } from "../../packages/server/src/clients/client-authentication.ts";
import { idProblem, isDocumentId } from "../../packages/server/src/clients/client-ids.ts";
import { unverifiedClaims } from "../../packages/server/src/clients/client-jwt.ts";
import { checkClientMetadata } from "../../packages/server/src/clients/client-metadata.ts";
import { isResourceIndicator } from "../../packages/server/src/clients/metadata-rules.ts";
import { redirectUriProblem } from "../../packages/server/src/clients/redirect-uris.ts";
import { Refusal } from "../../packages/server/src/errors.ts";
import { callerAddress } from "../../packages/server/src/http/address.ts";
import { attemptKeyOf } from "../../packages/server/src/http/attempt-key.ts";
import { readJsonBody } from "../../packages/server/src/http/body.ts";
import { readForm } from "../../packages/server/src/http/form.ts";
import { parametersOf, parsePairs } from "../../packages/server/src/http/parameters.ts";
import { isSpecialAddress } from "../../packages/server/src/http/special-addresses.ts";
import { parsePublicJwk } from "../../packages/server/src/keys/jwks.ts";
import { chosenLanguage } from "../../packages/server/src/mail/texts.ts";
import {
  readAcrValues,
  readChallenge,
  readClaims,
  readMaxAge,
  readPrompt,
} from "../../packages/server/src/oauth/authorization-parameters.ts";
import { userCodeFrom } from "../../packages/server/src/oauth/device-codes.ts";
import { scopesIn } from "../../packages/server/src/oauth/scopes.ts";
import { returnPath } from "../../packages/server/src/pages/return-to.ts";
import { isId } from "../../packages/server/src/primitives/id.ts";
import { limits } from "../../packages/server/src/primitives/limits.ts";
import { listRecent } from "../../packages/server/src/sessions/recent.ts";
import { packUserAgent, unpackUserAgent } from "../../packages/server/src/sessions/user-agent.ts";
import { readOwnJwt } from "../../packages/server/src/tokens/jwt.ts";
import { createRefreshTokens } from "../../packages/server/src/tokens/refresh-token.ts";
import { createSessionCookies } from "../../packages/server/src/tokens/session-cookie.ts";
import {
  checkEmail,
  checkName,
  checkUsername,
  cleanText,
  loginKey,
} from "../../packages/server/src/users/names.ts";
import { parseHash } from "../../packages/server/src/users/password-hashes.ts";

/** A parser of what strangers send. */
export interface Parser {
  readonly name: string;
  parse(text: string): unknown;
  /** Good texts, to be spoilt. */
  readonly seeds: readonly string[];
  /** What it says that it throws. Default: nothing. */
  readonly throws?: (error: unknown) => boolean;
}

const refuses = (error: unknown) => error instanceof Refusal;
const key = createSecretKey(randomBytes(32));
const refreshTokens = createRefreshTokens({ currentId: 1, byId: new Map([[1, { chain: key, tag: key }]]) });
const cookies = createSessionCookies({ currentKeyId: 1, keys: new Map([[1, key]]) });
const sessionId = Buffer.alloc(16, 7);
const secret = Buffer.alloc(32, 9);
const refreshToken = refreshTokens.encode({ keyId: 1, sessionId, generation: 3, secret });
const cookie = cookies.encode({ sessionId, secret });
const segment = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const jwt = `${segment({ alg: "ES256", typ: "at+jwt", kid: "k" })}.${segment({ iss: "i", sub: "s", aud: ["a"] })}.${"A".repeat(86)}`;
const jwk = { kty: "EC", crv: "P-256", x: "A".repeat(43), y: "A".repeat(43) };
const proof = `${segment({ alg: "ES256", typ: "dpop+jwt", jwk })}.${segment({ jti: "1", htm: "GET", htu: "https://a/b", iat: 1 })}.${"A".repeat(86)}`;
const algorithms = new Set(allAlgorithms);
const uuid = "01a2091b-7f0f-7d30-bc99-dae8c5045318";

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};
const object = (text: string): Record<string, unknown> => {
  const value = parsed(text);
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : { value };
};
const parameter = (name: string, text: string) => parametersOf([[name, text]]);
const body = (type: string, text: string) => ({
  header: (name: string) => (name === "content-type" ? type : undefined),
  readBody: async (bytesMax: number) => {
    const bytes = Buffer.from(text);
    return bytes.length > bytesMax ? undefined : bytes;
  },
});
const accepting = { safeParse: (data: unknown) => ({ success: true, data }) } as never;

async function readCsv(text: string): Promise<number> {
  async function* chunks() {
    yield text;
  }
  let records = 0;
  for await (const _ of csvRecords(linesOf(chunks()))) records++;
  return records;
}

/** Every one, of all three packages. */
export const parsers: readonly Parser[] = [
  // packages/server
  { name: "refresh token", parse: (text) => refreshTokens.decode(text), seeds: [refreshToken] },
  { name: "session cookie", parse: (text) => cookies.decode(text), seeds: [cookie] },
  { name: "own JWT", parse: (text) => readOwnJwt(text, { type: "at+jwt", keys: [] }), seeds: [jwt] },
  { name: "client JWT, unverified", parse: unverifiedClaims, seeds: [jwt] },
  {
    name: "stored public key",
    parse: (text) => parsePublicJwk(text, { id: "k", algorithm: "ES256" }),
    seeds: [JSON.stringify(jwk)],
  },
  {
    name: "Basic credentials",
    parse: basicReadings,
    seeds: [`Basic ${btoa("photos%20api:s3cret%2B")}`, "Basic Og=="],
  },
  {
    name: "JSON body",
    parse: (text) => readJsonBody(body("application/json", text), accepting, false),
    seeds: ['{"username":"a\\u0000","password":"b","x":{"y":[1,{"z":"\\""}]}}'],
    throws: refuses,
  },
  {
    name: "form",
    parse: (text) => readForm(body("application/x-www-form-urlencoded", text)),
    seeds: ["username=a%20b&password=%C3%A9+x&empty="],
    throws: refuses,
  },
  {
    name: "OAuth parameters",
    parse: (text) => parametersOf(parsePairs(text)),
    seeds: ["client_id=a&scope=openid+read&resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb&state=%25"],
    throws: refuses,
  },
  {
    name: "code_challenge",
    parse: (text) => readChallenge(parameter("code_challenge", text)),
    seeds: ["A".repeat(43)],
    throws: refuses,
  },
  {
    name: "prompt",
    parse: (text) => readPrompt(parameter("prompt", text)),
    seeds: ["login consent"],
    throws: refuses,
  },
  {
    name: "max_age",
    parse: (text) => readMaxAge(parameter("max_age", text)),
    seeds: ["3600"],
    throws: refuses,
  },
  {
    name: "claims",
    parse: (text) => readClaims(parameter("claims", text)),
    seeds: [
      '{"id_token":{"acr":{"essential":true,"values":["urn:a"]},"sub":{"value":"x"}},"userinfo":{"email":null}}',
    ],
    throws: refuses,
  },
  {
    name: "acr_values",
    parse: (text) => readAcrValues(parameter("acr_values", text), undefined),
    seeds: ["urn:a urn:b"],
    throws: refuses,
  },
  { name: "scope", parse: scopesIn, seeds: ["openid profile read:all"] },
  {
    name: "X-Forwarded-For",
    parse: (text) => callerAddress({ socketAddress: "127.0.0.1", forwardedFor: text, trustedProxies: 2 }),
    seeds: ["203.0.113.7, [2001:db8::1], ::ffff:10.0.0.1"],
  },
  {
    name: "address of a public host",
    parse: isSpecialAddress,
    seeds: ["203.0.113.7", "::ffff:127.0.0.1", "fe80::1%eth0"],
  },
  {
    name: "Idempotency-Key",
    parse: (text) => attemptKeyOf({ header: () => text }),
    seeds: ["k".repeat(43)],
    throws: refuses,
  },
  {
    name: "Accept-Language",
    parse: (text) => chosenLanguage(text, { available: new Set(["en", "de"]), fallback: "en" }),
    seeds: ["de-AT,de;q=0.9,en;q=0.8,*;q=0.1"],
  },
  { name: "id", parse: isId, seeds: [uuid] },
  { name: "user code", parse: userCodeFrom, seeds: ["bcdf-ghjk", "B C D F G H J K"] },
  { name: "return_to", parse: returnPath, seeds: ["/account?x=1#y", "/oauth/authorize?client_id=a%2f"] },
  {
    name: "redirect URI, web",
    parse: (text) => redirectUriProblem(text, "web"),
    seeds: ["https://app.example.com/callback?a=b"],
  },
  {
    name: "redirect URI, native",
    parse: (text) => redirectUriProblem(text, "native"),
    seeds: ["http://127.0.0.1:3000/cb", "com.example.app:/cb"],
  },
  {
    name: "resource indicator",
    parse: isResourceIndicator,
    seeds: ["https://api.example.com/v1", "urn:example:api"],
  },
  {
    name: "client id",
    parse: (text) => [idProblem(text), isDocumentId(text)],
    seeds: ["photos", "https://app.example.com/client.json"],
  },
  {
    name: "client metadata",
    parse: (text) => checkClientMetadata({ type: "web", input: parsed(text), byOperator: false }),
    seeds: [
      JSON.stringify({
        redirect_uris: ["https://app.example.com/cb"],
        grant_types: ["authorization_code"],
        jwks: { keys: [jwk] },
        logo_uri: "https://app.example.com/logo.png",
      }),
    ],
  },
  { name: "username", parse: (text) => [checkUsername(text), loginKey(text)], seeds: ["alice", "žofie.2"] },
  {
    name: "e-mail address",
    parse: (text) => [checkEmail(text), loginKey(text)],
    seeds: ["alice+x@mail.example.com", "ž@bücher.example"],
  },
  { name: "name", parse: checkName, seeds: ["Alice  de la Cruz", "👩‍👩‍👧"] },
  {
    name: "device name",
    parse: (text) => cleanText(text, limits.deviceCharactersMax),
    seeds: ["Alice's  telephone"],
  },
  {
    name: "User-Agent",
    parse: (text) => unpackUserAgent(packUserAgent(text)),
    seeds: [
      "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    ],
  },
  {
    name: "password hash",
    parse: parseHash,
    seeds: [
      "$argon2id$v=19$m=7168,t=1,p=1$c29tZXNhbHRzb21lc2FsdA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "$scrypt$ln=15,r=8,p=1$c29tZXNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
      "$2b$10$abcdefghijklmnopqrstuuAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    ],
  },
  {
    name: "remembered replacements",
    parse: (text) => listRecent(Buffer.from(text, "latin1")),
    seeds: ["x".repeat(108)],
  },
  {
    name: "header of a CSV file",
    parse: headerFrom,
    seeds: ['username,"e-mail",roles'],
    throws: (error) => error instanceof Error,
  },
  { name: "CSV file", parse: readCsv, seeds: ['username,email\nalice,a@b.c\n"b""ob","x\ny"\n'] },
  // packages/guard
  { name: "access token", parse: (text) => decodeToken(text, algorithms), seeds: [jwt] },
  {
    name: "claims of an access token",
    parse: (text) =>
      readTokenClaims(
        object(text),
        {
          issuer: "i",
          audiences: new Set(["a"]),
          clockToleranceSeconds: 5,
          tokenType: "at+jwt",
        } as never,
        Date.now(),
      ),
    seeds: [
      JSON.stringify({
        iss: "i",
        aud: ["a"],
        sub: "s",
        client_id: "c",
        exp: 9e9,
        iat: 1,
        jti: "j",
        cnf: { jkt: "k" },
      }),
    ],
  },
  { name: "Authorization", parse: readAuthorization, seeds: [`Bearer ${jwt}`, `DPoP ${jwt}`, "Basic Og=="] },
  { name: "DPoP proof", parse: (text) => decodeProof(text, algorithms), seeds: [proof] },
  { name: "claims of a proof", parse: readProofClaims, seeds: [proof.split(".")[1] ?? ""] },
  {
    name: "key of a proof",
    parse: (text) => readProofKey(parsed(text), "ES256"),
    seeds: [JSON.stringify(jwk)],
  },
  {
    name: "htu",
    parse: (text) => isSameUrl(text, "https://api.example.com/a/b"),
    seeds: ["https://API.example.com:443/a/b?x#y"],
  },
  {
    name: "base64url",
    parse: (text) => [decodeBase64url(text), decodeBase64urlText(text)],
    seeds: ["AAECAwQF_-8"],
  },
  {
    name: "event of the feed",
    parse: (text) => [readFeedEvent("snapshot", text), readFeedEvent("revocation", text)],
    seeds: [`{"seq":6,"entries":[{"seq":5,"session":"${uuid}","before":1,"until":2}]}`],
    throws: (error) => error instanceof Error && error.message.startsWith("the feed sent"),
  },
  {
    name: "event of the feed, in process",
    parse: (text) => checkFeedEvent(object(text)),
    seeds: [`{"type":"revocation","entry":{"seq":5,"client":"c","before":1,"until":2}}`],
    throws: (error) => error instanceof Error && error.message.startsWith("the feed sent"),
  },
  {
    name: "server-sent events",
    parse(text) {
      const parser = createEventStreamParser({ event() {}, retry() {} });
      const bytes = Buffer.from(text);
      for (let at = 0; at < bytes.length; at += 4096) parser.push(bytes.subarray(at, at + 4096));
    },
    seeds: ["retry: 500\n\nevent: snapshot\nid: 6\ndata: {}\ndata: x\n\n: heartbeat\n\n"],
    throws: (error) => error instanceof Error,
  },
  // packages/client
  {
    name: "replies of the token endpoints",
    parse: (text) => [
      readAccess(parsed(text)),
      readTokens(object(text) as never),
      readOidcTokens(object(text) as never, { refreshToken: "r", sessionId: "s" }),
    ],
    seeds: [
      `{"accessToken":"${jwt}","refreshToken":"${refreshToken}","expiresIn":600,"sessionId":"${uuid}","tokenType":"Bearer"}`,
    ],
  },
];
