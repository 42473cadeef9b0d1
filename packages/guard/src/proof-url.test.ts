import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { isSameUrl } from "./proof-url.ts";

const asked = "https://api.example.com/photos/1";

test("RFC 9449 §4.3: htu is the request's URL, ignoring query and fragment on both sides", () => {
  for (const htu of [asked, `${asked}?a=1`, `${asked}#x`, `${asked}?a#b`, `${asked}?`]) {
    assert.ok(isSameUrl(htu, asked), htu);
    assert.ok(isSameUrl(asked, htu), htu);
  }
});

test("RFC 3986 §6.2.2, §6.2.3: case of scheme and host, default port, dots and needless escapes make no difference", () => {
  for (const htu of [
    "HTTPS://api.example.com/photos/1",
    "https://API.Example.COM/photos/1",
    "https://api.example.com:443/photos/1",
    "https://api.example.com:/photos/1",
    "https://api.example.com/photos/./1",
    "https://api.example.com/x/../photos/1",
    "https://api.example.com/%70hotos/%31",
  ]) {
    assert.ok(isSameUrl(htu, asked), htu);
  }
  assert.ok(isSameUrl("https://api.example.com", "https://api.example.com/"));
  assert.ok(isSameUrl("http://api.example.com:80/", "http://api.example.com/"));
  assert.ok(isSameUrl("https://a.example/%c3%a9%2f", "https://a.example/%C3%A9%2F"));
  assert.ok(isSameUrl("https://a.example/\u00e9", "https://a.example/%C3%A9"));
  assert.ok(isSameUrl("https://b\u00fccher.example/", "https://xn--bcher-kva.example/"));
});

test("RFC 9449 §4.3: refuses a proof whose htu is of another scheme, host, port, path, case or trailing slash", () => {
  for (const htu of [
    "http://api.example.com/photos/1",
    "https://api.example.com:8443/photos/1",
    "https://api.example.com.evil.example/photos/1",
    "https://api.example.com./photos/1",
    "https://evil.example/photos/1",
    "https://api.example.com/photos/1/",
    "https://api.example.com/photos/",
    "https://api.example.com/Photos/1",
    "https://api.example.com//photos/1",
    "https://api.example.com/photos%2F1",
    "https://api.example.com/photos/1;v=1",
    "/photos/1",
    "api.example.com/photos/1",
    "//api.example.com/photos/1",
    "wss://api.example.com/photos/1",
    "https:/api.example.com/photos/1",
    "https:api.example.com/photos/1",
    "",
  ]) {
    assert.ok(!isSameUrl(htu, asked), htu);
  }
});

test("a URL that names a user, or that only a lax parser reads, is the same as none", () => {
  for (const htu of [
    "https://alice@api.example.com/photos/1",
    "https://alice:secret@api.example.com/photos/1",
    "https://@api.example.com/photos/1",
    "https://evil.example@api.example.com/photos/1",
    "https://api.example.com\\photos\\1",
    "https://api.example.com/photos\\1",
    "https://api.example.com/pho\ttos/1",
    " https://api.example.com/photos/1",
    "https://api.example.com/photos/1\n",
    "https://api.example.com/photos/1 ",
  ]) {
    assert.ok(!isSameUrl(htu, asked), htu);
  }
});

test("a proof for one path opens no other that a router may tell apart: requests with dot segments match nothing", () => {
  for (const url of [
    "https://api.example.com/x/../photos/1",
    "https://api.example.com/x/%2e%2E/photos/1",
    "https://api.example.com/photos/./1",
    "https://api.example.com/photos/1/.",
    "https://api.example.com/photos\\1",
  ]) {
    assert.ok(!isSameUrl(asked, url), url);
  }
  assert.ok(!isSameUrl("", ""));
  assert.ok(isSameUrl("https://a.example/.well-known/x..y/...", "https://A.example/.well-known/x..y/..."));
});

test("no text makes it throw, and what is the same is so both ways round", () => {
  const text = fc.oneof(
    fc.string(),
    fc.webUrl({ withQueryParameters: true, withFragments: true }),
    fc.string().map((path) => `https://a.example/${path}`),
  );
  fc.assert(
    fc.property(text, text, (one, other) => {
      isSameUrl(one, other);
      assert.equal(isSameUrl(one, one), one.replace(/[?#].*$/s, "") !== "");
    }),
    { numRuns: 1000 },
  );
});
