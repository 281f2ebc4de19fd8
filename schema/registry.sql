-- Waymark's own tables: which projects there are, which hosts are theirs, which slot counts.
--
--	psql -v ON_ERROR_STOP=1 -f schema/registry.sql "$DATABASE_URL"
--
-- One transaction; it may be run again, and leaves the rows that are there alone.  For
-- PostgreSQL 13 and later.  Waymark itself needs only to read: give its user the role waymark_reader
--
--	CREATE ROLE waymark LOGIN PASSWORD '…' IN ROLE waymark_reader;
--
-- `waymark slot` changes slots, for which its user has to have the role waymark_writer, too.
--
-- Whoever writes here needs nothing but INSERT, UPDATE and DELETE: triggers notify Waymark of the
-- project that has changed, and it reads that one again.

BEGIN;

SET LOCAL client_min_messages = warning;

CREATE SCHEMA IF NOT EXISTS waymark;
COMMENT ON SCHEMA waymark IS 'The registry of Waymark: projects, their hosts and their slots';

-- Constraints say what Waymark's decoder would refuse, so that a mistake is told to who makes it.

CREATE TABLE IF NOT EXISTS waymark.project (
	name text PRIMARY KEY
		CONSTRAINT project_name_is_a_host_label
		CHECK (name ~ '^[a-z0-9]+(-[a-z0-9]+)*$' AND length(name) <= 63)
);
COMMENT ON TABLE waymark.project IS
	'One row for each project. Its name is the first part of its hosts: myapp';

CREATE TABLE IF NOT EXISTS waymark.domain (
	host text PRIMARY KEY
		CONSTRAINT domain_host_is_a_lower_case_host_name
		CHECK (host ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
			AND host !~ '(^|\.)([0-9]+|0x[0-9a-f]*)$' AND length(host) <= 253),
	project text NOT NULL
		REFERENCES waymark.project ON UPDATE CASCADE ON DELETE CASCADE,
	position integer NOT NULL DEFAULT 0
);
CREATE INDEX IF NOT EXISTS domain_project ON waymark.domain (project);
COMMENT ON TABLE waymark.domain IS
	'Hosts of production beside the one that is made of the name. A host has one owner';
COMMENT ON COLUMN waymark.domain.position IS 'The order in which they are shown';

CREATE TABLE IF NOT EXISTS waymark.environment (
	project text NOT NULL
		REFERENCES waymark.project ON UPDATE CASCADE ON DELETE CASCADE,
	name text NOT NULL
		CONSTRAINT environment_name_is_a_word CHECK (name ~ '^[a-z0-9]{1,32}$'),
	port integer
		CONSTRAINT environment_port_is_a_port CHECK (port BETWEEN 1 AND 65535),
	base_port integer
		CONSTRAINT environment_base_port_is_a_port CHECK (base_port BETWEEN 1 AND 65535),
	health_path text
		CONSTRAINT environment_health_path_is_a_path
		CHECK (health_path ~ '^/([A-Za-z0-9._~-]+/)*[A-Za-z0-9._~-]*$'
			AND health_path !~ '/\.\.?(/|$)' AND length(health_path) <= 255),
	health_interval interval
		CONSTRAINT environment_health_interval_is_100ms_to_1h
		CHECK (extract(epoch FROM health_interval) BETWEEN 0.1 AND 3600),
	health_timeout interval
		CONSTRAINT environment_health_timeout_is_10ms_to_1m
		CHECK (extract(epoch FROM health_timeout) BETWEEN 0.01 AND 60),
	health_rise integer
		CONSTRAINT environment_health_rise_is_at_most_100 CHECK (health_rise BETWEEN 1 AND 100),
	health_fall integer
		CONSTRAINT environment_health_fall_is_at_most_100 CHECK (health_fall BETWEEN 1 AND 100),
	sticky boolean NOT NULL DEFAULT false,
	middlewares text[] NOT NULL DEFAULT '{}'
		CONSTRAINT environment_middlewares_have_providers
		CHECK (cardinality(middlewares) = 0 OR (array_ndims(middlewares) = 1
			AND cardinality(middlewares) <= 16 AND array_to_string(middlewares, '|', '?')
			~ '^(?!.*\|$)((?=[^|]{1,128}(\||$))[A-Za-z0-9_.-]+@[a-z]+(\||$))+$')),
	slots boolean NOT NULL DEFAULT false,
	expires interval
		CONSTRAINT environment_expires_is_at_most_ten_years
		CHECK (extract(epoch FROM expires) BETWEEN 0.001 AND 3650 * 86400),
	active text
		CONSTRAINT environment_active_is_a_word CHECK (active ~ '^[a-z0-9]{1,32}$'),
	PRIMARY KEY (project, name)
);
COMMENT ON TABLE waymark.environment IS
	'Environments: production, staging, preview, … A project without any may have all of them';
