-- Every statement, by name, for SQLite, in chapters; `store/acts_*.py` give them their types.
-- Whatever is used once is consumed by one conditional write (marked ONCE): its row count says who got it.

-- === the account's lock, its budget and its chain ====================================================================

-- name: lock_account
-- Take the account's row, and with it the account's budgets, slots and audit chain, until the transaction ends.
UPDATE account SET touched_at = :now WHERE account_id = :account_id
RETURNING account_id, login, state, password_hash, wrong_at, chain_seq, chain_head, reserve_at;

-- name: settle_account
-- Write back the budget and the head of the chain; nobody else can have moved them meanwhile.
UPDATE account SET wrong_at = :wrong_at, reserve_at = :reserve_at, chain_seq = :chain_seq, chain_head = :chain_head
WHERE account_id = :account_id AND chain_seq = :chain_seq_before;

-- name: insert_event
INSERT INTO audit_event (account_id, seq, at, kind, body, hash)
VALUES (:account_id, :seq, :at, :kind, :body, :hash);

-- === accounts ========================================================================================================

-- name: account
SELECT account_id, login, state, password_hash, wrong_at, chain_seq, chain_head, reserve_at
FROM account WHERE account_id = :account_id;

-- name: accounts
SELECT account_id, login, state, password_hash, wrong_at, chain_seq, chain_head, reserve_at
FROM account WHERE account_id > :after AND account_id <> 'system' ORDER BY account_id LIMIT :limit;

-- name: claim_login
INSERT INTO login_name (login, account_id) VALUES (:login, :account_id) ON CONFLICT DO NOTHING;

-- name: insert_account
INSERT INTO account
  (account_id, login, state, password_hash, created_at, touched_at, wrong_at, chain_seq, chain_head)
VALUES (:account_id, :login, 'active', :password_hash, :now, :now, :wrong_at, 0, :chain_head);

-- name: account_of_login
SELECT account_id FROM login_name WHERE login = :login;

-- name: set_password_hash
UPDATE account SET password_hash = :after WHERE account_id = :account_id AND password_hash = :before;

-- name: set_account_state
UPDATE account SET state = :state WHERE account_id = :account_id AND state <> :state;

-- name: language
SELECT language FROM account_language WHERE account_id = :account_id;

-- name: set_language
INSERT INTO account_language (account_id, language) VALUES (:account_id, :language)
ON CONFLICT (account_id) DO UPDATE SET language = excluded.language
WHERE account_language.language <> excluded.language;

-- === signing in, and sessions ========================================================================================

-- name: charge_sign_in
-- Count a try; a window that has passed begins anew.
INSERT INTO sign_in_try (subject, tries, since) VALUES (:subject, 1, :now)
ON CONFLICT (subject) DO UPDATE SET
  tries = CASE WHEN sign_in_try.since <= :window_start THEN 1 ELSE sign_in_try.tries + 1 END,
  since = CASE WHEN sign_in_try.since <= :window_start THEN :now ELSE sign_in_try.since END
RETURNING tries, since;

-- name: draw_in_sign_in_tries
UPDATE sign_in_try SET since = :now WHERE since > :now;

-- name: clear_sign_in
DELETE FROM sign_in_try WHERE subject = :subject;

-- name: insert_session
INSERT INTO session (account_id, session_id, state, created_at, last_seen_at, password_at, by_mail)
VALUES (:account_id, :session_id, :state, :created_at, :last_seen_at, :password_at, :by_mail);

-- name: session
SELECT account_id, session_id, state, created_at, last_seen_at, password_at, by_mail
FROM session WHERE account_id = :account_id AND session_id = :session_id;

-- name: touch_session
UPDATE session SET last_seen_at = :now
WHERE account_id = :account_id AND session_id = :session_id AND state <> 'ended' AND last_seen_at < :now;

-- name: complete_session
-- ONCE: the login challenge is answered.
UPDATE session SET state = 'full', last_seen_at = :now
WHERE account_id = :account_id AND session_id = :session_id AND state = 'login_challenge';

-- name: begin_recovery
-- ONCE: the owner says that he cannot answer the login challenge.
UPDATE session SET state = 'recovery', last_seen_at = :now
WHERE account_id = :account_id AND session_id = :session_id AND state = 'login_challenge';

-- name: confirm_password
UPDATE session SET password_at = :now
WHERE account_id = :account_id AND session_id = :session_id AND state = 'full';

-- name: end_session
UPDATE session SET state = 'ended'
WHERE account_id = :account_id AND session_id = :session_id AND state <> 'ended';

-- name: end_other_sessions
UPDATE session SET state = 'ended'
WHERE account_id = :account_id AND session_id <> :keep AND state <> 'ended'
RETURNING session_id;

-- === protection ======================================================================================================

-- name: protections
SELECT environment, enabled_at FROM protection WHERE account_id = :account_id AND ended_at IS NULL;

-- name: protection_known
SELECT 1 AS known FROM protection WHERE account_id = :account_id AND environment = :environment;

-- name: enable_protection
-- ONCE: it is switched on, for the first time or again.
INSERT INTO protection (account_id, environment, enabled_at, ended_at) VALUES (:account_id, :environment, :now, NULL)
ON CONFLICT (account_id, environment) DO UPDATE SET enabled_at = excluded.enabled_at, ended_at = NULL
WHERE protection.ended_at IS NOT NULL;

-- name: end_protection
-- ONCE: it is switched off, a day after it was asked for.
UPDATE protection SET ended_at = :now
WHERE account_id = :account_id AND environment = :environment AND ended_at IS NULL;

-- === opened wallets, holds, changes that wait ========================================================================

-- name: open_wallet
INSERT INTO wallet_access (account_id, session_id, environment, opened_at, expires_at)
VALUES (:account_id, :session_id, :environment, :now, :expires_at)
ON CONFLICT (account_id, session_id, environment) DO UPDATE SET
  opened_at = excluded.opened_at, expires_at = excluded.expires_at;

-- name: wallet_open_until
SELECT expires_at FROM wallet_access
WHERE account_id = :account_id AND session_id = :session_id AND environment = :environment AND expires_at > :now;

-- name: close_wallets
DELETE FROM wallet_access WHERE account_id = :account_id AND environment = :environment;

-- name: place_hold
-- A second reason prolongs a hold, and never shortens it.
INSERT INTO hold (account_id, environment, scope, until) VALUES (:account_id, :environment, :scope, :until)
ON CONFLICT (account_id, environment, scope) DO UPDATE SET until = excluded.until WHERE hold.until < excluded.until;

