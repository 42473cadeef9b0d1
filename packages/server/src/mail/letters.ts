import { limits } from "../primitives/limits.ts";
import type { Letter, QueuedMail } from "./mail.ts";
import type { MailTextKey, MailTexts } from "./text-keys.ts";
import { chosenLanguage } from "./texts.ts";
import type { Message } from "./transport.ts";

interface Dependencies {
  readonly settings: { readonly issuer: string; readonly siteName: string; readonly mailLanguage: string };
  readonly languages: ReadonlyMap<string, MailTexts>;
  readonly now: () => number;
}

/** A letter as both forms show it. Words are texts; what people and programs chose stands in `put` and `facts`. */
interface Draft {
  readonly subject: string;
  readonly greeting: string | undefined;
  readonly lead: string;
  readonly action: string;
  readonly link: string;
  readonly code: string | undefined;
  readonly goodFor: string | undefined;
  readonly facts: readonly (readonly [label: string, value: string])[];
  readonly doubt: string;
}

const factNames = ["device", "ip", "factor", "provider", "left", "by", "email"] as const;

/** The one template of every mail, as text and as HTML. */
export function createLetters({ settings, languages, now }: Dependencies) {
  const { issuer, siteName } = settings;
  const available = new Set(languages.keys());
  const site = plain(siteName);

  function write(
    id: Message["id"],
    kind: Message["kind"],
    parts: { to: string; language: string; draft: Draft },
  ) {
    const { to, language, draft } = parts;
    const words = textsOf(language);
    const sentBy = put(words.sent_by, { site });
    const message = { id, kind, to, language, at: now(), subject: draft.subject };
    return {
      ...message,
      text: asText(draft, { words, sentBy }),
      html: asHtml(draft, { words, sentBy, language }),
    } satisfies Message;
  }

  function textsOf(language: string): MailTexts {
    const words = languages.get(language) ?? languages.get(settings.mailLanguage);
    if (words === undefined) throw new Error("Bug in Keyturn: a language without words");
    return words;
  }

  return {
    /** Writes what a queued mail says, in the language of whoever asked for it. */
    write(letter: Letter, { id, languages: accept }: Pick<QueuedMail, "id" | "languages">): Message {
      const language = chosenLanguage(accept, { available, fallback: settings.mailLanguage });
      const words = textsOf(language);
      const draft = draftOf(letter, { words, language, site, account: `${issuer}/account` });
      return write(id, letter.kind, { to: letter.to, language, draft });
    },

    /** For an operator who tries the settings. */
    test({ id, to }: Pick<Message, "id" | "to">): Message {
      const language = settings.mailLanguage;
      const words = textsOf(language);
      const draft = {
        subject: put(words["test.subject"], { site }),
        greeting: undefined,
        lead: put(words["test.lead"], { site }),
        action: put(words["test.action"], { site }),
        link: issuer,
        code: undefined,
        goodFor: undefined,
        facts: [],
        doubt: put(words["test.doubt"], { site }),
      };
      return write(id, "test", { to, language, draft });
    },
  };
}

interface Writing {
  readonly words: MailTexts;
  readonly language: string;
  readonly site: string;
  readonly account: string;
}

function draftOf(letter: Letter, { words, language, site, account }: Writing): Draft {
  const { kind } = letter;
  const username = withoutLinks(plain(letter.username));
  const minutes = "minutes" in letter ? String(letter.minutes) : "";
  const say = (key: MailTextKey) => put(words[key], { site, username, minutes });
  const common = {
    subject: say(`${kind}.subject`),
    greeting: say("greeting"),
    lead: say(`${kind}.lead`),
    doubt: say(`${kind}.doubt`),
  };
  if ("link" in letter) {
    const { link, code } = letter;
    return {
      ...common,
      action: say(`${letter.kind}.action`),
      link,
      code,
      goodFor: say("good_for"),
      facts: [],
    };
  }
  const { facts, at } = letter;
  const known = factNames.flatMap((name) => {
    const value = facts[name];
    if (value === undefined) return [];
    return [[words[`fact.${name}`], name === "ip" ? plain(value) : shownValue(value, words)] as const];
  });
  const shown = [[words["fact.at"], timeIn(language, at)] as const, ...known];
  return {
    ...common,
    action: words.account,
    link: account,
    code: undefined,
    goodFor: undefined,
    facts: shown,
  };
}

