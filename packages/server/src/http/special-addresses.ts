import { BlockList, isIP } from "node:net";

/**
 * Addresses that no public server has: IANA's registries of special-purpose addresses (RFC 6890), multicast, and what
 * is reserved. A request that a stranger's text could aim must not reach them: there are this machine, its network,
 * and the metadata services of clouds (169.254.169.254).
 */
const special4 = new BlockList();
for (const [net, bits] of [
  ["0.0.0.0", 8],
  ["10.0.0.0", 8],
  ["100.64.0.0", 10],
  ["127.0.0.0", 8],
  ["169.254.0.0", 16],
  ["172.16.0.0", 12],
  ["192.0.0.0", 24],
  ["192.0.2.0", 24],
  ["192.31.196.0", 24],
  ["192.52.193.0", 24],
  ["192.88.99.0", 24],
  ["192.168.0.0", 16],
  ["192.175.48.0", 24],
  ["198.18.0.0", 15],
  ["198.51.100.0", 24],
  ["203.0.113.0", 24],
  ["224.0.0.0", 3],
] as const)
  special4.addSubnet(net, bits, "ipv4");

/** RFC 4291 §2.4: all that is given out publicly begins so. What maps or translates IPv4 does not, but for 6to4. */
const global6 = new BlockList();
global6.addSubnet("2000::", 3, "ipv6");

const special6 = new BlockList();
for (const [net, bits] of [
  ["2001::", 23],
  ["2001:db8::", 32],
  ["2002::", 16],
  ["2620:4f:8000::", 48],
  ["3fff::", 20],
] as const)
  special6.addSubnet(net, bits, "ipv6");

/** Whether this is not the address of a public server. True for what is no address at all. */
export function isSpecialAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return special4.check(address, "ipv4");
    case 6:
      return address.includes("%") || !global6.check(address, "ipv6") || special6.check(address, "ipv6");
    default:
      return true;
  }
}
