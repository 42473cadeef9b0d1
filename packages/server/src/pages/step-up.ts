import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Page, PageAnswer, PageRequest, PersonRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Factors } from "../users/factors/factors.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { passkeyArea, passkeyFrom } from "./passkey-area.ts";
import { returnPath } from "./return-to.ts";
import { refused } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly factors: Pick<Factors, "stepUp" | "ownedBy">;
  readonly browserSessions: Pick<BrowserSessions, "setCookie">;
}

/** GET and POST /step-up: somebody who is signed in proves it again, and goes on. */
export function stepUpPages({ view, factors, browserSessions }: Parts): Page[] {
  const words = texts.factors.stepUp;
  const returnToOf = (request: PageRequest) =>
    returnPath(request.field("return_to") || request.query.return_to);

  async function form(request: PersonRequest, problems: FieldProblems): Promise<string> {
    const { person, formToken: token } = request;
    const action = view.url("/step-up");
    const returnTo = returnToOf(request);
    const [owned, options] = await Promise.all([
      factors.ownedBy(person.user.id),
      factors.stepUp.passkeyOptions(person.session),
    ]);
    const fields = html`${hidden("return_to", returnTo)}
<input type="text" value="${person.user.username}" autocomplete="username" readonly hidden>
${textField({ name: "password", label: texts.passwordLabel, type: "password", autocomplete: "current-password", isFirst: true, problems })}
${owned.hasSecond && textField({ name: "code", label: words.codeLabel, autocomplete: "one-time-code", problems })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
${problemSummary(problems)}
<p>${words.about}</p>
${options && passkeyArea({ kind: "get", options, action, token, button: words.passkey, returnTo })}
${postForm({ action, token }, fields)}
</div>
<p class="below"><a href="${view.url("/account")}">${words.cancel}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0, hasScript: true });
  }

  async function submit(request: PersonRequest): Promise<PageAnswer> {
    const { person, field, ip } = request;
    const proven = await factors.stepUp.prove({
      ...person,
      ip,
      password: field("password"),
      code: field("code"),
      passkey: passkeyFrom(field("passkey")),
    });
    switch (proven.outcome) {
      case "proven": {
        const { session, credential } = proven;
        const cookies = credential === undefined ? [] : [browserSessions.setCookie({ session, credential })];
        return { location: returnToOf(request) ?? view.url("/account"), cookies };
      }
      case "wrong_proof":
        return { status: 401, html: await form(request, formProblem(words.wrong)) };
      case "busy":
      case "too_many_attempts": {
        const again = await form(
          request,
          formProblem(
            proven.outcome === "busy" ? texts.busy : texts.tooManyAttempts(proven.retryAfterSeconds),
          ),
        );
        return refused(
          proven.outcome === "busy"
            ? { problem: "busy" }
            : { problem: "too_many_attempts", retryAfterSeconds: proven.retryAfterSeconds },
          () => again,
        );
      }
      default:
        return unreachable(proven);
    }
  }

  // Who signs in now has just proven it.
  const strangersGoTo = (request: PageRequest) =>
    view.url("/sign-in", { return_to: returnToOf(request) ?? view.url("/account") });
  const base = {
    access: "person",
    path: "/step-up",
    hasScript: true,
    // POST /step-up of the API has the same address.
    besideEndpoint: true,
    strangersGoTo,
  } as const;
  return [
    {
      ...base,
      method: "GET",
      summary: "Asks who is signed in to prove it again, before a sensitive act",
      query: { return_to: { about: "Where to go on afterwards: a path of this origin" } },
      handle: async (request: PersonRequest): Promise<PageAnswer> => ({
        status: 200,
        html: await form(request, noProblems),
      }),
    },
    {
      ...base,
      method: "POST",
      summary: "Proves it: the browser's session goes on under a new id, proven now",
      fields: {
        password: { about: "The password" },
        code: { about: "With it, for who has a second factor: six digits, or a recovery code" },
        passkey: { about: "In place of both: what the browser answers for a passkey, as JSON" },
        return_to: { about: "Where to go on afterwards: a path of this origin; /account otherwise" },
      },
      handle: submit,
      again: async (request: PersonRequest): Promise<PageAnswer> => ({
        status: 403,
        html: await form(request, formProblem(texts.formOutOfDate)),
      }),
    },
  ];
}
