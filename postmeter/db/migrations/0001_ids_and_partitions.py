from django.db import migrations

from postmeter.db.tables import function, shared

# Milliseconds since 2025-01-01 UTC (42 bits), node (8), sequence (13): rises with time to the millisecond.
NEXT_ID = """
CREATE SEQUENCE db_id_low AS bigint MINVALUE 0 MAXVALUE 8191 START 0 CYCLE CACHE 1;
CREATE FUNCTION next_id() RETURNS bigint LANGUAGE sql VOLATILE PARALLEL UNSAFE
BEGIN ATOMIC
    SELECT ((extract(epoch FROM clock_timestamp()) * 1000)::bigint - 1735689600000) << 21 | nextval('db_id_low');
END;
CREATE FUNCTION db_id_at(p_at timestamptz) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT
BEGIN ATOMIC
    SELECT ((extract(epoch FROM p_at) * 1000)::bigint - 1735689600000) << 21;
END;
CREATE FUNCTION db_time_of(p_id bigint) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT
BEGIN ATOMIC
    SELECT to_timestamp(((p_id >> 21) + 1735689600000) / 1000.0);
END;
"""

REFUSE_CHANGE = """
CREATE FUNCTION db_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'rows of % are never changed or removed; write a new row that corrects it', TG_TABLE_NAME
        USING ERRCODE = 'insufficient_privilege';
END $$;
"""

# One partition a week. A default partition catches what falls outside (a clock far in the past or the future), so that
# no message is ever lost for want of a partition; the sweeper reports rows found there.
PARTITIONS = """
CREATE TABLE db_partitioned (name text PRIMARY KEY);
CREATE FUNCTION db_ensure_partitions(p_from timestamptz, p_weeks int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER
SET search_path = public, pg_temp AS $$
DECLARE
    v_table text; v_week timestamptz; v_name text; v_made int := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('db_ensure_partitions'));
    FOR v_table IN SELECT name FROM db_partitioned ORDER BY name LOOP
        IF to_regclass(v_table || '_rest') IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I DEFAULT', v_table || '_rest', v_table);
        END IF;
        FOR i IN 0 .. p_weeks LOOP
            v_week := date_trunc('week', p_from AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' + make_interval(weeks => i);
            v_name := v_table || '_' || to_char(v_week AT TIME ZONE 'UTC', 'IYYY"w"IW');
            IF to_regclass(v_name) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)',
                    v_name, v_table, db_id_at(v_week), db_id_at(v_week + interval '1 week'));
                v_made := v_made + 1;
            END IF;
        END LOOP;
    END LOOP;
    RETURN v_made;
END $$;
"""


class Migration(migrations.Migration):
    initial = True
    dependencies = []
    operations = [
        migrations.RunSQL(NEXT_ID, "DROP FUNCTION db_time_of; DROP FUNCTION db_id_at; DROP FUNCTION next_id; DROP SEQUENCE db_id_low"),
        migrations.RunSQL(REFUSE_CHANGE, "DROP FUNCTION db_refuse_change"),
        migrations.RunSQL(PARTITIONS, "DROP FUNCTION db_ensure_partitions; DROP TABLE db_partitioned"),
        shared("db_partitioned"),
        function("next_id()"),
        function("db_ensure_partitions(timestamptz, int)"),
        migrations.RunSQL("GRANT USAGE ON SEQUENCE db_id_low TO PUBLIC", migrations.RunSQL.noop),
    ]