-- name: holds
SELECT environment, scope, until FROM hold WHERE account_id = :account_id AND until > :now ORDER BY environment, scope;

-- name: ask_change
-- ONCE: one change of a kind waits for one subject.
INSERT INTO pending_change (account_id, change_id, kind, subject, details, state, asked_by, asked_at, due_at)
VALUES (:account_id, :change_id, :kind, :subject, :details, 'waiting', :asked_by, :now, :due_at)
ON CONFLICT DO NOTHING;

-- name: pending_change
SELECT account_id, change_id, kind, subject, details, state, asked_by, asked_at, due_at
FROM pending_change WHERE account_id = :account_id AND change_id = :change_id;

-- name: waiting_changes
SELECT account_id, change_id, kind, subject, details, state, asked_by, asked_at, due_at
FROM pending_change WHERE account_id = :account_id AND state = 'waiting' ORDER BY due_at, change_id;

-- name: cancel_change
-- ONCE: whoever asked for it or was told of it stops it.
UPDATE pending_change SET state = 'cancelled'
WHERE account_id = :account_id AND change_id = :change_id AND state = 'waiting';

-- name: finish_change
-- ONCE: its day is over, and nobody stopped it.
UPDATE pending_change SET state = 'done'
WHERE account_id = :account_id AND change_id = :change_id AND state = 'waiting' AND due_at <= :now;

-- === authenticators ==================================================================================================

-- name: authenticators
SELECT account_id, authenticator_id, environment, kind, state, generation, key_version, nonce, ciphertext,
  created_at, expires_at, session_id, last_step, streak, blocked_until, confirmed_at, usable_at, backup
FROM authenticator WHERE account_id = :account_id ORDER BY environment, generation;

-- name: authenticator
SELECT account_id, authenticator_id, environment, kind, state, generation, key_version, nonce, ciphertext,
  created_at, expires_at, session_id, last_step, streak, blocked_until, confirmed_at, usable_at, backup
FROM authenticator WHERE account_id = :account_id AND authenticator_id = :authenticator_id;

-- name: bound_authenticator
SELECT account_id, authenticator_id, environment, kind, state, generation, key_version, nonce, ciphertext,
  created_at, expires_at, session_id, last_step, streak, blocked_until, confirmed_at, usable_at, backup
FROM authenticator
WHERE account_id = :account_id AND environment = :environment AND kind = :kind AND state IN ('active', 'disabled');

-- name: next_generation
SELECT coalesce(max(generation), 0) + 1 AS generation
FROM authenticator WHERE account_id = :account_id AND environment = :environment;

-- name: insert_authenticator
INSERT INTO authenticator
  (account_id, authenticator_id, environment, kind, state, generation, key_version, nonce, ciphertext,
   created_at, expires_at, session_id, last_step, streak, blocked_until, confirmed_at, usable_at, backup)
VALUES
  (:account_id, :authenticator_id, :environment, :kind, :state, :generation, :key_version, :nonce, :ciphertext,
   :created_at, :expires_at, :session_id, :last_step, :streak, :blocked_until, 0, 0, 0);

-- name: drop_pending_enrolments
UPDATE authenticator SET state = 'expired'
WHERE account_id = :account_id AND environment = :environment AND kind = :kind AND state = 'pending'
RETURNING authenticator_id;

-- name: fence_authenticators
-- Steps are only ever raised; a block that time set back would make endless is drawn in to the longest there is.
UPDATE authenticator SET last_step = max(last_step, :step), blocked_until = min(blocked_until, :blocked_until_max)
WHERE account_id = :account_id AND state IN ('pending', 'active', 'disabled')
RETURNING authenticator_id, last_step, blocked_until;

-- name: retire_authenticator
UPDATE authenticator SET state = 'replaced'
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state IN ('active', 'disabled');

-- name: remove_authenticator
UPDATE authenticator SET state = 'removed'
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state IN ('active', 'disabled');

-- name: activate_authenticator
-- ONCE: a pending binding is confirmed, and the step of its first code is burned with it.
UPDATE authenticator SET state = 'active', last_step = :step, streak = 0, blocked_until = 0
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state = 'pending' AND last_step < :step;

-- name: charge_authenticator
-- Write a wrong answer down before the answer is looked at.
UPDATE authenticator SET streak = :streak, blocked_until = :blocked_until
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND streak = :streak_before;

-- name: disable_authenticator
-- ONCE: the wrong answer that was one too many. A binding that was never confirmed ends instead.
UPDATE authenticator SET state = CASE state WHEN 'pending' THEN 'expired' ELSE 'disabled' END
WHERE account_id = :account_id AND authenticator_id = :authenticator_id
  AND state IN ('pending', 'active') AND streak = :streak
RETURNING state;

-- name: advance_totp_step
-- ONCE: a time step is accepted; a slow writer can never lower it. Success forgives the wrong answers before it.
UPDATE authenticator SET last_step = :step, streak = 0, blocked_until = 0
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state = 'active' AND last_step < :step;

-- === numbers, the codes sent to them, and what caps the sending ======================================================

-- name: confirm_number
-- ONCE: the code sent to a new number came back. It serves nothing before it is saved.
UPDATE authenticator SET confirmed_at = :now, streak = 0, blocked_until = 0
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state = 'pending' AND kind = 'sms'
  AND confirmed_at = 0;

-- name: save_number
-- ONCE: a confirmed number is bound.
UPDATE authenticator SET state = 'active', usable_at = :usable_at, backup = :backup
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state = 'pending' AND kind = 'sms'
  AND confirmed_at > 0;

-- name: set_backup
UPDATE authenticator SET backup = :backup
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state = 'active' AND kind = 'sms';

-- name: distrust_number
-- It waits as a new one would; a wait is only ever lengthened.
UPDATE authenticator SET usable_at = max(usable_at, :usable_at)
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state = 'active' AND kind = 'sms';

-- name: number_used
-- Success forgives the wrong answers before it.
UPDATE authenticator SET streak = 0, blocked_until = 0
WHERE account_id = :account_id AND authenticator_id = :authenticator_id AND state = 'active' AND kind = 'sms'
  AND usable_at <= :now;

-- name: put_sms_code
-- One code for each purpose: a resend replaces the one before.
INSERT INTO sms_code
  (account_id, subject, authenticator_id, code_hash, message_id, created_at, expires_at, delivery)
