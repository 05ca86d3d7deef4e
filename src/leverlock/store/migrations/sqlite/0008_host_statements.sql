-- Public keys with which a host signs what it says about its users, and the marks of the statements that were used.
CREATE TABLE integrator_key (
  key_id TEXT PRIMARY KEY,
  integrator_id TEXT NOT NULL,
  algorithm TEXT NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
  public_key BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  removed INTEGER NOT NULL CHECK (removed IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE used_statement (
  account_id TEXT NOT NULL,
  mark BLOB NOT NULL CHECK (length(mark) = 32),  -- of the integrator and the statement's id
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, mark)
) STRICT, WITHOUT ROWID;

CREATE INDEX used_statement_age ON used_statement (expires_at);
