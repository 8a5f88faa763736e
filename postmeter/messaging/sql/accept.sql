-- The accept pump's one statement: known keys, opt-outs, holds, messages; for one customer, one wallet, one list.
-- It records no event: the message's own row says who sent it and when, and an event and its way through the outbox would cost
-- a fifth of a send, for nobody.
-- Called as is by single requests, by lists of thousands and by the door's group commit. The customer's scope is set here,
-- because a group commit serves several customers in one transaction.
--
-- p_list_key guards the whole list (a replay answers the same ids); p_keys guard single messages collected from several
-- requests. p_whole: all or nothing when the money does not suffice (A-46).
-- p_wait: what the money does not suffice for waits for it.
-- Words: ok, waits, exists, key_reused, opted_out, exceeds_available, and not_all (the list is whole and some row did not fit).
CREATE FUNCTION messaging_accept(
    p_customer_id bigint, p_now timestamptz, p_wallet_id bigint, p_debit bigint, p_credit bigint, p_unit text, p_channel text,
    p_sender text, p_provider text, p_price_list bigint, p_batch_id bigint, p_kind text, p_actor text, p_hold_until timestamptz,
    p_due_at timestamptz, p_useful_until timestamptz, p_key_until timestamptz, p_list_key uuid, p_list_digest uuid, p_whole boolean,
    p_wait boolean, p_keys uuid[], p_digests uuid[], p_to text[], p_bodies text[], p_encodings text[], p_segments smallint[],
    p_prices bigint[], p_fees bigint[],
    OUT o_ids bigint[], OUT o_words text[])
LANGUAGE plpgsql AS $$
DECLARE
    n int := cardinality(p_to);
    v_known messaging_key; v_row record; v_out text[]; v_fresh boolean[]; v_words text[]; v_ids bigint[]; v_totals bigint[];
