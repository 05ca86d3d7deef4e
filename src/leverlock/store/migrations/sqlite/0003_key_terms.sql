-- What a key may do and from where, when it was edited, and when the sparing of a legacy key ends.
-- No scope is implied: what a row does not name it does not have. Keys that exist keep what they can do today.
ALTER TABLE api_key ADD COLUMN scopes TEXT NOT NULL DEFAULT '';  -- words, sorted, joined by spaces
ALTER TABLE api_key ADD COLUMN ips TEXT NOT NULL DEFAULT '';     -- addresses and networks, joined by spaces
ALTER TABLE api_key ADD COLUMN edited_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE api_key ADD COLUMN legacy_ends_at INTEGER;
ALTER TABLE api_key ADD COLUMN legacy_told INTEGER NOT NULL DEFAULT 0;  -- how many of the notices before it were sent

UPDATE api_key SET scopes = 'futures read';

CREATE INDEX api_key_legacy_ends ON api_key (legacy_ends_at) WHERE legacy = 1 AND legacy_ends_at IS NOT NULL;

-- How often a legacy key was spared a challenge, by day: for the report of what would break if the sparing ended.
CREATE TABLE legacy_use (
  account_id TEXT NOT NULL,
  key_id TEXT NOT NULL,
  action TEXT NOT NULL,
  day INTEGER NOT NULL,               -- since 1970
  uses INTEGER NOT NULL,
  last_at INTEGER NOT NULL,
  PRIMARY KEY (account_id, key_id, action, day)
) STRICT, WITHOUT ROWID;

CREATE INDEX legacy_use_age ON legacy_use (last_at);
