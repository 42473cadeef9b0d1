import { isIPv4, isIPv6 } from "node:net";

/**
 * What counts as one address when attempts are counted: an IPv4 address, or the /64 of an IPv6 address, which is
 * the least that a provider gives to one customer (RFC 6177 §2): a single machine has 2^64 addresses to guess from.
 * Undefined when the text is no address.
 */
export function addressBlock(ip: string | undefined): string | undefined {
  if (ip === undefined || ip.length > 100) return undefined;
  if (isIPv4(ip)) return ip;
  const bare = ip.split("%", 1)[0] ?? "";
  if (!isIPv6(bare)) return undefined;
  const groups = groupsOf(bare);
  // RFC 4291 §2.5.5.2: ::ffff:a.b.c.d is the IPv4 address a.b.c.d, as a socket of both families shows it.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) return ipv4Of(groups);
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(":")}::/64`;
}

/** The eight groups of 16 bits. The text is a valid IPv6 address. */
function groupsOf(ip: string): number[] {
  const [left = "", right] = ip.split("::", 2);
  const head = part(left);
  if (right === undefined) return head;
  const tail = part(right);
  return [...head, ...new Array<number>(8 - head.length - tail.length).fill(0), ...tail];
}

function part(text: string): number[] {
  if (text === "") return [];
  return text.split(":").flatMap((group) => {
    if (!group.includes(".")) return [Number.parseInt(group, 16)];
    const [a = 0, b = 0, c = 0, d = 0] = group.split(".").map(Number);
    return [a * 256 + b, c * 256 + d];
  });
}

function ipv4Of(groups: number[]): string {
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join(".");
}
