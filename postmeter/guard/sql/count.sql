-- Counts what was accepted for one customer, in the transaction that accepts it: a roll-back un-counts. Counters come in the order of
-- (kind, key), the customer's own first, so two lists never wait for each other crosswise. Answers what each has come to, and
-- whether the customer's breaker is open.
CREATE FUNCTION guard_count(
    p_customer_id bigint, p_kinds smallint[], p_keys bigint[], p_buckets timestamptz[], p_messages int[], p_micros bigint[],
    OUT o_kinds smallint[], OUT o_keys bigint[], OUT o_messages bigint[], OUT o_micros bigint[], OUT o_stopped boolean)
LANGUAGE plpgsql AS $$
BEGIN
    WITH counted AS (
        INSERT INTO guard_counter AS c (customer_id, kind, key, bucket, messages, micros)
            SELECT p_customer_id, u.kind, u.key, u.bucket, u.messages, u.micros
            FROM unnest(p_kinds, p_keys, p_buckets, p_messages, p_micros) AS u(kind, key, bucket, messages, micros)
        ON CONFLICT (customer_id, kind, key, bucket)
            DO UPDATE SET messages = c.messages + excluded.messages, micros = c.micros + excluded.micros
        RETURNING kind, key, messages, micros)
    SELECT array_agg(kind), array_agg(key), array_agg(messages), array_agg(micros),
            EXISTS (SELECT 1 FROM guard_stop WHERE customer_id = p_customer_id AND lifted_at IS NULL)
        INTO o_kinds, o_keys, o_messages, o_micros, o_stopped FROM counted;
END $$;

-- The same for several customers, in one call of the door's group commit: each by itself. p_counts says how many of the rows
-- are each one's. It is the only way to a counter: the application reads and forgets them, and never lowers one.
CREATE FUNCTION guard_count_each(
    p_customers bigint[], p_counts int[],
    p_kinds smallint[], p_keys bigint[], p_buckets timestamptz[], p_messages int[], p_micros bigint[])
RETURNS TABLE (customer_id bigint, kinds smallint[], keys bigint[], messages bigint[], micros bigint[], stopped boolean)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE a int; b int := 0;
BEGIN
    FOR i IN 1 .. cardinality(p_customers) LOOP
        a := b + 1;
        b := b + p_counts[i];
        RETURN QUERY SELECT p_customers[i], f.o_kinds, f.o_keys, f.o_messages, f.o_micros, f.o_stopped FROM guard_count(
            p_customers[i], p_kinds[a:b], p_keys[a:b], p_buckets[a:b], p_messages[a:b], p_micros[a:b]) AS f;
    END LOOP;
END $$;
