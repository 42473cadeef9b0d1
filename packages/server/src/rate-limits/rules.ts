/** How often something may be tried: `burst` times at once, and one more every `seconds`. */
export interface RateRule {
  /** Part of the key of each bucket: a changed name forgets all its buckets. */
  readonly name: string;
  readonly burst: number;
  readonly seconds: number;
}

/**
 * Every limit against guessing. OWASP ASVS 5.0 §6.3.1 and NIST SP 800-63B §3.2.2 ask for one; none of these locks
 * an account for the devices of its owner.
 */
export const rateRules = {
  /** One account from one address: the limit that a person who mistypes can meet. */
  signInFromAddress: { name: "sign-in-account-address", burst: 10, seconds: 30 },
  /** All accounts from one address: one password tried on many names. A whole office may share an address. */
  signInOfAddress: { name: "sign-in-address", burst: 100, seconds: 3 },
  /** One account from all addresses that it has not signed in from before: a guesser with many addresses. */
  signInFromNewAddresses: { name: "sign-in-account", burst: 50, seconds: 60 },
  /** Guesses at the current password by somebody who sits at an open session. */
  passwordChange: { name: "password-change", burst: 10, seconds: 30 },
  /** Codes of one account from one address, whatever sign-ins they belong to: who is here knows the password. */
  secondFactorFromAddress: { name: "second-factor-address", burst: 10, seconds: 60 },
  /** Codes of one account from everywhere: 720 guesses a day at three codes in a million. Passkeys do not count. */
  secondFactor: { name: "second-factor-account", burst: 30, seconds: 120 },
  /** The same for a recovery code that is typed with a name and nothing else; by the name, whoever it is of. */
  recoveryFromAddress: { name: "recovery-address", burst: 10, seconds: 60 },
  recoveryOfAddress: { name: "recovery-all-address", burst: 50, seconds: 30 },
  recovery: { name: "recovery-account", burst: 30, seconds: 120 },
  registration: { name: "registration-address", burst: 20, seconds: 60 },
  /** Ways to a provider that are begun from one address: each is a row for ten minutes. */
  providerStart: { name: "provider-start-address", burst: 60, seconds: 5 },
  /**
   * Mails that one address is asked for, by what was typed and before anybody looks whether it is known. One rule for
   * all kinds: nobody fills a mailbox by turns.
   */
  mailToAddress: { name: "mail-to-address", burst: 5, seconds: 600 },
  /** The same from one address of the network: a whole office may share it. */
  mailFromAddress: { name: "mail-from-address", burst: 30, seconds: 30 },
  /** The same by one account, to addresses that it calls its own. */
  mailOfAccount: { name: "mail-of-account", burst: 10, seconds: 600 },
  /** Guesses at the six digits of one letter. */
  mailCodeOfLetter: { name: "mail-code-letter", burst: 5, seconds: 86_400 },
  /** Guesses at all letters to one address: as few as at a second factor (RFC 4226 §7.3). Links are not guessed at. */
  mailCodeOfAddress: { name: "mail-code-address", burst: 30, seconds: 120 },
  /** Clients that register themselves: each is a row for a day at least. */
  clientRegistration: { name: "client-registration-address", burst: 20, seconds: 60 },
  /** Documents and keys that are fetched from one host, because strangers have named it. */
  clientDocumentHost: { name: "client-document-host", burst: 30, seconds: 10 },
  /** The same for all hosts together, of clients that are not known yet: each is a row for a day. */
  clientDocumentNew: { name: "client-document-new", burst: 300, seconds: 2 },
  /** Authorization requests of one address that wait for somebody: each is a row for half an hour. */
  authorizationRequest: { name: "authorization-request-address", burst: 200, seconds: 2 },
  /**
   * Codes typed at /device: RFC 8628 §5.1. 20^8 codes, so that whoever guesses for an hour with one account hits one of a
   * thousand that are waiting with a probability of one in 160,000.
   */
  deviceUserCode: { name: "device-user-code", burst: 10, seconds: 30 },
  /** Devices that begin from one address: each is a row for a quarter of an hour. */
  deviceStart: { name: "device-start-address", burst: 60, seconds: 5 },
  /** Not a limit on people: how often the audit log repeats that somebody is being limited. */
  limitedAudit: { name: "limited-audit", burst: 1, seconds: 3600 },
} as const satisfies Record<string, RateRule>;

/** For so long an address stays known to an account that signed in from it. */
export const knownAddressSeconds = 90 * 24 * 60 * 60;