VALUES (:account_id, :subject, :authenticator_id, :code_hash, :message_id, :created_at, :expires_at, 'waiting')
ON CONFLICT (account_id, subject) DO UPDATE SET authenticator_id = excluded.authenticator_id,
  code_hash = excluded.code_hash, message_id = excluded.message_id, created_at = excluded.created_at,
  expires_at = excluded.expires_at, delivery = excluded.delivery;

-- name: sms_code
SELECT account_id, subject, authenticator_id, code_hash, message_id, created_at, expires_at, delivery
FROM sms_code WHERE account_id = :account_id AND subject = :subject;

-- name: spend_sms_code
-- ONCE: this very code, while it is live.
DELETE FROM sms_code
WHERE account_id = :account_id AND subject = :subject AND code_hash = :code_hash AND expires_at > :now;

-- name: drop_sms_codes
-- Of one number, or of all with an empty id. What was not sent yet is not sent any more.
DELETE FROM sms_code
WHERE account_id = :account_id AND (:authenticator_id = '' OR authenticator_id = :authenticator_id)
RETURNING message_id;

-- name: note_sms_delivery
-- A receipt can overtake the answer to the hand-over; it is never taken back by it.
UPDATE sms_code SET delivery = :delivery
WHERE account_id = :account_id AND message_id = :message_id
  AND (delivery = 'waiting' OR (delivery = 'handed_over' AND :delivery <> 'handed_over'));

-- name: sms_slots
SELECT count(*) AS taken, coalesce(min(at), 0) AS oldest FROM sms_slot WHERE subject = :subject AND slot < :most;

-- name: new_sms_slot
-- ONCE: one more of as many as its cap allows.
INSERT INTO sms_slot (subject, slot, at) VALUES (:subject, :slot, :now) ON CONFLICT DO NOTHING;

-- name: old_sms_slot
-- ONCE: the oldest, if its window is over.
UPDATE sms_slot SET at = :now
WHERE subject = :subject AND at <= :window_start AND slot =
  (SELECT slot FROM sms_slot WHERE subject = :subject AND slot < :most ORDER BY at, slot LIMIT 1);

-- name: sms_slots_since
SELECT count(*) AS taken FROM sms_slot WHERE subject = :subject AND at > :since;

-- name: draw_in_sms_slots
UPDATE sms_slot SET at = :now WHERE at > :now;

-- === security keys and their ceremonies ==============================================================================

-- name: security_keys
SELECT account_id, key_id, credential_id, public_key, sign_count, synced, label, transports, created_at,
  serves_movements_at, state, last_used_at
FROM security_key WHERE account_id = :account_id AND state <> 'removed' ORDER BY created_at, key_id;

-- name: security_key
SELECT account_id, key_id, credential_id, public_key, sign_count, synced, label, transports, created_at,
  serves_movements_at, state, last_used_at
FROM security_key WHERE account_id = :account_id AND key_id = :key_id;

-- name: claim_credential
INSERT INTO credential_name (credential_id, account_id, key_id) VALUES (:credential_id, :account_id, :key_id)
ON CONFLICT DO NOTHING;

-- name: insert_security_key
INSERT INTO security_key
  (account_id, key_id, credential_id, public_key, sign_count, synced, label, transports, created_at,
   serves_movements_at, state, last_used_at)
VALUES
  (:account_id, :key_id, :credential_id, :public_key, :sign_count, :synced, :label, :transports, :created_at,
   :serves_movements_at, 'active', 0);

-- name: rename_security_key
UPDATE security_key SET label = :label
WHERE account_id = :account_id AND key_id = :key_id AND state <> 'removed';

-- name: key_signed
-- ONCE: each value of its counter counts once; a slow writer can never lower it. A key that does not count stays at 0.
UPDATE security_key SET sign_count = :sign_count, last_used_at = :now
WHERE account_id = :account_id AND key_id = :key_id AND state <> 'removed'
  AND (sign_count < :sign_count OR (sign_count = 0 AND :sign_count = 0));

-- name: set_security_key_state
UPDATE security_key SET state = :after WHERE account_id = :account_id AND key_id = :key_id AND state = :before;

-- name: open_ceremony
INSERT INTO ceremony (account_id, session_id, purpose, subject, challenge, expires_at, label)
VALUES (:account_id, :session_id, :purpose, :subject, :challenge, :expires_at, :label)
ON CONFLICT (account_id, session_id, purpose, subject) DO UPDATE SET
  challenge = excluded.challenge, expires_at = excluded.expires_at, label = excluded.label;

-- name: take_ceremony
-- ONCE: whoever deletes it may look at the answer.
DELETE FROM ceremony
WHERE account_id = :account_id AND session_id = :session_id AND purpose = :purpose AND subject = :subject
RETURNING account_id, session_id, purpose, subject, challenge, expires_at, label;

-- === ways back: codes, the right to bind anew, links =================================================================

-- name: drop_recovery_codes
DELETE FROM recovery_code WHERE account_id = :account_id AND environment = :environment;

-- name: next_code_set
UPDATE protection SET code_set = code_set + 1
WHERE account_id = :account_id AND environment = :environment RETURNING code_set;

-- name: insert_recovery_code
INSERT INTO recovery_code (account_id, environment, code_hash, generation)
VALUES (:account_id, :environment, :code_hash, :generation);

-- name: use_recovery_code
-- ONCE: a code of the newest set, and of no other.
DELETE FROM recovery_code
WHERE account_id = :account_id AND environment = :environment AND code_hash = :code_hash
  AND generation = (SELECT code_set FROM protection WHERE account_id = :account_id AND environment = :environment);

-- name: recovery_codes_left
SELECT environment, count(*) AS codes FROM recovery_code WHERE account_id = :account_id GROUP BY environment;

-- name: grant_enrolment
INSERT INTO enrolment_right (account_id, session_id, environment, expires_at)
VALUES (:account_id, :session_id, :environment, :expires_at)
ON CONFLICT (account_id, session_id, environment) DO UPDATE SET expires_at = excluded.expires_at;

-- name: enrolment_right
SELECT expires_at FROM enrolment_right
WHERE account_id = :account_id AND session_id = :session_id AND environment = :environment AND expires_at > :now;

-- name: drop_enrolment_rights
DELETE FROM enrolment_right WHERE account_id = :account_id AND environment = :environment;

-- name: insert_reset_link
INSERT INTO reset_link (account_id, token_hash, state, created_at, expires_at)
VALUES (:account_id, :token_hash, 'open', :now, :expires_at);

-- name: reset_links_since
SELECT count(*) AS links FROM reset_link WHERE account_id = :account_id AND created_at > :since;

