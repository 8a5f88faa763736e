-- The only code that writes the ledger. Each function serves one customer, takes arrays and answers one word per row,
-- in the rows' order. `p_now` is given, never read. Accounts are locked in the order of their ids, once, before anything else.

CREATE FUNCTION ledger_open(p_customer_id bigint, p_kind text, p_unit text, p_ref_id bigint, p_limited boolean, p_normal text)
RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_id bigint;
BEGIN
    SELECT id INTO v_id FROM ledger_account
        WHERE customer_id = p_customer_id AND kind = p_kind AND unit = p_unit AND ref_id = p_ref_id;
    IF FOUND THEN RETURN v_id; END IF;
    v_id := next_id();
    INSERT INTO ledger_account (customer_id, id, kind, unit, ref_id, limited, normal)
        VALUES (p_customer_id, v_id, p_kind, p_unit, p_ref_id, p_limited, p_normal)
        ON CONFLICT (customer_id, kind, unit, ref_id) DO NOTHING;
    IF NOT FOUND THEN
        SELECT id INTO v_id FROM ledger_account
            WHERE customer_id = p_customer_id AND kind = p_kind AND unit = p_unit AND ref_id = p_ref_id;
    END IF;
    RETURN v_id;
END $$;

-- Tells of a balance that fell below what is watched for, in the transaction that took it there, whichever function that was.
-- One fact for all whose watch it passed; each of them is told once and sets its watch again.
CREATE FUNCTION ledger_tell() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_id bigint := next_id();
    v_balance bigint := NEW.credits_posted - NEW.debits_posted - NEW.debits_pending;
    v_names text[];
BEGIN
    WITH told AS (
        DELETE FROM ledger_watch WHERE customer_id = NEW.customer_id AND account_id = NEW.id AND below_micros > v_balance RETURNING name)
    SELECT array_agg(name ORDER BY name) INTO v_names FROM told;
    INSERT INTO events_event (customer_id, id, kind, actor, subject_id, data, at) VALUES (NEW.customer_id, v_id, 'wallet.fell', 'system',
        NEW.ref_id, jsonb_build_object('below_micros', NEW.watch_micros, 'balance_micros', v_balance, 'watches', v_names),
        db_time_of(v_id));
    INSERT INTO events_outbox (customer_id, id, kind) VALUES (NEW.customer_id, v_id, 'wallet.fell');
    NEW.watch_micros := (
        SELECT max(below_micros) FROM ledger_watch WHERE customer_id = NEW.customer_id AND account_id = NEW.id);
    RETURN NEW;
END $$;
CREATE TRIGGER watch BEFORE UPDATE ON ledger_account FOR EACH ROW
    WHEN (NEW.credits_posted - NEW.debits_posted - NEW.debits_pending < NEW.watch_micros) EXECUTE FUNCTION ledger_tell();

-- Sets one watch of an account: below this the fact is recorded, at once if it is below already. NULL ends the watch.
CREATE FUNCTION ledger_set_watch(p_customer_id bigint, p_account bigint, p_name text, p_below bigint)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM ledger_account WHERE customer_id = p_customer_id AND id = p_account AND limited FOR UPDATE;
    IF NOT FOUND THEN RETURN; END IF;
    IF p_below IS NULL THEN
        DELETE FROM ledger_watch WHERE customer_id = p_customer_id AND account_id = p_account AND name = p_name;
    ELSE
        INSERT INTO ledger_watch (customer_id, account_id, name, below_micros) VALUES (p_customer_id, p_account, p_name, p_below)
            ON CONFLICT (customer_id, account_id, name) DO UPDATE SET below_micros = excluded.below_micros;
    END IF;
    UPDATE ledger_account SET watch_micros = (
            SELECT max(below_micros) FROM ledger_watch WHERE customer_id = p_customer_id AND account_id = p_account)
        WHERE customer_id = p_customer_id AND id = p_account;
END $$;

-- Sets how far an account may be overdrawn. Says false, and changes nothing, where more than that is used already.
CREATE FUNCTION ledger_set_limit(p_customer_id bigint, p_account bigint, p_limit bigint)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE ledger_account SET limit_micros = p_limit
        WHERE customer_id = p_customer_id AND id = p_account AND limited AND normal = 'credit'
            AND credits_posted - debits_posted - debits_pending + p_limit >= 0;
    RETURN FOUND;
END $$;

