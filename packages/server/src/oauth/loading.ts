import type { Client } from "../clients/client.ts";
import { type Pairs, parametersOf } from "../http/parameters.ts";
import type { Id } from "../primitives/id.ts";
import { authorizationParameters } from "./authorization-metadata.ts";
import { refuse } from "./authorization-parameters.ts";
import type { AuthorizationRequests, Checked, RequestTrouble, ToCheck } from "./authorization-request.ts";
import { isReference, type KeptRequest, type KeptRequests } from "./kept-requests.ts";
import type { RequestObjects } from "./request-objects.ts";

/** A request, checked now, whether it came by the address or is held here. */
export interface Loaded {
  readonly checked: Checked;
  readonly kept: KeptRequest | undefined;
  /** What it says. */
  readonly pairs: Pairs;
}

interface Dependencies {
  readonly requests: AuthorizationRequests;
  readonly kept: Pick<KeptRequests, "find">;
  readonly requestObjects: Pick<RequestObjects, "open">;
}

/** What a browser brings: a request in its address, or the reference to one. */
export function createLoading({ requests, kept: keptRequests, requestObjects }: Dependencies) {
  return async function load(pairs: Pairs, sessionId?: Id): Promise<Loaded> {
    const given = toCheck(pairs);
    const uri = given.parameters.get("request_uri");
    const clientId = given.parameters.get("client_id");
    const isOne = clientId !== undefined && !given.repeated.some((name) => isOfReference(name));
    const client = isOne ? await requests.findClient(clientId) : undefined;
    if (client === undefined) return { checked: trouble("unknown_client"), kept: undefined, pairs };
    if (uri === undefined) return direct(client, pairs, given);
    // OpenID Connect Core §3.1.2.6: "The OP does not support use of the request_uri parameter defined in Section 6": one
    // that is not of ours.
    if (!isReference(uri)) {
      const checked = requests.refused(client, given, refuse("request_uri_not_supported"));
      return { checked, kept: undefined, pairs };
    }
    const kept = await keptRequests.find(uri, client.id, sessionId);
    if (kept === undefined) return { checked: trouble("request_unknown"), kept, pairs };
    // RFC 9101 §6.3: "MUST only use the parameters in the Request Object, even if the same parameter is provided in the
    // query parameter". The same of what was pushed: what stands beside the reference counts for nothing.
    return { checked: await requests.checkFor(client, toCheck(kept.pairs)), kept, pairs: kept.pairs };
  };

  async function direct(client: Client, pairs: Pairs, given: ToCheck): Promise<Loaded> {
    const opened = await requestObjects.open(client, pairs);
    if (opened.outcome === "refused") {
      return { checked: requests.refused(client, given, opened), kept: undefined, pairs };
    }
    const checked = await requests.checkFor(client, toCheck(opened.value));
    return { checked: mustBePushed(checked) ?? checked, kept: undefined, pairs: opened.value };
  }
}

const trouble = (code: RequestTrouble) => ({ outcome: "trouble", trouble: code }) as const;
const isOfReference = (name: string) => name === "client_id" || name === "request_uri";

/** RFC 9126 §6: "whether the only means of initiating an authorization request the client is allowed to use is PAR". */
function mustBePushed(checked: Checked): Checked | undefined {
  if (checked.outcome !== "good") return undefined;
  const { client, to } = checked.request;
  if (!client.metadata.require_pushed_authorization_requests) return undefined;
  return {
    outcome: "refused_there",
    to,
    refusal: refuse("invalid_request", "This client must push its requests"),
  };
}

/**
 * RFC 6749 §3.1 as it was corrected (erratum 5708): parameters that are defined MUST NOT be included more than once;
 * others are ignored, however often they come.
 */
export function toCheck(pairs: Pairs): ToCheck {
  const repeated: string[] = [];
  const parameters = parametersOf(pairs, (name) => {
    if (Object.hasOwn(authorizationParameters, name)) repeated.push(name);
  });
  return { parameters, repeated };
}
