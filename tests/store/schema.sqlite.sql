CREATE TABLE account (
  account_id TEXT PRIMARY KEY,
  login TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'locked')),
  password_hash TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  touched_at INTEGER NOT NULL,        -- the lock of every writing use case is an update of this column
  wrong_at BLOB NOT NULL,             -- times of wrong answers, see AccountBudget.to_bytes
  chain_seq INTEGER NOT NULL,
  chain_head BLOB NOT NULL CHECK (length(chain_head) = 32)
, reserve_at BLOB NOT NULL DEFAULT x'') STRICT, WITHOUT ROWID;

CREATE TABLE account_language (
  account_id TEXT PRIMARY KEY,
  language TEXT NOT NULL CHECK (language IN ('en', 'zh'))
) STRICT, WITHOUT ROWID;

CREATE TABLE "address" (
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

CREATE TABLE api_key (
  account_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  api_key TEXT NOT NULL,
  label TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('active', 'frozen', 'revoked')),
  upstream_id TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  legacy INTEGER NOT NULL CHECK (legacy IN (0, 1)),
  otp_allowed INTEGER NOT NULL CHECK (otp_allowed IN (0, 1)),
  key_version INTEGER,
  nonce BLOB,
  ciphertext BLOB,
  public_key BLOB, scopes TEXT NOT NULL DEFAULT '', ips TEXT NOT NULL DEFAULT '', edited_at INTEGER NOT NULL DEFAULT 0, legacy_ends_at INTEGER, legacy_told INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, key_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key_name (
  api_key TEXT PRIMARY KEY,
  account_id TEXT NOT NULL,
  key_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_event (
  event_no INTEGER PRIMARY KEY,
  account_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  at INTEGER NOT NULL,
  kind TEXT NOT NULL,
  body BLOB NOT NULL,
  hash BLOB NOT NULL CHECK (length(hash) = 32)
) STRICT;

CREATE TABLE "authenticator" (
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

CREATE TABLE challenge (
  account_id TEXT NOT NULL,
  challenge_id TEXT NOT NULL,
  environment TEXT NOT NULL,
  principal TEXT NOT NULL,
  action TEXT NOT NULL,
  intent BLOB NOT NULL,
  digest BLOB NOT NULL CHECK (length(digest) = 32),
  facts BLOB NOT NULL,
  requirement TEXT NOT NULL,          -- proofs, joined by spaces
  rules TEXT NOT NULL,                -- JSON list of rule names
  policy_version TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('pending', 'approved', 'consumed', 'denied', 'failed', 'expired', 'cancelled')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  wrong_answers INTEGER NOT NULL,
  closed_because TEXT NOT NULL,
  grant_hash BLOB CHECK (length(grant_hash) = 32),
  grant_expires_at INTEGER NOT NULL,
  environment_slot INTEGER NOT NULL,
  key_slot INTEGER, given TEXT NOT NULL DEFAULT '',                   -- only keys are confined to a few; the owner's own sessions are not
  PRIMARY KEY (account_id, challenge_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE change (
  change_no INTEGER PRIMARY KEY AUTOINCREMENT,
  account_id TEXT NOT NULL,
  at INTEGER NOT NULL
) STRICT;

CREATE TABLE credential_name (
  credential_id BLOB PRIMARY KEY,
  account_id TEXT NOT NULL,
  key_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE enrolment_right (
  account_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('login', 'spot', 'margin', 'futures')),
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, session_id, environment)
) STRICT, WITHOUT ROWID;

CREATE TABLE hold (
  account_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('login', 'spot', 'margin', 'futures')),
  scope TEXT NOT NULL,
  until INTEGER NOT NULL,
  PRIMARY KEY (account_id, environment, scope)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
  account_id TEXT NOT NULL,
  principal TEXT NOT NULL,
  key TEXT NOT NULL,
  fingerprint BLOB NOT NULL,
  answer BLOB,
  created_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, principal, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE integrator (
  integrator_id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  token_hash BLOB NOT NULL UNIQUE CHECK (length(token_hash) = 32),
  created_at INTEGER NOT NULL,
  revoked INTEGER NOT NULL CHECK (revoked IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE integrator_key (
  key_id TEXT PRIMARY KEY,
  integrator_id TEXT NOT NULL,
  algorithm TEXT NOT NULL CHECK (algorithm IN ('EdDSA', 'ES256')),
  public_key BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  removed INTEGER NOT NULL CHECK (removed IN (0, 1))
) STRICT, WITHOUT ROWID;

CREATE TABLE legacy_use (
  account_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  action TEXT NOT NULL,
  day INTEGER NOT NULL,               -- since 1970
  uses INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, key_id, action, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE login_name (
  login TEXT PRIMARY KEY,
  account_id TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE "operator" (
  account_id TEXT PRIMARY KEY,
  role TEXT NOT NULL CHECK (role IN ('support', 'security', 'admin')),
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
  account_id TEXT NOT NULL,
  message_id TEXT NOT NULL,
  channel TEXT NOT NULL,
  target TEXT NOT NULL,
  kind TEXT NOT NULL,
  body BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  attempts INTEGER NOT NULL,
  next_at INTEGER,                    -- null: given up
  reason TEXT NOT NULL,
  PRIMARY KEY (account_id, message_id)
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

CREATE TABLE protection (
  account_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('login', 'spot', 'margin', 'futures')),
  enabled_at INTEGER NOT NULL, ended_at INTEGER, code_set INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (account_id, environment)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE recovery_code (
  account_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('login', 'spot', 'margin', 'futures')),
  code_hash BLOB NOT NULL CHECK (length(code_hash) = 32),
  generation INTEGER NOT NULL,
  PRIMARY KEY (account_id, environment, code_hash)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE reset_link (
  account_id TEXT NOT NULL,
  token_hash BLOB NOT NULL CHECK (length(token_hash) = 32),
  state TEXT NOT NULL CHECK (state IN ('open', 'spent')),
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, token_hash)
) STRICT, WITHOUT ROWID;

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

CREATE TABLE "session" (
  account_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  state TEXT NOT NULL CHECK (state IN ('login_challenge', 'recovery', 'full', 'ended')),
  created_at INTEGER NOT NULL,
  last_seen_at INTEGER NOT NULL,
  password_at INTEGER NOT NULL,
  by_mail INTEGER NOT NULL CHECK (by_mail IN (0, 1)),
  PRIMARY KEY (account_id, session_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sign_in_try (
  subject BLOB PRIMARY KEY CHECK (length(subject) = 32),
  tries INTEGER NOT NULL,
  since INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

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

CREATE TABLE sms_slot (
  subject BLOB NOT NULL CHECK (length(subject) = 32),
  slot INTEGER NOT NULL,
  at INTEGER NOT NULL,
  PRIMARY KEY (subject, slot)
) STRICT, WITHOUT ROWID;

CREATE TABLE upstream (
  account_id TEXT NOT NULL,
  upstream_id TEXT NOT NULL,
  label TEXT NOT NULL,
  dialect TEXT NOT NULL,
  base_urls TEXT NOT NULL,            -- JSON object
  api_key TEXT NOT NULL,
  algorithm TEXT NOT NULL,
  key_version INTEGER NOT NULL,
  nonce BLOB NOT NULL,
  ciphertext BLOB NOT NULL,
  created_at INTEGER NOT NULL,
  removed INTEGER NOT NULL CHECK (removed IN (0, 1)),
  PRIMARY KEY (account_id, upstream_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE used_statement (
  account_id TEXT NOT NULL,
  mark BLOB NOT NULL CHECK (length(mark) = 32),  -- of the integrator and the statement's id
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, mark)
) STRICT, WITHOUT ROWID;

CREATE TABLE wallet_access (
  account_id TEXT NOT NULL,
  session_id TEXT NOT NULL,
  environment TEXT NOT NULL CHECK (environment IN ('spot', 'margin', 'futures')),
  opened_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, session_id, environment)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX address_target ON address (account_id, channel, target) WHERE state IN ('named', 'serving');

CREATE INDEX api_key_legacy_ends ON api_key (legacy_ends_at) WHERE legacy = 1 AND legacy_ends_at IS NOT NULL;

CREATE UNIQUE INDEX audit_chain ON audit_event (account_id, seq);

CREATE UNIQUE INDEX authenticator_bound ON authenticator (account_id, environment, kind)
  WHERE state IN ('active', 'disabled');

CREATE UNIQUE INDEX authenticator_generation ON authenticator (account_id, environment, generation);

CREATE UNIQUE INDEX authenticator_pending ON authenticator (account_id, environment, kind)
  WHERE state = 'pending';

CREATE INDEX ceremony_age ON ceremony (expires_at);

CREATE INDEX challenge_asked ON challenge (account_id, principal, created_at);

CREATE INDEX challenge_due ON challenge (expires_at) WHERE state = 'pending';

CREATE UNIQUE INDEX challenge_environment_slot ON challenge (account_id, environment, environment_slot)
  WHERE state = 'pending';

CREATE UNIQUE INDEX challenge_grant ON challenge (account_id, grant_hash) WHERE grant_hash IS NOT NULL;

CREATE INDEX challenge_grant_due ON challenge (grant_expires_at) WHERE state = 'approved';

CREATE UNIQUE INDEX challenge_intent ON challenge (account_id, principal, digest)
  WHERE state IN ('pending', 'approved');

CREATE UNIQUE INDEX challenge_key_slot ON challenge (account_id, principal, key_slot)
  WHERE state = 'pending' AND key_slot IS NOT NULL;

CREATE INDEX idempotency_age ON idempotency (created_at);

CREATE INDEX legacy_use_age ON legacy_use (last_at);

CREATE INDEX outbox_due ON outbox (next_at) WHERE next_at IS NOT NULL;

CREATE INDEX outbox_given_up ON outbox (expires_at) WHERE next_at IS NULL;

CREATE INDEX pending_change_due ON pending_change (due_at) WHERE state = 'waiting';

CREATE UNIQUE INDEX pending_change_waiting ON pending_change (account_id, kind, subject) WHERE state = 'waiting';

CREATE UNIQUE INDEX proposal_live ON proposal (account_id, kind) WHERE state IN ('open', 'approved');

CREATE INDEX proposal_state ON proposal (state, proposed_at);

CREATE INDEX recovery_case_due ON recovery_case (expires_at)
  WHERE state IN ('opened', 'submitted', 'approved_once', 'ready');

CREATE INDEX recovery_case_kept ON recovery_case (closed_at) WHERE key_version IS NOT NULL AND closed_at > 0;

CREATE UNIQUE INDEX recovery_case_live ON recovery_case (account_id)
  WHERE state IN ('opened', 'submitted', 'approved_once', 'waiting', 'ready');

CREATE INDEX recovery_case_state ON recovery_case (state, opened_at);

CREATE INDEX recovery_case_waiting ON recovery_case (ready_at) WHERE state = 'waiting';

CREATE INDEX recovery_document_case ON recovery_document (case_id);

CREATE INDEX sms_slot_age ON sms_slot (subject, at);

CREATE INDEX used_statement_age ON used_statement (expires_at);

CREATE INDEX wallet_access_age ON wallet_access (expires_at);