BEGIN
    PERFORM set_config('app.customer', p_customer_id::text, true);
    o_words := NULL;
    IF n = 1 THEN
        -- Most lists that the door brings have one row, and an expression costs a tenth of a query.
        o_ids := ARRAY[next_id()];
        v_totals := ARRAY[p_prices[1] + p_fees[1]];
    ELSE
        -- In order, for the sequence may begin again within the millisecond.
        o_ids := ARRAY(SELECT next_id() AS id FROM generate_series(1, n) ORDER BY id);
        SELECT array_agg(price + fee ORDER BY ord) INTO v_totals FROM unnest(p_prices, p_fees) WITH ORDINALITY AS u(price, fee, ord);
    END IF;

    IF p_list_key IS NOT NULL THEN
        INSERT INTO messaging_key (customer_id, key, digest, ids, expires_at)
            VALUES (p_customer_id, p_list_key, p_list_digest, o_ids, p_key_until) ON CONFLICT (customer_id, key) DO NOTHING;
        IF NOT FOUND THEN
            SELECT * INTO v_known FROM messaging_key WHERE customer_id = p_customer_id AND key = p_list_key;
            IF v_known.digest <> p_list_digest THEN
                o_words := array_fill('key_reused'::text, ARRAY[n]);
                RETURN;
            END IF;
            -- The same list again: the same answer. Rows that were refused then have no message.
            o_ids := v_known.ids;
            SELECT array_agg(CASE WHEN m.id IS NULL THEN 'refused_before' ELSE 'exists' END ORDER BY u.ord) INTO o_words
                FROM unnest(o_ids) WITH ORDINALITY AS u(id, ord)
                LEFT JOIN messaging_message m ON m.customer_id = p_customer_id AND m.id = u.id AND m.id >= o_ids[1] AND m.id <= o_ids[n];
            RETURN;
        END IF;
    END IF;

    IF p_keys IS NOT NULL THEN
        o_words := array_fill(NULL::text, ARRAY[n]);
        v_fresh := array_fill(false, ARRAY[n]);
        FOR v_row IN
            INSERT INTO messaging_key (customer_id, key, digest, ids, expires_at)
            SELECT p_customer_id, u.key, u.digest, ARRAY[u.id], p_key_until
            FROM unnest(p_keys, p_digests, o_ids) AS u(key, digest, id) WHERE u.key IS NOT NULL ORDER BY u.key
            ON CONFLICT (customer_id, key) DO NOTHING RETURNING ids[1] AS id
        LOOP v_fresh[array_position(o_ids, v_row.id)] := true; END LOOP;
        FOR v_row IN
            SELECT u.ord, k.ids[1] AS id, k.digest = u.digest AS same FROM unnest(p_keys, p_digests, v_fresh) WITH ORDINALITY AS u(key, digest, fresh, ord)
            JOIN messaging_key k ON k.customer_id = p_customer_id AND k.key = u.key WHERE u.key IS NOT NULL AND NOT u.fresh
        LOOP
            o_words[v_row.ord] := CASE WHEN v_row.same THEN 'exists' ELSE 'key_reused' END;
            IF v_row.same THEN o_ids[v_row.ord] := v_row.id; END IF;
        END LOOP;
    END IF;

    SELECT array_agg(address) INTO v_out FROM consent_opt_out
        WHERE customer_id = p_customer_id AND channel = CASE p_channel WHEN 'mms' THEN 'sms' ELSE p_channel END AND address = ANY (p_to)
            AND purpose IN ('all', p_kind);
    IF v_out IS NOT NULL THEN
        o_words := coalesce(o_words, array_fill(NULL::text, ARRAY[n]));
        FOR i IN 1 .. n LOOP
            IF o_words[i] IS NULL AND p_to[i] = ANY (v_out) THEN o_words[i] := 'opted_out'; END IF;
        END LOOP;
    END IF;

    IF o_words IS NULL AND 0 < ALL (v_totals) THEN
        o_words := ledger_hold(p_customer_id, p_now, p_debit, p_credit, p_channel, p_hold_until, o_ids, v_totals, o_ids, true);
    ELSE
        o_words := coalesce(o_words, array_fill(NULL::text, ARRAY[n]));
        -- What is free needs no hold.
        FOR i IN 1 .. n LOOP
            IF o_words[i] IS NULL AND v_totals[i] = 0 THEN o_words[i] := 'ok'; END IF;
        END LOOP;
        SELECT array_agg(u.id ORDER BY u.ord), array_agg(u.total ORDER BY u.ord) INTO v_ids, v_totals
            FROM unnest(o_ids, o_words, v_totals) WITH ORDINALITY AS u(id, word, total, ord) WHERE u.word IS NULL;
        IF v_ids IS NOT NULL THEN
            v_words := ledger_hold(p_customer_id, p_now, p_debit, p_credit, p_channel, p_hold_until, v_ids, v_totals, v_ids, true);
            FOR i IN 1 .. cardinality(v_ids) LOOP o_words[array_position(o_ids, v_ids[i])] := v_words[i]; END LOOP;
        END IF;
    END IF;

    IF p_wait THEN
        -- What the credit does not cover is kept without a hold, and goes out when it does.
        o_words := array_replace(o_words, 'exceeds_available', 'waits');
    END IF;
    IF p_whole AND 'exceeds_available' = ANY (o_words) THEN
        -- The caller rolls back; nothing of this call stands.
        o_words := array_replace(o_words, 'ok', 'not_all');
        RETURN;
    END IF;
    IF 'ok' = ALL (o_words) THEN
        INSERT INTO messaging_message (customer_id, id, kind, batch_id, wallet_id, channel, sender, recipient, body, encoding, segments, unit,
                price_micros, fee_micros, price_list_id, state, provider, created_by, created_at, changed_at, due_at, useful_until)
            SELECT p_customer_id, u.id, p_kind, p_batch_id, p_wallet_id, p_channel, p_sender, u.dst, u.body, u.encoding, u.segments, p_unit,
                u.price, u.fee, p_price_list, 'queued', p_provider, p_actor, p_now, p_now, p_due_at, p_useful_until
            FROM unnest(o_ids, p_to, p_bodies, p_encodings, p_segments, p_prices, p_fees)
                AS u(id, dst, body, encoding, segments, price, fee);
    ELSE
        INSERT INTO messaging_message (customer_id, id, kind, batch_id, wallet_id, channel, sender, recipient, body, encoding, segments, unit,
                price_micros, fee_micros, price_list_id, state, provider, created_by, created_at, changed_at, due_at, useful_until)
            SELECT p_customer_id, u.id, p_kind, p_batch_id, p_wallet_id, p_channel, p_sender, u.dst, u.body, u.encoding, u.segments, p_unit,
                u.price, u.fee, p_price_list, CASE u.word WHEN 'ok' THEN 'queued' ELSE 'waiting' END, p_provider, p_actor, p_now, p_now, p_due_at, p_useful_until
            FROM unnest(o_ids, p_to, p_bodies, p_encodings, p_segments, p_prices, p_fees, o_words)
                AS u(id, dst, body, encoding, segments, price, fee, word) WHERE u.word IN ('ok', 'waits');
        -- A refusal is not remembered: the same key may try again once there is credit.
        IF p_keys IS NOT NULL THEN
            DELETE FROM messaging_key k USING unnest(p_keys, o_words) AS u(key, word)
                WHERE k.customer_id = p_customer_id AND k.key = u.key AND u.word IN ('exceeds_available', 'opted_out');
        END IF;
        IF p_list_key IS NOT NULL AND NOT o_words && '{ok,waits}' THEN
            DELETE FROM messaging_key WHERE customer_id = p_customer_id AND key = p_list_key;
        END IF;
    END IF;
