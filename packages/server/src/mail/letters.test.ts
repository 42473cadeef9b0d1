import assert from "node:assert/strict";
import { test } from "node:test";
import { WrongSetting } from "../config.ts";
import { newId } from "../primitives/id.ts";
import { createLetters } from "./letters.ts";
import { codeLetters, type Letter, noticeLetters } from "./mail.ts";
import { mailTextKeys, placeholders } from "./text-keys.ts";
import { chosenLanguage, mailTextsWith } from "./texts.ts";

const AT = Date.UTC(2026, 10, 25, 22, 30);
const settings = { issuer: "https://login.example.com", siteName: "Orchard", mailLanguage: "en" };

function write(
  letter: Partial<Letter>,
  more: { languages?: string; siteName?: string; input?: unknown } = {},
) {
  const languages = mailTextsWith(more.input ?? {}, "en");
  const letters = createLetters({
    settings: { ...settings, siteName: more.siteName ?? settings.siteName },
    languages,
    now: () => AT,
  });
  const full = { to: "alice@example.com", username: "alice", ...letter } as Letter;
  return letters.write(full, { id: newId(AT), languages: more.languages });
}

const link = "https://login.example.com/reset#kmc_abc";
const facts = {
  device: "Firefox, Linux",
  ip: "2001:db8::7",
  factor: "passkey",
  provider: "Google",
  left: "3",
  by: "operator",
  email: "new@example.com",
};
const every: Partial<Letter>[] = [
  ...codeLetters.map((kind) => ({ kind, link, code: "123456", minutes: 15 })),
  ...noticeLetters.map((kind) => ({ kind, at: AT, facts })),
];

