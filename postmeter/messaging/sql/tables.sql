CREATE TABLE messaging_message (
    customer_id bigint NOT NULL,
    id bigint NOT NULL,
    batch_id bigint NOT NULL,
    wallet_id bigint NOT NULL,
    channel text NOT NULL,
    sender text NOT NULL,
    recipient text NOT NULL,
    body text NOT NULL,
    encoding text NOT NULL,
    segments smallint NOT NULL CHECK (segments > 0),
    unit text NOT NULL,
    price_micros bigint NOT NULL CHECK (price_micros >= 0),
    fee_micros bigint NOT NULL CHECK (fee_micros >= 0),
    price_list_id bigint NOT NULL,
    state text NOT NULL CHECK (state IN
        ('waiting', 'queued', 'sending', 'sent', 'unknown', 'delivered', 'undelivered', 'failed', 'expired', 'cancelled')),
    provider text NOT NULL,
    provider_ref text NOT NULL DEFAULT '',
    error_code text NOT NULL DEFAULT '',
    charged_micros bigint NOT NULL DEFAULT 0,
    refunded_micros bigint NOT NULL DEFAULT 0,
    attempts smallint NOT NULL DEFAULT 0,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    changed_at timestamptz NOT NULL,
    due_at timestamptz NOT NULL,
    useful_until timestamptz,
    PRIMARY KEY (customer_id, id),
    -- Never billed twice, never given back more than was taken (promises.md I16).
    CHECK (charged_micros BETWEEN 0 AND price_micros + fee_micros),
    CHECK (refunded_micros BETWEEN 0 AND charged_micros)
) PARTITION BY RANGE (id);
-- What the pumps look for; both indexes are as small as the work that is open.
CREATE INDEX messaging_message_queue ON messaging_message (customer_id, id) WHERE state = 'queued';
CREATE INDEX messaging_message_open ON messaging_message (customer_id, id) WHERE state IN ('waiting', 'sending', 'sent', 'unknown');
CREATE INDEX messaging_message_batch ON messaging_message (customer_id, batch_id, id) WHERE batch_id <> 0;

CREATE TABLE messaging_receipt (
    customer_id bigint NOT NULL,
    message_id bigint NOT NULL,
    source text NOT NULL,
    status text NOT NULL,
    error_code text NOT NULL,
    id bigint NOT NULL DEFAULT next_id(),
    provider text NOT NULL,
    provider_ref text NOT NULL,
    raw jsonb NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, message_id, source, status, error_code)
) PARTITION BY RANGE (message_id);

-- Keys are digests and expire; see docs/decisions for why this table is not partitioned.
CREATE TABLE messaging_key (
    customer_id bigint NOT NULL,
    key uuid NOT NULL,
    digest uuid NOT NULL,
    ids bigint[] NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (customer_id, key)
);
CREATE INDEX messaging_key_expiry ON messaging_key (expires_at);
