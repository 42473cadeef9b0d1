import { isIP } from "node:net";

/**
 * The address of the caller.
 *
 * Each proxy appends the address that it was called from to X-Forwarded-For. With n proxies of our own in front,
 * the n-th entry from the right was written by the outermost of them; what stands further left was written by the
 * caller and proves nothing.
 */
export function callerAddress(request: {
  socketAddress: string | undefined;
  forwardedFor: string | undefined;
  trustedProxies: number;
}): string | undefined {
  const { socketAddress, forwardedFor, trustedProxies } = request;
  if (trustedProxies > 0 && forwardedFor !== undefined) {
    const entries = forwardedFor.split(",");
    const address = entries[Math.max(0, entries.length - trustedProxies)]?.trim().replace(/^\[(.*)\]$/, "$1");
    if (address !== undefined && isIP(address) !== 0) return plain(address);
  }
  return socketAddress === undefined ? undefined : plain(socketAddress);
}

/** An IPv4 address that came in through an IPv6 socket is the same address. */
function plain(address: string): string {
  return address.startsWith("::ffff:") && address.includes(".") ? address.slice(7) : address;
}

export function isLoopbackAddress(address: string | undefined): boolean {
  return address !== undefined && (address === "::1" || address.startsWith("127."));
}
