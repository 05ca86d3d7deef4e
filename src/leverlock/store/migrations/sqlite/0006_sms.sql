-- Phone numbers as authenticators. SQLite cannot change a CHECK, so the table is made anew and filled from the old one.
CREATE TABLE authenticator_anew (
  account_id TEXT NOT NULL,
  authenticator_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('login', 'spot', 'margin', 'futures')),
  kind TEXT NOT NULL CHECK (kind IN ('totp', 'sms')),
  state TEXT NOT NULL CHECK (state IN ('pending', 'active', 'replaced', 'disabled', 'removed', 'expired')),
  generation INTEGER NOT NULL,
  key_version INTEGER NOT NULL,
  nonce BLOB NOT NULL,
  ciphertext BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  session_id TEXT NOT NULL,
  last_step INTEGER NOT NULL,
  streak INTEGER NOT NULL,
  blocked_until INTEGER NOT NULL,
  confirmed_at INTEGER NOT NULL,      -- of a number: when the code sent to it came back; 0 before
  usable_at INTEGER NOT NULL,
  backup INTEGER NOT NULL CHECK (backup IN (0, 1)),
  PRIMARY KEY (account_id, authenticator_id)
) STRICT, WITHOUT ROWID;

INSERT INTO authenticator_anew
SELECT account_id, authenticator_id, environment, kind, state, generation, key_version, nonce, ciphertext,
  created_at, expires_at, session_id, last_step, streak, blocked_until, 0, 0, 0
FROM authenticator;

DROP TABLE authenticator;
ALTER TABLE authenticator_anew RENAME TO authenticator;

CREATE UNIQUE INDEX authenticator_bound ON authenticator (account_id, environment, kind)
  WHERE state IN ('active', 'disabled');
CREATE UNIQUE INDEX authenticator_pending ON authenticator (account_id, environment, kind)
  WHERE state = 'pending';
CREATE UNIQUE INDEX authenticator_generation ON authenticator (account_id, environment, generation);

-- The live code of a challenge, or of the enrolment of a number: one each, replaced by a resend, deleted by its use.
CREATE TABLE sms_code (
  account_id TEXT NOT NULL,
  subject TEXT NOT NULL,
  authenticator_id TEXT NOT NULL,
  code_hash BLOB NOT NULL CHECK (length(code_hash) = 32),
  message_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  delivery TEXT NOT NULL CHECK (delivery IN ('waiting', 'handed_over', 'delivered', 'undelivered')),
  PRIMARY KEY (account_id, subject)
) STRICT, WITHOUT ROWID;

-- When SMS were sent, by keyed hash of what is counted: as many rows as its cap, the oldest taken again once its time
-- is over. So no window of any position holds more than the cap (I16).
CREATE TABLE sms_slot (
  subject BLOB NOT NULL CHECK (length(subject) = 32),
  slot INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (subject, slot)
) STRICT, WITHOUT ROWID;

CREATE INDEX sms_slot_age ON sms_slot (subject, at);

-- In which language the owner is written to; English where there is no row.
CREATE TABLE account_language (
  account_id TEXT PRIMARY KEY,
  language TEXT NOT NULL CHECK (language IN ('en', 'zh'))
) STRICT, WITHOUT ROWID;
