-- Operators become accounts with a role; recovery cases with their documents; what needs two operators.

-- An operator of the first schema had a row and a password of his own, and nowhere to sign in with it. He becomes an
-- account of his own under his login, or under another name where an account has that one already.
INSERT INTO account
  (account_id, login, state, password_hash, created_at, touched_at, wrong_at, chain_seq, chain_head)
SELECT
  'acc_' || substr(operator_id, 4),
  CASE WHEN EXISTS (SELECT 1 FROM login_name WHERE login_name.login = operator.login)
    THEN 'operator-' || substr(operator_id, 4, 8) || '-' || substr(operator.login, 1, 100)
    ELSE operator.login END,
  'active', password_hash, created_at, created_at, x'', 0, zeroblob(32)
FROM operator;

INSERT INTO login_name (login, account_id)
SELECT account.login, account.account_id
FROM operator JOIN account ON account.account_id = 'acc_' || substr(operator.operator_id, 4);

CREATE TABLE operator_2 (
  account_id TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('support', 'security', 'admin')),
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

INSERT INTO operator_2 (account_id, role, since)
SELECT 'acc_' || substr(operator_id, 4), role, created_at FROM operator;

DROP TABLE operator;

ALTER TABLE operator_2 RENAME TO operator;

CREATE TABLE recovery_case (
  account_id TEXT NOT NULL,
  case_id TEXT NOT NULL,
  environments TEXT NOT NULL,         -- joined by spaces
  statement TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('opened', 'submitted', 'approved_once', 'waiting', 'ready', 'used',
    'cancelled', 'refused', 'expired')),
  opened_by TEXT NOT NULL,
  opened_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  key_version INTEGER,                -- of the sealed key of its documents; null once that is destroyed
  nonce BLOB NOT NULL,
  ciphertext BLOB NOT NULL,
  first_by TEXT NOT NULL,             -- the account of the agent who approved first
  second_by TEXT NOT NULL,
  ready_at INTEGER NOT NULL,
  link_number INTEGER NOT NULL,
  link_hash BLOB CHECK (length(link_hash) = 32),
  link_expires_at INTEGER NOT NULL,
  used_at INTEGER NOT NULL,
  session_id TEXT NOT NULL,           -- that the link opened
  closed_at INTEGER NOT NULL,
  closed_by TEXT NOT NULL,
  closed_because TEXT NOT NULL,
  PRIMARY KEY (account_id, case_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX recovery_case_live ON recovery_case (account_id)
  WHERE state IN ('opened', 'submitted', 'approved_once', 'waiting', 'ready');
CREATE INDEX recovery_case_state ON recovery_case (state, opened_at);
CREATE INDEX recovery_case_due ON recovery_case (expires_at)
  WHERE state IN ('opened', 'submitted', 'approved_once', 'ready');
CREATE INDEX recovery_case_waiting ON recovery_case (ready_at) WHERE state = 'waiting';
CREATE INDEX recovery_case_kept ON recovery_case (closed_at) WHERE key_version IS NOT NULL AND closed_at > 0;

CREATE TABLE recovery_document (
  account_id TEXT NOT NULL,
  case_id TEXT NOT NULL,
  document_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('identity', 'ownership')),
  type TEXT NOT NULL CHECK (type IN ('image/jpeg', 'image/png')),
  size INTEGER NOT NULL,              -- bytes, before encryption
  nonce BLOB NOT NULL,
  added_by TEXT NOT NULL,
  added_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, case_id, document_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX recovery_document_case ON recovery_document (case_id);

CREATE TABLE proposal (
  account_id TEXT NOT NULL,           -- whom it is about; 'system' for a policy
  proposal_id TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('policy', 'role')),
  content TEXT NOT NULL,
  version TEXT NOT NULL,              -- of a policy
  summary TEXT NOT NULL,              -- JSON list of lines
  environments TEXT NOT NULL,         -- whose owners are told, joined by spaces
  state TEXT NOT NULL CHECK (state IN ('open', 'approved', 'done', 'refused', 'expired', 'superseded')),
  proposed_by TEXT NOT NULL,
  proposed_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  first_by TEXT NOT NULL,             -- the accounts of the two operators
  second_by TEXT NOT NULL,
  due_at INTEGER NOT NULL,
  told_after TEXT NOT NULL,           -- the last account that was told; '~' once all were
  closed_by TEXT NOT NULL,
  PRIMARY KEY (account_id, proposal_id)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX proposal_live ON proposal (account_id, kind) WHERE state IN ('open', 'approved');
CREATE INDEX proposal_state ON proposal (state, proposed_at);
