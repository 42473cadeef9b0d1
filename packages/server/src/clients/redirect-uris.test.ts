import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isRegistered, redirectUriProblem } from "./redirect-uris.ts";

const good = (uri: string, type: Parameters<typeof redirectUriProblem>[1] = "web") =>
  assert.equal(redirectUriProblem(uri, type), undefined, uri);
const bad = (uris: readonly string[], type: Parameters<typeof redirectUriProblem>[1] = "web") => {
  for (const uri of uris) assert.equal(typeof redirectUriProblem(uri, type), "string", JSON.stringify(uri));
};

describe("which redirect URIs may be registered", () => {
  test("https everywhere, with port, path and query; http on this machine", () => {
    for (const uri of [
      "https://app.example.com",
      "https://app.example.com/",
      "https://app.example.com:8443/a/b?tenant=1&x=%20",
      "https://xn--bcher-kva.example/cb",
      "https://app.example.com/a..b/.well-known/c",
      "https://app.example.com/?next=/a/../b",
      "http://localhost:3000/cb",
      "http://127.0.0.1:3000/cb",
      "http://[::1]:3000/cb",
    ]) {
      for (const type of ["web", "spa", "native"] as const) good(uri, type);
    }
  });

  test("RFC 8252 §7.1: a scheme of its own is for a native application", () => {
    for (const uri of [
      "com.example.app:/cb",
      "com.example.app://cb/path?x=1",
      "cursor://anysphere.cursor-mcp/cb",
    ]) {
      good(uri, "native");
      bad([uri], "web");
      bad([uri], "spa");
    }
  });

  test("RFC 9700 §2.6: nothing in the clear but on this machine", () => {
    for (const type of ["web", "spa", "native"] as const) {
      bad(
        [
          "http://app.example.com/cb",
          "http://10.0.0.1/cb",
          "http://localhost.example/cb",
          "http://128.0.0.1/",
        ],
        type,
      );
    }
  });

  test("RFC 6749 §3.1.2: absolute, without a fragment", () => {
    bad([
      "",
      "/cb",
      "cb",
      "//host/cb",
      "app.example.com/cb",
      "https:",
      "https://",
      "https:///cb",
      "https://?x",
    ]);
    bad(["https://app.example.com/#", "https://app.example.com/cb#x", "https://app.example.com/cb?x#y"]);
    bad(["com.example.app:/cb#x", "com.example.app:#", "com.example.app:"], "native");
  });

  test("nobody is named: userinfo makes another host look like this one", () => {
    bad([
      "https://app.example.com@evil.example/",
      "https://app.example.com:443@evil.example/",
      "https://user:pass@app.example.com/",
      "https://@app.example.com/",
      "https://:@app.example.com/",
      "https://app.example.com%40evil.example/",
    ]);
    bad(["com.example.app://user@host/cb"], "native");
  });

  test("what browsers would read differently is not written so: slashes, backslashes, dots, ports, case, numbers", () => {
    bad([
      "https:app.example.com/cb",
      "https:/app.example.com/cb",
      "https:\\\\app.example.com\\cb",
      "https://app.example.com\\@evil.example/",
      "https://evil.example\\.app.example.com/",
      "https://app.example.com./cb",
      "https://app.example.com/../cb",
      "https://app.example.com/a/./b",
      "https://app.example.com/a/..",
      "https://app.example.com/%2e%2e/cb",
      "https://app.example.com/a/.%2E/cb",
      "https://app.example.com:443/cb",
      "https://app.example.com:/cb",
      "https://app.example.com:0443/cb",
      "https://app.example.com:99999/cb",
      "https://App.Example.com/cb",
      "HTTPS://app.example.com/cb",
      "https://0x7f.1/cb",
      "http://2130706433/cb",
      "http://127.1/cb",
      "http://[0:0:0:0:0:0:0:1]/cb",
      "https://ex%61mple.com/cb",
    ]);
  });

  test("only characters of RFC 3986: no space, control, quote, letter of another script, half of an escape", () => {
    bad([
      "https://app.example.com/a b",
      " https://app.example.com/",
      "https://app.example.com/\n",
      "https://app.example.com/\t",
      "ht\ntps://app.example.com/",
      "https://app.example.com/\0",
      "https://app.example.com/\u202e",
      'https://app.example.com/"',
      "https://app.example.com/<x>",
      "https://app.example.com/^{}|`",
      "https://app.example.com/%",
      "https://app.example.com/%zz",
      "https://app.example.com/%1",
      "https://app.example.com/[x]",
      "https://app.example.com/?a[0]=1",
      "https://аpp.example.com/",
      "https://app。example.com/",
      "https://bücher.example/",
      "https://app.example.com/ü",
      "https://app.example.com/\ud800",
      `https://app.example.com/${"a".repeat(2000)}`,
    ]);
  });

  test("no scheme that runs, reads or starts something, for nobody", () => {
    const hostile = [
      "javascript:alert(1)",
      "JavaScript:alert(1)",
      "data:text/html,x",
      "vbscript:x",
      "file:///etc/passwd",
    ];
    const more = [
      "blob:https://a.example/x",
      "about:blank",
      "mailto:a@b.example",
      "ms-msdt:/id",
      "search-ms:query=x",
    ];
    const rest = [
      "intent://x",
      "view-source:https://a.example/",
      "ws://a.example/",
      "ftp://a.example/",
      "urn:x:y",
      "tel:1",
    ];
    for (const type of ["web", "spa", "native"] as const) bad([...hostile, ...more, ...rest], type);
  });

  test("RFC 9207 §2: no parameter that the answer will have, which two readers would read twice", () => {
    bad([
      "https://a.example/?code=x",
      "https://a.example/?a=b&state=",
      "https://a.example/?iss",
      "https://a.example/?%63ode=1",
    ]);
    bad(["com.example.app:/cb?error=x"], "native");
    good("https://a.example/?codes=x&State=y");
  });

  test("whatever may be registered goes where it says: a browser reads the same host", () => {
    const host = fc.constantFrom("a.example", "b.example:8443", "localhost:1", "evil.example");
    const piece = fc.string({
      unit: fc.constantFrom("/", "\\", "@", ".", ":", "#", "?", "%", "a", "0", " ", "[", "]", "é"),
    });
    fc.assert(
      fc.property(
        fc.constantFrom("https:", "http:", "https:/", "https://"),
        piece,
        host,
        piece,
        (...parts) => {
          const uri = parts.join("");
          if (redirectUriProblem(uri, "web") !== undefined) return;
          const url = new URL(uri);
          assert.equal(uri.split("/")[2]?.split("?")[0], url.host);
          assert.equal(url.username + url.password + url.hash, "");
          assert.ok(url.href === uri || url.href === uri.replace(url.host, `${url.host}/`), uri);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe("whether the address of a request is a registered one", () => {
  const hosts = ["127.0.0.1", "[::1]", "localhost"];
  const withPort = (uri: string, port: number | undefined) =>
    uri.replace(
      /^(http:\/\/(?:127\.0\.0\.1|\[::1\]|localhost))(?::\d+)?/,
      port === undefined ? "$1" : `$1:${port}`,
    );

  test("RFC 9700 §2.1: exactly as it is written, but for the port of a native application's loopback address", () => {
    const uri = fc.oneof(
      fc.constantFrom(
        "https://a.example/cb",
        "https://a.example/cb?x=1",
        "com.example.app:/cb",
        "https://a.example",
      ),
      fc
        .tuple(
          fc.constantFrom(...hosts),
          fc.integer({ min: 1, max: 65_535 }),
          fc.constantFrom("", "/", "/cb", "/cb?x=1"),
        )
        .map(([host, port, rest]) => `http://${host}:${port}${rest}`),
    );
    const change = fc.oneof(
      fc.constant((text: string) => text),
      fc
        .tuple(
          fc.nat(60),
          fc.string({
            unit: fc.constantFrom("/", ".", "@", "#", "?", "a", "A", ":", "0", "9", "%", " "),
            maxLength: 2,
          }),
        )
        .map(
          ([at, piece]) =>
            (text: string) =>
              text.slice(0, at) + piece + text.slice(at),
        ),
      fc.nat(60).map((at) => (text: string) => text.slice(0, at) + text.slice(at + 1)),
      fc
        .option(fc.integer({ min: 0, max: 70_000 }), { nil: undefined })
        .map((port) => (text: string) => withPort(text, port)),
    );
    const type = fc.constantFrom("web", "spa", "native") as fc.Arbitrary<"web" | "spa" | "native">;
    fc.assert(
      fc.property(
        fc.array(uri, { minLength: 1, maxLength: 4 }),
        change,
        type,
        (registered, changed, kind) => {
          const asked = changed(registered[0] ?? "");
          const isPort = (text: string | undefined) =>
            text === undefined || (/^(0|[1-9]\d*)$/.test(text) && Number(text) <= 65_535);
          const parts = /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::(\d+))?((?:\/.*)?)$/.exec(asked);
          const butForThePort =
            kind === "native" &&
            parts !== null &&
            isPort(parts[2]) &&
            !asked.includes("#") &&
            registered.some((one) => withPort(one, 1) === withPort(asked, 1) && one.startsWith("http:"));
          assert.equal(
            isRegistered(asked, { registered, type: kind }),
            registered.includes(asked) || butForThePort,
            `${asked} of ${registered.join()}`,
          );
        },
      ),
      { numRuns: 5000 },
    );
  });

  test("RFC 8252 §7.3: any port, or none, where any was registered; host, path and query stay", () => {
    const native = { registered: ["http://127.0.0.1/cb"], type: "native" } as const;
    for (const uri of ["http://127.0.0.1/cb", "http://127.0.0.1:1/cb", "http://127.0.0.1:65535/cb"]) {
      assert.ok(isRegistered(uri, native), uri);
    }
    for (const uri of [
      "http://127.0.0.1:65536/cb",
      "http://127.0.0.1:08080/cb",
      "http://127.0.0.1:/cb",
      "http://127.0.0.1:1/cb/",
      "http://127.0.0.1:1/cb?x",
      "http://127.0.0.1:1/cb#x",
      "http://127.0.0.1:1@evil.example/cb",
      "http://127.0.0.1:1.evil.example/cb",
      "http://127.0.0.1.evil.example/cb",
      "http://127.0.0.2:1/cb",
      "http://localhost:1/cb",
      "http://[::1]:1/cb",
      "https://127.0.0.1:1/cb",
    ]) {
      assert.ok(!isRegistered(uri, native), uri);
    }
    // Nobody else has a port that the system chooses.
    assert.ok(!isRegistered("http://127.0.0.1:1/cb", { ...native, type: "web" }));
    assert.ok(
      !isRegistered("https://a.example:1/cb", { registered: ["https://a.example/cb"], type: "native" }),
    );
  });
});