/** A word of the audit log in the reader's language, or what somebody chose, made harmless. */
function shownValue(value: string, words: MailTexts): string {
  const key = `value.${value}`;
  if (Object.hasOwn(words, key)) return words[key as MailTextKey];
  return withoutLinks(plain(value));
}

function timeIn(language: string, at: number): string {
  const format = new Intl.DateTimeFormat(language, { dateStyle: "long", timeStyle: "long", timeZone: "UTC" });
  return format.format(at);
}

/** In one pass: what is put in is not looked at again. */
function put(text: string, values: Readonly<Record<string, string>>): string {
  return text.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? "");
}

/** One line, without what would turn the direction of the text around it. */
function plain(text: string): string {
  const line = text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]+/gu, " ").trim();
  return [...line].slice(0, limits.mailFactCharactersMax).join("");
}

/**
 * Mail programs make links of what looks like an address. Whoever signs up as `win-at.evil.example` with somebody
 * else's address must not have us send that person a link: a word joiner (U+2060), which is not seen, breaks it.
 */
function withoutLinks(text: string): string {
  return text.replace(/([.:/@])(?=[^\s\d])/g, "$1\u2060");
}

function asText(draft: Draft, { words, sentBy }: { words: MailTexts; sentBy: string }): string {
  const { greeting, lead, action, link, code, goodFor, facts, doubt } = draft;
  const paragraphs = [
    greeting,
    lead,
    facts.length === 0 ? undefined : facts.map(([label, value]) => `${label}: ${value}`).join("\n"),
    `${action}:\n${link}`,
    code === undefined ? undefined : `${words.code}\n\n    ${code}`,
    goodFor,
    doubt,
    sentBy,
  ];
  return `${paragraphs.filter((one) => one !== undefined).join("\n\n")}\n`;
}

const escapes: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
const escaped = (text: string) => text.replace(/[&<>"']/g, (character) => escapes[character] ?? "");

/**
 * No image, nothing loaded from anywhere, nothing that tells us that it was read. Colours only where both are said, so
 * that a program that shows mails dark cannot make text vanish.
 */
function asHtml(
  draft: Draft,
  { words, sentBy, language }: { words: MailTexts; sentBy: string; language: string },
): string {
  const { subject, greeting, lead, action, code, goodFor, facts, doubt } = draft;
  const link = escaped(draft.link);
  const p = (text: string | undefined, style = "") =>
    text === undefined ? "" : `<p${style && ` style="${style}"`}>${escaped(text)}</p>\n`;
  const rows = facts
    .map(
      ([label, value]) =>
        `<dt><strong>${escaped(label)}</strong></dt><dd style="margin:0 0 8px">${escaped(value)}</dd>`,
    )
    .join("\n");
  const shownCode =
    code === undefined
      ? ""
      : `${p(words.code)}<p style="font-family:monospace;font-size:28px;letter-spacing:4px;margin:16px 0"><strong>${escaped(code)}</strong></p>\n`;
  return `<!doctype html>
<html lang="${escaped(language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>${escaped(subject)}</title>
</head>
<body dir="auto" style="margin:0;padding:24px;font-family:system-ui,-apple-system,'Segoe UI',sans-serif;font-size:16px;line-height:1.5">
<div role="main" style="max-width:560px;margin:0 auto">
<h1 style="font-size:20px;line-height:1.3">${escaped(subject)}</h1>
${p(greeting)}${p(lead)}${rows && `<dl>\n${rows}\n</dl>\n`}<p style="margin:24px 0"><a href="${link}" style="display:inline-block;padding:12px 20px;border-radius:8px;background-color:#0f6b5c;color:#ffffff;font-weight:600;text-decoration:none">${escaped(action)}</a></p>
<p>${escaped(words.link)}<br><a href="${link}" style="color:inherit;word-break:break-all">${link}</a></p>
${shownCode}${p(goodFor)}${p(doubt)}<hr style="border:0;border-top:1px solid #888888;margin:24px 0">
${p(sentBy, "font-size:14px")}</div>
</body>
</html>
`;
}
