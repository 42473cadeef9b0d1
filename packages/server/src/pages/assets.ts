import { readFileSync } from "node:fs";
import type { Asset } from "../http/page.ts";
import { sha256 } from "../primitives/digest.ts";
import { logo } from "./icons.ts";

/** The files that pages refer to, read once. A changed file has another address, so caches keep each for ever. */
export function loadAssets() {
  const stylesheet = readFileSync(new URL("keyturn.css", import.meta.url), "utf8");
  const script = readFileSync(new URL("passkeys.js", import.meta.url), "utf8");
  const formPost = readFileSync(new URL("form-post.js", import.meta.url), "utf8");
  return {
    script: asset({ ending: "js", type: SCRIPT, content: script }),
    formPost: asset({ name: "form-post", ending: "js", type: SCRIPT, content: formPost }),
    stylesheet: asset({ ending: "css", type: "text/css; charset=utf-8", content: stylesheet }),
    icon: asset({ ending: "svg", type: "image/svg+xml", content: logo }),
  };
}

const SCRIPT = "text/javascript; charset=utf-8";

function asset(given: { name?: string; ending: string; type: string; content: string }): Asset {
  const { name = "keyturn", ending, type, content } = given;
  const hash = sha256(content).toString("hex", 0, 8);
  const version = new RegExp(`^${name}-[0-9a-f]+\\.${ending}$`);
  return {
    path: `/assets/${name}-${hash}.${ending}`,
    isVersion: (file) => version.test(file),
    type,
    content,
  };
}