-- name: open_reset_link
-- ONCE: the link in the mail is followed.
UPDATE reset_link SET state = 'spent'
WHERE account_id = :account_id AND token_hash = :token_hash AND state = 'open' AND expires_at > :now;

-- name: void_reset_links
UPDATE reset_link SET state = 'spent' WHERE account_id = :account_id AND state = 'open';

-- === where an owner is rung and told =================================================================================

-- name: addresses
SELECT account_id, address_id, channel, target, state, until, replaces FROM address
WHERE account_id = :account_id AND (state = 'serving' OR until > :now) ORDER BY channel, state DESC, address_id;

-- name: forget_named_address
-- One that was named before and has not answered makes room for the same target.
DELETE FROM address WHERE account_id = :account_id AND channel = :channel AND target = :target AND state = 'named';

-- name: set_address
-- ONCE: a target serves, or is named, at most once.
INSERT INTO address (account_id, address_id, channel, target, state, until, code_hash, replaces)
VALUES (:account_id, :address_id, :channel, :target, :state, :until, :code_hash, :replaces) ON CONFLICT DO NOTHING;

-- name: serve_address
-- ONCE: the code that it was sent came back.
UPDATE address SET state = 'serving', until = 0, code_hash = NULL
WHERE account_id = :account_id AND address_id = :address_id AND code_hash = :code_hash
  AND state = 'named' AND until > :now;

-- name: retire_address
-- ONCE: it leaves, and is told of security events for a while more.
UPDATE address SET state = 'leaving', until = :until
WHERE account_id = :account_id AND address_id = :address_id AND state = 'serving';

-- === challenges and grants ===========================================================================================

-- name: taken_environment_slots
SELECT environment_slot FROM challenge
WHERE account_id = :account_id AND environment = :environment AND state = 'pending';

-- name: taken_key_slots
SELECT key_slot FROM challenge
WHERE account_id = :account_id AND principal = :principal AND state = 'pending' AND key_slot IS NOT NULL;

-- name: asked_since
SELECT count(*) AS asked FROM challenge
WHERE account_id = :account_id AND principal = :principal AND created_at > :since AND created_at <= :now;

-- name: insert_challenge
INSERT INTO challenge
  (account_id, challenge_id, environment, principal, action, intent, digest, facts, requirement, rules,
   policy_version, state, created_at, expires_at, wrong_answers, closed_because, grant_hash, grant_expires_at,
   environment_slot, key_slot, given)
VALUES
  (:account_id, :challenge_id, :environment, :principal, :action, :intent, :digest, :facts, :requirement, :rules,
   :policy_version, :state, :created_at, :expires_at, 0, '', NULL, 0, :environment_slot, :key_slot, :given);

-- name: challenge
SELECT account_id, challenge_id, environment, principal, action, intent, digest, facts, requirement, rules,
  policy_version, state, created_at, expires_at, wrong_answers, closed_because, grant_hash, grant_expires_at, given
FROM challenge WHERE account_id = :account_id AND challenge_id = :challenge_id;

-- name: challenge_by_grant
SELECT account_id, challenge_id, environment, principal, action, intent, digest, facts, requirement, rules,
  policy_version, state, created_at, expires_at, wrong_answers, closed_because, grant_hash, grant_expires_at, given
FROM challenge WHERE account_id = :account_id AND grant_hash = :grant_hash;

-- name: live_challenge
SELECT account_id, challenge_id, environment, principal, action, intent, digest, facts, requirement, rules,
  policy_version, state, created_at, expires_at, wrong_answers, closed_because, grant_hash, grant_expires_at, given
FROM challenge
WHERE account_id = :account_id AND principal = :principal AND digest = :digest AND state IN ('pending', 'approved');

-- name: denied_until
-- Of what this asker asked lately: `since` is as long ago as a challenge can live.
SELECT expires_at FROM challenge
WHERE account_id = :account_id AND principal = :principal AND created_at BETWEEN :since AND :now AND digest = :digest
  AND state = 'denied' AND expires_at > :now
ORDER BY created_at DESC LIMIT 1;

-- name: live_challenges
SELECT account_id, challenge_id, environment, principal, action, intent, digest, facts, requirement, rules,
  policy_version, state, created_at, expires_at, wrong_answers, closed_because, grant_hash, grant_expires_at, given
FROM challenge
WHERE account_id = :account_id AND state IN ('pending', 'approved') ORDER BY created_at, challenge_id;

-- name: charge_challenge
UPDATE challenge SET wrong_answers = wrong_answers + 1
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = 'pending';

-- name: fail_challenge
-- ONCE: the last wrong answer allowed kills it.
UPDATE challenge SET state = 'failed', closed_because = 'wrong_answers'
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = 'pending'
  AND wrong_answers >= :limit;

-- name: approve_challenge
-- ONCE: pending becomes approved, and its grant exists from here on. The attempt that was right is not counted.
UPDATE challenge SET state = 'approved', grant_hash = :grant_hash, grant_expires_at = :grant_expires_at,
  wrong_answers = wrong_answers - 1
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = 'pending' AND given = :given
  AND expires_at > :now;

-- name: advance_challenge
-- ONCE: a layer of it is proved, and it waits for the next. The attempt that was right is not counted.
UPDATE challenge SET given = :after, wrong_answers = wrong_answers - 1
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = 'pending' AND given = :before
  AND expires_at > :now;

-- name: vouch_challenge
-- ONCE: the host's word stands for a proof, and the challenge waits for the rest.
UPDATE challenge SET given = :after
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = 'pending' AND given = :before
  AND expires_at > :now;

-- name: approve_vouched
-- ONCE: the host's word was all that was asked for.
UPDATE challenge SET state = 'approved', given = :after, grant_hash = :grant_hash, grant_expires_at = :grant_expires_at
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = 'pending' AND given = :before
  AND expires_at > :now;

-- name: spend_grant
-- ONCE: approved becomes consumed, before anything is executed.
UPDATE challenge SET state = 'consumed'
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = 'approved' AND grant_expires_at > :now;

-- name: close_challenge
-- ONCE: a live challenge ends without execution, and its grant with it.
UPDATE challenge SET state = :after, closed_because = :because
WHERE account_id = :account_id AND challenge_id = :challenge_id AND state = :before;

-- name: overdue_accounts
SELECT account_id FROM challenge WHERE state = 'pending' AND expires_at <= :now
UNION
SELECT account_id FROM challenge WHERE state = 'approved' AND grant_expires_at <= :now
UNION
SELECT account_id FROM pending_change WHERE state = 'waiting' AND due_at <= :now
LIMIT :limit;

-- === upstream accounts ===============================================================================================

