-- Locks limited accounts, in the one order, for a caller that reads balances and then posts what follows from them.
CREATE FUNCTION ledger_lock(p_customer_id bigint, p_accounts bigint[])
RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    PERFORM 1 FROM ledger_account WHERE customer_id = p_customer_id AND limited AND id = ANY (p_accounts) ORDER BY id FOR NO KEY UPDATE;
END $$;
