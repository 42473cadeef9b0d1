import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Page, PageAnswer, PageRequest, Person } from "../http/page.ts";
import type { Metrics } from "../observability/metrics.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import type { Providers } from "../providers/providers.ts";
import type { Arrived } from "../users/arrivals.ts";
import type { Mailing } from "../users/mailing/mailing.ts";
import type { createSignIn } from "../users/sign-in.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { passkeyArea } from "./passkey-area.ts";
import { providerButtons } from "./provider-buttons.ts";
import { returnPath } from "./return-to.ts";
import type { TicketCookies } from "./second-factor.ts";
import { texts } from "./texts.ts";
import { type Html, html, type View } from "./view.ts";

export interface SignInParts {
  readonly view: View;
  readonly signIn: ReturnType<typeof createSignIn>;
  /** The client whose sessions browsers are. */
  readonly clientId: string;
  readonly browserSessions: Pick<BrowserSessions, "setCookie">;
  readonly metrics: Pick<Metrics, "signedIn">;
  readonly settings: { readonly registration: "open" | "off" };
  readonly ticketCookies: Pick<TicketCookies, "set">;
  readonly providers: Pick<Providers, "offered">;
  readonly mailing: Pick<Mailing, "isOn">;
}

/** GET and POST /sign-in. */
export function signInPages(parts: SignInParts): Page[] {
  const { view } = parts;
  const words = texts.signIn;

  function form(request: PageRequest, problems: FieldProblems): string {
    const { person } = request;
    const returnTo = returnPath(request.field("return_to") || request.query.return_to);
    const fields = html`${hidden("return_to", returnTo)}
${textField({ name: "username", label: words.nameLabel, autocomplete: "username", value: request.field("username") || hintIn(request), isFirst: true, problems })}
${textField({ name: "password", label: texts.passwordLabel, type: "password", autocomplete: "current-password" })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
${problemSummary(problems)}
${person && html`<p class="muted">${words.someoneElseWarning(nameOf(person))}</p>`}
${postForm({ action: view.url("/sign-in"), token: request.formToken }, fields)}
${passkeyPart(request, returnTo)}
${providerButtons({ ...parts, token: request.formToken, returnTo })}
</div>
${mailPart(returnTo)}
<p class="below"><a href="${view.url("/recover", { return_to: returnTo })}">${texts.factors.recover.link}</a></p>
${parts.settings.registration === "open" && html`<p class="below">${words.newHere} <a href="${view.url("/sign-up", { return_to: returnTo })}">${words.signUp}</a></p>`}`;
    return view.page({ title: words.title, body, isError: problems.size > 0, hasScript: true });
  }

  /** The ways in for who has forgotten the password, or wants none. */
  function mailPart(returnTo: string | undefined): Html | undefined {
    if (!parts.mailing.isOn) return undefined;
    const { forgotten, signIn } = texts.mail;
    return html`<p class="below"><a href="${view.url("/forgotten")}">${forgotten.link}</a><br><a href="${view.url("/sign-in/mail", { return_to: returnTo })}">${signIn.link}</a></p>`;
  }

  function passkeyPart({ formToken: token }: PageRequest, returnTo: string | undefined): Html {
    return passkeyArea({
      kind: "get",
      options: { url: view.url("/passkeys/challenge") },
      action: view.url("/sign-in/passkey"),
      token,
      button: texts.factors.passkeyButton,
      returnTo,
    });
  }

  function alreadySignedIn(person: Person, request: PageRequest): string {
    const returnTo = returnPath(request.query.return_to);
    const body = html`<div class="card">
<h1>${words.alreadyTitle}</h1>
<p>${words.already(nameOf(person))}</p>
<p class="actions"><a class="button" href="${returnTo ?? view.url("/account")}">${words.proceed}</a><a class="button quiet" href="${view.url("/sign-in", { as: "someone-else", return_to: returnTo })}">${words.someoneElse}</a></p>
</div>`;
    return view.page({ title: words.alreadyTitle, body });
  }

  async function submit(request: PageRequest): Promise<PageAnswer> {
    const username = request.field("username");
    const password = request.field("password");
    if (username === "" || password === "") {
      return { status: 422, html: form(request, formProblem(words.missing)) };
    }
    const answer = await signInAs({ username, password, request, parts });
    return "problem" in answer ? refused(answer, (problems) => form(request, problems)) : answer;
  }

  const query = { return_to: { about: "Where to go on afterwards: a path of this origin" } };
  return [
    {
      method: "GET",
      path: "/sign-in",
      summary: "The form that signs a browser in; for one that is signed in, the choice to go on",
      access: "anyone",
      tokenOf: "browser",
      hasScript: true,
      query: {
        ...query,
        as: { about: "`someone-else`: the form, although somebody is signed in" },
        problem: { about: "`passkey`: one was not accepted" },
        login_hint: { about: "What stands in the field for the name" },
      },
      handle(request) {
        const { person, query } = request;
        const isChoice = person !== undefined && query.as !== "someone-else";
        const problems = query.problem === "passkey" ? formProblem(texts.factors.passkeyProblem) : noProblems;
        return { status: 200, html: isChoice ? alreadySignedIn(person, request) : form(request, problems) };
      },
    },
    {
      method: "POST",
      path: "/sign-in",
      summary: "Signs in, in place of who was signed in before, and leads on to `return_to`",
      access: "anyone",
      tokenOf: "browser",
      hasScript: true,
      fields: {
        username: { about: "Username or e-mail address" },
        password: { about: "The password" },
        return_to: { about: "Where to go on afterwards: a path of this origin; /account otherwise" },
      },
      handle: submit,
      again: (request) => ({ status: 403, html: form(request, formProblem(texts.formOutOfDate)) }),
    },
  ];
}