-- Holds against one account: a prefix of the list is accepted, as far as the money goes.
-- p_fresh: the ids are new, so none can have been held before.
-- Words: ok, exists (the same id was held before), exceeds_available, bad_amount.
CREATE FUNCTION ledger_hold(
    p_customer_id bigint, p_now timestamptz, p_debit bigint, p_credit bigint, p_code text, p_expires_at timestamptz,
    p_ids bigint[], p_amounts bigint[], p_refs bigint[], p_fresh boolean DEFAULT false)
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_available bigint; v_limited boolean; v_normal text; v_unit text; v_total bigint; v_least bigint; v_known bigint[]; v_words text[];
    v_ids bigint[]; v_amounts bigint[]; v_refs bigint[]; v_low bigint; v_high bigint;
BEGIN
    SELECT sum(x), min(x) INTO v_total, v_least FROM unnest(p_amounts) x;
    IF p_fresh AND v_least > 0 THEN
        -- As good as always everything fits: one statement locks, judges and counts.
        UPDATE ledger_account a SET debits_pending = a.debits_pending + v_total
            WHERE a.customer_id = p_customer_id AND a.id = p_debit AND a.limited AND a.normal = 'credit'
                AND v_total <= a.credits_posted - a.debits_posted - a.debits_pending + a.limit_micros
                AND a.unit = (SELECT c.unit FROM ledger_account c WHERE c.customer_id = p_customer_id AND c.id = p_credit AND c.id <> p_debit);
        IF FOUND THEN
            INSERT INTO ledger_transfer (customer_id, id, debit_account_id, credit_account_id, amount_micros, code, ref_id, pending, expires_at, at)
                SELECT p_customer_id, u.id, p_debit, p_credit, u.amount, p_code, u.ref, true, p_expires_at, p_now
                FROM unnest(p_ids, p_amounts, p_refs) AS u(id, amount, ref);
            RETURN array_fill('ok'::text, ARRAY[cardinality(p_ids)]);
        END IF;
    END IF;
    SELECT credits_posted - debits_posted - debits_pending + limit_micros, limited, normal, unit INTO v_available, v_limited, v_normal, v_unit
        FROM ledger_account WHERE customer_id = p_customer_id AND id = p_debit FOR NO KEY UPDATE;
    IF NOT FOUND OR NOT v_limited OR v_normal <> 'credit' THEN
        RAISE EXCEPTION 'account % cannot be held against', p_debit USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF NOT EXISTS (SELECT 1 FROM ledger_account WHERE customer_id = p_customer_id AND id = p_credit AND unit = v_unit AND id <> p_debit) THEN
        RAISE EXCEPTION 'accounts % and % are not of one unit', p_debit, p_credit USING ERRCODE = 'foreign_key_violation';
    END IF;
    IF NOT p_fresh THEN
        SELECT min(x), max(x) INTO v_low, v_high FROM unnest(p_ids) x;
        SELECT array_agg(id) INTO v_known FROM ledger_transfer
            WHERE customer_id = p_customer_id AND id BETWEEN v_low AND v_high AND id = ANY (p_ids);
    END IF;
    WITH item AS (
        SELECT u.*, u.id = ANY (coalesce(v_known, '{}')) AS known FROM unnest(p_ids, p_amounts, p_refs) WITH ORDINALITY AS u(id, amount, ref, ord)
    ), judged AS (
        SELECT item.*, CASE
            WHEN known THEN 'exists'
            WHEN amount <= 0 THEN 'bad_amount'
            WHEN sum(CASE WHEN known OR amount <= 0 THEN 0 ELSE amount END) OVER (ORDER BY ord) <= v_available THEN 'ok'
            ELSE 'exceeds_available' END AS word FROM item
    )
    SELECT array_agg(word ORDER BY ord), array_agg(id ORDER BY ord) FILTER (WHERE word = 'ok'),
           array_agg(amount ORDER BY ord) FILTER (WHERE word = 'ok'), array_agg(ref ORDER BY ord) FILTER (WHERE word = 'ok'),
           sum(amount) FILTER (WHERE word = 'ok')
        INTO v_words, v_ids, v_amounts, v_refs, v_total FROM judged;
    IF v_ids IS NOT NULL THEN
        INSERT INTO ledger_transfer (customer_id, id, debit_account_id, credit_account_id, amount_micros, code, ref_id, pending, expires_at, at)
            SELECT p_customer_id, u.id, p_debit, p_credit, u.amount, p_code, u.ref, true, p_expires_at, p_now
            FROM unnest(v_ids, v_amounts, v_refs) AS u(id, amount, ref);
        UPDATE ledger_account SET debits_pending = debits_pending + v_total WHERE customer_id = p_customer_id AND id = p_debit;
    END IF;
    RETURN coalesce(v_words, '{}');
END $$;

