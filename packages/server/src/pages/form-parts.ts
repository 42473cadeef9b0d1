import { texts } from "./texts.ts";
import { type Html, html } from "./view.ts";

/** What is wrong with a field, by the field's name. The empty name: with the form as a whole. */
export type FieldProblems = ReadonlyMap<string, string>;

export const noProblems: FieldProblems = new Map();
export const formProblem = (sentence: string): FieldProblems => new Map([["", sentence]]);

interface Field {
  readonly name: string;
  readonly label: string;
  readonly autocomplete:
    | "username"
    | "email"
    | "name"
    | "current-password"
    | "new-password"
    | "one-time-code"
    | "off";
  readonly type?: "text" | "email" | "password";
  /** What was typed before. Never a password. */
  readonly value?: string;
  readonly hint?: string;
  readonly isOptional?: boolean;
  readonly isFirst?: boolean;
  readonly problems?: FieldProblems;
}

/** A labelled field. What is wrong with it, and what is asked of it, is said together with its name. */
export function textField(field: Field): Html {
  const { name, label, hint, isOptional = false, type = "text", problems = noProblems } = field;
  const problem = problems.get(name);
  const described = [problem !== undefined && `${name}-problem`, hint !== undefined && `${name}-hint`].filter(
    Boolean,
  );
  const attributes = [
    type !== "password" && field.value ? html` value="${field.value}"` : "",
    described.length > 0 ? html` aria-describedby="${described.join(" ")}"` : "",
    problem === undefined ? "" : html` aria-invalid="true"`,
    isOptional ? "" : html` required`,
    // Where something is wrong, that is where the page begins.
    field.isFirst === true && problems.size === 0 ? html` autofocus` : "",
    field.autocomplete === "name" || field.autocomplete === "off"
      ? ""
      : html` autocapitalize="none" spellcheck="false"`,
  ];
  return html`<div class="field">
<label for="${name}">${label}${isOptional && html` <span class="muted">(${texts.optional})</span>`}</label>
${hint !== undefined && html`<p class="hint" id="${name}-hint">${hint}</p>`}
${problem !== undefined && html`<p class="problem" id="${name}-problem">${problem}</p>`}
<input id="${name}" name="${name}" type="${type}" autocomplete="${field.autocomplete}"${attributes}>
</div>`;
}

export function checkbox(box: { name: string; label: string; hint?: string; isChecked?: boolean }): Html {
  const { name, label, hint, isChecked = false } = box;
  return html`<div class="check">
<input id="${name}" name="${name}" type="checkbox" value="on"${isChecked && html` checked`}${hint !== undefined && html` aria-describedby="${name}-hint"`}>
<label for="${name}">${label}</label>
${hint !== undefined && html`<p class="hint" id="${name}-hint">${hint}</p>`}
</div>`;
}

/** What is wrong, before the form: announced, focused, with a way to each field. */
export function problemSummary(problems: FieldProblems): Html | undefined {
  if (problems.size === 0) return undefined;
  const [[name, sentence] = ["", ""]] = problems;
  const inner =
    problems.size === 1 && name === ""
      ? html`<p>${sentence}</p>`
      : html`<h2>${texts.problemsHeading(problems.size)}</h2><ul>${[...problems].map(summaryItem)}</ul>`;
  return html`<div class="notice bad" role="alert" tabindex="-1" autofocus>${inner}</div>`;
}

function summaryItem([name, sentence]: [string, string]): Html {
  return name === "" ? html`<li>${sentence}</li>` : html`<li><a href="#${name}">${sentence}</a></li>`;
}

/** What went well, told once by a code in the address. */
export function noticeOf(code: string | undefined): Html | undefined {
  if (code === undefined || !Object.hasOwn(texts.notices, code)) return undefined;
  return html`<div class="notice good" role="status"><p>${texts.notices[code as keyof typeof texts.notices]}</p></div>`;
}

/**
 * A form that is posted, with the token that proves that it is ours. What is wrong with it is said by the server, in
 * the words of this site and for every field at once, and not by the browser for the first one only.
 */
export function postForm({ action, token }: { action: string; token: string }, fields: Html): Html {
  return html`<form method="post" action="${action}" novalidate>
<input type="hidden" name="form_token" value="${token}">
${fields}
</form>`;
}

export function hidden(name: string, value: string | undefined): Html | undefined {
  return value === undefined ? undefined : html`<input type="hidden" name="${name}" value="${value}">`;
}
