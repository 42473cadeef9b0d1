import type { Settings } from "../config-schema.ts";
import type { BrowserSessions } from "../http/browser-sessions.ts";
import type { Page, PageAnswer, PersonRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Factors } from "../users/factors/factors.ts";
import type { Users } from "../users/users.ts";
import {
  checkbox,
  type FieldProblems,
  formProblem,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { refused } from "./sign-in.ts";
import { type NoticeCode, texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts {
  readonly view: View;
  readonly settings: Pick<Settings, "passwordCharactersMin">;
  readonly users: Pick<Users, "changePassword">;
  readonly browserSessions: Pick<BrowserSessions, "setCookie">;
  readonly factors: Pick<Factors, "stepUp">;
}

/** GET and POST /account/password. */
export function passwordPages({ view, settings, users, browserSessions, factors }: Parts): Page[] {
  const words = texts.password;

  function form(request: PersonRequest, problems: FieldProblems): string {
    const { user } = request.person;
    const isChecked = request.field("form_token") === "" || request.field("end_others") === "on";
    // The username is for password managers, which otherwise do not know whose password changes.
    const fields = html`<input type="text" value="${user.username}" autocomplete="username" readonly hidden>
${textField({ name: "current_password", label: words.currentLabel, type: "password", autocomplete: "current-password", isFirst: true, problems })}
${textField({ name: "password", label: words.newLabel, type: "password", autocomplete: "new-password", hint: words.newHint(settings.passwordCharactersMin), problems })}
${checkbox({ name: "end_others", label: words.endOthers, hint: words.endOthersHint, isChecked })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
${problemSummary(problems)}
${postForm({ action: view.url("/account/password"), token: request.formToken }, fields)}
</div>
<p class="below"><a href="${view.url("/account")}">${words.back}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0 });
  }

  const proofFirst = (): PageAnswer => ({
    location: view.url("/step-up", { return_to: view.url("/account/password") }),
  });

  async function show(request: PersonRequest): Promise<PageAnswer> {
    if (await factors.stepUp.isNeededForPassword(request.person.session)) return proofFirst();
    return { status: 200, html: form(request, noProblems) };
  }

  async function submit(request: PersonRequest): Promise<PageAnswer> {
    if (await factors.stepUp.isNeededForPassword(request.person.session)) return proofFirst();
    const { person, field, ip } = request;
    const [current, password] = [field("current_password"), field("password")];
    const again = (problems: FieldProblems) => form(request, problems);
    const atField = (name: string, sentence: string): PageAnswer => ({
      status: 422,
      html: again(new Map([[name, sentence]])),
    });
    if (current === "") return atField("current_password", words.missingCurrent);
    const endOthers = field("end_others") === "on";
    const changed = await users.changePassword({ session: person.session, current, password, endOthers, ip });
    switch (changed.outcome) {
      case "changed": {
        const { session, credential } = changed;
        const notice: NoticeCode = endOthers ? "password-changed-others-ended" : "password-changed";
        const cookies = credential === undefined ? [] : [browserSessions.setCookie({ session, credential })];
        return { location: view.url("/account", { notice }), cookies };
      }
      case "wrong_password":
        return atField("current_password", words.wrong);
      case "invalid":
        return atField("password", texts.problemOf(changed.field, changed.problem));
      case "too_many_attempts":
        return refused({ problem: "too_many_attempts", retryAfterSeconds: changed.retryAfterSeconds }, again);
      case "busy":
        return refused({ problem: "busy" }, again);
      default:
        return unreachable(changed);
    }
  }

  const strangersGoTo = () => view.url("/sign-in", { return_to: view.url("/account/password") });
  return [
    {
      method: "GET",
      path: "/account/password",
      summary: "The form that changes the password",
      access: "person",
      strangersGoTo,
      handle: show,
    },
    {
      method: "POST",
      path: "/account/password",
      summary: "Changes the password; this browser gets a new session in place of its own",
      access: "person",
      fields: {
        current_password: { about: "The password until now" },
        password: { about: "The new one" },
        end_others: { about: "`on`: the user's other sessions end" },
      },
      strangersGoTo,
      handle: submit,
      again: (request) => ({ status: 403, html: form(request, formProblem(texts.formOutOfDate)) }),
    },
  ];
}
