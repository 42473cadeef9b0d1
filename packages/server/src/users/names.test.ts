import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  checkEmail,
  checkName,
  checkRoles,
  checkUsername,
  cleanText,
  emailKey,
  loginKey,
  usernameKey,
} from "./names.ts";
import { normalisePassword, passwordProblem } from "./password-rules.ts";

const megabyte = "a".repeat(1_000_000);

describe("usernames", () => {
  test("are 1 to 64 letters, digits and . _ + - of any script", () => {
    for (const name of [
      "a",
      "alice",
      "Zoë",
      "李雷",
      "мария",
      "o.k_2+x-y",
      "_bot",
      "7",
      "a".repeat(64),
      "नेहा",
    ]) {
      assert.deepEqual(checkUsername(name), { ok: true, value: name.normalize("NFKC") }, name);
    }
    const wrong = [
      "",
      " ",
      "-a",
      ".a",
      "a b",
      "a@b",
      "a/b",
      "a\0b",
      "a\nb",
      "<a>",
      "a'b",
      "🦊",
      "a🦊",
      "\ud800a",
      "a\u200bb",
    ];
    for (const name of [
      ...wrong,
      "a\u202eb",
      "\u3164",
      "a\ufe0f",
      "a".repeat(65),
      megabyte,
      "018f0000-0000-7000-8000-0123456789AB",
    ]) {
      const checked = checkUsername(name);
      assert.equal(checked.ok, false, JSON.stringify(name.slice(0, 40)));
      assert.match(checked.ok ? "" : checked.problem, /\.$/);
    }
  });

  test("UAX #15: compatibility spellings of one name are one name", () => {
    assert.deepEqual(checkUsername("  ａｌｉｃｅ "), { ok: true, value: "alice" });
    for (const [one, other] of [
      ["ＡLICE", "alice"],
      ["ﬁn", "FIN"],
      ["e\u0301va", "Éva"],
      ["ς", "Σ"],
      ["straße", "STRASSE"],
      ["K", "k"],
    ] as const) {
      assert.equal(usernameKey(one), usernameKey(other));
    }
    assert.notEqual(usernameKey("аlice"), usernameKey("alice"), "Cyrillic а is another letter");
  });

  test("the key of a stored name is stable: of the key, of the name in either case, for every letter there is", () => {
    for (let code = 0; code <= 0x10ffff; code++) {
      const checked = checkUsername(String.fromCodePoint(code));
      if (!checked.ok) continue;
      const key = usernameKey(checked.value);
      assert.equal(usernameKey(key), key, code.toString(16));
      assert.equal(usernameKey(checked.value.toUpperCase()), key, code.toString(16));
    }
  });
});

describe("e-mail addresses", () => {
  test("are checked for their form, not for more", () => {
    for (const email of [
      "alice@example.com",
      "a+b.c@sub.example.co.uk",
      "x@localhost",
      "用户@例子.广告",
      "o'brien@example.com",
    ]) {
      assert.equal(checkEmail(email).ok, true, email);
    }
    const wrong = [
      "",
      "@",
      "a@",
      "@b.com",
      "a b@c.com",
      "a@b@c.com",
      ".a@b.com",
      "a..b@c.com",
      "a.@b.com",
      "a@b..com",
      "a@-b.com",
    ];
    const worse = [
      "a@1.2.3.4",
      "a@[::1]",
      "a@b.com:80",
      "a@b%2ecom",
      "a@b.com/x",
      "a\0@b.com",
      "a@b.com\n x",
      "\ud800@b.com",
      '"a"@b.com',
    ];
    for (const email of [
      ...wrong,
      ...worse,
      `${"a".repeat(65)}@b.com`,
      `a@${"b.".repeat(130)}com`,
      `${megabyte}@b.com`,
    ]) {
      assert.equal(checkEmail(email).ok, false, email.slice(0, 40));
    }
  });

  test("are one address in upper and lower case, and in both spellings of an international domain", () => {
    assert.equal(emailKey("Alice@Example.COM"), "alice@example.com");
    assert.equal(emailKey("a@CAFÉ.example"), emailKey("a@xn--caf-dma.example"));
  });

  test("with letters beyond A to Z that case rules confuse are not taken for one another", () => {
    assert.notEqual(emailKey("m\u0131ke@example.com"), emailKey("mike@example.com"));
    assert.notEqual(emailKey("STRA\u00dfE@example.com"), emailKey("strasse@example.com"));
    assert.notEqual(emailKey("İ@example.com"), emailKey("i@example.com"));
  });
});

test("one field takes a username or an e-mail address, never in doubt as to which", () => {
  assert.deepEqual(loginKey(" Alice "), { field: "username", key: "alice" });
  assert.deepEqual(loginKey("Alice@Example.com"), { field: "email", key: "alice@example.com" });
  for (const text of ["", "\0", "a b", "@", megabyte, `${megabyte}@x`, "\udfff"])
    assert.equal(loginKey(text), undefined);
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const found = loginKey(text);
      return found === undefined || found.key.includes("@") === (found.field === "email");
    }),
  );
});

