import type { Settings } from "../config-schema.ts";
import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import { limits } from "../primitives/limits.ts";
import {
  checkbox,
  type FieldProblems,
  formProblem,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { askedFrom, card, linkGone, type MailParts, notAsked } from "./mail-parts.ts";
import { refused } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html } from "./view.ts";

type Parts = MailParts & { readonly settings: Pick<Settings, "passwordCharactersMin"> };

const RESET = "/password/reset";

/** GET and POST /forgotten, and /password/reset, where the link of the letter leads. */
export function forgottenPages({ view, mailing, mailCookies, settings }: Parts): Page[] {
  const words = texts.mail;
  const link = mailCookies.resetLink;

  function askForm(request: PageRequest, problems: FieldProblems): string {
    const { title, about, submit } = words.forgotten;
    const email = request.field("email");
    const fields = html`${textField({ name: "email", label: texts.emailLabel, type: "email", autocomplete: "email", value: email, isFirst: true, problems })}
<button>${submit}</button>`;
    const body = html`${card(
      title,
      html`${problemSummary(problems)}
<p>${about}</p>
${postForm({ action: view.url("/forgotten"), token: request.formToken }, fields)}`,
    )}
<p class="below"><a href="${view.url("/sign-in")}">${words.toSignIn}</a></p>`;
    return view.page({ title, body, isError: problems.size > 0 });
  }

  function sent(): PageAnswer {
    const { sentTitle: title, sent: sentence } = words.forgotten;
    const body = html`${card(title, html`<p>${sentence}</p><p class="muted">${words.lookForIt(limits.resetPasswordMinutes)}</p>`)}
<p class="below"><a href="${view.url("/sign-in")}">${words.toSignIn}</a></p>`;
    return { status: 200, html: view.page({ title, body }) };
  }

  async function ask(request: PageRequest): Promise<PageAnswer> {
    const asked = await mailing.ask.reset(request.field("email"), askedFrom(request));
    if (asked.outcome !== "asked") return notAsked(asked, (problems) => askForm(request, problems));
    return { location: view.url("/forgotten", { sent: "yes" }) };
  }

  async function resetForm(request: PageRequest, problems: FieldProblems): Promise<string | undefined> {
    const secret = link.valueIn(request);
    const user = secret === undefined ? undefined : await mailing.passwordReset.find(secret);
    if (user === undefined) return undefined;
    const { title, about, endSessions, endSessionsHint, submit } = words.reset;
    const isChecked = request.field("form_token") === "" || request.field("end_sessions") === "on";
    // The username is for password managers, which otherwise do not know whose password changes.
    const fields = html`<input type="text" value="${user.username}" autocomplete="username" readonly hidden>
${textField({ name: "password", label: texts.password.newLabel, type: "password", autocomplete: "new-password", hint: texts.password.newHint(settings.passwordCharactersMin), isFirst: true, problems })}
${checkbox({ name: "end_sessions", label: endSessions, hint: endSessionsHint, isChecked })}
<button>${submit}</button>`;
    const body = card(
      title,
      html`${problemSummary(problems)}
<p>${about(user.username)}</p>
${postForm({ action: view.url(RESET), token: request.formToken }, fields)}`,
    );
    return view.page({ title, body, isError: problems.size > 0 });
  }

  function done(): PageAnswer {
    const { doneTitle: title, done: sentence, signIn } = words.reset;
    const body = card(
      title,
      html`<p>${sentence}</p>
<p class="actions"><a class="button" href="${view.url("/sign-in")}">${signIn}</a></p>`,
    );
    return { status: 200, html: view.page({ title, body }) };
  }

  const gone = () => linkGone(view, { path: "/forgotten", label: words.forgotten.submit });

  async function show(request: PageRequest): Promise<PageAnswer> {
    const { token, done: isDone } = request.query;
    if (token !== undefined) return { location: view.url(RESET), cookies: [link.set(token)] };
    if (isDone !== undefined) return done();
    const form = await resetForm(request, noProblems);
    return form === undefined ? gone() : { status: 200, html: form };
  }

  /** The form again, if the link is still good. */
  async function again(
    request: PageRequest,
    given: { status: 403 | 422; problems: FieldProblems },
  ): Promise<PageAnswer> {
    const form = await resetForm(request, given.problems);
    return form === undefined ? gone() : { status: given.status, html: form };
  }

  async function reset(request: PageRequest): Promise<PageAnswer> {
    const { field, ip } = request;
    const result = await mailing.passwordReset.reset({
      link: link.valueIn(request) ?? "",
      password: field("password"),
      endSessions: field("end_sessions") === "on",
      ip,
    });
    switch (result.outcome) {
      case "reset":
        return { location: view.url(RESET, { done: "yes" }), cookies: [link.clear()] };
      case "invalid_mail_code":
        return { ...gone(), cookies: [link.clear()] };
      case "invalid": {
        const problem = texts.problemOf(result.field, result.problem);
        return again(request, { status: 422, problems: new Map([["password", problem]]) });
      }
      case "busy": {
        const form = await resetForm(request, formProblem(texts.busy));
        return form === undefined ? gone() : refused({ problem: "busy" }, () => form);
      }
      default:
        return unreachable(result);
    }
  }

  const anyone = { access: "anyone", tokenOf: "browser" } as const;
  return [
    {
      ...anyone,
      method: "GET",
      path: "/forgotten",
      summary: "The form that asks for a link to choose a new password",
      query: { sent: { about: "`yes`: the letter was asked for" } },
      handle: (request: PageRequest): PageAnswer =>
        request.query.sent === undefined ? { status: 200, html: askForm(request, noProblems) } : sent(),
    },
    {
      ...anyone,
      method: "POST",
      path: "/forgotten",
      summary: "Asks for that link; the answer is the same whether or not anybody has the address",
      fields: { email: { about: "The address" } },
      handle: ask,
      again: (request: PageRequest): PageAnswer => ({
        status: 403,
        html: askForm(request, formProblem(texts.formOutOfDate)),
      }),
    },
    {
      ...anyone,
      method: "GET",
      path: RESET,
      besideEndpoint: true,
      summary: "Where the link leads: sets its secret aside in a cookie, then shows the form",
      query: { token: { about: "The secret of the link" }, done: { about: "`yes`: it is done" } },
      handle: show,
    },
    {
      ...anyone,
      method: "POST",
      path: RESET,
      besideEndpoint: true,
      summary: "Sets the new password; signs nobody in",
      fields: {
        password: { about: "The new password" },
        end_sessions: { about: "`on`: all sessions of the user end" },
      },
      handle: reset,
      again: (request: PageRequest): Promise<PageAnswer> =>
        again(request, { status: 403, problems: formProblem(texts.formOutOfDate) }),
    },
  ];
}