-- Resolves holds: p_actions are post | void | expire; p_amounts counts for post (at most the hold; the rest is released).
-- Words: ok, exists (the same resolution was there), already_posted, already_voided, already_expired, not_found, exceeds_hold, bad_amount.
CREATE FUNCTION ledger_resolve(p_customer_id bigint, p_now timestamptz, p_hold_ids bigint[], p_actions text[], p_amounts bigint[])
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_low bigint; v_high bigint; v_words text[]; v_done bigint[] := '{}'; v_row record;
BEGIN
    SELECT min(x), max(x) INTO v_low, v_high FROM unnest(p_hold_ids) x;
    PERFORM 1 FROM ledger_account a WHERE a.customer_id = p_customer_id AND a.limited AND a.id IN (
            SELECT unnest(ARRAY[t.debit_account_id, t.credit_account_id]) FROM ledger_transfer t
            WHERE t.customer_id = p_customer_id AND t.id BETWEEN v_low AND v_high AND t.id = ANY (p_hold_ids) AND t.pending)
        ORDER BY a.id FOR NO KEY UPDATE;
    -- Rejected rows first, so that the INSERT below sees only what may be resolved.
    FOR v_row IN
        INSERT INTO ledger_resolution (customer_id, hold_id, id, action, debit_account_id, credit_account_id, amount_micros, code, ref_id, at)
        SELECT DISTINCT ON (u.hold_id) p_customer_id, u.hold_id, next_id(), u.action, t.debit_account_id, t.credit_account_id,
               CASE u.action WHEN 'post' THEN u.amount ELSE 0 END, t.code, t.ref_id, p_now
        FROM unnest(p_hold_ids, p_actions, p_amounts) WITH ORDINALITY AS u(hold_id, action, amount, ord)
        JOIN ledger_transfer t ON t.customer_id = p_customer_id AND t.id BETWEEN v_low AND v_high AND t.id = u.hold_id AND t.pending
        WHERE u.action IN ('void', 'expire') OR (u.action = 'post' AND u.amount > 0 AND u.amount <= t.amount_micros)
        ORDER BY u.hold_id, u.ord
        ON CONFLICT (customer_id, hold_id) DO NOTHING RETURNING hold_id
    LOOP v_done := v_done || v_row.hold_id; END LOOP;
    UPDATE ledger_account a SET debits_pending = a.debits_pending - x.held, debits_posted = a.debits_posted + x.posted
        FROM (SELECT r.debit_account_id AS id, sum(t.amount_micros)::bigint AS held, sum(r.amount_micros)::bigint AS posted
              FROM ledger_resolution r JOIN ledger_transfer t ON t.customer_id = r.customer_id AND t.id = r.hold_id AND t.id BETWEEN v_low AND v_high
              WHERE r.customer_id = p_customer_id AND r.hold_id BETWEEN v_low AND v_high AND r.hold_id = ANY (v_done)
              GROUP BY r.debit_account_id) x
        WHERE a.customer_id = p_customer_id AND a.id = x.id AND a.limited;
    UPDATE ledger_account a SET credits_posted = a.credits_posted + x.posted
        FROM (SELECT r.credit_account_id AS id, sum(r.amount_micros)::bigint AS posted FROM ledger_resolution r
              WHERE r.customer_id = p_customer_id AND r.hold_id BETWEEN v_low AND v_high AND r.hold_id = ANY (v_done)
              GROUP BY r.credit_account_id) x
        WHERE a.customer_id = p_customer_id AND a.id = x.id AND a.limited;
    -- The words are those that the rows would get one after the other: of several about one hold, the first that may resolve it does.
    SELECT array_agg(CASE
            WHEN u.held_id IS NULL THEN 'not_found'
            WHEN u.action NOT IN ('post', 'void', 'expire') THEN 'bad_action'
            WHEN u.hold_id = ANY (v_done) AND u.fits AND u.turn = 1 THEN 'ok'
            WHEN (r.hold_id IS NULL OR u.hold_id = ANY (v_done) AND u.turn = 0) AND u.amount > u.held THEN 'exceeds_hold'
            WHEN r.hold_id IS NULL OR u.hold_id = ANY (v_done) AND u.turn = 0 THEN 'bad_amount'
            WHEN r.action = u.action AND (u.action <> 'post' OR r.amount_micros = u.amount) THEN 'exists'
            ELSE 'already_' || CASE r.action WHEN 'post' THEN 'posted' WHEN 'void' THEN 'voided' ELSE 'expired' END
        END ORDER BY u.ord) INTO v_words
        FROM (SELECT x.*, count(*) FILTER (WHERE x.fits) OVER (PARTITION BY x.hold_id ORDER BY x.ord) AS turn
              FROM (SELECT w.*, h.id AS held_id, h.amount_micros AS held,
                           w.action IN ('void', 'expire') OR (w.action = 'post' AND w.amount > 0 AND w.amount <= h.amount_micros) AS fits
                    FROM unnest(p_hold_ids, p_actions, p_amounts) WITH ORDINALITY AS w(hold_id, action, amount, ord)
                    LEFT JOIN ledger_transfer h ON h.customer_id = p_customer_id AND h.id BETWEEN v_low AND v_high AND h.id = w.hold_id AND h.pending) x) u
        LEFT JOIN ledger_resolution r ON r.customer_id = p_customer_id AND r.hold_id BETWEEN v_low AND v_high AND r.hold_id = u.hold_id;
    RETURN coalesce(v_words, '{}');
