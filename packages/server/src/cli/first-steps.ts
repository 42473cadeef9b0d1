import type { FirstAdmin } from "../admin/commands/first-admin.ts";

/** What a new server prints once: its first user, and lines for a shell that sign in, call, refresh and list. */
export function firstSteps({ user, password }: FirstAdmin, issuer: string): string {
  const credentials = JSON.stringify({ username: user.username, password, device: "my terminal" });
  const field = (name: string) => `sed 's/.*"${name}":"\\([^"]*\\)".*/\\1/'`;
  return `
This is a new server. Its first user, shown this once:

    username  ${user.username}
    password  ${password}

In a browser: ${issuer}/sign-in

Or sign in, ask who you are, refresh, list your devices (copy into a shell):

    TOKENS=$(curl -s ${issuer}/login -H 'Content-Type: application/json' -d '${credentials}')
    ACCESS=$(printf %s "$TOKENS" | ${field("accessToken")})
    REFRESH=$(printf %s "$TOKENS" | ${field("refreshToken")})
    curl -s ${issuer}/me -H "Authorization: Bearer $ACCESS"
    curl -s ${issuer}/refresh -H 'Content-Type: application/json' -d "{\\"refreshToken\\":\\"$REFRESH\\"}"
    curl -s ${issuer}/sessions -H "Authorization: Bearer $ACCESS"

Another password: keyturn user password ${user.username}
`;
}
