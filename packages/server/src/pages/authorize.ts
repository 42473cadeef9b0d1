import type { Page, PageAnswer, PageRequest, Person } from "../http/page.ts";
import type { AuthorizationAnswer, Interaction, Step, Waiting } from "../oauth/interaction.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { Users } from "../users/users.ts";
import { choicePage, consentPage, decidePath, onwardForm, onwardPage, waitingPath } from "./consent.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly interaction: Pick<Interaction, "parameters" | "open" | "decide" | "continueAs">;
  readonly settings: { readonly registration: "open" | "off" };
  readonly users: Pick<Users, "hasPassword">;
  readonly factors: Pick<Factors, "ownedBy">;
}

/** The authorization endpoint, RFC 6749 §3.1, and what people decide there. */
export function authorizePages(parts: Parts): Page[] {
  const { view, interaction } = parts;

  const open = async (request: PageRequest): Promise<PageAnswer> =>
    answerStep(await interaction.open(request.pairs, request), { request, parts });

  /**
   * OpenID Connect Core §3.1.2.1: "Authorization Servers MUST support the use of the HTTP GET and POST methods". The form
   * is another site's and comes without our cookies, so it leads on to an address that says the same.
   */
  function leadOn({ pairs }: PageRequest): PageAnswer {
    const query = new URLSearchParams(
      pairs.map(([name, value]): [string, string] => [name, value]),
    ).toString();
    if (query.length > limits.authorizationQueryCharactersMax) return { problem: "body_too_large" };
    return { location: `${view.url("/oauth/authorize")}?${query}` };
  }

  const waitingOf = ({ field }: PageRequest): Waiting => ({
    clientId: field("client_id"),
    requestUri: field("request_uri"),
  });

  /** What the request needs now: of who has signed out meanwhile, or whose form is out of date. */
  async function again(request: PageRequest): Promise<PageAnswer> {
    const { clientId, requestUri } = waitingOf(request);
    const pairs = [
      ["client_id", clientId],
      ["request_uri", requestUri],
    ] as const;
    return answerStep(await interaction.open(pairs, request), { request, parts });
  }

  async function decide(request: PageRequest): Promise<PageAnswer> {
    const { person, ip, field } = request;
    if (person === undefined) return again(request);
    const waiting = waitingOf(request);
    const decision = field("decision");
    if (decision === "continue") {
      return answerStep(await interaction.continueAs(waiting, { person, ip }), { request, parts });
    }
    if (decision !== "allow" && decision !== "deny") return { problem: "invalid_request" };
    const agrees = decision === "allow";
    // Browsers send the line breaks of a field as CRLF: HTML Standard §4.10.22.5.
    const shown = field("shown").replaceAll("\r\n", "\n");
    const step = await interaction.decide({ waiting, agrees, shown, person, ip });
    return answerStep(step, { request, parts });
  }

  return [
    {
      method: "GET",
      path: "/oauth/authorize",
      summary: "Where applications send people to sign in and to let them in, RFC 6749 §3.1",
      access: "anyone",
      isOauth: true,
      query: interaction.parameters,
      handle: open,
    },
    {
      method: "POST",
      path: "/oauth/authorize",
      summary: "The same by a form; leads on to the page before",
      access: "anyone",
      isOauth: true,
      fromElsewhere: true,
      fields: interaction.parameters,
      handle: leadOn,
    },
    {
      method: "POST",
      path: decidePath,
      summary: "Lets an application in, or does not, or goes on as who is signed in",
      access: "anyone",
      fields: {
        client_id: { about: "The application" },
        request_uri: { about: "The request that waits" },
        shown: { about: "What the person has seen" },
        decision: { about: "`allow`, `deny` or `continue`" },
      },
      handle: decide,
      again,
    },
  ];
}

interface Answering {
  readonly request: PageRequest;
  readonly parts: Parts;
}

