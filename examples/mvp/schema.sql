-- The tables of the MVP backend, as its migrations leave them.  Waymark only reads them.
CREATE TABLE apps (
	id serial PRIMARY KEY,
	name text NOT NULL UNIQUE,
	repo_url text NOT NULL,
	branch text NOT NULL DEFAULT 'main',
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE deployments (
	id serial PRIMARY KEY,
	app_id integer NOT NULL REFERENCES apps (id) ON DELETE CASCADE,
	status text NOT NULL DEFAULT 'pending'
		CHECK (status IN ('pending', 'building', 'running', 'failed', 'stopped')),
	image_name text,
	container_id text,
	subdomain text,
	build_log text NOT NULL DEFAULT '',
	error text,
	created_at timestamptz NOT NULL DEFAULT now(),
	updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX deployments_of_app ON deployments (app_id, created_at DESC);