COMMENT ON COLUMN waymark.environment.port IS 'The container''s port';
COMMENT ON COLUMN waymark.environment.base_port IS 'The published port of the first slot';
COMMENT ON COLUMN waymark.environment.slots IS 'It has two slots, blue and green';
COMMENT ON COLUMN waymark.environment.expires IS 'How long a preview lives';
COMMENT ON COLUMN waymark.environment.active IS
	'The slot that counts, blue or green; NULL: the one whose state is active';

-- Tables of before there were these.
ALTER TABLE waymark.environment
	ADD COLUMN IF NOT EXISTS health_interval interval
		CONSTRAINT environment_health_interval_is_100ms_to_1h
		CHECK (extract(epoch FROM health_interval) BETWEEN 0.1 AND 3600),
	ADD COLUMN IF NOT EXISTS health_timeout interval
		CONSTRAINT environment_health_timeout_is_10ms_to_1m
		CHECK (extract(epoch FROM health_timeout) BETWEEN 0.01 AND 60),
	ADD COLUMN IF NOT EXISTS health_rise integer
		CONSTRAINT environment_health_rise_is_at_most_100 CHECK (health_rise BETWEEN 1 AND 100),
	ADD COLUMN IF NOT EXISTS health_fall integer
		CONSTRAINT environment_health_fall_is_at_most_100 CHECK (health_fall BETWEEN 1 AND 100),
	ADD COLUMN IF NOT EXISTS sticky boolean NOT NULL DEFAULT false,
	ADD COLUMN IF NOT EXISTS middlewares text[] NOT NULL DEFAULT '{}'
		CONSTRAINT environment_middlewares_have_providers
		CHECK (cardinality(middlewares) = 0 OR (array_ndims(middlewares) = 1
			AND cardinality(middlewares) <= 16 AND array_to_string(middlewares, '|', '?')
			~ '^(?!.*\|$)((?=[^|]{1,128}(\||$))[A-Za-z0-9_.-]+@[a-z]+(\||$))+$'));
COMMENT ON COLUMN waymark.environment.health_interval IS
	'How often its containers are asked; NULL: probe.interval';
COMMENT ON COLUMN waymark.environment.health_timeout IS
	'How long an answer may take; NULL: probe.timeout';
COMMENT ON COLUMN waymark.environment.health_rise IS
	'Answers in a row until a container is ready; NULL: probe.rise';
COMMENT ON COLUMN waymark.environment.health_fall IS
	'Failures in a row until it is not ready any more; NULL: probe.fall';
COMMENT ON COLUMN waymark.environment.sticky IS 'A visitor stays with one server';
COMMENT ON COLUMN waymark.environment.middlewares IS
	'The proxy''s own, in this order, each with its provider: headers@file';

