-- Ways back: sessions that can only recover, a budget of their own, rights to bind anew, links by mail, and addresses
-- that are named before they serve and told for a while after.

CREATE TABLE session_2 (
  account_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('login_challenge', 'recovery', 'full', 'ended')),
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  password_at INTEGER NOT NULL,
  by_mail INTEGER NOT NULL CHECK (by_mail IN (0, 1)),
  PRIMARY KEY (account_id, session_id)
) STRICT, WITHOUT ROWID;

INSERT INTO session_2 (account_id, session_id, state, created_at, last_seen_at, password_at, by_mail)
SELECT account_id, session_id, state, created_at, last_seen_at, password_at, 0 FROM session;

DROP TABLE session;

ALTER TABLE session_2 RENAME TO session;

ALTER TABLE account ADD COLUMN reserve_at BLOB NOT NULL DEFAULT x'';   -- times of wrong recovery answers

-- The number of the newest set of recovery codes; a row of an older set opens nothing.
ALTER TABLE protection ADD COLUMN code_set INTEGER NOT NULL DEFAULT 0;

UPDATE protection SET code_set = coalesce(
  (SELECT max(generation) FROM recovery_code
   WHERE recovery_code.account_id = protection.account_id AND recovery_code.environment = protection.environment), 0);

-- What a recovery opened: this session may bind a new authenticator without the present one.
CREATE TABLE enrolment_right (
  account_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('login', 'spot', 'margin', 'futures')),
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, session_id, environment)
) STRICT, WITHOUT ROWID;

CREATE TABLE reset_link (
  account_id TEXT NOT NULL,
  token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
  state TEXT NOT NULL CHECK (state IN ('open', 'spent')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, token_hash)
) STRICT, WITHOUT ROWID;

CREATE TABLE address_2 (
  account_id TEXT NOT NULL,
  address_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  target TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('named', 'serving', 'leaving')),
  until INTEGER NOT NULL,             -- when a named or leaving one is over
  code_hash BLOB CHECK (length(code_hash) = 32),   -- of the code that a named one was sent
  replaces TEXT NOT NULL,             -- the address that leaves once this one serves; empty for none
  PRIMARY KEY (account_id, address_id)
) STRICT, WITHOUT ROWID;

INSERT INTO address_2 (account_id, address_id, channel, target, state, until, code_hash, replaces)
SELECT account_id, address_id, channel, target, 'serving', 0, NULL, '' FROM address;

DROP TABLE address;

ALTER TABLE address_2 RENAME TO address;

CREATE UNIQUE INDEX address_target ON address (account_id, channel, target) WHERE state IN ('named', 'serving');