async function answerStep(step: Step, answering: Answering): Promise<PageAnswer> {
  const { view } = answering.parts;
  const { person, formToken: token } = answering.request;
  switch (step.step) {
    case "trouble":
      return troublePage(view, step.trouble);
    case "answer":
      return leave(view, step.answer, answering.request);
    case "sign_in":
      return { location: await signInPath(step, answering) };
    case "choice":
    case "consent": {
      const { waiting } = step;
      // Nobody is asked who is not signed in.
      if (person === undefined)
        return { location: view.url("/sign-in", { return_to: waitingPath(view, waiting) }) };
      const deciding = { waiting, person, token };
      const page =
        step.step === "choice" ? choicePage(view, step, deciding) : consentPage(view, step.asked, deciding);
      return { status: 200, html: page };
    }
    default:
      return unreachable(step);
  }
}

async function signInPath(
  { how, waiting, loginHint }: Extract<Step, { step: "sign_in" }>,
  { request, parts }: Answering,
): Promise<string> {
  const { view, settings } = parts;
  const return_to = waitingPath(view, waiting);
  const again = view.url("/sign-in", { as: "someone-else", return_to, login_hint: loginHint });
  switch (how) {
    case "first":
      return view.url("/sign-in", { return_to, login_hint: loginHint });
    case "again":
      return again;
    case "new_account":
      return settings.registration === "open" ? view.url("/sign-up", { return_to }) : again;
    case "step_up":
      return (await canStepUp(request.person, parts)) ? view.url("/step-up", { return_to }) : again;
    default:
      return unreachable(how);
  }
}

/** Who signs in by a provider alone has nothing to prove it again with but the provider. */
async function canStepUp(person: Person | undefined, { users, factors }: Parts): Promise<boolean> {
  if (person === undefined) return false;
  const { id } = person.user;
  return (await users.hasPassword(id)) || (await factors.ownedBy(id)).passkeys.length > 0;
}

/**
 * The way to the application. Browsers hold the `form-action` of a page against all redirects after its form: those of
 * the form for signing in against the way on to the application, and against where that may lead on to in its turn.
 * A browser that comes from a page of ours is therefore led on by a page, which begins a new way. docs/adr/0021.
 */
function leave(view: View, answer: AuthorizationAnswer, request: PageRequest): PageAnswer {
  switch (answer.mode) {
    case "query":
      return comesFromOurPage(request)
        ? { status: 200, html: onwardPage(view, answer) }
        : { leavesFor: answer.location };
    case "form_post": {
      // The scheme, and not the host: the application may lead on to another host of its own.
      const scheme = answer.redirectUri.slice(0, answer.redirectUri.indexOf(":"));
      const headers = { "Content-Security-Policy": formPolicy(scheme) };
      return { status: 200, html: onwardForm(view, answer), headers };
    }
    default:
      return unreachable(answer.mode);
  }
}

/** In a frame no page of ours is shown, and no form of ours was sent: an application looks who is there (prompt=none). */
function comesFromOurPage(request: PageRequest): boolean {
  const isDocument = (request.header("sec-fetch-dest") ?? "document") === "document";
  return isDocument && request.header("sec-fetch-site") === "same-origin";
}

const formPolicy = (scheme: string) =>
  `default-src 'none'; style-src 'self'; img-src 'self'; form-action ${scheme}:; base-uri 'none'; frame-ancestors 'none'; script-src 'self'`;

/** RFC 6749 §4.1.2.1: "inform the resource owner of the error". Nothing that came with the request is on the page. */
function troublePage(view: View, code: Extract<Step, { step: "trouble" }>["trouble"]): PageAnswer {
  const { title, text } = texts.oauth.trouble[code];
  const body = html`<div class="card">
<h1>${title}</h1>
<p>${text}</p>
<p class="actions"><a class="button quiet" href="${view.url("/")}">${texts.problemHome}</a></p>
</div>`;
  const page = view.page({ title, body, isError: true });
  return code === "too_many"
    ? { status: 429, html: page, headers: { "Retry-After": "60" } }
    : { status: 400, html: page };
}