END $$;

-- Posts transfers one after the other. With p_linked all of them stand or none does.
-- Words: ok, exists, differs (the id exists with other content), exceeds_available, no_account, unit_mismatch, bad_amount, linked_failed.
CREATE FUNCTION ledger_post(
    p_customer_id bigint, p_now timestamptz, p_ids bigint[], p_debits bigint[], p_credits bigint[], p_amounts bigint[],
    p_codes text[], p_refs bigint[], p_linked boolean DEFAULT false)
RETURNS text[] LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_words text[] := '{}'; v_word text; v_debit ledger_account; v_credit ledger_account; v_old ledger_transfer; v_failed boolean := false;
BEGIN
    PERFORM 1 FROM ledger_account WHERE customer_id = p_customer_id AND limited AND id = ANY (p_debits || p_credits) ORDER BY id FOR NO KEY UPDATE;
    BEGIN
        FOR i IN 1 .. coalesce(cardinality(p_ids), 0) LOOP
            SELECT * INTO v_old FROM ledger_transfer WHERE customer_id = p_customer_id AND id = p_ids[i];
            IF FOUND THEN
                v_word := CASE WHEN (v_old.debit_account_id, v_old.credit_account_id, v_old.amount_micros, v_old.code, v_old.ref_id, v_old.pending)
                    = (p_debits[i], p_credits[i], p_amounts[i], p_codes[i], p_refs[i], false) THEN 'exists' ELSE 'differs' END;
            ELSE
                SELECT * INTO v_debit FROM ledger_account WHERE customer_id = p_customer_id AND id = p_debits[i];
                SELECT * INTO v_credit FROM ledger_account WHERE customer_id = p_customer_id AND id = p_credits[i];
                v_word := CASE
                    WHEN v_debit.id IS NULL OR v_credit.id IS NULL OR v_debit.id = v_credit.id THEN 'no_account'
                    WHEN v_debit.unit <> v_credit.unit THEN 'unit_mismatch'
                    WHEN p_amounts[i] IS NULL OR p_amounts[i] <= 0 THEN 'bad_amount'
                    WHEN v_debit.limited AND v_debit.normal = 'credit'
                        AND v_debit.credits_posted - v_debit.debits_posted - v_debit.debits_pending + v_debit.limit_micros < p_amounts[i] THEN 'exceeds_available'
                    WHEN v_credit.limited AND v_credit.normal = 'debit'
                        AND v_credit.debits_posted - v_credit.credits_posted < p_amounts[i] THEN 'exceeds_available'
                    ELSE 'ok' END;
                IF v_word = 'ok' THEN
                    INSERT INTO ledger_transfer (customer_id, id, debit_account_id, credit_account_id, amount_micros, code, ref_id, pending, at)
                        VALUES (p_customer_id, p_ids[i], p_debits[i], p_credits[i], p_amounts[i], p_codes[i], p_refs[i], false, p_now);
                    UPDATE ledger_account SET debits_posted = debits_posted + p_amounts[i] WHERE customer_id = p_customer_id AND id = p_debits[i] AND limited;
                    UPDATE ledger_account SET credits_posted = credits_posted + p_amounts[i] WHERE customer_id = p_customer_id AND id = p_credits[i] AND limited;
                END IF;
            END IF;
            v_words := v_words || v_word;
            v_failed := v_failed OR v_word NOT IN ('ok', 'exists');
        END LOOP;
        IF p_linked AND v_failed THEN
            RAISE EXCEPTION USING ERRCODE = 'PM001';
        END IF;
    EXCEPTION WHEN SQLSTATE 'PM001' THEN
        -- The inner block is undone; the words say which row was at fault.
        SELECT array_agg(CASE WHEN w = 'ok' THEN 'linked_failed' ELSE w END ORDER BY o) INTO v_words FROM unnest(v_words) WITH ORDINALITY AS u(w, o);
    END;
    RETURN v_words;