/** Who an application thinks is about to sign in (OpenID Connect Core §3.1.2.1, login_hint). */
const hintIn = ({ query }: PageRequest) => (query.login_hint ?? "").slice(0, limits.loginHintCharactersMax);

/** Why nobody was signed in, for a form to say. */
export type SignInRefused =
  | { readonly problem: "invalid_credentials" | "busy" }
  | { readonly problem: "too_many_attempts"; readonly retryAfterSeconds: number };

/** Signs the browser of the request in; on success, the way on. */
export async function signInAs(given: {
  username: string;
  password: string;
  request: PageRequest;
  parts: SignInParts;
}): Promise<{ location: string; cookies: readonly string[] } | SignInRefused> {
  const { username, password, request, parts } = given;
  const { ip, userAgent, person } = request;
  const result = await parts.signIn({
    username,
    password,
    ip,
    userAgent,
    clientId: parts.clientId,
    kind: "browser",
    ...(person && { replaces: person.session }),
  });
  parts.metrics.signedIn(result.outcome);
  switch (result.outcome) {
    case "signed_in":
    case "second_factor_required":
      return answerArrived(result, request, parts);
    case "invalid_credentials":
    case "busy":
      return { problem: result.outcome };
    case "too_many_attempts":
      return { problem: "too_many_attempts", retryAfterSeconds: result.retryAfterSeconds };
    default:
      return unreachable(result);
  }
}

/** The way on for a browser that has signed in, by whichever way, with its cookie; or to the second step. */
export function answerArrived(
  arrived: Arrived,
  request: Pick<PageRequest, "field" | "query">,
  parts: Pick<SignInParts, "view" | "browserSessions" | "ticketCookies">,
): { location: string; cookies: readonly string[] } {
  const returnTo = returnPath(request.field("return_to") || request.query.return_to);
  if (arrived.outcome === "second_factor_required") {
    return {
      location: parts.view.url("/sign-in/second-factor", { return_to: returnTo }),
      cookies: [parts.ticketCookies.set(arrived.ticket)],
    };
  }
  return {
    location: returnTo ?? parts.view.url("/account"),
    cookies: [parts.browserSessions.setCookie(arrived)],
  };
}

/** The form again, with the status and the sentence that belong to a refusal. */
export function refused(why: SignInRefused, form: (problems: FieldProblems) => string): PageAnswer {
  switch (why.problem) {
    case "invalid_credentials":
      return { status: 401, html: form(formProblem(texts.signIn.wrong)) };
    case "busy":
      return { status: 503, html: form(formProblem(texts.busy)), headers: { "Retry-After": "2" } };
    case "too_many_attempts":
      return {
        status: 429,
        html: form(formProblem(texts.tooManyAttempts(why.retryAfterSeconds))),
        headers: { "Retry-After": String(why.retryAfterSeconds) },
      };
  }
}

export const nameOf = ({ user }: Person) => user.name ?? user.username;
