import { raw } from "hono/html";
import { texts } from "./texts.ts";
import { type Html, html } from "./view.ts";

/** A QR code as part of the page: nothing is loaded, and nobody else sees what it says. */
export async function qrCode(text: string): Promise<Html> {
  const { encode } = await import("uqr");
  const { data, size } = encode(text, { ecc: "M", border: 4 });
  const path = data
    .flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : "")))
    .join("");
  return html`<svg class="qr" viewBox="0 0 ${size} ${size}" role="img" aria-label="${texts.factors.totp.qr}" shape-rendering="crispEdges"><rect width="${size}" height="${size}" fill="#fff"/>${raw(`<path d="${path}" fill="#000"/>`)}</svg>`;
}
