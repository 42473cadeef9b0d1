/** What a grant is called at the terminal: without its URN. */
export const grantTypesByName = {
  authorization_code: "authorization_code",
  refresh_token: "refresh_token",
  client_credentials: "client_credentials",
  device_code: "urn:ietf:params:oauth:grant-type:device_code",
  token_exchange: "urn:ietf:params:oauth:grant-type:token-exchange",
} as const;

export const grantNames = Object.keys(grantTypesByName);
