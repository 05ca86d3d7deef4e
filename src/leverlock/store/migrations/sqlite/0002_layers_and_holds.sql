-- Challenges that are answered in layers, holds after a change of factors, changes that wait for a day.

ALTER TABLE challenge ADD COLUMN given TEXT NOT NULL DEFAULT '';   -- proofs that hold already, joined by spaces

ALTER TABLE protection ADD COLUMN ended_at INTEGER;   -- null while it is on; a key is legacy by its first time alone

CREATE TABLE wallet_access (
  account_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('spot', 'margin', 'futures')),
  opened_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, session_id, environment)
) STRICT, WITHOUT ROWID;

CREATE INDEX wallet_access_age ON wallet_access (expires_at);

CREATE TABLE hold (
  account_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('login', 'spot', 'margin', 'futures')),
  scope TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (account_id, environment, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE pending_change (
  account_id TEXT NOT NULL,
  change_id TEXT NOT NULL,
  kind TEXT NOT NULL,
  subject TEXT NOT NULL,
  details TEXT NOT NULL,              -- JSON object of texts
  state TEXT NOT NULL CHECK (state IN ('waiting', 'done', 'cancelled')),
  asked_by TEXT NOT NULL,
  asked_at INTEGER NOT NULL,
  due_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, change_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX pending_change_waiting ON pending_change (account_id, kind, subject) WHERE state = 'waiting';
CREATE INDEX pending_change_due ON pending_change (due_at) WHERE state = 'waiting';