-- name: insert_upstream
INSERT INTO upstream
  (account_id, upstream_id, label, dialect, base_urls, api_key, algorithm, key_version, nonce, ciphertext,
   created_at, removed)
VALUES
  (:account_id, :upstream_id, :label, :dialect, :base_urls, :api_key, :algorithm, :key_version, :nonce, :ciphertext,
   :created_at, 0);

-- name: upstream
SELECT account_id, upstream_id, label, dialect, base_urls, api_key, algorithm, key_version, nonce, ciphertext,
  created_at, removed
FROM upstream WHERE account_id = :account_id AND upstream_id = :upstream_id;

-- name: upstreams_of
SELECT account_id, upstream_id, label, dialect, base_urls, api_key, algorithm, key_version, nonce, ciphertext,
  created_at, removed
FROM upstream WHERE account_id = :account_id ORDER BY created_at, upstream_id;

-- name: upstreams
SELECT account_id, upstream_id, label, dialect, base_urls, api_key, algorithm, key_version, nonce, ciphertext,
  created_at, removed
FROM upstream ORDER BY created_at, upstream_id;

-- name: remove_upstream
-- The sealed key is overwritten with it: what is removed cannot be used again.
UPDATE upstream SET removed = 1, nonce = zeroblob(0), ciphertext = zeroblob(0)
WHERE account_id = :account_id AND upstream_id = :upstream_id AND removed = 0;

-- === API keys, legacy keys ===========================================================================================

-- name: claim_api_key
INSERT INTO api_key_name (api_key, account_id, key_id) VALUES (:api_key, :account_id, :key_id)
ON CONFLICT DO NOTHING;

-- name: insert_key
INSERT INTO api_key
  (account_id, key_id, api_key, label, algorithm, state, upstream_id, created_at, legacy, otp_allowed,
   key_version, nonce, ciphertext, public_key, scopes, ips, edited_at, legacy_ends_at, legacy_told)
VALUES
  (:account_id, :key_id, :api_key, :label, :algorithm, :state, :upstream_id, :created_at, :legacy, :otp_allowed,
   :key_version, :nonce, :ciphertext, :public_key, :scopes, :ips, 0, NULL, 0);

-- name: key
SELECT account_id, key_id, api_key, label, algorithm, state, upstream_id, created_at, legacy, otp_allowed,
  key_version, nonce, ciphertext, public_key, scopes, ips, edited_at, legacy_ends_at
FROM api_key WHERE account_id = :account_id AND key_id = :key_id;

-- name: key_name
SELECT account_id, key_id FROM api_key_name WHERE api_key = :api_key;

-- name: keys
SELECT account_id, key_id, api_key, label, algorithm, state, upstream_id, created_at, legacy, otp_allowed,
  key_version, nonce, ciphertext, public_key, scopes, ips, edited_at, legacy_ends_at
FROM api_key WHERE account_id = :account_id ORDER BY created_at, key_id;

-- name: set_key_state
UPDATE api_key SET state = :after WHERE account_id = :account_id AND key_id = :key_id AND state = :before;

-- name: edit_key
-- The terms as the owner agreed to them; an edited key is legacy no more. Guarded by the edit before.
UPDATE api_key SET label = :label, scopes = :scopes, ips = :ips, otp_allowed = :otp_allowed, edited_at = :now,
  legacy = 0, legacy_ends_at = NULL
WHERE account_id = :account_id AND key_id = :key_id AND state = 'active' AND edited_at = :edited_before;

-- name: mark_keys_legacy
UPDATE api_key SET legacy = 1, legacy_ends_at = :ends_at, legacy_told = 0
WHERE account_id = :account_id AND state <> 'revoked' AND legacy = 0
RETURNING key_id;

-- name: date_legacy_keys
UPDATE api_key SET legacy_ends_at = :ends_at, legacy_told = 0
WHERE account_id = :account_id AND state <> 'revoked' AND legacy = 1 AND legacy_ends_at IS NOT :ends_at
RETURNING key_id;

-- name: end_legacy_keys
-- ONCE: the date has come.
UPDATE api_key SET legacy = 0, legacy_ends_at = NULL
WHERE account_id = :account_id AND legacy = 1 AND legacy_ends_at <= :now
RETURNING key_id;

-- name: tell_legacy_keys
-- ONCE: the notice number :told before the end of a key's sparing is sent.
UPDATE api_key SET legacy_told = :told
WHERE account_id = :account_id AND legacy = 1 AND state <> 'revoked' AND legacy_ends_at <= :until
  AND legacy_told < :told
RETURNING key_id;

-- name: legacy_accounts
-- Accounts with a key whose sparing ends by :until, or has a notice of it outstanding.
SELECT DISTINCT account_id FROM api_key INDEXED BY api_key_legacy_ends
WHERE legacy = 1 AND legacy_ends_at IS NOT NULL AND legacy_ends_at <= :until
  AND (legacy_ends_at <= :now OR (state <> 'revoked' AND legacy_told < CASE WHEN legacy_ends_at <= :soon THEN 2 ELSE 1 END))
LIMIT :limit;

-- name: add_legacy_use
-- A statistic, for the report of what would break; nothing is decided by it.
INSERT INTO legacy_use (account_id, key_id, action, day, uses, last_at)
VALUES (:account_id, :key_id, :action, :day, :uses, :last_at)
ON CONFLICT (account_id, key_id, action, day) DO UPDATE SET
  uses = legacy_use.uses + excluded.uses, last_at = max(legacy_use.last_at, excluded.last_at);

-- name: legacy_uses
SELECT key_id, action, sum(uses) AS uses, max(last_at) AS last_at FROM legacy_use
WHERE account_id = :account_id AND day >= :since GROUP BY key_id, action ORDER BY key_id, action;

-- === integrators =====================================================================================================

-- name: insert_integrator_key
INSERT INTO integrator_key (key_id, integrator_id, algorithm, public_key, created_at, removed)
SELECT :key_id, integrator_id, :algorithm, :public_key, :created_at, 0
FROM integrator WHERE integrator_id = :integrator_id AND revoked = 0;

-- name: integrator_key
-- A key of an integrator that was revoked is none.
SELECT k.key_id, k.integrator_id, k.algorithm, k.public_key, k.created_at, k.removed
FROM integrator_key k JOIN integrator i ON i.integrator_id = k.integrator_id
WHERE k.key_id = :key_id AND i.revoked = 0;

-- name: integrator_keys
SELECT key_id, integrator_id, algorithm, public_key, created_at, removed
FROM integrator_key ORDER BY created_at, key_id;

