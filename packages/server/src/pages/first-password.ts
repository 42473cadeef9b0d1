import type { Settings } from "../config-schema.ts";
import type { Page, PageAnswer, PersonRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import type { Users } from "../users/users.ts";
import {
  type FieldProblems,
  formProblem,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { isRecent, type RecentParts } from "./recent.ts";
import { refused } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html, type View } from "./view.ts";

interface Parts extends RecentParts {
  readonly view: View;
  readonly settings: Pick<Settings, "passwordCharactersMin">;
  readonly users: Pick<Users, "hasPassword" | "setFirstPassword">;
}

/** GET and POST /account/password/first: for who came by a provider and has no password to change. */
export function firstPasswordPages({ view, settings, users, factors }: Parts): Page[] {
  const words = texts.providers.firstPassword;
  const path = "/account/password/first";
  const strangersGoTo = () => view.url("/sign-in", { return_to: view.url(path) });

  function form({ person, formToken }: PersonRequest, problems: FieldProblems): string {
    const fields = html`<input type="text" value="${person.user.username}" autocomplete="username" readonly hidden>
${textField({ name: "password", label: texts.passwordLabel, type: "password", autocomplete: "new-password", hint: texts.password.newHint(settings.passwordCharactersMin), isFirst: true, problems })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
<p>${words.about}</p>
${problemSummary(problems)}
${postForm({ action: view.url(path), token: formToken }, fields)}
</div>
<p class="below"><a href="${view.url("/account")}">${texts.password.back}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0 });
  }

  /** Where somebody goes who has nothing to do here, or has to sign in again first. */
  async function elsewhere({ person }: PersonRequest): Promise<PageAnswer | undefined> {
    if (await users.hasPassword(person.user.id)) return { location: view.url("/account/password") };
    if (await isRecent(person, { factors })) return undefined;
    return { location: view.url("/sign-in", { as: "someone-else", return_to: view.url(path) }) };
  }

  async function submit(request: PersonRequest): Promise<PageAnswer> {
    const { person, field, ip } = request;
    const again = (problems: FieldProblems) => form(request, problems);
    const set = await users.setFirstPassword(person.user.id, field("password"), { actor: "user", ip });
    switch (set.outcome) {
      case "set":
        return { location: view.url("/account", { notice: "password-changed" }) };
      case "has_one":
        return { location: view.url("/account/password") };
      case "invalid": {
        const problem = texts.problemOf(set.field, set.problem);
        return { status: 422, html: again(new Map([["password", problem]])) };
      }
      case "busy":
        return refused({ problem: "busy" }, again);
      default:
        return unreachable(set);
    }
  }

  return [
    {
      method: "GET",
      path,
      summary: "The form that sets a password, for who has none",
      access: "person",
      strangersGoTo,
      handle: async (request) =>
        (await elsewhere(request)) ?? { status: 200, html: form(request, noProblems) },
    },
    {
      method: "POST",
      path,
      summary: "Sets a password for who has none; who has not signed in lately is asked to do so first",
      access: "person",
      fields: { password: { about: "The password" } },
      strangersGoTo,
      handle: async (request) => (await elsewhere(request)) ?? submit(request),
      again: (request) => ({ status: 403, html: form(request, formProblem(texts.formOutOfDate)) }),
    },
  ];
}
