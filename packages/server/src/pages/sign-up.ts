import type { Settings } from "../config-schema.ts";
import type { Page, PageAnswer, PageRequest } from "../http/page.ts";
import { unreachable } from "../primitives/assert.ts";
import { checkEmail, checkName, checkUsername } from "../users/names.ts";
import type { Users } from "../users/users.ts";
import {
  type FieldProblems,
  formProblem,
  hidden,
  noProblems,
  postForm,
  problemSummary,
  textField,
} from "./form-parts.ts";
import { returnPath } from "./return-to.ts";
import { nameOf, refused, type SignInParts, signInAs } from "./sign-in.ts";
import { texts } from "./texts.ts";
import { html } from "./view.ts";

interface Parts extends SignInParts {
  readonly settings: SignInParts["settings"] & Pick<Settings, "passwordCharactersMin">;
  readonly users: Pick<Users, "register" | "passwordProblem">;
}

/** GET and POST /sign-up. */
export function signUpPages(parts: Parts): Page[] {
  const { view, settings } = parts;
  const words = texts.signUp;

  function form(request: PageRequest, problems: FieldProblems): string {
    const { person } = request;
    const returnTo = returnPath(request.field("return_to") || request.query.return_to);
    const typed = (name: string) => ({ name, value: request.field(name), problems });
    const passwordHint = words.passwordHint(settings.passwordCharactersMin);
    const fields = html`${hidden("return_to", returnTo)}
${textField({ ...typed("username"), label: texts.usernameLabel, autocomplete: "username", hint: words.usernameHint, isFirst: true })}
${textField({ ...typed("password"), label: texts.passwordLabel, type: "password", autocomplete: "new-password", hint: passwordHint })}
${textField({ ...typed("email"), label: texts.emailLabel, type: "email", autocomplete: "email", hint: words.emailHint, isOptional: true })}
${textField({ ...typed("name"), label: words.nameLabel, autocomplete: "name", hint: words.nameHint, isOptional: true })}
<button>${words.submit}</button>`;
    const body = html`<div class="card">
<h1>${words.title}</h1>
${problemSummary(problems)}
${person && html`<p class="muted">${words.someoneElseWarning(nameOf(person))}</p>`}
${postForm({ action: view.url("/sign-up"), token: request.formToken }, fields)}
</div>
<p class="below">${words.haveOne} <a href="${view.url("/sign-in", { return_to: returnTo })}">${words.signIn}</a></p>`;
    return view.page({ title: words.title, body, isError: problems.size > 0 });
  }

  function closed(): PageAnswer {
    const body = html`<div class="card">
<h1>${words.closedTitle}</h1>
<p>${words.closed}</p>
<p class="actions"><a class="button quiet" href="${view.url("/sign-in")}">${words.signIn}</a></p>
</div>`;
    return { status: 403, html: view.page({ title: words.closedTitle, body, isError: true }) };
  }

  async function submit(request: PageRequest): Promise<PageAnswer> {
    const wanted = readWanted(request);
    const again = (problems: FieldProblems) => form(request, problems);
    const problems = await problemsOf(wanted, parts.users);
    if (problems.size > 0) return { status: 422, html: again(problems) };
    const result = await parts.users.register(wanted, {
      ip: request.ip,
      languages: request.header("accept-language"),
    });
    switch (result.outcome) {
      case "registered":
        break;
      case "registration_refused":
        return { status: 409, html: again(formProblem(words.refused)) };
      case "invalid":
        return {
          status: 422,
          html: again(new Map([[result.field, texts.problemOf(result.field, result.problem)]])),
        };
      case "too_many_attempts":
        return refused({ problem: "too_many_attempts", retryAfterSeconds: result.retryAfterSeconds }, again);
      case "busy":
        return refused({ problem: "busy" }, again);
      default:
        return unreachable(result);
    }
    const { username, password } = wanted;
    const signedIn = await signInAs({ username, password, request, parts });
    // The account is there; whatever is in the way just now, the next try signs in.
    if ("problem" in signedIn) return { location: view.url("/sign-in") };
    return signedIn;
  }

  const isOpen = settings.registration === "open";
  return [
    {
      method: "GET",
      path: "/sign-up",
      summary: "The form that makes an account, where `registration` is open",
      access: "anyone",
      tokenOf: "browser",
      query: { return_to: { about: "Where to go on afterwards: a path of this origin" } },
      handle: (request) => (isOpen ? { status: 200, html: form(request, noProblems) } : closed()),
    },
    {
      method: "POST",
      path: "/sign-up",
      summary: "Makes an account and signs in",
      access: "anyone",
      tokenOf: "browser",
      fields: {
        username: { about: "The username" },
        password: { about: "The password" },
        email: { about: "An e-mail address; may be empty" },
        name: { about: "A name to be called by; may be empty" },
        return_to: { about: "Where to go on afterwards: a path of this origin; /account otherwise" },
      },
      handle: (request) => (isOpen ? submit(request) : closed()),
      again: (request) =>
        isOpen ? { status: 403, html: form(request, formProblem(texts.formOutOfDate)) } : closed(),
    },
  ];
}

type Wanted = ReturnType<typeof readWanted>;

function readWanted({ field }: PageRequest) {
  return {
    username: field("username"),
    password: field("password"),
    email: field("email").trim() || undefined,
    name: field("name").trim() || undefined,
  };
}

/** All that is wrong at once, by the rules that `register` asks one after the other. */
async function problemsOf(
  { username, password, email, name }: Wanted,
  { passwordProblem }: Parts["users"],
): Promise<FieldProblems> {
  const problems = new Map<string, string>();
  const note = (field: string, checked: { ok: boolean; problem?: string } | undefined) => {
    if (checked?.problem !== undefined) problems.set(field, texts.problemOf(field, checked.problem));
  };
  note("username", checkUsername(username));
  const problem = await passwordProblem(password, { username, email });
  if (problem !== undefined) problems.set("password", texts.problemOf("password", problem));
  note("email", email === undefined ? undefined : checkEmail(email));
  note("name", name === undefined ? undefined : checkName(name));
  return problems;
}