-- name: remove_integrator_key
UPDATE integrator_key SET removed = 1 WHERE key_id = :key_id AND removed = 0;

-- name: burn_statement
-- ONCE: a host's statement is used.
INSERT INTO used_statement (account_id, mark, expires_at) VALUES (:account_id, :mark, :expires_at)
ON CONFLICT DO NOTHING;

-- name: insert_integrator
INSERT INTO integrator (integrator_id, name, token_hash, created_at, revoked)
VALUES (:integrator_id, :name, :token_hash, :now, 0) ON CONFLICT DO NOTHING;

-- name: integrator_of_token
SELECT integrator_id FROM integrator WHERE token_hash = :token_hash AND revoked = 0;

-- name: integrators
SELECT integrator_id, name, revoked FROM integrator ORDER BY created_at, integrator_id;

-- name: revoke_integrator
UPDATE integrator SET revoked = 1 WHERE integrator_id = :integrator_id AND revoked = 0;

-- === operators =======================================================================================================

-- name: give_role
-- ONCE: an account has at most one role.
INSERT INTO operator (account_id, role, since) VALUES (:account_id, :role, :now) ON CONFLICT DO NOTHING;

-- name: change_role
-- ONCE: from the role that was seen.
UPDATE operator SET role = :role, since = :now WHERE account_id = :account_id AND role = :before;

-- name: take_role
DELETE FROM operator WHERE account_id = :account_id AND role = :before;

-- name: operator
SELECT o.account_id, a.login, o.role, o.since, a.state
FROM operator o JOIN account a ON a.account_id = o.account_id WHERE o.account_id = :account_id;

-- name: operators
SELECT o.account_id, a.login, o.role, o.since, a.state
FROM operator o JOIN account a ON a.account_id = o.account_id ORDER BY o.since, o.account_id;

-- === recovery cases and their documents ==============================================================================

-- name: insert_case
-- ONCE: an account has one live case.
INSERT INTO recovery_case
  (account_id, case_id, environments, statement, state, opened_by, opened_at, expires_at, key_version, nonce,
   ciphertext, first_by, second_by, ready_at, link_number, link_hash, link_expires_at, used_at, session_id, closed_at,
   closed_by, closed_because)
VALUES
  (:account_id, :case_id, :environments, :statement, 'opened', :opened_by, :opened_at, :expires_at, :key_version,
   :nonce, :ciphertext, '', '', 0, 0, NULL, 0, 0, '', 0, '', '')
ON CONFLICT DO NOTHING;

-- name: case
SELECT account_id, case_id, environments, statement, state, opened_by, opened_at, expires_at, key_version, nonce,
  ciphertext, first_by, second_by, ready_at, link_number, link_hash, link_expires_at, used_at, session_id, closed_at,
  closed_by, closed_because
FROM recovery_case WHERE account_id = :account_id AND case_id = :case_id;

-- name: cases_of
SELECT account_id, case_id, environments, statement, state, opened_by, opened_at, expires_at, key_version, nonce,
  ciphertext, first_by, second_by, ready_at, link_number, link_hash, link_expires_at, used_at, session_id, closed_at,
  closed_by, closed_because
FROM recovery_case WHERE account_id = :account_id ORDER BY opened_at, case_id;

-- name: cases_in
SELECT account_id, case_id, environments, statement, state, opened_by, opened_at, expires_at, key_version, nonce,
  ciphertext, first_by, second_by, ready_at, link_number, link_hash, link_expires_at, used_at, session_id, closed_at,
  closed_by, closed_because
FROM recovery_case WHERE state = :state AND opened_at >= :since ORDER BY opened_at LIMIT :limit;

-- name: submit_case
-- ONCE: while it has not run out.
UPDATE recovery_case SET state = 'submitted'
WHERE account_id = :account_id AND case_id = :case_id AND state = 'opened' AND expires_at > :now;

-- name: approve_case_once
-- ONCE: the first of two agents.
UPDATE recovery_case SET state = 'approved_once', first_by = :by
WHERE account_id = :account_id AND case_id = :case_id AND state = 'submitted' AND expires_at > :now
  AND account_id <> :by;

-- name: approve_case_twice
-- ONCE: the second, who is another one. From here on it waits.
UPDATE recovery_case SET state = 'waiting', second_by = :by, ready_at = :ready_at, expires_at = :expires_after
WHERE account_id = :account_id AND case_id = :case_id AND state = 'approved_once' AND expires_at > :now
  AND first_by <> :by AND account_id <> :by;

-- name: ready_case
-- ONCE: its day is over, and not earlier.
UPDATE recovery_case SET state = 'ready'
WHERE account_id = :account_id AND case_id = :case_id AND state = 'waiting' AND ready_at <= :now;

-- name: issue_case_link
-- A new link; the one before is void with it.
UPDATE recovery_case SET link_number = :link_number, link_hash = :link_hash, link_expires_at = :link_expires_at
WHERE account_id = :account_id AND case_id = :case_id AND state = 'ready' AND link_number = :link_number - 1
  AND expires_at > :now AND ready_at <= :now;

-- name: use_case_link
-- ONCE: the link opens its session, and the case is over with it.
UPDATE recovery_case SET state = 'used', used_at = :now, session_id = :session_id, closed_at = :now, link_hash = NULL
WHERE account_id = :account_id AND case_id = :case_id AND state = 'ready' AND link_hash = :link_hash
  AND link_expires_at > :now AND expires_at > :now AND ready_at <= :now;

-- name: close_case
-- ONCE: a case ends, from the state it was seen in; its link is void from this commit on.
UPDATE recovery_case SET state = :after, closed_at = :now, closed_by = :by, closed_because = :because, link_hash = NULL
WHERE account_id = :account_id AND case_id = :case_id AND state = :before;

-- name: destroy_case_key
-- The sealed key of its documents is overwritten, and what the owner wrote: what may still lie somewhere is closed.
UPDATE recovery_case SET key_version = NULL, nonce = zeroblob(length(nonce)), ciphertext = zeroblob(length(ciphertext)),
  statement = ''
WHERE account_id = :account_id AND case_id = :case_id AND key_version IS NOT NULL
  AND closed_at > 0 AND closed_at <= :closed_before;

-- name: due_cases
SELECT account_id FROM recovery_case
WHERE state IN ('opened', 'submitted', 'approved_once', 'ready') AND expires_at <= :now
UNION
SELECT account_id FROM recovery_case WHERE state = 'waiting' AND ready_at <= :now
UNION
SELECT account_id FROM recovery_case WHERE key_version IS NOT NULL AND closed_at > 0 AND closed_at <= :closed_before
LIMIT :limit;

