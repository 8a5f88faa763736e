CREATE TABLE ledger_account (
    customer_id bigint NOT NULL,
    id bigint NOT NULL,
    kind text NOT NULL,
    unit text NOT NULL,
    ref_id bigint NOT NULL,
    limited boolean NOT NULL,
    normal text NOT NULL CHECK (normal IN ('credit', 'debit')),
    limit_micros bigint NOT NULL DEFAULT 0 CHECK (limit_micros >= 0),
    debits_posted bigint NOT NULL DEFAULT 0 CHECK (debits_posted >= 0),
    credits_posted bigint NOT NULL DEFAULT 0 CHECK (credits_posted >= 0),
    debits_pending bigint NOT NULL DEFAULT 0 CHECK (debits_pending >= 0),
    -- The highest of its watches: the fact `wallet.fell` is recorded when what is there and not held falls below it. NULL: none.
    watch_micros bigint,
    PRIMARY KEY (customer_id, id),
    UNIQUE (customer_id, kind, unit, ref_id),
    -- The promise: what is promised and taken never exceeds what is there plus the limit. No exception anywhere.
    CONSTRAINT ledger_available CHECK (
        NOT limited OR CASE normal
            WHEN 'credit' THEN credits_posted - debits_posted - debits_pending + limit_micros >= 0
            ELSE debits_posted - credits_posted - debits_pending >= 0 END)
) WITH (fillfactor = 50);

-- Who wants to be told when an account falls below what. A watch ends when it is told.
CREATE TABLE ledger_watch (
    customer_id bigint NOT NULL,
    account_id bigint NOT NULL,
    name text NOT NULL,
    below_micros bigint NOT NULL,
    PRIMARY KEY (customer_id, account_id, name)
);

CREATE TABLE ledger_transfer (
    customer_id bigint NOT NULL,
    id bigint NOT NULL,
    debit_account_id bigint NOT NULL,
    credit_account_id bigint NOT NULL,
    amount_micros bigint NOT NULL CHECK (amount_micros > 0),
    code text NOT NULL,
    ref_id bigint NOT NULL,
    pending boolean NOT NULL,
    expires_at timestamptz,
    at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, id),
    CHECK (debit_account_id <> credit_account_id),
    CHECK (pending = (expires_at IS NOT NULL))
) PARTITION BY RANGE (id);
-- Holds are found by their id; only what has moved is listed by account. So a hold costs one index entry.
CREATE INDEX ledger_transfer_debit ON ledger_transfer (customer_id, debit_account_id, id) WHERE NOT pending;
CREATE INDEX ledger_transfer_credit ON ledger_transfer (customer_id, credit_account_id, id) WHERE NOT pending;
CREATE INDEX ledger_transfer_ref ON ledger_transfer (customer_id, ref_id) WHERE NOT pending;

-- Partitioned by the hold's id, so that "resolved exactly once" is a primary key.
CREATE TABLE ledger_resolution (
    customer_id bigint NOT NULL,
    hold_id bigint NOT NULL,
    id bigint NOT NULL,
    action text NOT NULL CHECK (action IN ('post', 'void', 'expire')),
    debit_account_id bigint NOT NULL,
    credit_account_id bigint NOT NULL,
    amount_micros bigint NOT NULL,
    code text NOT NULL,
    ref_id bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, hold_id),
    CHECK (CASE action WHEN 'post' THEN amount_micros > 0 ELSE amount_micros = 0 END)
) PARTITION BY RANGE (hold_id);
CREATE INDEX ledger_resolution_debit ON ledger_resolution (customer_id, debit_account_id, id) WHERE action = 'post';
CREATE INDEX ledger_resolution_credit ON ledger_resolution (customer_id, credit_account_id, id) WHERE action = 'post';