test("every letter in every language has a subject, text and HTML, and no placeholder is left", () => {
  for (const languages of ["en", "de"]) {
    for (const letter of every) {
      const { subject, text, html, language } = write(letter, { languages });
      assert.equal(language, languages);
      for (const part of [subject, text, html]) {
        assert.notEqual(part.trim(), "");
        assert.doesNotMatch(part.replace(/style="[^"]*"/g, ""), /[{}]|undefined|NaN|\[object/, letter.kind);
      }
      assert.match(html, new RegExp(`<html lang="${languages}">`));
      assert.match(text, /alice/);
      assert.match(text, /Orchard/);
    }
  }
});

test("languages say different things, and no text of one is missing in the other", () => {
  const languages = mailTextsWith({}, "en");
  const [en, de] = [languages.get("en"), languages.get("de")];
  assert.ok(en && de);
  assert.deepEqual(Object.keys(en).sort(), [...mailTextKeys].sort());
  assert.deepEqual(Object.keys(de).sort(), [...mailTextKeys].sort());
  for (const key of mailTextKeys) {
    assert.ok(!en[key].includes("  ") && !de[key].includes("  "), key);
    const used = (text: string) => placeholders.filter((name) => text.includes(`{${name}}`)).sort();
    assert.deepEqual(used(de[key]), used(en[key]), key);
  }
});

test("a letter with a link has it as text too, with its code and how long they are good for", () => {
  const { text, html } = write({ kind: "reset_password", link, code: "123456", minutes: 15 });
  for (const part of [text, html]) {
    assert.ok(part.includes(link) && part.includes("123456") && part.includes("15 minutes"));
  }
  assert.ok(text.split("\n").includes(link), "on a line by itself");
  const without = write({ kind: "verify_address", link, minutes: 60 });
  assert.doesNotMatch(without.text, /code/i);
});

test("a notice says when, on what, from where and by whom, and leads to the account, with nothing that opens anything", () => {
  const { text } = write({ kind: "factor_removed", at: AT, facts });
  assert.match(text, /November 25, 2026.*10:30:00 PM UTC/);
  assert.match(text, /a passkey/);
  assert.match(text, /2001:db8::7/);
  assert.match(text, /the operator of this site/);
  assert.match(text, /https:\/\/login\.example\.com\/account$/m);
});

test("HTML of a name, a device or a site's name is shown, not obeyed", () => {
  const evil = `<img src=x onerror="alert('1')">&`;
  const { html } = write(
    { kind: "new_device", username: evil, at: AT, facts: { device: evil } },
    { siteName: evil },
  );
  assert.doesNotMatch(html, /<img|onerror="/);
  assert.match(html, /&lt;img src=x onerror=&quot;alert/);
  const quoted = write({ kind: "sign_in", link: `https://a.example/"><script>`, minutes: 5 });
  assert.doesNotMatch(quoted.html, /<script>/);
});

test("nothing in HTML is loaded from anywhere, and nothing tells that a mail was read", () => {
  for (const letter of every) {
    const { html } = write(letter);
    assert.doesNotMatch(html, /<img|<link|<script|<iframe|@import|url\(|src=|background=/i);
    const addresses = [...html.matchAll(/https?:\/\/[^\s"<]+/g)].map(([address]) => address);
    assert.ok(addresses.every((address) => address.startsWith(settings.issuer)));
  }
});

test("whoever signs up under a name like an address does not have us mail a link to somebody else", () => {
  const username = "free-money.evil.example";
  const { text, html } = write({ kind: "verify_address", username, link, minutes: 60 });
  assert.ok(!text.includes("evil.example") && !html.includes("evil.example"));
  const notice = write({ kind: "new_device", at: AT, facts: { device: "https://evil.example/x" } });
  assert.ok(!notice.text.includes("evil.example") && !notice.text.includes("https://evil"));
});

test("line breaks and direction marks in names are taken out, and braces in them are not filled in", () => {
  const username = "al\r\nice\u202e\u2028{site}{code}";
  const { subject, text } = write(
    { kind: "sign_in", username, link, minutes: 5 },
    { siteName: "O\nX{minutes}" },
  );
  assert.equal(subject, "Sign in to O X{minutes}");
  assert.match(text, /^Hello al ice {site}{code},$/m);
});

test("long names are cut: a letter stays a letter", () => {
  const { text } = write({
    kind: "new_device",
    username: "🦀".repeat(5000),
    at: AT,
    facts: { device: "x".repeat(1e6) },
  });
  assert.ok(text.length < 5000);
  assert.ok(text.isWellFormed());
});

test("RFC 9110 §12.5.4: the language that is preferred among those that there are", () => {
  const available = new Set(["en", "de", "pt-BR"]);
  const choose = (accept: string | undefined) => chosenLanguage(accept, { available, fallback: "en" });
  const cases: [string | undefined, string][] = [
    [undefined, "en"],
    ["", "en"],
    ["de", "de"],
    ["de-AT,de;q=0.9,en;q=0.8", "de"],
    ["fr,de;q=0.5,en;q=0.8", "en"],
    ["fr, de;q=0.8 , en;q=0.2", "de"],
    ["DE", "de"],
    ["pt-br", "pt-BR"],
    ["pt", "en"],
    ["*", "en"],
    ["de;q=0", "en"],
    ["de;q=x", "en"],
    [`${"x,".repeat(100_000)}de`, "en"],
    ["__proto__,constructor", "en"],
    ["{site}\r\nBcc: eve", "en"],
  ];
  for (const [accept, language] of cases) assert.equal(choose(accept), language, accept?.slice(0, 50));
});

test("an operator changes some words, and adds a language by all of them", () => {
  const input = { en: { "sign_in.subject": "Come in to {site}" } };
  assert.equal(write({ kind: "sign_in", link, minutes: 5 }, { input }).subject, "Come in to Orchard");
  const fr = Object.fromEntries(mailTextKeys.map((key) => [key, `fr ${key}`]));
  const written = write({ kind: "sign_in", link, minutes: 5 }, { input: { fr }, languages: "fr-CH" });
  assert.equal(written.subject, "fr sign_in.subject");
  assert.equal(written.language, "fr");
});

test("wrong words stop the start with a line that names them", () => {
  const fr = Object.fromEntries(mailTextKeys.map((key) => [key, "x"]));
  const { greeting: _, ...lacking } = fr;
  const cases: [unknown, RegExp][] = [
    [null, /must give an object of languages/],
    [[], /must give an object/],
    [{ french: fr }, /names a language "french"/],
    [{ fr: lacking }, /lacks texts of fr: greeting/],
    [{ en: "x" }, /gives en no object/],
    [{ en: { hello: "x" } }, /en: hello, which is no text of ours/],
    [{ en: { greeting: 5 } }, /en: greeting, which takes 1 to/],
    [{ en: { greeting: "" } }, /en: greeting, which takes 1 to/],
    [{ en: { greeting: "x".repeat(1001) } }, /en: greeting, which takes 1 to/],
    [{ en: { greeting: "a\nb" } }, /en: greeting with a control character/],
    [{ en: { greeting: "Hi {name}" } }, /en: greeting with \{name\}; there is \{site\}/],
    [{ en: { greeting: "Hi {username" } }, /./],
  ];
  for (const [input, expected] of cases.slice(0, -1)) {
    assert.throws(
      () => mailTextsWith(input, "en"),
      (error) => error instanceof WrongSetting && expected.test(error.message),
      JSON.stringify(input)?.slice(0, 100),
    );
  }
  assert.throws(() => mailTextsWith({}, "fr"), /mailLanguage is "fr"; there is en, de/);
});