test("names of people are free but for what garbles a line", () => {
  for (const name of ["Alice B. Carroll", "李雷", "👩‍🚀", "O'Brien <x>", "x".repeat(200)])
    assert.equal(checkName(name).ok, true);
  for (const name of ["", "  ", "a\nb", "a\0", "a\u202eb", "\ud83d", "x".repeat(201), megabyte])
    assert.equal(checkName(name).ok, false);
});

test("roles are sorted, each once, at most 50", () => {
  assert.deepEqual(checkRoles(["editor", "admin", "editor"]), { ok: true, value: ["admin", "editor"] });
  assert.equal(checkRoles(Array.from({ length: 50 }, (_, i) => `r${i}`)).ok, true);
  assert.equal(checkRoles(Array.from({ length: 51 }, (_, i) => `r${i}`)).ok, false);
  for (const role of ["", "-a", "a b", "a\n", "é", "a".repeat(65)])
    assert.equal(checkRoles([role]).ok, false, role);
});

test("text of strangers is cut to its bound and freed of control characters", () => {
  assert.equal(cleanText(" Firefox\0on\r\nLinux ", 200), "Firefox on Linux");
  assert.equal(cleanText(megabyte, 300)?.length, 300);
  assert.equal(cleanText("🦊".repeat(500), 200), "🦊".repeat(200));
  assert.equal(cleanText("\ud800", 10), "\ufffd");
  assert.equal(cleanText("\n", 10), undefined);
  assert.equal(cleanText(undefined, 10), undefined);
});

describe("passwords that may be set", () => {
  const place = {
    passwordCharactersMin: 8,
    siteName: "The Book-Shop",
    issuer: "https://www.books.example:8443",
  };
  const problem = (password: string, at = place) =>
    passwordProblem(password, { username: "Alexandra", email: "lexi.carroll@example.com" }, at);

  test("NIST SP 800-63B §3.1.1.2: 8 characters at least, 1024 bytes at most, of any kind", () => {
    for (const password of ["aaaaaaaa", "        ", "🦊".repeat(8), "x".repeat(1024), "pass\0word"]) {
      assert.equal(problem(password), undefined);
    }
    assert.match(problem("1234567") ?? "", /at least 8/);
    assert.match(problem("🦊".repeat(7)) ?? "", /at least 8/);
    assert.match(problem("e\u0301".repeat(7)) ?? "", /at least 8/);
    assert.match(problem("x".repeat(1025)) ?? "", /at most 1024/);
    assert.match(problem("🦊".repeat(257)) ?? "", /at most 1024/);
    assert.match(problem(megabyte) ?? "", /at most 1024/);
    assert.match(problem("\ud83d".repeat(9)) ?? "", /Unicode/);
  });

  test("NIST SP 800-63B-4 §3.1.1.2: 15 characters at least where the settings say so", () => {
    const strict = { ...place, passwordCharactersMin: 15 };
    assert.match(problem("fourteen chars", strict) ?? "", /at least 15/);
    assert.equal(problem("fifteen chars !", strict), undefined);
  });

  test("are not the username or the e-mail address, in any case", () => {
    assert.match(problem("ALEXANDRA") ?? "", /the username/);
    assert.match(problem("Lexi.Carroll@Example.com") ?? "", /the e-mail address/);
    assert.match(problem("lexi.carroll") ?? "", /first part of the e-mail address/);
    assert.match(problem("LexiCarroll") ?? "", /first part of the e-mail address/);
    const other = { username: "alex" };
    assert.equal(passwordProblem("alexandra@example.com", other, place), undefined);
  });

  test("NIST SP 800-63B-4 §3.1.1.2: are not the name or the address of this site, however it is spelt", () => {
    for (const password of ["the book-shop", "TheBookShop", "The_Book_Shop", "ｔｈｅ book shop"])
      assert.match(problem(password) ?? "", /the name of this site/, password);
    for (const password of [
      "books.example",
      "BooksExample",
      "www.books.example",
      "www.books.example:8443",
      "https://www.books.example:8443",
    ])
      assert.match(problem(password) ?? "", /the address of this site/, password);
  });

  test("§3.1.1.2: the whole password is compared, not what is in it", () => {
    for (const password of ["Alexandra and the books", "thebookshop1", "my books.example"])
      assert.equal(problem(password), undefined, password);
    // Of a name of signs alone nothing is left to compare but itself.
    const signs = { ...place, siteName: "********" };
    assert.match(problem("********", signs) ?? "", /the name of this site/);
    assert.equal(problem("!!!!!!!!", signs), undefined);
  });

  test("have one spelling: normalising twice is normalising once", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => {
        const once = normalisePassword(text);
        return once === undefined || normalisePassword(once) === once;
      }),
    );
  });
});