CREATE TABLE IF NOT EXISTS waymark.slot (
	project text NOT NULL,
	environment text NOT NULL,
	name text NOT NULL
		CONSTRAINT slot_name_is_a_word CHECK (name ~ '^[a-z0-9]{1,32}$'),
	state text NOT NULL DEFAULT 'empty'
		CONSTRAINT slot_state_is_known
		CHECK (state IN ('empty', 'reserved', 'deployed', 'active', 'grace-period')),
	port integer
		CONSTRAINT slot_port_is_a_port CHECK (port BETWEEN 1 AND 65535),
	since timestamptz
		CONSTRAINT slot_since_is_from_1970_on
		CHECK (since >= '1970-01-01 00:00:00+00' AND since < '9999-12-31 00:00:00+00'),
	until timestamptz
		CONSTRAINT slot_until_is_from_1970_on
		CHECK (until >= '1970-01-01 00:00:00+00' AND until < '9999-12-31 00:00:00+00'),
	weight integer
		CONSTRAINT slot_weight_is_at_most_1000 CHECK (weight BETWEEN 0 AND 1000),
	container text
		CONSTRAINT slot_container_is_a_name
		CHECK (container ~ '^[A-Za-z0-9][A-Za-z0-9_.-]*$' AND length(container) <= 255),
	id text
		CONSTRAINT slot_id_is_128_bits CHECK (id ~ '^[0-9a-f]{32}$'),
	PRIMARY KEY (project, environment, name),
	FOREIGN KEY (project, environment)
		REFERENCES waymark.environment ON UPDATE CASCADE ON DELETE CASCADE,
	-- Looked at when the transaction ends, so that two may change places in it.  INSERT … ON
	-- CONFLICT has to name its columns therefore: ON CONFLICT (project, environment, name).
	CONSTRAINT slot_one_is_active EXCLUDE (project WITH =, environment WITH =)
		WHERE (state = 'active') DEFERRABLE INITIALLY DEFERRED
);
COMMENT ON TABLE waymark.slot IS 'The slots of an environment, blue and green, and how they stand';
COMMENT ON COLUMN waymark.slot.port IS 'The published port; NULL: by the formula';
COMMENT ON COLUMN waymark.slot.since IS 'When it came into this state';
COMMENT ON COLUMN waymark.slot.until IS
	'When a grace period or a reservation ends; NULL: a grace period slots.grace after since, or never';
COMMENT ON COLUMN waymark.slot.container IS 'The container''s name; NULL: any of this slot';

-- Tables of before there were reservations and weights.
ALTER TABLE waymark.slot ADD COLUMN IF NOT EXISTS id text
	CONSTRAINT slot_id_is_128_bits CHECK (id ~ '^[0-9a-f]{32}$');
ALTER TABLE waymark.slot ADD COLUMN IF NOT EXISTS weight integer
	CONSTRAINT slot_weight_is_at_most_1000 CHECK (weight BETWEEN 0 AND 1000);
COMMENT ON COLUMN waymark.slot.weight IS
	'Its share of the requests; where no slot of the environment has any, the active one gets all';
COMMENT ON COLUMN waymark.slot.id IS 'A reservation''s, by which `slot promote --id` knows it';
DO $$
BEGIN
	IF EXISTS (SELECT FROM pg_catalog.pg_constraint
		WHERE conrelid = 'waymark.slot'::regclass AND conname = 'slot_state_is_known'
			AND pg_get_constraintdef(oid) NOT LIKE '%reserved%')
	THEN
		ALTER TABLE waymark.slot DROP CONSTRAINT slot_state_is_known,
			ADD CONSTRAINT slot_state_is_known
			CHECK (state IN ('empty', 'reserved', 'deployed', 'active', 'grace-period'));
	END IF;
END $$;

CREATE TABLE IF NOT EXISTS waymark.static_route (
	host text PRIMARY KEY
		CONSTRAINT static_route_host_is_a_lower_case_host_name
		CHECK (host ~ '^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$'
			AND host !~ '(^|\.)([0-9]+|0x[0-9a-f]*)$' AND length(host) <= 253),
	upstreams text[] NOT NULL DEFAULT '{}'
		CONSTRAINT static_route_upstreams_are_urls
		CHECK (cardinality(upstreams) = 0 OR array_to_string(upstreams, '|', '?') ~ ('^(((https?|h2c)://'
			'(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?)(:[1-9][0-9]{0,4})?/?)'
			'(\||$))+$')),
	addresses inet[] NOT NULL DEFAULT '{}'
		CONSTRAINT static_route_addresses_are_no_networks
		CHECK (array_to_string(addresses, ' ', '/') !~ '/'),
	CONSTRAINT static_route_has_upstreams_or_addresses
		CHECK ((cardinality(upstreams) > 0) <> (cardinality(addresses) > 0))
);
COMMENT ON TABLE waymark.static_route IS
	'Hosts of what is no container here: upstreams are routed, addresses only resolved';
COMMENT ON COLUMN waymark.static_route.upstreams IS
	'Where requests go: http://, https:// or h2c://, a host and a port';

-- What Waymark reads: a project as one object, as it would stand in ssot.json and slots.json.

