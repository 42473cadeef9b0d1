import {
  type RefreshRefusalReason,
  type RefusalCode,
  refreshRefusalReasons,
  refusals,
} from "../../packages/server/src/errors.ts";
import type { Endpoint } from "../../packages/server/src/http/endpoint.ts";
import { refusalsOf } from "../../packages/server/src/openapi.ts";
import { code, codes, pageHead, table } from "./markdown.ts";

/** What a client does with the refresh token that it holds, and then. */
const advice = {
  malformed:
    "Keeps what it holds, and looks for its own mistake: a cut or changed token, or one of another server.",
  expired: "Forgets the tokens; asks the person to sign in.",
  revoked: "Forgets the tokens; asks the person to sign in.",
  reused: "Forgets the tokens; asks the person to sign in, and says that somebody else may have had them.",
  superseded: "Reads its storage again: another tab or worker has stored a newer token. Uses that one.",
  unknown: "Keeps what it holds, and tries again later; the operator's log has the detail.",
} as const satisfies Record<RefreshRefusalReason, string>;

/** What is refused before there is an endpoint that could say so. */
const beforeEndpoints: Readonly<Partial<Record<RefusalCode, string>>> = {
  invalid_request: "a request that is not HTTP, or whose address makes no sense",
  headers_too_large: "any address",
  request_timeout: "any address",
  not_found: "an address that is none",
  method_not_allowed: "an address that does not take the method",
};

/** docs/errors.md: the catalogue of errors.ts. */
export function errorsPage(endpoints: readonly Endpoint[]): string {
  const rows = (Object.keys(refusals) as RefusalCode[]).map((name) => {
    const { status, sentence, source } = refusals[name];
    // Our design page is not part of the repository.
    return [code(name), String(status), sentence, source.startsWith("DESIGN") ? "ours" : source];
  });
  const reasons = (Object.keys(refreshRefusalReasons) as RefreshRefusalReason[]).map((reason) => [
    code(reason),
    refreshRefusalReasons[reason],
    advice[reason],
  ]);
  const places = (Object.keys(refusals) as RefusalCode[]).map((name) => [
    code(name),
    placesOf(name, endpoints),
  ]);
  return `${pageHead("Errors", "packages/server/src/errors.ts")}
Every refusal is a JSON object. Programs switch on \`error\`, which never changes its meaning; \`error_description\` is a sentence for people, and may be more exact than the one below.

\`\`\`json
{
  "error": "invalid_refresh_token",
  "error_description": "This token was replaced. Use the newest one; the session goes on.",
  "reason": "superseded"
}
\`\`\`

With 429 and 503 the header \`Retry-After\` says how many seconds to wait. A 401 for an access token carries \`WWW-Authenticate\` as RFC 6750 has it. No refusal says more than is needed: the log has the rest.

This is what the server answers. What an API behind [@keyturn/guard](../packages/guard/README.md) answers is told there.

## Codes

${table(["Code", "Status", "Sentence", "Source"], rows)}
## Why a refresh token is not accepted

\`invalid_refresh_token\` carries a \`reason\`. A client forgets what it holds only for \`expired\`, \`revoked\` and \`reused\`: with any other reason the session may be alive.

${table(["Reason", "What it means", "What the client does"], reasons)}
A client that treats every 401 of \`/refresh\` as the end signs people out for nothing. [refresh-tokens.md](refresh-tokens.md) has the whole story.

## Where each may come from

${table(["Code", "Endpoints"], places)}`;
}

function placesOf(name: RefusalCode, endpoints: readonly Endpoint[]): string {
  const places = endpoints.filter((endpoint) => refusalsOf(endpoint).includes(name));
  if (places.length === endpoints.length) return "every endpoint";
  const named = places.length === 0 ? [] : [codes(places.map(({ method, path }) => `${method} ${path}`))];
  const also = beforeEndpoints[name] === undefined ? [] : [beforeEndpoints[name]];
  return [...named, ...also].join("; ") || "no endpoint yet";
}