END $$;

-- Money that comes in pays the customer's debt first: up to two transfers, with the ids p_id and p_debt_id.
-- Words: ok, exists, and those of ledger_post.
CREATE FUNCTION ledger_give(
    p_customer_id bigint, p_now timestamptz, p_id bigint, p_debt_id bigint, p_source bigint, p_wallet bigint, p_receivable bigint,
    p_amount bigint, p_code text, p_ref bigint)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_debt bigint; v_words text[];
BEGIN
    IF EXISTS (SELECT 1 FROM ledger_transfer WHERE customer_id = p_customer_id AND id IN (p_id, p_debt_id)) THEN RETURN 'exists'; END IF;
    PERFORM 1 FROM ledger_account WHERE customer_id = p_customer_id AND id IN (p_wallet, p_receivable) ORDER BY id FOR NO KEY UPDATE;
    -- Read again behind the lock: the same money may have come in while we waited.
    IF EXISTS (SELECT 1 FROM ledger_transfer WHERE customer_id = p_customer_id AND id IN (p_id, p_debt_id)) THEN RETURN 'exists'; END IF;
    SELECT debits_posted - credits_posted INTO v_debt FROM ledger_account WHERE customer_id = p_customer_id AND id = p_receivable;
    v_debt := least(coalesce(v_debt, 0), p_amount);
    v_words := ledger_post(p_customer_id, p_now,
        CASE WHEN v_debt <= 0 THEN ARRAY[p_id] WHEN v_debt = p_amount THEN ARRAY[p_debt_id] ELSE ARRAY[p_debt_id, p_id] END,
        CASE WHEN v_debt <= 0 OR v_debt = p_amount THEN ARRAY[p_source] ELSE ARRAY[p_source, p_source] END,
        CASE WHEN v_debt <= 0 THEN ARRAY[p_wallet] WHEN v_debt = p_amount THEN ARRAY[p_receivable] ELSE ARRAY[p_receivable, p_wallet] END,
        CASE WHEN v_debt <= 0 OR v_debt = p_amount THEN ARRAY[p_amount] ELSE ARRAY[v_debt, p_amount - v_debt] END,
        ARRAY[p_code, p_code], ARRAY[p_ref, p_ref], true);
    RETURN coalesce((SELECT w FROM unnest(v_words) w WHERE w NOT IN ('ok', 'exists', 'linked_failed') LIMIT 1), 'ok');
END $$;

-- Money that must be taken whether it is there or not (a clawback, a late carrier fee, a settlement above its hold):
-- the wallet gives what is available, the rest becomes the customer's debt in the receivable account. A-03, A-08.
CREATE FUNCTION ledger_take(
    p_customer_id bigint, p_now timestamptz, p_id bigint, p_debt_id bigint, p_wallet bigint, p_receivable bigint, p_target bigint,
    p_amount bigint, p_code text, p_ref bigint)
RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE v_there bigint; v_words text[];
BEGIN
    IF EXISTS (SELECT 1 FROM ledger_transfer WHERE customer_id = p_customer_id AND id IN (p_id, p_debt_id)) THEN RETURN 'exists'; END IF;
    PERFORM 1 FROM ledger_account WHERE customer_id = p_customer_id AND id IN (p_wallet, p_receivable) ORDER BY id FOR NO KEY UPDATE;
    IF EXISTS (SELECT 1 FROM ledger_transfer WHERE customer_id = p_customer_id AND id IN (p_id, p_debt_id)) THEN RETURN 'exists'; END IF;
    SELECT greatest(0, least(p_amount, credits_posted - debits_posted - debits_pending)) INTO v_there
        FROM ledger_account WHERE customer_id = p_customer_id AND id = p_wallet;
    v_words := ledger_post(p_customer_id, p_now,
        CASE WHEN v_there = p_amount THEN ARRAY[p_id] WHEN v_there = 0 THEN ARRAY[p_debt_id] ELSE ARRAY[p_id, p_debt_id] END,
        CASE WHEN v_there = p_amount THEN ARRAY[p_wallet] WHEN v_there = 0 THEN ARRAY[p_receivable] ELSE ARRAY[p_wallet, p_receivable] END,
        ARRAY[p_target, p_target],
        CASE WHEN v_there = p_amount OR v_there = 0 THEN ARRAY[p_amount] ELSE ARRAY[v_there, p_amount - v_there] END,
        ARRAY[p_code, p_code], ARRAY[p_ref, p_ref], true);
    RETURN coalesce((SELECT w FROM unnest(v_words) w WHERE w NOT IN ('ok', 'exists', 'linked_failed') LIMIT 1), 'ok');
END $$;
