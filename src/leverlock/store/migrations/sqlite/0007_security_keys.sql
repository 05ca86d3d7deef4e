-- Security keys, the directory of their credentials, and the ceremonies that wait for one.

CREATE TABLE security_key (
  account_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  credential_id BLOB NOT NULL CHECK (length(credential_id) BETWEEN 1 AND 1023),
  public_key BLOB NOT NULL,           -- COSE
  sign_count INTEGER NOT NULL,
  synced INTEGER NOT NULL CHECK (synced IN (0, 1)),   -- its backup-eligible flag, fixed when it was added
  label TEXT NOT NULL,
  transports TEXT NOT NULL,           -- joined by spaces
  created_at INTEGER NOT NULL,
  serves_movements_at INTEGER NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'suspended', 'removed')),
  last_used_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, key_id)
) STRICT, WITHOUT ROWID;

-- A credential belongs to one account for ever, also once it was removed.
CREATE TABLE credential_name (
  credential_id BLOB PRIMARY KEY,
  account_id TEXT NOT NULL,
  key_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE ceremony (
  account_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  purpose TEXT NOT NULL CHECK (purpose IN ('register', 'login', 'movement', 'remove')),
  subject TEXT NOT NULL,              -- the challenge it answers, or empty
  challenge BLOB NOT NULL CHECK (length(challenge) IN (32, 64)),
  expires_at INTEGER NOT NULL,
  label TEXT NOT NULL,                -- of the key that is being registered
  PRIMARY KEY (account_id, session_id, purpose, subject)
) STRICT, WITHOUT ROWID;

CREATE INDEX ceremony_age ON ceremony (expires_at);