-- name: insert_document
-- ONCE: while the case takes documents and has room.
INSERT INTO recovery_document (account_id, case_id, document_id, kind, type, size, nonce, added_by, added_at)
SELECT account_id, case_id, :document_id, :kind, :type, :size, :nonce, :added_by, :now
FROM recovery_case WHERE account_id = :account_id AND case_id = :case_id AND state = 'opened' AND expires_at > :now
  AND (SELECT count(*) FROM recovery_document WHERE account_id = :account_id AND case_id = :case_id) < :most;

-- name: documents
SELECT account_id, case_id, document_id, kind, type, size, nonce, added_by, added_at
FROM recovery_document WHERE account_id = :account_id AND case_id = :case_id ORDER BY added_at, document_id;

-- name: document_ids
SELECT document_id FROM recovery_document WHERE case_id = :case_id;

-- name: forget_documents
DELETE FROM recovery_document WHERE account_id = :account_id AND case_id = :case_id
RETURNING document_id;

-- === proposals =======================================================================================================

-- name: insert_proposal
-- ONCE: one of a kind is live for an account.
INSERT INTO proposal
  (account_id, proposal_id, kind, content, version, summary, environments, state, proposed_by, proposed_at, expires_at,
   first_by, second_by, due_at, told_after, closed_by)
VALUES
  (:account_id, :proposal_id, :kind, :content, :version, :summary, :environments, 'open', :proposed_by, :proposed_at,
   :expires_at, :first_by, '', 0, '', '')
ON CONFLICT DO NOTHING;

-- name: proposal
SELECT account_id, proposal_id, kind, content, version, summary, environments, state, proposed_by, proposed_at,
  expires_at, first_by, second_by, due_at, told_after, closed_by
FROM proposal WHERE account_id = :account_id AND proposal_id = :proposal_id;

-- name: live_proposal
SELECT account_id, proposal_id, kind, content, version, summary, environments, state, proposed_by, proposed_at,
  expires_at, first_by, second_by, due_at, told_after, closed_by
FROM proposal WHERE account_id = :account_id AND kind = :kind AND state IN ('open', 'approved');

-- name: proposals_in
SELECT account_id, proposal_id, kind, content, version, summary, environments, state, proposed_by, proposed_at,
  expires_at, first_by, second_by, due_at, told_after, closed_by
FROM proposal WHERE state = :state ORDER BY proposed_at LIMIT :limit;

-- name: second_proposal
-- ONCE: the first operator speaks for what no operator proposed.
UPDATE proposal SET first_by = :by
WHERE account_id = :account_id AND proposal_id = :proposal_id AND state = 'open' AND first_by = '' AND expires_at > :now
  AND account_id <> :by;

-- name: approve_proposal
-- ONCE: the second of two different operators, neither of whom it is about.
UPDATE proposal SET state = 'approved', second_by = :by, due_at = :due_at
WHERE account_id = :account_id AND proposal_id = :proposal_id AND state = 'open' AND first_by <> '' AND first_by <> :by
  AND account_id <> :by AND expires_at > :now;

-- name: carry_out_proposal
-- ONCE: what was approved takes effect, its day over and its owners told.
UPDATE proposal SET state = 'done'
WHERE account_id = :account_id AND proposal_id = :proposal_id AND state = 'approved' AND due_at <= :now
  AND (kind = 'role' OR told_after = '~');

-- name: close_proposal
-- ONCE: it ends without effect, from the state it was seen in.
UPDATE proposal SET state = :after, closed_by = :by
WHERE account_id = :account_id AND proposal_id = :proposal_id AND state = :before;

-- name: note_told
UPDATE proposal SET told_after = :told_after
WHERE account_id = :account_id AND proposal_id = :proposal_id AND state = 'approved' AND told_after = :before;

-- name: protected_accounts
-- Whose protection is on in one of these environments (a word list), a page behind an account.
SELECT DISTINCT account_id FROM protection
WHERE account_id > :after AND ended_at IS NULL AND instr(' ' || :environments || ' ', ' ' || environment || ' ') > 0
ORDER BY account_id LIMIT :limit;

-- === sealed secrets: the rotation of the key =========================================================================

-- name: sealed_authenticator
-- The first of three statements for each table with a sealed secret; `store/sealed_columns.py` names the tables.
SELECT authenticator_id, key_version, nonce, ciphertext, environment, generation, kind
FROM authenticator WHERE account_id = :account_id AND key_version <> :version;

-- name: reseal_authenticator
UPDATE authenticator SET key_version = :key_version, nonce = :nonce, ciphertext = :ciphertext
WHERE account_id = :account_id AND authenticator_id = :row_id AND key_version = :version_before
  AND nonce = :nonce_before;

-- name: versions_authenticator
SELECT key_version, count(*) FROM authenticator GROUP BY key_version;

-- name: sealed_api_key
SELECT key_id, key_version, nonce, ciphertext
FROM api_key WHERE account_id = :account_id AND key_version <> :version;

-- name: reseal_api_key
UPDATE api_key SET key_version = :key_version, nonce = :nonce, ciphertext = :ciphertext
WHERE account_id = :account_id AND key_id = :row_id AND key_version = :version_before AND nonce = :nonce_before;

-- name: versions_api_key
-- Keys of a client's own making have no secret here.
SELECT key_version, count(*) FROM api_key WHERE key_version IS NOT NULL GROUP BY key_version;

-- name: sealed_upstream
-- Of a removed one nothing is left to open.
SELECT upstream_id, key_version, nonce, ciphertext
FROM upstream WHERE account_id = :account_id AND key_version <> :version AND removed = 0;

-- name: reseal_upstream
UPDATE upstream SET key_version = :key_version, nonce = :nonce, ciphertext = :ciphertext
WHERE account_id = :account_id AND upstream_id = :row_id AND key_version = :version_before AND nonce = :nonce_before;

-- name: versions_upstream
SELECT key_version, count(*) FROM upstream WHERE removed = 0 GROUP BY key_version;

-- name: sealed_recovery_case
-- The key of a case's documents, as long as there is one.
SELECT case_id, key_version, nonce, ciphertext
FROM recovery_case WHERE account_id = :account_id AND key_version <> :version;

-- name: reseal_recovery_case
UPDATE recovery_case SET key_version = :key_version, nonce = :nonce, ciphertext = :ciphertext
WHERE account_id = :account_id AND case_id = :row_id AND key_version = :version_before AND nonce = :nonce_before;

