import { raw } from "hono/html";
import type { HtmlEscapedString } from "hono/utils/html";
import type { Device } from "./device-names.ts";

/** Drawings beside words: they say nothing by themselves, so readers of a page pass them over. */
const drawing = (lines: string): HtmlEscapedString =>
  raw(
    `<svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.6" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">${lines}</svg>`,
  );

export const deviceIcons: Readonly<Record<Device["kind"], HtmlEscapedString>> = {
  computer: drawing('<rect x="4" y="5" width="16" height="11" rx="1.6"/><path d="M2.5 19h19"/>'),
  phone: drawing('<rect x="7" y="3" width="10" height="18" rx="2.2"/><path d="M11 18h2"/>'),
  program: drawing(
    '<rect x="3" y="5" width="18" height="14" rx="2"/><path d="m7 10 2.5 2L7 14"/><path d="M12.5 15H16"/>',
  ),
};

export const eventIcons = {
  good: drawing('<circle cx="12" cy="12" r="8.5"/><path d="m8.5 12.2 2.4 2.3 4.6-4.8"/>'),
  plain: drawing('<circle cx="12" cy="12" r="8.5"/><path d="M12 8v4.2l2.6 1.6"/>'),
  warning: drawing('<path d="M12 4 3.2 19h17.6z"/><path d="M12 10v4M12 16.6v.1"/>'),
} as const;

/** The mark of the server: a keyhole, and a turn around it. A file of its own too, for the tab of the browser. */
export const logo =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">' +
  '<rect width="32" height="32" rx="9" fill="#0f6b5c"/>' +
  '<path d="M24.2 10.4A9.6 9.6 0 1 0 25.6 16" fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round"/>' +
  '<path d="M25.9 6.6v4.6h-4.6" fill="none" stroke="#fff" stroke-width="2.4" stroke-linecap="round" stroke-linejoin="round"/>' +
  '<path d="M16 11.4a3 3 0 0 1 1.7 5.5l.8 4.1h-5l.8-4.1A3 3 0 0 1 16 11.4z" fill="#fff"/>' +
  "</svg>";
