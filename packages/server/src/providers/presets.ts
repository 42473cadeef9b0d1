/**
 * What is known of providers, a few lines each. `keyturn provider add` takes the name of one; docs/providers.md says
 * what to fill in at each of them.
 */

interface PresetBase {
  /** What the button says. */
  readonly label: string;
  readonly scopes: string;
  /**
   * Who the provider is: the first half of every identity. For OpenID Connect where its metadata is found, and the
   * `iss` of its tokens. Undefined: given by the operator.
   */
  readonly issuer: string | undefined;
  /** RFC 6749 §2.3.1. `signed`: a secret that is a JWT, made anew for each use. Default: what the metadata says. */
  readonly clientAuthentication?: "basic" | "post" | "signed";
  /**
   * Whether "verified" means there that the person receives mail at the address. Where anybody's administrator may
   * write any address, or none is said to be verified, it does not.
   */
  readonly trustsEmail: boolean;
  /** Default: both are sent and demanded. False only where the provider fails because of it; the reason stands beside. */
  readonly pkce?: false;
  readonly nonce?: false;
  /** What asks for a refresh token, where one does not come by itself: sent while its tokens are kept, never else. */
  readonly offline?: { readonly scope?: string; readonly parameters?: Readonly<Record<string, string>> };
}

export interface OidcPreset extends PresetBase {
  readonly protocol: "oidc";
  readonly responseMode?: "form_post";
}

/** Where claims stand in a profile: names of members, separated by dots. */
export interface ProfileClaims {
  readonly subject: string;
  readonly username?: string;
  readonly name?: string;
  readonly email?: string;
  /** Where it is said that the address is verified; true: addresses that are handed out are. */
  readonly emailVerified?: string | true;
}

export interface Endpoints {
  readonly authorization: string;
  readonly token: string;
  readonly profile: string;
  /** A list of `{email, primary, verified}`, as GitHub has it. */
  readonly emails?: string;
}

export interface OAuthPreset extends PresetBase {
  readonly protocol: "oauth2";
  readonly endpoints: Endpoints;
  readonly claims: ProfileClaims;
}

export type Preset = OidcPreset | OAuthPreset;

const OIDC = { protocol: "oidc", scopes: "openid profile email" } as const;

export const presets = {
  google: {
    ...OIDC,
    label: "Google",
    issuer: "https://accounts.google.com",
    trustsEmail: true,
    // It gives one only to whom it asks: "Refreshing an access token (offline access)".
    offline: { parameters: { access_type: "offline", prompt: "consent" } },
  },
  facebook: {
    protocol: "oauth2",
    label: "Facebook",
    issuer: "https://www.facebook.com",
    scopes: "public_profile email",
    clientAuthentication: "post",
    endpoints: {
      authorization: "https://www.facebook.com/v24.0/dialog/oauth",
      token: "https://graph.facebook.com/v24.0/oauth/access_token",
      profile: "https://graph.facebook.com/v24.0/me?fields=id,name,email",
    },
    claims: { subject: "id", name: "name", email: "email" },
    // It does not say whether an address is verified.
    trustsEmail: false,
  },
  github: {
    protocol: "oauth2",
    label: "GitHub",
    // RFC 9207: what it sends as `iss`.
    issuer: "https://github.com/login/oauth",
    scopes: "read:user user:email",
    clientAuthentication: "post",
    endpoints: {
      authorization: "https://github.com/login/oauth/authorize",
      token: "https://github.com/login/oauth/access_token",
      profile: "https://api.github.com/user",
      emails: "https://api.github.com/user/emails",
    },
    claims: { subject: "id", username: "login", name: "name" },
    trustsEmail: true,
  },
  microsoft: {
    ...OIDC,
    label: "Microsoft",
    issuer: "https://login.microsoftonline.com/common/v2.0",
    // The administrator of any tenant can write any address.
    trustsEmail: false,
    offline: { scope: "offline_access" },
  },
  apple: {
    ...OIDC,
    label: "Apple",
    issuer: "https://appleid.apple.com",
    scopes: "openid name email",
    clientAuthentication: "signed",
    // It hands out name and address in this way only.
    responseMode: "form_post",
    trustsEmail: true,
  },
  gitlab: { ...OIDC, label: "GitLab", issuer: "https://gitlab.com", trustsEmail: true },
  discord: {
    protocol: "oauth2",
    label: "Discord",
    issuer: "https://discord.com",
    scopes: "identify email",
    clientAuthentication: "post",
    endpoints: {
      authorization: "https://discord.com/oauth2/authorize",
      token: "https://discord.com/api/oauth2/token",
      profile: "https://discord.com/api/users/@me",
    },
    claims: {
      subject: "id",
      username: "username",
      name: "global_name",
      email: "email",
      emailVerified: "verified",
    },
    trustsEmail: true,
  },
  linkedin: {
    ...OIDC,
    label: "LinkedIn",
    issuer: "https://www.linkedin.com/oauth",
    clientAuthentication: "post",
    trustsEmail: true,
    // Its token endpoint refuses a client with a secret that sends a code_verifier, and its ID tokens have no nonce.
    pkce: false,
    nonce: false,
  },
  slack: {
    ...OIDC,
    label: "Slack",
    issuer: "https://slack.com",
    clientAuthentication: "post",
    // The owner of a workspace can write any address.
    trustsEmail: false,
    // Its token endpoint refuses a code_verifier together with a secret. The nonce binds the code instead.
    pkce: false,
  },
  x: {
    protocol: "oauth2",
    label: "X",
    issuer: "https://x.com",
    scopes: "users.read tweet.read",
    clientAuthentication: "basic",
    endpoints: {
      authorization: "https://x.com/i/oauth2/authorize",
      token: "https://api.x.com/2/oauth2/token",
      profile: "https://api.x.com/2/users/me",
    },
    claims: { subject: "data.id", username: "data.username", name: "data.name" },
    trustsEmail: false,
    offline: { scope: "offline.access" },
  },
  oidc: {
    ...OIDC,
    label: "Single sign-on",
    issuer: undefined,
    trustsEmail: false,
    // OpenID Connect Core §11: "The prompt parameter MUST contain consent".
    offline: { scope: "offline_access", parameters: { prompt: "consent" } },
  },
} as const satisfies Record<string, Preset>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as readonly PresetName[];

export const presetOf = (name: PresetName): Preset => presets[name];
export const isPresetName = (text: string): text is PresetName => Object.hasOwn(presets, text);
