/** Every bound of the server in one place: what a stranger can make it hold, read, or do at once. */
export const limits = {
  /** A request body. The largest honest one is a registration. */
  bodyBytesMax: 16 * 1024,
  /** All request headers together (node:http refuses more with 431). */
  headerBytesMax: 16 * 1024,
  /** Fields of a posted form. The largest honest one has six. */
  formFieldsMax: 32,
  usernameCharactersMax: 64,
  emailCharactersMax: 254,
  nameCharactersMax: 200,
  deviceCharactersMax: 200,
  userAgentCharactersMax: 300,
  passwordBytesMax: 1024,
  /** What is taken for a refresh token: also the longer kinds, so that whoever sends one is told what it is. */
  refreshTokenCharactersMax: 1500,
  /** An `Idempotency-Key` header; a longer one is refused. */
  attemptKeyCharactersMax: 200,
  rolesPerUserMax: 50,
  roleCharactersMax: 64,
  roleDescriptionCharactersMax: 200,
  permissionsPerRoleMax: 100,
  permissionCharactersMax: 64,
  /** As long as the setting `audience` may be. */
  resourceCharactersMax: 500,
  /** All permissions of one token together, in characters; beyond that none are in it, and the log says so. */
  tokenPermissionsCharactersMax: 4096,
  /** A change for more users or sessions than this is one entry of the feed, for everybody's tokens. */
  remintUsersMax: 100,
  remintSessionsMax: 1000,
  /** How far the `iat` of a token may lie ahead of its minting; guards tolerate 5 seconds unless told otherwise. */
  tokenPostdatedSecondsMax: 3,
  /** How often a change that came too soon after others waits for its time. */
  remintWaitsMax: 10,
  /** A line of a file of users; a longer one is refused, and read past. */
  importLineBytesMax: 64 * 1024,
  /** Lines that one record of a CSV file may take, because of line breaks in quotes. */
  importRecordLinesMax: 100,
  /** Users that are brought along in one transaction. */
  importBatchMax: 250,
  /** Names of earlier lines that a line is compared with: a name twice further apart is found in the database. */
  importNamesRemembered: 100_000,
  externalIdCharactersMax: 200,
  /** How often a re-mint that took too long to commit is sent again. */
  remintResendsMax: 5,
  /** Where a page is asked to lead on to; a longer path is not gone to. */
  returnToCharactersMax: 2000,
  /** Security events on the account page, out of the newest page of the audit log. */
  securityEventsShownMax: 20,
  /** What the operator's hook may take to say where addresses are; then the page goes without. */
  placeMillisecondsMax: 300,
  placeCharactersMax: 100,
  /** A name of a browser or system, made from a User-Agent. */
  deviceNameCharactersMax: 60,
  /** Passkeys of one user. */
  passkeysPerUserMax: 20,
  passkeyNameCharactersMax: 60,
  /** WebAuthn §4: "Credential IDs MUST be at most 1023 bytes". */
  credentialIdBytesMax: 1023,
  /** What a browser hands over for a passkey, as JSON. */
  passkeyResponseCharactersMax: 12_000,
  /** Wrong codes that one sign-in may be tried with; then it begins anew with its first factor. */
  ticketTriesMax: 5,
  ticketMinutesMax: 10,
  challengeMinutesMax: 5,
  /** A proof is recent for so long. */
  recentProofMinutesMax: 15,
  recoveryCodes: 10,
  secondFactorRolesMax: 50,
  /** Secrets that are sealed anew at once, after the master secret has changed. */
  sealsPerRunMax: 500,
  /** Sessions that one transaction ends, where everybody is signed out. */
  sessionsEndedAtOnceMax: 1000,
  /** Rows a list hands out at once; more come with a cursor. */
  pageRowsMax: 100,
  /** Turns one transaction carries. */
  turnsPerBatchMax: 256,
  /** Rows that are over are deleted so many a transaction, in so many transactions a run. */
  rowsPerSlice: 1000,
  slicesPerRunMax: 1000,
  /** Turns that wait for a transaction; beyond that the answer is 503. */
  turnsWaitingMax: 10_000,
  /** How often a turn that lost a race reads again. Each loss means that someone else won, so few are needed. */
  turnRetriesMax: 8,
  /** Password hashes that wait for a thread; beyond that the answer is 503 with Retry-After. */
  passwordHashesWaitingMax: 100,
  /** Uses of browsers' sessions that wait to be written; more are noted by the next request. */
  touchesWaitingMax: 10_000,
  /** Browsers' sessions that are looked up in one trip to the database. */
  looksPerTripMax: 256,
  /** Session cookies whose tag need not be computed again. */
  cookiesKnownMax: 10_000,
  /** Replies of GET /session that are kept, each with its access token. */
  sessionRepliesMax: 10_000,
  /** The longest life of an access token; revocations are remembered this long. */
  accessTokenSecondsMax: 3600,
  /** Entries of the feed sent in one answer. */
  feedEntriesPerPageMax: 10_000,
  feedReadersMax: 1_000,
  allowedOriginsMax: 100,
  /** How long somebody may take at a provider, and then to prove the account that they had before. */
  providerAttemptSeconds: 600,
  /** An app's code for who has signed in on the pages: how long it lives, and how old that sign-in may be. */
  handoverCodeSeconds: 60,
  handoverSignInSecondsMax: 300,
  handoverCodeCharactersMax: 1000,
  providersMax: 50,
  identitiesPerUserMax: 20,
  /** What a provider calls somebody: OpenID Connect Core §2, `sub` "MUST NOT exceed 255 ASCII characters". */
  subjectCharactersMax: 255,
  /** A parameter of a provider's answer: codes of some are JWTs. */
  providerParameterCharactersMax: 4096,
  /** Of all tokens of one answer together, as JSON: where they are kept. */
  providerTokensCharactersMax: 32_768,
  clientIdCharactersMax: 500,
  /** A client secret, or a private key in PEM. */
  clientSecretBytesMax: 8192,
  /** Usernames that are tried for a person who comes from a provider, until one is free. */
  usernamesTriedMax: 8,
  /** Outgoing requests: how long one may take from beginning to end, what it may bring, how many there are at once. */
  outgoingMillisecondsMax: 8_000,
  outgoingBytesMax: 256 * 1024,
  outgoingAtOnceMax: 200,
  privateHostsMax: 50,
  /** Of one client: addresses, keys, resources; what it may ask for at once. */
  redirectUrisMax: 50,
  redirectUriCharactersMax: 2000,
  clientKeysMax: 10,
  resourcesPerClientMax: 20,
  resourcesPerRequestMax: 10,
  scopeCharactersMax: 2000,
  scopesMax: 200,
  maxAgeSecondsMax: 400 * 24 * 60 * 60,
  settingsClientsMax: 200,
  givenSecretCharactersMax: 500,
  /** An `Authorization: Basic` header: the longest id and secret, each character encoded as three, in base64. */
  basicHeaderCharactersMax: 4200,
  clientIdOfDocumentCharactersMax: 500,
  /** A client that registered itself is forgotten if it gets no token for so long, at first and later on. */
  clientNeverUsedSeconds: 24 * 60 * 60,
  clientUnusedSeconds: 90 * 24 * 60 * 60,
  /** How often it is noted that a client is used. */
  clientUseNotedSeconds: 24 * 60 * 60,
  clientsNotedMax: 10_000,
  clientsForgottenPerRunMax: 100,
  clientsForgottenEverySeconds: 60,
  /** draft-ietf-oauth-client-id-metadata-document §8.7: "The recommended maximum size to read is 5 kilobytes." */
  clientDocumentBytesMax: 5 * 1024,
  clientDocumentMillisecondsMax: 5_000,
  /** Whatever HTTP says of it, a document is asked for again no sooner and no later than this; and if it says nothing. */
  clientDocumentFreshSecondsMin: 300,
  clientDocumentFreshSecondsMax: 24 * 60 * 60,
  clientDocumentFreshSeconds: 3600,
  /** For so long a document is still good whose host cannot be reached. */
  clientDocumentStaleSeconds: 7 * 24 * 60 * 60,
  clientDocumentsAtOnceMax: 20,
  /** What is at a jwks_uri or a sector_identifier_uri. */
  clientKeysBytesMax: 64 * 1024,
  clientKeySetsKnownMax: 1000,
  clientKeysFreshSeconds: 600,
  /** A key set is not fetched again within this pause, whatever key ids are named. */
  clientKeysPauseSeconds: 30,
  /** For so long the keys are still good whose address cannot be reached. */
  clientKeysStaleSeconds: 24 * 60 * 60,
  /** A parameter of an OAuth request; request objects and assertions may be as long. */
  parameterCharactersMax: 8192,
  /** RFC 6749 §4.1.2: "A maximum authorization code lifetime of 10 minutes is RECOMMENDED"; FAPI 2.0 §5.3.2.1: 60 seconds. */
  authorizationCodeSeconds: 60,
  /** RFC 9126 §2.2: "a relatively short lifetime (e.g., between 5 and 600 seconds)"; one waits for a sign-in meanwhile. */
  pushedRequestSeconds: 60,
  waitingRequestSeconds: 1800,
  /** Clients that are remembered as they were a moment ago, for refreshes. */
  clientsKnownMax: 1000,
  /** Who acts for whom for whom, in one token: RFC 8693 §4.1. */
  actorsMax: 5,
  /** For so long a browser may send the same decision again: a button that is clicked twice, a page that is loaded anew. */
  decisionRepeatSeconds: 10,
  /** So long after its end a used code is known, so that a second use ends what the first one gave. */
  usedCodeSeconds: 600,
  /** An authorization request that comes as a form and is led on to an address. */
  authorizationQueryCharactersMax: 8000,
  /** What an authorization request says of who is to sign in. */
  loginHintCharactersMax: 254,
  deviceCodeSeconds: 900,
  deviceIntervalSeconds: 5,
  deviceIntervalSecondsMax: 300,
  /** How far ahead `exp` of a client's assertion may lie: the example of RFC 10070 §4.1 has an hour. */
  assertionSecondsMax: 3600,
  /** How long a client is tried to be told that a session is over; afterwards its own tokens have long expired. */
  logoutDeliverySecondsMax: 24 * 60 * 60,
  logoutDeliveriesAtOnce: 20,
  /** What was told, or could not be, can be looked up for so long. */
  logoutDeliveryKeptDays: 7,
  /** A person waits for it: how long the range service for breached passwords may take, and what it may bring. */
  breachLookupMillisecondsMax: 1_500,
  breachLookupBytesMax: 256 * 1024,
  /** For so long what a provider says of itself (discovery) is kept. */
  discoverySecondsMax: 3600,
  /** For so long what a letter carries is good, counted from its sending. */
  verifyAddressMinutes: 24 * 60,
  changeAddressMinutes: 60,
  resetPasswordMinutes: 30,
  signInByMailMinutes: 10,
  /** For so long a browser keeps the secret of a link that it was led by, until its button is pressed. */
  linkSetAsideMinutes: 30,
  /** Digits of the codes in letters: guessed at within `mailCodeOfLetter` and `mailCodeOfAddress` of the rate rules. */
  mailCodeDigits: 6,
  /** After this it is of no use to be told what happened. */
  addressNoticeHours: 72,
  /** Mail: the setting, what is under way at once, how often and how long it is tried, how large a letter may be. */
  mailServerCharactersMax: 1000,
  mailsAtOnceMax: 5,
  mailTriesMax: 20,
  mailSendMillisecondsMax: 60_000,
  /** A mail that a node has taken comes back after this, when the node is gone: more than any sending takes. */
  mailClaimMilliseconds: 180_000,
  mailPauseSecondsMax: 1800,
  mailBytesMax: 64 * 1024,
  mailFactCharactersMax: 120,
  mailTextCharactersMax: 1000,
  mailLanguagesMax: 50,
  acceptLanguageCharactersMax: 500,
  /** At a stop, what is being sent may end within this. */
  mailDrainMilliseconds: 10_000,
  /** Mails that the development outbox keeps. */
  outboxMailsMax: 100,
  /** Events that are judged in one look at the audit log, and looks in one run. */
  noticesPerLookMax: 200,
  noticeLooksMax: 25,
  /** Events that a node remembers to have judged. */
  noticesRememberedMax: 20_000,
  /** Notices of one kind to one person in an hour. */
  noticesPerHourMax: 3,
  /** Earlier sessions that a new one is compared with. */
  sessionsComparedMax: 200,
  /** The clock difference that verifiers are assumed to tolerate. */
  clockToleranceSecondsMax: 300,
} as const;