-- name: versions_recovery_case
SELECT key_version, count(*) FROM recovery_case WHERE key_version IS NOT NULL GROUP BY key_version;

-- === the outbox ======================================================================================================

-- name: put_message
INSERT INTO outbox
  (account_id, message_id, channel, target, kind, body, created_at, expires_at, attempts, next_at, reason)
VALUES
  (:account_id, :message_id, :channel, :target, :kind, :body, :created_at, :expires_at, 0, :created_at, '');

-- name: due_messages
SELECT account_id, message_id, channel, target, kind, body, created_at, expires_at, attempts
FROM outbox WHERE next_at <= :now ORDER BY next_at LIMIT :limit;

-- name: message_done
DELETE FROM outbox WHERE account_id = :account_id AND message_id = :message_id;

-- name: message_failed
UPDATE outbox SET attempts = attempts + 1, next_at = :next_at, reason = :reason
WHERE account_id = :account_id AND message_id = :message_id;

-- name: hasten_messages
UPDATE outbox SET next_at = :now WHERE account_id = :account_id AND next_at > :now;

-- === repeated calls ==================================================================================================

-- name: claim_idempotency
-- ONCE: the first request under this key.
INSERT INTO idempotency (account_id, principal, key, fingerprint, answer, created_at)
VALUES (:account_id, :principal, :key, :fingerprint, NULL, :now) ON CONFLICT DO NOTHING;

-- name: idempotency
SELECT fingerprint, answer FROM idempotency
WHERE account_id = :account_id AND principal = :principal AND key = :key;

-- name: store_answer
UPDATE idempotency SET answer = :answer
WHERE account_id = :account_id AND principal = :principal AND key = :key AND answer IS NULL;

-- === the audit trail =================================================================================================

-- name: events
SELECT account_id, seq, at, kind, body, hash FROM audit_event
WHERE account_id = :account_id AND seq > :after_seq ORDER BY seq LIMIT :limit;

-- name: last_event_no
SELECT coalesce(max(event_no), 0) AS event_no FROM audit_event;

-- name: changed_heads
-- The last record of every chain that moved after event number :after, up to :until.
SELECT e.account_id, e.seq, e.hash FROM audit_event e
JOIN (
  SELECT account_id, max(seq) AS seq FROM audit_event
  WHERE event_no > :after AND event_no <= :until GROUP BY account_id
) moved ON moved.account_id = e.account_id AND moved.seq = e.seq
ORDER BY e.account_id;

-- name: lift_events
UPDATE audit_event SET event_no = event_no + :by WHERE event_no > :above;

-- === what snapshots follow ===========================================================================================

-- name: note_change
INSERT INTO change (account_id, at) VALUES (:account_id, :now);

-- name: last_change_no
SELECT coalesce(max(change_no), 0) AS change_no FROM change;

-- name: changes
SELECT change_no, account_id FROM change WHERE change_no > :after ORDER BY change_no;

-- === settings of the deployment, and the latest time that was seen ===================================================

-- name: setting
SELECT value FROM setting WHERE name = :name;

-- name: set_setting
INSERT INTO setting (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: drop_setting
DELETE FROM setting WHERE name = :name;

-- name: marks
-- What the file says about time: the latest it has seen, the last fence, and whether one is being raised.
SELECT name, value FROM setting WHERE name IN ('high_water_ms', 'fence_number', 'fence_rising');

-- name: reset_high_water
-- The one statement that may lower it, at the end of a fence.
UPDATE setting SET value = :now WHERE name = 'high_water_ms';

-- name: raise_high_water
UPDATE setting SET value = :now WHERE name = 'high_water_ms' AND CAST(value AS INTEGER) < CAST(:now AS INTEGER);

-- === pruning =========================================================================================================

-- name: prune_idempotency
DELETE FROM idempotency WHERE (account_id, principal, key) IN
  (SELECT account_id, principal, key FROM idempotency WHERE created_at < :before LIMIT :limit);

-- name: prune_changes
DELETE FROM change WHERE change_no IN (SELECT change_no FROM change WHERE at < :before ORDER BY change_no LIMIT :limit);

-- name: prune_sign_in_tries
DELETE FROM sign_in_try WHERE subject IN (SELECT subject FROM sign_in_try WHERE since < :before LIMIT :limit);

-- name: prune_wallet_access
DELETE FROM wallet_access WHERE (account_id, session_id, environment) IN
  (SELECT account_id, session_id, environment FROM wallet_access WHERE expires_at < :before LIMIT :limit);

-- name: prune_statements
-- What has run out is refused for its time; until well after that its mark stays.
DELETE FROM used_statement WHERE (account_id, mark) IN
  (SELECT account_id, mark FROM used_statement WHERE expires_at < :before LIMIT :limit);

-- name: prune_legacy_uses
DELETE FROM legacy_use WHERE (account_id, key_id, action, day) IN
  (SELECT account_id, key_id, action, day FROM legacy_use WHERE last_at < :before LIMIT :limit);

-- name: prune_enrolment_rights
DELETE FROM enrolment_right WHERE (account_id, session_id, environment) IN
  (SELECT account_id, session_id, environment FROM enrolment_right WHERE expires_at < :before LIMIT :limit);

-- name: prune_reset_links
DELETE FROM reset_link WHERE (account_id, token_hash) IN
  (SELECT account_id, token_hash FROM reset_link WHERE expires_at < :before LIMIT :limit);

-- name: prune_addresses
DELETE FROM address WHERE (account_id, address_id) IN
  (SELECT account_id, address_id FROM address WHERE state <> 'serving' AND until < :before LIMIT :limit);
-- name: prune_ceremonies
DELETE FROM ceremony WHERE (account_id, session_id, purpose, subject) IN
  (SELECT account_id, session_id, purpose, subject FROM ceremony WHERE expires_at < :before LIMIT :limit);

-- name: prune_sms_codes
DELETE FROM sms_code WHERE (account_id, subject) IN
  (SELECT account_id, subject FROM sms_code WHERE expires_at < :before LIMIT :limit);

-- name: prune_sms_slots
-- Only all slots of a subject together: a gap between them would pass for room.
DELETE FROM sms_slot WHERE subject IN
  (SELECT subject FROM sms_slot GROUP BY subject HAVING max(at) < :before LIMIT :limit);

-- name: prune_messages
-- What was given up stays readable for a while, with its reason.
DELETE FROM outbox WHERE (account_id, message_id) IN
  (SELECT account_id, message_id FROM outbox WHERE next_at IS NULL AND expires_at < :before LIMIT :limit);