CREATE OR REPLACE VIEW waymark.entry (name, entry) AS
SELECT p.name, jsonb_strip_nulls(jsonb_build_object(
	'project', jsonb_build_object(
		'domains', (
			SELECT jsonb_agg(d.host ORDER BY d.position, d.host)
			FROM waymark.domain d WHERE d.project = p.name),
		'environments', (
			SELECT jsonb_object_agg(e.name, jsonb_build_object(
				'port', e.port,
				'base_port', e.base_port,
				'health', CASE WHEN num_nonnulls(e.health_path, e.health_interval,
						e.health_timeout, e.health_rise, e.health_fall) > 0
					THEN jsonb_build_object('path', e.health_path,
						'interval', round(extract(epoch FROM e.health_interval)
							* 1000)::bigint || 'ms',
						'timeout', round(extract(epoch FROM e.health_timeout)
							* 1000)::bigint || 'ms',
						'rise', e.health_rise,
						'fall', e.health_fall) END,
				'slots', e.slots,
				'sticky', nullif(e.sticky, false),
				'middlewares', nullif(to_jsonb(e.middlewares), '[]'),
				'expires', round(extract(epoch FROM e.expires) * 1000)::bigint || 'ms'))
			FROM waymark.environment e WHERE e.project = p.name)),
	'slots', (
		SELECT jsonb_object_agg(e.name, jsonb_build_object(
			'active', e.active,
			'weights', s.weights,
			'slots', coalesce(s.slots, '{}')))
		FROM waymark.environment e
		LEFT JOIN LATERAL (
			SELECT jsonb_object_agg(s.name, jsonb_build_object(
				'state', s.state,
				'port', s.port,
				'since', to_char(s.since AT TIME ZONE 'UTC',
					'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
				'until', to_char(s.until AT TIME ZONE 'UTC',
					'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
				'id', s.id,
				'container', s.container)) AS slots,
				jsonb_object_agg(s.name, s.weight) FILTER (WHERE s.weight > 0) AS weights
			FROM waymark.slot s
			WHERE s.project = p.name AND s.environment = e.name) AS s ON true
		WHERE e.project = p.name AND (e.active IS NOT NULL OR s.slots IS NOT NULL))))
FROM waymark.project p;
COMMENT ON VIEW waymark.entry IS 'What Waymark reads of each project';

CREATE OR REPLACE VIEW waymark.static_entry (host, entry) AS
SELECT r.host, CASE WHEN cardinality(r.upstreams) > 0
	THEN jsonb_build_object('upstreams', to_jsonb(r.upstreams))
	ELSE jsonb_build_object('address', (
		SELECT jsonb_agg(host(a.address) ORDER BY a.n)
		FROM unnest(r.addresses) WITH ORDINALITY AS a (address, n))) END
FROM waymark.static_route r;
COMMENT ON VIEW waymark.static_entry IS 'What Waymark reads of each static route';

-- Ringing.  The payload is the name of the project to be read again, '@static ' and a host, or
-- nothing: read all.  PostgreSQL folds equal ones of a transaction into one, and sends them when it
-- commits.  Rows that an UPDATE leaves as they were ring nothing.

CREATE OR REPLACE FUNCTION waymark.ring() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE
	changed text[];
BEGIN
	IF TG_OP = 'TRUNCATE' THEN
		changed := ARRAY[''];
	ELSIF TG_OP = 'INSERT' THEN
		SELECT array_agg(DISTINCT TG_ARGV[1] || (to_jsonb(r) ->> TG_ARGV[0]))
			INTO changed FROM new_rows r;
	ELSIF TG_OP = 'DELETE' THEN
		SELECT array_agg(DISTINCT TG_ARGV[1] || (to_jsonb(r) ->> TG_ARGV[0]))
			INTO changed FROM old_rows r;
	ELSE
		SELECT array_agg(DISTINCT TG_ARGV[1] || (to_jsonb(r) ->> TG_ARGV[0]))
			INTO changed FROM (
				(TABLE old_rows EXCEPT TABLE new_rows)
				UNION ALL (TABLE new_rows EXCEPT TABLE old_rows)) r;
	END IF;
	-- A payload of 8000 bytes would make the writer's transaction fail.
	IF cardinality(changed) > 100 OR octet_length(array_to_string(changed, '')) > 7000 THEN
		changed := ARRAY[''];
	END IF;
	PERFORM pg_notify('waymark_registry', name) FROM unnest(changed) AS name;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION waymark.ring() IS 'Tells Waymark which projects a statement has changed';

-- Logical replication fires triggers of rows alone (PostgreSQL, 31.7 Architecture).
CREATE OR REPLACE FUNCTION waymark.ring_row() RETURNS trigger
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
	IF TG_OP <> 'INSERT' THEN
		PERFORM pg_notify('waymark_registry', TG_ARGV[1] || (to_jsonb(OLD) ->> TG_ARGV[0]));
	END IF;
	IF TG_OP <> 'DELETE' THEN
		PERFORM pg_notify('waymark_registry', TG_ARGV[1] || (to_jsonb(NEW) ->> TG_ARGV[0]));
	END IF;
	RETURN NULL;
END $$;
COMMENT ON FUNCTION waymark.ring_row() IS 'Tells Waymark which project a replicated row is of';

DO $$
DECLARE
	t record;
BEGIN
	FOR t IN SELECT * FROM (VALUES
		('project', 'name', ''), ('domain', 'project', ''), ('environment', 'project', ''),
		('slot', 'project', ''), ('static_route', 'host', '@static ')) AS v (name, key, prefix)
	LOOP
		EXECUTE format('DROP TRIGGER IF EXISTS ring_insert ON waymark.%I', t.name);
		EXECUTE format('DROP TRIGGER IF EXISTS ring_update ON waymark.%I', t.name);
		EXECUTE format('DROP TRIGGER IF EXISTS ring_delete ON waymark.%I', t.name);
		EXECUTE format('DROP TRIGGER IF EXISTS ring_truncate ON waymark.%I', t.name);
		EXECUTE format('CREATE TRIGGER ring_insert AFTER INSERT ON waymark.%I '
			'REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT '
			'EXECUTE FUNCTION waymark.ring(%L, %L)', t.name, t.key, t.prefix);
		EXECUTE format('CREATE TRIGGER ring_update AFTER UPDATE ON waymark.%I '
			'REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT '
			'EXECUTE FUNCTION waymark.ring(%L, %L)', t.name, t.key, t.prefix);
		EXECUTE format('CREATE TRIGGER ring_delete AFTER DELETE ON waymark.%I '
			'REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT '
			'EXECUTE FUNCTION waymark.ring(%L, %L)', t.name, t.key, t.prefix);
		EXECUTE format('CREATE TRIGGER ring_truncate AFTER TRUNCATE ON waymark.%I '
			'FOR EACH STATEMENT EXECUTE FUNCTION waymark.ring()', t.name);
		EXECUTE format('DROP TRIGGER IF EXISTS ring_row ON waymark.%I', t.name);
		EXECUTE format('CREATE TRIGGER ring_row AFTER INSERT OR UPDATE OR DELETE ON waymark.%I '
			'FOR EACH ROW EXECUTE FUNCTION waymark.ring_row(%L, %L)',
			t.name, t.key, t.prefix);
		-- What logical replication brings rings row by row, everything else by statement.
		EXECUTE format('ALTER TABLE waymark.%I ENABLE REPLICA TRIGGER ring_row, '
			'ENABLE ALWAYS TRIGGER ring_insert, ENABLE ALWAYS TRIGGER ring_update, '
			'ENABLE ALWAYS TRIGGER ring_delete, ENABLE ALWAYS TRIGGER ring_truncate', t.name);
	END LOOP;
END $$;

-- Who may read.  A role is the whole server's, so it may be there, or this user may not make one.

DO $$
BEGIN
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waymark_reader') THEN
		CREATE ROLE waymark_reader NOLOGIN;
	END IF;
	GRANT USAGE ON SCHEMA waymark TO waymark_reader;
	GRANT SELECT ON ALL TABLES IN SCHEMA waymark TO waymark_reader;
	IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'waymark_writer') THEN
		CREATE ROLE waymark_writer NOLOGIN;
	END IF;
	GRANT USAGE ON SCHEMA waymark TO waymark_writer;
	GRANT SELECT ON ALL TABLES IN SCHEMA waymark TO waymark_writer;
	GRANT INSERT, UPDATE, DELETE ON waymark.slot TO waymark_writer;
	GRANT UPDATE (active) ON waymark.environment TO waymark_writer;
EXCEPTION
	WHEN insufficient_privilege THEN
		RAISE WARNING 'cannot make the roles waymark_reader and waymark_writer: %', SQLERRM
			USING HINT = 'GRANT USAGE ON SCHEMA waymark and SELECT ON ALL TABLES IN it to '
				'the user that Waymark connects as.';
	WHEN duplicate_object OR unique_violation THEN
		RAISE EXCEPTION 'the roles are being made elsewhere; run this again';
END $$;

COMMIT;
