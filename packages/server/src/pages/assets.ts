import { readFileSync } from "node:fs";
import type { Asset } from "../http/page.ts";
import { sha256 } from "../primitives/digest.ts";
import { logo } from "./icons.ts";

/** The files that pages refer to, read once. A changed file has another address, so caches keep each for ever. */
export function loadAssets() {
  const stylesheet = readFileSync(new URL("keyturn.css", import.meta.url), "utf8");
  const script = readFileSync(new URL("passkeys.js", import.meta.url), "utf8");
  return {
    script: asset({ ending: "js", type: "text/javascript; charset=utf-8", content: script }),
    stylesheet: asset({ ending: "css", type: "text/css; charset=utf-8", content: stylesheet }),
    icon: asset({ ending: "svg", type: "image/svg+xml", content: logo }),
  };
}

function asset({ ending, type, content }: { ending: string; type: string; content: string }): Asset {
  const hash = sha256(content).toString("hex", 0, 8);
  return {
    path: `/assets/keyturn-${hash}.${ending}`,
    anyVersion: `/assets/:file{keyturn-[0-9a-f]+\\.${ending}}`,
    type,
    content,
  };
}
