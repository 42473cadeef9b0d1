import type { createBackChannelLogout, LogoutDelivery } from "../../oauth/back-channel-logout.ts";
import { type Page, readRows } from "./pages.ts";

interface LogoutRooms {
  readonly backChannelLogout: Pick<ReturnType<typeof createBackChannelLogout>, "list">;
}

/** Which clients were told that a session is over, or are to be: the newest first. */
export async function listLogouts(
  { backChannelLogout }: LogoutRooms,
  { clientId, ...page }: Page & { readonly clientId?: string | undefined } = {},
): Promise<{ deliveries: LogoutDelivery[]; next: string | undefined }> {
  const ofClient = clientId === undefined ? {} : { clientId };
  const { rows, next } = await readRows(page, (before) =>
    backChannelLogout.list({ ...ofClient, ...(before !== undefined && { before }) }),
  );
  return { deliveries: rows, next };
}
