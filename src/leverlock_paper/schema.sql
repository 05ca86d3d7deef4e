-- The paper venue's state. Money is kept as text (DECIMAL_TEXT, read back as a decimal), times in milliseconds.
CREATE TABLE IF NOT EXISTS accounts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, created INTEGER NOT NULL,
  hedge INTEGER NOT NULL DEFAULT 0, multi_assets INTEGER NOT NULL DEFAULT 0, delta_mode INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS api_keys (
  key TEXT PRIMARY KEY, account INTEGER NOT NULL REFERENCES accounts(id), kind TEXT NOT NULL, secret TEXT NOT NULL,
  reading INTEGER NOT NULL, futures INTEGER NOT NULL, withdrawals INTEGER NOT NULL,
  universal_transfer INTEGER NOT NULL, ip_restrict INTEGER NOT NULL, ips TEXT NOT NULL, created INTEGER NOT NULL,
  margin INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS balances (
  account INTEGER NOT NULL, wallet TEXT NOT NULL, asset TEXT NOT NULL, amount DECIMAL_TEXT NOT NULL,
  PRIMARY KEY (account, wallet, asset)
);
CREATE TABLE IF NOT EXISTS symbol_settings (
  account INTEGER NOT NULL, symbol TEXT NOT NULL, leverage INTEGER NOT NULL DEFAULT 20,
  isolated INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (account, symbol)
);
CREATE TABLE IF NOT EXISTS adl_settings (
  account INTEGER NOT NULL, symbol TEXT NOT NULL, position_side TEXT NOT NULL, rank TEXT NOT NULL,
  update_time INTEGER NOT NULL, PRIMARY KEY (account, symbol, position_side)
);
CREATE TABLE IF NOT EXISTS positions (
  account INTEGER NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL, amount DECIMAL_TEXT NOT NULL,
  entry_price DECIMAL_TEXT NOT NULL, isolated_wallet DECIMAL_TEXT NOT NULL, isolated INTEGER NOT NULL,
  update_time INTEGER NOT NULL, PRIMARY KEY (account, symbol, side)
);
CREATE TABLE IF NOT EXISTS orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, client_id TEXT NOT NULL, symbol TEXT NOT NULL,
  side TEXT NOT NULL, position_side TEXT NOT NULL, type TEXT NOT NULL, orig_type TEXT NOT NULL, tif TEXT NOT NULL,
  quantity DECIMAL_TEXT NOT NULL, price DECIMAL_TEXT NOT NULL, stop_price DECIMAL_TEXT NOT NULL,
  reduce_only INTEGER NOT NULL, close_position INTEGER NOT NULL, stp TEXT NOT NULL, working_type TEXT NOT NULL,
  price_protect INTEGER NOT NULL, status TEXT NOT NULL, executed DECIMAL_TEXT NOT NULL,
  cum_quote DECIMAL_TEXT NOT NULL, forced TEXT NOT NULL DEFAULT '', amendments INTEGER NOT NULL DEFAULT 0,
  time INTEGER NOT NULL, update_time INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS orders_open ON orders (symbol, account) WHERE status = 'NEW';
CREATE INDEX IF NOT EXISTS orders_of ON orders (account, symbol, time);
CREATE INDEX IF NOT EXISTS orders_client ON orders (account, symbol, client_id);
CREATE TABLE IF NOT EXISTS algo_orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, client_id TEXT NOT NULL, symbol TEXT NOT NULL,
  side TEXT NOT NULL, position_side TEXT NOT NULL, type TEXT NOT NULL, tif TEXT NOT NULL,
  quantity DECIMAL_TEXT NOT NULL, price DECIMAL_TEXT NOT NULL, trigger_price DECIMAL_TEXT NOT NULL,
  activate_price DECIMAL_TEXT NOT NULL, callback_rate DECIMAL_TEXT NOT NULL, extreme DECIMAL_TEXT NOT NULL,
  above INTEGER NOT NULL, reduce_only INTEGER NOT NULL, close_position INTEGER NOT NULL, stp TEXT NOT NULL,
  working_type TEXT NOT NULL, price_protect INTEGER NOT NULL, status TEXT NOT NULL,
  actual_order INTEGER NOT NULL DEFAULT 0, failure TEXT NOT NULL DEFAULT '',
  time INTEGER NOT NULL, update_time INTEGER NOT NULL, trigger_time INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS algo_open ON algo_orders (symbol, account) WHERE status = 'NEW';
CREATE INDEX IF NOT EXISTS algo_of ON algo_orders (account, symbol, time);
CREATE TABLE IF NOT EXISTS fills (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, order_id INTEGER NOT NULL, symbol TEXT NOT NULL,
  side TEXT NOT NULL, position_side TEXT NOT NULL, price DECIMAL_TEXT NOT NULL, quantity DECIMAL_TEXT NOT NULL,
  commission DECIMAL_TEXT NOT NULL, realized DECIMAL_TEXT NOT NULL, maker INTEGER NOT NULL, time INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS fills_of ON fills (account, symbol, time);
CREATE INDEX IF NOT EXISTS fills_order ON fills (order_id);
CREATE TABLE IF NOT EXISTS income (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, symbol TEXT NOT NULL, type TEXT NOT NULL,
  amount DECIMAL_TEXT NOT NULL, asset TEXT NOT NULL, info TEXT NOT NULL, trade_id TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS income_of ON income (account, time);
CREATE TABLE IF NOT EXISTS margin_changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, symbol TEXT NOT NULL, side TEXT NOT NULL,
  type INTEGER NOT NULL, amount DECIMAL_TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS transfers (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, type TEXT NOT NULL, asset TEXT NOT NULL,
  amount DECIMAL_TEXT NOT NULL, door TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS margin_debts (
  account INTEGER NOT NULL, asset TEXT NOT NULL, amount DECIMAL_TEXT NOT NULL, PRIMARY KEY (account, asset)
);
CREATE TABLE IF NOT EXISTS margin_loans (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, kind TEXT NOT NULL, asset TEXT NOT NULL,
  amount DECIMAL_TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS withdrawals (
  id TEXT PRIMARY KEY, account INTEGER NOT NULL, coin TEXT NOT NULL, amount DECIMAL_TEXT NOT NULL,
  fee DECIMAL_TEXT NOT NULL, address TEXT NOT NULL, tag TEXT NOT NULL, network TEXT NOT NULL,
  order_id TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS deposits (
  id INTEGER PRIMARY KEY AUTOINCREMENT, account INTEGER NOT NULL, coin TEXT NOT NULL,
  amount DECIMAL_TEXT NOT NULL, wallet TEXT NOT NULL, time INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS countdowns (
  account INTEGER NOT NULL, symbol TEXT NOT NULL, deadline INTEGER NOT NULL, PRIMARY KEY (account, symbol)
);
CREATE TABLE IF NOT EXISTS listen_keys (account INTEGER PRIMARY KEY, key TEXT NOT NULL, expires INTEGER NOT NULL);
-- A price set by hand (price NULL: the symbol walks again from that moment).
CREATE TABLE IF NOT EXISTS price_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT, symbol TEXT NOT NULL, time INTEGER NOT NULL, price DECIMAL_TEXT
);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