END $$;

-- Many short lists, of one customer each, in one call of the door's group commit: a call of its own for each would cost the
-- door and the database as much again as the work itself. The lists' columns are p_l_*, the last one says how many of the rows
-- (the other columns, in the lists' order) are its. Each list is still accepted by itself, in its own customer's scope.
CREATE FUNCTION messaging_accept_each(
    p_now timestamptz, p_hold_until timestamptz, p_key_until timestamptz, p_channel text,
    p_l_customers bigint[], p_l_wallets bigint[], p_l_debits bigint[], p_l_credits bigint[], p_l_units text[], p_l_senders text[],
    p_l_providers text[], p_l_price_lists bigint[], p_l_kinds text[], p_l_actors text[], p_l_due timestamptz[], p_l_useful_until timestamptz[],
    p_l_waits boolean[], p_l_keyed boolean[], p_l_counts int[],
    p_keys uuid[], p_digests uuid[], p_to text[], p_bodies text[], p_encodings text[], p_segments smallint[],
    p_prices bigint[], p_fees bigint[],
    OUT o_ids bigint[], OUT o_words text[])
LANGUAGE plpgsql AS $$
DECLARE a int; b int := 0; v_ids bigint[]; v_words text[];
BEGIN
    FOR l IN 1 .. cardinality(p_l_customers) LOOP
        a := b + 1;
        b := b + p_l_counts[l];
        SELECT f.o_ids, f.o_words INTO v_ids, v_words FROM messaging_accept(
            p_l_customers[l], p_now, p_l_wallets[l], p_l_debits[l], p_l_credits[l], p_l_units[l], p_channel, p_l_senders[l],
            p_l_providers[l], p_l_price_lists[l], 0, p_l_kinds[l], p_l_actors[l], p_hold_until, p_l_due[l], p_l_useful_until[l], p_key_until,
            NULL, NULL, false, p_l_waits[l],
            CASE WHEN p_l_keyed[l] THEN p_keys[a:b] END, CASE WHEN p_l_keyed[l] THEN p_digests[a:b] END, p_to[a:b], p_bodies[a:b],
            p_encodings[a:b], p_segments[a:b], p_prices[a:b], p_fees[a:b]) AS f;
        o_ids := o_ids || v_ids;
        o_words := o_words || v_words;
    END LOOP;
END $$;
